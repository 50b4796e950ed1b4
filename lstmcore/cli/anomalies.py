"""`lstmcore anomalies`: from a CSV file to the anomalous events in it.

With --model, nothing is trained: an earlier detector scores another table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder
from lstmcore.apps.anomalies.detection import Detection
from lstmcore.apps.anomalies.preprocessing import choose, limited, without_season
from lstmcore.cli import options, reading, saved_model, when
from lstmcore.cli.intervals import check_intervals, shared_rows
from lstmcore.cli.labels import labelled, trained_on_labelled, without_labels
from lstmcore.cli.options import of_data, of_evaluation, reads_table
from lstmcore.cli.packages import require
from lstmcore.cli.parameters import names, takes
from lstmcore.cli.settings_options import takes_settings, with_chosen
from lstmcore.cli.terminal import clear_errors, console, grid, print_notes, print_written, warn
from lstmcore.formatting import count, few
from lstmcore.series import Preprocessing, Preprocessor, ReadOptions, Table, Times

KIND, OUTPUT = "lstmcore anomalies", "lstmcore-anomalies"
PRESET = lc.anomalies.Settings(preprocessing=Preprocessing(missing="forward"))
SHOWN_EVENTS = 20  # in the terminal; events.csv has all
FIRST_ROWS = 0.5  # the fraction that is trained on without --train
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
    float | None,
    of_data(
        help="Without --train: the fraction of the rows, from the first, to train on. "
        f"[dim]\\[default: {FIRST_ROWS}][/dim]"
    ),
]
TrainUntil = Annotated[
    str | None,
    of_data(
        metavar="WHEN",
        help="The last row to train on, in place of --train-fraction: a time as in the table, or "
        "the number of a row, counted from 0.",
    ),
]
Labels = Annotated[
    str | None,
    of_data(
        metavar="NAME",
        help="A column that marks the rows known to be anomalous (0 or empty: not anomalous), "
        "to compare with. It is not trained on.",
    ),
]

Rivals = Annotated[
    bool,
    of_evaluation(
        "--rivals/--no-rivals",
        help="Run simple detectors on the same rows: is one of them enough?",
    ),
]


class _Inputs(NamedTuple):
    """The tables of a run.

    Attributes:
      source: name of the table that is scored.
      table, times: that table, without labels.
      train: name of the table that is trained on; None if it is the start of `source`.
      training, training_times: the rows that are trained on; none with --model alone.
      labels: bool [rows], rows of `table` that are known to be anomalous, or None.
      notes: sentences about columns of labels.
      reading: how the user asked for the tables to be read.
      start: an earlier detector, with --model.
    """

    source: Path
    table: Table
    times: Times | None
    train: Path | None
    training: Table
    training_times: Times | None
    labels: np.ndarray | None
    notes: list[str]
    reading: ReadOptions
    start: saved_model.Start | None


@reads_table
@takes(Detection(), "detection", "Detection")
@takes_settings(PRESET)
def anomalies(  # one parameter for each option of the command
    source: options.Source,
    model: saved_model.Model = None,
    update: saved_model.Update = False,
    train: Train = None,
    train_fraction: TrainFraction = None,
    train_until: TrainUntil = None,
    labels: Labels = None,
    columns: options.Columns = None,
    rivals: Rivals = True,
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
    the trained detector, which lc.anomalies.Detector.load reads. rivals.csv has
    the scores of simple detectors.

    With --model, an earlier detector scores this table, and nothing is trained;
    with --update as well, its training continues on the normal rows.
    """
    given = {
        "columns": columns,
        "train": train,
        "train_fraction": train_fraction,
        "train_until": train_until,
        "resume": resume,
    }
    with clear_errors() as command:
        saved_model.check_options(model, update, given, chosen)
        is_trained = model is None or update
        saved_model.check_output(model, output or (Path(OUTPUT) if force else None))
        if detection.threshold in ("gaussian", "peaks"):
            require("scipy", "anomalies", f"--threshold {detection.threshold}")
        files = [source] if train is None else [source, train]
        can_resume = resume if is_trained else None
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=can_resume, force=force, inputs=files
        )
        command.output = place
        start, asked = saved_model.start(lc.anomalies.Detector, model), names(columns)
        if start is not None:
            reading_options = start.origin.reading.updated(reading_options)
            asked = start.model.preprocessor.columns or start.origin.columns
        table, times, marks, notes = _read(source, asked, labels, reading_options)
        if start is not None:
            _check_again(source, table, times, start)
        known = None if labels is None else marks[labels]
        if known is not None and not known.any():
            notes.append(f"{labels} marks no row, so there is nothing to compare with")
        none = table.first(0)
        inputs = _Inputs(
            source, table, times, None, none, None, known, notes, reading_options, start
        )
        if not is_trained:
            _detect_again(inputs, detection, place)
            return
        first = _FirstRows(train_fraction, train_until)
        training, training_times = _training(table, times, train, first, reading_options)
        check_intervals(train or source, _interval(training_times), source, _interval(times))
        settings = with_chosen(saved_model.preset(PRESET, start), chosen)
        reading.check(train or source, training, settings.preprocessing.missing)
        if start is None:
            fitted = len(training.values) - settings.validation_rows(len(training.values))
            settings = choose(settings, training.values[: max(1, fitted)], len(table.values))
        notes += trained_on_labelled(marks, train, reading_options, len(training.values))
        inputs = inputs._replace(train=train, training=training, training_times=training_times)
        _check(inputs, settings, detection.threshold)
        own = f"the first {len(training.values):,} of them"
        where = f"{count(len(training.values), 'row')} of {train}" if train else own
        reading.introduce(source, table, times, f"; training on {where}")
        _run(inputs, settings, detection, place, rivals)


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


