"""`lstmcore forecast --id`, or of several tables: one model forecasts many series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.markup import escape

import lstmcore as lc
from lstmcore import series
from lstmcore.apps import run_folder
from lstmcore.apps.forecasting import verdict
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.apps.forecasting.training import check_rows
from lstmcore.cli import future, reading, saved_model, when
from lstmcore.cli.intervals import check_intervals, every
from lstmcore.cli.parameters import flag_of, names
from lstmcore.cli.settings_options import with_chosen
from lstmcore.cli.terminal import console, grid, print_notes, print_written, warn
from lstmcore.formatting import count, few, listed, shorten
from lstmcore.io.description import read_description
from lstmcore.series import ReadOptions, Table

SAMPLES = 100  # of a model with dropout
SHOWN_TARGETS = 4  # in the terminal; errors.csv has all
MOST_NOTES = 5  # on series that are left out


class Asked(NamedTuple):
    """What the user asked to be read.

    sources: one table, or several that are a series each
    id, columns: as in `series.read_many`
    static: as given, or None
    boundary: where the test part of each series begins; None as --test says
    is_optional: whether the tables may lack static columns
    known: names of the series that an earlier model was trained on
    """

    sources: Sequence[Path]
    id: str | tuple[str, ...] | None
    columns: tuple[str, ...]
    static: str | None
    reading: ReadOptions
    boundary: when.Boundary | None = None
    is_optional: bool = False
    known: tuple[Any, ...] = ()

    @property
    def source(self) -> Path:
        """Return the name of the tables."""
        return reading.name_of(self.sources)


class _Inputs(NamedTuple):
    """The series of a run.

    tables: {name: Table}, up to the last row of its targets
    future: {name: [rows after that, covariates]}
    static: {name: {column: value}}
    notes: on how the file was read
    id: columns that tell the series apart
    """

    asked: Asked
    tables: dict[str, Table]
    future: dict[str, np.ndarray]
    static: dict[str, dict[str, Any]]
    notes: tuple[str, ...]
    id: tuple[str, ...]

    @property
    def values(self) -> dict[str, np.ndarray]:
        """Return {name: [rows, F]}."""
        return {name: table.values for name, table in self.tables.items()}

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns, which are those of all series."""
        return next(iter(self.tables.values())).columns


def is_there(folder: Path) -> bool:
    """Return whether a folder holds a model of many series."""
    return (folder / lc.forecasting.TrainedMany.DESCRIPTION).exists()


def check_options(given: Mapping[str, Any]) -> None:
    """Raise ValueError if an option was given that is for one series alone."""
    if flags := [flag_of(name) for name, value in given.items() if value]:
        raise ValueError(
            f"{listed(flags)} {'is' if len(flags) == 1 else 'are'} for one series, not for many: "
            "leave it out (a new run trains anew)"
        )


def run(
    asked: Asked,
    settings: Settings,
    chosen: Mapping[str, Any],
    output: run_folder.Output,
    model: Path | None = None,
    *,
    update: bool = False,
) -> None:
    """Train on all series of a table, or forecast them by the model in a folder.

    Args:
      asked: what to read.
      settings: those to start from, without a model.
      chosen: settings that were given.
      output: folder for the results.
      model: the folder of an earlier model, or None.
      update: whether its training continues.
    """
    start = saved_model.start(lc.forecasting.TrainedMany, model)
    if start is None:
        settings = with_chosen(settings, chosen)
        _train(_read(asked, settings), settings, output)
        return
    _, trained, origin = start
    static = ",".join(column.name for column in trained.encoder.columns)
    if origin.id:  # series that are a file each may also be those of a column, which has a name
        saved_model.check_options(start.folder, update, {"id": asked.id}, {})
    of_files = len(asked.sources) > 1 or origin.id == ""
    asked = asked._replace(
        id=asked.id or (None if of_files else trained.id),
        columns=trained.columns,
        static=static if trained.reads_static else None,
        is_optional=True,
        known=tuple(trained),
        reading=origin.reading.updated(asked.reading),
    )
    inputs = _read(asked, trained.settings)
    interval = _interval(inputs)
    check_intervals(origin.source, origin.interval, asked.source, interval)
    if update:
        _train(inputs, with_chosen(saved_model.preset(settings, start), chosen), output, start)
    else:
        _forecast_again(inputs, trained, origin, start.folder, output)


