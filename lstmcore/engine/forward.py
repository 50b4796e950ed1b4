"""All steps forward, keeping what the backward pass reads."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.cell import memory_dtype
from lstmcore.engine.orientation import Orientation
from lstmcore.engine.steps import Steps
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


def forward(way: Orientation, params, x, state, mask, *, reverse, curves):
    """Run `lstm_step` over time; returns (final LSTMState, Tape).

    `curves` are those of the candidate, of the gates and of the cell on its way out.

    One product per step, of [x_t, h] with [W; U]. Projecting all x beforehand would save nothing
    (the work is the same) and would carry a [T, B, 4H] array through memory.
    """
    tanh, sigmoid, squash = (curve.value for curve in curves)
    batch, timesteps, _ = x.shape
    units, axis = state.h.shape[1], way.units_axis
    dtype, wide = params.kernel.dtype, memory_dtype(params.kernel.dtype)
    steps = Steps(timesteps, reverse)

    weights = way.turn(jnp.concatenate([params.kernel, params.recurrent_kernel]))
    bias = jnp.split(way.turn(params.bias[None].astype(wide)), 4, axis=axis)

    def step(s, carry):
        (h, c), tape = carry
        inputs = jnp.concatenate([way.turn(steps.at(x, s)), h], axis=axis)
        z = jnp.split(way.product(inputs, weights, wide), 4, axis=axis)
        z_i, z_f, z_g, z_o = (part + b for part, b in zip(z, bias, strict=True))
        i = sigmoid(z_i)
        f = sigmoid(z_f)
        g = tanh(z_g)
        o = sigmoid(z_o)
        new_c = f * c + i * g
        new_h = (o * squash(new_c)).astype(dtype)
        if mask is not None:  # a masked step changes nothing, and its gates are 0
            keep = way.turn(steps.at(mask, s)[:, None])
            i, f, g, o = (jnp.where(keep, gate, 0) for gate in (i, f, g, o))
            new_h, new_c = jnp.where(keep, new_h, h), jnp.where(keep, new_c, c)
        tape = Tape(
            h=steps.write(tape.h, way.turn(new_h), s),
            c=jax.lax.dynamic_update_index_in_dim(tape.c, new_c, s, 0),
            gates=_write_gates(tape.gates, (i, f, g, o), s),
        )
        return LSTMState(new_h, new_c), tape

    start = LSTMState(*map(way.turn, state))
    shape = start.c.shape
    tape = Tape(  # zeros made from the state, so that they are sharded as it is
        h=jnp.zeros_like(state.h, shape=(batch, timesteps, units)),
        c=jnp.zeros_like(start.c, shape=(timesteps, *shape)),
        gates=jnp.zeros_like(start.c, shape=(timesteps, 4, *shape)),
    )
    final, tape = jax.lax.fori_loop(0, timesteps, step, (start, tape))
    return LSTMState(*map(way.turn, final)), tape


def trace_of(way: Orientation, tape: Tape, reverse: bool) -> Trace:
    """The tape as the caller sees it: [B, T, H], on the time axis of x."""

    def public(array):  # of one quantity, all steps
        array = array[::-1] if reverse else array
        return array.transpose((2, 0, 1) if way.columns else (1, 0, 2))

    gates = Gates(*(public(tape.gates[:, gate]) for gate in range(4)))
    return Trace(tape.h, public(tape.c), gates)


def tape_of(way: Orientation, trace: Trace, reverse: bool) -> Tape:
    """The other way round."""

    def internal(array):
        array = array.transpose((1, 2, 0) if way.columns else (1, 0, 2))
        return array[::-1] if reverse else array

    return Tape(trace.h, internal(trace.c), jnp.stack(list(map(internal, trace.gates)), axis=1))


def _write_gates(tape, gates, s):
    """One gate after the other: written as one stack, they would be copied once more."""
    for place, gate in enumerate(gates):
        tape = jax.lax.dynamic_update_slice(tape, gate[None, None], (s, place, 0, 0))
    return tape
