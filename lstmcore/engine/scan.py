"""The plain way: `lstm_step` in a `lax.scan`, differentiated by JAX."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from lstmcore.cell import step
from lstmcore.types import Trace


def run(
    params, x, state, mask, *, reverse, recurrent_dropout=None, zoneout=None, edit=None, **options
):
    """See the contract in `lstmcore.engine`. As a Python loop:

    for t in (reversed(range(T)) if reverse else range(T)):
        new, gates = step(params, x[:, t], (state.h * recurrent_dropout, state.c))
        new = zoneout[:, t] * state + (1 - zoneout[:, t]) * new
        state = where(mask[:, t], new, state)           # a masked step changes nothing
        trace[:, t] = state.h, state.c, where(mask[:, t], gates, 0)
    """
    time_major = partial(jnp.swapaxes, axis1=0, axis2=1)
    steps = jnp.arange(x.shape[1])

    def body(state, inputs):
        x_t, t, keep, kept = inputs
        # A masked row steps from zeros, for its result is dropped but its overflow would not be.
        start = state if keep is None else jax.tree.map(lambda s: jnp.where(keep, s, 0), state)
        read = start  # by the gates; what zoneout keeps is the state itself
        if recurrent_dropout is not None:
            read = start._replace(h=start.h * recurrent_dropout)
        new, gates = step(params, x_t, read, t=t, edit=edit, **options)
        if kept is not None:
            new = jax.tree.map(lambda z, old, new: z * old + (1 - z) * new, kept, start, new)
        if keep is not None:
            new = jax.tree.map(partial(jnp.where, keep), new, state)
            gates = jax.tree.map(lambda gate: jnp.where(keep, gate, 0), gates)
        return new, Trace(new.h, new.c, gates)

    keep = None
    if mask is not None:
        # What stands in masked steps must not matter, not even NaN: 0 * NaN in the backward
        # pass would reach the gradient of the weights.
        x = jnp.where(mask[:, :, None], x, 0)
        keep = time_major(mask)[:, :, None]
    inputs = time_major(x), steps, keep, jax.tree.map(time_major, zoneout)
    state, trace = jax.lax.scan(body, state, inputs, reverse=reverse)
    return state, jax.tree.map(time_major, trace)
