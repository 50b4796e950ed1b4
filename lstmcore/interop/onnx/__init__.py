"""ONNX: the LSTM operator, and its files as chains.

weights     arrays of an LSTM node, both ways; no file
lstm        one node with all its attributes as a model; `activations` are those of ONNX
reading     a file as a chain, or one LSTM of it. `graphs` parses, `folding` computes constants, and
            `chain` walks from node to node: `stream` is what flows between them, `recurrent` and
            `layers` are the nodes that become layers
writing     a model as a file: `builder` is the graph, `nodes` are what layers become, `described`
            is what the file says of the model, by which it is read again
"""
