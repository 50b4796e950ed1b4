"""Memory layout: how the loops arrange the arrays of a step, and where a step lies in time.

`Layout` says which axis of a step's arrays is the batch.

    batch-major:    z [B, 4H] = [x_t, h] [B, F+H] @ [W; U],   as the equations are written
    feature-major:  z [4H, B] = [W; U]^T [4H, F+H] @ [x_t; h] [F+H, B]

The numbers are the same. But a matrix product rearranges its right-hand side in memory each time,
and batch-major that is the large one, the weights. Feature-major it is the small one, the state: on
a CPU, products of many units run up to 1.8 times faster that way if the batch fills whole vectors
of the processor. A remainder costs more than is gained, and so do few units, since the contiguous
runs of memory are shorter. `docs/performance.md` has the measurements.

`Steps` maps the number of a step to its index on the time axis, so that no loop has to know whether
it runs in reverse.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.export
import jax.numpy as jnp

Index = Any  # an int, or a traced integer scalar


class Layout(NamedTuple):
    """Axis order of the arrays of one step.

    Attributes:
      feature_major: the features or units are axis 0 and the batch axis 1, not the reverse.
    """

    feature_major: bool

    def transpose(self, array: jax.Array) -> jax.Array:
        """Return an array [B, H] in this layout, or an array in this layout as [B, H]."""
        return array.T if self.feature_major else array

    def product(self, array: jax.Array, weights: jax.Array, dtype: Any) -> jax.Array:
        """Compute the product of an array and weights [F, U], both in this layout."""
        pair = (weights, array) if self.feature_major else (array, weights)
        return jnp.matmul(*pair, preferred_element_type=dtype)

    def projection(self, kernel: jax.Array, recurrent_kernel: jax.Array, dtype: Any) -> Callable:
        """Return the function (x_t, h) -> x_t W + h U on arrays in this layout."""
        if self.feature_major:
            weights = [self.transpose(w) for w in (kernel, recurrent_kernel)]
            return lambda *inputs: sum(map(partial(self.product, dtype=dtype), inputs, weights))
        # One product instead of two, which counts where they are small.
        joined = jnp.concatenate([kernel, recurrent_kernel])
        return lambda x_t, h: self.product(jnp.concatenate([x_t, h], axis=1), joined, dtype)

    def split(self, z: jax.Array) -> Sequence[jax.Array]:
        """Split z into the parts of the four gates."""
        return jnp.split(z, 4, axis=0 if self.feature_major else 1)


BATCH_MAJOR, FEATURE_MAJOR = Layout(feature_major=False), Layout(feature_major=True)


def choose_layout(batch: int, units: int) -> Layout:
    """Return the layout that was measured to be faster on CPUs for these sizes.

    On other platforms it is batch-major, since the compiler lays out products by itself, and so it
    is for a symbolic batch.
    """
    if jax.export.is_symbolic_dim(batch):
        return BATCH_MAJOR
    fills_vectors = batch == 8 or batch % 16 == 0
    return FEATURE_MAJOR if units >= 512 and fills_vectors else BATCH_MAJOR


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
        if isinstance(first, int):  # the first block of all
            rest = self.block(array, 0, count - 1)
            return jnp.concatenate([initial[:, None], rest], axis=1)
        return self.block(array, first - 1, count)

    def _time(self, s: Index) -> Index:
        return self.timesteps - 1 - s if self.reverse else s

    def _start(self, first: Index, count: int) -> Index:
        return self.timesteps - first - count if self.reverse else first
