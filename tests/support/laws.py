"""Laws of every LSTM layer, each a function of a `Case`; the tests say for which layers.

The last two compare the NumPy engine with JAX and with numeric differentiation, in float64.
"""

from functools import partial

import jax
import numpy as np
import pytest
from strategies import random_like

import lstmcore as lc
from lstmcore import reference

close = partial(np.testing.assert_allclose, atol=3e-6, rtol=1e-5)


def assert_close(ours, theirs):
    jax.tree.map(close, ours, theirs)


def flip(tree):
    return jax.tree.map(lambda leaf: np.asarray(leaf)[:, ::-1], tree)


def pop_noise(options: dict) -> dict:
    """Remove and return the options that have an axis for the batch."""
    return {name: options.pop(name) for name in ("recurrent_dropout", "zoneout") if name in options}


def start_of(params, batch: int) -> lc.LSTMState:
    """Return the state that `lc.lstm` starts from by default."""
    hidden, units = params.recurrent_kernel.shape[0], params.bias.shape[0] // 4
    return reference.zero_state(batch, units, params.kernel.dtype, projection=hidden)


def sequence_is_a_loop_of_steps(case):
    params, x, state, options = case
    batch, steps, _ = x.shape
    mask, reverse, noise = options.pop("mask"), options.pop("reverse"), pop_noise(options)
    final, trace = lc.lstm(params, x, state, mask=mask, reverse=reverse, **noise, **options)
    trace = jax.tree.map(np.asarray, trace)
    step = jax.jit(partial(lc.lstm_step, **options))
    state = state or start_of(params, batch)
    dropout_mask, zoneout = noise.get("recurrent_dropout", np.float32(1)), noise.get("zoneout")
    for t in reversed(range(steps)) if reverse else range(steps):
        step_input = state._replace(h=dropout_mask * state.h)
        new, gates = jax.tree.map(np.asarray, step(params, x[:, t], step_input))
        if zoneout is not None:
            z = jax.tree.map(lambda leaf, t=t: leaf[:, t], zoneout)
            new = jax.tree.map(lambda z, old, new: z * old + (1 - z) * new, z, state, new)
        keep = np.ones((batch, 1), bool) if mask is None else mask[:, t, None]
        state = jax.tree.map(partial(np.where, keep), new, state)
        here = jax.tree.map(lambda leaf, t=t: leaf[:, t], trace)
        gates = jax.tree.map(lambda gate, keep=keep: np.where(keep, gate, 0), gates)
        assert_close(here, lc.Trace(*state, gates))
    assert_close(final, state)


def batch_is_a_map_over_examples(case):
    params, x, state, options = case
    options = {k: v for k, v in options.items() if v is not None}
    mask = options.pop("mask", np.ones(x.shape[:2], bool))
    state = state or start_of(params, len(x))
    whole = pop_noise(options)
    noise = jax.tree.map(lambda leaf: np.broadcast_to(leaf, (len(x), *leaf.shape[1:])), whole)

    def one(x, mask, state, noise):
        x, mask, state, noise = jax.tree.map(lambda leaf: leaf[None], (x, mask, state, noise))
        out = lc.lstm(params, x, state, mask=mask, **noise, **options)
        return jax.tree.map(lambda leaf: leaf[0], out)

    together = lc.lstm(params, x, state, mask=mask, **whole, **options)
    assert_close(jax.jit(jax.vmap(one))(x, mask, state, noise), together)


def split_sequence_with_carried_state_is_the_whole(case, cut):
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
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves, axis=1), *traces)
    assert_close((carried, joined), lc.lstm(params, x, state, mask=mask, **options))


def reverse_is_a_flip_before_and_after(case):
    params, x, state, options = case
    mask, reverse = options.pop("mask"), options.pop("reverse")
    flipped_mask = None if mask is None else mask[:, ::-1]
    flipped = options | {"zoneout": flip(options.get("zoneout"))}
    other = lc.lstm(params, x[:, ::-1], state, mask=flipped_mask, reverse=not reverse, **flipped)
    final, trace = lc.lstm(params, x, state, mask=mask, reverse=reverse, **options)
    assert_close((other[0], flip(other[1])), (final, trace))


def jit_changes_nothing(case):
    params, x, state, options = case
    run = lambda params, x, state: lc.lstm(params, x, state, **options)  # noqa: E731
    assert_close(jax.jit(run)(params, x, state), run(params, x, state))


def bidirectional_is_two_layers(case):
    params, x, state, options = case
    options.pop("reverse")
    backward = jax.tree.map(lambda leaf: leaf[..., ::-1].copy(), params)
    states, traces = lc.bidirectional(params, backward, x, state and (state, state), **options)
    assert_close((states[0], traces[0]), lc.lstm(params, x, state, **options))
    assert_close((states[1], traces[1]), lc.lstm(backward, x, state, reverse=True, **options))


OF_A_SEQUENCE = (
    sequence_is_a_loop_of_steps,
    batch_is_a_map_over_examples,
    reverse_is_a_flip_before_and_after,
    jit_changes_nothing,
    bidirectional_is_two_layers,
)


def engines_agree(case, seed):
    """Compare values, and gradients of a random sum of all results."""
    params, x, state, options = case
    ours = reference.lstm(params, x, state, **options)
    cotangent = random_like(np.random.default_rng(seed), ours)

    @jax.jit
    def results_and_gradients(arguments, cotangent):
        results, pull_back = jax.vjp(lambda *a: lc.lstm(*a, **options), *arguments)
        return results, pull_back(cotangent)

    with jax.enable_x64(True):
        start = state or start_of(params, len(x))
        theirs = results_and_gradients((params, x, start), cotangent)
    our_gradients = reference.lstm_backward(params, x, state, ours[1], *cotangent, **options)
    tight = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)
    jax.tree.map(tight, (ours, our_gradients), theirs)


def gradients_are_numeric(case, seed):
    """Compare the hand-written gradients of the NumPy engine along a random direction."""
    params, x, state, options = case
    options["activation"] = "tanh"  # smooth, for a kink would spoil the difference
    options["recurrent_activation"] = "sigmoid"
    rng = np.random.default_rng(seed)
    state = state or start_of(params, len(x))
    outputs = reference.lstm(params, x, state, **options)
    weights = random_like(rng, outputs)
    gradients = reference.lstm_backward(params, x, state, outputs[1], *weights, **options)

    def loss(inputs):
        return along(weights, reference.lstm(*inputs, **options))

    direction = random_like(rng, (params, x, state))
    numeric = numeric_derivative(loss, (params, x, state), direction)
    assert along(gradients, direction) == pytest.approx(numeric, rel=1e-6, abs=1e-7)


def along(tree, direction) -> float:
    """Return the inner product of two pytrees."""
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(direction), strict=True)
    return sum(float((a * b).sum()) for a, b in pairs)


def numeric_derivative(loss, inputs, direction, step=1e-5) -> float:
    """Return the central difference of the loss along a direction."""
    ahead, behind = (
        loss(jax.tree.map(lambda a, d, s=sign: a + s * step * d, inputs, direction))
        for sign in (1, -1)
    )
    return float(ahead - behind) / (2 * step)
