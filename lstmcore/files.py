"""A trained model as one file: weights as safetensors, hyperparameters as JSON in its metadata.

Nothing is pickled, so loading a file runs no code. Files are written under a temporary name and
renamed when complete: a killed run leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore.io.atomic import atomic_path, flush, temporary_path
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
      ImportError: safetensors is missing.

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
      ImportError: safetensors is missing.
    """
    import jax
    import jax.numpy as jnp

    import lstmcore as lc
    from lstmcore.dtypes import floating_dtype

    contents = read(path)
    model = getattr(lc, contents.model)(**contents.hyperparameters)
    params = {}
    for name, layer in contents.params.items():
        floating_dtype(layer[0].dtype)  # float64 would silently become float32 otherwise
        params[name] = jax.tree.map(jnp.asarray, layer)
    return model, params


class Contents(NamedTuple):
    """What a file says. model: class name; hyperparameters: its arguments; params: NumPy arrays."""

    model: str
    hyperparameters: dict
    params: dict


def read(path: str | os.PathLike) -> Contents:
    """The contents of a file written by `save`, checked, as NumPy arrays; errors as in `load`."""
    metadata, tensors = read_tensors(path)
    if KEY not in metadata:
        raise ValueError(
            f"{path} holds weights, but was not written by lstmcore: files come from lc.save"
        )
    try:
        kind, hyperparameters = _description(metadata[KEY])
        sizes = {k: v for k, v in hyperparameters.items() if k not in activations(kind)}
        layers = LAYOUTS[kind](**sizes)
        params = {name: _layer(name, layer, tensors) for name, layer in layers.items()}
        check_params(params, layers)
    except (LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(
            f"{path} is damaged, or of another version of lstmcore: {error}"
        ) from error
    if tensors:
        raise ValueError(f"{path} is damaged: {next(iter(tensors))!r} belongs to no layer")
    return Contents(kind, hyperparameters, params)


def read_tensors(path: str | os.PathLike) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """(metadata, arrays by name) of any safetensors file.

    Raises:
      ValueError: the file is not a complete one.
      FileNotFoundError: there is no such file.
      ImportError: safetensors is missing.
    """
    path = Path(path)
    _safetensors()
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(
            f"{path} is not a complete safetensors file ({error}): was it cut off, or is it of "
            "another kind?"
        ) from error
    return metadata, tensors


def write_tensors(path: str | os.PathLike, tensors: dict, metadata: dict[str, str]) -> None:
    """Write arrays and metadata into a safetensors file, in one step."""
    data = _serialised(tensors, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def try_tensors(path: str | os.PathLike, tensors: dict, metadata: dict[str, str]) -> None:
    """Fail where `write_tensors` would, as on a full disk, but leave everything as it is."""
    data = _serialised(tensors, metadata)
    with temporary_path(path) as temporary:
        temporary.write_bytes(data)
        flush(temporary)


def _serialised(tensors: dict, metadata: dict[str, str]) -> bytes:
    # safetensors writes the memory of an array as it lies, so a transposed view must be laid out.
    laid_out = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    return _safetensors().save(laid_out, metadata)


def _description(text: str) -> tuple[str, dict]:
    """(model, hyperparameters), checked but for their fit to the weights."""
    description = json.loads(text)
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError("it is not described in format 1")
    kind, hyperparameters = description.get("model"), description.get("hyperparameters")
    if kind not in LAYOUTS or not isinstance(hyperparameters, dict):
        raise ValueError(f"there is no model {kind!r}")
    for name in activations(kind):
        if name == "output_activation" and hyperparameters.get(name) is None:
            continue  # it follows `activation`, and older files do not mention it
        resolve(name, hyperparameters.get(name, ""))
    as_tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in hyperparameters.items()}
    return kind, as_tuples


def _layer(name: str, layer: Layer, tensors: dict):
    """Take the weights of one layer out of the tensors."""
    weights = {}
    for field in layer.shapes():
        if f"{name}/{field}" not in tensors:
            raise ValueError(f"{name}/{field} is missing")
        weights[field] = tensors.pop(f"{name}/{field}")
    for field in layer.optional_shapes():
        if f"{name}/{field}" in tensors:
            weights[field] = tensors.pop(f"{name}/{field}")
    return layer.kind(**weights)


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "saving and loading needs the package safetensors: pip install safetensors"
        ) from error
    return safetensors.numpy
