"""Gradient checkpointing: any implementation in chunks, which the backward pass rematerialises.

To differentiate a run of T steps, an implementation keeps the residuals of each of them. Cut into
chunks of k steps, the run keeps the state before each chunk, T / k of them, and the residuals of
one chunk at a time, k of them: least in all near k = sqrt(T). Each step is computed once more for
that, whatever k is (Chen et al. 2016, "Training deep nets with sublinear memory cost"; for
recurrent networks Gruslys et al. 2016, "Memory-efficient backpropagation through time").
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.types import LSTMParams, LSTMState, Trace


class Chunk(NamedTuple):
    """The arguments of `lstm` that have a time axis, on some of its steps: axis 1 of each array.

    Attributes:
      first: index of the first of these steps.
    """

    x: jax.Array
    mask: jax.Array | None
    zoneout: Any
    first: Any


def run(  # the contract of an implementation, with `implementation` and `every` beside it
    params: LSTMParams,
    x: jax.Array,
    state: LSTMState,
    mask: jax.Array | None,
    *,
    implementation: Callable,
    every: int | str,
    reverse: bool,
    zoneout: LSTMState | None = None,
    edit: Callable | None = None,
    **options: Any,
) -> tuple[LSTMState, Trace]:
    """Run `implementation`, keeping the state before every `every`-th step and no more.

    `every` is k, at least 1, or "auto" for the square root of the number of steps.
    """
    timesteps = x.shape[1]
    length = math.isqrt(timesteps - 1) + 1 if isinstance(every, str) else every
    count = (timesteps - 1) // length
    whole = Chunk(x, mask, zoneout, None)

    def run_chunk(state: LSTMState, chunk: Chunk) -> tuple[LSTMState, Trace]:
        of_chunk: dict = {"reverse": reverse} | options
        if zoneout is not None:
            of_chunk["zoneout"] = chunk.zoneout
        if edit is not None:
            of_chunk["edit"] = lambda gates, t: edit(gates, chunk.first + t)
        return implementation(params, chunk.x, state, chunk.mask, **of_chunk)

    def full_chunks(state: LSTMState) -> tuple[LSTMState, Trace]:
        def split(array: jax.Array) -> jax.Array:  # [B, T, ...] to [count, B, k, ...]
            batch, _, *rest = array.shape
            return array[:, : count * length].reshape(batch, count, length, *rest).swapaxes(0, 1)

        def join(array: jax.Array) -> jax.Array:  # the inverse
            array = array.swapaxes(0, 1)
            batch, _, _, *rest = array.shape
            return array.reshape(batch, count * length, *rest)

        chunks = jax.tree.map(split, whole)._replace(first=jnp.arange(count) * length)
        rematerialised = jax.checkpoint(run_chunk, prevent_cse=False)
        state, trace = jax.lax.scan(rematerialised, state, chunks, reverse=reverse)
        return state, jax.tree.map(join, trace)

    def remainder(state: LSTMState) -> tuple[LSTMState, Trace]:  # from 1 to k steps
        chunk = jax.tree.map(lambda array: array[:, count * length :], whole)
        return run_chunk(state, chunk._replace(first=count * length))

    if count == 0:
        return remainder(state)
    traces = []
    for part in (remainder, full_chunks) if reverse else (full_chunks, remainder):
        state, trace = part(state)
        traces.append(trace)
    ordered = traces[::-1] if reverse else traces
    return state, jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *ordered)
