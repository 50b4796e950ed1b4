"""Rows or columns: which way round the arrays of one step lie while the loop runs.

As rows, a step computes  z [B, 4H] = [x_t, h] [B, F+H] @ [W; U],   as the equations are written.
As columns, it computes   z [4H, B] = [W; U]^T [4H, F+H] @ [x_t; h] [F+H, B].

The numbers are the same. But a matrix product rearranges its right-hand side in memory each time,
and as rows that is the large one, the weights. As columns it is the small one, the state: on a CPU
products of many units run up to 1.6 times faster that way, while with few units or a small batch
the shorter rows of memory cost more than that. `docs/performance.md` has the measurements.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp


class Orientation(NamedTuple):
    """columns: whether units lie along axis 0, the batch along axis 1."""

    columns: bool

    @property
    def units_axis(self) -> int:
        return 0 if self.columns else 1

    def turn(self, array):
        """From [B, H] to how it lies here, and back."""
        return array.T if self.columns else array

    def product(self, array, turned_weights, dtype):
        """array @ weights, for `turned_weights = turn(weights)`."""
        pair = (turned_weights, array) if self.columns else (array, turned_weights)
        return jnp.matmul(*pair, preferred_element_type=dtype)


ROWS, COLUMNS = Orientation(columns=False), Orientation(columns=True)


def choose(batch: int, units: int, *, keep_tape: bool) -> Orientation:
    """What was found to be faster; `keep_tape` if a backward pass is to follow.

    Found on CPUs. On a GPU or a TPU the compiler lays out products by itself.
    """
    if jax.default_backend() != "cpu":
        return ROWS
    fewest_units = 256 if keep_tape else 128
    return COLUMNS if batch >= 32 and units >= fewest_units else ROWS
