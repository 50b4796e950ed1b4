"""Weights of ONNX's LSTM operator and of onnxruntime's DynamicQuantizeLSTM, in and out.

The arrays of the operator, D = 1 or 2 directions, gates in the order i, o, f, c (our g):

W   [D, 4H, F]   from the input
R   [D, 4H, H]   from the previous hidden state
B   [D, 8H]      two biases that are added, or none
P   [D, 3H]      peepholes of the gates i, o, f, or none

https://onnx.ai/onnx/operators/onnx__LSTM.html. The package onnx is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstmcore.checks import check_lstm_params
from lstmcore.interop.gates import OURS, lstm_params, refuse_path, reorder
from lstmcore.types import LSTMParams

__all__ = ["dequantized", "from_onnx", "to_onnx"]

ORDER = "iofg"  # ONNX calls our candidate g "c"
PEEPHOLES = [0, 2, 1]  # i, o, f from i, f, o, and back


def from_onnx(W: Any, R: Any = None, B: Any = None, P: Any = None) -> tuple[LSTMParams, ...]:
    """Return the weights of each direction of an ONNX LSTM node.

    Args:
      W: [D, 4H, F].
      R: [D, 4H, H].
      B: [D, 8H], or None for zeros.
      P: [D, 3H], or None.

    Returns:
      A tuple of D LSTMParams: forward (or the only direction), backward.

    Raises:
      ValueError: shapes or dtypes that do not fit.
      TypeError: the path of a file, or no R.

    Examples:
      >>> import numpy as np
      >>> (params,) = from_onnx(np.ones((1, 12, 2)), np.ones((1, 12, 3)))
      >>> params.kernel.shape, params.recurrent_kernel.shape
      ((2, 12), (3, 12))
    """
    refuse_path("from_onnx", W)
    if R is None:
        raise TypeError("R is missing: from_onnx takes the weights W, R, B and P of an LSTM node")
    return node_params("the LSTM node", W, R, B, P)


def node_params(where: str, W: Any, R: Any, B: Any, P: Any) -> tuple[LSTMParams, ...]:
    """Return what `from_onnx` does; `where` is the node and its file, for messages."""
    W, R = np.asarray(W), np.asarray(R)
    B, P = (None if a is None else np.asarray(a) for a in (B, P))
    if W.ndim != 3 or R.ndim != 3:
        raise ValueError(
            f"{where}: W [D, 4H, F] and R [D, 4H, H] must have three axes, got {list(W.shape)} and "
            f"{list(R.shape)}"
        )
    directions, units, features = R.shape[0], R.shape[2], W.shape[2]
    expected = {
        "W": (W, (directions, 4 * units, features)),
        "R": (R, (directions, 4 * units, units)),
        "B": (B, (directions, 8 * units)),
        "P": (P, (directions, 3 * units)),
    }
    for name, (array, shape) in expected.items():
        if array is not None and array.shape != shape:
            raise ValueError(
                f"{where}: {name} has shape {list(array.shape)}, expected {list(shape)} for "
                f"{directions} direction(s), {features} features and {units} units"
            )
    if directions not in (1, 2):
        raise ValueError(f"{where}: W has {directions} directions, expected 1 or 2")
    if B is not None:
        with np.errstate(all="ignore"):  # weights may hold infinities
            B = B[:, : 4 * units] + B[:, 4 * units :]
    return tuple(
        lstm_params(
            where,
            _columns(W[d]),
            _columns(R[d]),
            None if B is None else reorder(B[d], ORDER, OURS),
            None if P is None else P[d].reshape(3, units)[PEEPHOLES],
        )
        for d in range(directions)
    )


def to_onnx(
    params: LSTMParams | Sequence[LSTMParams],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the arrays W, R, B and P of an ONNX LSTM node.

    Args:
      params: of the one direction, or (forward, backward).

    Returns:
      (W [D, 4H, F], R [D, 4H, H], B [D, 8H], P [D, 3H] or None). All of the bias is in the first
      half of B, and the second half is zeros.

    Raises:
      ValueError: a projection, which the operator does not have, or two directions that do not fit.
      TypeError: neither LSTMParams nor a pair of them.

    Examples:
      >>> import jax, lstmcore as lc
      >>> W, R, B, P = to_onnx(lc.init_lstm(jax.random.key(0), features=2, units=3))
      >>> W.shape, R.shape, B.shape, P
      ((1, 12, 2), (1, 12, 3), (1, 24), None)
    """
    every = (params,) if isinstance(params, LSTMParams) else params
    if not isinstance(every, list | tuple) or len(every) not in (1, 2):
        raise TypeError(f"params must be LSTMParams or a pair of them, got {type(params).__name__}")
    names = ["params"] if isinstance(params, LSTMParams) else ["params[0]", "params[1]"]
    for name, each in zip(names, every, strict=False):
        check_lstm_params(each, name)
        if each.projection is not None:
            raise ValueError(
                f"{name} has a projection, which the LSTM operator of ONNX does not have"
            )
    shapes = {tuple(None if a is None else a.shape for a in each) for each in every}
    if len(shapes) > 1:
        raise ValueError(
            "params[0] and params[1] are the directions of one node and must have equal shapes, "
            f"got {' and '.join(str([None if a is None else a.shape for a in p]) for p in every)}"
        )
    biases = [reorder(each.bias, OURS, ORDER) for each in every]
    peepholes = [each.peephole for each in every if each.peephole is not None]
    return (
        np.stack([_rows(each.kernel) for each in every]),
        np.stack([_rows(each.recurrent_kernel) for each in every]),
        np.stack([np.concatenate([bias, np.zeros_like(bias)]) for bias in biases]),
        np.stack([np.asarray(p)[PEEPHOLES].ravel() for p in peepholes]) if peepholes else None,
    )


