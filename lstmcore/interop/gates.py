"""The order of the gates in fused weights, and checked weights of one layer.

Every framework keeps the weights of the four gates side by side in one array, in an order of its
own. It is written as four letters: i (input), f (forget), g (candidate), o (output).
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_params, as_values
from lstmcore.types import LSTMParams

OURS = "ifgo"  # as in Keras, PyTorch, Flax and Equinox


def reorder(fused: Any, source: str, target: str, axis: int = -1) -> np.ndarray:
    """Return fused weights with their gates in another order.

    Args:
      fused: array whose `axis` holds the four gates side by side, 4H in all.
      source: order of the gates in `fused`, such as "iofg".
      target: order of the gates to return.
      axis: the axis of the gates.

    Raises:
      ValueError: an order that does not name each of i, f, g and o once, or an axis that does not
        divide into four.

    Examples:
      >>> import numpy as np
      >>> reorder(np.array([1, 1, 4, 4, 2, 2, 3, 3]), "iofg", "ifgo")
      array([1, 1, 2, 2, 3, 3, 4, 4])
    """
    for order in (source, target):
        if sorted(order) != sorted(OURS):
            raise ValueError(f"the order of gates must name i, f, g and o once each, got {order!r}")
    fused = np.asarray(fused)
    if fused.ndim == 0 or fused.shape[axis] % 4:
        raise ValueError(
            f"the weights of four gates have shape {fused.shape}, whose axis {axis} does not "
            "divide into four"
        )
    gates = dict(zip(source, np.split(fused, 4, axis=axis), strict=True))
    return np.concatenate([gates[gate] for gate in target], axis=axis)


def lstm_params(
    where: str,
    kernel: Any,
    recurrent_kernel: Any,
    bias: Any = None,
    peephole: Any = None,
    projection: Any = None,
) -> LSTMParams:
    """Return LSTMParams of NumPy arrays whose shapes fit together.

    Args:
      where: the layer and its file, for messages, such as "layer 'lstm_1' of model.keras".
      kernel: [F, 4H], gates in the order i, f, g, o.
      recurrent_kernel: [H, 4H]; [P, 4H] with a projection.
      bias: [4H]; None stands for zeros.
      peephole: [3, H] or None.
      projection: [H, P] or None.

    Raises:
      ValueError: shapes or dtypes that do not fit, with `where` before the message.
    """
    kernel = np.asarray(kernel)
    if bias is None:
        bias = np.zeros(kernel.shape[-1:], kernel.dtype)
    arrays = (recurrent_kernel, bias, peephole, projection)
    params = LSTMParams(kernel, *(None if a is None else np.asarray(a) for a in arrays))
    try:
        checks.check_lstm_params(params, "weights")
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    return params


def refuse_path(name: str, weights: Any) -> None:
    """Raise TypeError if a function that takes weights was given the path of a file."""
    if isinstance(weights, str | os.PathLike):
        path = os.fspath(weights)
        raise TypeError(f"{name} takes weights, not a path: lc.interop.read({path!r}) reads a file")


def plain_weights(params: LSTMParams, owner: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return copies of kernel, recurrent_kernel and bias as NumPy arrays.

    Args:
      params: LSTMParams of any arrays.
      owner: whose weights they become, for messages, such as "a cell of Flax".

    Raises:
      ValueError: shapes that do not fit together, or a peephole or projection, which `owner` has
        not.
      TypeError: something else than LSTMParams.
    """
    params = as_params(params, read=as_values)
    checks.check_lstm_params(params)
    for field in ("peephole", "projection"):
        if getattr(params, field) is not None:
            raise ValueError(f"params.{field} has no place in {owner}, which has none")
    return np.array(params.kernel), np.array(params.recurrent_kernel), np.array(params.bias)
