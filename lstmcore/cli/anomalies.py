"""`lstmcore anomalies`: from a CSV file to the anomalous events in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder
from lstmcore.apps.anomalies.detection import Detection
from lstmcore.apps.anomalies.preprocessing import choose, limited, without_season
from lstmcore.cli import options, reading
from lstmcore.cli.intervals import check_intervals, shared_rows
from lstmcore.cli.labels import labelled, trained_on_labelled, without_labels
from lstmcore.cli.options import of_data, reads_table
from lstmcore.cli.packages import require
from lstmcore.cli.parameters import names, takes
from lstmcore.cli.settings_options import takes_settings, with_chosen
from lstmcore.cli.terminal import clear_errors, console, grid, print_notes, print_written, warn
from lstmcore.formatting import count
from lstmcore.series import Preprocessing, ReadOptions, Table, Times

KIND, OUTPUT = "lstmcore anomalies", "lstmcore-anomalies"
PRESET = lc.anomalies.Settings(preprocessing=Preprocessing(missing="forward"))
SHOWN_EVENTS = 20  # in the terminal; events.csv has all
FEWEST_FOR_PEAKS = 500  # rows, of which 2 % are the tail that is fitted

Train = Annotated[
    Path | None,
    of_data(
        metavar="CSV",
        help="A table of normal rows to train on, with the same columns. "
        "[dim]\\[default: the first rows of CSV][/dim]",
    ),
]
TrainFraction = Annotated[
    float, of_data(help="Without --train: the fraction of the rows, from the first, to train on.")
]
Labels = Annotated[
    str | None,
    of_data(
        metavar="NAME",
        help="A column that marks the rows known to be anomalous (0 or empty: not anomalous), "
        "to compare with. It is not trained on.",
    ),
]


class _Inputs(NamedTuple):
    """The tables of a run.

    Attributes:
      source: name of the table that is scored.
      table, times: that table, without labels.
      train: name of the table that is trained on; None if it is the start of `source`.
      training, training_times: the rows that are trained on.
      labels: bool [rows], rows of `table` that are known to be anomalous, or None.
      notes: sentences about columns of labels.
    """

    source: Path
    table: Table
    times: Times | None
    train: Path | None
    training: Table
    training_times: Times | None
    labels: np.ndarray | None
    notes: list[str]


@reads_table
@takes(Detection(), "detection", "Detection")
@takes_settings(PRESET)
def anomalies(  # one parameter for each option of the command
    source: options.Source,
    train: Train = None,
    train_fraction: TrainFraction = 0.5,
    labels: Labels = None,
    columns: options.Columns = None,
    resume: options.Resume = False,
    force: options.Force = False,
    no_cache: options.NoCache = False,
    output: Annotated[Path | None, options.output(OUTPUT)] = None,
    *,
    chosen: dict[str, Any],
    detection: Detection,
    reading_options: ReadOptions,
) -> None:
    """Learn from normal rows, and find the segments of a table that differ from them.

    The output folder receives report.html (the series, scores, threshold,
    events and the gates around them), scores.csv, events.csv, two figures and
    the trained detector, which lc.anomalies.Detector.load reads.
    """
    with clear_errors() as command:
        if labels is not None:
            require("sklearn", "anomalies", "--labels")
        if detection.threshold in ("gaussian", "peaks"):
            require("scipy", "anomalies", f"--threshold {detection.threshold}")
        files = [source] if train is None else [source, train]
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=resume, force=force, inputs=files
        )
        command.output = place
        table, times, marks, notes = _read(source, names(columns), labels, reading_options)
        training, training_times = _training(table, times, train, train_fraction, reading_options)
        check_intervals(train or source, _interval(training_times), source, _interval(times))
        settings = with_chosen(PRESET, chosen)
        known = None if labels is None else marks[labels]
        notes += trained_on_labelled(marks, train, reading_options, len(training.values))
        if known is not None and not known.any():
            notes.append(f"{labels} marks no row, so there is nothing to compare with")
        reading.check(train or source, training, settings.preprocessing.missing)
        settings = choose(settings, training.values, len(table.values))
        inputs = _Inputs(source, table, times, train, training, training_times, known, notes)
        _check(inputs, settings, detection.threshold)
        first = f"the first {len(training.values):,} of them"
        where = f"{count(len(training.values), 'row')} of {train}" if train else first
        reading.introduce(source, table, times, f"; training on {where}")
        _run(inputs, settings, detection, place)


def _read(
    source: Path, columns: tuple[str, ...], labels: str | None, reading_options: ReadOptions
) -> tuple[Table, Times | None, dict[str, np.ndarray], list[str]]:
    """Return (table without labels, times, {column of labels: rows it marks}, sentences)."""
    beside = () if labels is None else (labels,)
    table, times, others = reading.read_beside(source, columns, beside, reading_options)
    table, marks, notes = without_labels(source, table, columns)
    if labels is not None:
        marks = {labels: labelled(others.values[:, 0]), **marks}
    return table, times, marks, notes


def _training(
    table: Table,
    times: Times | None,
    train: Path | None,
    fraction: float,
    reading_options: ReadOptions,
) -> tuple[Table, Times | None]:
    """Return the rows to train on, and their times."""
    if train is not None:
        return reading.read(train, table.columns, reading_options)
    if not 0 < fraction <= 1:
        raise ValueError(f"--train-fraction must be above 0 and at most 1, got {fraction}")
    rows = max(1, round(fraction * len(table.values)))
    return table.first(rows), times


def _interval(times: Times | None) -> str | None:
    return None if times is None else times.interval


def _check(inputs: _Inputs, settings: lc.anomalies.Settings, threshold: str) -> None:
    """Raise before training the errors that would be raised only after it."""
    source, table, training = inputs.source, inputs.table, inputs.training
    reading.check(source, table, settings.preprocessing.missing)
    rows, needed = len(table.values), settings.window + settings.dropped_rows
    if rows < needed + (settings.method == "prediction"):
        raise ValueError(
            f"{source} has {count(rows, 'row')}, too few for --window {settings.window}"
            + f" after a season of {settings.season_rows}" * bool(settings.season_rows)
            + ": use more data or a shorter window"
        )
    if len(training.values) > settings.dropped_rows:
        normal, left = (without_season(settings, t.values) for t in (training, table))
        shown = table._replace(values=left, labels=table.labels[settings.season_rows :])
        reading.check_range(source, shown, settings.preprocessing.fit(limited(normal, len(normal))))
    if threshold == "peaks" and len(training.values) < FEWEST_FOR_PEAKS:
        raise ValueError(
            f"--threshold peaks needs at least {FEWEST_FOR_PEAKS} rows to train on, and there are "
            f"{len(training.values)}: use --threshold quantile"
        )


def _run(
    inputs: _Inputs,
    settings: lc.anomalies.Settings,
    detection: Detection,
    output: run_folder.Output,
) -> None:
    """Train, detect, write the report, and print its summary."""
    from lstmcore.apps.anomalies import report  # imports matplotlib

    table, training = inputs.table, inputs.training
    trained = {
        "columns": list(table.columns),
        "trained_rows": len(training.values),
        "interval": _interval(inputs.training_times),
        "settings": settings.to_json(),
    }
    scored = {
        "source": str(inputs.source),
        "trained_on": str(inputs.train or inputs.source),
        "rows": len(table.values),
    }
    with output.open(warn) as staging:
        # A run may be resumed with another table to score, and other options of detection.
        run_folder.record_settings(staging, trained)
        detector = lc.anomalies.train(
            training.values,
            settings,
            progress=True,
            checkpoint=staging / run_folder.CHECKPOINT,
            resume=bool(output.resume),
        )
        detector.write_parts(staging)
        run_folder.write_history(staging / "history.csv", detector.history)
        description = run_folder.versions() | trained | scored | detection.to_json()
        run_folder.write_json(staging / run_folder.SETTINGS, description)
        with console.status("scoring the series, writing the report ..."):
            result = lc.anomalies.detect(detector, table.values, **detection.to_json())
            notes = _notes(inputs, detector, result, detection)
            data = report.ReportData(
                str(inputs.source), table, detector, result, inputs.labels, notes
            )
            report.write(staging, data)
    _print(data)
    print_written(output.folder)


def _notes(
    inputs: _Inputs,
    detector: lc.anomalies.Detector,
    result: lc.anomalies.DetectionResult,
    detection: Detection,
) -> list[str]:
    from lstmcore.apps.anomalies import report

    notes = reading.notes(inputs.table, inputs.times, detector.preprocessor) + inputs.notes
    if inputs.train is not None:
        notes += shared_rows(inputs.train, inputs.training_times, inputs.times)
    rows, is_own = len(inputs.training.values), inputs.train is None
    if season := detector.settings.season_rows:
        notes.append(f"a season of {count(season, 'row')} is removed: the first has no score")
    notes += report.caveats(result, detection, rows, is_own)
    notes += report.calibration(result)
    notes += report.threshold_row(result, inputs.training.labels)
    notes += report.echoes(result, detector.settings.preprocessing.difference)
    return notes + report.close_together(result, detector.settings.window)


def _print(data) -> None:
    from lstmcore.apps.anomalies import report

    console.print()
    print_notes(reading.not_introduced(data.notes, data.table))
    sentence = report.summary(data.result, data.table.labels)
    console.print(f"\n[bold]{escape(sentence)}[/bold]\n")
    shown = report.most_anomalous(data, SHOWN_EVENTS)
    cells = [
        [str(first), str(last), f"{rows:,}", f"{times:.3g}", column]
        for first, last, rows, _, _, times, column, _ in report.event_rows(data, shown)
    ]
    if cells:
        grid("events", ["first", "last", "rows", "× threshold", "mostly in"], cells)
    hidden = len(data.result.events) - len(shown)
    if hidden:
        console.print(f"the {len(shown)} most anomalous; {hidden:,} more are in events.csv\n")
    if cells := report.metric_cells(data):
        grid("compared with the labels", report.METRICS, cells)
