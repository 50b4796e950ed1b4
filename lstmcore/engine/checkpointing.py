"""Any way in segments, of which the backward pass runs each anew: less memory for more time.

To differentiate a run of T steps, a way keeps what it did in each of them. Cut into segments of k
steps, the run keeps the state before each segment, T / k of them, and the steps of the segment at
hand, k of them: least in all near k = sqrt(T). Each step is computed once more for that, whatever
k is (Chen et al. 2016, "Training deep nets with sublinear memory cost"; for recurrent networks
Gruslys et al. 2016, "Memory-efficient backpropagation through time").
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp


class Piece(NamedTuple):
    """The arguments of `lstm` that have a time axis, on some of its steps: axis 1 of each array.

    first: index of the first of these steps
    """

    x: jax.Array
    mask: jax.Array | None
    zoneout: Any
    first: Any


def run(params, x, state, mask, *, way, every, reverse, zoneout=None, edit=None, **options):
    """As `way(params, x, state, mask, ...)`, with what it keeps for every `every`-th step alone.

    every: k, at least 1, or "auto" for the square root of the number of steps
    """
    timesteps = x.shape[1]
    length = math.isqrt(timesteps - 1) + 1 if every == "auto" else every
    count = (timesteps - 1) // length
    whole = Piece(x, mask, zoneout, None)

    def one(state, piece):
        here: dict = {"reverse": reverse} | options
        if zoneout is not None:
            here["zoneout"] = piece.zoneout
        if edit is not None:
            here["edit"] = lambda gates, t: edit(gates, piece.first + t)
        return way(params, piece.x, state, piece.mask, **here)

    def segments(state):
        def cut(array):  # [B, T, ...] to [count, B, k, ...]
            batch, _, *rest = array.shape
            return array[:, : count * length].reshape(batch, count, length, *rest).swapaxes(0, 1)

        def join(array):  # and back
            array = array.swapaxes(0, 1)
            batch, _, _, *rest = array.shape
            return array.reshape(batch, count * length, *rest)

        pieces = jax.tree.map(cut, whole)._replace(first=jnp.arange(count) * length)
        again = jax.checkpoint(one, prevent_cse=False)
        state, trace = jax.lax.scan(again, state, pieces, reverse=reverse)
        return state, jax.tree.map(join, trace)

    def rest(state):  # from 1 to k steps
        piece = jax.tree.map(lambda array: array[:, count * length :], whole)
        return one(state, piece._replace(first=count * length))

    if count == 0:
        return rest(state)
    parts = []
    for part in (rest, segments) if reverse else (segments, rest):
        state, trace = part(state)
        parts.append(trace)
    ordered = parts[::-1] if reverse else parts
    return state, jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=1), *ordered)
