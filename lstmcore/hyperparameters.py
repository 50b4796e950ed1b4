"""What the models share: their activations, and their sizes as a layout reads them."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from lstmcore.activations import resolve

ACTIVATIONS = ("activation", "recurrent_activation", "output_activation")


def check_activations(model) -> None:
    """Each is known or a function; the output activation may follow `activation`."""
    for name, value in activations_of(model).items():
        if name != "output_activation" or value is not None:
            resolve(name, value)


def activations_of(model) -> dict[str, Any]:
    """The keyword arguments of `lc.lstm`."""
    return {name: getattr(model, name) for name in ACTIVATIONS}


def sizes_of(model) -> dict[str, Any]:
    """All other hyperparameters."""
    every = {field.name: getattr(model, field.name) for field in fields(model)}
    return {name: value for name, value in every.items() if name not in ACTIVATIONS}


def is_value(value) -> bool:
    """Whether equal means the same: a model, for instance, made again with the same sizes."""
    try:
        hash(value)
    except TypeError:
        return False
    parameters = getattr(value, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen
