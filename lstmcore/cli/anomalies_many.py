"""`lstmcore anomalies --id`, or of several tables: one model of many series, events in each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder
from lstmcore.apps.anomalies.detection import ENOUGH, Detection, detect_separate
from lstmcore.apps.anomalies.examples import Examples, prepare_separate
from lstmcore.apps.anomalies.levels import Levels
from lstmcore.apps.anomalies.preprocessing import without_season
from lstmcore.cli import normal_rows, reading, saved_model, when
from lstmcore.cli.intervals import check_intervals
from lstmcore.cli.labels import labelled, on_labelled
from lstmcore.cli.terminal import console, grid, print_notes, print_written, warn
from lstmcore.formatting import count, few, shorten
from lstmcore.series import ReadOptions, Table, read_many
from lstmcore.series.tables.many import SERIES, columns_of_ids
from lstmcore.series.tables.selection import columns_of_labels

SHOWN = 20  # series in the terminal; series.csv has all


class Task(NamedTuple):
    """What the command was asked to do.

    Attributes:
      sources: the table that is scored, or several that are a series each.
      id: its column of ids; None of several tables.
      columns: those to read; () for all.
      reading: how the tables are to be read.
      train: name of the table that is trained on; None if it is the start of each series.
      fraction, until: which rows of each series these are, as --train-fraction and --train-until.
      start: an earlier detector, with --model.
    """

    sources: Sequence[Path]
    id: str | None
    columns: tuple[str, ...]
    reading: ReadOptions
    train: Path | None
    fraction: float | None
    until: str | None
    start: saved_model.Start | None

    @property
    def source(self) -> Path:
        """Return the name of the tables that are scored."""
        return reading.name_of(self.sources)

    @property
    def id_name(self) -> str:
        """Return the heading of the names of series."""
        return self.id or SERIES


def run(
    task: Task,
    settings: lc.anomalies.Settings,
    detection: Detection,
    output: run_folder.Output,
) -> None:
    """Train on all series, detect in each, write the report, and print its summary."""
    tables, marks, notes = _read(task, task.sources, task.columns)
    training, more = _training(task, tables)
    notes += more
    missing = settings.preprocessing.missing
    for name, some in ((task.source, tables), (task.train or task.source, training)):
        _check(task, name, some, missing)
    training, more = _long_enough(training, settings.span + settings.dropped_rows, "trained on")
    notes += [*more, *_trained_on_labelled(task, marks, training)]
    _check_number(task, training, settings.validation, len(tables))
    start = None if task.start is None else task.start.model
    prepared = prepare_separate(_values(training), settings, start)
    _check_enough(prepared, detection.threshold)
    needed = prepared.settings.window + prepared.settings.dropped_rows
    needed += prepared.settings.method == "prediction"
    tables, more = _long_enough(tables, needed, "scored")
    notes += more
    tables, more = _known(tables, prepared.levels)
    notes += more
    for id, table in tables.items():
        centred = table.values
        if prepared.levels is not None:
            offset, scale = prepared.levels.of(id)
            centred = (centred - offset) / scale
        left = without_season(prepared.settings, centred)
        shown = table._replace(values=left, labels=table.labels[len(table.values) - len(left) :])
        reading.check_range(_name(task, task.source, id), shown, prepared.preprocessor)
    _introduce(task, tables, f"; training on {_rows(training)} of {task.train or 'them'}")
    trained = _description(task, tables) | {
        "trained_rows": sum(len(table.values) for table in training.values()),
        "settings": settings.to_json(),
        **saved_model.updated(task.start),
    }
    with output.open(warn) as staging:
        run_folder.record_settings(staging, trained)
        detector = lc.anomalies.train(
            _values(training),
            settings,
            start=start,
            progress=True,
            checkpoint=staging / run_folder.CHECKPOINT,
            resume=bool(output.resume),
        )
        _write_detector(staging, detector)
        scored = {"source": str(task.source), "trained_on": str(task.train or task.source)}
        description = run_folder.versions() | trained | scored | detection.to_json()
        run_folder.write_json(staging / run_folder.SETTINGS, description)
        if detector.settings.levels == "own":
            notes.append(f"each {task.id_name} is scaled by its own level: they differ")
        if task.train is None:
            notes.append(
                "the first rows of each series are taken to be normal: they were trained on, so "
                "anomalous rows among them are harder to find; --train names a table of normal "
                "rows instead"
            )
        data = _scored(task, tables, detector, detection, notes, staging)
    _print(data)
    print_written(output.folder)


def detect_again(task: Task, detection: Detection, output: run_folder.Output) -> None:
    """Score another table with an earlier detector, write the report, and print its summary."""
    assert task.start is not None
    folder, detector, origin = task.start
    tables, _, notes = _read(task, task.sources, task.columns)
    _check(task, task.source, tables, detector.settings.preprocessing.missing)
    features = detector.preprocessor.features
    columns = next(iter(tables.values())).columns
    if len(columns) != features:
        raise ValueError(
            f"{task.source} has {count(len(columns), 'column')} to read ({few(columns)}), but the "
            f"detector reads {features}"
        )
    check_intervals(origin.source, origin.interval, task.source, _interval(tables))
    needed = detector.settings.window + detector.settings.dropped_rows
    needed += detector.settings.method == "prediction"
    tables, more = _long_enough(tables, needed, "scored")
    notes += more
    tables, more = _known(tables, detector.levels)
    notes += more
    _introduce(task, tables, f"; scored by the detector in {folder}")
    description = _description(task, tables) | {
        "source": str(task.source),
        "model": str(folder),
        "settings": detector.settings.to_json(),
        **detection.to_json(),
    }
    with output.open(warn) as staging:
        run_folder.write_json(staging / run_folder.SETTINGS, run_folder.versions() | description)
        data = _scored(task, tables, detector, detection, notes, staging)
    _print(data)
    print_written(output.folder)


Marks = dict[str, dict[str, np.ndarray]]


def _read(
    task: Task, sources: Sequence[Path], columns: tuple[str, ...]
) -> tuple[dict[str, Table], Marks, list[str]]:
    """Return the table of each series without labels, these, and sentences on how they were read.

    The labels are {column of labels: {id: bool [rows], marked rows}}.
    """
    source = reading.name_of(sources)
    levels = None if task.start is None else task.start.model.levels
    try:
        found = read_many(
            sources,
            task.id,
            columns,
            static=(),
            known=() if levels is None else levels.ids,
            missing=True,
            options=task.reading,
        )
    except ValueError as error:
        ids = () if task.id is None else columns_of_ids(task.id, ())
        if task.start is not None and any(f"no column {id!r}" in str(error) for id in ids):
            raise ValueError(
                f"{error}; the series that the detector in {task.start.folder} was trained on are "
                f"told apart by {task.id}: --id names the column of this table that does so"
            ) from error
        raise
    tables = {
        id: reading.regular(_name(task, source, id), table) for id, table in found.tables.items()
    }
    notes = list(found.notes)
    first = next(iter(tables.values()))
    whole = first._replace(values=np.concatenate([table.values for table in tables.values()]))
    labels = columns_of_labels(whole)
    marks = {
        whole.columns[place]: {id: labelled(table.values[:, place]) for id, table in tables.items()}
        for place in labels
    }
    if labels and columns:
        notes.append(f"{few(list(marks))} may hold labels: trained on as --columns says so")
    elif labels:
        kept = [place for place in range(len(whole.columns)) if place not in labels]
        names = few(list(marks))
        if not kept:
            raise ValueError(
                f"{source} has nothing to train on: {names} may hold labels; --columns reads them "
                "nevertheless"
            )
        tables = {id: table.select(kept) for id, table in tables.items()}
        notes.append(f"{names} left out, which may hold labels; --columns reads them nevertheless")
    intervals = {table.times.interval for table in tables.values() if table.times is not None}
    if len(intervals) > 1:
        raise ValueError(
            f"{source} has series with a row every {few(sorted(intervals))}: a model knows rows, "
            "not times, so bring them to one interval (--resample, --consecutive)"
        )
    return tables, marks, notes


def _trained_on_labelled(task: Task, marks: Marks, training: Mapping[str, Table]) -> list[str]:
    """Return sentences on labelled rows that are trained on. marks: of the table that is scored."""
    notes = []
    rows = sum(len(table.values) for table in training.values())
    for name, marked in marks.items():
        if task.train is not None:
            try:
                found = read_many(
                    task.train, task.id, [name], static=(), missing=True, options=task.reading
                )
            except ValueError:  # it has no such column; the table itself can be read
                continue
            marked = {id: labelled(table.values[:, 0]) for id, table in found.tables.items()}
        number = sum(int(marked[id][: len(table.values)].sum()) for id, table in training.items())
        notes += on_labelled(name, number, rows)
    return notes


def _training(task: Task, tables: Mapping[str, Table]) -> tuple[dict[str, Table], list[str]]:
    """Return the rows of each series to train on, and sentences on how they were read."""
    if task.train is not None:
        columns = next(iter(tables.values())).columns
        training, _, notes = _read(task, [task.train], columns)
        check_intervals(task.train, _interval(training), task.source, _interval(tables))
        return training, notes
    if task.until is not None:
        rows = when.rows_up_to("--train-until", task.until, tables)
        if not any(rows.values()):
            raise ValueError(f"--train-until {task.until} is before the rows of all series")
        late = [id for id, number in rows.items() if not number]
        verb = "begins" if len(late) == 1 else "begin"
        notes = [f"{len(late)} series {verb} after --train-until {task.until}: {few(late)}"]
        kept = {id: table.first(rows[id]) for id, table in tables.items() if rows[id]}
        return kept, notes * bool(late)
    return {
        id: table.first(normal_rows.number_of_first(task.fraction, len(table.values)))
        for id, table in tables.items()
    }, []


def _check(task: Task, source: Path, tables: Mapping[str, Table], missing: str) -> None:
    for id, table in tables.items():
        reading.check(_name(task, source, id), table, missing)


def _check_enough(prepared: Examples, threshold: str) -> None:
    """Refuse too few normal rows for a threshold, before training."""
    ends = np.cumsum([len(table) for table in prepared.tables.values()])
    rows, held_out = int(ends[-1]), int((ends > prepared.validation_start).sum())
    if held_out < ENOUGH:
        normal_rows.check_enough(threshold, rows)
    else:  # these set the threshold
        of = f"rows in the {held_out} series held out"
        normal_rows.check_enough(threshold, rows - prepared.validation_start, of)


def _check_number(
    task: Task, training: Mapping[str, Table], validation: float, number: int
) -> None:
    """Refuse series so few that none would be left to train on. number: how many the table has."""
    held_out = max(1, round(validation * len(training))) if validation else 0
    if held_out < len(training):
        return
    few_of_them = f"{task.train or task.source} has {len(training)} series to train on, "
    if len(training) > 1:
        raise ValueError(
            f"{few_of_them}of which {held_out} would be held out: lower --validation {validation}"
        )
    id = next(iter(training))
    if task.id is None:
        instead = "give its table alone"
    elif number == 1:
        instead = "leave out --id"
    else:
        instead = f"--series {id} in place of --id reads it"
    raise ValueError(
        f"{few_of_them}{task.id_name} {shorten(id)}, and of many series, whole series are held "
        f"out: {instead}, or --validation 0 holds out none"
    )


def _name(task: Task, source: Path, id: str) -> Path:
    """Return the name of a series for messages."""
    return Path(f"{source}, {task.id_name} {id}")


def _long_enough(
    tables: Mapping[str, Table], needed: int, what: str
) -> tuple[dict[str, Table], list[str]]:
    """Return the series with enough rows, and a sentence on the others.

    Raises:
      ValueError: there are none.
    """
    short = [id for id, table in tables.items() if len(table.values) < needed]
    if len(short) == len(tables):
        raise ValueError(
            f"no series has the {needed} rows that are needed to be {what}: use more data or a "
            "shorter --window"
        )
    if not short:
        return dict(tables), []
    kept = {id: table for id, table in tables.items() if id not in short}
    verb = "is" if len(short) == 1 else "are"
    return kept, [
        f"{len(short)} series of fewer than {needed} rows {verb} not {what}: {few(short)}"
    ]


def _known(
    tables: Mapping[str, Table], levels: Levels | None
) -> tuple[dict[str, Table], list[str]]:
    """Return the series with a level, if each has its own, and a sentence on the others.

    Raises:
      ValueError: there are none.
    """
    new = [id for id in tables if levels is not None and id not in levels.ids]
    if not new:
        return dict(tables), []
    reason = "the model scales each by the level of its own training rows (--levels own)"
    if len(new) == len(tables):
        raise ValueError(
            f"no series was trained on, and {reason}: train on them, or with --levels common"
        )
    kept = {id: table for id, table in tables.items() if id not in new}
    verb = "was" if len(new) == 1 else "were"
    return kept, [
        f"{len(new)} series {verb} not trained on and not scored, as {reason}: {few(new)}"
    ]


def _values(tables: Mapping[str, Table]) -> dict[str, Any]:
    """Return the tables as dicts of columns, so that the detector keeps their names."""
    return {
        id: dict(zip(table.columns, table.values.T, strict=True)) for id, table in tables.items()
    }


def _interval(tables: Mapping[str, Table]) -> str | None:
    times = next(iter(tables.values())).times
    return None if times is None else times.interval


def _rows(tables: Mapping[str, Table]) -> str:
    return count(sum(len(table.values) for table in tables.values()), "row")


def _introduce(task: Task, tables: Mapping[str, Table], more: str) -> None:
    columns = few(next(iter(tables.values())).columns)
    text = f"{len(tables)} series, {_rows(tables)} of {columns}{more}"
    console.print(f"[bold]{escape(str(task.source))}[/bold]: {escape(text)}\n", soft_wrap=True)


def _description(task: Task, tables: Mapping[str, Table]) -> dict[str, Any]:
    return {
        "id": task.id or "",
        "columns": list(next(iter(tables.values())).columns),
        "reading": task.reading.to_json(),
        "rows": sum(len(table.values) for table in tables.values()),
        "interval": _interval(tables),
    }


def _write_detector(staging: Path, detector: lc.anomalies.Detector) -> None:
    from lstmcore.study import plots  # imports matplotlib

    detector.write_parts(staging)
    run_folder.write_history(staging / "history.csv", detector.history)
    plots.plot_loss(detector.history).savefig(staging / "loss.png", dpi=120)


def _scored(task: Task, tables, detector, detection: Detection, notes: list[str], staging: Path):
    """Score the series and write the report; return its data."""
    from lstmcore.apps.anomalies import separate_report as report  # imports matplotlib

    with console.status("scoring the series, writing the report ..."):
        result = detect_separate(detector, _values(tables), detection, task.id_name)
        data = report.SeparateData(str(task.source), task.id_name, tables, detector, result, notes)
        data = data._replace(notes=list(dict.fromkeys([*notes, *report.remarks(data)])))
        report.write(staging, data)
    return data


def _print(data) -> None:
    from lstmcore.apps.anomalies import separate_report as report

    console.print()
    print_notes(data.notes)
    console.print()
    for sentence in [*report.doubts(data), report.summary(data)]:
        console.print(f"[bold]{escape(sentence)}[/bold]\n")
    rows = {row[0]: row for row in report.series_rows(data)}
    shown = [id for id in data.ordered() if rows[id][2] or rows[id][3]]
    cells = [
        [
            str(id),
            f"{rows[id][3]:,}",
            f"{rows[id][5]:,}",
            f"{rows[id][1]:.4g}",
            "odd" if rows[id][2] else "",
        ]
        for id in shown[:SHOWN]
    ]
    if cells:
        grid("series", [data.id_name, "events", "rows in them", "score", "as a whole"], cells)
    if len(shown) > SHOWN:
        console.print(f"{len(shown) - SHOWN:,} more are in series.csv\n")
