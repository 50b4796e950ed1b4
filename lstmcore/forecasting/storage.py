"""A trained forecaster as a folder: model.safetensors, and forecast.json with all else.

Nothing is pickled. The second file names the first by its checksum, so that what was cut off
between the two is not taken for a whole.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from lstmcore import checks, files
from lstmcore.forecaster import Forecaster
from lstmcore.forecasting.settings import Settings, arrange
from lstmcore.series import Prepared, Split

MODEL, DESCRIPTION = "model.safetensors", "forecast.json"
FORMAT = 1


def save(trained, folder: str | os.PathLike) -> None:
    """Write a Trained; see `Trained.save`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.save(folder / MODEL, trained.model, trained.params)
    description = {
        "format": FORMAT,
        "settings": trained.settings.to_json(),
        "columns": list(trained.columns),
        "prepared": trained.prepared.to_json(),
        "history": {name: losses.tolist() for name, losses in trained.history.items()},
        "split": {name: [part.start, part.stop] for name, part in trained.split._asdict().items()},
        "stride": trained.stride,
        "model": _checksum(folder / MODEL),
    }
    with files.atomic_path(folder / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")


def load(folder: str | os.PathLike) -> dict:
    """The fields of a Trained; see `Trained.load`."""
    path = Path(folder) / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {DESCRIPTION} in {folder}: name the folder of a trained forecaster"
        )
    model, params = files.load(Path(folder) / MODEL)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise ValueError(f"it is of format {told['format']}")
        settings = Settings.from_json(told["settings"])
        columns = tuple(told["columns"])
        order, targets, known = arrange(columns, settings)
        prepared = Prepared.from_json(told["prepared"])
        if prepared.features != len(order):
            raise ValueError(f"it prepares {prepared.features} of {len(order)} columns")
        split = Split(**{name: slice(*map(int, ends)) for name, ends in told["split"].items()})
        history = {name: np.array(losses, float) for name, losses in told["history"].items()}
        stride = checks.check_count("stride", told["stride"])
        checksum = told["model"]
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    expected = Forecaster(
        len(order),
        settings.units,
        settings.horizon,
        targets=targets,
        known=known,
        mode=settings.mode,
        quantiles=settings.quantiles,
        dropout=settings.dropout,
    )
    if checksum != _checksum(Path(folder) / MODEL) or model != expected:
        raise ValueError(
            f"{MODEL} and {DESCRIPTION} in {folder} are not of one run: was saving cut off?"
        )
    return {
        "settings": settings,
        "columns": columns,
        "model": model,
        "params": params,
        "prepared": prepared,
        "history": history,
        "split": split,
        "stride": stride,
    }


def _checksum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
