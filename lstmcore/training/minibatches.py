"""Loops over the data inside the compiled program: over batches of rows, over chunks of steps.

Each calls `visit(carry, batch) -> (carry, value)` and returns (carry, mean value), where each
example (or each step) has the same weight.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def over_batches(
    visit: Callable, carry: Any, parts: tuple, batch_size: int, key: jax.Array | None = None
) -> tuple[Any, jax.Array]:
    """Visit all examples of all `parts` (buckets), in batches; the last of a part may be smaller.

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
        carry, total = _mixed(visit, carry, parts, orders, batch_size, keys[0])
        return carry, total / examples
    total = 0
    for part, order in zip(parts, orders, strict=True):
        carry, value = _one_part(visit, carry, part, order, min(batch_size, len(order)))
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


def _one_part(
    visit: Callable, carry: Any, part: Any, order: jax.Array, batch_size: int
) -> tuple[Any, jax.Array]:
    """Visit the batches of one part in turn; returns (carry, sum over examples)."""
    full, rest = divmod(len(order), batch_size)
    split = full * batch_size
    take = partial(_take, visit, part)
    values: jax.Array
    carry, values = jax.lax.scan(take, carry, order[:split].reshape(full, batch_size))
    total = batch_size * values.sum()
    if rest:
        carry, value = take(carry, order[split:])
        total += rest * value
    return carry, total


def _mixed(
    visit: Callable, carry: Any, parts: tuple, orders: list, batch_size: int, key: jax.Array
) -> tuple[Any, jax.Array]:
    """Visit the batches of all parts in one random order; returns (carry, sum over examples).

    Batches of one shape are one branch of the program: the full ones of a part, then its last one.
    """
    branches: list[Callable] = []
    batches: list[tuple[int, int, int]] = []  # (branch, which one of it, examples in it)

    def add(part: Any, rows: jax.Array) -> None:
        def branch(carry: Any, which: jax.Array) -> tuple:
            return _take(visit, part, carry, rows[which])

        batches.extend((len(branches), which, rows.shape[1]) for which in range(len(rows)))
        branches.append(branch)

    for part, order in zip(parts, orders, strict=True):
        size = min(batch_size, len(order))
        full, rest = divmod(len(order), size)
        add(part, order[: full * size].reshape(full, size))
        if rest:
            add(part, order[full * size :][None])

    def take(carry: Any, batch: tuple) -> tuple:
        branch, which, examples = batch
        carry, value = jax.lax.switch(branch, branches, carry, which)
        return carry, examples.astype(value.dtype) * value

    shuffled = jax.random.permutation(key, jnp.array(batches, np.int32))
    values: jax.Array
    carry, values = jax.lax.scan(take, carry, tuple(shuffled.T))
    return carry, values.sum()


def _take(visit: Callable, part: Any, carry: Any, rows: jax.Array) -> tuple:
    """Visit these rows of a part."""
    return visit(carry, jax.tree.map(lambda leaf: leaf[rows], part))
