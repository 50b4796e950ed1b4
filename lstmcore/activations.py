"""Activation functions by name, and their derivatives in terms of the value.

A name lets a model be written, printed and saved as text. Only names that mean the same function in
Keras, PyTorch and JAX are here (but for "hard_sigmoid_keras2"), and only functions whose derivative
follows from their value: that is all that the hand-written backward passes keep.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.checks import check_activation

Activation = str | Callable[[jax.Array], jax.Array]


def hard_sigmoid_keras2(z: jax.Array) -> jax.Array:
    """Return clip(0.2 z + 0.5, 0, 1): `hard_sigmoid` in Keras 2, and the default of ONNX.

    Keras 2 used it for the gates of an LSTM unless told otherwise. In Keras 3, PyTorch and JAX
    `hard_sigmoid` is clip(z / 6 + 0.5, 0, 1).
    """
    return jnp.clip(0.2 * z + 0.5, 0, 1)


NAMED: dict[str, Callable] = {
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "hard_sigmoid": jax.nn.hard_sigmoid,
    "relu": jax.nn.relu,
    "relu6": jax.nn.relu6,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "softplus": jax.nn.softplus,
    "softsign": jax.nn.soft_sign,
    "linear": jax.nn.identity,
    "hard_sigmoid_keras2": hard_sigmoid_keras2,
}


def resolve(name: str, activation: Activation) -> Callable:
    """Return the function that `activation` stands for; `name` is the argument's name in errors.

    Raises:
      ValueError: the name is not one of `NAMED`.
      TypeError: neither a name nor a function.
    """
    check_activation(name, activation)
    return NAMED[activation] if isinstance(activation, str) else activation


def activate(activation: Activation, z: jax.Array) -> jax.Array:
    """Apply an activation, given by name or as a function."""
    return resolve("activation", activation)(z)


def name_of(activation: Activation) -> str | None:
    """Return the name of an activation, or None for a function that is not one of `NAMED`."""
    if isinstance(activation, str):
        return activation
    return next((name for name, function in NAMED.items() if function is activation), None)


class DifferentiableActivation(NamedTuple):
    """An activation and its derivative, which is a function of the value.

    Attributes:
      value: z -> y.
      derivative: y -> dy/dz at the z that gave y.
    """

    value: Callable
    derivative: Callable


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. (2017)

DERIVATIVES = {
    "tanh": lambda y: 1 - y * y,
    "sigmoid": lambda y: y * (1 - y),
    "hard_sigmoid": lambda y: jnp.where((y > 0) & (y < 1), 1 / 6, 0).astype(y.dtype),
    "relu": lambda y: (y > 0).astype(y.dtype),
    "relu6": lambda y: ((y > 0) & (y < 6)).astype(y.dtype),
    "elu": lambda y: jnp.where(y > 0, 1, y + 1),
    "selu": lambda y: jnp.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),
    "softplus": lambda y: -jnp.expm1(-y),
    "softsign": lambda y: (1 - jnp.abs(y)) ** 2,
    "linear": jnp.ones_like,
    "hard_sigmoid_keras2": lambda y: jnp.where((y > 0) & (y < 1), 0.2, 0).astype(y.dtype),
}


def _sigmoid(z: jax.Array) -> jax.Array:
    """Compute the logistic function by way of tanh: fewer instructions on a CPU under XLA."""
    return 0.5 * jnp.tanh(0.5 * z) + 0.5


# Keyed by the function, which is what `resolve` returns.
DIFFERENTIABLE = {
    function: DifferentiableActivation(
        _sigmoid if name == "sigmoid" else function, DERIVATIVES[name]
    )
    for name, function in NAMED.items()
}
