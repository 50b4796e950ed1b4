"""Read a model and its weights from the file that `lstmcore.save` wrote, without JAX."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

import lstmcore
from lstmcore.io.reading import damaged
from lstmcore.io.tensors import NotTensors, open_tensors
from lstmcore.specs import Layer, check_params

__all__ = ["FORMAT", "KEY", "class_named", "is_model", "model_of", "read_model_file"]

FORMAT = 1
KEY = "lstmcore"  # of the one entry in the file's metadata
OTHERS = (".keras", ".h5", ".hdf5", ".onnx", ".pt", ".pth", ".bin")  # which lc.interop.read reads


def read_model_file(path: str | os.PathLike, model: type | None = None) -> tuple[Any, dict]:
    """Return a model and its weights as NumPy arrays; arguments and errors as `lstmcore.load`."""
    with _named_for_what_it_is(path), open_tensors(path) as file:
        described = file.description(
            KEY, "holds weights, but was not written by lstmcore: files come from lc.save"
        )
        described_model = model_of(path, described, model)
        with damaged(path):
            layers = described_model.layers
            check_params(_params(layers, file.kinds), layers)  # before anything is read
        tensors = file.read()
    return described_model, _params(layers, tensors)


def model_of(path: str | os.PathLike, description: Any, model: type | None = None) -> Any:
    """Return the model that a file describes; errors as `read_model_file`."""
    with damaged(path):
        kind, hyperparameters = _parse(description)
    found = _class_of(path, kind, model)
    with damaged(path):
        return found(**hyperparameters)


@contextmanager
def _named_for_what_it_is(path: str | os.PathLike) -> Iterator[None]:
    """Say of a file that is not one of safetensors what its extension makes of it."""
    try:
        yield
    except NotTensors as error:
        extension = Path(path).suffix.lower()
        if extension in OTHERS:
            raise ValueError(
                f"{path} was not written by lc.save: lc.interop.read reads files of other "
                "frameworks"
            ) from error
        if extension in ("", ".safetensors"):
            raise
        flax = "; of Flax, pass the tree of weights to lc.interop.from_flax"
        raise ValueError(
            f"{path} is not a safetensors file, as lc.save writes, and of other frameworks "
            f"{', '.join(OTHERS)} are read, not {extension}"
            f"{flax if extension == '.msgpack' else ''}"
        ) from error


def is_model(kind: Any) -> bool:
    """Return whether a class describes a model: a dataclass with `layers` and `apply`."""
    return (
        isinstance(kind, type)
        and is_dataclass(kind)
        and all(hasattr(kind, name) for name in ("layers", "apply"))
    )


def class_named(kind: str) -> type | None:
    """Return the model of lstmcore's with this name, or None if there is none."""
    for place in (lstmcore, lstmcore.interop):  # the latter has those of other formats
        if kind in place.__all__ and is_model(found := getattr(place, kind)):
            return found
    return None


def _parse(description: Any) -> tuple[str, dict]:
    """Return (name of the class, hyperparameters)."""
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"it is not described in format {FORMAT}")
    kind, hyperparameters = description.get("model"), description.get("hyperparameters")
    if not isinstance(kind, str) or not isinstance(hyperparameters, dict):
        raise ValueError(f"there is no model {kind!r}")
    if kind == "Forecaster" and "known" in hyperparameters:  # its name in older files
        hyperparameters["future_covariates"] = hyperparameters.pop("known")
    return kind, {name: _as_tuple(value) for name, value in hyperparameters.items()}


def _as_tuple(value: Any) -> Any:
    """Return the lists of a JSON value as tuples, which can be hashed."""
    return tuple(map(_as_tuple, value)) if isinstance(value, list) else value


def _class_of(path: str | os.PathLike, kind: str, given: type | None) -> type:
    """Return the class that the caller gives, or the one of lstmcore's with this name.

    Nothing else is looked up: a file never decides what is imported.
    """
    if given is not None:
        if not is_model(given):
            raise TypeError(f"model must be the class of a model, got {given!r}")
        if given.__name__ != kind:
            raise ValueError(f"{path} holds a model of the class {kind}, not {given.__name__}")
        return given
    found = class_named(kind)
    if found is None:
        raise ValueError(
            f"{path} holds a model of the class {kind!r}, which is not lstmcore's: if it is yours, "
            "name it, load(path, model=...)"
        )
    return found


def _params(layers: Mapping[str, Layer], arrays: Mapping) -> dict:
    """Return the arrays of a file, or their kinds, as weights of layers; none may be left over."""
    remaining, params = dict(arrays), {}
    for name, layer in layers.items():
        for field in layer.shapes():
            if f"{name}/{field}" not in remaining:
                raise ValueError(f"{name}/{field} is missing")
        every = (*layer.shapes(), *layer.optional_shapes())
        fields = {field: remaining.pop(f"{name}/{field}", None) for field in every}
        params[name] = layer.kind(**{field: a for field, a in fields.items() if a is not None})
    if remaining:
        raise ValueError(f"{next(iter(remaining))!r} belongs to no layer")
    return params
