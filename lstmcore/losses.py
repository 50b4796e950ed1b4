"""Losses of token sequences, without their padding, and of quantiles."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.arrays import as_array
from lstmcore.checks import check_ids
from lstmcore.dtypes import accumulation_dtype

__all__ = ["cross_entropy", "exact_match", "quantile_loss"]


def cross_entropy(logits: jax.Array, target: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Compute the mean of -log softmax(logits)[target] over the real tokens, in nats.

    Its exponential is the perplexity. It is a mean over tokens, not over examples: do not use it
    with `lc.fit(..., devices=...)` unless all examples have the same length.

    Args:
      logits: [B, T, V].
      target: integers [B, T], 0 to V - 1.
      mask: bool [B, T], True where the target is real; None counts every step.

    Returns:
      A scalar, at least float32; 0 if there is no real token.

    Raises:
      ValueError: shapes that do not fit, or targets that are known to be outside of 0 ... V - 1.
        Under `jax.jit` such a target makes the loss NaN.

    Examples:
      >>> import jax.numpy as jnp, lstmcore as lc
      >>> target = jnp.array([[2, 1, 0]])
      >>> print(lc.cross_entropy(jnp.zeros((1, 3, 4)), target, mask=target != 0))  # log 4
      1.3862944
    """
    logits, target, mask = _checked(logits, target, mask)
    logits = jnp.asarray(logits)  # float64 of NumPy is float32 here, unless JAX is told otherwise
    # The logits of padding must not matter, not even NaN: the gradient would be 0 * NaN.
    real = jnp.where(mask[:, :, None], logits, 0).astype(accumulation_dtype(logits.dtype))
    examples, steps = map(jnp.arange, target.shape)
    chosen = (
        jax.nn.log_softmax(real)
        .at[examples[:, None], steps[None], target]
        .get(mode="fill", fill_value=jnp.nan, wrap_negative_indices=False)
    )
    total = -jnp.where(mask, chosen, 0).sum()
    return total / jnp.maximum(mask.sum(), 1).astype(total.dtype)


def exact_match(logits: jax.Array, target: jax.Array, mask: jax.Array | None = None) -> jax.Array:
    """Return whether the likeliest token is the target at every real step of an example: bool [B].

    Arguments and errors as in `cross_entropy`. The logits are those of teacher forcing; to score
    autoregressive decoding, compare the tokens of `lc.greedy` with the target.

    Examples:
      >>> import jax.numpy as jnp, lstmcore as lc
      >>> target = jnp.array([[2, 1, 0], [2, 2, 0]])
      >>> logits = jnp.eye(4)[jnp.array([[2, 1, 3], [2, 1, 0]])]
      >>> lc.exact_match(logits, target, mask=target != 0).tolist()
      [True, False]
    """
    logits, target, mask = _checked(logits, target, mask)
    likeliest = jnp.asarray(logits).argmax(axis=-1)
    return ((likeliest == jnp.asarray(target, likeliest.dtype)) | ~mask).all(axis=1)


def quantile_loss(
    forecast: jax.Array, target: jax.Array, quantiles: tuple[float, ...]
) -> jax.Array:
    """Compute the mean pinball loss, which is smallest for the quantiles of the target.

    A forecast f of the quantile q costs q (y - f) where the target y lies above it and
    (1 - q) (f - y) where it lies below: the pinball or check loss (Koenker & Bassett 1978,
    "Regression Quantiles"). For q = 0.5 it is half of the mean absolute error.

    Args:
      forecast: [..., Q], one number for each quantile.
      target: [...].
      quantiles: Q numbers between 0 and 1, rising.

    Returns:
      A scalar, at least float32.

    Raises:
      ValueError: shapes that do not fit, numbers that are not floating point, or invalid quantiles.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax.numpy as jnp, lstmcore as lc
      >>> forecast = jnp.array([[1.0, 4.0]])
      >>> print(lc.quantile_loss(forecast, jnp.array([2.0]), quantiles=(0.25, 0.75)))
      0.375
    """
    levels = checks.check_quantiles(quantiles)
    forecast, target = as_array("forecast", forecast), as_array("target", target)
    for name, value in (("forecast", forecast), ("target", target)):
        checks.check_array(name, value)
        checks.check_floating(name, value)
    need = f"target {tuple(target.shape)} and {len(levels)} quantiles need"
    checks.check_shape("forecast", forecast, (*target.shape, len(levels)), need)
    forecast = jnp.asarray(forecast)
    acc_dtype = accumulation_dtype(forecast.dtype)
    error = jnp.asarray(target, acc_dtype)[..., None] - forecast.astype(acc_dtype)
    q = jnp.expand_dims(jnp.asarray(levels, acc_dtype), range(error.ndim - 1))
    return jnp.maximum(q * error, (q - 1) * error).mean()


def _checked(logits: Any, target: Any, mask: Any) -> tuple[Any, Any, jax.Array]:
    """Return logits, target and mask as arrays, checked; all True in place of no mask."""
    logits, target = as_array("logits", logits), as_array("target", target)
    checks.check_array("logits", logits, "batch time tokens")
    checks.check_floating("logits", logits)
    checks.check_array("target", target, "batch time")
    check_ids("target", target, logits.shape[2])
    need = f"logits {tuple(logits.shape)} need"
    advice = "one token for each step of each example"
    checks.check_shape("target", target, tuple(logits.shape[:2]), need, advice)
    if mask is None:
        return logits, target, jnp.ones(target.shape, bool)
    mask = checks.check_mask(mask, target.shape[0], target.shape[1], owner="target")
    return logits, target, jnp.asarray(mask)
