"""A trained model as one file: weights as safetensors, hyperparameters as JSON in its metadata.

Nothing is pickled, so loading a file runs no code. A file is written under a temporary name and
renamed once it is complete: a killed process leaves the old file or the new one, never a part.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore.activations import name_of
from lstmcore.dtypes import floating_dtype
from lstmcore.io.model_file import FORMAT, KEY, read_model_file
from lstmcore.io.reading import damaged
from lstmcore.io.tensors import write_tensors
from lstmcore.models.autoencoders import Autoencoder, CompositeAutoencoder, DenseAutoencoder
from lstmcore.models.forecaster import Forecaster
from lstmcore.models.seq2seq import Seq2Seq
from lstmcore.models.stacked import StackedLSTM
from lstmcore.specs import activations, check_params

__all__ = ["load", "save"]

MODELS = {
    model.__name__: model
    for model in (
        Autoencoder,
        CompositeAutoencoder,
        DenseAutoencoder,
        StackedLSTM,
        Forecaster,
        Seq2Seq,
    )
}


def save(path: str | os.PathLike, model: Any, params: dict) -> None:
    """Write a model and its weights into one file.

    Args:
      path: of the file; an existing one is replaced, in one step, once the new one is complete.
      model: one of lstmcore's models. Its activations must be names (or the function behind one).
      params: its weights; dtypes are kept.

    Raises:
      TypeError: `model` is not one of lstmcore's.
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
    kind = type(model).__name__
    if type(model) not in MODELS.values():
        raise TypeError(f"model must be one of lc.{', lc.'.join(MODELS)}, got {kind}")
    check_params(params, model.layers)
    hyperparameters = {field.name: getattr(model, field.name) for field in fields(model)}
    for name in activations(kind):
        if hyperparameters[name] is None:  # an output_activation that follows `activation`
            continue
        hyperparameters[name] = name_of(hyperparameters[name])
        if hyperparameters[name] is None:
            raise ValueError(
                f"{name} is a function of your own, which a file cannot hold: use one of the names "
                "that lstmcore knows, such as 'tanh'"
            )
    tensors = {
        f"{name}/{field}": getattr(params[name], field)
        for name, layer in model.layers.items()
        for field in (*layer.shapes(), *layer.optional_shapes())
        if getattr(params[name], field) is not None
    }
    description = {"format": FORMAT, "model": kind, "hyperparameters": hyperparameters}
    write_tensors(path, tensors, {KEY: json.dumps(description)})


def load(path: str | os.PathLike) -> tuple[Any, dict]:
    """Read a model and its weights from a file written by `save`.

    Args:
      path: the file.

    Returns:
      (model, params), equal to those that were saved.

    Raises:
      ValueError: the file is damaged, not one of lstmcore's, or its weights do not fit its model.
      FileNotFoundError: there is no such file.
    """
    contents = read_model_file(path)
    with damaged(path):
        model = MODELS[contents.model](**contents.hyperparameters)
    params = {}
    for name, layer in contents.params.items():
        try:
            floating_dtype(layer[0].dtype)  # float64 would silently become float32 otherwise
        except ValueError as error:
            raise ValueError(f"{path} holds weights of {layer[0].dtype}: {error}") from error
        params[name] = jax.tree.map(jnp.asarray, layer)
    return model, params
