"""The JSON description of a saved folder, and the checks that its files belong together.

A manifest shows that nothing was changed since it was written. The checks here hold even for a
folder whose manifest was written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from lstmcore.io.atomic import atomic_path
from lstmcore.io.json_text import parse_json, read_json
from lstmcore.io.reading import damaged

FORMAT = 1
EARLIER_NAMES = {  # in files of 0.1.0.dev0 from before a thing had one name everywhere
    "ahead": "horizon",
    "held_out": "validation_start",
    "known": "future_covariates",
    "preparation": "preprocessing",
    "prepared": "preprocessor",
    "steps": "horizon",
}
Content = TypeVar("Content")


def write_description(path: Path, description: dict) -> None:
    """Write a description in one step.

    Raises:
      ValueError: it is too large to be read back: some 390,000 numbers.
      OSError: it cannot be written.
    """
    text = json.dumps({"format": FORMAT, **description}, indent=1)
    parse_json(text, f"what {path.name} is to hold")  # no file is better than an unreadable one
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_description(path: Path, parse: Callable[[dict], Content]) -> Content:
    """Return what `parse` makes of a description.

    Raises:
      ValueError: the file is damaged, or `parse` finds that something is missing or of another
        type or size than it should be.
      OSError: it cannot be read.
    """
    stored = read_json(path)
    with damaged(path, states_format=True):
        if (found := stored.get("format", FORMAT)) != FORMAT:
            raise ValueError(f"it has format {found}, expected {FORMAT}")
        return parse(with_present_names(stored))


def with_present_names(stored: Any) -> Any:
    """Return what a JSON file holds, with the names of EARLIER_NAMES replaced, at any depth."""
    if isinstance(stored, list):
        return [with_present_names(value) for value in stored]
    if not isinstance(stored, dict):
        return stored
    return {
        EARLIER_NAMES.get(name, name): with_present_names(value) for name, value in stored.items()
    }


def read_history(stored: dict) -> dict[str, np.ndarray]:
    """Return the losses of a training by name, float64 [epochs].

    Raises:
      ValueError: they are not numbers, or not of equally many epochs.
    """
    history = {name: np.array(losses, float) for name, losses in stored.items()}
    shapes = {losses.shape for losses in history.values()}
    if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
        raise ValueError("history is not one number for each epoch")
    return history


def check_model(path: Path, model: object, described_in: Path, expected: object) -> None:
    """Raise ValueError unless a model is the one that the settings beside it ask for.

    Args:
      path: file of `model`, a dataclass of hyperparameters.
      described_in: file of the settings.
      expected: the model that is built from them.

    Raises:
      ValueError: it is another model; the message names the first hyperparameter that differs.
    """
    kinds = type(model).__name__, type(expected).__name__
    differing = (
        [("model", *kinds)]
        if kinds[0] != kinds[1]
        else [
            (field.name, getattr(model, field.name), getattr(expected, field.name))
            for field in fields(expected)  # type: ignore[arg-type]
            if getattr(model, field.name) != getattr(expected, field.name)
        ]
    )
    if differing:
        name, found, wanted = differing[0]
        raise ValueError(
            f"{path} does not belong to {described_in.name} beside it: {name} is {found} in the "
            f"one, {wanted} by the other; save both again"
        )
