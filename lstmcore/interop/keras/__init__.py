"""Keras: the weights of its layers, and its files as chains.

weights     arrays of a layer, both ways; no file
reading     `.keras`, `.weights.h5` and `.h5` as a chain: `config` is the architecture in them,
            `hdf5` the weights, `layers` what each layer of Keras is here
writing     a chain as a `.keras` file
"""
