"""Weights of Keras layers in and out: exact both ways, and all other layers refused."""

import jax
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from keras_models import cudnn_layout
from keras_parity import built, call, fresh_weights, keras_promotion
from strategies import features, random_params, seeds, units

import lstmcore as lc
from lstmcore import reference

dtypes = st.sampled_from(["float32", "float64"])


def drawn(seed, features, units, dtype="float32"):
    return random_params(np.random.default_rng(seed), features, units, dtype)


@given(seeds, features, units, dtypes)
def test_there_and_back_is_exact(seed, features, units, dtype):
    one, other = drawn(seed, features, units, dtype), drawn(seed + 1, features, units, dtype)
    jax.tree.map(
        np.testing.assert_array_equal, lc.interop.from_keras(lc.interop.to_keras(one)), one
    )
    pair = lc.interop.from_keras(lc.interop.to_keras((one, other)))
    jax.tree.map(np.testing.assert_array_equal, pair, (one, other))
    assert pair[1].bias.dtype == dtype


@given(seeds, features, units)
def test_the_layout_of_cudnn(seed, features, units):
    params = drawn(seed, features, units)
    loaded = lc.interop.from_keras(cudnn_layout(params))
    jax.tree.map(np.testing.assert_array_equal, loaded, params)


def test_the_layout_of_cudnn_in_numbers():
    """What Keras 2 makes of a gate: `gate.T.reshape(gate.shape, order="F")`, of both biases a sum.

    (The example in its documentation shows other numbers than its code computes.)
    """
    gate = np.array([[0.0, 3, 1], [4, 2, 5]])
    assert gate.T.reshape(gate.shape, order="F").tolist() == [[0, 1, 2], [3, 4, 5]]
    recurrent = np.arange(36.0).reshape(3, 12)
    loaded = lc.interop.from_keras([np.hstack([gate] * 4), recurrent, np.arange(24.0)])
    assert loaded.kernel[:, :3].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert loaded.recurrent_kernel[0, :6].tolist() == [0, 12, 24, 3, 15, 27]
    assert loaded.bias.tolist() == [12 + 2 * i for i in range(12)]


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_layers(use_bias, bidirectional):
    x = np.random.default_rng(0).normal(size=(2, 4, 3)).astype("float32")
    layer = keras.layers.LSTM(5, use_bias=use_bias, return_sequences=True)
    layer = built(keras.layers.Bidirectional(layer) if bidirectional else layer, x.shape)
    with keras_promotion():
        y = call(layer, fresh_weights(layer), x)
    params = lc.interop.from_keras(layer)
    if bidirectional:
        _, traces = reference.bidirectional(*params, x)
        ours = np.concatenate([trace.h for trace in traces], axis=-1)
    else:
        ours = reference.lstm(params, x)[1].h
    np.testing.assert_allclose(ours, y, rtol=1e-5, atol=1e-5)
    if use_bias:
        new = [array + 1 for array in lc.interop.to_keras(params)]
        layer.set_weights(new)
        np.testing.assert_array_equal(fresh_weights(layer)[-1], new[-1])


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (keras.layers.GRU(3), r"got \[2, 9\], \[3, 9\], \[2, 9\] \(these look like a GRU's"),
        (
            keras.layers.SimpleRNN(3),
            r"kernel \[F, 4H\].* got \[2, 3\], \[3, 3\], \[3\]",
        ),
        (keras.layers.Bidirectional(keras.layers.GRU(3)), "forward: an LSTM has .* a GRU's"),
        (keras.layers.Dense(3), r"recurrent_kernel \[H, 4H\] and bias \[4H\], got \[2, 3\], \[3\]"),
        (keras.layers.Dropout(0.5), "a Bidirectional one 4 or 6, got 0: none"),
    ],
)
def test_other_layers_are_refused(layer, message):
    with pytest.raises(ValueError, match=message):
        lc.interop.from_keras(built(layer, (1, 4, 2)))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            [np.ones((2, 12)), np.ones((3, 12)), np.ones(11)],
            r"^the weights of the Keras layer: ",
        ),
        ([np.ones((2, 11)), np.ones((3, 12))], "must have shapes"),
        ([np.ones((2, 12)), np.ones(12)], r"got \[2, 12\], \[12\]$"),
        ([np.ones((2, 12), complex), np.ones((3, 12))], "complex"),
        ([np.array([["a"] * 12]), np.ones((3, 12))], "U1"),
    ],
)
def test_weights_that_do_not_fit(weights, message):
    with pytest.raises(ValueError, match=message):
        lc.interop.from_keras(weights)


def test_what_is_neither_a_layer_nor_weights():
    with pytest.raises(
        TypeError, match=r"takes a Keras layer or the list of its weights.*got dict"
    ):
        lc.interop.from_keras({"kernel": np.ones((2, 12))})
    with pytest.raises(TypeError, match="got LSTMParams"):
        lc.interop.from_keras(drawn(0, 2, 3))
    with pytest.raises(TypeError, match=r"must be LSTMParams, or a pair of them.*got list"):
        lc.interop.to_keras([np.ones((2, 12))])


@pytest.mark.parametrize("field", ["peephole", "projection"])
def test_what_keras_does_not_have(field):
    params = random_params(np.random.default_rng(0), 2, 3, peephole=True, projection=2)
    other = {"peephole": "projection", "projection": "peephole"}[field]
    with pytest.raises(ValueError, match=f"has a {field}, which the LSTM of Keras does not have"):
        lc.interop.to_keras(params._replace(**{other: None}))
