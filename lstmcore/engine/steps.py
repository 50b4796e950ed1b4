"""Where a step lies on the time axis, so that no loop has to know whether it runs in reverse."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

Index = Any  # an int, or a traced integer scalar


class Steps(NamedTuple):
    """Reads and writes of arrays [B, T, ...] by the number of the step.

    Attributes:
      timesteps: T.
      reverse: the first step is at the last index of the time axis.
    """

    timesteps: int
    reverse: bool

    def at(self, array: jax.Array, s: Index) -> jax.Array:
        """Return `array` [B, T, ...] at step s: [B, ...]."""
        return jax.lax.dynamic_index_in_dim(array, self._time(s), 1, keepdims=False)

    def write(self, array: jax.Array, value: jax.Array, s: Index) -> jax.Array:
        """Return `array` with `value` [B, ...] at step s."""
        return jax.lax.dynamic_update_index_in_dim(array, value, self._time(s), 1)

    def block(self, array: jax.Array, first: Index, count: int) -> jax.Array:
        """Return steps first, first + 1, ... of `array`, in this order: [B, count, ...]."""
        block = jax.lax.dynamic_slice_in_dim(array, self._start(first, count), count, 1)
        return block[:, ::-1] if self.reverse else block

    def write_block(self, array: jax.Array, block: jax.Array, first: Index) -> jax.Array:
        """Return `array` with the steps of `block` [B, count, ...], from step `first` on."""
        count = block.shape[1]
        block = block[:, ::-1] if self.reverse else block
        return jax.lax.dynamic_update_slice_in_dim(array, block, self._start(first, count), 1)

    def block_before(
        self, array: jax.Array, initial: jax.Array, first: Index, count: int
    ) -> jax.Array:
        """Return, like `block`, the step before each; before step 0 comes `initial` [B, ...]."""
        of_first = jnp.concatenate([initial[:, None], self.block(array, 0, count - 1)], axis=1)
        return jnp.where(first == 0, of_first, self.block(array, first - 1, count))

    def _time(self, s: Index) -> Index:
        return self.timesteps - 1 - s if self.reverse else s

    def _start(self, first: Index, count: int) -> Index:
        return self.timesteps - first - count if self.reverse else first
