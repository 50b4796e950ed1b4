"""Experiments with the backward loop. Results are gradients of (params, x, state)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp

from benchmarks.speed.formulations.work import OF_ENGINE, Data, Work, row
from benchmarks.speed.grid import Cell
from lstmcore.engine import backward as engine
from lstmcore.engine import scan
from lstmcore.engine.forward import Inputs, forward
from lstmcore.engine.layout import BATCH_MAJOR, choose_layout
from lstmcore.types import Gates, LSTMParams, LSTMState, Trace


def training_step(way, params, x, state, d_h, *, block_rows=engine.BLOCK_ROWS):
    """Compute forward and backward pass, as in `lstmcore.engine.fast`."""
    options = {"reverse": False, "activations": OF_ENGINE}
    _, tape = forward(way, Inputs(params, x, state), **options, keep_residuals=True)
    d_final, d_trace = LSTMState(None, None), Trace(d_h, None, Gates(None, None, None, None))
    with mock.patch.multiple(engine, BLOCK_ROWS=block_rows, FEWEST_STEPS=1):
        found = engine.backward(way, Inputs(params, x, state), tape, d_final, d_trace, **options)
    return found[:3]  # the fourth would be that of recurrent dropout


# --- backward: by hand in blocks of steps, by hand in one block, or left to JAX


def by_jax(params, x, state, d_h):
    """Compute the gradients by JAX, from the reference loop."""

    def all_h(params, x, state):
        names = ("activation", "output_activation")
        options = dict.fromkeys(names, jnp.tanh) | {"recurrent_activation": jax.nn.sigmoid}
        return scan.run(params, x, state, None, reverse=False, edit=None, **options)[1].h

    return jax.vjp(all_h, params, x, state)[1](d_h)


def backward(cell: Cell) -> Iterator[Work]:
    way = choose_layout(cell.batch, cell.units)

    def in_blocks_of(rows):
        return partial(training_step, way, block_rows=rows)

    sizes = sorted({64, 256, 1024, engine.BLOCK_ROWS})
    candidates = {f"blocks of {rows}": in_blocks_of(rows) for rows in sizes}
    candidates["one block"] = in_blocks_of(cell.batch * cell.time)
    candidates["left to JAX"] = by_jax
    yield Work("training step", candidates, f"blocks of {engine.BLOCK_ROWS}", Data.of(cell))


# --- weights: how the loop multiplies with U^T, and when d(W) and d(U) are computed


def transposed_copy(recurrent_kernel):
    """Compute d(z) U^T with a copy of U^T, made once before the loop."""
    transposed = recurrent_kernel.T
    return lambda d_z: d_z @ transposed


def other_axis(recurrent_kernel):
    """Compute d(z) U^T by contracting the other axis of U, without a copy."""
    return lambda d_z: jax.lax.dot_general(d_z, recurrent_kernel, (((1,), (1,)), ((), ())))


def backward_pass(times_transpose, each_step, tape, params, x, state, d_h):
    """Compute the backward pass batch-major, with all steps in one block.

    `each_step`: add to d(W), d(U) and d(b) within the loop.
    """
    timesteps = x.shape[1]
    x, d_h, h = (array.swapaxes(0, 1) for array in (x, d_h, tape.h))
    h_before = jnp.concatenate([state.h[None], h[:-1]])
    c_before = jnp.concatenate([state.c[None], tape.c[:-1]])
    product = times_transpose(params.recurrent_kernel)

    def gradients(x_now, h_now, d_z):
        """Return those of the weights, from [rows, F], [rows, H] and [rows, 4H]."""
        return LSTMParams(x_now.T @ d_z, h_now.T @ d_z, d_z.sum(0))

    def step(k, carry):
        d_h_now, d_c, all_d_z, d_params = carry
        s = timesteps - 1 - k
        i, f, g, o = row(tape.gates, s)
        tanh_c = jnp.tanh(row(tape.c, s))
        d_h_now = d_h_now + row(d_h, s)
        d_c = d_c + d_h_now * o * (1 - tanh_c * tanh_c)
        d_z_i = d_c * g * i * (1 - i)
        d_z_f = d_c * row(c_before, s) * f * (1 - f)
        d_z_g = d_c * i * (1 - g * g)
        d_z_o = d_h_now * tanh_c * o * (1 - o)
        d_z = jnp.concatenate([d_z_i, d_z_f, d_z_g, d_z_o], axis=1)
        all_d_z = jax.lax.dynamic_update_index_in_dim(all_d_z, d_z, s, 0)
        if each_step:
            more = gradients(row(x, s), row(h_before, s), d_z)
            d_params = jax.tree.map(jnp.add, d_params, more)
        return product(d_z), d_c * f, all_d_z, d_params

    zero, units = jnp.zeros_like(state.h), state.h.shape[1]
    d_z = jnp.zeros((*h.shape[:2], 4 * units))
    start = zero, zero, d_z, jax.tree.map(jnp.zeros_like, params)
    d_h_first, d_c, d_z, d_params = jax.lax.fori_loop(0, timesteps, step, start)
    if not each_step:
        d_params = gradients(*(array.reshape(-1, array.shape[-1]) for array in (x, h_before, d_z)))
    d_x = (d_z @ params.kernel.T).swapaxes(0, 1)
    return d_params, d_x, LSTMState(d_h_first, d_c)


def weights(cell: Cell) -> Iterator[Work]:
    """Compare products and sums batch-major; feature-major U^T needs no copy at any size."""
    data = Data.of(cell)
    options = {"reverse": False, "activations": OF_ENGINE, "keep_residuals": True}
    _, tape = jax.jit(partial(forward, BATCH_MAJOR, **options))(Inputs(*data[:3]))
    candidates = {
        "copy of U^T, d(U) after the loop": partial(backward_pass, transposed_copy, False),
        "other axis of U": partial(backward_pass, other_axis, False),
        "d(U) in each step": partial(backward_pass, transposed_copy, True),
    }
    used = "copy of U^T, d(U) after the loop"
    yield Work("backward pass", candidates, used, (tape, *data))
