"""Laws of a cell over time: split, reverse, mask, batch, dtype."""

import jax
import jax.numpy as jnp
import laws
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import cases, random_params

import lstmcore as lc

fewer = settings(max_examples=settings.default.max_examples // 2)


@pytest.mark.parametrize("law", laws.OF_A_SEQUENCE, ids=lambda law: law.__name__)
@fewer
@given(cases())
def test_law(law, case):
    law(case)


@given(cases(), st.integers(0, 5))
def test_split_sequence_with_carried_state_is_the_whole(case, cut):
    laws.split_sequence_with_carried_state_is_the_whole(case, cut)


def test_edit_sees_the_step_on_the_time_axis_of_x(rng):
    params, x = random_params(rng, 2, 3), np.ones((1, 4, 2), np.float32)
    only_third = lambda gates, t: gates._replace(input=jnp.where(t == 2, 1.0, 0.0))  # noqa: E731
    for reverse in (False, True):
        _, trace = lc.lstm(params, x, edit=only_third, reverse=reverse)
        np.testing.assert_array_equal(trace.gates.input[0, :, 0], [0, 0, 1, 0])


def test_gate_gradients_by_adding_zeros(rng):
    """d loss / d every gate: add zeros in an edit, differentiate them; checked by a finite step."""
    params, x = random_params(rng, 2, 3), rng.normal(size=(1, 4, 2)).astype(np.float32)

    @jax.jit
    @jax.value_and_grad
    def loss_and_gradient(zeros):
        edit = lambda gates, t: gates._replace(forget=gates.forget + zeros[:, t])  # noqa: E731
        return lc.lstm(params, x, edit=edit)[0].h.sum()

    zeros = np.zeros((1, 4, 3), np.float32)
    _, gradient = loss_and_gradient(zeros)
    assert np.abs(gradient[:, 0]).max() == 0  # nothing to forget before the first step
    bump = zeros.copy()
    bump[0, 2, 1] = 1e-2
    (ahead, _), (behind, _) = loss_and_gradient(bump), loss_and_gradient(-bump)
    np.testing.assert_allclose(gradient[0, 2, 1], (ahead - behind) / 2e-2, rtol=1e-3)


def test_an_edit_is_never_taken_from_a_cache(rng):
    """One function object whose meaning changes between calls must not give an old result."""
    params, x = random_params(rng, 2, 3), np.ones((1, 4, 2), np.float32)
    level = [0.0]
    edit = lambda gates, t: gates._replace(output=level[0])  # noqa: E731
    assert (lc.lstm(params, x, edit=edit)[0].h == 0).all()
    level[0] = 1.0
    assert (lc.lstm(params, x, edit=edit)[0].h != 0).all()


@pytest.mark.parametrize("shape", [(0, 4, 2), (3, 0, 2)])
def test_empty_batches_and_sequences(shape, rng):
    state, trace = lc.lstm(random_params(rng, 2, 3), np.ones(shape, np.float32))
    assert state.h.shape == (shape[0], 3)
    assert {leaf.shape for leaf in jax.tree.leaves(trace)} == {(*shape[:2], 3)}
    np.testing.assert_array_equal(state.h, 0)


def test_dtype_follows_the_params(rng, x64):
    x = rng.normal(size=(2, 3, 2))
    for dtype in (jnp.float32, jnp.float64):
        out = lc.lstm(random_params(rng, 2, 3, dtype), x.astype(np.float32))
        assert {leaf.dtype for leaf in jax.tree.leaves(out)} == {jnp.dtype(dtype)}


def test_float64_arrays_of_numpy_become_float32_unless_jax_is_told(rng):
    params, x = random_params(rng, 2, 3, np.float64), rng.normal(size=(2, 3, 2))
    state, trace = lc.lstm(params, x)
    assert {leaf.dtype for leaf in jax.tree.leaves((state, trace))} == {jnp.dtype(jnp.float32)}
    stepped, _ = lc.lstm_step(params, x[:, 0], lc.zero_state(2, 3))
    assert stepped.h.dtype == jnp.float32


def test_bfloat16_keeps_a_float32_cell(rng):
    params = random_params(rng, 2, 3)
    x = rng.normal(size=(2, 50, 2)).astype(np.float32)
    narrow = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.bfloat16), params)
    state, trace = lc.lstm(narrow, jnp.asarray(x, jnp.bfloat16))
    assert (state.h.dtype, state.c.dtype) == (jnp.bfloat16, jnp.float32)
    assert trace.gates.forget.dtype == jnp.float32
    exact, _ = lc.lstm(params, x)
    np.testing.assert_allclose(state.c, exact.c, atol=0.05)


