"""The interface of a peer: one LSTM layer with given weights, run on given data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np

from lstmcore.types import LSTMParams


class Layer(ABC):
    """One LSTM layer with `weights`, and a batch `x` [B, T, F] on which it is run.

    Weights and data are converted and moved when the layer is made, which is not timed. Each peer
    has its data in the default layout of its library.
    """

    @abstractmethod
    def __init__(self, weights: LSTMParams, x: np.ndarray) -> None: ...

    @abstractmethod
    def run(self, case: str):
        """Run "forward", "forward_all" or "train" and block until the result is there."""

    @abstractmethod
    def read(self, case: str, result) -> dict[str, np.ndarray]:
        """Return the result of `run` by name, in lstmcore's layout; see `named`."""

    @abstractmethod
    def stream(self) -> Callable[[np.ndarray], np.ndarray]:
        """Return a function from x_t [1, F] to h [1, H] that carries the state, from zeros on."""


def gradient_of_h(x: np.ndarray, units: int) -> np.ndarray:
    """Draw the gradient [B, T, H] from which a training step starts.

    It is given, and not that of a loss, whose time is not that of the LSTM.
    """
    rng = np.random.default_rng(1)
    return rng.normal(size=(*x.shape[:2], units)).astype(np.float32)


def named(case: str, result, *, time_major: bool = False) -> dict[str, np.ndarray]:
    """Return the result of a case by name, in lstmcore's layout.

    Args:
      case: "forward": (h, c); "forward_all": h; "train": (gradients as LSTMParams, dx).
      result: arrays that `np.asarray` takes.
      time_major: whether h and dx are [T, B, ...] rather than [B, T, ...].
    """
    if case == "forward":
        h, c = result
        arrays = {"h": h, "c": c}
    elif case == "forward_all":
        arrays = {"h of all steps": result}
    else:
        gradients, dx = result
        arrays = {
            "gradient of kernel": gradients.kernel,
            "gradient of recurrent_kernel": gradients.recurrent_kernel,
            "gradient of bias": gradients.bias,
            "gradient of x": dx,
        }
        # The layers that are compared have no peepholes and no projection.
        arrays = {name: value for name, value in arrays.items() if value is not None}
    arrays = {name: np.asarray(value) for name, value in arrays.items()}
    if time_major:
        for name in arrays.keys() & {"h of all steps", "gradient of x"}:
            arrays[name] = arrays[name].swapaxes(0, 1)
    return arrays
