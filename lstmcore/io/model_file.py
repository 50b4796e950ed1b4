"""Read the file of a model, as `lstmcore.save` writes it, into NumPy arrays, without JAX."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from lstmcore.checks import check_choice
from lstmcore.io.reading import damaged
from lstmcore.io.tensors import open_tensors
from lstmcore.specs import ACTIVATIONS, LAYERS_OF, Layer, activations, check_params

__all__ = ["FORMAT", "KEY", "Contents", "read_model_file"]

FORMAT = 1
KEY = "lstmcore"  # of the one entry in the file's metadata


class Contents(NamedTuple):
    """Contents of a model file.

    Attributes:
      model: name of its class.
      hyperparameters: arguments of the class.
      params: weights as NumPy arrays.
    """

    model: str
    hyperparameters: dict
    params: dict


def read_model_file(path: str | os.PathLike) -> Contents:
    """Read a file that `lstmcore.save` wrote, as NumPy arrays; raises as `lstmcore.load`."""
    with open_tensors(path) as file:
        described = file.description(
            KEY, "holds weights, but was not written by lstmcore: files come from lc.save"
        )
        with damaged(path):
            kind, hyperparameters = _parse(described)
            sizes = {k: v for k, v in hyperparameters.items() if k not in activations(kind)}
            layers = LAYERS_OF[kind](**sizes)
            check_params(_params(layers, file.kinds), layers)  # before anything is read
        tensors = file.read()
    return Contents(kind, hyperparameters, _params(layers, tensors))


def _parse(description) -> tuple[str, dict]:
    """Return (model, hyperparameters), checked in all but their fit to the weights."""
    if not isinstance(description, dict) or description.get("format") != FORMAT:
        raise ValueError(f"it is not described in format {FORMAT}")
    kind, hyperparameters = description.get("model"), description.get("hyperparameters")
    if not isinstance(kind, str) or kind not in LAYERS_OF or not isinstance(hyperparameters, dict):
        raise ValueError(f"there is no model {kind!r}")
    for name in activations(kind):
        if name == "output_activation" and hyperparameters.get(name) is None:
            continue  # it defaults to `activation`, and older files do not mention it
        check_choice(name, hyperparameters.get(name), ACTIVATIONS)
    if "known" in hyperparameters:  # its name in older files
        hyperparameters["future_covariates"] = hyperparameters.pop("known")
    as_tuples = {k: tuple(v) if isinstance(v, list) else v for k, v in hyperparameters.items()}
    return kind, as_tuples


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
