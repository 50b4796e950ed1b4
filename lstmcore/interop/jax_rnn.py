"""Weights of jax.experimental.rnn, the LSTM of cuDNN: all of a stack in one vector.

The weights are PyTorch's. First come weight_ih and weight_hh of every layer and direction, then
bias_ih and bias_hh of each; a layer's backward direction follows its forward one.
https://docs.jax.dev/en/latest/jax.experimental.rnn.html
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from lstmcore.arrays import as_values
from lstmcore.checks import MOST_LAYERS, check_count
from lstmcore.interop.torch.weights import from_torch, to_torch
from lstmcore.types import LSTMParams

__all__ = ["from_jax_rnn", "to_jax_rnn"]


def from_jax_rnn(
    weights: Any, input_size: int, hidden_size: int, num_layers: int, bidirectional: bool
) -> dict[str, LSTMParams]:
    """Return the weights of a stack of layers; the arguments are those of jax.experimental.rnn.

    Args:
      weights: the vector, as from jax.experimental.rnn.init_lstm_weight.
      input_size, hidden_size: F and H.
      num_layers: number of layers.
      bidirectional: whether each layer has two directions.

    Returns:
      {"lstm_0": LSTMParams, ...}, or "lstm_0_forward", "lstm_0_backward", ...; the two biases are
      added.

    Raises:
      ValueError: another number of weights than these sizes need.

    Examples:
      >>> import numpy as np
      >>> list(from_jax_rnn(np.ones(4 * 4 * (3 + 4 + 2)), 3, 4, 1, False))
      ['lstm_0']
    """
    weights = np.asarray(as_values("weights", weights))
    shapes = _shapes(
        check_count("input_size", input_size),
        check_count("hidden_size", hidden_size),
        check_count("num_layers", num_layers, maximum=MOST_LAYERS),
        2 if bidirectional else 1,
    )
    sizes = {name: math.prod(shape) for name, shape in shapes.items()}
    if weights.shape != (sum(sizes.values()),):
        raise ValueError(
            f"weights has shape {weights.shape}, but input_size={input_size}, "
            f"hidden_size={hidden_size}, num_layers={num_layers} and "
            f"bidirectional={bidirectional} need ({sum(sizes.values())},)"
        )
    ends = np.cumsum(list(sizes.values()))[:-1]
    parts = zip(shapes.items(), np.split(weights, ends), strict=True)
    return from_torch({name: part.reshape(shape) for (name, shape), part in parts})


def to_jax_rnn(params: Mapping[str, LSTMParams]) -> np.ndarray:
    """Return the vector of weights of a stack of layers.

    jax.experimental.rnn computes only in float32.

    Args:
      params: {name: LSTMParams} as `from_jax_rnn` returns them, all of the same number of units.

    Raises:
      ValueError: weights that such a stack does not have: a peephole, a projection, layers of
        different sizes, missing layers.

    Examples:
      >>> import jax, lstmcore as lc
      >>> to_jax_rnn({"lstm_0": lc.init_lstm(jax.random.key(0), 3, 4)}).shape
      (144,)
    """
    state_dict = to_torch(params)
    if projections := [name for name in state_dict if "weight_hr" in name]:
        raise ValueError(
            f"jax.experimental.rnn has no projections, but the layers have {len(projections)}"
        )
    features, units = (state_dict[f"weight_{each}_l0"].shape[1] for each in ("ih", "hh"))
    directions = 2 if "weight_ih_l0_reverse" in state_dict else 1
    layers = len(state_dict) // 4 // directions
    names = _shapes(features, units, layers, directions)
    return np.concatenate([state_dict[name].ravel() for name in names])


def _shapes(features: int, units: int, layers: int, directions: int) -> dict[str, tuple[int, ...]]:
    """Return {name of PyTorch: shape} of the weights in the order of the vector."""
    kernels: dict[str, tuple[int, ...]] = {}
    biases: dict[str, tuple[int, ...]] = {}
    for k in range(layers):
        for direction in ("", "_reverse")[:directions]:
            end = f"_l{k}{direction}"
            kernels[f"weight_ih{end}"] = (4 * units, directions * units if k else features)
            kernels[f"weight_hh{end}"] = (4 * units, units)
            biases[f"bias_ih{end}"] = biases[f"bias_hh{end}"] = (4 * units,)
    return kernels | biases
