"""The laws of a cell over time: split, reverse, mask, batch, dtype."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import cases, random_mask, random_params, random_state, seeds

import lstmcore as lc

close = partial(np.testing.assert_allclose, atol=3e-6, rtol=1e-5)


def assert_close(ours, theirs):
    jax.tree.map(close, ours, theirs)


def flip(tree):
    return jax.tree.map(lambda leaf: leaf[:, ::-1], tree)


@given(cases())
def test_sequence_is_a_loop_of_steps(case):
    params, x, state, options = case
    batch, steps, _ = x.shape
    mask, reverse = options.pop("mask"), options.pop("reverse")
    final, trace = lc.lstm(params, x, state, mask=mask, reverse=reverse, **options)
    state = state or lc.zero_state(batch, params.recurrent_kernel.shape[0])
    for t in reversed(range(steps)) if reverse else range(steps):
        new, gates = lc.lstm_step(params, x[:, t], state, **options)
        keep = np.ones((batch, 1), bool) if mask is None else mask[:, t, None]
        state = jax.tree.map(partial(jnp.where, keep), new, state)
        here = jax.tree.map(lambda leaf, t=t: leaf[:, t], trace)
        gates = jax.tree.map(lambda gate, keep=keep: jnp.where(keep, gate, 0), gates)
        assert_close(here, lc.Trace(*state, gates))
    assert_close(final, state)


@given(cases())
def test_batch_is_a_map_over_examples(case):
    params, x, state, options = case
    options = {k: v for k, v in options.items() if v is not None}
    mask = options.pop("mask", np.ones(x.shape[:2], bool))
    state = state or lc.zero_state(len(x), params.recurrent_kernel.shape[0])

    def one(x, mask, state):
        single = jax.tree.map(lambda leaf: leaf[None], (x, state, mask))
        out = lc.lstm(params, single[0], single[1], mask=single[2], **options)
        return jax.tree.map(lambda leaf: leaf[0], out)

    assert_close(jax.vmap(one)(x, mask, state), lc.lstm(params, x, state, mask=mask, **options))


@given(cases(), st.integers(0, 5))
def test_split_sequence_with_carried_state_is_the_whole(case, cut):
    params, x, state, options = case
    mask = options.pop("mask")
    pieces = [slice(None, cut), slice(cut, None)]
    if options["reverse"]:
        pieces.reverse()
    traces = []
    carried = state
    for piece in pieces:
        part = None if mask is None else mask[:, piece]
        carried, trace = lc.lstm(params, x[:, piece], carried, mask=part, **options)
        traces.append(trace)
    if options["reverse"]:
        traces.reverse()
    joined = jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *traces)
    assert_close((carried, joined), lc.lstm(params, x, state, mask=mask, **options))


@given(cases())
def test_reverse_is_a_flip_before_and_after(case):
    params, x, state, options = case
    mask, reverse = options.pop("mask"), options.pop("reverse")
    flipped_mask = None if mask is None else mask[:, ::-1]
    there = lc.lstm(params, x[:, ::-1], state, mask=flipped_mask, reverse=not reverse, **options)
    final, trace = lc.lstm(params, x, state, mask=mask, reverse=reverse, **options)
    assert_close((there[0], flip(there[1])), (final, trace))


@given(cases())
def test_jit_changes_nothing(case):
    params, x, state, options = case
    run = lambda params, x, state: lc.lstm(params, x, state, **options)  # noqa: E731
    with jax.disable_jit():
        plain = run(params, x, state)
    assert_close(jax.jit(run)(params, x, state), plain)


@given(seeds)
def test_masked_steps_are_as_if_absent(seed):
    rng = np.random.default_rng(seed)
    params, state = random_params(rng, 2, 3), random_state(rng, 1, 3)
    x, mask = rng.normal(size=(1, 6, 2)).astype(np.float32), random_mask(rng, "interior", 1, 6)
    final, trace = lc.lstm(params, x, state, mask=mask)
    short_final, short_trace = lc.lstm(params, x[:, mask[0]], state)
    assert_close(final, short_final)
    assert_close(jax.tree.map(lambda leaf: leaf[:, mask[0]], trace), short_trace)


def test_masked_steps_repeat_the_state_and_have_zero_gates(rng):
    params, state = random_params(rng, 2, 3), random_state(rng, 2, 3)
    x = rng.normal(size=(2, 4, 2)).astype(np.float32)
    mask = np.array([[False, True, False, True], [False] * 4])
    final, trace = lc.lstm(params, x, state, mask=mask)
    np.testing.assert_array_equal(trace.h[0, 0], state.h[0])
    np.testing.assert_array_equal(trace.c[0, 2], trace.c[0, 1])
    np.testing.assert_array_equal(final.h[1], state.h[1])
    for gate in trace.gates:
        np.testing.assert_array_equal(gate[~mask], 0)
        assert (gate[mask] != 0).all()


def test_nan_in_masked_steps_harms_neither_values_nor_gradients(rng):
    params = random_params(rng, 2, 3)
    clean = rng.normal(size=(2, 4, 2)).astype(np.float32)
    mask = lc.length_mask(np.array([2, 4]), 4)
    padded = np.where(mask[:, :, None], clean, np.nan)
    loss = lambda params, x: sum(leaf.sum() for leaf in lc.lstm(params, x, mask=mask)[0])  # noqa: E731
    gradient = jax.grad(loss, argnums=(0, 1))
    assert loss(params, padded) == loss(params, clean)
    assert_close(gradient(params, padded), gradient(params, clean))


def test_what_a_masked_step_would_compute_harms_no_gradient():
    """An overflow that is masked out must not come back as 0 * inf."""
    params = lc.LSTMParams(jnp.full((1, 4), 60.0), jnp.full((1, 4), 3e37), jnp.zeros(4))
    x, mask = jnp.ones((1, 2, 1)), jnp.array([[True, False]])
    loss = lambda params, x, mask: lc.lstm(params, x, mask=mask, activation="relu")[0].h.sum()  # noqa: E731
    gradient = jax.grad(loss)(params, x, mask)
    jax.tree.map(
        np.testing.assert_array_equal, gradient, jax.grad(loss)(params, x[:, :1], mask[:, :1])
    )
    assert np.isfinite(gradient.kernel).all()


@given(cases())
def test_bidirectional_is_two_layers(case):
    params, x, state, options = case
    options.pop("reverse")
    back = jax.tree.map(lambda leaf: leaf[..., ::-1].copy(), params)
    states, traces = lc.bidirectional(params, back, x, state and (state, state), **options)
    assert_close((states[0], traces[0]), lc.lstm(params, x, state, **options))
    assert_close((states[1], traces[1]), lc.lstm(back, x, state, reverse=True, **options))


def test_edit_sees_the_step_on_the_time_axis_of_x(rng):
    params, x = random_params(rng, 2, 3), np.ones((1, 4, 2), np.float32)
    only_third = lambda gates, t: gates._replace(input=jnp.where(t == 2, 1.0, 0.0))  # noqa: E731
    for reverse in (False, True):
        _, trace = lc.lstm(params, x, edit=only_third, reverse=reverse)
        np.testing.assert_array_equal(trace.gates.input[0, :, 0], [0, 0, 1, 0])


def test_gate_gradients_by_adding_zeros(rng):
    """d loss / d every gate: add zeros in an edit, differentiate them; checked by a finite step."""
    params, x = random_params(rng, 2, 3), rng.normal(size=(1, 4, 2)).astype(np.float32)

    def loss(zeros):
        edit = lambda gates, t: gates._replace(forget=gates.forget + zeros[:, t])  # noqa: E731
        return lc.lstm(params, x, edit=edit)[0].h.sum()

    zeros = jnp.zeros((1, 4, 3))
    gradient = jax.grad(loss)(zeros)
    assert np.abs(gradient[:, 0]).max() == 0  # nothing to forget before the first step
    bump = zeros.at[0, 2, 1].set(1e-2)
    slope = (loss(bump) - loss(-bump)) / 2e-2
    np.testing.assert_allclose(gradient[0, 2, 1], slope, rtol=1e-3)


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
