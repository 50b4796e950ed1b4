"""The output folder of `lstmcore fit`: what is in it, and how it gets there whole."""

from __future__ import annotations

import csv
import json
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from lstmcore import __version__, files
from lstmcore.job import Part, Settings, Windows, encoder_run, side_by_side
from lstmcore.series import Scaler
from lstmcore.study import plots
from lstmcore.table import Table
from lstmcore.train import FitResult

# All that a run may write: what an earlier run left of it, and this one did not write, goes.
CHECKPOINT = "checkpoint.safetensors"
RESULTS = ("model.safetensors", "settings.json", "history.csv", "output.csv", CHECKPOINT)
PICTURES = ("loss.png", "reconstruction.png", "prediction.png", "gates_encoder_*.png")
UNFINISHED = "unfinished"  # folder of a run that has not ended
PAGE = "inspect.html"  # that `lstmcore inspect` has made of an earlier model


@contextmanager
def output_folder(
    folder: Path, patterns: Sequence[str] = (*RESULTS, *PICTURES, PAGE), *, resume: bool = False
) -> Iterator[Path]:
    """A place to write results to, which appear in `folder` together when the body is through.

    If the body fails, or is interrupted, `folder` is as it was before: with the results of an
    earlier run or, if it was not there, not there. It is made first, so that hours of training are
    not spent on results that cannot be written. `patterns` name all that a run of this kind may
    write: what an earlier one has left and this one did not write is removed.

    The place is `folder/unfinished`. A checkpoint that the body leaves there stays, with all that
    explains it, if the body does not end, for a run that is to `resume`. That run finds it there;
    or, to train for longer, that of the run whose results are in `folder`.

    Raises:
      OSError: the folder cannot be made or written to; the message says which and why.
    """
    is_new = not folder.exists()
    staging = folder / UNFINISHED
    kept = staging / CHECKPOINT
    try:
        if not resume:
            shutil.rmtree(staging, ignore_errors=True)  # of a run that was killed
        staging.mkdir(parents=True, exist_ok=True)
        if resume and not kept.exists() and (folder / CHECKPOINT).exists():
            with files.atomic_path(kept) as temporary:
                shutil.copy(folder / CHECKPOINT, temporary)
    except OSError as error:
        raise OSError(
            f"cannot write to the output folder {folder} ({error.strerror}): choose another with "
            "--output"
        ) from error
    finished = False
    try:
        yield staging
        written = {result.name for result in staging.iterdir()}
        for name in written:
            (staging / name).replace(folder / name)
        for pattern in patterns:
            for old in folder.glob(pattern):
                if old.name not in written:
                    old.unlink()
        finished = True
    finally:
        if finished or not kept.exists():
            shutil.rmtree(staging, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def refuse_to_overwrite(source: Path, folder: Path, names: Sequence[str] = RESULTS) -> None:
    """What the user gave may lie in the output folder, but not under the name of a result.

    Raises:
      ValueError: it does.
    """
    file = source.resolve()  # a link may lead to a result
    if file.name in names and file.parent == folder.resolve():
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
) -> None:
    """What must not be lost: the model, the scaling of its inputs, and how training went."""
    files.save(folder / "model.safetensors", model, result.params)
    made_from = versions() | {
        "source": source,
        "columns": list(data.columns),
        "rows": len(data.values),
        "settings": asdict(settings),
        "scaler": {name: value.tolist() for name, value in windows.scaler._asdict().items()},
    }
    write_json(folder / "settings.json", made_from)
    write_history(folder / "history.csv", result.history)


def write_json(path: Path, value) -> None:
    """A file for people and programs to read."""
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


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


class Origin(NamedTuple):
    """What settings.json tells of a model: its table, and how that was cut and scaled."""

    source: str
    columns: tuple[str, ...]
    rows: int
    settings: Settings
    scaler: Scaler


def read_settings(path: Path) -> Origin:
    """The settings.json that `write_model` wrote.

    Raises:
      ValueError: it is damaged.
    """
    try:
        made_from = json.loads(path.read_text(encoding="utf-8"))
        settings = made_from["settings"]
        scaler = Scaler(**{k: np.array(v, float) for k, v in made_from["scaler"].items()})
        columns = tuple(map(str, made_from["columns"]))
        if not len(columns) == len(scaler.offset) == len(scaler.scale):
            raise ValueError("columns and scaler do not fit")
        return Origin(
            str(made_from["source"]),
            columns,
            int(made_from["rows"]),
            Settings(**settings | {"units": tuple(settings["units"])}),
            scaler,
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(
            f"{path} is damaged, or of another version of lstmcore ({error}): without it, the "
            "table is read as it is"
        ) from error


def write_outputs(folder: Path, columns: tuple[str, ...], parts: list[Part]) -> None:
    """Every value that the model was to write, beside the one it wrote."""
    places = ["part", "window", "used_for", "step", "row"]
    header = [*places, *columns, *(f"{name}_output" for name in columns)]
    write_csv(folder / "output.csv", header, _output_rows(parts))


def write_pictures(
    folder: Path, model, result, table: Table, windows: Windows, settings: Settings, parts: list
) -> None:
    """The loss curve, each part against what it was to be, and the gates of each encoder layer."""
    pictures = {"loss.png": plots.plot_loss(result.history)}
    for part in parts:
        count, steps, _ = part.actual.shape
        chosen = side_by_side(count, steps)
        pictures[f"{part.name}.png"] = plots.plot_output(
            np.concatenate(part.actual[chosen]),
            np.concatenate(part.output[chosen]),
            table.columns,
            labels=[table.labels[row] for row in part.rows[chosen].ravel()],
            breaks=range(steps, steps * len(chosen), steps),
            xlabel=table.label_name,
        )
    chosen = side_by_side(len(windows.values), settings.window)
    run = encoder_run(model, result.params, windows, chosen, settings)
    for name in run.layers:
        picture = plots.plot_gates(
            run,
            name,
            breaks=range(settings.window, run.inputs.shape[1], settings.window),
            xlabel=table.label_name,
            labels=[table.labels[row] for row in windows.rows[chosen, : settings.window].ravel()],
            columns=table.columns,
        )
        picture.suptitle(f"{name}, while it reads")
        pictures[f"gates_{name}.png"] = picture
    for name, figure in pictures.items():
        figure.savefig(folder / name, dpi=120)


def _output_rows(parts: list[Part]) -> Iterable[tuple]:
    for part in parts:
        windows = zip(part.used_for, part.rows, part.actual, part.output, strict=True)
        for window, (used_for, rows, actual, output) in enumerate(windows):
            steps = zip(rows.tolist(), actual.tolist(), output.tolist(), strict=True)
            for step, (row, values, written) in enumerate(steps):
                yield (part.name, window, used_for, step, row, *values, *written)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """A table under a line of names."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