def _read(asked: Asked, settings: Settings) -> _Inputs:
    """Read all series of a file, with a row for each step.

    Raises:
      ValueError: as `series.read_many`; values that are refused, or series at several intervals.
    """
    source, static = asked.source, None if asked.static is None else names(asked.static)
    found = series.read_many(
        asked.sources,
        asked.id,
        asked.columns,
        static=None if asked.is_optional else static,
        optional_static=(static or ()) if asked.is_optional else (),
        known=asked.known,
        missing=True,
        options=asked.reading,
    )
    kept = {*settings.targets, *settings.future_covariates}
    if taken := kept & {column for one in found.static.values() for column in one}:
        raise ValueError(
            f"{source}: {min(taken)!r} does not change within any series, so there is nothing to "
            "forecast: name the columns to read with --columns"
        )
    tables, rest = {}, {}
    for name, table in found.tables.items():
        whose = f"{source}, series {shorten(name)}"
        table = reading.regular(whose, table)
        tables[name], rest[name] = future.without_future(table, settings)
        if settings.preprocessing.missing == "refuse":
            _check_missing(whose, tables[name])
    inputs = _Inputs(asked, tables, rest, found.static, found.notes, found.id)
    _interval(inputs)
    return inputs


def _check_missing(whose: str, table: Table) -> None:
    """Raise the error that values are missing, unless a column has none, as training says then."""
    gone = np.isnan(table.values)
    if gone.any() and not gone.all(axis=0).any():
        reading.check(whose, table, "refuse")


def _interval(inputs: _Inputs) -> str | None:
    """Return the interval between the rows of all series, if they have times.

    Raises:
      ValueError: they have several.
    """
    found: dict[str, str] = {}
    for name, table in inputs.tables.items():
        if table.times is not None:
            found.setdefault(table.times.interval, name)
    if len(found) > 1:
        (one, name), (other, second) = list(found.items())[:2]
        raise ValueError(
            f"{inputs.asked.source}: series {shorten(name)} has a row every {every(one)}, but "
            f"{shorten(second)} one every {every(other)}: bring them to the same interval with "
            "--resample"
        )
    return next(iter(found), None)


def _introduce(inputs: _Inputs, more: str = "") -> None:
    """Print how the table was read."""
    rows = sum(map(len, inputs.values.values()))
    size = f"{len(inputs.tables):,} series of {few(inputs.columns)}, {count(rows, 'row')} in all"
    title = f"[bold]{escape(str(inputs.asked.source))}[/bold]: {escape(size + more)}"
    console.print(title, soft_wrap=True)
    print_notes(inputs.notes)
    console.print()


def _train(
    inputs: _Inputs,
    settings: Settings,
    output: run_folder.Output,
    start: saved_model.Start | None = None,
) -> None:
    """Train, evaluate, forecast, write the report, and print its summary."""
    test_from = _test_from(inputs, settings)
    _introduce(inputs)
    with output.open(warn) as staging:
        description = _description(inputs, settings) | saved_model.updated(start)
        description["series_until"] = list(_trained_until(inputs, settings, test_from).items())
        if inputs.asked.boundary is not None:
            description["test_part"] = list(inputs.asked.boundary)
        run_folder.record_settings(staging, description)
        trained = lc.forecasting.train_many(
            inputs.values,
            inputs.columns,
            settings,
            static=inputs.static,
            test_from=test_from,
            start=None if start is None else start.model,
            progress=True,
            checkpoint=staging / run_folder.CHECKPOINT,
            resume=bool(output.resume),
        )
        trained = replace(trained, id=inputs.id)
        trained.write_parts(staging)
        run_folder.write_history(staging / "history.csv", trained.history)
        with console.status("forecasting the test parts, writing the report ..."):
            evaluation = None
            notes = [*trained.choices(), *_left_out(trained.left_out, "not trained on")]
            if settings.test or test_from is not None:
                try:
                    evaluation = trained.evaluate(
                        inputs.values, static=inputs.static, samples=samples(trained)
                    )
                except ValueError as error:  # the series with long test parts were left out
                    notes.append(str(error))
            notes += [] if start is None else _continued(inputs, trained, start)
            data = _written(staging, inputs, trained, evaluation, notes)
    _print(data)
    print_written(output.folder)


