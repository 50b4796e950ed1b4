"""Experiments with options of `lc.lstm`, beside calls that compute the same without them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import jax
import jax.numpy as jnp

import lstmcore as lc
from benchmarks.speed.formulations.work import Data, Work
from benchmarks.speed.grid import Cell
from lstmcore.types import LSTMState


def all_h(params, x, **options):
    """Return h of all steps."""
    return lc.lstm(params, x, **options)[1].h


def both(candidates: dict[str, Callable], engine: str, data: Data, x) -> Iterator[Work]:
    """Yield the forward pass, and the gradients of params and x."""
    gradients = {name: _gradients(candidate) for name, candidate in candidates.items()}
    yield Work("forward", candidates, engine, (data.params, x))
    yield Work("gradients", gradients, engine, (data.params, x, data.d_h))


def _gradients(candidate: Callable) -> Callable:
    def gradients(params, x, d_h):
        return jax.vjp(candidate, params, x)[1](d_h)

    return gradients


# --- repeat: one vector at every step, multiplied once or at each of them


def repeat(cell: Cell) -> Iterator[Work]:
    """Compare `repeat=T` with a call that reads the repeated vector."""
    data = Data.of(cell)

    def each_step(params, x):
        return all_h(params, lc.repeat_vector(x, cell.time))

    candidates = {"product once": partial(all_h, repeat=cell.time), "at each step": each_step}
    yield from both(candidates, "product once", data, data.x[:, 0])


# --- options: rematerialised chunks, recurrent dropout and zoneout, with masks that change nothing


def options(cell: Cell) -> Iterator[Work]:
    """Compare options that change the loop, but not its result, with the plain call."""
    data = Data.of(cell)
    ones = jnp.ones((cell.batch, cell.units))
    nothing = jnp.zeros((1, cell.time, 1))
    candidates = {
        "none": all_h,
        "in chunks": partial(all_h, checkpoint_every="auto"),
        "recurrent dropout": partial(all_h, recurrent_dropout=ones),
        "zoneout, the plain loop": partial(all_h, zoneout=LSTMState(nothing, nothing)),
    }
    yield from both(candidates, "none", data, data.x)
