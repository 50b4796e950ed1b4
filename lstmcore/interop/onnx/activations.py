"""The activations of ONNX's recurrent operators, with their alpha, beta and clip.

Those that lstmcore knows by name, without a clip, become that name and so take the fast path. Any
other is an `OnnxActivation`, a function for both engines.

https://onnx.ai/onnx/operators/onnx__LSTM.html lists them. Their defaults of alpha and beta are
those of the operators of the same names; Affine and ScaledTanh have none. (Without them,
onnxruntime computes Affine, ScaledTanh and ThresholdedRelu with 0.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lstmcore.formatting import listed

__all__ = ["DEFAULTS", "OnnxActivation", "activation_of", "spelled"]

DEFAULTS: dict[str, tuple[float | None, ...]] = {  # (), (alpha,) or (alpha, beta)
    "Affine": (None, None),
    "Elu": (1.0,),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01,),
    "Relu": (),
    "ScaledTanh": (None, None),
    "Sigmoid": (),
    "Softplus": (),
    "Softsign": (),
    "Tanh": (),
    "ThresholdedRelu": (1.0,),
}
NAMES = {  # that lstmcore has for some of them
    ("Affine", (1.0, 0.0)): "linear",
    ("Elu", (1.0,)): "elu",
    ("HardSigmoid", (0.2, 0.5)): "hard_sigmoid_keras2",
    ("HardSigmoid", (0.166667, 0.5)): "hard_sigmoid",
    ("Relu", ()): "relu",
    ("Sigmoid", ()): "sigmoid",
    ("Softplus", ()): "softplus",
    ("Softsign", ()): "softsign",
    ("Tanh", ()): "tanh",
}
SPELLED = {name.lower(): name for name in DEFAULTS}

FORMULAS: dict[str, Callable] = {
    "Affine": lambda np, z, alpha, beta: alpha * z + beta,
    "Elu": lambda np, z, alpha: np.where(z < 0, alpha * np.expm1(np.minimum(z, 0)), z),
    "HardSigmoid": lambda np, z, alpha, beta: np.clip(alpha * z + beta, 0, 1),
    "LeakyRelu": lambda np, z, alpha: np.where(z < 0, alpha * z, z),
    "Relu": lambda np, z: np.maximum(z, 0),
    "ScaledTanh": lambda np, z, alpha, beta: alpha * np.tanh(beta * z),
    "Sigmoid": lambda np, z: 0.5 * np.tanh(0.5 * z) + 0.5,
    "Softplus": lambda np, z: np.logaddexp(z, np.zeros_like(z)),
    "Softsign": lambda np, z: z / (1 + np.abs(z)),
    "Tanh": lambda np, z: np.tanh(z),
    "ThresholdedRelu": lambda np, z, alpha: np.where(z >= alpha, z, 0),
}


@dataclass(frozen=True)
class OnnxActivation:
    """An activation of ONNX as a function, for arrays of NumPy and of JAX.

    Attributes:
      name: as ONNX spells it.
      constants: (), (alpha,) or (alpha, beta).
      clip: z is limited to [-clip, clip] first; None for no limit.

    Examples:
      >>> import numpy as np
      >>> OnnxActivation("LeakyRelu", (0.1,), clip=2.0)(np.array([-5.0, 1.0, 5.0]))
      array([-0.2,  1. ,  2. ])
    """

    name: str
    constants: tuple[float, ...] = ()
    clip: float | None = None

    def __call__(self, z: Any) -> Any:
        """Return the activation of z."""
        np = z.__array_namespace__()
        if self.clip is not None:
            z = np.clip(z, -self.clip, self.clip)
        return FORMULAS[self.name](np, z, *self.constants)


def spelled(
    names: Sequence[str], alphas: Sequence[float] = (), betas: Sequence[float] = ()
) -> tuple[tuple[str, tuple[float, ...]], ...]:
    """Return each activation with its constants, as the attributes of a node list them.

    Args:
      names: of the activations, in any case.
      alphas: in the order of the activations that have one; the defaults stand for the rest.
      betas: the same for the second constant.

    Raises:
      ValueError: an unknown activation, a missing constant that has no default, or more constants
        than the activations take.

    Examples:
      >>> spelled(["tanh", "HardSigmoid", "LeakyRelu"], alphas=[0.3], betas=[0.4])
      (('Tanh', ()), ('HardSigmoid', (0.3, 0.4)), ('LeakyRelu', (0.01,)))
    """
    remaining = [list(alphas), list(betas)]
    result = []
    for given in names:
        if (name := SPELLED.get(str(given).lower())) is None:
            raise ValueError(
                f"activation {given!r} is not known: ONNX has {listed(list(DEFAULTS))}"
            )
        constants = []
        for kind, default in zip(remaining, DEFAULTS[name], strict=False):
            constant = kind.pop(0) if kind else default
            if constant is None:
                raise ValueError(
                    f"{name} needs activation_alpha and activation_beta, which have no default"
                )
            constants.append(float(constant))
        result.append((name, tuple(constants)))
    for argument, rest in zip(("activation_alpha", "activation_beta"), remaining, strict=True):
        if rest:
            raise ValueError(
                f"{argument} has {len(rest)} more values than the activations "
                f"{listed(list(names))} take"
            )
    return tuple(result)


def activation_of(
    name: str, constants: tuple[float, ...] = (), clip: float | None = None
) -> str | OnnxActivation:
    """Return the name that lstmcore has for an activation of ONNX, or else the function.

    Examples:
      >>> activation_of("Tanh"), activation_of("HardSigmoid", (0.2, 0.5))
      ('tanh', 'hard_sigmoid_keras2')
      >>> activation_of("Tanh", clip=3.0)
      OnnxActivation(name='Tanh', constants=(), clip=3.0)
    """
    rounded = tuple(float(f"{constant:.6g}") for constant in constants)  # stored as float32
    if clip is None and (named := NAMES.get((name, rounded))):
        return named
    return OnnxActivation(name, constants, clip)
