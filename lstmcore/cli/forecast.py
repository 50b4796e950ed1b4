"""`lstmcore forecast`: from a CSV file to a forecast, compared with simple forecasts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder
from lstmcore.apps.forecasting.backtest import origins_of
from lstmcore.apps.forecasting.settings import Settings, arrange
from lstmcore.apps.forecasting.training import check_rows
from lstmcore.cli import options, reading
from lstmcore.cli.options import of_evaluation, of_model, reads_table
from lstmcore.cli.parameters import names
from lstmcore.cli.settings_options import takes_settings, with_chosen
from lstmcore.cli.terminal import clear_errors, console, grid, print_notes, print_written, warn
from lstmcore.formatting import count, listed
from lstmcore.series import Preprocessing, ReadOptions, Table, Times

KIND, OUTPUT = "lstmcore forecast", "lstmcore-forecast"
PRESET = Settings(horizon=12, preprocessing=Preprocessing(missing="forward"))
SHOWN_TARGETS = 10  # in the terminal; errors.csv has all
SAMPLES = 100  # of a model with dropout


Quantiles = Annotated[
    bool,
    of_model("--quantiles", help="Forecast an interval of 80 % by quantiles (direct mode only)."),
]
Folds = Annotated[
    int,
    of_evaluation(
        help="Backtest: train anew for this many origins, each time on the rows before it."
    ),
]


@reads_table
@takes_settings(PRESET, leave_out=("quantiles",))
def forecast(  # one parameter for each option of the command
    source: options.Source,
    columns: options.Columns = None,
    quantiles: Quantiles = False,
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
    """
    with clear_errors() as command:
        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=resume, force=force, inputs=[source]
        )
        command.output = place
        levels = {"quantiles": (0.1, 0.5, 0.9)} if quantiles else {}
        settings = with_chosen(PRESET, chosen | levels)
        whole, times = reading.read(source, names(columns), reading_options)
        table, future = _without_future(whole, settings)
        _check(source, table, settings, folds)
        reading.introduce(source, table, times)
        _run(_Inputs(source, table, times, future), settings, folds, place)


class _Inputs(NamedTuple):
    """The table of a run. future: [rows after the last, covariates], the future covariates."""

    source: Path
    table: Table
    times: Times | None
    future: np.ndarray


def _run(inputs: _Inputs, settings: Settings, folds: int, output: run_folder.Output) -> None:
    """Train, evaluate, forecast, write the report, and print its summary."""
    from lstmcore.apps.forecasting import report  # imports matplotlib

    table, times = inputs.table, inputs.times
    with output.open(warn) as staging:
        run_folder.record_settings(staging, _description(inputs, settings))
        trained = lc.forecasting.train(
            table.values,
            table.columns,
            settings,
            progress=True,
            checkpoint=staging / run_folder.CHECKPOINT,
            resume=bool(output.resume),
        )
        trained.write_parts(staging)
        run_folder.write_history(staging / "history.csv", trained.history)
        # Quantiles are an interval themselves, and dropout is then for training alone.
        samples = SAMPLES if settings.dropout and not settings.quantiles else 0
        backtest = None
        if folds:
            with console.status(f"training anew for {count(folds, 'fold')} ..."):
                backtest = lc.forecasting.backtest(table.values, table.columns, settings, folds)
        with console.status("forecasting the test part, writing the report ..."):
            data = report.ReportData(
                str(inputs.source),
                table,
                trained,
                trained.evaluate(table.values, samples=samples),
                backtest,
                _forecast(trained, inputs, samples),
                _future_labels(table, times, settings.horizon),
                _notes(inputs, trained),
            )
            report.write(staging, data)
    _print(data)
    print_written(output.folder)


def _without_future(data: Table, settings: Settings) -> tuple[Table, np.ndarray]:
    """Return (the table up to its last target, the future covariates after that)."""
    arrange(data.columns, settings)  # raises for unknown names
    if not settings.future_covariates:
        return data, np.zeros((0, 0))
    places = [data.columns.index(name) for name in settings.future_covariates]
    others = np.setdiff1d(np.arange(len(data.columns)), places)
    known = np.flatnonzero(np.isfinite(data.values[:, others]).any(axis=1))
    end = int(known[-1]) + 1 if len(known) else 0
    future = data.values[end:, places]
    return data.first(end), future


