"""Loops over the data inside the compiled program: over batches of rows, over chunks of steps.

Each returns (carry, mean value), where each example (or each step) has the same weight. A loop over
chunks calls `visit(carry, chunk) -> (carry, value)`; one over batches `visit(carry, batch, real)`,
where `real` is bool [B], False for a row that only fills the batch up, or None if all are real.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Batching(NamedTuple):
    """How the examples are cut into batches.

    Attributes:
      size: examples in a batch; the last of a part may be smaller.
      multiple_of: None, or every batch is filled up to the same length, a multiple of this.
    """

    size: int
    multiple_of: int | None = None


def over_batches(
    visit: Callable, carry: Any, parts: tuple, batching: Batching, key: jax.Array | None = None
) -> tuple[Any, jax.Array]:
    """Visit all examples of all `parts` (buckets), in batches.

    With `key` in a random order: the examples within each part, then the batches of all parts.
    """
    total: Any
    orders = [jnp.arange(rows_of(part)) for part in parts]
    examples = sum(len(order) for order in orders)
    if key is not None and len(parts) == 1:
        orders = [jax.random.permutation(key, orders[0])]
    elif key is not None:
        keys = jax.random.split(key, len(parts) + 1)
        orders = [jax.random.permutation(*pair) for pair in zip(keys[1:], orders, strict=True)]
        carry, total = _mixed(visit, carry, parts, orders, batching, keys[0])
        return carry, total / examples
    total = 0
    for part, order in zip(parts, orders, strict=True):
        for batches in _cut(order, batching):
            carry, value = _in_turn(visit, carry, part, batches)
            total += value
    return carry, total / examples


def over_chunks(visit: Callable, carry: Any, batch: Any, length: int) -> tuple[Any, jax.Array]:
    """Visit chunks of `length` steps one after another; the last one may be shorter."""
    timesteps = steps_of(batch)
    length = min(length, timesteps)
    full, rest = divmod(timesteps, length)

    def take(carry: Any, first: jax.Array) -> tuple:
        return visit(carry, chunk_of(batch, first, length))

    values: jax.Array
    carry, values = jax.lax.scan(take, carry, length * jnp.arange(full))
    total = length * values.sum()
    if rest:
        carry, value = visit(carry, chunk_of(batch, full * length, rest))
        total += rest * value
    return carry, total / timesteps


def rows_of(batch: Any) -> int:
    """Return the number of examples."""
    return len(jax.tree.leaves(batch)[0])


def steps_of(batch: Any) -> int:
    """Return the number of steps of the arrays [B, T, ...]; arrays [B] have no time axis."""
    return next(leaf.shape[1] for leaf in jax.tree.leaves(batch) if leaf.ndim > 1)


def chunk_of(batch: Any, first: Any, length: int) -> Any:
    """Return `length` steps, from `first` on, of the arrays [B, T, ...]; arrays [B] unchanged."""
    return jax.tree.map(
        lambda leaf: (
            jax.lax.dynamic_slice_in_dim(leaf, first, length, axis=1) if leaf.ndim > 1 else leaf
        ),
        batch,
    )


class _Batches(NamedTuple):
    """Batches of one shape. rows: [N, B]; real: bool [N, B] or None; examples: NumPy [N]."""

    rows: jax.Array
    real: jax.Array | None
    examples: np.ndarray


def _cut(order: jax.Array, batching: Batching) -> list[_Batches]:
    """Cut the rows of one part into batches: those of full length, and a last one that is shorter.

    If batches are filled up, by copies of the last row, all have one shape.
    """
    count = len(order)
    size = min(batching.size, count)
    full, rest = divmod(count, size)
    length = -(-size // batching.multiple_of) * batching.multiple_of if batching.multiple_of else 0
    if not length or (rest == 0 and length == size):
        pieces = [(order[: full * size].reshape(full, size), size)]
        pieces += [(order[full * size :][None], rest)] * (rest > 0)
        return [_Batches(rows, None, np.full(len(rows), each)) for rows, each in pieces]
    column = jnp.arange(length)  # computed by the program, which would else hold all the numbers
    places = size * jnp.arange(full + (rest > 0))[:, None] + column
    real = (column < size) & (places < count)
    rows = order[jnp.minimum(places, count - 1)]
    examples = np.array([size] * full + [rest] * (rest > 0))
    return [_Batches(rows, real, examples)]


def _in_turn(visit: Callable, carry: Any, part: Any, batches: _Batches) -> tuple[Any, jax.Array]:
    """Visit batches of one part in turn; returns (carry, sum over examples)."""

    def take(carry: Any, batch: tuple) -> tuple:
        return _take(visit, part, carry, *batch)

    values: jax.Array
    carry, values = jax.lax.scan(take, carry, (batches.rows, batches.real))
    return carry, (jnp.asarray(batches.examples, values.dtype) * values).sum()


def _mixed(
    visit: Callable, carry: Any, parts: tuple, orders: list, batching: Batching, key: jax.Array
) -> tuple[Any, jax.Array]:
    """Visit the batches of all parts in one random order; returns (carry, sum over examples).

    Batches of one shape are one branch of the program.
    """
    branches: list[Callable] = []
    batches: list[tuple[int, int, int]] = []  # (branch, which one of it, examples in it)

    def add(part: Any, alike: _Batches) -> None:
        def branch(carry: Any, which: jax.Array) -> tuple:
            real = None if alike.real is None else alike.real[which]
            return _take(visit, part, carry, alike.rows[which], real)

        batches.extend((len(branches), n, each) for n, each in enumerate(alike.examples.tolist()))
        branches.append(branch)

    for part, order in zip(parts, orders, strict=True):
        for alike in _cut(order, batching):
            add(part, alike)

    def take(carry: Any, batch: tuple) -> tuple:
        branch, which, examples = batch
        carry, value = jax.lax.switch(branch, branches, carry, which)
        return carry, examples.astype(value.dtype) * value

    shuffled = jax.random.permutation(key, jnp.array(batches, np.int32))
    values: jax.Array
    carry, values = jax.lax.scan(take, carry, tuple(shuffled.T))
    return carry, values.sum()


def _take(visit: Callable, part: Any, carry: Any, rows: jax.Array, real: jax.Array | None) -> tuple:
    """Visit these rows of a part."""
    return visit(carry, jax.tree.map(lambda leaf: leaf[rows], part), real)
