"""All steps forward, keeping what the backward pass reads."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.dtypes import memory_dtype
from lstmcore.engine.indexing import Orientation, Steps
from lstmcore.types import Gates, LSTMState, Trace


class Tape(NamedTuple):
    """What a run leaves for its backward pass: nothing but its trace, as the loop wrote it.

    h: [B, T, H], on the time axis of x, so that the caller's `trace.h` is this very array
    c: [T, H, B] or [T, B, H] by orientation, in the order of the steps
    gates: [T, 4, H, B] or [T, 4, B, H] likewise: i, f, g, o
    """

    h: jax.Array
    c: jax.Array
    gates: jax.Array


def forward(
    orientation: Orientation, params, x, state, factors, mask, *, reverse, curves, keep_tape
):
    """Run the cell over time; returns (final LSTMState, Tape or, without `keep_tape`, Trace).

    `curves` are those of the candidate, of the gates and of the cell on its way out.
    `factors` [B, H] are recurrent dropout's, or None. `params.bias` is [4H], or [B, 4H] for each
    example its own.

    x_t is projected within its step. To project all x beforehand would save nothing (the work is
    the same) and would carry a [T, B, 4H] array through memory.
    """
    tanh, sigmoid, squash = (curve.value for curve in curves)
    timesteps = x.shape[1]
    dtype, wide = params.kernel.dtype, memory_dtype(params.kernel.dtype)
    steps = Steps(timesteps, reverse)
    write = _write_tape if keep_tape else _write_trace

    project = orientation.projection(params.kernel, params.recurrent_kernel, wide)
    bias = orientation.split(orientation.turn(jnp.atleast_2d(params.bias).astype(wide)))

    factors = None if factors is None else orientation.turn(factors)

    def step(s, carry):
        (h, c), record = carry
        read = h if factors is None else h * factors
        z = orientation.split(project(orientation.turn(steps.at(x, s)), read))
        z_i, z_f, z_g, z_o = (part + b for part, b in zip(z, bias, strict=True))
        i = sigmoid(z_i)
        f = sigmoid(z_f)
        g = tanh(z_g)
        o = sigmoid(z_o)
        new_c = f * c + i * g
        new_h = (o * squash(new_c)).astype(dtype)
        if mask is not None:  # a masked step changes nothing, and its gates are 0
            keep = orientation.turn(steps.at(mask, s)[:, None])
            i, f, g, o = (jnp.where(keep, gate, 0) for gate in (i, f, g, o))
            new_h, new_c = jnp.where(keep, new_h, h), jnp.where(keep, new_c, c)
        seen = Trace(new_h, new_c, Gates(i, f, g, o))
        return LSTMState(new_h, new_c), write(orientation, steps, record, seen, s)

    start = LSTMState(*map(orientation.turn, state))
    record = (_blank_tape if keep_tape else _blank_trace)(orientation, state, timesteps)
    final, record = jax.lax.fori_loop(0, timesteps, step, (start, record))
    return LSTMState(*map(orientation.turn, final)), record


# Blank records are zeros made from the state, so that they are sharded as it is.


def _blank_trace(orientation, state, timesteps) -> Trace:
    batch, units = state.h.shape
    h, c = (jnp.zeros_like(leaf, shape=(batch, timesteps, units)) for leaf in state)
    return Trace(h, c, Gates(c, c, c, c))


def _write_trace(orientation, steps: Steps, trace: Trace, seen: Trace, s) -> Trace:
    return jax.tree.map(lambda old, new: steps.write(old, orientation.turn(new), s), trace, seen)


def _blank_tape(orientation, state, timesteps) -> Tape:
    batch, units = state.h.shape
    h, c = state.h, orientation.turn(state.c)
    return Tape(
        h=jnp.zeros_like(h, shape=(batch, timesteps, units)),
        c=jnp.zeros_like(c, shape=(timesteps, *c.shape)),
        gates=jnp.zeros_like(c, shape=(timesteps, 4, *c.shape)),
    )


def _write_tape(orientation, steps: Steps, tape: Tape, seen: Trace, s) -> Tape:
    gates = tape.gates
    for place, gate in enumerate(seen.gates):
        gates = jax.lax.dynamic_update_slice(gates, gate[None, None], (s, place, 0, 0))
    return Tape(
        h=steps.write(tape.h, orientation.turn(seen.h), s),
        c=jax.lax.dynamic_update_index_in_dim(tape.c, seen.c, s, 0),
        gates=gates,
    )


def trace_of(orientation: Orientation, tape: Tape, reverse: bool) -> Trace:
    """The tape as the caller sees it: [B, T, H], on the time axis of x."""

    def public(array):  # of one quantity, all steps
        array = array[::-1] if reverse else array
        return array.transpose((2, 0, 1) if orientation.columns else (1, 0, 2))

    gates = Gates(*(public(tape.gates[:, gate]) for gate in range(4)))
    return Trace(tape.h, public(tape.c), gates)


def tape_of(orientation: Orientation, trace: Trace, reverse: bool) -> Tape:
    """The other way round."""

    def internal(array):
        array = array.transpose((1, 2, 0) if orientation.columns else (1, 0, 2))
        return array[::-1] if reverse else array

    return Tape(trace.h, internal(trace.c), jnp.stack(list(map(internal, trace.gates)), axis=1))
