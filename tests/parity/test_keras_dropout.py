"""Dropout of inputs and of the recurrence against Keras's LSTM, given the same masks."""

import keras
import numpy as np
from keras_parity import assert_parity, built, call
from strategies import random_dropout_mask, random_mask, random_params

import lstmcore as lc


def test_masks_for_inputs_and_recurrence(rng):
    shape, units = (3, 5, 2), 4
    x = rng.normal(size=shape).astype(np.float32)
    mask = random_mask(rng, "interior", 3, 5)
    of_x, of_h = random_dropout_mask(rng, 3, 2), random_dropout_mask(rng, 3, units)
    noisy = {"dropout": 0.5, "recurrent_dropout": 0.5}
    zeros = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
    layer = keras.layers.LSTM(units, return_state=True, go_backwards=True, **noisy, **zeros)
    layer = built(layer, shape)

    def ours(params, x):
        dropped = x * of_x[:, None]
        state, _ = lc.lstm(params, dropped, mask=mask, reverse=True, recurrent_dropout=of_h)
        return dict(state._asdict())

    def theirs(params, x):
        # Keras draws a mask for each gate; here all four are the one.
        layer.cell._dropout_mask, layer.cell._recurrent_dropout_mask = [of_x] * 4, [of_h] * 4
        _, h, c = call(layer, params, x, mask=mask, training=True)
        return {"h": h, "c": c}

    assert_parity(ours, theirs, random_params(rng, 2, units), x)
