"""Steps and the time axis: step 0 is taken first, at the end of the time axis if reversed."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Steps(NamedTuple):
    """Reads and writes arrays [B, T, ...] by the number of the step.

    timesteps: T
    reverse: whether the first step is at the last time
    """

    timesteps: int
    reverse: bool

    def at(self, array, s):
        """array[:, time of step s]: [B, ...]."""
        return jax.lax.dynamic_index_in_dim(array, self._time(s), 1, keepdims=False)

    def write(self, array, value, s):
        """`array` with `value` [B, ...] at step s."""
        return jax.lax.dynamic_update_index_in_dim(array, value, self._time(s), 1)

    def block(self, array, first, count):
        """Steps first, first + 1, ... of `array`, in this order: [B, count, ...]."""
        block = jax.lax.dynamic_slice_in_dim(array, self._start(first, count), count, 1)
        return block[:, ::-1] if self.reverse else block

    def write_block(self, array, block, first):
        """`array` with the steps of `block` [B, count, ...], from step `first` on."""
        count = block.shape[1]
        block = block[:, ::-1] if self.reverse else block
        return jax.lax.dynamic_update_slice_in_dim(array, block, self._start(first, count), 1)

    def block_before(self, array, start, first, count):
        """As `block`, but of the step before each: `start` [B, ...] is what was before step 0."""
        if isinstance(first, int):  # the first block of all
            rest = self.block(array, 0, count - 1)
            return jnp.concatenate([start[:, None], rest], axis=1)
        return self.block(array, first - 1, count)

    def _time(self, s):
        return self.timesteps - 1 - s if self.reverse else s

    def _start(self, first, count):
        return self.timesteps - first - count if self.reverse else first
