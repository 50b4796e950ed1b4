"""Layers around the LSTM: dense, embedding, repeat vector, time-distributed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.export
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.arrays import as_array, as_params
from lstmcore.dtypes import check_drawn, check_size, floating_dtype
from lstmcore.types import DenseParams, EmbeddingParams

__all__ = [
    "dense",
    "embedding",
    "init_dense",
    "init_embedding",
    "repeat_vector",
    "time_distributed",
]


def init_dense(
    key: jax.Array, features: int, units: int, *, dtype: Any = jnp.float32
) -> DenseParams:
    """Draw the initial weights of a dense layer: Glorot-uniform kernel, zero bias, as in Keras.

    Args:
      key: random key.
      features: F, size of the input.
      units: U, size of the output.
      dtype: of both arrays.

    Returns:
      DenseParams of shapes [F, U], [U].

    Raises:
      ValueError: `features` or `units` below 1, or a dtype that is not floating point.

    Examples:
      >>> import jax, lstmcore as lc
      >>> lc.init_dense(jax.random.key(0), features=3, units=2).kernel.shape
      (3, 2)
    """
    shape = checks.check_count("features", features), checks.check_count("units", units)
    check_drawn(key, math.prod(shape), dtype)
    dtype = floating_dtype(dtype)
    kernel = jax.nn.initializers.glorot_uniform()(key, shape, dtype)
    return DenseParams(kernel, jnp.zeros(shape[1], dtype))


def dense(params: DenseParams, x: jax.Array) -> jax.Array:
    """Compute `x @ kernel + bias` over the last axis.

    Args:
      params: DenseParams [F, U], [U].
      x: [..., F]; cast to the dtype of the params.

    Returns:
      [..., U].

    Raises:
      ValueError: shapes or dtypes that do not fit.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> params = lc.init_dense(jax.random.key(0), features=3, units=2)
      >>> lc.dense(params, jnp.ones((5, 3))).shape
      (5, 2)
    """
    params = as_params(params)
    features = checks.check_dense_params(params)
    x = as_array("x", x)
    leading = getattr(x, "ndim", 2) - 1
    if leading < 0:
        raise ValueError("x must have at least one axis [..., features], got a single number")
    checks.check_array("x", x, "... " * leading + "features")
    checks.check_floating("x", x)
    checks.check_features("x", x, features, "params.kernel")
    kernel, bias = map(jnp.asarray, params)
    x = jnp.asarray(x, kernel.dtype)
    return x @ kernel + jnp.expand_dims(bias, range(x.ndim - 1))


def init_embedding(
    key: jax.Array, vocabulary: int, features: int, *, dtype: Any = jnp.float32
) -> EmbeddingParams:
    """Draw the initial vectors, one for each token: uniform within 0.05 of 0, as in Keras.

    Args:
      key: random key.
      vocabulary: V, number of tokens, special ones such as padding included.
      features: E, size of a vector.
      dtype: of the table.

    Returns:
      EmbeddingParams of shape [V, E].

    Raises:
      ValueError: `vocabulary` or `features` below 1, or a dtype that is not floating point.

    Examples:
      >>> import jax, lstmcore as lc
      >>> lc.init_embedding(jax.random.key(0), vocabulary=30, features=8).table.shape
      (30, 8)
    """
    shape = checks.check_count("vocabulary", vocabulary), checks.check_count("features", features)
    check_drawn(key, math.prod(shape), dtype)
    return EmbeddingParams(jax.random.uniform(key, shape, floating_dtype(dtype), -0.05, 0.05))


def embedding(
    params: EmbeddingParams, ids: jax.Array, *, padding: int | None = None
) -> tuple[jax.Array, jax.Array | None]:
    """Return the vector of each token, and the mask of the tokens that are not padding.

    An id without a vector is an error where its value is known. Under `jax.jit` it is not, and its
    vector is NaN, so that it cannot be mistaken for another token.

    Args:
      params: EmbeddingParams [V, E].
      ids: integers [...], from 0 to V - 1.
      padding: the id of padding, or None if there is no padding.

    Returns:
      (vectors [..., E], bool [...] for the `mask` of `lc.lstm`, or None without `padding`).

    Raises:
      ValueError: ids that are not integers, or known to be outside of the table.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> params = lc.init_embedding(jax.random.key(0), vocabulary=30, features=8)
      >>> vectors, mask = lc.embedding(params, jnp.array([[5, 9, 0]]), padding=0)
      >>> vectors.shape, mask.tolist()
      ((1, 3, 8), [[True, True, False]])
    """
    params = as_params(params)
    checks.check_layer_params(params, EmbeddingParams)
    checks.check_array("params.table", params.table, "tokens features")
    ids = as_array("ids", ids)
    checks.check_ids("ids", ids, params.table.shape[0])
    ids = jnp.asarray(ids)
    vectors = (
        jnp.asarray(params.table)
        .at[ids]
        .get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
    )
    return vectors, None if padding is None else ids != padding


def repeat_vector(x: jax.Array, n: int) -> jax.Array:
    """Repeat a vector at each of `n` steps, as an autoencoder hands its code to the decoder.

    As the input of an LSTM, `lc.lstm(params, x, repeat=n)` computes the same in less time.

    Args:
      x: [B, F].
      n: number of steps; 0 is allowed.

    Returns:
      [B, n, F].

    Raises:
      ValueError: `x` without exactly two axes, `n` below 0.

    Examples:
      >>> import jax.numpy as jnp, lstmcore as lc
      >>> lc.repeat_vector(jnp.ones((5, 4)), n=3).shape
      (5, 3, 4)
    """
    x = as_array("x", x)
    checks.check_array(
        "x", x, "batch features", "it repeats one vector per example, such as state.h"
    )
    n = check_size("n", n)
    batch, features = x.shape
    return jnp.broadcast_to(jnp.asarray(x)[:, None, :], (batch, n, features))


def time_distributed(fn: Callable, x: jax.Array) -> Any:
    """Apply `fn` to each time step separately.

    Args:
      fn: function of one step, [B, ...] -> [B, ...] (or a pytree of such arrays).
      x: [B, T, ...].

    Returns:
      The results of `fn`, with the time axis second again: [B, T, ...].

    Raises:
      ValueError: `x` with fewer than two axes.
      TypeError: `fn` is not a function.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> params = lc.init_dense(jax.random.key(0), features=3, units=2)
      >>> lc.time_distributed(lambda x_t: lc.dense(params, x_t), jnp.ones((5, 7, 3))).shape
      (5, 7, 2)
    """
    if not callable(fn):
        raise TypeError(f"fn must be a function of one step, got {type(fn).__name__}")
    x = as_array("x", x)
    if not hasattr(x, "ndim"):
        raise TypeError(f"x must be an array [batch, time, ...], got {type(x).__name__}")
    if x.ndim < 2:
        raise ValueError(
            f"x must have at least 2 axes [batch, time, ...], got shape {tuple(x.shape)}"
        )
    return jax.vmap(fn, in_axes=1, out_axes=1)(x)
