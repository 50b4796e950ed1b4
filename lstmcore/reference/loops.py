"""Loops over the time axis that a model needs beside its LSTM layers, as in `lstmcore.loops`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lstmcore.reference.cell import zero_state
from lstmcore.types import LSTMParams, LSTMState


def scan(step: Callable, carry: Any, inputs: Any, timesteps: int) -> tuple[Any, Any]:
    """Run `step(carry, inputs at t, t)` at each time: (last carry, outputs [B, T, ...])."""
    if timesteps == 0:  # no step says what its outputs look like, but one of zeros does
        start = _map(lambda a: np.zeros((len(a), *a.shape[2:]), a.dtype), inputs)
        _, outputs = step(carry, start, 0)
        return carry, _map(lambda a: a[:, None][:, :0], outputs)
    steps = []
    for t in range(timesteps):
        carry, outputs = step(carry, _map(lambda a, t=t: a[:, t], inputs), t)
        steps.append(outputs)
    return carry, _map(lambda *arrays: np.stack(arrays, axis=1), *steps)


def cumulative_max(x: np.ndarray, axis: int) -> np.ndarray:
    """Return the largest value up to each place along an axis."""
    return np.maximum.accumulate(x, axis=axis)


def zero_state_like(params: LSTMParams, x: np.ndarray) -> LSTMState:
    """Return the state [B, H] before the first step of a layer that reads x [B, F]."""
    hidden, gates = params.recurrent_kernel.shape
    return zero_state(len(x), gates // 4, params.kernel.dtype, hidden)


def _map(function: Callable, *trees: Any) -> Any:
    """Apply a function to the arrays of trees of one structure: tuples, dicts, None."""
    first = trees[0]
    if first is None:
        return None
    if isinstance(first, dict):
        return {key: _map(function, *(tree[key] for tree in trees)) for key in first}
    if isinstance(first, tuple):
        mapped = [_map(function, *parts) for parts in zip(*trees, strict=True)]
        return type(first)(*mapped) if hasattr(first, "_fields") else tuple(mapped)
    return function(*trees)
