"""Whole networks: each model is a frozen dataclass with `layers`, `init` and `apply`.

stack              what the models share: LSTM layers on top of one another
chain, chain_parts `Chain`: described layers in order
autoencoders       `Autoencoder`, `CompositeAutoencoder`
dense_autoencoder  `DenseAutoencoder`
stacked            `StackedLSTM`
forecaster         `Forecaster`, direct and recursive
seq2seq            `Seq2Seq`: the encoder; `seq2seq_decoder` has the decoder, `seq2seq_layers` sizes
weights            how the layers of a model are drawn
summary            the table that `lc.summary` prints
streaming          a model that takes one step at a time
saving             a model and its weights as one file
export             the same as a program that JAX runs without lstmcore
"""
