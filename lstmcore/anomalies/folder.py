"""A detector as a folder: its model, its training errors, and the rest as JSON."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lstmcore import checks, files, series
from lstmcore.anomalies.detector import Detector
from lstmcore.anomalies.training import Settings

MODEL, ERRORS, DESCRIPTION = "model.safetensors", "errors.safetensors", "detector.json"
FORMAT = 1


def save(folder: str | os.PathLike, detector: Detector) -> None:
    """See `Detector.save`. The description comes last and knows the other files by their sums."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    files.save(folder / MODEL, detector.model, detector.params)
    files.write_tensors(folder / ERRORS, {"training_errors": detector.training_errors}, {})
    description = {
        "format": FORMAT,
        "settings": asdict(detector.settings),
        "prepared": detector.prepared.to_json(),
        "history": {name: values.tolist() for name, values in detector.history.items()},
        "held_out": detector.held_out,
        "sha256": {name: _sum(folder / name) for name in (MODEL, ERRORS)},
    }
    with files.atomic_path(folder / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(description, indent=1), encoding="utf-8")


def load(folder: str | os.PathLike) -> Detector:
    """See `Detector.load`."""
    folder = Path(folder)
    path = folder / DESCRIPTION
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {DESCRIPTION} in {folder}: name the folder that detector.save has written"
        )
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if described["format"] != FORMAT:
            raise ValueError(f"it is not described in format {FORMAT}")
        settings = described["settings"]
        preparation = settings["preparation"]
        lags = tuple(preparation["difference"])
        preparation = series.Preparation(**preparation | {"difference": lags})
        settings = Settings(**settings | {"preparation": preparation})
        prepared = series.Prepared.from_json(described["prepared"])
        history = {name: np.array(losses, float) for name, losses in described["history"].items()}
        held_out = checks.check_count("held_out", described["held_out"], minimum=0)
        sums = {name: described["sha256"][name] for name in (MODEL, ERRORS)}
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    for name, expected in sums.items():
        if not (folder / name).is_file():
            raise FileNotFoundError(f"there is no {name} in {folder}")
        if _sum(folder / name) != expected:
            raise ValueError(
                f"{folder / name} does not belong to {DESCRIPTION} beside it: it is damaged, or "
                "saving was cut off; save the detector again"
            )
    model, params = files.load(folder / MODEL)
    _, tensors = files.read_tensors(folder / ERRORS)
    errors = tensors["training_errors"]
    return Detector(model, params, prepared, settings, history, errors, held_out)


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
