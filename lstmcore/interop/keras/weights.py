"""Weights of Keras's LSTM layers, in and out.

    params = lc.interop.from_keras(layer)           # keras.layers.LSTM, or layer.get_weights()
    layer.set_weights(lc.interop.to_keras(params))

Keras keeps the gates in our order: i, f, g (its "c"), o. What differs: without a bias there are two
arrays, a Bidirectional layer has those of both directions in one list, and the CuDNNLSTM of Keras 2
keeps each kernel in cuDNN's layout. Keras itself is not needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lstmcore.interop.gates import lstm_params, refuse_path
from lstmcore.types import LSTMParams

__all__ = ["from_keras", "lstm_weights", "to_keras"]

LSTMPair = tuple[LSTMParams, LSTMParams]


def from_keras(layer_or_weights: Any) -> LSTMParams | LSTMPair:
    """Return the weights of a Keras LSTM layer.

    Args:
      layer_or_weights: a layer LSTM, Bidirectional (of an LSTM) or CuDNNLSTM of Keras, or the list
        that its `get_weights()` returns: kernel [F, 4H], recurrent_kernel [H, 4H] and, unless it
        was made with use_bias=False, bias [4H]. A bias of [8H] is the mark of CuDNNLSTM; its
        kernels are then converted, too.

    Returns:
      LSTMParams; of a Bidirectional layer a pair, (forward, backward). A missing bias is zeros.

    Raises:
      ValueError: weights of another layer, such as a GRU, or shapes that do not fit.
      TypeError: neither a layer nor a list of arrays, such as the path of a file.

    Examples:
      >>> import numpy as np
      >>> from_keras([np.ones((2, 12)), np.ones((3, 12))]).bias.shape  # use_bias=False
      (12,)
    """
    refuse_path("from_keras", layer_or_weights)
    return lstm_weights(_weights_of(layer_or_weights), "the weights of the Keras layer")


def lstm_weights(weights: Sequence[np.ndarray], where: str) -> LSTMParams | LSTMPair:
    """Return what `from_keras` does, of the layer that messages call `where`."""
    shapes = ", ".join(str(list(array.shape)) for array in weights) or "none"
    if len(weights) not in (2, 3, 4, 6):
        raise ValueError(
            f"{where}: an LSTM has 2 or 3 arrays (kernel, recurrent_kernel, bias), a Bidirectional "
            f"one 4 or 6, got {len(weights)}: {shapes}"
        )
    if len(weights) < 4:
        return _one_direction(weights, where, shapes)
    half = len(weights) // 2
    forward, backward = weights[:half], weights[half:]
    return (
        _one_direction(forward, f"{where}, forward", shapes),
        _one_direction(backward, f"{where}, backward", shapes),
    )


def to_keras(params: LSTMParams | LSTMPair) -> list[np.ndarray]:
    """Return the list of weights for `set_weights` of a Keras LSTM layer.

    Args:
      params: LSTMParams; a pair (forward, backward) for a Bidirectional layer.

    Raises:
      ValueError: a peephole or a projection, which Keras's LSTM does not have, or shapes that do
        not fit.
      TypeError: neither LSTMParams nor a pair of them.

    Examples:
      >>> import numpy as np
      >>> params = from_keras([np.ones((2, 12)), np.ones((3, 12)), np.ones(12)])
      >>> [array.shape for array in to_keras(params)]
      [(2, 12), (3, 12), (12,)]
    """
    if isinstance(params, LSTMParams):
        return _keras_arrays(params, "params")
    if not (
        isinstance(params, tuple | list)
        and len(params) == 2
        and all(isinstance(each, LSTMParams) for each in params)
    ):
        raise TypeError(
            "params must be LSTMParams, or a pair of them for a Bidirectional layer, got "
            f"{type(params).__name__}"
        )
    return [
        array
        for place, each in enumerate(params)
        for array in _keras_arrays(each, f"params[{place}]")
    ]


def _weights_of(layer_or_weights: Any) -> list[np.ndarray]:
    """Return the weights of a layer, or those in a list, as NumPy arrays."""
    found = layer_or_weights
    if (variables := getattr(found, "weights", None)) is not None:  # get_weights of Keras 3 warns
        found = [getattr(variable, "value", variable) for variable in variables]
        if any(map(callable, found)):  # Keras 2: `value` is a method
            found = layer_or_weights.get_weights()
    if not isinstance(found, Sequence) or isinstance(found, str | bytes | LSTMParams):
        raise TypeError(
            "from_keras takes a Keras layer or the list of its weights, layer.get_weights(), got "
            f"{type(layer_or_weights).__name__}"
        )
    return [np.asarray(array) for array in found]


def _one_direction(weights: Sequence[np.ndarray], where: str, shapes: str) -> LSTMParams:
    """Return LSTMParams of two or three arrays."""
    kernel, recurrent_kernel, *bias = weights
    units = recurrent_kernel.shape[0] if recurrent_kernel.ndim == 2 else 0
    if kernel.ndim != 2 or not units or recurrent_kernel.shape[1] != 4 * units:
        gru = units and recurrent_kernel.shape[1] == 3 * units
        other = " (these look like a GRU's, which has three gates)" if gru else ""
        raise ValueError(
            f"{where}: an LSTM has kernel [F, 4H], recurrent_kernel [H, 4H] and bias [4H], got "
            f"{shapes}{other}"
        )
    if bias and bias[0].shape == (8 * units,) and kernel.shape[1] == 4 * units:
        kernel, recurrent_kernel, bias = _from_cudnn(kernel, recurrent_kernel, bias[0])
    return lstm_params(where, kernel, recurrent_kernel, *bias)


def _from_cudnn(
    kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray
) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Return the weights of a CuDNNLSTM of Keras 2 in the layout of its LSTM.

    cuDNN keeps the matrix of each gate transposed: [H, F], row by row. Keras 2 stores these numbers
    under the shape [F, H], and two biases that are added.
    """
    gates = [
        gate.reshape(gate.shape[::-1]).T for gate in map(np.array, np.split(kernel, 4, axis=1))
    ]
    recurrent = [gate.T for gate in np.split(recurrent_kernel, 4, axis=1)]
    both = np.split(bias, 2)
    return np.hstack(gates), np.hstack(recurrent), [both[0] + both[1]]


def _keras_arrays(params: LSTMParams, where: str) -> list[np.ndarray]:
    """Return kernel, recurrent_kernel and bias, checked."""
    for field in ("peephole", "projection"):
        if getattr(params, field) is not None:
            raise ValueError(f"{where} has a {field}, which the LSTM of Keras does not have")
    checked = lstm_params(where, *params[:3])
    return [np.asarray(array) for array in checked[:3]]