class _FirstRows(NamedTuple):
    """Options that say how many rows to train on, of which at most one is given."""

    fraction: float | None
    until: str | None


def _training(
    table: Table,
    times: Times | None,
    train: Path | None,
    first: _FirstRows,
    reading_options: ReadOptions,
) -> tuple[Table, Times | None]:
    """Return the rows to train on, and their times."""
    if first.until is not None and (train is not None or first.fraction is not None):
        raise ValueError(
            "--train, --train-fraction and --train-until all say which rows to train on: give "
            "--train-until alone, or leave it out"
        )
    if train is not None:
        return reading.read(train, table.columns, reading_options)
    if first.until is not None:
        return table.first(when.last_row("--train-until", first.until, table) + 1), times
    fraction = FIRST_ROWS if first.fraction is None else first.fraction
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
        normal = without_season(settings, training.values)
        preprocessor = settings.preprocessing.fit(limited(normal, len(normal)))
        _check_range(source, table, settings, preprocessor)
    if threshold == "peaks" and len(training.values) < FEWEST_FOR_PEAKS:
        raise ValueError(
            f"--threshold peaks needs at least {FEWEST_FOR_PEAKS} rows to train on, and there are "
            f"{len(training.values)}: use --threshold quantile"
        )


def _check_range(
    source: Path, table: Table, settings: lc.anomalies.Settings, preprocessor: Preprocessor
) -> None:
    """Refuse values that the model cannot read."""
    left, season = without_season(settings, table.values), settings.season_rows
    shown = table._replace(values=left, labels=table.labels[season:])
    reading.check_range(source, shown, preprocessor)


def _run(
    inputs: _Inputs,
    settings: lc.anomalies.Settings,
    detection: Detection,
    output: run_folder.Output,
    rivals: bool,
) -> None:
    """Train, detect, write the report, and print its summary."""
    from lstmcore.apps.anomalies import report  # imports matplotlib
    from lstmcore.study import plots

    table, training = inputs.table, inputs.training
    trained = {
        "columns": list(table.columns),
        "reading": inputs.reading.to_json(),
        "trained_rows": len(training.values),
        "trained_until": when.moment_of(inputs.training_times, len(training.values) - 1),
        "interval": _interval(inputs.training_times),
        "settings": settings.to_json(),
        **saved_model.updated(inputs.start),
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
            start=inputs.start.model if inputs.start else None,
            progress=True,
            checkpoint=staging / run_folder.CHECKPOINT,
            resume=bool(output.resume),
        )
        detector.write_parts(staging)
        run_folder.write_history(staging / "history.csv", detector.history)
        plots.plot_loss(detector.history).savefig(staging / "loss.png", dpi=120)
        description = run_folder.versions() | trained | scored | detection.to_json()
        run_folder.write_json(staging / run_folder.SETTINGS, description)
        with console.status("scoring the series, writing the report ..."):
            result = lc.anomalies.detect(detector, table.values, **detection.to_json())
            notes = _notes(inputs, detector, result, detection)
            data = report.ReportData(
                str(inputs.source), table, detector, result, inputs.labels, notes
            )
            if rivals:
                data = data._replace(comparison=_compare(data, training, detection))
            report.write(staging, data)
    _print(data)
    print_written(output.folder)


