"""The named activations with their slopes in terms of the value: y = f(z), dy/dz = slope(y).

In that form a backward pass needs no more than what the trace shows: tanh' = 1 - tanh^2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp

from lstmcore.activations import NAMED

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. (2017)


class Curve(NamedTuple):
    """value: z -> y. slope: y -> dy/dz at the z that gave y."""

    value: Callable
    slope: Callable


def _sigmoid(z):
    """The logistic function through tanh, which XLA turns into fewer instructions on a CPU."""
    return 0.5 * jnp.tanh(0.5 * z) + 0.5


SLOPES = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "hard_sigmoid": lambda y: jnp.where((y > 0) & (y < 1), 1 / 6, 0).astype(y.dtype),
    "relu": lambda y: (y > 0).astype(y.dtype),
    "elu": lambda y: jnp.where(y > 0, 1, y + 1),
    "selu": lambda y: jnp.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),
    "softplus": lambda y: -jnp.expm1(-y),
    "softsign": lambda y: (1 - jnp.abs(y)) ** 2,
    "linear": jnp.ones_like,
}

# By the function, which is what `lstmcore.activations.resolve` gives.
CURVES = {
    function: Curve(_sigmoid if name == "sigmoid" else function, SLOPES[name])
    for name, function in NAMED.items()
}
