"""`lstmcore forecast`: from a CSV file to a forecast, and whether it is worth anything."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from rich.markup import escape

import lstmcore as lc
from lstmcore.apps import run_folder
from lstmcore.apps.forecasting.backtest import origins_of
from lstmcore.apps.forecasting.settings import Settings, arrange
from lstmcore.apps.forecasting.training import check_rows
from lstmcore.cli import options, reading
from lstmcore.cli.table_options import reads_table
from lstmcore.cli.terminal import clear_errors, console, grid, sizes, warn
from lstmcore.formatting import count, listed
from lstmcore.series import ReadOptions, Table, Times

KIND, OUTPUT = "lstmcore forecast", "lstmcore-forecast"
PRESET = lc.forecasting.Settings()
UNITS, PATIENCE = ",".join(map(str, PRESET.units)), PRESET.patience or 0
SHOWN_TARGETS = 10  # in the terminal; errors.csv has all
SAMPLES = 100  # of a model with dropout


@reads_table
def forecast(
    source: options.Source,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Columns to forecast. [dim]\\[default: all that are not known in advance][/dim]",
        ),
    ] = None,
    known: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Columns known in advance (calendar, prices): append rows to the CSV with these "
            "alone, the others empty, to forecast them.",
        ),
    ] = None,
    columns: options.Columns = None,
    missing: options.Missing = "forward",
    difference: options.Difference = None,
    scaling: options.Scaling = "standard",
    season: Annotated[
        int | None,
        typer.Option(
            metavar="ROWS",
            help="Rows in a season, for the seasonal naive forecast to compare with.",
        ),
    ] = None,
    window: options.Window = PRESET.window,
    horizon: Annotated[int, typer.Option(metavar="ROWS", help="Rows to forecast.")] = 12,
    mode: Annotated[
        Literal["direct", "recursive"],
        typer.Option(
            help="direct: all rows at once; recursive: one row, from which the next is forecast."
        ),
    ] = "direct",
    units: options.Units = UNITS,
    quantiles: Annotated[
        bool, typer.Option("--quantiles", help="An interval of 80 %, by quantile loss (direct).")
    ] = False,
    dropout: Annotated[
        float, typer.Option(help="Rate of dropout; above 0, samples with dropout give an interval.")
    ] = 0.0,
    epochs: options.Epochs = PRESET.epochs,
    batch_size: options.BatchSize = PRESET.batch_size,
    learning_rate: options.LearningRate = PRESET.learning_rate,
    patience: options.Patience = PATIENCE,
    validation: Annotated[
        float,
        typer.Option(
            help="Share of the rows, before the test part, that decides when training stops."
        ),
    ] = PRESET.validation,
    test: Annotated[
        float, typer.Option(help="Share of the rows, the last in time, to measure errors on.")
    ] = PRESET.test,
    folds: Annotated[
        int,
        typer.Option(
            help="Backtest: train anew for this many origins, each time on what came before."
        ),
    ] = 0,
    seed: options.Seed = 0,
    resume: options.Resume = False,
    force: options.Force = False,
    output: Annotated[Path | None, options.output(OUTPUT)] = None,
    *,
    reading_options: ReadOptions,
) -> None:
    """Forecast the rows after the last; say whether that beats the naive forecasts.

    The output folder receives report.html (errors beside those of naive
    forecasts, the forecast, the lag check and the gates), forecast.csv,
    test.csv, errors.csv, backtest.csv (of --folds), pictures, and the model,
    which lc.forecasting.Trained.load reads.
    """
    given = dict(locals())
    with clear_errors() as command:
        from lstmcore.apps.forecasting import report  # matplotlib is for this alone

        place = run_folder.choose_folder(
            output, OUTPUT, KIND, resume=resume, force=force, inputs=[source]
        )
        command.output = place
        given |= {
            "targets": options.names(targets),
            "future_covariates": options.names(known),
            "units": sizes(units),
            "quantiles": (0.1, 0.5, 0.9) if quantiles else (),
            "preprocessing": options.preprocessing(missing, difference, scaling),
        }
        settings = options.settings(PRESET, given)
        whole, times = reading.read(source, options.names(columns), reading_options)
        data, future = _without_future(whole, settings)
        _check(source, data, settings, folds)
        reading.introduce(source, data, times)
        with place.open(say=warn) as staging:
            run_folder.record_settings(staging, _described(source, data, times, settings))
            trained = lc.forecasting.train(
                data.values,
                data.columns,
                settings,
                progress=True,
                checkpoint=staging / run_folder.CHECKPOINT,
                resume=resume,
            )
            report.write_model(staging, trained)
            # Quantiles are an interval themselves, and dropout is then for training alone.
            samples = SAMPLES if dropout and not quantiles else 0
            backtest = None
            if folds:
                with console.status(f"training anew for {count(folds, 'fold')} ..."):
                    backtest = lc.forecasting.backtest(data.values, data.columns, settings, folds)
            with console.status("forecasting the test part, writing the report ..."):
                made = report.Made(
                    str(source),
                    data,
                    trained,
                    trained.evaluate(data.values, samples=samples),
                    backtest,
                    _forecast(trained, data, future, samples),
                    _ahead(data, times, horizon),
                    _notes(data, times, trained, future),
                )
                report.write(staging, made)
        _print(made, report)
        folder = place.folder
        console.print(f"wrote to [bold]{escape(str(folder))}[/bold]: {run_folder.listed(folder)}")


def _without_future(data: Table, settings: Settings) -> tuple[Table, np.ndarray]:
    """(the table up to its last target, the known columns of the rows after that)."""
    arrange(data.columns, settings)  # names that there are
    if not settings.future_covariates:
        return data, np.zeros((0, 0))
    places = [data.columns.index(name) for name in settings.future_covariates]
    others = np.setdiff1d(np.arange(len(data.columns)), places)
    there = np.flatnonzero(np.isfinite(data.values[:, others]).any(axis=1))
    end = int(there[-1]) + 1 if len(there) else 0
    future = data.values[end:, places]
    return data._replace(values=data.values[:end], labels=data.labels[:end]), future


def _check(source: Path, data: Table, settings: Settings, folds: int) -> None:
    """What would else be found out when training is over."""
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


def _forecast(trained, data: Table, future: np.ndarray, samples: int):
    """Of the rows after the last; None where a column that must be known there is not."""
    needed, known = trained.model.horizon, len(trained.settings.future_covariates)
    if not known:
        return trained.forecast(data.values, samples=samples)
    if len(future) < needed or not np.isfinite(future[:needed]).all():
        return None
    return trained.forecast(data.values, future=future[:needed], samples=samples)


def _ahead(data: Table, times: Times | None, horizon: int) -> list[str]:
    """Names of the rows to come."""
    if times is None:
        return [str(len(data.values) + step) for step in range(horizon)]
    last = times.positions[0] + len(data.values) - 1
    return times.labels_at(last + np.arange(1, horizon + 1))


def _notes(data: Table, times: Times | None, trained, future: np.ndarray) -> list[str]:
    order = arrange(data.columns, trained.settings).order
    names = tuple(data.columns[place] for place in order)
    ordered = data._replace(columns=names, values=data.values[:, order])
    end = trained.split.training.stop
    notes = reading.notes(ordered, times, trained.preprocessor)
    notes += reading.stationary(ordered, trained.preprocessor, end)
    notes += reading.beyond(ordered, trained.preprocessor, end)
    if trained.stride > 1:
        notes.append(f"of the windows to train on, one in {trained.stride} was used")
    if trained.settings.future_covariates and len(future) < trained.model.horizon:
        notes.append(
            f"no forecast beyond the last row: {listed(trained.settings.future_covariates)} must "
            f"be known for "
            f"the {count(trained.model.horizon, 'row')} after it, and {len(future)} are there"
        )
    elif (
        trained.settings.future_covariates
        and not np.isfinite(future[: trained.model.horizon]).all()
    ):
        notes.append(
            f"no forecast beyond the last row: a value of "
            f"{listed(trained.settings.future_covariates, 'or')} "
            "is missing there"
        )
    return notes


def _described(source: Path, data: Table, times: Times | None, settings: Settings) -> dict:
    return {
        "source": str(source),
        "columns": list(data.columns),
        "rows": len(data.values),
        "interval": times.interval if times else None,
        "settings": settings.to_json(),
    }


def _print(made, report) -> None:
    from lstmcore.apps.forecasting.report import sentences

    console.print()
    for note in reading.not_introduced(made.notes, made.data):
        console.print(f"- {escape(note)}")
    console.print()
    header = ["target", "forecast", *report.ERRORS]
    targets = made.trained.targets
    listed = targets[:SHOWN_TARGETS]
    grid("errors in the test part", header, report.error_cells(listed, made.evaluation.scores))
    if made.backtest is not None:
        title = f"errors in {count(len(made.backtest.origins), 'fold')}"
        grid(title, header, report.error_cells(listed, made.backtest.scores))
    if len(listed) < len(targets):
        hidden = count(len(targets) - len(listed), "more target")
        console.print(f"the first {len(listed)} targets; {hidden} in errors.csv\n")
    for sentence in sentences(made.evaluation):
        console.print(f"[bold]{escape(sentence)}[/bold]")
    console.print()
