"""The forward pass of the fast implementation, which keeps the residuals of the backward pass."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.activations import DifferentiableActivation
from lstmcore.dtypes import accumulation_dtype
from lstmcore.engine.layout import Index, Layout, Steps
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
      c: [T, B, H] or [T, H, B] by layout, in the order of the steps.
      gates: [T, 4, B, H] or [T, 4, H, B] likewise: i, f, g, o.
    """

    h: jax.Array
    c: jax.Array
    gates: jax.Array


def forward(
    layout: Layout,
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
      layout: of the arrays of a step.
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

    project = layout.projection(params.kernel, params.recurrent_kernel, acc_dtype)
    bias = layout.split(layout.transpose(jnp.atleast_2d(params.bias).astype(acc_dtype)))

    dropout_mask = None if dropout_mask is None else layout.transpose(dropout_mask)

    def step(s: Index, carry: Any) -> Any:
        (h, c), record = carry
        h_in = h if dropout_mask is None else h * dropout_mask
        z = layout.split(project(layout.transpose(steps.at(x, s)), h_in))
        z_i, z_f, z_g, z_o = (part + b for part, b in zip(z, bias, strict=True))
        i = recurrent_activation(z_i)
        f = recurrent_activation(z_f)
        g = activation(z_g)
        o = recurrent_activation(z_o)
        new_c = f * c + i * g
        new_h = (o * output_activation(new_c)).astype(dtype)
        if mask is not None:  # a masked step changes nothing, and its gates are 0
            keep = layout.transpose(steps.at(mask, s)[:, None])
            i, f, g, o = (jnp.where(keep, gate, 0) for gate in (i, f, g, o))
            new_h, new_c = jnp.where(keep, new_h, h), jnp.where(keep, new_c, c)
        values = Trace(new_h, new_c, Gates(i, f, g, o))
        return LSTMState(new_h, new_c), write(layout, steps, record, values, s)

    initial = LSTMState(*map(layout.transpose, state))
    record = (_empty_residuals if keep_residuals else _empty_trace)(layout, state, timesteps)
    final, record = jax.lax.fori_loop(0, timesteps, step, (initial, record))
    return LSTMState(*map(layout.transpose, final)), record


# Empty records are zeros made from the state, so that they are sharded as it is.


def _empty_trace(layout: Layout, state: LSTMState, timesteps: int) -> Trace:
    batch, units = state.h.shape
    h, c = (jnp.zeros_like(leaf, shape=(batch, timesteps, units)) for leaf in state)
    return Trace(h, c, Gates(c, c, c, c))


def _write_trace(layout: Layout, steps: Steps, trace: Trace, values: Trace, s: Index) -> Trace:
    def write(old: jax.Array, new: jax.Array) -> jax.Array:
        return steps.write(old, layout.transpose(new), s)

    return jax.tree.map(write, trace, values)


def _empty_residuals(layout: Layout, state: LSTMState, timesteps: int) -> Residuals:
    batch, units = state.h.shape
    h, c = state.h, layout.transpose(state.c)
    return Residuals(
        h=jnp.zeros_like(h, shape=(batch, timesteps, units)),
        c=jnp.zeros_like(c, shape=(timesteps, *c.shape)),
        gates=jnp.zeros_like(c, shape=(timesteps, 4, *c.shape)),
    )


def _write_residuals(
    layout: Layout, steps: Steps, residuals: Residuals, values: Trace, s: Index
) -> Residuals:
    gates = residuals.gates
    for place, gate in enumerate(values.gates):
        gates = jax.lax.dynamic_update_slice(gates, gate[None, None], (s, place, 0, 0))
    return Residuals(
        h=steps.write(residuals.h, layout.transpose(values.h), s),
        c=jax.lax.dynamic_update_index_in_dim(residuals.c, values.c, s, 0),
        gates=gates,
    )


def packed(layout: Layout, residuals: Residuals) -> Residuals:
    """Return residuals of one shape for both layouts, [T, B, H] and [T, 4, B, H], without a copy.

    Where the layout is feature-major, their axes have no meaning until they are `unpacked`.
    """
    if not layout.feature_major:
        return residuals
    *_, units, batch = residuals.c.shape
    c, gates = (leaf.reshape(*leaf.shape[:-2], batch, units) for leaf in residuals[1:])
    return Residuals(residuals.h, c, gates)


def unpacked(layout: Layout, residuals: Residuals) -> Residuals:
    """Return packed residuals in the layout, the inverse of `packed`."""
    return packed(layout, residuals)  # it exchanges the sizes of two axes


def trace_from_residuals(layout: Layout, residuals: Residuals, reverse: bool) -> Trace:
    """Return the residuals as a Trace [B, T, H] on the time axis of x."""

    def public(array: jax.Array) -> jax.Array:
        array = array[::-1] if reverse else array
        return array.transpose((2, 0, 1) if layout.feature_major else (1, 0, 2))

    gates = Gates(*(public(residuals.gates[:, gate]) for gate in range(4)))
    return Trace(residuals.h, public(residuals.c), gates)


def residuals_from_trace(layout: Layout, trace: Trace, reverse: bool) -> Residuals:
    """Return a Trace as residuals, the inverse of `trace_from_residuals`."""

    def internal(array: jax.Array) -> jax.Array:
        array = array.transpose((1, 2, 0) if layout.feature_major else (1, 0, 2))
        return array[::-1] if reverse else array

    return Residuals(trace.h, internal(trace.c), jnp.stack([*map(internal, trace.gates)], axis=1))
