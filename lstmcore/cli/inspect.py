"""`lstmcore inspect`: from a trained model and its table to a page for the browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore import series, study
from lstmcore.apps import autoencoding, translation
from lstmcore.apps.autoencoding.folder import Origin, read_settings
from lstmcore.apps.run_folder import SETTINGS
from lstmcore.cli import reading
from lstmcore.cli.intervals import check_intervals
from lstmcore.cli.table_options import reads_table
from lstmcore.cli.terminal import clear_errors, console
from lstmcore.formatting import count, few
from lstmcore.io import manifest
from lstmcore.io.description import check_model
from lstmcore.io.manifest import MANIFEST, PAGE
from lstmcore.series import ReadOptions, Table

MOST_WINDOWS = 1024  # that the model is run on
MOST_PAIRS = 32  # of a translator
OTHERS = {"detector.json": "lstmcore anomalies", "forecast.json": "lstmcore forecast"}


@reads_table
def inspect(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            show_default=False,
            help="A model.safetensors, or the folder that lstmcore fit or lstmcore translate train "
            "has put it into.",
        ),
    ],
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="CSV",
            help="The table to run it on. [dim]\\[default: the one it was trained on][/dim]",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(
            metavar="WINDOW",
            help="Rows that the model reads at once. "
            "[dim]\\[default: as in training; without settings.json all rows][/dim]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The page. [dim]\\[default: inspect.html beside the model][/dim]",
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace a file of that name that is not lstmcore's.")
    ] = False,
    *,
    reading_options: ReadOptions,
) -> None:
    """Write a page that shows every gate of a trained model, unit by unit and step by step.

    The table is prepared and cut as lstmcore fit did. The page holds all it needs, so it can be
    opened, kept and sent without lstmcore and without a network.

    Of a translator, the page shows held-out pairs, while it translates them.
    """
    with clear_errors():
        path = model / "model.safetensors" if model.is_dir() else model
        page = path.with_name("inspect.html") if output is None else output
        if page.suffix.lower() not in (".html", ".htm"):
            raise ValueError(f"--output {page} is not the name of a page: let it end in .html")
        folder = path.parent
        if not force:
            _check_free(page)
        if (folder / MANIFEST).exists() and path.name in manifest.read(folder).parts:
            manifest.check_parts(folder, (path.name,), "lstmcore")
        lstm, params = lc.load(path)
        if isinstance(lstm, lc.Seq2Seq):
            if source is not None or window is not None or reading_options != ReadOptions():
                raise ValueError(
                    f"{path} is a translator, which reads no table: leave out CSV, --window and "
                    "options of reading"
                )
            _inspect_translator(folder, page, force)
            return
        if isinstance(lstm, lc.DenseAutoencoder):
            raise ValueError(f"{path} holds a dense autoencoder, which has no gates to look at")
        origin = _origin(path, lstm)
        name = str(source) if source is not None or origin is None else origin.source
        data = _read(path, source, reading_options, origin)
        if len(data.columns) != lstm.features:
            raise ValueError(
                f"{name} has {count(len(data.columns), 'column')} to read "
                f"({few(data.columns)}), but the model reads {lstm.features}"
            )
        lost = origin.preprocessor.dropped_rows if origin else 0
        first = lost + (origin.settings.first_row if origin and source is None else 0)
        length = origin.settings.window if origin else len(data.values)
        length = length if window is None else window
        rows = series.windows(np.arange(first, len(data.values)), length)[:, :, 0]
        chosen = rows[autoencoding.side_by_side(len(rows), length, length * MOST_WINDOWS)]
        run = _run(lstm, params, data, chosen, origin)
        title = f"{name}: {len(chosen):,} of {count(len(rows), 'window')} of {count(length, 'row')}"
        # A prediction as long as the window would wear the names of the rows that were read.
        is_ambiguous = getattr(lstm, "steps", None) == length
        names = None if is_ambiguous else [[data.labels[row] for row in one] for one in chosen]
        xlabel = "time step" if is_ambiguous else data.label_name
        with _place(page, force) as place:
            study.inspect(
                run, place, title=title, labels=names, columns=data.columns, xlabel=xlabel
            )
        console.print(f"{escape(title)}\nwrote [bold]{escape(str(page))}[/bold]", soft_wrap=True)


def _check_free(page: Path) -> None:
    """No file that is not lstmcore's is replaced.

    Raises:
      FileExistsError: `page` is one.
    """
    if not os.path.lexists(page):
        return
    is_in_run = (page.parent / MANIFEST).exists()
    if not is_in_run or not manifest.is_part(page, manifest.read(page.parent).parts):
        raise FileExistsError(
            f"there is a file {page} already: --force replaces it, or name another with --output"
        )


@contextmanager
def _place(page: Path, force: bool) -> Iterator[Path]:
    """Where to write the page; it becomes one of the files of the run that it stands in."""
    if page.name == PAGE and (page.parent / MANIFEST).exists():
        with manifest.added_part(page.parent, page.name, force=force) as temporary:
            yield temporary
    else:
        yield page


def _origin(path: Path, model) -> Origin | None:
    """How the model was trained; None of a model on its own."""
    for name, command in OTHERS.items():
        if path.with_name(name).exists():
            raise ValueError(
                f"{path.parent} is a folder of {command}, whose report.html shows the gates: "
                "lstmcore inspect reads those of lstmcore fit and lstmcore translate train"
            )
    settings = path.with_name(SETTINGS)
    if not settings.exists():
        console.print(f"no {SETTINGS} beside {escape(str(path))}: nothing is prepared")
        return None
    manifest.check_parts(path.parent, (SETTINGS, path.name), "lstmcore fit")
    origin = read_settings(settings)
    check_model(path, model, settings, autoencoding.build(origin.settings, len(origin.columns)))
    return origin


def _inspect_translator(folder: Path, page: Path, force: bool) -> None:
    """The page of held-out pairs, while the model writes its own translations."""
    translator = translation.Translator.load(folder)
    pairs = folder / "held_out.tsv"
    if not pairs.is_file():
        raise FileNotFoundError(
            f"there is no {pairs.name} in {folder}, whose pairs are shown: see study.inspect for "
            "texts of your own"
        )
    held_out = translation.read_pairs(pairs, (1, 2))  # its heading is left out
    run = translator.run([source for source, _ in held_out[:MOST_PAIRS]])
    tokens = [
        translator.source.labels(ids[: mask.sum()])
        for ids, mask in zip(np.asarray(run.inputs), np.asarray(run.mask), strict=True)
    ]
    title = f"{folder}: {len(tokens):,} of {len(held_out):,} held-out pairs"
    with _place(page, force) as place:
        study.inspect(run, place, title=title, text=tokens, xlabel="token")
    console.print(f"{escape(title)}\nwrote [bold]{escape(str(page))}[/bold]", soft_wrap=True)


def _read(
    path: Path, source: Path | None, reading_options: ReadOptions, origin: Origin | None
) -> Table:
    columns = () if origin is None else origin.columns
    missing = origin is not None and origin.preprocessor.preprocessing.missing != "refuse"
    if source is not None:
        data, times = reading.read(source, columns, reading_options, missing=missing)
        if origin is not None and times is not None:
            check_intervals(origin.source, origin.interval, source, times.interval)
        return data
    if origin is None:
        raise ValueError(
            f"there is no settings.json beside {path} that tells its table: name a CSV, lstmcore "
            f"inspect {path} CSV"
        )
    if origin.source in series.DATASETS:
        data = series.read_dataset(origin.source)
        if (data.columns, len(data.values)) == (origin.columns, origin.rows):
            return data  # else it was a CSV file of that name
    try:
        given = origin.reading.updated(reading_options)
        return reading.read(Path(origin.source), columns, given, missing=missing)[0]
    except FileNotFoundError:
        raise FileNotFoundError(
            f"the table that the model was trained on, {origin.source}, is not here: name it, "
            f"lstmcore inspect {path} CSV"
        ) from None


def _run(lstm, params, data: Table, rows: np.ndarray, origin: Origin | None) -> study.Run:
    """The run on windows of the table, its inputs and outputs in units of the table."""
    preprocessor = (
        origin.preprocessor if origin else series.Preprocessing(scaling="none").fit(data.values)
    )
    # What the windows are made from begins this many rows before the first of them.
    values = data.values[rows[0, 0] - preprocessor.dropped_rows :]
    places = rows - rows[0, 0]
    with np.errstate(over="ignore"):
        x = preprocessor.transform(values).astype(np.float32)[places]
    if not np.isfinite(x).all():
        raise ValueError("the prepared table holds numbers that float32 cannot hold")
    run = study.run(lstm, params, x)
    made_from = preprocessor.filled(values)[
        places[:, :1] + np.arange(preprocessor.dropped_rows + places.shape[1])
    ]
    run = replace(run, inputs=made_from[:, preprocessor.dropped_rows :])
    if origin is None:
        return run
    written = run.outputs if isinstance(run.outputs, tuple) else (run.outputs,)
    shown = tuple(
        autoencoding.in_units(preprocessor, name, np.asarray(output), x, made_from)
        for name, output in zip(origin.settings.outputs, written, strict=True)
    )
    return replace(run, outputs=shown if isinstance(run.outputs, tuple) else shown[0])
