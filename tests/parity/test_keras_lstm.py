"""Layers against Keras: the LSTM, its cell, its gates, both directions, and the layers around it.

Keras is the established implementation, run here on the same JAX. Every comparison goes through
`keras_parity` and so covers values and gradients (weights, initial state, input). What Keras does
not show, c at every step and the gates, is computed from its cell and from its hidden states.
"""

from itertools import cycle

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import strategies
from chance import assert_drawn_from
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_parity import assert_parity, built, call, fresh_weights, lstm_function, lstm_layer
from scipy import stats

import lstmcore as lc
from lstmcore.activations import NAMED

# Each example compiles two layers with their gradients, or four.
fewer = settings(max_examples=settings.default.max_examples // 2)
KINDS_OF_MASKS = ["none", "right", "left", "interior", "all-false row"]
IN_KERAS = [name for name in NAMED if name != "hard_sigmoid_keras2"]  # which Keras 3 no longer has
# Each activation in one of its two places, each kind of mask once, and both directions.
COMBINATIONS = [
    (activation, recurrent_activation, kind, place % 2 == 1)
    for place, (activation, recurrent_activation, kind) in enumerate(
        zip(IN_KERAS[::2], cycle(IN_KERAS[1::2]), KINDS_OF_MASKS)
    )
]


@fewer
@given(strategies.cases())
def test_lstm(case):
    assert_layer_parity(case)


@pytest.mark.parametrize(("activation", "recurrent_activation", "kind", "reverse"), COMBINATIONS)
def test_every_activation_mask_and_direction(activation, recurrent_activation, kind, reverse, rng):
    """Each of them at least once, which few random examples cannot promise."""
    mask = strategies.random_mask(rng, kind, batch=3, steps=5)
    activations = {"activation": activation, "recurrent_activation": recurrent_activation}
    assert_layer_parity(full_case(rng, **activations, mask=mask, reverse=reverse))


def test_the_combinations_leave_no_activation_out():
    assert {name for combination in COMBINATIONS for name in combination[:2]} == set(IN_KERAS)
    assert [kind for _, _, kind, _ in COMBINATIONS] == KINDS_OF_MASKS


@fewer
@given(strategies.cases())
def test_h_and_c_at_every_step(case):
    """Against Keras's cell in a Python loop; masked steps are skipped by hand."""
    batch, steps, features = case.x.shape
    cell = built(keras.layers.LSTMCell(units_of(case), **activations_of(case)), (batch, features))
    keep = np.ones((batch, steps), bool) if case.options["mask"] is None else case.options["mask"]
    order = range(steps)[::-1] if case.options["reverse"] else range(steps)

    def ours(params, x):
        _, trace = our_lstm(case, params, x)
        return {"h": trace.h, "c": trace.c}

    def theirs(params, x):
        state = params["state"] or jnp.zeros((2, batch, units_of(case)))
        h, c = [None] * steps, [None] * steps
        for t in order:
            _, new = call(cell, params["layer"], x[:, t], list(state))
            state = [jnp.where(keep[:, t, None], *pair) for pair in zip(new, state, strict=True)]
            h[t], c[t] = state
        return {"h": jnp.stack(h, axis=1), "c": jnp.stack(c, axis=1)}

    assert_parity(ours, theirs, arguments(case), case.x)


@fewer
@given(strategies.cases(), strategies.seeds)
def test_bidirectional(case, seed):
    rng = np.random.default_rng(seed)
    batch, _, features = case.x.shape
    units, options, mask = units_of(case), activations_of(case), case.options["mask"]
    backward_state = case.state and strategies.random_state(rng, batch, units)
    params = {
        "layer": (case.params, strategies.random_params(rng, features, units)),
        "state": case.state and (case.state, backward_state),
    }
    layer = keras.layers.Bidirectional(lstm_layer(units, **options), merge_mode="concat")
    layer = built(layer, case.x.shape)
    # Keras's Bidirectional, unlike its LSTM and ours, puts 0 where a step is masked.
    real = True if mask is None else mask[:, :, None]

    def ours(params, x):
        final, (forward, backward) = lc.bidirectional(
            *params["layer"], x, params["state"], mask=mask, **options
        )
        h = jnp.concatenate([forward.h, backward.h], axis=-1)
        return {"h": jnp.where(real, h, 0), "final": jax.tree.leaves(final)}

    def theirs(params, x):
        state = jax.tree.leaves(params["state"]) or None
        h, *final = call(layer, params["layer"], x, initial_state=state, mask=mask)
        return {"h": h, "final": final}

    assert_parity(ours, theirs, params, case.x)


@st.composite
def dense_cases(draw) -> tuple:
    """(DenseParams, sequence [B, T, F])"""
    rng = np.random.default_rng(draw(strategies.seeds))
    features, units = draw(strategies.features), draw(strategies.units)
    x_shape = draw(strategies.batches), draw(strategies.timesteps), features
    shapes = (features, units), (units,), x_shape
    kernel, bias, x = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return lc.DenseParams(kernel, bias), x


@given(dense_cases())
def test_dense(case):
    params, x = case
    layer = built(keras.layers.Dense(len(params.bias)), x.shape)
    assert_parity(lc.dense, lambda params, x: call(layer, params, x), params, x)


@given(dense_cases())
def test_time_distributed_dense(case):
    params, x = case
    layer = keras.layers.TimeDistributed(keras.layers.Dense(len(params.bias)))
    layer = built(layer, x.shape)

    def ours(params, x):
        return lc.time_distributed(lambda x_t: lc.dense(params, x_t), x)

    assert_parity(ours, lambda params, x: call(layer, params, x), params, x)


@given(dense_cases(), strategies.timesteps)
def test_repeat_vector(case, n):
    _, x = case
    layer = built(keras.layers.RepeatVector(n), x[:, 0].shape)
    none = ()  # it has no weights
    assert_parity(
        lambda _, x: lc.repeat_vector(x, n), lambda _, x: call(layer, none, x), none, x[:, 0]
    )


@given(strategies.features, strategies.units, strategies.seeds)
def test_fresh_lstm_weights(features, units, seed):
    """The same laws hold for our initial weights and for Keras's."""
    ours = lc.init_lstm(jax.random.key(seed), features, units)
    theirs = fresh_weights(built(keras.layers.LSTM(units), (1, 1, features)))
    for params in ours, lc.LSTMParams(*theirs):
        kernel, recurrent_kernel, bias = map(np.asarray, params[:3])
        assert np.abs(kernel).max() <= glorot_limit(kernel)
        rows = recurrent_kernel @ recurrent_kernel.T
        np.testing.assert_allclose(rows, np.eye(units), atol=1e-5)
        np.testing.assert_array_equal(bias, np.repeat([0, 1, 0, 0], units))  # exactly
    for mine, other in zip(ours[:3], theirs, strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)


def test_fresh_kernels_are_uniform():
    """Of 10,000 numbers and more, which tell a uniform distribution from a normal one."""
    for kernel in (
        lc.init_lstm(jax.random.key(0), 120, 100).kernel,
        fresh_weights(built(keras.layers.LSTM(100), (1, 1, 120)))[0],
        lc.init_dense(jax.random.key(0), 120, 100).kernel,
        fresh_weights(built(keras.layers.Dense(100), (1, 120)))[0],
    ):
        assert_drawn_from(stats.uniform(-1, 2), kernel / glorot_limit(kernel))


def test_a_normal_kernel_would_be_noticed():
    normal = keras.layers.Dense(100, kernel_initializer="glorot_normal")
    kernel = fresh_weights(built(normal, (1, 120)))[0]
    with pytest.raises(AssertionError, match="KstestResult"):
        assert_drawn_from(stats.uniform(-1, 2), kernel / glorot_limit(kernel))


@given(strategies.features, strategies.units, strategies.seeds)
def test_fresh_dense_weights(features, units, seed):
    ours = lc.init_dense(jax.random.key(seed), features, units)
    theirs = fresh_weights(built(keras.layers.Dense(units), (1, features)))
    for kernel, bias in ours, theirs:
        assert np.abs(kernel).max() <= glorot_limit(kernel)
        np.testing.assert_array_equal(bias, np.zeros(units))
    for mine, other in zip(ours[:3], theirs, strict=True):
        assert (mine.shape, mine.dtype) == (other.shape, other.dtype)


@pytest.mark.parametrize("gates", [(0, 1), (2, 3)], ids=["i and f", "g and o"])
def test_harness_notices_swapped_gates(gates, rng):
    with pytest.raises(AssertionError, match=r"output\['final'\]\['c'\] differs from Keras"):
        assert_layer_parity(full_case(rng), spoil=lambda weights: swapped(weights, *gates))


def test_harness_notices_a_gradient_that_is_missing(rng):
    x = rng.normal(size=(3, 2)).astype(np.float32)
    with pytest.raises(AssertionError, match="gradient of x differs from Keras"):
        assert_parity(lambda _, x: jax.lax.stop_gradient(x), lambda _, x: x, (), x)


def assert_layer_parity(case, spoil=lambda weights: weights, **keras_options) -> None:
    """Every h, every gate, the final h and c; `spoil` may change the weights on our side."""

    def ours(params, x):
        state, trace = our_lstm(case, params | {"layer": spoil(params["layer"])}, x)
        return {"final": state._asdict(), "gates": trace.gates._asdict(), "h": trace.h}

    theirs = lstm_function(case.x.shape, units_of(case), **case.options | keras_options)
    assert_parity(ours, theirs, arguments(case), case.x)


def our_lstm(case, params, x):
    return lc.lstm(params["layer"], x, params["state"], **case.options)


def full_case(rng, **options) -> strategies.Case:
    """Return a case with more than one of everything, and an initial state."""
    defaults = {"activation": "tanh", "recurrent_activation": "sigmoid", "mask": None}
    return strategies.Case(
        params=strategies.random_params(rng, features=2, units=4),
        x=rng.normal(size=(3, 5, 2)).astype(np.float32),
        state=strategies.random_state(rng, batch=3, units=4),
        options=defaults | {"reverse": False} | options,
    )


def arguments(case) -> dict:
    """Return what a layer is differentiated with respect to, apart from x."""
    return {"layer": case.params, "state": case.state}


def units_of(case) -> int:
    return len(case.params.recurrent_kernel)


def activations_of(case) -> dict[str, str]:
    return {name: case.options[name] for name in ("activation", "recurrent_activation")}


def swapped(params: lc.LSTMParams, first: int, second: int) -> lc.LSTMParams:
    """Return the layer with the weights of two gates exchanged."""
    order = [0, 1, 2, 3]
    order[first], order[second] = second, first
    gates = (jnp.split(weights, 4, axis=-1) for weights in params[:3])
    return lc.LSTMParams(*(jnp.concatenate([g[i] for i in order], axis=-1) for g in gates))


def glorot_limit(kernel) -> float:
    """Glorot & Bengio (2010), over all columns at once: uniform within +- this."""
    return np.sqrt(6 / sum(kernel.shape)) * (1 + 1e-6)  # the limit itself is a float32
