"""Activations y = f(z) with their derivatives in terms of the value y, such as tanh' = 1 - y^2.

In that form the backward pass needs nothing but the gates.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, NoReturn

import numpy as np


class Activation(NamedTuple):
    """An activation and its derivative, which is a function of the value.

    Attributes:
      value: z -> y.
      derivative: y -> dy/dz at the z that gave y.
    """

    value: Callable[[np.ndarray], np.ndarray]
    derivative: Callable[[np.ndarray], np.ndarray]


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. (2017)


def _elu(z: np.ndarray) -> np.ndarray:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def _selu(z: np.ndarray) -> np.ndarray:
    return SELU_SCALE * np.where(z > 0, z, SELU_ALPHA * np.expm1(np.minimum(z, 0)))


NAMED = {
    "tanh": Activation(np.tanh, lambda y: 1 - y**2),
    "sigmoid": Activation(lambda z: 0.5 * np.tanh(0.5 * z) + 0.5, lambda y: y * (1 - y)),
    "hard_sigmoid": Activation(
        lambda z: np.clip(z / 6 + 0.5, 0, 1), lambda y: ((y > 0) & (y < 1)) / y.dtype.type(6)
    ),
    "relu": Activation(lambda z: np.maximum(z, 0), lambda y: y > 0),
    "relu6": Activation(lambda z: np.clip(z, 0, 6), lambda y: (y > 0) & (y < 6)),
    "elu": Activation(_elu, lambda y: np.where(y > 0, 1, y + 1)),
    "selu": Activation(_selu, lambda y: np.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA)),
    "softplus": Activation(lambda z: np.logaddexp(z, 0), lambda y: -np.expm1(-y)),
    "softsign": Activation(lambda z: z / (1 + np.abs(z)), lambda y: (1 - np.abs(y)) ** 2),
    "linear": Activation(lambda z: z, np.ones_like),
    "hard_sigmoid_keras2": Activation(
        lambda z: np.clip(0.2 * z + 0.5, 0, 1), lambda y: ((y > 0) & (y < 1)) / y.dtype.type(5)
    ),
}


def resolve(name: str, activation: str | Callable) -> Activation:
    """Return an activation by its name; `name` is the argument's name in errors.

    A function of the caller's own runs forward alone: its derivative is not known.
    """
    if callable(activation):
        return _of_function(activation)
    if activation not in NAMED:
        raise ValueError(
            f"{name} {activation!r} is not known to the NumPy engine: use one of {', '.join(NAMED)}"
        )
    return NAMED[activation]


def _of_function(function: Callable) -> Activation:
    def no_derivative(y: np.ndarray) -> NoReturn:
        raise ValueError(
            "the backward pass of the NumPy engine needs activations by name: it does not know the "
            f"derivative of {function!r}"
        )

    return Activation(function, no_derivative)


def activate(activation: str | Callable, z: np.ndarray) -> np.ndarray:
    """Apply an activation, given by name or as a function."""
    return resolve("activation", activation).value(z)
