"""A trained forecaster as a folder: model.safetensors, and forecast.json with all else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from lstmcore import checks, described, files
from lstmcore.forecasting.settings import Settings, arrange
from lstmcore.series import Prepared, Split

MODEL, DESCRIPTION = "model.safetensors", "forecast.json"


def save(trained, folder: str | os.PathLike) -> None:
    """Write a Trained; see `Trained.save`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.save(folder / MODEL, trained.model, trained.params)
    description = {
        "settings": trained.settings.to_json(),
        "columns": list(trained.columns),
        "prepared": trained.prepared.to_json(),
        "history": {name: losses.tolist() for name, losses in trained.history.items()},
        "split": {name: [part.start, part.stop] for name, part in trained.split._asdict().items()},
        "stride": trained.stride,
        "noise": trained.noise.tolist(),
    }
    described.write(folder / DESCRIPTION, description, (MODEL,))


def load(folder: str | os.PathLike) -> dict[str, Any]:
    """The fields of a Trained; see `Trained.load`."""
    folder = Path(folder)
    told = described.read(folder / DESCRIPTION, _parse, "trained.save")
    model, params = files.load(folder / MODEL)
    return told | {"model": model, "params": params}


def _parse(stored: dict) -> dict[str, Any]:
    settings = Settings.from_json(stored["settings"])
    columns = tuple(stored["columns"])
    prepared = Prepared.from_json(stored["prepared"])
    order, targets, _ = arrange(columns, settings)
    if prepared.features != len(order):
        raise ValueError(f"it prepares {prepared.features} of {len(order)} columns")
    noise = np.array(stored["noise"], float)
    if noise.shape != (settings.horizon, targets) or not (noise >= 0).all():
        raise ValueError("noise is not one number for each step and target")
    return {
        "settings": settings,
        "columns": columns,
        "prepared": prepared,
        "history": {name: np.array(losses, float) for name, losses in stored["history"].items()},
        "split": Split(**{name: slice(*map(int, e)) for name, e in stored["split"].items()}),
        "stride": checks.check_count("stride", stored["stride"]),
        "noise": noise,
    }
