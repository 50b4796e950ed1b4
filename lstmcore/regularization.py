"""Noise for training: dropout, the masks of variational dropout, zoneout, and corrupted inputs.

All of it is explicit: a random key goes in, a mask comes out, and `lc.lstm` takes it as an array.
Without a key (`key=None`), in evaluation, nothing is random:

    x = lc.dropout(key_1, x, 0.2, shared_axes=(1,))               # the same features at every step
    mask = lc.dropout_mask(key_2, (batch, units), 0.2)            # the same units at every step
    state, trace = lc.lstm(params, x, recurrent_dropout=mask)

Sources: Srivastava et al. (2014), "Dropout: a simple way to prevent neural networks from
overfitting"; Gal & Ghahramani (2016), "A theoretically grounded application of dropout in recurrent
neural networks"; Krueger et al. (2017), "Zoneout: regularizing RNNs by randomly preserving hidden
activations"; Vincent et al. (2008), "Extracting and composing robust features with denoising
autoencoders".
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.arrays import as_array
from lstmcore.dtypes import accumulation_dtype, check_key, check_size, floating_dtype
from lstmcore.types import LSTMState

__all__ = ["corrupt", "dropout", "dropout_mask", "zoneout"]

Rate = float | jax.Array


def dropout(
    key: jax.Array | None, x: jax.Array, rate: Rate, *, shared_axes: Sequence[int] = ()
) -> jax.Array:
    """Set a random part of `x` to 0 and scale up the rest, so that the mean stays the same.

    This is dropout (Srivastava et al. 2014) with the scaling done in training, "inverted".
    With `shared_axes=(1,)` what is dropped of [B, T, F] is the same at every step: the mask for a
    layer's input of Gal & Ghahramani (2016).

    Args:
      key: random key; None for evaluation.
      x: array of any shape, floating point.
      rate: fraction that is dropped, 0 <= rate < 1; may be a traced number, which is not checked.
      shared_axes: axes of `x` along which one draw stands for all.

    Returns:
      `x` times a mask of 0 and 1 / (1 - rate), in its dtype; `x` itself if `key` is None.

    Raises:
      ValueError: `rate` outside of [0, 1), an axis that `x` does not have, or `x` that is not
        floating point.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> x = jnp.ones((1, 2, 3))
      >>> lc.dropout(jax.random.key(3), x, 0.5, shared_axes=(1,)).tolist()
      [[[2.0, 0.0, 0.0], [2.0, 0.0, 0.0]]]
      >>> lc.dropout(None, x, 0.5) is x
      True
    """
    x = _checked(x)
    _check_rate("rate", rate)
    if not isinstance(shared_axes, Sequence):
        raise TypeError(f"shared_axes must be a tuple of axes, got {shared_axes!r}: write (1,)")
    axes = {_axis(axis, x.ndim) for axis in shared_axes}
    if key is None:
        return x
    x = jnp.asarray(x)
    shape = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    return x * _mask(key, shape, rate, x.dtype)


def dropout_mask(
    key: jax.Array | None, shape: Sequence[int], rate: Rate, dtype: Any = jnp.float32
) -> jax.Array | None:
    """Draw a dropout mask of 0 and 1 / (1 - rate), as for `lc.lstm(..., recurrent_dropout=...)`.

    One mask [B, H] for all gates and steps is the tied form of Gal & Ghahramani (2016). (Keras's
    LSTM draws four, one for each gate.)

    Args:
      key: random key; None for evaluation.
      shape: of the mask, [B, H] for recurrent dropout ([B, P] with a projection).
      rate: fraction of zeros, 0 <= rate < 1; may be a traced number, which is not checked.
      dtype: of the mask.

    Returns:
      An array of this shape with mean 1 over keys; None if `key` is None, which `lc.lstm` takes as
      no dropout.

    Raises:
      ValueError: `rate` outside of [0, 1), or a dtype that is not floating point.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax, lstmcore as lc
      >>> lc.dropout_mask(jax.random.key(0), (2, 4), rate=0.5).tolist()
      [[0.0, 0.0, 2.0, 2.0], [0.0, 2.0, 2.0, 0.0]]
    """
    dtype = floating_dtype(dtype)
    _check_rate("rate", rate)
    return None if key is None else _mask(key, tuple(shape), rate, dtype)


def zoneout(
    key: jax.Array | None,
    batch: int,
    timesteps: int,
    units: int,
    *,
    h: Rate = 0.0,
    c: Rate = 0.0,
    dtype: Any = jnp.float32,
    projection: int | None = None,
) -> LSTMState:
    """Draw the fractions of the old state to keep, for `lc.lstm(..., zoneout=...)`.

    In training each unit keeps its old value at some steps, drawn anew for each, and takes the new
    one at the others. In evaluation each takes the mean of both, weighted by the rates (Krueger et
    al. 2017).

    Args:
      key: random key; None for evaluation.
      batch, timesteps, units: B, T and H of the call.
      h, c: fraction of steps at which a unit of the hidden or of the cell state is kept, at least 0
        and below 1; may be traced numbers, which are not checked.
      dtype: of the layer's params.
      projection: P, if the layer has a projection.

    Returns:
      LSTMState of zeros and ones, [B, T, H] each (h is [B, T, P] with a projection); of the rates,
      [1, 1, 1], if `key` is None.

    Raises:
      ValueError: a rate outside of [0, 1), a size below 0, or a dtype that is not floating point.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> params, x = lc.init_lstm(jax.random.key(0), 2, 3), jnp.ones((5, 7, 2))
      >>> kept = lc.zoneout(jax.random.key(1), 5, 7, 3, h=0.05, c=0.5)
      >>> state, trace = lc.lstm(params, x, zoneout=kept)
      >>> mean = lc.zoneout(None, 5, 7, 3, h=0.05, c=0.5)
      >>> float(mean.c.squeeze()), mean.c.shape
      (0.5, (1, 1, 1))
    """
    batch = check_size("batch", batch)
    timesteps = check_size("timesteps", timesteps)
    units = checks.check_count("units", units)
    hidden = units if projection is None else checks.check_count("projection", projection)
    h_dtype = floating_dtype(dtype)
    c_dtype = accumulation_dtype(h_dtype)
    _check_rate("h", h)
    _check_rate("c", c)
    if key is None:
        return LSTMState(*(jnp.full((1, 1, 1), r, d) for r, d in ((h, h_dtype), (c, c_dtype))))
    check_key(key)
    h_key, c_key = jax.random.split(key)
    return LSTMState(
        h=_draw(h_key, h, (batch, timesteps, hidden)).astype(h_dtype),
        c=_draw(c_key, c, (batch, timesteps, units)).astype(c_dtype),
    )


def corrupt(
    key: jax.Array | None, x: jax.Array, *, masking: Rate = 0.0, gaussian: Rate = 0.0
) -> jax.Array:
    """Corrupt the input of a denoising autoencoder: set some numbers to 0, add noise to the others.

    Trained to reconstruct the clean `x`, the model has to learn how the numbers of an example
    depend on each other (masking noise: Vincent et al. 2008; Gaussian noise: Vincent et al. 2010,
    "Stacked denoising autoencoders", section 3.3):

        def loss(params, x, key=None):        # `lc.fit` gives a new key in each step
            x_hat, _ = model.apply(params, lc.corrupt(key, x, masking=0.25))
            return jnp.mean((x_hat - x) ** 2)

    Unlike `dropout`, it does not scale up the rest.

    Args:
      key: random key; None for evaluation.
      x: array of any shape, floating point; scaled to mean 0 if 0 is to stand for "unknown".
      masking: fraction of the numbers that become 0, 0 <= masking < 1.
      gaussian: standard deviation of the noise that is added to the others, in units of `x`. Both
        may be traced numbers, which are not checked.

    Returns:
      An array like `x`; `x` itself if `key` is None.

    Raises:
      ValueError: `masking` outside of [0, 1), `gaussian` negative or not finite, or `x` that is not
        floating point.
      TypeError: arguments of another kind.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> lc.corrupt(jax.random.key(0), jnp.ones((2, 4)), masking=0.5).tolist()
      [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 1.0, 0.0]]
    """
    x = _checked(x)
    _check_rate("masking", masking)
    _check_deviation("gaussian", gaussian)
    if key is None:
        return x
    check_key(key)
    x = jnp.asarray(x)
    masking_key, gaussian_key = jax.random.split(key)  # so that one noise does not move the other
    if _may_matter(gaussian):
        x = x + jnp.asarray(gaussian, x.dtype) * jax.random.normal(gaussian_key, x.shape, x.dtype)
    if _may_matter(masking):
        x = jnp.where(_draw(masking_key, masking, x.shape), 0, x)
    return x


def _mask(key: Any, shape: tuple[int, ...], rate: Rate, dtype: Any) -> jax.Array:
    keep = 1 - jnp.asarray(rate, accumulation_dtype(dtype))
    return jnp.where(_draw(key, keep, shape), 1 / keep, 0).astype(dtype)


def _draw(key: Any, probability: Rate, shape: tuple[int, ...]) -> jax.Array:
    check_key(key)
    return jax.random.bernoulli(key, probability, shape)


def _may_matter(amount: Rate) -> bool:
    """Return whether there may be any noise: drawing it takes time."""
    return isinstance(amount, jax.core.Tracer) or float(amount) != 0


def _checked(x: Any) -> Any:
    x = as_array("x", x)
    checks.check_array("x", x)
    checks.check_floating("x", x)
    return x


def _check_rate(name: str, rate: Rate) -> None:
    """Raise unless `rate` is in [0, 1); a traced number is not checked."""
    if not isinstance(rate, jax.core.Tracer):
        checks.check_rate(name, rate)


def _check_deviation(name: str, deviation: Rate) -> None:
    """Raise unless `deviation` is finite and at least 0; a traced number is not checked."""
    if isinstance(deviation, jax.core.Tracer):
        return
    if not 0 <= checks.check_number(name, deviation) < math.inf:
        raise ValueError(f"{name} must be finite and at least 0, got {deviation!r}")


def _axis(axis: int, axes: int) -> int:
    """Return the axis as a number from 0 on."""
    number = operator.index(axis)
    if not -axes <= number < axes:
        raise ValueError(f"shared_axes names axis {axis} but x has {axes} axes")
    return number % axes
