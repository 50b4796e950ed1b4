"""Weights of Equinox's LSTMCell.

weight_ih [4H, F], weight_hh [4H, H] and bias [4H], gates in the order i, f, g, o; use_bias=False
makes bias None. https://docs.kidger.site/equinox/api/nn/rnn
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstmcore.arrays import as_values
from lstmcore.interop.gates import lstm_params, plain_weights
from lstmcore.types import LSTMParams

__all__ = ["from_equinox", "to_equinox"]


def from_equinox(cell: Any) -> LSTMParams:
    """Return the weights of an eqx.nn.LSTMCell.

    Args:
      cell: the cell, or {"weight_ih": array, "weight_hh": array, "bias": array or None}.

    Returns:
      LSTMParams of NumPy arrays.

    Raises:
      ValueError: shapes that do not fit, such as those of a GRUCell.
      TypeError: something else than a cell.

    Examples:
      >>> import numpy as np
      >>> from_equinox({"weight_ih": np.ones((16, 3)), "weight_hh": np.ones((16, 4))}).kernel.shape
      (3, 16)
    """
    arrays = []
    for name in ("weight_ih", "weight_hh", "bias"):
        value = cell.get(name) if isinstance(cell, Mapping) else getattr(cell, name, None)
        if value is None and name != "bias":
            raise TypeError(
                f"cell must be an LSTMCell of Equinox or its arrays, got {type(cell).__name__} "
                f"without {name}: write from_equinox(cell)"
            )
        array = None if value is None else as_values(f"cell.{name}", value)
        arrays.append(None if array is None else np.array(np.transpose(array), order="C"))
    return lstm_params("the cell", *arrays)


def to_equinox(params: LSTMParams) -> dict[str, np.ndarray]:
    """Return the weights of an eqx.nn.LSTMCell.

        where = lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias)
        cell = eqx.tree_at(where, cell, tuple(to_equinox(params).values()))

    Args:
      params: LSTMParams without peephole and projection, which the cell does not have.

    Returns:
      {"weight_ih": array, "weight_hh": array, "bias": array}.

    Raises:
      ValueError: weights that the cell does not have.

    Examples:
      >>> import jax, lstmcore as lc
      >>> to_equinox(lc.init_lstm(jax.random.key(0), 3, 4))["weight_ih"].shape
      (16, 3)
    """
    kernel, recurrent_kernel, bias = plain_weights(params, "an LSTMCell of Equinox")
    arrays = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T, "bias": bias}
    return {name: np.array(array, order="C") for name, array in arrays.items()}
