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
from lstmcore.apps.anomalies import last_rows, verdict
from lstmcore.apps.anomalies.detection import Detection, detect_one
from lstmcore.apps.anomalies.preprocessing import choose, limited, without_season
from lstmcore.cli import (
    anomalies_again,
    anomalies_many,
    normal_rows,
    options,
    reading,
    saved_model,
    when,
)
from lstmcore.cli.intervals import check_intervals, shared_rows
from lstmcore.cli.labels import labelled, trained_on_labelled, without_labels
from lstmcore.cli.options import of_data, of_evaluation, reads_table
from lstmcore.cli.packages import require
from lstmcore.cli.parameters import names, takes
from lstmcore.cli.settings_options import takes_settings, with_chosen
from lstmcore.cli.terminal import clear_errors, console, grid, print_notes, print_written, warn
from lstmcore.formatting import count
from lstmcore.series import (
    Preprocessing,
    ReadOptions,
    Table,
    Times,
)

KIND, OUTPUT = "lstmcore anomalies", "lstmcore-anomalies"
PRESET = lc.anomalies.Settings(preprocessing=Preprocessing(missing="forward"))
SHOWN_EVENTS = 20  # in the terminal; events.csv has all

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
        f"[dim]\\[default: {normal_rows.FIRST_ROWS}][/dim]"
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

Id = Annotated[
    str | None,
    of_data(
        "--id",
        metavar="NAMES",
        help="Search all series of a table by one model: the column, or several, that tell them "
        "apart, such as machine or site,unit.",
    ),
]

