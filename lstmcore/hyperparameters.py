"""What the models share: their activations, and their sizes as a layout reads them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from lstmcore import layout
from lstmcore.activations import resolve


def normalise(model) -> None:
    """Check the sizes and turn them into plain ints, which compare, hash and save well."""
    features, units = layout.check_sizes(model.features, model.units)
    object.__setattr__(model, "features", features)
    object.__setattr__(model, "units", units)
    for name in ("steps", "outputs"):
        if isinstance(getattr(model, name, None), np.integer):
            object.__setattr__(model, name, int(getattr(model, name)))
    check_activations(model)
    _ = model.layers  # describing them checks what is left: steps, outputs, flags
    for name in ("conditional", "tied", "residual"):
        if hasattr(model, name):
            object.__setattr__(model, name, bool(getattr(model, name)))


def check_activations(model) -> None:
    """Each is known or a function; the output activation may follow `activation`."""
    for name, value in activations_of(model).items():
        if name != "output_activation" or value is not None:
            resolve(name, value)


def activations_of(model) -> dict[str, Any]:
    """The keyword arguments of `lc.lstm`; of a dense model, which has no gates, `activation`."""
    return {name: getattr(model, name) for name in layout.activations(type(model).__name__)}


def sizes_of(model) -> dict[str, Any]:
    """All other hyperparameters."""
    every = {field.name: getattr(model, field.name) for field in fields(model)}
    return {name: value for name, value in every.items() if name not in activations_of(model)}


def is_value(value) -> bool:
    """Whether equal means the same: a model, for instance, made again with the same sizes."""
    try:
        hash(value)
    except TypeError:
        return False
    parameters = getattr(value, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen
