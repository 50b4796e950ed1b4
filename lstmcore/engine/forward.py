"""The forward pass of the fast implementation, which keeps the residuals of the backward pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.activations import DifferentiableActivation
from lstmcore.dtypes import accumulation_dtype
from lstmcore.engine.product import choose_joined, make_product
from lstmcore.engine.steps import Index, Steps
from lstmcore.types import Gates, LSTMParams, LSTMState, Trace

Activations = tuple[DifferentiableActivation, DifferentiableActivation, DifferentiableActivation]


class Inputs(NamedTuple):
    """Arrays that a run reads. Their gradients have the same form, None where there is none.

    Attributes:
      params: LSTMParams; the bias is [4H], or [B, 4H] for a bias of each example's own.
      x: [B, T, F].
      state: LSTMState [B, H] before the first step.
      dropout_mask: [B, H] of recurrent dropout, or None.
      mask: bool [B, T], or None.
    """

    params: LSTMParams
    x: jax.Array
    state: Any
    dropout_mask: Any = None
    mask: Any = None


class Residuals(NamedTuple):
    """Values that the forward pass keeps for the backward pass: the trace, as the loop wrote it.

    Attributes:
      h: [B, T, H], on the time axis of x, so that the caller's `trace.h` is this very array.
      c: [T + 1, B, H], in the order of the steps, the initial one first.
      gates: [T, 4, B, H] likewise: i, f, g, o.
    """

    h: jax.Array
    c: jax.Array
    gates: jax.Array


def forward(
    inputs: Inputs,
    *,
    reverse: bool,
    activations: Activations,
    keep_residuals: bool,
) -> tuple[LSTMState, Any]:
    """Run the cell over time; return (final LSTMState, Residuals or else Trace).

    x_t is projected within its step. To project all x beforehand would save nothing (the work is
    the same) and would carry a [T, B, 4H] array through memory.

    Args:
      inputs: Inputs.
      reverse: run from the last index of the time axis to the first.
      activations: those of the candidate, of the gates and of the output.
      keep_residuals: return Residuals in place of the Trace.
    """
    params, x, state, dropout_mask, mask = inputs
    activation, recurrent_activation, output_activation = (pair.value for pair in activations)
    timesteps = x.shape[1]
    dtype, acc_dtype = params.kernel.dtype, accumulation_dtype(params.kernel.dtype)
    steps = Steps(timesteps, reverse)
    write = _write_residuals if keep_residuals else _write_trace

    project = _make_projection(params, state.h.shape[0], timesteps, acc_dtype)
    bias = jnp.split(jnp.atleast_2d(params.bias).astype(acc_dtype), 4, axis=1)

    def step(s: Index, carry: Any) -> Any:
        (h, c), record = carry
        h_in = h if dropout_mask is None else h * dropout_mask
        z = jnp.split(project(steps.at(x, s), h_in), 4, axis=1)
        z_i, z_f, z_g, z_o = (part + b for part, b in zip(z, bias, strict=True))
        i = recurrent_activation(z_i)
        f = recurrent_activation(z_f)
        g = activation(z_g)
        o = recurrent_activation(z_o)
        new_c = f * c + i * g
        new_h = (o * output_activation(new_c)).astype(dtype)
        if mask is not None:  # a masked step changes nothing, and its gates are 0
            keep = steps.at(mask, s)[:, None]
            i, f, g, o = (jnp.where(keep, gate, 0) for gate in (i, f, g, o))
            new_h, new_c = jnp.where(keep, new_h, h), jnp.where(keep, new_c, c)
        values = Trace(new_h, new_c, Gates(i, f, g, o))
        return LSTMState(new_h, new_c), write(steps, record, values, s)

    record = (_empty_residuals if keep_residuals else _empty_trace)(state, timesteps)
    return jax.lax.fori_loop(0, timesteps, step, (state, record))


def _make_projection(
    params: LSTMParams, rows: int, timesteps: int, dtype: Any
) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """Return the function (x_t [B, F], h [B, H]) -> x_t W + h U, [B, 4H]."""
    kernels = params.kernel, params.recurrent_kernel
    if not choose_joined(rows, timesteps, sum(kernel.size for kernel in kernels)):
        of_x, of_h = (make_product(rows, kernel, dtype=dtype) for kernel in kernels)
        return lambda x, h: of_x(x) + of_h(h)
    of_both = make_product(rows, jnp.concatenate(kernels), dtype=dtype)
    return lambda x, h: of_both(jnp.concatenate([x, h], axis=1))


# Empty records are zeros made from the state, so that they are sharded as it is.


def _empty_trace(state: LSTMState, timesteps: int) -> Trace:
    batch, units = state.h.shape
    h, c = (jnp.zeros_like(leaf, shape=(batch, timesteps, units)) for leaf in state)
    return Trace(h, c, Gates(c, c, c, c))


def _write_trace(steps: Steps, trace: Trace, values: Trace, s: Index) -> Trace:
    return jax.tree.map(lambda old, new: steps.write(old, new, s), trace, values)


def _empty_residuals(state: LSTMState, timesteps: int) -> Residuals:
    batch, units = state.h.shape
    return Residuals(
        h=jnp.zeros_like(state.h, shape=(batch, timesteps, units)),
        c=jnp.zeros_like(state.c, shape=(timesteps + 1, batch, units)).at[0].set(state.c),
        gates=jnp.zeros_like(state.c, shape=(timesteps, 4, batch, units)),
    )


def _write_residuals(steps: Steps, residuals: Residuals, values: Trace, s: Index) -> Residuals:
    gates = residuals.gates
    for place, gate in enumerate(values.gates):
        gates = jax.lax.dynamic_update_slice(gates, gate[None, None], (s, place, 0, 0))
    return Residuals(
        h=steps.write(residuals.h, values.h, s),
        c=jax.lax.dynamic_update_index_in_dim(residuals.c, values.c, s + 1, 0),
        gates=gates,
    )


def trace_from_residuals(residuals: Residuals, reverse: bool) -> Trace:
    """Return the residuals as a Trace [B, T, H] on the time axis of x."""

    def public(array: jax.Array) -> jax.Array:
        return (array[::-1] if reverse else array).swapaxes(0, 1)

    gates = Gates(*(public(residuals.gates[:, gate]) for gate in range(4)))
    return Trace(residuals.h, public(residuals.c[1:]), gates)


def residuals_from_trace(trace: Trace, initial_c: jax.Array, reverse: bool) -> Residuals:
    """Return a Trace as residuals, the inverse of `trace_from_residuals`."""

    def internal(array: jax.Array) -> jax.Array:
        array = array.swapaxes(0, 1)
        return array[::-1] if reverse else array

    c = jnp.concatenate([initial_c[None], internal(trace.c)])
    return Residuals(trace.h, c, jnp.stack([*map(internal, trace.gates)], axis=1))