Rivals = Annotated[
    bool | None,
    of_evaluation(
        "--rivals/--no-rivals",
        help="Run simple detectors on the same rows: is one of them enough? "
        "[dim]\\[default: rivals; with --id none][/dim]",
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
      before: rows right before `table`, from which it goes on; None if it is scored anew.
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
    before: last_rows.LastRows | None = None


@reads_table
@takes(Detection(), "detection", "Detection")
@takes_settings(PRESET)
def anomalies(  # one parameter for each option of the command
    sources: options.Sources,
    model: saved_model.Model = None,
    update: saved_model.Update = False,
    continued: anomalies_again.Continue = None,
    train: Train = None,
    train_fraction: TrainFraction = None,
    train_until: TrainUntil = None,
    labels: Labels = None,
    id: Id = None,
    columns: options.Columns = None,
    rivals: Rivals = None,
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
    if the table goes on where the earlier one ended, from its first row on. With
    --update as well, its training continues on the normal rows.

    With --id, one model learns from all series of a table, such as machines,
    and each is searched by itself; series.csv has a line for each. Of several
    tables, each is a series.
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
        is_many = id is not None or len(sources) > 1
        anomalies_again.check_asked(continued, model, update, is_many=is_many)
        normal_rows.check_which(train, train_fraction, train_until)
        is_trained = model is None or update
        saved_model.check_output(model, output or (Path(OUTPUT) if force else None))
        if detection.threshold in ("gaussian", "peaks"):
            require("scipy", "anomalies", f"--threshold {detection.threshold}")
        files = sources if train is None else [*sources, train]
        can_resume = resume if is_trained else None
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=can_resume, force=force, inputs=files
        )
        command.output = place
        start, asked = saved_model.start(lc.anomalies.Detector, model), names(columns)
        if start is not None:
            reading_options = start.origin.reading.of_another_table().updated(reading_options)
            asked = start.model.preprocessor.columns or start.origin.columns
            id = start.origin.id if id is None and len(sources) == 1 else id
        is_many = id is not None or len(sources) > 1
        if start is not None:
            anomalies_again.check_kind(start, is_trained, is_many=is_many)
        if is_many:
            if labels is not None:
                raise ValueError("--labels is for one series: leave it out for many")
            if rivals:
                raise ValueError("--rivals are for one series: leave it out for many")
            if train is not None and not id:
                raise ValueError(
                    "--train is for one series, or with --id: of several tables the first rows of "
                    "each are trained on"
                )
            task = anomalies_many.Task(
                sources,
                id or None,
                asked,
                reading_options,
                train,
                train_fraction,
                train_until,
                start,
            )
            if is_trained:
                preset = saved_model.preset(PRESET, start)
                anomalies_many.run(task, with_chosen(preset, chosen), detection, place)
            else:
                anomalies_many.detect_again(task, detection, place)
            return
        [source] = sources
        table, times, marks, notes = _read(source, asked, labels, reading_options)
        before, joint = None, list[str]()
        if start is not None:
            if not is_trained:
                before, joint = anomalies_again.rows_before(continued, start, table)
            anomalies_again.check_table(
                source, table, times, start, before, [] if before is not None else joint
            )
        notes += joint
        known = None if labels is None else marks[labels]
        if known is not None and not known.any():
            notes.append(f"{labels} marks no row, so there is nothing to compare with")
        none = table.first(0)
        inputs = _Inputs(
            source, table, times, None, none, None, known, notes, reading_options, start, before
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
            settings = choose(settings, training.values[: max(1, fitted)], rows=len(table.values))
        notes += trained_on_labelled(marks, train, reading_options, len(training.values))
        inputs = inputs._replace(train=train, training=training, training_times=training_times)
        _check(inputs, settings, detection.threshold)
        own = f"the first {len(training.values):,} of them"
        where = f"{count(len(training.values), 'row')} of {train}" if train else own
        reading.introduce(source, table, times, f"; training on {where}")
        _run(inputs, settings, detection, place, rivals is not False)


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
    if train is not None:
        return reading.read(train, table.columns, reading_options.of_another_table())
    if first.until is not None:
        return table.first(when.last_row("--train-until", first.until, table) + 1), times
    return table.first(normal_rows.number_of_first(first.fraction, len(table.values))), times


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
        if inputs.start is not None:  # whose preprocessing is kept
            preprocessor = inputs.start.model.preprocessor
        else:
            normal = without_season(settings, training.values)
            preprocessor = settings.preprocessing.fit(limited(normal, len(normal)))
        anomalies_again.check_range(source, table, settings, preprocessor)
    normal_rows.check_enough(threshold, len(training.values))


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
        kept = last_rows.last_rows(detector, table, str(inputs.source))
        last_rows.write(staging / last_rows.LAST_ROWS, kept)
        run_folder.write_history(staging / "history.csv", detector.history)
        plots.plot_loss(detector.history).savefig(staging / "loss.png", dpi=120)
        description = run_folder.versions() | trained | scored | detection.to_json()
        run_folder.write_json(staging / run_folder.SETTINGS, description)
        with console.status("scoring the series, writing the report ..."):
            result = detect_one(detector, table.values, detection)
            notes = _notes(inputs, detector, result, detection)
            data = report.ReportData(
                str(inputs.source), table, detector, result, inputs.labels, notes,
                training=training, is_own=inputs.train is None,
            )  # fmt: skip
            if rivals:
                data = data._replace(comparison=_compare(data, training, detection))
            report.write(staging, data)
    _print(data)
    print_written(output.folder)


def _detect_again(inputs: _Inputs, detection: Detection, output: run_folder.Output) -> None:
    """Score another table with an earlier detector, write the report, and print its summary."""
    from lstmcore.apps.anomalies import report  # imports matplotlib

    assert inputs.start is not None
    folder, detector, origin = inputs.start
    source, table, times = inputs.source, inputs.table, inputs.times
    reading.introduce(source, table, times, f"; scored by the detector in {folder}")
    description = {
        "source": str(source),
        "model": str(folder),
        "trained_on": origin.source,
        "trained_until": origin.trained_until,
        "columns": list(table.columns),
        "reading": inputs.reading.to_json(),
        "rows": len(table.values),
        "interval": _interval(times),
        "settings": detector.settings.to_json(),
        **detection.to_json(),
    }
    with output.open(warn) as staging:
        run_folder.write_json(staging / run_folder.SETTINGS, run_folder.versions() | description)
        detector.write_parts(staging)  # with the rows from which the next table goes on
        kept = last_rows.last_rows(detector, table, str(source), inputs.before)
        last_rows.write(staging / last_rows.LAST_ROWS, kept)
        before = None if inputs.before is None else inputs.before.values
        with console.status("scoring the series, writing the report ..."):
            result = detect_one(detector, table.values, detection, before)
            notes = _notes(inputs, detector, result, detection)
            notes.append(
                "no simple methods run beside it: the rows that they would be fitted to are not "
                "here"
            )
            data = report.ReportData(
                str(source), table, detector, result, inputs.labels, notes, before=before
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
    notes = reading.notes(inputs.table, inputs.times, detector.preprocessor) + inputs.notes
    if inputs.train is not None:
        notes += shared_rows(inputs.train, inputs.training_times, inputs.times)
    notes += saved_model.notes(inputs.start, inputs.times)
    rows, is_own = len(inputs.training.values), inputs.train is None
    if (season := detector.settings.season_rows) and inputs.before is None:
        notes.append(f"a season of {count(season, 'row')} is removed: the first has no score")
    notes += verdict.caveats(result, detection, len(detector.training_errors), is_own and rows > 0)
    notes += verdict.calibration(result)
    if rows:
        notes += verdict.threshold_row(result, inputs.training.labels)
    notes += verdict.echoes(len(result.events), detector.settings.preprocessing.difference)
    return notes + verdict.close_together([result], detector.settings.window)


def _compare(data, training: Table, detection: Detection) -> lc.anomalies.Comparison:
    return lc.anomalies.compare(
        data.detector,
        training.values,
        data.table.values,
        data.result,
        labels=data.labels,
        threshold=detection,
        gap=detection.gap,
        minimum=detection.minimum,
    )


def _print(data) -> None:
    from lstmcore.apps.anomalies import report

    console.print()
    print_notes(reading.not_introduced(data.notes, data.table))
    console.print()
    for sentence in [
        *verdict.doubts_of(data.result),
        verdict.summary(data.result, data.table.labels),
    ]:
        console.print(f"[bold]{escape(sentence)}[/bold]\n")
    shown = report.most_anomalous(data, SHOWN_EVENTS)
    cells = [
        [str(first), str(last), f"{rows:,}", f"{times:.3g}", column]
        for first, last, rows, _, _, times, column, _ in report.event_rows(data, shown)
    ]
    if cells:
        grid("events", ["first", "last", "rows", "times the threshold", "mostly in"], cells)
    hidden = len(data.result.events) - len(shown)
    if hidden:
        console.print(f"the {len(shown)} most anomalous; {hidden:,} more are in events.csv\n")
    if cells := report.metric_cells(data):
        grid("compared with the labels", report.METRICS, cells)
    if data.comparison is not None:
        grid("beside simple methods", *data.comparison.cells())
        print_notes(data.comparison.notes)
        console.print(f"[bold]{escape(data.comparison.sentence)}[/bold]\n")
