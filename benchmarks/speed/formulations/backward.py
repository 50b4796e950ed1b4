"""Experiments with the backward loop. Results are gradients of (params, x, state)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from unittest import mock

import jax
import jax.numpy as jnp

from benchmarks.speed.formulations.work import OF_ENGINE, Data, Work, forced, row
from benchmarks.speed.grid import Cell
from lstmcore.engine import backward as engine
from lstmcore.engine import scan
from lstmcore.engine.forward import Inputs, forward
from lstmcore.engine.product import Form, make_product
from lstmcore.types import Gates, LSTMParams, LSTMState, Trace


def training_step(params, x, state, d_h, *, block_rows=engine.BLOCK_ROWS, form: Form | None = None):
    """Compute forward and backward pass, as in `lstmcore.engine.fast`.

    `form`: that of the product in the backward pass; None: the one that the engine chooses.
    """
    options = {"reverse": False, "activations": OF_ENGINE}
    inputs = Inputs(params, x, state)
    _, residuals = forward(inputs, **options, keep_residuals=True)
    d_final, d_trace = LSTMState(None, None), Trace(d_h, None, Gates(None, None, None, None))
    with mock.patch.multiple(engine, BLOCK_ROWS=block_rows, FEWEST_STEPS=1), forced(form):
        found = engine.backward(inputs, residuals, d_final, d_trace, **options)
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
    def in_blocks_of(rows):
        return partial(training_step, block_rows=rows)

    sizes = sorted({64, 256, 1024, engine.BLOCK_ROWS})
    candidates = {f"blocks of {rows}": in_blocks_of(rows) for rows in sizes}
    candidates["one block"] = in_blocks_of(cell.batch * cell.time)
    candidates["left to JAX"] = by_jax
    yield Work("training step", candidates, f"blocks of {engine.BLOCK_ROWS}", Data.of(cell))


# --- weights: how the loop multiplies with U^T, and when d(W) and d(U) are computed


def as_in_the_engine(recurrent_kernel, batch, timesteps):
    """Compute d(z) U^T in the form that the engine chooses, which may read a copy of U^T."""
    worth_a_copy = timesteps >= engine.STEPS_WORTH_A_COPY
    transposed = recurrent_kernel.T if worth_a_copy else None
    return make_product(batch, transposed, recurrent_kernel, dtype=recurrent_kernel.dtype)


def other_axis(recurrent_kernel, batch, timesteps):
    """Compute d(z) U^T by contracting the other axis of U, without a copy."""
    return lambda d_z: jax.lax.dot_general(d_z, recurrent_kernel, (((1,), (1,)), ((), ())))


def backward_pass(times_transpose, each_step, residuals, params, x, state, d_h):
    """Compute the backward pass with all steps in one block.

    `each_step`: add to d(W), d(U) and d(b) within the loop.
    """
    timesteps = x.shape[1]
    x, d_h, h = (array.swapaxes(0, 1) for array in (x, d_h, residuals.h))
    h_before = jnp.concatenate([state.h[None], h[:-1]])
    c_before = jnp.concatenate([state.c[None], residuals.c[:-1]])
    product = times_transpose(params.recurrent_kernel, x.shape[1], timesteps)

    def gradients(x_now, h_now, d_z):
        """Return those of the weights, from [rows, F], [rows, H] and [rows, 4H]."""
        return LSTMParams(x_now.T @ d_z, h_now.T @ d_z, d_z.sum(0))

    def step(k, carry):
        d_h_now, d_c, all_d_z, d_params = carry
        s = timesteps - 1 - k
        i, f, g, o = row(residuals.gates, s)
        tanh_c = jnp.tanh(row(residuals.c, s))
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
    """Compare products with U^T, and when the gradients of the weights are added up."""
    data = Data.of(cell)
    options = {"reverse": False, "activations": OF_ENGINE, "keep_residuals": True}
    _, residuals = jax.jit(partial(forward, **options))(Inputs(*data[:3]))
    used = "d(U) after the loop"
    candidates = {
        used: partial(backward_pass, as_in_the_engine, False),
        "other axis of U": partial(backward_pass, other_axis, False),
        "d(U) in each step": partial(backward_pass, as_in_the_engine, True),
    }
    yield Work("backward pass", candidates, used, (residuals, *data))
