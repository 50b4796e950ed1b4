"""A trained model as one file: weights as safetensors, hyperparameters as JSON in its metadata.

Nothing is pickled, so loading a file runs no code. Files are written under a temporary name and
renamed when complete: a killed run leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import fields
from typing import NamedTuple

from lstmcore.io.reading import damaged
from lstmcore.io.tensors import open_tensors, write_tensors
from lstmcore.layout import Layer, activations, check_params
from lstmcore.layouts import LAYOUTS
from lstmcore.reference.activations import resolve

__all__ = ["load", "save"]

FORMAT = 1
KEY = "lstmcore"  # of the one entry in the file's metadata


def save(path: str | os.PathLike, model, params: dict) -> None:
    """Write a model and its weights into one file.

    Args:
      path: where to; an existing file is replaced, in one step, once the new one is complete.
      model: one of lstmcore's models. Its activations must be names (or the function behind one).
      params: its weights; dtypes are kept.

    Raises:
      TypeError: a model of another kind.
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
    from lstmcore.activations import word_for

    kind = type(model).__name__
    if kind not in LAYOUTS or not type(model).__module__.startswith("lstmcore."):
        raise TypeError(f"model must be one of lc.{', lc.'.join(LAYOUTS)}, got {kind}")
    check_params(params, model.layers)
    hyperparameters = {field.name: getattr(model, field.name) for field in fields(model)}
    for name in activations(kind):
        if hyperparameters[name] is None:  # an output_activation that follows `activation`
            continue
        hyperparameters[name] = word_for(hyperparameters[name])
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


def load(path: str | os.PathLike) -> tuple:
    """Read a model and its weights back from a file written by `save`.

    Args:
      path: the file.

    Returns:
      (model, params), equal to what was saved.

    Raises:
      ValueError: the file is damaged, not one of lstmcore's, or its weights do not fit its model.
      FileNotFoundError: there is no such file.
    """
    import jax
    import jax.numpy as jnp

    import lstmcore as lc
    from lstmcore.dtypes import floating_dtype

    contents = read(path)
    with damaged(path):
        model = getattr(lc, contents.model)(**contents.hyperparameters)
    params = {}
    for name, layer in contents.params.items():
        try:
            floating_dtype(layer[0].dtype)  # float64 would silently become float32 otherwise
        except ValueError as error:
            raise ValueError(f"{path} holds weights of {layer[0].dtype}: {error}") from error
        params[name] = jax.tree.map(jnp.asarray, layer)
    return model, params


class Contents(NamedTuple):
    """What a file says. model: class name; hyperparameters: its arguments; params: NumPy arrays."""

    model: str
    hyperparameters: dict
    params: dict


def read(path: str | os.PathLike) -> Contents:
    """The contents of a file written by `save`, checked, as NumPy arrays; errors as in `load`."""
    with open_tensors(path) as file:
        described = file.description(
            KEY, "holds weights, but was not written by lstmcore: files come from lc.save"
        )
        with damaged(path):
            kind, hyperparameters = _parse(described)
            sizes = {k: v for k, v in hyperparameters.items() if k not in activations(kind)}
            layers = LAYOUTS[kind](**sizes)
            check_params(_params(layers, file.kinds), layers)  # before anything is read
        tensors = file.read()
    return Contents(kind, hyperparameters, _params(layers, tensors))


def _parse(description) -> tuple[str, dict]:
    """(model, hyperparameters), checked but for their fit to the weights."""
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"it is not described in format {FORMAT}")
    kind, hyperparameters = description.get("model"), description.get("hyperparameters")
    if not isinstance(kind, str) or kind not in LAYOUTS or not isinstance(hyperparameters, dict):
        raise ValueError(f"there is no model {kind!r}")
    for name in activations(kind):
        if name == "output_activation" and hyperparameters.get(name) is None:
            continue  # it follows `activation`, and older files do not mention it
        resolve(name, hyperparameters.get(name, ""))
    as_tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in hyperparameters.items()}
    return kind, as_tuples


def _params(layers: Mapping[str, Layer], arrays: Mapping) -> dict:
    """The arrays of a file, or their kinds, as weights of layers: each belongs to one of them."""
    left, params = dict(arrays), {}
    for name, layer in layers.items():
        for field in layer.shapes():
            if f"{name}/{field}" not in left:
                raise ValueError(f"{name}/{field} is missing")
        every = (*layer.shapes(), *layer.optional_shapes())
        fields = {field: left.pop(f"{name}/{field}", None) for field in every}
        params[name] = layer.kind(**{field: a for field, a in fields.items() if a is not None})
    if left:
        raise ValueError(f"{next(iter(left))!r} belongs to no layer")
    return params
