"""Arguments that need JAX: pytrees of arrays, dtypes, random keys and sizes."""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_array


def as_arrays(**arguments: Any) -> tuple:
    """Return the arguments, pytrees of arrays, with arrays of other libraries as NumPy's."""
    return tuple(jax.tree.map(partial(as_array, name), tree) for name, tree in arguments.items())


def floating_dtype(dtype: Any) -> np.dtype:
    """Return `dtype` as a NumPy dtype.

    Raises:
      ValueError: it is not floating point, or JAX is not configured to hold it.
    """
    dtype = jnp.dtype(dtype)
    if not jnp.issubdtype(dtype, jnp.floating):
        raise ValueError(f"dtype must be floating point, got {dtype}: use jnp.float32")
    if dtype == jnp.float64 and not jax.config.jax_enable_x64:  # type: ignore[attr-defined]
        raise ValueError(
            "dtype float64 is switched off in JAX: call "
            "jax.config.update('jax_enable_x64', True) at the start of the program"
        )
    return dtype


def accumulation_dtype(dtype: Any) -> np.dtype:
    """Return the dtype of gates, cell and sums: that of the params, but at least float32.

    A cell state sums over many steps; in 8 bits of mantissa small terms would vanish.
    """
    return dtype if jnp.finfo(dtype).bits >= 32 else jnp.dtype(jnp.float32)


def check_size(name: str, value: Any) -> Any:
    """Return the size of an axis: an integer from 0, or a symbolic dimension of `jax.export`."""
    if jax.export.is_symbolic_dim(value):
        return value
    return checks.check_count(name, value, minimum=0)


def check_key(key: Any) -> None:
    """Raise unless `key` is a random key of JAX, typed or raw."""
    dtype = getattr(key, "dtype", None)
    if dtype is None or not (jnp.issubdtype(dtype, jax.dtypes.prng_key) or dtype == jnp.uint32):
        raise TypeError(
            f"key must be a random key, got {type(key).__name__}: write jax.random.key(0)"
        )


def check_drawn(key: Any, numbers: int, dtype: Any) -> None:
    """Raise unless `key` is a random key and so many parameters fit into memory.

    While tracing, nothing is drawn, and the model may be meant for many computers.
    """
    check_key(key)
    if not isinstance(key, jax.core.Tracer):
        checks.check_memory(numbers, floating_dtype(dtype).itemsize)
