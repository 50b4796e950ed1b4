"""Models as JSON: what a file says of the model whose weights it holds, for `io.model_file`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from lstmcore.io.model_file import FORMAT
from lstmcore.models.chain_parts import PARTS, Part

__all__ = ["described"]


def described(model: Any) -> dict[str, Any]:
    """Return a model as JSON can hold it: its class and its hyperparameters.

    Raises:
      TypeError: a hyperparameter that JSON does not have.
      ValueError: an activation without a name.
    """
    hyperparameters = {
        field.name: _as_json(field.name, getattr(model, field.name))
        for field in fields(model)
        if field.init
    }
    return {"format": FORMAT, "model": type(model).__name__, "hyperparameters": hyperparameters}


def _as_json(name: str, value: Any) -> Any:
    if isinstance(value, Part) and type(value) in PARTS.values():
        plain = {f.name: _as_json(f.name, getattr(value, f.name)) for f in fields(value)}
        return {"part": type(value).__name__} | plain
    if isinstance(value, tuple):
        return [_as_json(name, each) for each in value]
    if callable(value):
        if (value := _name_of(value)) is None:
            raise ValueError(
                f"{name} is a function of your own, which a file cannot hold: use one of the names "
                "that lstmcore knows, such as 'tanh'"
            )
        return value
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} is {type(value).__name__}, which a file cannot hold: a hyperparameter must be "
            "a number, a text, None or a tuple of them"
        ) from error
    return value


def _name_of(function: Callable) -> str | None:
    """Return the name of an activation that is given as a function."""
    try:
        from lstmcore.activations import name_of
    except ImportError:  # without JAX there are none of its functions
        return None
    return name_of(function)
