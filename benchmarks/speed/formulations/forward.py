"""Experiments with the forward loop. Results are h of all steps, unless stated otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp

from benchmarks.speed.formulations.work import OF_ENGINE, SIGMOID, TANH, Data, Work, row
from benchmarks.speed.grid import Cell
from lstmcore.activations import DifferentiableActivation
from lstmcore.engine import forward as engine
from lstmcore.engine.forward import Inputs
from lstmcore.engine.product import make_product


def engine_h(params, x, state, *, activations=OF_ENGINE, reverse=False):
    """Compute h as the engine does where no gradient is needed: [B, T, H]."""
    options = {"reverse": reverse, "activations": activations, "keep_residuals": False}
    return engine.forward(Inputs(params, x, state), **options)[1].h


def cell_step(parts, bias, c):
    """Compute (h, c, gates) from the four parts of x_t W + h U."""
    z_i, z_f, z_g, z_o = (part + b for part, b in zip(parts, bias, strict=True))
    i = SIGMOID.value(z_i)
    f = SIGMOID.value(z_f)
    g = jnp.tanh(z_g)
    o = SIGMOID.value(z_o)
    c = f * c + i * g
    h = o * jnp.tanh(c)
    return h, c, (i, f, g, o)


def loop(parts_at, bias, state, timesteps, *, unroll=1):
    """Compute all h from `parts_at(s, h)`, the four parts of x_t W + h U at step s: [B, T, H]."""
    bias = split(bias[None])

    def step(s, carry):
        h, c, all_h = carry
        h, c, _ = cell_step(parts_at(s, h), bias, c)
        return h, c, jax.lax.dynamic_update_index_in_dim(all_h, h, s, 1)

    batch, units = state.h.shape
    start = *state, jnp.zeros((batch, timesteps, units))
    return jax.lax.fori_loop(0, timesteps, step, start, unroll=unroll)[2]


def split(z):
    """Return the four parts of z, [B, H] each."""
    return jnp.split(z, 4, axis=-1)


def input_at(x, s):
    return jax.lax.dynamic_index_in_dim(x, s, 1, keepdims=False)


def times(weights, state):
    """Return the product of a step's rows with `weights`, in the form that the engine chooses."""
    return make_product(state.h.shape[0], weights, dtype=weights.dtype)


def times_joined(params, state):
    """Return the product with [W; U], as in the engine."""
    return times(jnp.concatenate([params.kernel, params.recurrent_kernel]), state)


# --- projection: where x W is computed


def joined_in_step(params, x, state, *, unroll=1):
    """Compute [x_t, h] [W; U] as one product."""
    product = times_joined(params, state)

    def parts_at(s, h):
        return split(product(jnp.concatenate([input_at(x, s), h], axis=1)))

    return loop(parts_at, params.bias, state, x.shape[1], unroll=unroll)


def two_in_step(params, x, state):
    """Compute x_t W + h U as two products."""
    from_x, from_h = (times(weights, state) for weights in params[:2])

    def parts_at(s, h):
        return split(from_x(input_at(x, s)) + from_h(h))

    return loop(parts_at, params.bias, state, x.shape[1])


def hoisted(params, x, state):
    """Compute x W of all steps before the loop, as one array."""
    projected, from_h = x.swapaxes(0, 1) @ params.kernel, times(params.recurrent_kernel, state)

    def parts_at(s, h):
        return split(row(projected, s) + from_h(h))

    return loop(parts_at, params.bias, state, x.shape[1])


def hoisted_four(params, x, state):
    """Compute x W of all steps before the loop, with an array for each gate."""
    projected = [x.swapaxes(0, 1) @ part for part in split(params.kernel)]
    from_h = times(params.recurrent_kernel, state)

    def parts_at(s, h):
        return [row(a, s) + part for a, part in zip(projected, split(from_h(h)), strict=True)]

    return loop(parts_at, params.bias, state, x.shape[1])


