"""jax.experimental.rnn, in its own reference implementation, against ours with its weights."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental import rnn

import lstmcore as lc
from lstmcore.interop import from_jax_rnn, to_jax_rnn

FEATURES, UNITS, STEPS = 3, 4, 5


def run_theirs(weights, x, lengths, layers, bidirectional):
    sizes = FEATURES, UNITS, layers, bidirectional
    zeros = jnp.zeros((layers * (2 if bidirectional else 1), len(x), UNITS), x.dtype)
    parts = rnn.unpack_lstm_weights(weights, *sizes)
    return rnn.lstm_ref(
        x, zeros, zeros, *parts, lengths, FEATURES, UNITS, layers, 0.0, bidirectional
    )[0]


def chain_for(layers, bidirectional):
    part = lc.chain.LSTM(UNITS, direction="bidirectional" if bidirectional else "forward")
    return lc.Chain([part] * layers, FEATURES)


@pytest.mark.parametrize(("layers", "bidirectional"), [(1, False), (3, False), (2, True)])
@given(data=st.data())
def test_outputs_over_lengths(layers, bidirectional, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    sizes = FEATURES, UNITS, layers, bidirectional
    weights = rng.normal(0, 0.5, rnn.get_num_params_in_lstm(*sizes)).astype(np.float32)
    x = rng.normal(size=(3, STEPS, FEATURES)).astype(np.float32)
    lengths = rng.integers(1, STEPS + 1, 3).astype(np.int32)
    mask = np.arange(STEPS) < lengths[:, None]
    params = from_jax_rnn(weights, *sizes)
    ours, _ = chain_for(layers, bidirectional).apply(params, x, mask=mask, ops=lc.reference)
    for same in (weights, to_jax_rnn(params)):
        with jax.numpy_dtype_promotion("standard"):
            theirs = run_theirs(jnp.asarray(same), x, jnp.asarray(lengths), layers, bidirectional)
        np.testing.assert_allclose(np.where(mask[..., None], ours, 0), theirs, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gradients(dtype, rng):
    layers, bidirectional = 2, True
    sizes = FEATURES, UNITS, layers, bidirectional
    weights = rng.normal(0, 0.5, rnn.get_num_params_in_lstm(*sizes)).astype(dtype)
    x = rng.normal(size=(3, STEPS, FEATURES)).astype(dtype)
    lengths = np.array([5, 3, 1], np.int32)
    mask = np.arange(STEPS) < lengths[:, None]
    readout = rng.normal(size=(3, STEPS, 2 * UNITS)).astype(dtype) * mask[..., None]

    def their_loss(weights, x):
        y = run_theirs(weights, x, jnp.asarray(lengths), layers, bidirectional)
        return (y * readout).sum()

    def our_loss(params, x):
        y, _ = chain_for(layers, bidirectional).apply(params, x, mask=jnp.asarray(mask))
        return (y * readout).sum()

    with jax.enable_x64(dtype == "float64"), jax.numpy_dtype_promotion("standard"):
        x = jnp.asarray(x)
        theirs, of_x = jax.grad(their_loss, (0, 1))(jnp.asarray(weights), x)
        params = jax.tree.map(jnp.asarray, from_jax_rnn(weights, *sizes))
        ours, our_of_x = jax.grad(our_loss, (0, 1))(params, x)
    tolerance = {"float32": 1e-5, "float64": 1e-10}[dtype]
    np.testing.assert_allclose(our_of_x, of_x, atol=tolerance, rtol=0)
    for name, layer in from_jax_rnn(theirs, *sizes).items():
        np.testing.assert_allclose(ours[name].kernel, layer.kernel, atol=tolerance, rtol=0)
        recurrent = ours[name].recurrent_kernel
        np.testing.assert_allclose(recurrent, layer.recurrent_kernel, atol=tolerance, rtol=0)
        # Each of the two biases has the gradient of their sum, and reading adds them.
        bias = 2 * np.asarray(ours[name].bias)
        np.testing.assert_allclose(bias, layer.bias, atol=tolerance, rtol=0)