def dequantized(quantized: Any, scale: Any, zero_point: Any) -> np.ndarray:
    """Return W or R of a DynamicQuantizeLSTM node as W or R of an LSTM node.

    onnxruntime also rounds the input and the hidden state to 8 bits at every step, which is not
    imitated. Over 100 random layers of 16 to 128 units, its outputs differed from those of a layer
    with these weights by 0.027 at most and 0.002 on average (root mean square), and were further
    from those of the layer before it was quantized.

    Args:
      quantized: [D, F, 4H] or [D, H, 4H], int8 or uint8.
      scale: [D], or [D, 4H] for one scale to a column.
      zero_point: of the shape of `scale`, in the dtype of `quantized`.

    Returns:
      [D, 4H, F] or [D, 4H, H], float32.

    Raises:
      ValueError: shapes or dtypes that do not fit.

    Examples:
      >>> import numpy as np
      >>> dequantized(np.full((1, 2, 4), 3, np.int8), np.array([0.5]), np.zeros(1, np.int8))[0, 0]
      array([1.5, 1.5], dtype=float32)
    """
    quantized, scale, zero_point = (np.asarray(a) for a in (quantized, scale, zero_point))
    if quantized.ndim != 3 or quantized.dtype not in (np.int8, np.uint8):
        raise ValueError(
            "quantized weights must be int8 or uint8 with the axes [D, F, 4H], got "
            f"{quantized.dtype}{list(quantized.shape)}"
        )
    shapes = (quantized.shape[0],), (quantized.shape[0], quantized.shape[2])
    for name, array in (("scale", scale), ("zero_point", zero_point)):
        if array.shape not in shapes or array.shape != scale.shape:
            raise ValueError(
                f"{name} has shape {list(array.shape)} but weights {list(quantized.shape)} need "
                f"{list(shapes[0])}, or {list(shapes[1])} for one to a column"
            )
    rows = (slice(None), None, slice(None) if scale.ndim == 2 else None)
    with np.errstate(all="ignore"):  # scales may be infinite
        weights = (quantized.astype(np.float32) - zero_point[rows]) * scale[rows].astype(np.float32)
    return np.ascontiguousarray(weights.transpose(0, 2, 1), np.float32)


def _columns(rows: np.ndarray) -> np.ndarray:
    """Return [4H, F] of ONNX as [F, 4H] of ours."""
    return np.ascontiguousarray(reorder(rows, ORDER, OURS, axis=0).T)


def _rows(columns: Any) -> np.ndarray:
    return np.ascontiguousarray(reorder(np.asarray(columns).T, OURS, ORDER, axis=0))
