"""New sequences at every step of `lc.fit`, for tasks with an unlimited supply of them.

The data of `fit` are only numbers that make runs and batches differ. Each step draws its sequences
within the loss, from a key made of such a number and of the bits of a weight: the weight changes
with every step, so that no sequence occurs twice, and equal runs still draw equal sequences.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

EPOCH = 2560  # sequences between two tests, and in the test set


def salts(seed: int, sequences: int = EPOCH) -> jax.Array:
    """Return the data of one run of `fit`: uint32 [sequences], different for each seed."""
    return jnp.arange(sequences, dtype=jnp.uint32) + jnp.uint32(seed * sequences)


def key(weight: jax.Array, batch: jax.Array) -> jax.Array:
    """Return a random key for this step; `weight` is a trained number, `batch` some salts."""
    bits = jax.lax.bitcast_convert_type(weight, jnp.uint32)
    return jax.random.fold_in(jax.random.key(bits), batch[0])
