"""A trained model as one file: weights as safetensors, hyperparameters as JSON in its metadata.

Nothing is pickled, so loading a file runs no code. Files are written under a temporary name and
renamed when complete: a killed run leaves the old file or the new one, never half of one.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore.types import DenseParams, LSTMParams

__all__ = ["load", "save"]

MODELS = ("Autoencoder", "CompositeAutoencoder", "StackedLSTM")
FORMAT = "1"


def save(path: str | os.PathLike, model, params: dict) -> None:
    """Write a model and its weights into one file.

    Args:
      path: where to; an existing file is replaced, in one step, once the new one is complete.
      model: one of lstmcore's models. Its activations must be names (or the function behind one).
      params: its weights; dtypes are kept.

    Raises:
      TypeError: a model of another kind.
      ValueError: params of another model, or an activation without a name.
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
    from lstmcore.stack import check_layers

    kind = type(model).__name__
    if kind not in MODELS or not type(model).__module__.startswith("lstmcore."):
        raise TypeError(f"model must be one of lc.{', lc.'.join(MODELS)}, got {kind}")
    check_layers(model, params, edits=None)
    hyperparameters = asdict(model)
    for name in ("activation", "recurrent_activation"):
        hyperparameters[name] = word_for(hyperparameters[name])
        if hyperparameters[name] is None:
            raise ValueError(
                f"{name} is a function of your own, which a file cannot hold: use one of the names "
                "that lstmcore knows, such as 'tanh'"
            )
    tensors = {
        f"{layer}/{field}": np.asarray(value)
        for layer, weights in params.items()
        for field, value in zip(weights._fields, weights, strict=True)
    }
    metadata = {
        "lstmcore_format": FORMAT,
        "model": kind,
        "hyperparameters": json.dumps(hyperparameters),
        "layers": json.dumps(list(params)),
    }
    data = _safetensors().save(tensors, metadata)
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


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

    from lstmcore import models
    from lstmcore.cell import floating_dtype

    contents = read(path)
    try:
        model = getattr(models, contents.model)(**contents.hyperparameters)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} describes no valid {contents.model}: {error}") from error
    expected = jax.eval_shape(model.init, jax.random.key(0))
    if jax.tree.map(np.shape, contents.params) != jax.tree.map(np.shape, expected):
        raise ValueError(
            f"{path} is damaged: its weights do not have the shapes of its model {model}"
        )
    for leaf in jax.tree.leaves(contents.params):
        floating_dtype(leaf.dtype)
    return model, jax.tree.map(jax.numpy.asarray, contents.params)


class Contents(NamedTuple):
    """What a file says. model: class name; hyperparameters: its arguments; params: NumPy arrays."""

    model: str
    hyperparameters: dict
    params: dict


def read(path: str | os.PathLike) -> Contents:
    """The contents of a file written by `save`, as NumPy arrays; errors as in `load`."""
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
    if metadata.get("lstmcore_format") != FORMAT or metadata.get("model") not in MODELS:
        raise ValueError(
            f"{path} holds weights, but not of an lstmcore model that this version knows: "
            "files come from lc.save"
        )
    try:
        hyperparameters = json.loads(metadata["hyperparameters"])
        params = {layer: _layer(layer, tensors) for layer in json.loads(metadata["layers"])}
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: its description is incomplete ({error})") from error
    return Contents(metadata["model"], hyperparameters, params)


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path` to write to; renamed to `path` on success, else removed."""
    path = Path(path)
    temporary = path.with_name(f".{path.stem}-{uuid.uuid4().hex}{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())  # or a power cut could leave the new name on an empty file
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _layer(layer: str, tensors: dict) -> LSTMParams | DenseParams:
    kind = LSTMParams if f"{layer}/recurrent_kernel" in tensors else DenseParams
    return kind(*(tensors[f"{layer}/{field}"] for field in kind._fields))


def _safetensors():
    try:
        import safetensors.numpy
    except ImportError as error:
        raise ImportError(
            "saving and loading needs the package safetensors: pip install 'lstmcore[cli]'"
        ) from error
    return safetensors.numpy
