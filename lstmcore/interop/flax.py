"""Weights of Flax's LSTMCell and OptimizedLSTMCell, of linen and of nnx.

LSTMCell has a kernel for each gate, "ii", "if", "ig", "io" [F, H] from the input and "hi", "hf",
"hg", "ho" [H, H] from the hidden state, these with a bias [H]. In nnx "if" is "if_", a word of
Python being no attribute. The OptimizedLSTMCell of nnx has them side by side in the order i, f, g,
o: "dense_i" [F, 4H] and "dense_h" [H, 4H] with a bias [4H]; that of linen has those of LSTMCell.
https://flax.readthedocs.io/en/stable/api_reference/flax.nnx/nn/recurrent.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from lstmcore.arrays import as_values
from lstmcore.checks import check_choice
from lstmcore.formatting import few
from lstmcore.interop.gates import OURS, lstm_params, plain_weights
from lstmcore.types import LSTMParams

__all__ = ["from_flax", "to_flax"]

WRAPPERS = ("params", "cell")  # of nn.Module.init, and of nn.RNN
LAYOUTS = ("linen", "nnx", "nnx_optimized")


def from_flax(cell: Any) -> LSTMParams:
    """Return the weights of an LSTMCell or OptimizedLSTMCell.

    The cell's functions, gate_fn and activation_fn, are not among its weights. Its carry is (c, h).

    Args:
      cell: of linen what `init` returned, {"params": ...} or inside it; of nnx the cell, its state
        or its state as a dict.

    Returns:
      LSTMParams of NumPy arrays.

    Raises:
      ValueError: missing weights, or shapes that do not fit; the message names them.
      TypeError: something else than a cell or its weights.

    Examples:
      >>> import numpy as np
      >>> kernels = {f"i{gate}": {"kernel": np.ones((3, 4))} for gate in "ifgo"}
      >>> recurrent = {"kernel": np.ones((4, 4)), "bias": np.ones(4)}
      >>> from_flax({**kernels, **{f"h{gate}": recurrent for gate in "ifgo"}}).kernel.shape
      (3, 16)
    """
    while isinstance(cell, Mapping) and len(cell) == 1 and set(cell) <= set(WRAPPERS):
        (cell,) = cell.values()
    if "dense_i" in _names(cell):
        return lstm_params(
            "the cell",
            _array(cell, "dense_i", "kernel"),
            _array(cell, "dense_h", "kernel"),
            _array(cell, "dense_h", "bias"),
        )
    forget = "if_" if "if_" in _names(cell) else "if"
    inputs = [{"if": forget}.get(f"i{gate}", f"i{gate}") for gate in OURS]
    hidden = [f"h{gate}" for gate in OURS]
    return lstm_params(
        "the cell",
        _side_by_side(cell, inputs, "kernel"),
        _side_by_side(cell, hidden, "kernel"),
        _side_by_side(cell, hidden, "bias"),
    )


def to_flax(params: LSTMParams, layout: str = "linen") -> dict[str, dict[str, np.ndarray]]:
    """Return the weights of an LSTMCell or OptimizedLSTMCell.

        cell.apply({"params": to_flax(params)}, carry, x)  # linen
        nnx.update(cell, to_flax(params, "nnx"))  # nnx

    Args:
      params: LSTMParams without peephole and projection, which these cells do not have.
      layout: "linen", for both cells; "nnx" for its LSTMCell, "nnx_optimized" for its
        OptimizedLSTMCell.

    Raises:
      ValueError: weights that the cell does not have, or an unknown layout.

    Examples:
      >>> import jax, lstmcore as lc
      >>> params = lc.init_lstm(jax.random.key(0), 3, 4)
      >>> to_flax(params)["hf"]["bias"], to_flax(params, "nnx_optimized")["dense_i"]["kernel"].shape
      (array([1., 1., 1., 1.], dtype=float32), (3, 16))
    """
    check_choice("layout", layout, LAYOUTS)
    kernel, recurrent_kernel, bias = plain_weights(params, "a cell of Flax")
    if layout == "nnx_optimized":
        return {
            "dense_i": {"kernel": kernel},
            "dense_h": {"kernel": recurrent_kernel, "bias": bias},
        }
    kernels, recurrent, biases = (np.split(a, 4, -1) for a in (kernel, recurrent_kernel, bias))
    tree = {f"i{gate}": {"kernel": w.copy()} for gate, w in zip(OURS, kernels, strict=True)}
    for gate, u, b in zip(OURS, recurrent, biases, strict=True):
        tree[f"h{gate}"] = {"kernel": u.copy(), "bias": b.copy()}
    if layout == "nnx":
        tree["if_"] = tree.pop("if")
    return tree


def _names(cell: Any) -> list[str]:
    """Return the names of what a cell, or a tree of its weights, consists of."""
    if isinstance(cell, Mapping):
        return list(map(str, cell))
    if not hasattr(cell, "__dict__"):
        raise TypeError(
            f"cell must be a cell of Flax or its weights, got {type(cell).__name__}: write "
            "from_flax(variables) or from_flax(nnx_cell)"
        )
    return list(vars(cell))


def _array(cell: Any, *path: str) -> np.ndarray:
    """Return the weights at a path, such as ("hi", "kernel")."""
    value, where = cell, "the cell"
    for name in path:
        if name not in _names(value):
            raise ValueError(
                f"{where} has no {name!r}, as an LSTMCell of Flax has, but {few(_names(value))}"
            )
        value = value[name] if isinstance(value, Mapping) else getattr(value, name)
        where = name
    array = as_values(".".join(path), value)
    return np.array(array)


def _side_by_side(cell: Any, names: list[str], field: str) -> np.ndarray:
    """Return the weights of the four gates in one array."""
    arrays = [_array(cell, name, field) for name in names]
    for name, array in zip(names, arrays, strict=True):
        if array.shape != arrays[0].shape:
            raise ValueError(
                f"{name}.{field} has shape {array.shape}, but {names[0]}.{field} "
                f"{arrays[0].shape}: all gates have the same"
            )
    return np.concatenate(arrays, axis=-1)
