"""`keras.layers.LSTM` with given weights, on whichever backend KERAS_BACKEND names."""

from __future__ import annotations

import keras


def layers(weights, x):
    """Return two layers with the same weights: for the last h, and for all h."""
    units = weights.recurrent_kernel.shape[0]
    pair = [
        keras.layers.LSTM(units, return_sequences=sequences, return_state=True)
        for sequences in (False, True)
    ]
    for layer in pair:
        layer.build((None, *x.shape[1:]))
        layer.set_weights(list(weights[:3]))
    return pair
