"""The output folder of `lstmcore fit`: what is in it, and how it gets there whole."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np

from lstmcore import __version__, files, plots
from lstmcore.job import Part, Settings, Windows, encoder_traces, side_by_side
from lstmcore.table import Table
from lstmcore.train import FitResult

TABLES = ("history.csv", "output.csv")
PICTURES = ("loss.png", "reconstruction.png", "prediction.png", "gates_encoder_*.png")


def prepare_folder(folder: Path) -> None:
    """Make the folder and see that it can be written to, before hours of training are spent.

    Raises:
      OSError: it cannot be made or written to; the message says which and why.
    """
    probe = folder / ".lstmcore-probe"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise OSError(
            f"cannot write to the output folder {folder} ({error.strerror}): choose another with "
            "--output"
        ) from error


def refuse_to_overwrite(source: Path, folder: Path) -> None:
    """The user's own table may lie in the output folder, but not under the name of a result.

    Raises:
      ValueError: it does.
    """
    if source.name in TABLES and source.resolve().parent == folder.resolve():
        raise ValueError(f"{source} would be overwritten: choose another folder with --output")


def write_model(
    folder: Path,
    model,
    result: FitResult,
    *,
    source: str,
    data: Table,
    windows: Windows,
    settings: Settings,
) -> list[Path]:
    """What must not be lost: the model, the scaling of its inputs, and how training went."""
    files.save(folder / "model.safetensors", model, result.params)
    made_from = {
        "lstmcore": __version__,
        "source": source,
        "columns": list(data.columns),
        "rows": len(data.values),
        "settings": asdict(settings),
        "scaler": {name: value.tolist() for name, value in windows.scaler._asdict().items()},
    }
    with files.atomic_path(folder / "settings.json") as temporary:
        temporary.write_text(json.dumps(made_from, indent=2) + "\n", encoding="utf-8")
    names = list(result.history)
    epochs = zip(*(result.history[name].tolist() for name in names), strict=True)
    rows = ((epoch, *losses) for epoch, losses in enumerate(epochs, start=1))
    _write_csv(folder / "history.csv", ["epoch", *names], rows)
    return [folder / name for name in ("model.safetensors", "settings.json", "history.csv")]


def remove_others(folder: Path, written: list[Path]) -> None:
    """Remove what an earlier run left in the folder: it would speak of another model."""
    for name in ("output.csv", *PICTURES):
        for path in folder.glob(name):
            if path not in written:
                path.unlink()


def write_outputs(folder: Path, columns: tuple[str, ...], parts: list[Part]) -> Path:
    """Every value that the model was to write, beside the one it wrote."""
    header = ["part", "window", "step", "row", *columns, *(f"{name}_output" for name in columns)]
    _write_csv(folder / "output.csv", header, _output_rows(parts))
    return folder / "output.csv"


def write_pictures(
    folder: Path, model, result, table: Table, windows: Windows, settings: Settings, parts: list
) -> list[Path]:
    """The loss curve, each part against what it was to be, and the gates of each encoder layer."""
    pictures = {"loss.png": plots.plot_loss(result.history)}
    for part in parts:
        count, steps, _ = part.actual.shape
        chosen = side_by_side(count, steps)
        pictures[f"{part.name}.png"] = plots.plot_output(
            np.concatenate(part.actual[chosen]),
            np.concatenate(part.output[chosen]),
            table.columns,
            labels=part.rows[chosen].ravel().tolist(),
            breaks=range(steps, steps * len(chosen), steps),
            xlabel="row of the table",
        )
    chosen = side_by_side(len(windows.values), settings.window)
    inputs = windows.values[chosen, : settings.window]
    for name, trace in encoder_traces(model, result.params, windows, chosen, settings).items():
        pictures[f"gates_{name}.png"] = plots.plot_gates(
            trace,
            np.concatenate(inputs),
            title=f"gates of {name}",
            breaks=range(settings.window, len(trace.h), settings.window),
            xlabel="row of the table",
            labels=windows.rows[chosen, : settings.window].ravel().tolist(),
        )
    for name, figure in pictures.items():
        with files.atomic_path(folder / name) as temporary:
            figure.savefig(temporary, dpi=120)
    return [folder / name for name in pictures]


def _output_rows(parts: list[Part]) -> Iterable[tuple]:
    for part in parts:
        windows = zip(part.rows, part.actual, part.output, strict=True)
        for window, (rows, actual, output) in enumerate(windows):
            steps = zip(rows.tolist(), actual.tolist(), output.tolist(), strict=True)
            for step, (row, values, written) in enumerate(steps):
                yield (part.name, window, step, row, *values, *written)


def _write_csv(path: Path, header: list[str], rows: Iterable[tuple]) -> None:
    with (
        files.atomic_path(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