def _continued(inputs: _Inputs, trained: Any, start: saved_model.Start) -> list[str]:
    """Return sentences on the earlier model whose training was continued."""
    folder, earlier, origin = start
    said = [f"the model in {folder} was trained on {len(earlier):,} series of {origin.source}"]
    if new := [name for name in trained if name not in earlier.members]:
        said.append(f"{len(new):,} series {'is' if len(new) == 1 else 'are'} new ({few(new)})")
    if gone := [name for name in earlier if name not in trained.members]:
        verb = "is" if len(gone) == 1 else "are"
        said.append(f"{len(gone):,} of its series {verb} not trained on any more ({few(gone)})")
    last = _read_until(folder)
    until = {n: when.rows_until(table.times, last.get(n)) for n, table in inputs.tables.items()}
    if known := [rows for rows in until.values() if rows]:
        said.append(
            f"{count(sum(known), 'row')} of {len(known):,} series "
            f"{'is' if sum(known) == 1 else 'are'} not later than the last that it was trained "
            "on: if it was trained on them, it does better there than elsewhere"
        )
    return said


def _test_from(inputs: _Inputs, settings: Settings) -> dict[str, int] | None:
    """Return the first row of the test part of each series, if an option says where it begins.

    Raises:
      ValueError: the test part of no series is as long as the horizon.
    """
    boundary = inputs.asked.boundary
    if boundary is None:
        rows = check_rows(max(map(len, inputs.values.values())), settings).test
        most, option, found = rows.stop - rows.start, "raise --test", None
    else:
        found = boundary.rows(inputs.tables)
        most = max(len(table.values) - found[name] for name, table in inputs.tables.items())
        option = f"let it begin earlier ({boundary.option})"
    if (settings.test or found is not None) and most < settings.horizon:
        raise ValueError(
            f"the longest test part has {count(most, 'row')}, but --horizon is "
            f"{settings.horizon}: {option}, use more data, or forecast fewer rows"
        )
    return found


def _forecast_again(
    inputs: _Inputs, trained: Any, origin: saved_model.Origin, model: Path, output: Any
) -> None:
    """Forecast the series of another table, write the report, and print its summary."""
    starts = _starts(inputs, trained, _read_until(model))
    _introduce(inputs, f"; forecast by the model in {model}")
    unknown = [name for name in inputs.tables if name not in trained.members]
    notes = [f"the model in {model} was trained on {len(trained):,} series of {origin.source}"]
    if unknown:
        notes.append(
            f"{len(unknown):,} series {'was' if len(unknown) == 1 else 'were'} not trained on "
            f"({few(unknown)}): each is scaled by its own rows"
        )
    with output.open(warn) as staging:
        description = _description(inputs, trained.settings) | {"model": str(model)}
        run_folder.write_json(staging / run_folder.SETTINGS, run_folder.versions() | description)
        with console.status("forecasting, writing the report ..."):
            evaluation = None
            if starts:
                tested = {name: inputs.tables[name].values for name in starts}
                evaluation = trained.evaluate(
                    tested, start=starts, static=inputs.static, samples=samples(trained)
                )
            else:
                notes.append(
                    "how good the forecasts are remains unknown: no series has rows enough to "
                    "compare with, after those that were trained on"
                )
            untested = [name for name in inputs.tables if name not in starts]
            if starts and untested:
                notes.append(
                    f"{len(untested):,} series {'is' if len(untested) == 1 else 'are'} forecast "
                    f"but not evaluated ({few(untested)}): too few rows come after those that were "
                    "trained on"
                )
            data = _written(staging, inputs, trained, evaluation, notes, is_new=True)
    _print(data)
    print_written(output.folder)


def _read_until(folder: Path) -> dict[str, str]:
    """Return the time of the last row that was trained on, of each series; {} if it is unknown."""
    place = folder / run_folder.SETTINGS
    if not place.exists():
        return {}
    return read_description(
        place, lambda stored: {str(n): str(t) for n, t in stored.get("series_until", [])}
    )


