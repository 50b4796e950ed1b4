"""Where an edit acts: which units, at which steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax.numpy as jnp
import numpy as np

from lstmcore.study.names import Places, places, whole_numbers
from lstmcore.types import Gates


def selection(units: Places, steps: Places) -> Callable:
    """A function (number of units, t) -> bool that broadcasts to [B, H]: where to change."""
    at_step = None if steps is None else _at_step(steps)

    def select(size: int, t):
        chosen = places("units", units, size)
        there = np.ones(size, bool) if chosen is None else np.isin(np.arange(size), chosen)
        return jnp.asarray(there) if at_step is None else jnp.asarray(there) & at_step(step_of(t))

    return select


def _at_step(steps: int | Sequence[int] | slice) -> Callable:
    """A function t -> bool; how many steps there will be is not known here."""
    if isinstance(steps, slice):
        first, last, stride = steps.start or 0, steps.stop, steps.step or 1
        if min(first, last or 0) < 0 or stride < 0:
            raise ValueError(
                f"steps must be a slice counted from 0, got {steps}: for instance slice(2, 10)"
            )
        begun = lambda t: (t >= first) & ((t - first) % stride == 0)  # noqa: E731
        return begun if last is None else lambda t: begun(t) & (t < last)
    indices = whole_numbers("steps", steps)
    if indices.min() < 0:
        raise ValueError(f"steps counts from 0, got {indices.min()}")
    return lambda t: (jnp.asarray(t) == jnp.asarray(indices, jnp.asarray(t).dtype)).any()


def replace(gates: Gates, t, select, new_value, names) -> Gates:
    """`gates` with `new_value(name, old)` for those in `names`, where `select` says so."""
    where = select(gates.forget.shape[-1], t)
    changed = {}
    for name in names:
        old = jnp.asarray(getattr(gates, name))
        changed[name] = jnp.where(where, new_value(name, old), old)
    return gates._replace(**changed)


def step_of(t):
    """`t`, if there is one."""
    if t is None:
        raise ValueError("this edit acts at chosen steps: pass t to lc.lstm_step")
    return t


def check_places(units: Places, steps: Places, timesteps: int | None, size: int) -> None:
    """The units exist, and the steps, where it is known how many there are."""
    places("units", units, size)
    if isinstance(timesteps, int):
        places("steps", steps, timesteps)
