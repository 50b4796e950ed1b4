"""`lstmcore forecast`: from a CSV file to a forecast, compared with simple forecasts.

With --model, nothing is trained: an earlier model forecasts another table.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder
from lstmcore.apps.forecasting import verdict
from lstmcore.apps.forecasting.backtest import origins_of
from lstmcore.apps.forecasting.settings import Settings, arrange
from lstmcore.apps.forecasting.training import check_rows
from lstmcore.cli import forecast_many, future, options, reading, saved_model, when
from lstmcore.cli.forecast_table import print_forecast
from lstmcore.cli.intervals import check_intervals
from lstmcore.cli.options import of_data, of_evaluation, of_model, reads_table
from lstmcore.cli.parameters import names
from lstmcore.cli.settings_options import takes_settings, with_chosen
from lstmcore.cli.terminal import clear_errors, console, grid, print_notes, print_written, warn
from lstmcore.formatting import count, listed
from lstmcore.series import Preprocessing, ReadOptions, Split, Table, Times

KIND, OUTPUT = "lstmcore forecast", "lstmcore-forecast"
PRESET = Settings(horizon=12, preprocessing=Preprocessing(missing="forward"))
SHOWN_TARGETS = 10  # in the terminal; errors.csv has all


Quantiles = Annotated[
    bool,
    of_model(
        "--quantiles",
        help="Train the LSTM to forecast the interval of 80 % itself (direct mode only).",
    ),
]
Id = Annotated[
    str | None,
    of_data(
        "--id",
        metavar="NAMES",
        help="Forecast all series of a table by one model: the column, or several, that tell them "
        "apart, such as store or store,item.",
    ),
]
Static = Annotated[
    str | None,
    of_data(
        metavar="NAMES",
        help="With --id: columns that do not change within a series, such as region; words are "
        "read as categories. [dim]\\[default: all of them; with --columns, none][/dim]",
    ),
]
Folds = Annotated[
    int,
    of_evaluation(
        help="Backtest: train anew for this many origins, each time on the rows before it."
    ),
]
TrainUntil = Annotated[
    str | None,
    of_evaluation(
        metavar="WHEN",
        help="Last row before the test part, in place of --test: a time as in the table, or the "
        "number of a row, counted from 0.",
    ),
]
TestFrom = Annotated[
    str | None,
    of_evaluation(metavar="WHEN", help="First row of the test part, likewise."),
]


@reads_table
@takes_settings(PRESET, leave_out=("quantiles",))
def forecast(  # one parameter for each option of the command
    sources: options.Sources,
    model: saved_model.Model = None,
    update: saved_model.Update = False,
    columns: options.Columns = None,
    id: Id = None,
    static: Static = None,
    quantiles: Quantiles = False,
    train_until: TrainUntil = None,
    test_from: TestFrom = None,
    folds: Folds = 0,
    resume: options.Resume = False,
    force: options.Force = False,
    no_cache: options.NoCache = False,
    output: Annotated[Path | None, options.output(OUTPUT)] = None,
    *,
    chosen: dict[str, Any],
    reading_options: ReadOptions,
) -> None:
    """Forecast the rows after the last, and compare with simple forecasts.

    The output folder receives report.html (errors beside those of simple
    forecasts, the forecast, the lag check and the gates), forecast.csv,
    test.csv, errors.csv, backtest.csv (with --folds), figures, and the model,
    which lc.forecasting.Trained.load reads.

    With --model, an earlier model forecasts the rows after the last of this table,
    and nothing is trained; with --update as well, its training continues.

    With --id, one model is trained on all series of the table and forecasts each. Of
    several tables, each is a series.
    """
    given = {
        "columns": columns,
        "id": id,
        "static": static,
        "quantiles": quantiles,
        "train_until": train_until,
        "test_from": test_from,
        "folds": folds,
        "resume": resume,
    }
    with clear_errors() as command:
        if model is not None and forecast_many.is_there(model):
            del given["id"]  # which some models leave open
        saved_model.check_options(model, update, given, chosen)
        is_trained = model is None or update
        saved_model.check_output(model, output or (Path(OUTPUT) if force else None))
        can_resume = resume if is_trained else None
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=can_resume, force=force, inputs=sources
        )
        command.output = place
        levels = {"quantiles": (0.1, 0.5, 0.9)} if quantiles else {}
        is_many = id is not None or len(sources) > 1
        if is_many or (model is not None and forecast_many.is_there(model)):
            is_on = chosen.get("calendar") == "on"
            forecast_many.check_options({"folds": folds, "calendar": is_on})
            forecast_many.run(
                forecast_many.Asked(
                    sources,
                    id,
                    names(columns),
                    static,
                    reading_options,
                    when.boundary(train_until, test_from, is_given="test" in chosen),
                ),
                PRESET,
                chosen | levels,
                place,
                model,
                update=update,
            )
            return
        if static is not None:
            raise ValueError("--static is for many series: name the column of their names by --id")
        [source] = sources
        start = saved_model.start(lc.forecasting.Trained, model)
        inputs = _read(source, names(columns), reading_options, start)
        if not is_trained:
            _forecast_again(inputs, place)
            return
        settings = with_chosen(saved_model.preset(PRESET, start), chosen | levels)
        inputs = _without_future(inputs, settings)
        if test_from is not None or train_until is not None:
            when.boundary(train_until, test_from, is_given="test" in chosen)
            test = _test_rows(inputs.table, settings, train_until, test_from)
            settings = replace(settings, test=test)
        _check(source, inputs.table, settings, folds)
        reading.introduce(source, inputs.table, inputs.times)
        _run(inputs, settings, folds, place)


def _read(
    source: Path,
    columns: tuple[str, ...],
    reading_options: ReadOptions,
    start: saved_model.Start | None,
) -> _Inputs:
    """Read the table, as that of an earlier model if there is one."""
    if start is not None:
        columns = start.model.columns
        reading_options = start.origin.reading.of_another_table().updated(reading_options)
    table, times = reading.read(source, columns, reading_options)
    if start is not None and times is not None:
        origin = start.origin
        check_intervals(origin.source, origin.interval, source, times.interval)
    return _Inputs(source, table, times, np.zeros((0, 0)), reading_options, start)


class _Inputs(NamedTuple):
    """The table of a run.

    table: up to the last row of its targets
    future: [rows after that, covariates], the future covariates
    reading: how the user asked for it to be read
    start: an earlier model, with --model
    """

    source: Path
    table: Table
    times: Times | None
    future: np.ndarray
    reading: ReadOptions
    start: saved_model.Start | None


def _run(inputs: _Inputs, settings: Settings, folds: int, output: run_folder.Output) -> None:
    """Train, evaluate, forecast, write the report, and print its summary."""
    from lstmcore.apps.forecasting import report  # imports matplotlib

    table, times = inputs.table, inputs.times
    with output.open(warn) as staging:
        end = check_rows(len(table.values), settings).validation.stop
        description = _description(inputs, settings) | saved_model.updated(inputs.start)
        description["trained_until"] = when.moment_of(times, end - 1)
        run_folder.record_settings(staging, description)
        trained = lc.forecasting.train(
            table,
            settings=settings,
            start=inputs.start.model if inputs.start else None,
            progress=True,
            checkpoint=staging / run_folder.CHECKPOINT,
            resume=bool(output.resume),
        )
        trained.write_parts(staging)
        run_folder.write_history(staging / "history.csv", trained.history)
        samples, backtest = forecast_many.samples(trained), None
        if folds:
            with console.status(f"training anew for {count(folds, 'fold')} ..."):
                backtest = lc.forecasting.backtest(table, settings=settings, folds=folds)
        with console.status("forecasting the test part, writing the report ..."):
            ahead = _forecast(trained, inputs, samples)
            data = report.ReportData(
                str(inputs.source),
                table,
                trained,
                trained.evaluate(table, samples=samples) if settings.test else None,
                backtest,
                ahead,
                inputs.future,
                future.labels_after(table, times, settings.horizon),
                _notes(inputs, trained) + verdict.bounded(ahead, trained.nonnegative),
            )
            report.write(staging, data)
    _print(data)
    print_written(output.folder)


def _forecast_again(inputs: _Inputs, output: run_folder.Output) -> None:
    """Forecast another table with an earlier model, write the report, and print its summary."""
    from lstmcore.apps.forecasting import report  # imports matplotlib

    assert inputs.start is not None
    folder, trained, origin = inputs.start
    inputs = _without_future(inputs, trained.settings)
    source, table, times = inputs.source, inputs.table, inputs.times
    _check_again(inputs, trained)
    start, said = _tested_from(inputs, trained, origin)
    said += future.notes(inputs.future, trained.settings)
    if start is None and trained.settings.future_covariates and len(said) > 1:
        raise ValueError(f"{source}: {said[-1]}; {said[0]}")
    reading.introduce(source, table, times, f"; forecast by the model in {folder}")
    samples = forecast_many.samples(trained)
    with output.open(warn) as staging:
        description = _description(inputs, trained.settings) | {"model": str(folder)}
        run_folder.write_json(staging / run_folder.SETTINGS, run_folder.versions() | description)
        with console.status("forecasting, writing the report ..."):
            ahead = _forecast(trained, inputs, samples)
            said += verdict.bounded(ahead, trained.nonnegative)
            data = report.ReportData(
                str(source),
                table,
                trained,
                None if start is None else trained.evaluate(table, start=start, samples=samples),
                None,
                ahead,
                inputs.future,
                future.labels_after(table, times, trained.model.horizon),
                _notes_again(inputs, trained) + said,
                is_new=True,
            )
            report.write(staging, data)
    _print(data)
    print_written(output.folder)


def _check_again(inputs: _Inputs, trained) -> None:
    """Raise the errors of a table that a trained model is to forecast."""
    source, table = inputs.source, inputs.table
    needed, rows = trained.rows_read, len(table.values)
    if rows < needed:
        dropped = trained.preprocessor.dropped_rows
        raise ValueError(
            f"{source} has {count(rows, 'row')}, but the model reads at least {needed} before it "
            "forecasts"
            + f" ({dropped} of them for differences)" * bool(dropped)
            + ": use a table that begins earlier"
        )
    if trained.cycles and (inputs.times is None or inputs.times.times.dtype.kind != "M"):
        cycles = listed([cycle.name for cycle in trained.cycles])
        raise ValueError(
            f"{source} has no times, but the model reads the time of the {cycles} from them: use a "
            "table with a column of times, or train a model with --calendar off"
        )
    reading.check(source, table, trained.settings.preprocessing.missing)
    reading.check_range(source, table, trained.preprocessor)


def _tested_from(inputs: _Inputs, trained, origin: saved_model.Origin) -> tuple[int | None, list]:
    """Return the first row of the test part of another table, if it has one, and sentences.

    It is the second half of the table, or less: rows that were trained on do not count, and
    before it come the rows that a window and a season need.
    """
    rows, horizon = len(inputs.table.values), trained.model.horizon
    known = when.rows_until(inputs.times, origin.trained_until)
    first = max(trained.rows_read, (trained.settings.season_rows or 0) + 1, known or 0)
    start = max(first, min(rows // 2, rows - horizon))
    if start + horizon > rows:
        after = "after those that were trained on " * (known == first)
        return None, [
            f"how good the forecast is remains unknown: the table has {count(rows - first, 'row')} "
            f"{after}to compare with, fewer than the horizon of {horizon} (it needs "
            f"{count(first + horizon, 'row')} in all)"
        ]
    if known is None:
        return start, [
            "whether rows of this table were trained on is unknown, since their times are; if so, "
            "the errors of the model are smaller than those to expect"
        ]
    return start, []


def _test_rows(
    table: Table,
    settings: Settings,
    train_until: str | None,
    test_from: str | None,
) -> int:
    """Return how many rows the test part has that begins at, or after, a time or a row.

    Raises:
      ValueError: there is no such row, or too few rows come before it.
    """
    if test_from is not None:
        option, start = f"--test-from {test_from}", when.first_row("--test-from", test_from, table)
    else:
        option = f"--train-until {train_until}"
        start = when.last_row("--train-until", str(train_until), table) + 1
    rows = len(table.values)
    if not 0 < start < rows:
        part = "to train on" if start < rows else "for the test part"
        raise ValueError(f"{option} leaves none of {count(rows, 'row')} {part}")
    try:
        check_rows(rows, replace(settings, test=rows - start))
    except ValueError as error:
        raise ValueError(f"{option} is row {start} of {rows:,}, counted from 0: {error}") from error
    return rows - start


def _without_future(inputs: _Inputs, settings: Settings) -> _Inputs:
    """Return the table up to its last target, and the future covariates after that."""
    table, rest = future.without_future(inputs.table, settings)
    return inputs._replace(table=table, future=rest)


def _check(source: Path, data: Table, settings: Settings, folds: int) -> None:
    """Raise before training the errors that would be raised only after it."""
    reading.check(source, data, settings.preprocessing.missing)
    rows = len(data.values)
    split = check_rows(rows, settings)
    test = split.test.stop - split.test.start
    if settings.test and test < settings.horizon:
        raise ValueError(
            f"the test part has {count(test, 'row')}, but --horizon is {settings.horizon}: raise "
            "--test, use more data, or forecast fewer rows; --test 0 forecasts without a test"
        )
    preprocessor = settings.preprocessing.fit(data.values, rows=split.training.stop)
    reading.check_range(source, data, preprocessor)
    if folds < 0:
        raise ValueError(f"--folds must be at least 0, got {folds}")
    if folds:
        origins_of(rows, settings, folds)


def _forecast(trained, inputs: _Inputs, samples: int):
    """Return the forecast of the rows after the last; None if future covariates are missing."""
    horizon, table = trained.model.horizon, inputs.table
    if not trained.settings.future_covariates:
        return trained.forecast(table, samples=samples)
    if not future.is_known(inputs.future, trained.settings):
        return None
    return trained.forecast(table, future=inputs.future[:horizon], samples=samples)


def _notes(inputs: _Inputs, trained) -> list[str]:
    table = inputs.table
    ordered = table.select(arrange(table.columns, trained.settings).order)
    end = trained.split.training.stop
    notes = reading.notes(ordered, inputs.times, trained.preprocessor)
    notes.append(_parts(table, trained.split))
    is_given = len(trained.candidates) < 2  # the differences, of which none were tried
    if is_given:
        notes += reading.stationary(ordered, trained.preprocessor, end)
    advises = is_given and inputs.start is None
    notes += reading.beyond(ordered, trained.preprocessor, end, advises=advises)
    notes += saved_model.notes(inputs.start, inputs.times)
    if inputs.start is not None and trained.params is inputs.start.model.params:
        notes.append(
            "training on this table did not lower the validation error, so the weights are those "
            "of the earlier model"
        )
    notes += trained.choices()
    if trained.stride > 1:
        notes.append(f"of the training windows, one in {trained.stride} was used")
    notes += future.zeros_and_ones(table, trained)
    return notes + future.notes(inputs.future, trained.settings)


def _parts(table: Table, split: Split) -> str:
    """Return a sentence on the rows that were trained on and those that were not."""
    said = f"trained on the {split.training.stop:,} rows up to {_last(table, split.training)}"
    if split.validation.stop > split.validation.start:
        said += f"; validated on those up to {_last(table, split.validation)}"
    if split.test.stop > split.test.start:
        return said + "; tested on the rest, which it has not seen (with --test 0 it sees all rows)"
    return said + "; without a test part, how good the forecast is remains unknown"


def _last(table: Table, part: slice) -> str:
    return str(table.labels[part.stop - 1])


def _notes_again(inputs: _Inputs, trained) -> list[str]:
    table = inputs.table.select(arrange(inputs.table.columns, trained.settings).order)
    notes = reading.notes(table, inputs.times, trained.preprocessor)
    return notes + saved_model.notes(inputs.start, inputs.times)


def _description(inputs: _Inputs, settings: Settings) -> dict:
    return {
        "source": str(inputs.source),
        "columns": list(inputs.table.columns),
        "reading": inputs.reading.to_json(),
        "rows": len(inputs.table.values),
        "interval": inputs.times.interval if inputs.times else None,
        "settings": settings.to_json(),
    }


def _print(data) -> None:
    console.print()
    print_notes(reading.not_introduced(data.notes, data.table))
    console.print()
    if data.evaluation is not None:
        _print_errors(data)
    if data.forecast is not None:
        print_forecast(data.forecast, data.future_labels, data.table.label_name)


def _print_errors(data) -> None:
    from lstmcore.apps.forecasting import report

    header = ["target", "forecast", *report.ERRORS]
    targets = data.trained.targets
    shown = targets[:SHOWN_TARGETS]
    start = f" from {data.table.labels[data.evaluation.forecast.origins[0]]} on" * data.is_new
    title = f"errors in the test part{start}"
    grid(title, header, report.error_cells(shown, data.evaluation.scores))
    if data.backtest is not None:
        title = f"errors in {count(len(data.backtest.origins), 'fold')}"
        grid(title, header, report.error_cells(shown, data.backtest.scores))
    if len(shown) < len(targets):
        hidden = count(len(targets) - len(shown), "more target")
        console.print(f"the first {len(shown)} targets; {hidden} in errors.csv\n")
    for sentence in verdict.verdict(data.evaluation, data.trained):
        console.print(f"[bold]{escape(sentence)}[/bold]")
    console.print()