def _starts(inputs: _Inputs, trained: Any, last: Mapping[str, str]) -> dict[str, int]:
    """Return the first row of the test part of each series that has one.

    It is the second half of its rows, or less: rows that were trained on do not count, and before
    it come the rows that a window and a season need.
    """
    starts = {}
    horizon = trained.settings.horizon
    least = max(trained.rows_read, (trained.settings.season_rows or 0) + 1)
    for name, table in inputs.tables.items():
        rows, known = len(table.values), 0
        if name in trained.members:
            until = when.rows_until(table.times, last.get(name))
            known = trained.members[name].split.validation.stop if until is None else until
        start = max(least, known, min(rows // 2, rows - horizon))
        if start + horizon <= rows:
            starts[name] = start
    return starts


def _trained_until(
    inputs: _Inputs, settings: Settings, test_from: Mapping[str, int] | None
) -> dict[str, str]:
    """Return the time of the last row of each series that is trained on, if they have times."""
    moments = {}
    for name, table in inputs.tables.items():
        if table.times is None:
            continue
        with suppress(ValueError):  # a series too short to be split is not trained on
            rows = len(table.values)
            test = settings.test if test_from is None else max(0, rows - test_from[name])
            split = series.split(rows, settings.validation, test)
            moments[name] = str(when.moment_of(table.times, split.validation.stop - 1))
    return moments


def samples(trained: Any) -> int:
    """Return how many samples an interval is made from; 0 where it is made from errors alone."""
    settings = trained.settings
    return SAMPLES if settings.dropout and not settings.quantiles and trained.uses_lstm else 0


def _left_out(reasons: Mapping[str, str], what: str) -> list[str]:
    """Return sentences on series that are left out, the first few one by one."""
    said = [f"series {shorten(name)} is {what}: {why}" for name, why in reasons.items()]
    if len(said) > MOST_NOTES:
        hidden = len(said) - MOST_NOTES
        return [*said[:MOST_NOTES], f"{hidden:,} more series are {what}, for such reasons"]
    return said


def _bounded(trained: Any, forecast: Any) -> list[str]:
    """Return a sentence on the targets whose forecast ends at the bound of 0 in some series."""

    if forecast is None:
        return []
    found = {
        target
        for name, one in forecast.forecasts.items()
        if name in trained.members
        for target in verdict.at_bound(one, trained.members[name].nonnegative)
    }
    return verdict.bound_reached([target for target in trained.targets if target in found])


def _written(
    folder: Path,
    inputs: _Inputs,
    trained: Any,
    evaluation: Any,
    notes: list[str],
    *,
    is_new: bool = False,
) -> Any:
    """Forecast the rows after the last of each series, write all results, and return them."""
    from lstmcore.apps.forecasting.many import report  # imports matplotlib

    settings, tables = trained.settings, inputs.tables
    known = [name for name in tables if future.is_known(inputs.future[name], settings)]
    long = [name for name in known if len(tables[name].values) >= trained.rows_read]
    covariates = listed(settings.future_covariates)
    unknown = {n: f"{covariates} must be known after its end" for n in tables if n not in known}
    forecast = None
    if is_new and evaluation is None and known and not long:
        most = max(len(tables[name].values) for name in known)
        raise ValueError(
            f"no series can be forecast: none has more than {count(most, 'row')}, and the model "
            f"reads the last {trained.rows_read}: give a table that holds the rows before, too"
        )
    if long:
        forecast = trained.forecast(
            {name: tables[name].values for name in known},
            future={name: inputs.future[name][: settings.horizon] for name in known}
            if settings.future_covariates
            else None,
            static=inputs.static,
            samples=samples(trained),
        )
        unknown |= forecast.left_out
    data = report.ManyReportData(
        str(inputs.asked.source),
        tables,
        trained,
        evaluation,
        forecast,
        inputs.static,
        inputs.future,
        {
            name: future.labels_after(tables[name], tables[name].times, settings.horizon)
            for name in tables
        },
        [*notes, *_left_out(unknown, "not forecast"), *_bounded(trained, forecast)],
        is_new,
    )
    report.write(folder, data)
    return data


def _description(inputs: _Inputs, settings: Settings) -> dict[str, Any]:
    asked = inputs.asked
    return {
        "source": str(asked.source),
        "columns": list(inputs.columns),
        "id": "" if asked.id is None else ",".join(inputs.id),
        "reading": asked.reading.to_json(),
        "series": len(inputs.tables),
        "rows": sum(map(len, inputs.values.values())),
        "interval": _interval(inputs),
        "settings": settings.to_json(),
    }


def _print(data: Any) -> None:
    from lstmcore.apps.forecasting.many.evaluation import HEADER

    console.print()
    print_notes(data.notes)
    console.print()
    tested = data.evaluation
    if tested is None:
        return
    for target in tested.targets[:SHOWN_TARGETS]:
        cells = [line.cells() for line in tested.lines(target)]
        header = ["forecast", *HEADER[1:]]
        grid(f"{shorten(target)}: errors in the test parts, over the series", header, cells)
        grid(f"{shorten(target)}: best and worst series", *tested.extremes(target))
    if (hidden := len(tested.targets) - SHOWN_TARGETS) > 0:
        console.print(f"{count(hidden, 'more target')} in errors.csv\n")
    for sentence in tested.summary():
        console.print(f"[bold]{escape(sentence)}[/bold]")
    console.print()
