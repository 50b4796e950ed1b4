"""A trained forecaster as a folder: model.safetensors, and forecast.json with all else."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from lstmcore import checks, files
from lstmcore.forecasting.settings import Settings, arrange, build
from lstmcore.io import manifest
from lstmcore.io.description import check_model, read_description, read_history, write_description
from lstmcore.io.reading import damaged
from lstmcore.io.saved_folder import saved_folder
from lstmcore.series import Prepared, Split

MODEL, DESCRIPTION = "model.safetensors", "forecast.json"


def save(trained, folder: str | os.PathLike) -> None:
    """Write a Trained; see `Trained.save`."""
    with saved_folder(folder, "Trained") as place:
        write_parts(place, trained)


def write_parts(folder: Path, trained) -> None:
    """Write the files of a Trained into a folder that gets a manifest later."""
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
    write_description(folder / DESCRIPTION, description)


def load(folder: str | os.PathLike) -> dict[str, Any]:
    """Return the fields of a Trained; see `Trained.load`."""
    folder = Path(folder)
    manifest.check_parts(folder, (DESCRIPTION, MODEL), "Trained.save or lstmcore forecast")
    fields = read_description(folder / DESCRIPTION, _parse)
    model, params = files.load(folder / MODEL)
    with damaged(folder / DESCRIPTION):
        expected = build(fields["settings"], fields["columns"])
    check_model(folder / MODEL, model, folder / DESCRIPTION, expected)
    return fields | {"model": model, "params": params}


def _parse(stored: dict) -> dict[str, Any]:
    settings = Settings.from_json(stored["settings"])
    columns = tuple(stored["columns"])
    prepared = Prepared.from_json(stored["prepared"])
    order, targets, _ = arrange(columns, settings)
    if prepared.features != len(order):
        raise ValueError(f"it prepares {prepared.features} of {len(order)} columns")
    if prepared.preparation != settings.preparation:
        raise ValueError("settings and prepared name different preparations")
    noise = np.array(stored["noise"], float)
    if noise.shape != (settings.horizon, targets) or not (noise >= 0).all():
        raise ValueError("noise is not one number for each step and target")
    return {
        "settings": settings,
        "columns": columns,
        "prepared": prepared,
        "history": read_history(stored["history"]),
        "split": _split(stored["split"]),
        "stride": checks.check_count("stride", stored["stride"]),
        "noise": noise,
    }


def _split(stored: dict) -> Split:
    ends = [stored[name] for name in Split._fields]
    edges = [0, *(checks.check_count("split", stop, minimum=0) for _, stop in ends)]
    if [start for start, _ in ends] != edges[:-1] or edges != sorted(edges):
        raise ValueError("the parts of split do not follow one another")
    return Split(*(slice(start, stop) for start, stop in ends))
