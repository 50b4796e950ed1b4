"""A detector as a folder: its model, its training errors, and the rest as JSON."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lstmcore import checks, files, series
from lstmcore.anomalies.detector import Detector
from lstmcore.anomalies.training import Settings, build
from lstmcore.io import manifest
from lstmcore.io.description import (
    check_model,
    read_description,
    read_history,
    write_description,
)
from lstmcore.io.reading import damaged
from lstmcore.io.saved_folder import saved_folder
from lstmcore.io.tensors import Kind, open_tensors, write_tensors

MODEL, ERRORS, DESCRIPTION = "model.safetensors", "errors.safetensors", "detector.json"


def save(folder: str | os.PathLike, detector: Detector) -> None:
    """Write a Detector; see `Detector.save`."""
    with saved_folder(folder, "Detector") as place:
        write_parts(place, detector)


def write_parts(folder: Path, detector: Detector) -> None:
    """Write the files of a Detector into a folder that gets a manifest later."""
    files.save(folder / MODEL, detector.model, detector.params)
    write_tensors(folder / ERRORS, {"training_errors": detector.training_errors}, {})
    description = {
        "settings": asdict(detector.settings),
        "prepared": detector.prepared.to_json(),
        "history": {name: values.tolist() for name, values in detector.history.items()},
        "held_out": detector.held_out,
    }
    write_description(folder / DESCRIPTION, description)


def load(folder: str | os.PathLike) -> Detector:
    """Read a Detector; see `Detector.load`."""
    folder = Path(folder)
    saved_by = "Detector.save or lstmcore anomalies"
    manifest.check_parts(folder, (DESCRIPTION, MODEL, ERRORS), saved_by)
    described = read_description(folder / DESCRIPTION, _parse)
    model, params = files.load(folder / MODEL)
    features = described["prepared"].features
    with damaged(folder / DESCRIPTION):
        expected = build(described["settings"], features)
    check_model(folder / MODEL, model, folder / DESCRIPTION, expected)
    errors = _read_errors(folder / ERRORS, features, described["held_out"])
    return Detector(model, params, training_errors=errors, **described)


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
    prepared = series.Prepared.from_json(stored["prepared"])
    if prepared.preparation != preparation:
        raise ValueError("settings and prepared name different preparations")
    return {
        "prepared": prepared,
        "settings": Settings(**settings | {"preparation": preparation}),
        "history": read_history(stored["history"]),
        "held_out": checks.check_count("held_out", stored["held_out"], minimum=0),
    }
