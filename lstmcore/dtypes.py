"""Which dtypes, keys and sizes JAX can work with, and at which width a layer remembers."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.checks import check_count


def floating_dtype(dtype):
    """`dtype` as a NumPy dtype, if it is floating point and JAX can hold it as configured."""
    dtype = jnp.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"dtype must be floating point, got {dtype}: use jnp.float32")
    if dtype == jnp.float64 and not jax.config.jax_enable_x64:
        raise ValueError(
            "dtype float64 is switched off in JAX: call "
            "jax.config.update('jax_enable_x64', True) at the start of the program"
        )
    return dtype


def memory_dtype(dtype):
    """The dtype of gates and cell: that of the params, but at least float32.

    A cell state sums over many steps; in 8 bits of mantissa small writes would vanish.
    """
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def check_size(name: str, value):
    """The size of an axis: a whole number from 0, or a symbolic dimension of `jax.export`."""
    if jax.export.is_symbolic_dim(value):
        return value
    return check_count(name, value, minimum=0)


def check_key(key) -> None:
    """`key` is a random key of JAX, of the new kind or the old."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not (jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32):
        raise TypeError(
            f"key must be a random key, got {type(key).__name__}: write jax.random.key(0)"
        )


def check_drawn(key, numbers: int, dtype) -> None:
    """So many parameters can be drawn: `key` is a random key, and they fit into memory.

    While tracing nothing is drawn; a model may be split over many computers there.
    """
    check_key(key)
    if not isinstance(key, jax.core.Tracer):
        checks.check_memory(numbers, floating_dtype(dtype).itemsize)
