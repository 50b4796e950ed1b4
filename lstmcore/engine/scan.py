"""The reference implementation: `lstmcore.cell.step` in a `lax.scan`, differentiated by JAX."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore.cell import step
from lstmcore.types import LSTMParams, LSTMState, Trace


def run(  # the contract of an implementation
    params: LSTMParams,
    x: jax.Array,
    state: LSTMState,
    mask: jax.Array | None,
    *,
    reverse: bool,
    recurrent_dropout: jax.Array | None = None,
    zoneout: LSTMState | None = None,
    edit: Callable | None = None,
    **activations: Callable,
) -> tuple[LSTMState, Trace]:
    """Run the layer; see the contract in `lstmcore.engine`. As a Python loop:

    for t in (reversed(range(T)) if reverse else range(T)):
        new, gates = step(params, x[:, t], (state.h * recurrent_dropout, state.c))
        new = zoneout[:, t] * state + (1 - zoneout[:, t]) * new
        state = where(mask[:, t], new, state)           # a masked step changes nothing
        trace[:, t] = state.h, state.c, where(mask[:, t], gates, 0)
    """
    time_major = partial(jnp.swapaxes, axis1=0, axis2=1)
    steps = jnp.arange(x.shape[1])

    def body(state: LSTMState, inputs: Any) -> tuple[LSTMState, Trace]:
        x_t, t, keep, z_t = inputs
        # A masked row steps from zeros, for its result is dropped but its overflow would not be.
        before = state if keep is None else jax.tree.map(lambda s: jnp.where(keep, s, 0), state)
        step_input = before  # recurrent dropout changes what the gates read, not the state itself
        if recurrent_dropout is not None:
            step_input = before._replace(h=before.h * recurrent_dropout)
        new, gates = step(params, x_t, step_input, t=t, edit=edit, **activations)
        if z_t is not None:
            new = jax.tree.map(lambda z, old, new: z * old + (1 - z) * new, z_t, before, new)
        if keep is not None:
            new = jax.tree.map(partial(jnp.where, keep), new, state)
            gates = jax.tree.map(lambda gate: jnp.where(keep, gate, 0), gates)
        return new, Trace(new.h, new.c, gates)

    keep = None
    if mask is not None:
        # The values of masked steps must not matter, not even NaN: 0 * NaN in the backward pass
        # would reach the gradient of the weights.
        x = jnp.where(mask[:, :, None], x, 0)
        keep = time_major(mask)[:, :, None]
    inputs = time_major(x), steps, keep, jax.tree.map(time_major, zoneout)
    state, trace = jax.lax.scan(body, state, inputs, reverse=reverse)
    return state, jax.tree.map(time_major, trace)
