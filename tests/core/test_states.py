"""Where a model starts and where it ends: states by the name of the layer."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import random_params, random_state, weights

import lstmcore as lc

MODEL = lc.StackedLSTM(2, (4, 3), outputs=1)
PARAMS = weights(MODEL)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(3, 5, 2)).astype(np.float32)
STATES = {"lstm_0": random_state(RNG, 3, 4), "lstm_1": random_state(RNG, 3, 3)}


def test_a_stack_starts_from_the_states_that_it_is_given():
    _, traces = MODEL.apply(PARAMS, X, states=STATES)
    below = lc.lstm(PARAMS["lstm_0"], X, STATES["lstm_0"])[1]
    above = lc.lstm(PARAMS["lstm_1"], below.h, STATES["lstm_1"])[1]
    expected = {"lstm_0": below, "lstm_1": above}
    jax.tree.map(np.testing.assert_array_equal, traces, expected)


def test_a_layer_without_a_state_starts_from_zeros():
    partly = {"lstm_1": STATES["lstm_1"]}
    filled = lc.zero_states(PARAMS, 3) | partly
    ours, theirs = (MODEL.apply(PARAMS, X, states=states)[0] for states in (partly, filled))
    np.testing.assert_array_equal(ours, theirs)


def test_final_states_are_those_of_the_layers_whatever_the_mask():
    mask = np.array([[1, 1, 1, 0, 0], [0, 0, 0, 0, 0], [1, 0, 1, 1, 1]], bool)
    _, traces = MODEL.apply(PARAMS, X, mask=mask)
    state, trace = lc.lstm(PARAMS["lstm_0"], X, mask=mask)
    jax.tree.map(np.testing.assert_array_equal, lc.final_states(traces)["lstm_0"], state)
    jax.tree.map(np.testing.assert_array_equal, lc.final_states(trace), state)
    assert not state.c[1].any()
    assert list(lc.final_states(traces | {"attention": X})) == ["lstm_0", "lstm_1"]


def test_the_cell_of_bfloat16_layers_stays_float32():
    params = weights(MODEL, jnp.bfloat16)
    zeros = lc.zero_states(params, 3)
    _, traces = MODEL.apply(params, X, states=zeros)
    for states in (zeros, lc.final_states(traces)):
        for state in states.values():
            assert (state.h.dtype, state.c.dtype) == (jnp.bfloat16, jnp.float32)


def test_zero_states_of_a_projected_layer():
    state = lc.zero_states(random_params(RNG, 2, 4, projection=3), batch=2)
    assert (state.h.shape, state.c.shape) == ((2, 3), (2, 4))


def test_errors():
    with pytest.raises(ValueError, match="states names 'lstm_2' but the LSTM layers are lstm_0, l"):
        MODEL.apply(PARAMS, X, states={"lstm_2": STATES["lstm_1"]})
    with pytest.raises(
        TypeError, match="states must be a dict by the name of the layer, got LSTMS"
    ):
        MODEL.apply(PARAMS, X, states=STATES["lstm_0"])
    with pytest.raises(ValueError, match=r"state.h has shape \(3, 3\) but") as error:
        MODEL.apply(PARAMS, X, states={"lstm_0": STATES["lstm_1"]})
    assert error.value.__notes__ == ["(in layer 'lstm_0')"]
    with pytest.raises(ValueError, match="there is no LSTM layer among the params"):
        lc.zero_states({"head": PARAMS["head"]}, 3)
    with pytest.raises(ValueError, match="batch must be at least 0, got -1"):
        lc.zero_states(PARAMS, -1)
    with pytest.raises(ValueError, match="traces hold no steps, so there is no last one"):
        lc.final_states(lc.lstm(PARAMS["lstm_0"], X[:, :0])[1])
    with pytest.raises(TypeError, match="traces must be a dict of Trace or one Trace, got ndarray"):
        lc.final_states(X)
