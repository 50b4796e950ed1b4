"""The files of a run of `lstmcore fit`: model, settings, losses, outputs and figures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.apps import run_folder
from lstmcore.apps.autoencoding.outputs import Part, encoder_run
from lstmcore.apps.autoencoding.settings import Settings
from lstmcore.apps.autoencoding.windows import Windows, side_by_side
from lstmcore.apps.saved import parse_settings
from lstmcore.io.description import read_description
from lstmcore.models import saving
from lstmcore.series import Preprocessor, ReadOptions, Table
from lstmcore.study import plots
from lstmcore.training.fit import FitResult

NUMBERS_AT_ONCE = 2**18  # of output.csv: some 10 MB as Python objects


def describe(
    source: str, data: Table, windows: Windows, settings: Settings, interval: str | None = None
) -> dict:
    """Return the contents of settings.json, without the versions."""
    return {
        "source": source,
        "columns": list(data.columns),
        "reading": data.options.to_json(),
        "rows": len(data.values),
        "interval": interval,
        "settings": settings.to_json(),
        "preprocessor": windows.preprocessor.to_json(),
    }


def write_model(folder: Path, model, result: FitResult) -> None:
    """Write the model and the losses."""
    saving.save(folder / "model.safetensors", model, result.params)
    run_folder.write_history(folder / "history.csv", result.history)


class Origin(NamedTuple):
    """The origin of a model, from settings.json: its table, settings and preprocessing.

    reading: how the table was read
    rows: number of rows of the table, including those filled in where times were skipped
    interval: time from one row to the next, such as "1 hour"; None if it is unknown
    """

    source: str
    columns: tuple[str, ...]
    reading: ReadOptions
    rows: int
    settings: Settings
    preprocessor: Preprocessor
    interval: str | None = None


def read_settings(path: Path) -> Origin:
    """Read the settings.json that `lstmcore fit` wrote.

    Raises:
      ValueError: it is damaged.
    """
    return read_description(path, _parse)


def _parse(stored: dict) -> Origin:
    settings, preprocessor = parse_settings(Settings, stored)
    columns = tuple(map(str, stored["columns"]))
    if len(columns) != preprocessor.features:
        raise ValueError("columns and preprocessor do not agree")
    time = stored.get("time")  # in files from before there were other options
    before = {} if time is None else {"time": time}
    reading = ReadOptions.from_json(stored.get("reading", before))
    rows, interval = checks.check_count("rows", stored["rows"]), stored.get("interval")
    interval = None if interval is None else str(interval)
    return Origin(str(stored["source"]), columns, reading, rows, settings, preprocessor, interval)


def write_outputs(folder: Path, columns: tuple[str, ...], parts: list[Part]) -> None:
    """Write output.csv: every target beside the output; an empty cell for a missing target."""
    places = ["part", "window", "used_for", "step", "row"]
    header = [*places, *columns, *(f"{name}_output" for name in columns)]
    run_folder.write_csv(folder / "output.csv", header, _output_rows(parts))


def write_figures(
    folder: Path, model, result, table: Table, windows: Windows, settings: Settings, parts: list
) -> None:
    """Draw the loss, the outputs beside their targets, and the gates of each encoder layer."""
    figures = {"loss.png": plots.plot_loss(result.history)}
    for part in parts:
        count, steps, _ = part.actual.shape
        chosen = side_by_side(count, steps, stride=windows.stride)
        figures[f"{part.name}.png"] = plots.plot_output(
            np.concatenate(part.actual[chosen]),
            np.concatenate(part.output[chosen]),
            table.columns,
            labels=[table.labels[row] for row in part.rows[chosen].ravel()],
            breaks=range(steps, steps * len(chosen), steps),
            xlabel=table.label_name,
        )
    chosen = side_by_side(len(windows.rows), settings.window, stride=windows.stride)
    run = encoder_run(model, result.params, windows, chosen, settings)
    for name in run.layers:
        figure = plots.plot_gates(
            run,
            name,
            breaks=range(settings.window, run.inputs.shape[1], settings.window),
            xlabel=table.label_name,
            labels=[table.labels[row] for row in windows.rows[chosen, : settings.window].ravel()],
            columns=table.columns,
        )
        figure.suptitle(f"{name}, while it reads")
        figures[f"gates_{name}.png"] = figure
    for name, figure in figures.items():
        figure.savefig(folder / name, dpi=120)


def _output_rows(parts: list[Part]) -> Iterable[tuple]:
    for part in parts:
        count, steps, features = part.output.shape
        at_once = max(1, NUMBERS_AT_ONCE // (steps * features))
        for start in range(0, count, at_once):
            windows = np.arange(start, min(start + at_once, count))
            yield from zip(
                [part.name] * len(windows) * steps,
                windows.repeat(steps).tolist(),
                part.used_for[windows].repeat(steps).tolist(),
                np.tile(np.arange(steps), len(windows)).tolist(),
                part.rows[windows].ravel().tolist(),
                *part.actual[windows].reshape(-1, features).T.tolist(),
                *part.output[windows].reshape(-1, features).T.tolist(),
                strict=True,
            )
