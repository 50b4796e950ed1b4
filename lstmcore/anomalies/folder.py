"""A detector as a folder: its model, its training errors, and the rest as JSON."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lstmcore import checks, described, files, series
from lstmcore.anomalies.detector import Detector
from lstmcore.anomalies.training import Settings
from lstmcore.io.tensors import Kind, open_tensors, write_tensors

MODEL, ERRORS, DESCRIPTION = "model.safetensors", "errors.safetensors", "detector.json"


def save(folder: str | os.PathLike, detector: Detector) -> None:
    """See `Detector.save`."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.save(folder / MODEL, detector.model, detector.params)
    write_tensors(folder / ERRORS, {"training_errors": detector.training_errors}, {})
    description = {
        "settings": asdict(detector.settings),
        "prepared": detector.prepared.to_json(),
        "history": {name: values.tolist() for name, values in detector.history.items()},
        "held_out": detector.held_out,
    }
    described.write(folder / DESCRIPTION, description, (MODEL, ERRORS))


def load(folder: str | os.PathLike) -> Detector:
    """See `Detector.load`."""
    folder = Path(folder)
    told = described.read(folder / DESCRIPTION, _parse, "detector.save")
    model, params = files.load(folder / MODEL)
    errors = _read_errors(folder / ERRORS, told["prepared"].features, told["held_out"])
    return Detector(model, params, training_errors=errors, **told)


def _read_errors(path: Path, features: int, held_out: int) -> np.ndarray:
    """The training errors, float64 [rows, features]; rows before and from `held_out` on."""
    with open_tensors(path) as file:
        dtype, shape = file.kinds.get("training_errors", Kind("none", ()))
        expected = len(file.kinds) == 1 and dtype == "float64" and len(shape) == 2
        if not expected or shape[1] != features or shape[0] < held_out:
            raise ValueError(
                f"{path} is damaged, or of another detector: it does not hold the training errors "
                f"of {features} features and at least {held_out} rows"
            )
        return file.read()["training_errors"]


def _parse(stored: dict) -> dict[str, Any]:
    settings, preparation = stored["settings"], stored["settings"]["preparation"]
    lags = tuple(preparation["difference"])
    preparation = series.Preparation(**preparation | {"difference": lags})
    return {
        "prepared": series.Prepared.from_json(stored["prepared"]),
        "settings": Settings(**settings | {"preparation": preparation}),
        "history": {name: np.array(losses, float) for name, losses in stored["history"].items()},
        "held_out": checks.check_count("held_out", stored["held_out"], minimum=0),
    }
