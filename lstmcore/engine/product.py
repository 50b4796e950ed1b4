"""The product of a step's rows with the weights, in the form that is fastest on a CPU.

In each step of a loop a thin array, one row for each example, meets wide weights that stay the
same. Three forms of that product give the same numbers:

    PLAIN            a @ W              [B, K] @ [K, N]
    ROWS_TRANSPOSED  dot(a^T, W)        [K, B], [K, N], summed over the first axis of both
    TRANSPOSED       (W^T @ a^T)^T      [N, K] @ [K, B]

A CPU's matrix product goes over the weights once for each group of a few rows. Weights that
outgrow its cache are then read again and again, unless the numbers of all rows that meet one
weight lie side by side: a^T. To transpose the rows costs little beside the product, but not
nothing, so small weights and few rows are multiplied as they are. Transposed throughout, the
product is faster still where the rows fill whole vectors of the processor; its result must be
transposed back, which pays for long sums. It reads W^T: where that is what there is, as in the
backward pass, it also saves a copy of the weights. `docs/performance.md` has the measurements.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from functools import partial
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

# Where a form is faster, in numbers of the weights and of the rows.
FEWEST_ROWS = 6  # worth transposing
FEWEST_WEIGHTS = 2**17
FEWEST_COLUMNS = 300  # of the result, for each number that is transposed
LONG_SUM = 1000
MANY_WEIGHTS = 300_000  # which are not worth a copy for a few rows

# Where weights are not worth a copy.
FEW_USES = 160  # rows times steps
FEWEST_COPIED = 4000  # for each step, whose second product takes about as long as copying these


class Form(Enum):
    """How the product of rows with weights is computed."""

    PLAIN = "plain"
    ROWS_TRANSPOSED = "rows transposed"
    TRANSPOSED = "transposed"


def choose_form(rows: int, length: int, columns: int, *, transposed: bool) -> Form:
    """Return the form that was measured to be fastest for [rows, length] @ [length, columns].

    A symbolic number of rows, of `jax.export`, is multiplied as it is.

    Args:
      rows, length, columns: B, K, N.
      transposed: whether the weights are at hand as [N, K], without a copy.
    """
    if jax.export.is_symbolic_dim(rows):
        return Form.PLAIN
    weights = length * columns
    is_wide = weights >= FEWEST_WEIGHTS and columns >= FEWEST_COLUMNS
    fills_vectors = rows == 8 or rows % 16 == 0
    if transposed and (
        rows == 1
        or (rows < FEWEST_ROWS - 1 and weights >= MANY_WEIGHTS)
        or (fills_vectors and is_wide and length >= LONG_SUM)
    ):
        return Form.TRANSPOSED
    return Form.ROWS_TRANSPOSED if is_wide and rows >= FEWEST_ROWS else Form.PLAIN


def choose_joined(rows: int, timesteps: int, weights: int) -> bool:
    """Return whether x_t W + h U is faster as one product, [x_t, h] [W; U].

    One product instead of two counts where they are small, but [W; U] is a copy, made in each call:
    it must be used often enough. Symbolic numbers, of `jax.export`, are taken to be large.

    Args:
      rows, timesteps: B, T.
      weights: how many numbers W and U hold.
    """
    if jax.export.is_symbolic_dim(rows) or jax.export.is_symbolic_dim(timesteps):
        return True
    return weights < FEWEST_COPIED * timesteps or rows * timesteps > FEW_USES


def make_product(
    rows: int, weights: Any, transposed: Any = None, *, dtype: Any
) -> Callable[[jax.Array], jax.Array]:
    """Return the function [B, K] -> [B, N] that multiplies the rows of one step by the weights.

    On CPUs it takes the form that `choose_form` chooses. On other platforms it is plain: their
    compilers arrange products by themselves. Which platform it is follows from what a program is
    lowered for, since `jax.export` may name another one than that of this computer.

    Args:
      rows: B.
      weights: [K, N]; None if there are only the transposed ones.
      transposed: [N, K], the same numbers, if they are at hand. What is not read is never computed.
      dtype: of the result.
    """
    length, columns = transposed.shape[::-1] if weights is None else weights.shape
    form = choose_form(rows, length, columns, transposed=transposed is not None)
    if form is Form.ROWS_TRANSPOSED and weights is None:
        form = Form.PLAIN
    plain, of_form = (partial(_COMPUTE[each], dtype=dtype) for each in (Form.PLAIN, form))

    def product(array: jax.Array) -> jax.Array:
        if form is Form.PLAIN:
            return plain(array, weights, transposed)
        return jax.lax.platform_dependent(array, weights, transposed, cpu=of_form, default=plain)

    return product


def _plain(rows: jax.Array, weights: Any, transposed: Any, *, dtype: Any) -> jax.Array:
    weights = transposed.T if weights is None else weights
    return jnp.matmul(rows, weights, preferred_element_type=dtype)


# XLA would undo a transpose within the product that reads it, were it not for the barrier.


def _rows_transposed(rows: jax.Array, weights: Any, _: Any, *, dtype: Any) -> jax.Array:
    columns = jax.lax.optimization_barrier(rows.T)
    over_first_axes = (((0,), (0,)), ((), ()))
    return jax.lax.dot_general(columns, weights, over_first_axes, preferred_element_type=dtype)


def _transposed(rows: jax.Array, _: Any, transposed: Any, *, dtype: Any) -> jax.Array:
    columns = jax.lax.optimization_barrier(rows.T)
    product = jnp.matmul(transposed, columns, preferred_element_type=dtype)
    return jax.lax.optimization_barrier(product).T


_COMPUTE = {
    Form.PLAIN: _plain,
    Form.ROWS_TRANSPOSED: _rows_transposed,
    Form.TRANSPOSED: _transposed,
}
