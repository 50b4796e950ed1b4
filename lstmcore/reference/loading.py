"""Load a trained model from a file, to run it without JAX."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from functools import partial

import lstmcore


def load(path: str | os.PathLike, model: type | None = None) -> tuple[Callable, dict]:
    """Load a model that `lstmcore.save` wrote, to run it without JAX.

    Args:
      path: the file.
      model: the class, if it is your own; its `apply` must take `ops`.

    Returns:
      (apply, params): the model's own `apply`, computed in NumPy, and its weights as NumPy arrays.

    Raises:
      ValueError: the file is not one of lstmcore's, damaged, or needs JAX (bfloat16 weights).
      TypeError: the `apply` of a class of your own does not take `ops`.
      FileNotFoundError: there is no such file.
    """
    from lstmcore.io.model_file import read_model_file  # so that importing the engine stays cheap

    described, params = read_model_file(path, model)
    if "ops" not in inspect.signature(described.apply).parameters:
        raise TypeError(
            f"the apply of {type(described).__name__} takes no `ops`: write it with ops.lstm in "
            "place of lc.lstm, then it runs in NumPy, too"
        )
    if any(
        str(array.dtype) == "bfloat16"
        for layer in params.values()
        for array in layer
        if array is not None
    ):
        raise ValueError(
            f"{path} holds bfloat16 weights, which NumPy cannot compute with: save float32"
        )
    return partial(described.apply, ops=lstmcore.reference), params
