"""Loops over the time axis that a model needs beside its LSTM layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore.dtypes import accumulation_dtype
from lstmcore.types import LSTMParams, LSTMState

__all__ = ["cumulative_max", "scan", "zero_state_like"]


def scan(step: Callable, carry: Any, inputs: Any, timesteps: int) -> tuple[Any, Any]:
    """Run a step at each time, from the carry of the previous one: `jax.lax.scan`, batch-major.

    Args:
      step: (carry, inputs at t, t) -> (carry, outputs at t).
      carry: of the first step; a pytree.
      inputs: pytree of arrays [B, T, ...]; None if a step needs none.
      timesteps: T.

    Returns:
      (carry after the last step, outputs [B, T, ...]).

    Examples:
      >>> import jax.numpy as jnp
      >>> from lstmcore.loops import scan
      >>> total, sums = scan(lambda s, x, t: (s + x, s + x), jnp.zeros(1), jnp.ones((1, 3)), 3)
      >>> sums.tolist()
      [[1.0, 2.0, 3.0]]
    """

    def body(carry: Any, inputs: tuple) -> tuple:
        t, inputs_t = inputs
        return step(carry, inputs_t, t)

    scanned: Any = jax.lax.scan(body, carry, (jnp.arange(timesteps), _swapped(inputs)))
    return scanned[0], _swapped(scanned[1])


def cumulative_max(x: jax.Array, axis: int) -> jax.Array:
    """Return the largest value up to each place along an axis, of the shape of x.

    Examples:
      >>> import jax.numpy as jnp
      >>> from lstmcore.loops import cumulative_max
      >>> cumulative_max(jnp.array([[1, 3, 2]]), axis=1).tolist()
      [[1, 3, 3]]
    """
    return jax.lax.cummax(x, axis=axis)


def zero_state_like(params: LSTMParams, x: jax.Array) -> LSTMState:
    """Return the state [B, H] before the first step of a layer that reads x [B, F].

    It is sharded as x is, and has a symbolic batch where x has one. With a projection, h is [B, P];
    c is at least float32, as in `lc.zero_state`.
    """
    dtype = params.kernel.dtype

    def zeros(size: int, dtype: Any) -> jax.Array:
        return jnp.broadcast_to(jnp.zeros_like(x[:, :1], dtype), (x.shape[0], size))

    hidden, gates = params.recurrent_kernel.shape
    return LSTMState(zeros(hidden, dtype), zeros(gates // 4, accumulation_dtype(dtype)))


def _swapped(tree: Any) -> Any:
    """Return a pytree with the first two axes of each array swapped."""
    return jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), tree)
