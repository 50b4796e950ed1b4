"""Write results of a run as tables and JSON."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path

import jax
import numpy as np

from lstmcore import __version__
from lstmcore.io.atomic import atomic_path
from lstmcore.io.csv_text import write_rows


def write_json(path: Path, value) -> None:
    """A file for people and programs to read, in one step."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Of lstmcore and what it stands on."""
    return {
        "lstmcore": __version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def write_history(path: Path, history: Mapping) -> None:
    """The losses of each epoch."""
    epochs = zip(*(losses.tolist() for losses in history.values()), strict=True)
    rows = ((epoch, *losses) for epoch, losses in enumerate(epochs, start=1))
    write_csv(path, ["epoch", *history], rows)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """A table under a line of names."""
    with path.open("w", newline="", encoding="utf-8") as file:
        write_rows(file, chain([header], rows))