def _check(source: Path, data: Table, settings: Settings, folds: int) -> None:
    """Raise before training the errors that would be raised only after it."""
    reading.check(source, data, settings.preprocessing.missing)
    rows = len(data.values)
    split = check_rows(rows, settings)
    test = split.test.stop - split.test.start
    if test < settings.horizon:
        raise ValueError(
            f"the test part has {count(test, 'row')}, but --horizon is {settings.horizon}: raise "
            "--test, use more data, or forecast fewer rows"
        )
    preprocessor = settings.preprocessing.fit(data.values, rows=split.training.stop)
    reading.check_range(source, data, preprocessor)
    if folds < 0:
        raise ValueError(f"--folds must be at least 0, got {folds}")
    if folds:
        origins_of(rows, settings, folds)


def _forecast(trained, inputs: _Inputs, samples: int):
    """Return the forecast of the rows after the last; None if future covariates are missing."""
    horizon, values, future = trained.model.horizon, inputs.table.values, inputs.future
    if not trained.settings.future_covariates:
        return trained.forecast(values, samples=samples)
    if len(future) < horizon or not np.isfinite(future[:horizon]).all():
        return None
    return trained.forecast(values, future=future[:horizon], samples=samples)


def _future_labels(table: Table, times: Times | None, horizon: int) -> list[str]:
    """Return the names of the rows after the last."""
    if times is None:
        return [str(len(table.values) + step) for step in range(horizon)]
    return times.labels_after(horizon, len(table.values) - 1)


def _notes(inputs: _Inputs, trained) -> list[str]:
    table, future, horizon = inputs.table, inputs.future, trained.model.horizon
    ordered = table.select(arrange(table.columns, trained.settings).order)
    end = trained.split.training.stop
    notes = reading.notes(ordered, inputs.times, trained.preprocessor)
    if len(trained.candidates) < 2:  # or the differences were chosen already
        notes += reading.stationary(ordered, trained.preprocessor, end)
    notes += reading.beyond(ordered, trained.preprocessor, end)
    notes += trained.choices()
    if trained.stride > 1:
        notes.append(f"of the training windows, one in {trained.stride} was used")
    covariates = trained.settings.future_covariates
    if covariates and len(future) < horizon:
        notes.append(
            f"no forecast beyond the last row: {listed(covariates)} must be known for the "
            f"{count(horizon, 'row')} after it, and {len(future)} are there"
        )
    elif covariates and not np.isfinite(future[:horizon]).all():
        notes.append(
            f"no forecast beyond the last row: a value of {listed(covariates, 'or')} is missing "
            "there"
        )
    return notes


def _description(inputs: _Inputs, settings: Settings) -> dict:
    return {
        "source": str(inputs.source),
        "columns": list(inputs.table.columns),
        "rows": len(inputs.table.values),
        "interval": inputs.times.interval if inputs.times else None,
        "settings": settings.to_json(),
    }


def _print(data) -> None:
    from lstmcore.apps.forecasting import report

    console.print()
    print_notes(reading.not_introduced(data.notes, data.table))
    console.print()
    header = ["target", "forecast", *report.ERRORS]
    targets = data.trained.targets
    shown = targets[:SHOWN_TARGETS]
    grid("errors in the test part", header, report.error_cells(shown, data.evaluation.scores))
    if data.backtest is not None:
        title = f"errors in {count(len(data.backtest.origins), 'fold')}"
        grid(title, header, report.error_cells(shown, data.backtest.scores))
    if len(shown) < len(targets):
        hidden = count(len(targets) - len(shown), "more target")
        console.print(f"the first {len(shown)} targets; {hidden} in errors.csv\n")
    for sentence in report.summary(data.evaluation):
        console.print(f"[bold]{escape(sentence)}[/bold]")
    console.print()
