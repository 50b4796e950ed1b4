"""Weights of Haiku's LSTM.

One linear layer reads the input and the hidden state side by side: w [F + H, 4H] and b [4H], gates
in the order i, g, f, o. At run time Haiku adds 1 to the forget gate (Jozefowicz et al. 2015, "An
empirical exploration of recurrent network architectures"), which is part of the bias here.

That addition and its inverse are exact for biases of the forget gate from 0.5 on, such as the usual
1. Smaller ones have more digits than their sum with 1 can hold: they come back with an error of at
most half a unit in the last place of 1 + |b|: 6e-8 for |b| < 1 in float32, 1.1e-16 in float64.
https://dm-haiku.readthedocs.io/en/latest/api.html#lstm
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstmcore.arrays import as_values
from lstmcore.formatting import few
from lstmcore.interop.gates import OURS, lstm_params, plain_weights, reorder
from lstmcore.types import LSTMParams

__all__ = ["from_haiku", "to_haiku"]

ORDER = "igfo"


def from_haiku(params: Mapping[str, Any], name: str = "lstm/linear") -> LSTMParams:
    """Return the weights of an hk.LSTM.

    Args:
      params: what the `init` of hk.transform returned, {name of a module: {"w": ..., "b": ...}}.
      name: of the linear layer of the LSTM; that of the second is "lstm_1/linear".

    Returns:
      LSTMParams of NumPy arrays, the 1 that Haiku adds to the forget gate among its bias.

    Raises:
      ValueError: no such module, or shapes that do not fit.
      TypeError: something else than a dict.

    Examples:
      >>> import numpy as np
      >>> params = {"lstm/linear": {"w": np.ones((7, 16)), "b": np.zeros(16)}}
      >>> from_haiku(params).bias
      array([0., 0., 0., 0., 1., 1., 1., 1., 0., 0., 0., 0., 0., 0., 0., 0.])
    """
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params must be a dict of modules, got {type(params).__name__}: write "
            "from_haiku(transformed.init(key, x))"
        )
    if name not in params:
        raise ValueError(f"there is no module {name!r}, but {few(list(map(str, params)))}: name=")
    module = params[name]
    if not isinstance(module, Mapping) or not {"w", "b"} <= module.keys():
        raise ValueError(f"{name!r} is not a linear layer: it has no 'w' and 'b'")
    w, b = (np.asarray(as_values(f"{name}/{leaf}", module[leaf])) for leaf in ("w", "b"))
    units = w.shape[-1] // 4 if w.ndim else 0
    if w.ndim != 2 or b.shape != (4 * units,) or w.shape[1] != 4 * units or len(w) <= units:
        raise ValueError(
            f"{name!r} has w {w.shape} and b {b.shape}, expected (F + H, 4H) and (4H,) of an LSTM"
        )
    kernel, bias = reorder(w, ORDER, OURS), reorder(b, ORDER, OURS)
    bias[units : 2 * units] += 1
    return lstm_params(repr(name), kernel[:-units], kernel[-units:], bias)


def to_haiku(params: LSTMParams, name: str = "lstm/linear") -> dict[str, dict[str, np.ndarray]]:
    """Return the weights of an hk.LSTM.

        transformed.apply({**variables, **to_haiku(params)}, None, x)

    Args:
      params: LSTMParams without peephole and projection, which it does not have.
      name: of the linear layer of the LSTM.

    Returns:
      {name: {"w": array, "b": array}}, from whose bias the 1 is taken that Haiku adds.

    Raises:
      ValueError: weights that it does not have.

    Examples:
      >>> import jax, lstmcore as lc
      >>> to_haiku(lc.init_lstm(jax.random.key(0), 3, 4))["lstm/linear"]["w"].shape
      (7, 16)
    """
    kernel, recurrent_kernel, bias = plain_weights(params, "an LSTM of Haiku")
    units = len(recurrent_kernel)
    bias[units : 2 * units] -= 1
    w = reorder(np.concatenate([kernel, recurrent_kernel]), OURS, ORDER)
    return {name: {"w": w, "b": reorder(bias, OURS, ORDER)}}
