"""Activation functions by name, so that a model can be written, printed and saved with words.

Only words that mean the same function in Keras, PyTorch and JAX are here, and only functions whose
slope follows from their value, which is what the NumPy engine's backward pass works with.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

Activation = str | Callable[[jax.Array], jax.Array]

NAMED: dict[str, Callable] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "linear": jax.nn.identity,
}


def resolve(name: str, activation: Activation) -> Callable:
    """The function that `activation` stands for; `name` is the argument's name in errors.

    Raises:
      ValueError: the word is not one of `NAMED`.
      TypeError: neither a word nor a function.
    """
    if isinstance(activation, str):
        if activation not in NAMED:
            raise ValueError(
                f"{name} {activation!r} is not known: use one of {', '.join(NAMED)}, "
                "or pass a function"
            )
        return NAMED[activation]
    if not callable(activation):
        raise TypeError(f"{name} must be a name or a function, got {type(activation).__name__}")
    return activation


def word_for(activation: Activation) -> str | None:
    """The name under which `activation` can be written down, or None for a function of your own."""
    if isinstance(activation, str):
        return activation
    return next((word for word, function in NAMED.items() if function is activation), None)


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
