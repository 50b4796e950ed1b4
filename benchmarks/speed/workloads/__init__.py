"""Whole models beside the peers that compute the same with documented calls.

autoencoder   one training step of the autoencoder that repeats its code
stacked       one training step of two stacked layers
greedy        greedy decoding by an encoder-decoder

A training step is the loss and the gradients of all weights, without an optimizer. Each module has
a function for each library, in `IN`, that returns a `Workload` of the same weights and data;
nothing is timed before the results agree.
"""
