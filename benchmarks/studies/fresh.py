"""New sequences at every step of `lc.fit`, where a task can be drawn without end.

The data of `fit` are then only numbers that make the runs and batches differ. Each step draws its
sequences inside the loss, from a key made of such a number and of the bits of a weight: the weight
changes with every step, so no sequence comes twice, and equal runs still draw equal sequences.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

EPOCH = 2560  # sequences between two looks at the test set; as many as the test set holds


def salts(seed: int, sequences: int = EPOCH) -> jax.Array:
    """The data of one run of `fit`: uint32 [sequences], different for each seed."""
    return jnp.arange(sequences, dtype=jnp.uint32) + jnp.uint32(seed * sequences)


def key(weight: jax.Array, batch: jax.Array) -> jax.Array:
    """A random key for this step: `weight` is any trained number, `batch` some of the salts."""
    bits = jax.lax.bitcast_convert_type(weight, jnp.uint32)
    return jax.random.fold_in(jax.random.key(bits), batch[0])
