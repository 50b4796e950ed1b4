"""A trained model as one file: weights as safetensors, hyperparameters as JSON in its metadata.

Nothing is pickled, so loading a file runs no code. A file is written under a temporary name and
renamed once it is complete: a killed process leaves the old file or the new one, never a part.
"""

from __future__ import annotations

import json
import os
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore.arrays import check_known
from lstmcore.dtypes import floating_dtype
from lstmcore.io.model_file import KEY, class_named, is_model, read_model_file
from lstmcore.io.tensors import write_tensors
from lstmcore.models.description import described
from lstmcore.specs import check_params

__all__ = ["load", "save"]


def save(path: str | os.PathLike, model: Any, params: dict) -> None:
    """Write a model and its weights into one file.

    Args:
      path: of the file; an existing one is replaced, in one step, once the new one is complete.
      model: one of lstmcore's models, or your own: a dataclass with `layers` and `apply`, whose
        hyperparameters are numbers, texts, tuples of them, or activations by name (or the function
        behind one).
      params: its weights; dtypes are kept.

    Raises:
      TypeError: `model` is none, or a hyperparameter cannot be written as JSON.
      ValueError: params that do not fit the model, or an activation without a name.
      OSError: the file cannot be written.

    Examples:
      >>> import jax, tempfile, lstmcore as lc
      >>> path = tempfile.mkdtemp() + "/model.safetensors"
      >>> model = lc.Autoencoder(features=2, units=(8, 4))
      >>> lc.save(path, model, model.init(jax.random.key(0)))
      >>> loaded_model, params = lc.load(path)
      >>> loaded_model == model, params["encoder_0"].kernel.shape
      (True, (2, 32))
    """
    if not is_model(type(model)):
        raise TypeError(
            "model must be one of lstmcore's or a dataclass with layers and apply, got "
            f"{type(model).__name__}"
        )
    check_known("params", params)
    params = check_params(params, model.layers)
    kind = type(model).__name__
    if class_named(kind) not in (None, type(model)):
        raise ValueError(
            f"lstmcore has a {kind} of its own, which would be loaded in place of yours: rename "
            "the class"
        )
    description = json.dumps(described(model))
    tensors = {
        f"{name}/{field}": getattr(params[name], field)
        for name, layer in model.layers.items()
        for field in (*layer.shapes(), *layer.optional_shapes())
        if getattr(params[name], field) is not None
    }
    write_tensors(path, tensors, {KEY: description})


def load(path: str | os.PathLike, model: type | None = None) -> tuple[Any, dict]:
    """Read a model and its weights from a file written by `save`.

    Args:
      path: the file.
      model: the class of the model, if it is your own; a file never says what is imported.

    Returns:
      (model, params), equal to those that were saved.

    Raises:
      ValueError: the file is damaged, not one of lstmcore's, or its weights do not fit its model.
      FileNotFoundError: there is no such file.
    """
    described, arrays = read_model_file(path, model)
    params = {}
    for name, layer in arrays.items():
        try:
            floating_dtype(layer[0].dtype)  # float64 would silently become float32 otherwise
        except ValueError as error:
            raise ValueError(f"{path} holds weights of {layer[0].dtype}: {error}") from error
        params[name] = jax.tree.map(jnp.asarray, layer)
    return described, params
