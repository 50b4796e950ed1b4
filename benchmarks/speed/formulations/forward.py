"""Experiments with the forward loop. Results are h of all steps, unless stated otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp

from benchmarks.speed.formulations.backward import training_step
from benchmarks.speed.formulations.work import OF_ENGINE, SIGMOID, TANH, Data, Work, row
from benchmarks.speed.grid import Cell
from lstmcore.activations import DifferentiableActivation
from lstmcore.engine import forward as engine
from lstmcore.engine.forward import Inputs
from lstmcore.engine.layout import BATCH_MAJOR, FEATURE_MAJOR, Layout, choose_layout


def engine_h(way: Layout, params, x, state, *, activations=OF_ENGINE, reverse=False):
    """Compute h as the engine does where no gradient is needed: [B, T, H]."""
    options = {"reverse": reverse, "activations": activations, "keep_residuals": False}
    return engine.forward(way, Inputs(params, x, state), **options)[1].h


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


def loop(way: Layout, parts_at, bias, state, timesteps, *, unroll=1):
    """Compute all h from `parts_at(s, h)`, the four parts of x_t W + h U at step s: [B, T, H]."""
    bias = way.split(way.transpose(bias[None]))

    def step(s, carry):
        h, c, all_h = carry
        h, c, _ = cell_step(parts_at(s, h), bias, c)
        return h, c, jax.lax.dynamic_update_index_in_dim(all_h, way.transpose(h), s, 1)

    batch, units = state.h.shape
    start = *map(way.transpose, state), jnp.zeros((batch, timesteps, units))
    return jax.lax.fori_loop(0, timesteps, step, start, unroll=unroll)[2]


def input_at(way, x, s):
    return way.transpose(jax.lax.dynamic_index_in_dim(x, s, 1, keepdims=False))


# --- layout: the arrays of a step batch-major or feature-major; see lstmcore/engine/layout.py


def layout(cell: Cell) -> Iterator[Work]:
    """Compare the two layouts."""
    data = Data.of(cell)
    chosen = choose_layout(cell.batch, cell.units)
    ways = {"batch-major": BATCH_MAJOR, "feature-major": FEATURE_MAJOR}
    used = next(name for name, way in ways.items() if way == chosen)
    forward = {name: partial(engine_h, way) for name, way in ways.items()}
    train = {name: partial(training_step, way) for name, way in ways.items()}
    yield Work("forward", forward, used, data[:3])
    yield Work("training step", train, used, data)


# --- projection: where x W is computed


def joined_in_step(way, params, x, state):
    """Compute [x_t, h] [W; U] as one product."""
    axis = 0 if way.feature_major else 1
    weights = way.transpose(jnp.concatenate([params.kernel, params.recurrent_kernel]))

    def parts_at(s, h):
        inputs = jnp.concatenate([input_at(way, x, s), h], axis=axis)
        return way.split(way.product(inputs, weights, x.dtype))

    return loop(way, parts_at, params.bias, state, x.shape[1])


def two_in_step(way, params, x, state):
    """Compute x_t W + h U as two products."""
    kernel, recurrent_kernel = map(way.transpose, params[:2])

    def parts_at(s, h):
        from_x = way.product(input_at(way, x, s), kernel, x.dtype)
        return way.split(from_x + way.product(h, recurrent_kernel, x.dtype))

    return loop(way, parts_at, params.bias, state, x.shape[1])


def _projected(way, kernel, x):
    """Compute x W of all steps, and return a function that reads that of one step."""
    batch, timesteps, features = x.shape
    if way.feature_major:  # [4H, T, B]
        stream = (kernel.T @ x.T.reshape(features, -1)).reshape(-1, timesteps, batch)
        return lambda s: jax.lax.dynamic_index_in_dim(stream, s, 1, keepdims=False)
    stream = x.swapaxes(0, 1) @ kernel  # [T, B, 4H], transposed before the product, while small
    return lambda s: row(stream, s)


def hoisted(way, params, x, state):
    """Compute x W of all steps before the loop, as one array."""
    projected_at = _projected(way, params.kernel, x)
    recurrent_kernel = way.transpose(params.recurrent_kernel)

    def parts_at(s, h):
        return way.split(projected_at(s) + way.product(h, recurrent_kernel, x.dtype))

    return loop(way, parts_at, params.bias, state, x.shape[1])


def hoisted_four(way, params, x, state):
    """Compute x W of all steps before the loop, with an array for each gate."""
    projected = [_projected(way, part, x) for part in jnp.split(params.kernel, 4, axis=1)]
    recurrent_kernel = way.transpose(params.recurrent_kernel)

    def parts_at(s, h):
        parts = way.split(way.product(h, recurrent_kernel, x.dtype))
        return [at(s) + part for at, part in zip(projected, parts, strict=True)]

    return loop(way, parts_at, params.bias, state, x.shape[1])


def projection(cell: Cell) -> Iterator[Work]:
    way = choose_layout(cell.batch, cell.units)
    candidates = {
        "[x, h] in the step": joined_in_step,
        "x and h in the step": two_in_step,
        "x hoisted": hoisted,
        "x hoisted, by gate": hoisted_four,
    }
    used = "x and h in the step" if way.feature_major else "[x, h] in the step"
    candidates = {name: partial(f, way) for name, f in candidates.items()}
    yield Work("forward", candidates, used, Data.of(cell)[:3])


# --- sigmoid: through tanh, or as JAX has it


def sigmoid(cell: Cell) -> Iterator[Work]:
    way = choose_layout(cell.batch, cell.units)
    logistic = (TANH, DifferentiableActivation(jax.nn.sigmoid, SIGMOID.derivative), TANH)
    candidates = {
        "tanh": partial(engine_h, way),
        "logistic": partial(engine_h, way, activations=logistic),
    }
    yield Work("forward", candidates, "tanh", Data.of(cell)[:3])


# --- unroll: steps in one iteration of the loop


def unrolled(way, unroll, params, x, state):
    """Compute all h with an unrolled loop."""
    project = way.projection(params.kernel, params.recurrent_kernel, x.dtype)

    def parts_at(s, h):
        return way.split(project(input_at(way, x, s), h))

    return loop(way, parts_at, params.bias, state, x.shape[1], unroll=unroll)


def unroll(cell: Cell) -> Iterator[Work]:
    way = choose_layout(cell.batch, cell.units)
    candidates = {str(steps): partial(unrolled, way, steps) for steps in (1, 2, 4)}
    yield Work("forward", candidates, "1", Data.of(cell)[:3])


# --- stacking: how the gates of all steps are stored. Results are c and the gates.


def written_by_gate(way, params, x, state):
    """Store residuals as the engine does: one array of all gates, written gate by gate."""
    options = {"reverse": False, "activations": OF_ENGINE, "keep_residuals": True}
    tape = engine.forward(way, Inputs(params, x, state), **options)[1]
    return tape.c, tape.gates


def scanned(way, together, params, x, state):
    """Store residuals as outputs of a scan; `together` makes one array of the gates of a step."""
    project = way.projection(params.kernel, params.recurrent_kernel, x.dtype)
    bias = way.split(way.transpose(params.bias[None]))

    def step(carry, x_t):
        h, c = carry
        h, c, gates = cell_step(way.split(project(way.transpose(x_t), h)), bias, c)
        return (h, c), (c, together(gates))

    return jax.lax.scan(step, tuple(map(way.transpose, state)), x.swapaxes(0, 1))[1]


def stacking(cell: Cell) -> Iterator[Work]:
    way = choose_layout(cell.batch, cell.units)
    candidates = {
        "written gate by gate": partial(written_by_gate, way),
        "scan, gates stacked": partial(scanned, way, jnp.stack),
        "scan, four outputs": partial(scanned, way, tuple),
    }

    def as_one(result):
        c, gates = result
        return c, jnp.stack(gates, axis=1) if isinstance(gates, tuple) else gates

    yield Work("forward", candidates, "written gate by gate", Data.of(cell)[:3], as_one)


# --- bidirectional: one direction after the other, or both in one loop


def one_after_the_other(way, both, x):
    """Compute the two directions in two loops."""
    (params, state), (params_back, state_back) = both
    return (
        engine_h(way, params, x, state),
        engine_h(way, params_back, x, state_back, reverse=True),
    )


def in_one_loop(both, x):
    """Compute both directions on a leading axis of 2: weights [2, F+H, 4H], h and c [2, B, H]."""
    params, state = jax.tree.map(lambda *pair: jnp.stack(pair), *both)
    weights = jnp.concatenate([params.kernel, params.recurrent_kernel], axis=1)
    bias = jnp.split(params.bias[:, None], 4, axis=-1)
    streams = jnp.stack([x, x[:, ::-1]]).transpose(2, 0, 1, 3)  # [T, 2, B, F]

    def step(carry, x_t):
        h, c = carry
        z = jnp.concatenate([x_t, h], axis=-1) @ weights  # batched over the directions
        h, c, _ = cell_step(jnp.split(z, 4, axis=-1), bias, c)
        return (h, c), h

    _, all_h = jax.lax.scan(step, tuple(state), streams)
    all_h = all_h.transpose(1, 2, 0, 3)
    return all_h[0], all_h[1, :, ::-1]


def bidirectional(cell: Cell) -> Iterator[Work]:
    """Compare a loop for each direction with one loop for both."""
    data, other = Data.of(cell), Data.of(cell, seed=2)
    both = (data.params, data.state), (other.params, other.state)
    candidates = {
        "two loops": partial(one_after_the_other, choose_layout(cell.batch, cell.units)),
        "one loop": in_one_loop,
    }
    yield Work("forward", candidates, "two loops", (both, data.x))