def _detect_again(inputs: _Inputs, detection: Detection, output: run_folder.Output) -> None:
    """Score another table with an earlier detector, write the report, and print its summary."""
    from lstmcore.apps.anomalies import report  # imports matplotlib

    assert inputs.start is not None
    folder, detector, _ = inputs.start
    source, table, times = inputs.source, inputs.table, inputs.times
    reading.introduce(source, table, times, f"; scored by the detector in {folder}")
    description = {
        "source": str(source),
        "model": str(folder),
        "columns": list(table.columns),
        "reading": inputs.reading.to_json(),
        "rows": len(table.values),
        "interval": _interval(times),
        "settings": detector.settings.to_json(),
        **detection.to_json(),
    }
    with output.open(warn) as staging:
        run_folder.write_json(staging / run_folder.SETTINGS, run_folder.versions() | description)
        with console.status("scoring the series, writing the report ..."):
            result = lc.anomalies.detect(detector, table.values, **detection.to_json())
            notes = _notes(inputs, detector, result, detection)
            notes.append("no simple methods beside: they would be fitted to the training rows")
            data = report.ReportData(str(source), table, detector, result, inputs.labels, notes)
            report.write(staging, data)
    _print(data)
    print_written(output.folder)


def _check_again(source: Path, table: Table, times: Times | None, start: saved_model.Start) -> None:
    """Raise the errors of a table that a trained detector is to score."""
    detector, origin = start.model, start.origin
    check_intervals(origin.source, origin.interval, source, _interval(times))
    features, settings = detector.preprocessor.features, detector.settings
    if len(table.columns) != features:
        raise ValueError(
            f"{source} has {count(len(table.columns), 'column')} to read ({few(table.columns)}), "
            f"but the detector reads {features}"
        )
    rows, dropped = len(table.values), settings.dropped_rows
    needed = settings.window + dropped + (settings.method == "prediction")
    if rows < needed:
        raise ValueError(
            f"{source} has {count(rows, 'row')}, but the detector reads at least {needed} "
            f"(windows of {settings.window}"
            + f", after {dropped} for season and differences" * bool(dropped)
            + "): use a longer table"
        )
    reading.check(source, table, settings.preprocessing.missing)
    _check_range(source, table, settings, detector.preprocessor)


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
    notes += saved_model.notes(inputs.start, inputs.times)
    rows, is_own = len(inputs.training.values), inputs.train is None
    if season := detector.settings.season_rows:
        notes.append(f"a season of {count(season, 'row')} is removed: the first has no score")
    notes += report.caveats(result, detection, len(detector.training_errors), is_own and rows > 0)
    notes += report.calibration(result)
    if rows:
        notes += report.threshold_row(result, inputs.training.labels)
    notes += report.echoes(result, detector.settings.preprocessing.difference)
    return notes + report.close_together(result, detector.settings.window)


def _compare(data, training: Table, detection: Detection) -> lc.anomalies.Comparison:
    window = data.detector.settings.window
    rule = lc.anomalies.same_rule(detection, len(training.columns), window)
    return lc.anomalies.compare(
        data.detector,
        training.values,
        data.table.values,
        data.result,
        labels=data.labels,
        threshold=rule,
        gap=detection.gap,
        minimum=detection.minimum,
    )


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
    if data.comparison is not None:
        grid("beside simple methods", *data.comparison.cells())
        print_notes(data.comparison.notes)
        console.print(f"[bold]{escape(data.comparison.sentence)}[/bold]\n")