def projection(cell: Cell) -> Iterator[Work]:
    candidates = {
        "[x, h] in the step": joined_in_step,
        "x and h in the step": two_in_step,
        "x hoisted": hoisted,
        "x hoisted, by gate": hoisted_four,
    }
    yield Work("forward", candidates, "[x, h] in the step", Data.of(cell)[:3])


# --- sigmoid: through tanh, or as JAX has it


def sigmoid(cell: Cell) -> Iterator[Work]:
    logistic = (TANH, DifferentiableActivation(jax.nn.sigmoid, SIGMOID.derivative), TANH)
    candidates = {"tanh": engine_h, "logistic": partial(engine_h, activations=logistic)}
    yield Work("forward", candidates, "tanh", Data.of(cell)[:3])


# --- unroll: steps in one iteration of the loop


def unroll(cell: Cell) -> Iterator[Work]:
    candidates = {str(steps): partial(joined_in_step, unroll=steps) for steps in (1, 2, 4)}
    yield Work("forward", candidates, "1", Data.of(cell)[:3])


# --- stacking: how the gates of all steps are stored. Results are c and the gates.


def written_by_gate(params, x, state):
    """Store residuals as the engine does: one array of all gates, written gate by gate."""
    options = {"reverse": False, "activations": OF_ENGINE, "keep_residuals": True}
    residuals = engine.forward(Inputs(params, x, state), **options)[1]
    return residuals.c, residuals.gates


def scanned(together, params, x, state):
    """Store residuals as outputs of a scan; `together` makes one array of the gates of a step."""
    product, bias = times_joined(params, state), split(params.bias[None])

    def step(carry, x_t):
        h, c = carry
        z = product(jnp.concatenate([x_t, h], axis=1))
        h, c, gates = cell_step(split(z), bias, c)
        return (h, c), (c, together(gates))

    return jax.lax.scan(step, tuple(state), x.swapaxes(0, 1))[1]


def stacking(cell: Cell) -> Iterator[Work]:
    candidates = {
        "written gate by gate": written_by_gate,
        "scan, gates stacked": partial(scanned, jnp.stack),
        "scan, four outputs": partial(scanned, tuple),
    }

    def as_one(result):
        c, gates = result
        c = c[-cell.time :]  # the engine keeps the initial c, too
        return c, jnp.stack(gates, axis=1) if isinstance(gates, tuple) else gates

    yield Work("forward", candidates, "written gate by gate", Data.of(cell)[:3], as_one)


# --- bidirectional: one direction after the other, or both in one loop


def one_after_the_other(both, x):
    """Compute the two directions in two loops."""
    (params, state), (params_back, state_back) = both
    return engine_h(params, x, state), engine_h(params_back, x, state_back, reverse=True)


def in_one_loop(both, x):
    """Compute both directions on a leading axis of 2: weights [2, F+H, 4H], h and c [2, B, H]."""
    params, state = jax.tree.map(lambda *pair: jnp.stack(pair), *both)
    weights = jnp.concatenate([params.kernel, params.recurrent_kernel], axis=1)
    bias = split(params.bias[:, None])
    streams = jnp.stack([x, x[:, ::-1]]).transpose(2, 0, 1, 3)  # [T, 2, B, F]

    def step(carry, x_t):
        h, c = carry
        z = jnp.concatenate([x_t, h], axis=-1) @ weights  # batched over the directions
        h, c, _ = cell_step(split(z), bias, c)
        return (h, c), h

    _, engine_h = jax.lax.scan(step, tuple(state), streams)
    engine_h = engine_h.transpose(1, 2, 0, 3)
    return engine_h[0], engine_h[1, :, ::-1]


def bidirectional(cell: Cell) -> Iterator[Work]:
    """Compare a loop for each direction with one loop for both."""
    data, other = Data.of(cell), Data.of(cell, seed=2)
    both = (data.params, data.state), (other.params, other.state)
    candidates = {"two loops": one_after_the_other, "one loop": in_one_loop}
    yield Work("forward", candidates, "two loops", (both, data.x))
