"""Rows or columns: which way round the arrays of one step lie while the loop runs.

As rows, a step computes  z [B, 4H] = [x_t, h] [B, F+H] @ [W; U],   as the equations are written.
As columns, it computes   z [4H, B] = [W; U]^T [4H, F+H] @ [x_t; h] [F+H, B].

The numbers are the same. But a matrix product rearranges its right-hand side in memory each time,
and as rows that is the large one, the weights. As columns it is the small one, the state: on a CPU
products of many units run up to 1.5 times faster that way, while with few units or a small batch
the shorter rows of memory cost more than that. `docs/performance.md` has the measurements.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Orientation(NamedTuple):
    """columns: whether units lie along axis 0, the batch along axis 1."""

    columns: bool

    def turn(self, array):
        """From [B, H] to how it lies here, and back."""
        return array.T if self.columns else array

    def product(self, array, turned_weights, dtype):
        """array @ weights, for `turned_weights = turn(weights)`."""
        pair = (turned_weights, array) if self.columns else (array, turned_weights)
        return jnp.matmul(*pair, preferred_element_type=dtype)

    def projection(self, kernel, recurrent_kernel, dtype):
        """A function of x_t and h, as they lie here, that gives x_t W + h U."""
        if self.columns:
            weights = [self.turn(w) for w in (kernel, recurrent_kernel)]
            return lambda *inputs: sum(map(partial(self.product, dtype=dtype), inputs, weights))
        # One product instead of two, which counts where they are small.
        weights = jnp.concatenate([kernel, recurrent_kernel])
        return lambda x_t, h: self.product(jnp.concatenate([x_t, h], axis=1), weights, dtype)

    def split(self, z):
        """The parts of the four gates."""
        return jnp.split(z, 4, axis=0 if self.columns else 1)


ROWS, COLUMNS = Orientation(columns=False), Orientation(columns=True)


def choose(batch: int, units: int) -> Orientation:
    """What was found to be faster on CPUs; elsewhere compilers lay out products by themselves."""
    on_cpu = jax.default_backend() == "cpu"
    return COLUMNS if on_cpu and units >= 256 and batch * units > 4096 else ROWS


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