def test_half_open_memory_counts_small_writes():
    """512 writes of 1/512 make 1 in a float32 cell; a bfloat16 cell stops at one half."""
    params = lc.LSTMParams(*(jnp.zeros(s, jnp.bfloat16) for s in ((1, 4), (1, 4), (4,))))
    write = lambda gates, t: lc.Gates(1 / 512, 1.0, 1.0, 1.0)  # noqa: E731
    state, _ = lc.lstm(params, jnp.zeros((1, 512, 1), jnp.bfloat16), edit=write)
    assert state.c[0, 0] == 1


def test_length_mask():
    expected = [[0, 0, 0], [1, 0, 0], [1, 1, 1], [1, 1, 1]]
    np.testing.assert_array_equal(lc.length_mask(np.array([0, 1, 3, 9]), 3), expected)


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (np.ones((4, 2)), {}, ValueError, r"x must have 3 axes .* got shape \(4, 2\): x\[None\]"),
        (np.ones((3, 4, 5)), {}, ValueError, "x has 5 features but params.kernel expects 2"),
        (np.ones((3, 4, 2), int), {}, ValueError, "x must be floating point, got int64"),
        ("abc", {}, TypeError, r"x must be an array \[batch, time, features\], got str"),
        (
            np.ones((3, 4, 2)),
            {"mask": np.ones((4, 3), bool)},
            ValueError,
            r"mask has shape \(4, 3\) but x needs \(3, 4\): lc.length_mask",
        ),
        (
            np.ones((3, 4, 2)),
            {"mask": np.ones((3, 4))},
            ValueError,
            r"mask must be bool \(True = real step\), got float64: write mask.astype\(bool\)",
        ),
        (
            np.ones((3, 4, 2)),
            {"mask": np.ones(4, bool)},
            ValueError,
            r"mask must have 2 axes \[batch, time\], got shape \(4,\): one value for each step",
        ),
        (
            np.ones((3, 4, 2)),
            {"state": lc.LSTMState(np.ones((3, 3), int), np.ones((3, 3), int))},
            ValueError,
            "state.h must be floating point, got int64",
        ),
        (
            np.ones((3, 4, 2)),
            {"state": lc.LSTMState(np.ones((3, 5)), np.ones((3, 5)))},
            ValueError,
            r"state.h has shape \(3, 5\) but the batch of 3 and the 3 units .* need \(3, 3\)",
        ),
    ],
)
def test_errors(x, options, error, message, rng):
    with pytest.raises(error, match=message):
        lc.lstm(random_params(rng, 2, 3), x, **options)


def test_errors_of_bidirectional_and_length_mask(rng):
    params, x = random_params(rng, 2, 3), np.ones((1, 4, 2), np.float32)
    with pytest.raises(TypeError, match=r"pair \(LSTMState, LSTMState\).* got LSTMState"):
        lc.bidirectional(params, params, x, lc.zero_state(1, 3))
    with pytest.raises(TypeError, match=r"pair \(LSTMState, LSTMState\).* got int"):
        lc.bidirectional(params, params, x, 5)
    with pytest.raises(TypeError, match=r"edit must be a function \(gates, t\) -> gates, got int"):
        lc.lstm(params, x, edit=5)
    with pytest.raises(ValueError, match="lengths must be integers, got float"):
        lc.length_mask(np.array([1.0]), 3)
    with pytest.raises(ValueError, match="timesteps must be at least 0, got -1"):
        lc.length_mask(np.array([1]), -1)
