"""What `lstmcore forecast` leaves in its folder: forecasts and errors as CSV, pictures, a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lstmcore import results
from lstmcore.forecasting import storage
from lstmcore.forecasting.evaluation import MOST_CHECKED, Evaluation
from lstmcore.forecasting.rolling import Backtest
from lstmcore.forecasting.trained import Forecast, Trained
from lstmcore.series import Table
from lstmcore.study import plots
from lstmcore.text import shorten

SHOWN_PAST = 4  # times the window and horizon before the end, in the picture of the forecast
ERRORS = ("MAE", "RMSE", "sMAPE", "MASE")
SHARE = 0.8  # of the truth that an interval should hold


class Made(NamedTuple):
    """All that a report is about.

    Attributes:
      source: name of the table.
      data: the table, up to the last row that is known.
      trained: of `train`.
      evaluation: of its test part.
      backtest: of `backtest`, or None.
      forecast: of the rows after the last, or None if columns that it needs are not known there.
      ahead: names of these rows.
      notes: sentences about the data.
    """

    source: str
    data: Table
    trained: Trained
    evaluation: Evaluation
    backtest: Backtest | None
    forecast: Forecast | None
    ahead: Sequence[str]
    notes: Sequence[str]


def error_rows(targets: Sequence[str], scores) -> Iterator[list]:
    """Target, forecast and its errors; of an Evaluation or of a Backtest."""
    for place, target in enumerate(targets):
        for name, found in scores.items():
            yield [target, name, *(float(error[place]) for error in found)]


def error_cells(targets: Sequence[str], scores) -> list[list[str]]:
    """`error_rows` to read."""
    return [
        [shorten(target), name, *("-" if np.isnan(error) else f"{error:.4g}" for error in errors)]
        for target, name, *errors in error_rows(targets, scores)
    ]


def apart(evaluation: Evaluation) -> np.ndarray:
    """Which of the forecasts of the test part follow one another without overlap."""
    forecasts, horizon, _ = evaluation.actual.shape
    return np.arange(0, forecasts, horizon)


def interval(forecast: Forecast) -> tuple[np.ndarray, np.ndarray] | None:
    """(low, high) [N, horizon, targets] of the usual share, if the forecast has one."""
    if forecast.samples is None and forecast.quantiles is None:
        return None
    return forecast.interval(SHARE)


def write_model(folder: Path, trained: Trained) -> None:
    """What must not be lost: the forecaster, how it was trained, and on what."""
    storage.write_parts(folder, trained)
    results.write_history(folder / "history.csv", trained.history)


def write(folder: Path, made: Made) -> None:
    """Forecasts and errors as CSV, pictures, and the page."""
    from lstmcore.forecasting.report_page import parts
    from lstmcore.report import page

    evaluation, time = made.evaluation, made.data.label_name
    header = ["target", "forecast", *ERRORS]
    targets = made.trained.targets
    results.write_csv(folder / "errors.csv", header, error_rows(targets, evaluation.scores))
    if made.backtest is not None:
        rows = error_rows(targets, made.backtest.scores)
        results.write_csv(folder / "backtest.csv", header, rows)
    rivals = list(evaluation.baselines)
    header = ["first_row", "step", time, "target", "actual", "forecast", *rivals]
    results.write_csv(folder / "test.csv", header, _test_rows(made))
    if made.forecast is not None:
        ends = [] if interval(made.forecast) is None else ["low", "high"]
        header = [time, "target", "forecast", *ends]
        results.write_csv(folder / "forecast.csv", header, _forecast_rows(made))
    pictures = _pictures(made)
    for name, figure in pictures.items():
        figure.savefig(folder / name, dpi=120)
    title = f"Forecast of {Path(made.source).name}"
    page.write(folder / "report.html", title, parts(made, pictures.get("lag_check.png")))


def _test_rows(made: Made) -> Iterator[list]:
    """The forecasts of the test part that do not overlap, step by step."""
    evaluation, labels, targets = made.evaluation, made.data.labels, made.trained.targets
    every = [evaluation.actual, evaluation.forecast.point, *evaluation.baselines.values()]
    for number in apart(evaluation):
        origin = int(evaluation.forecast.origins[number])
        for step, place in np.ndindex(every[0].shape[1:]):
            cells = [float(block[number, step, place]) for block in every]
            names = [origin, step + 1, labels[origin + step], targets[place]]
            yield [*names, *("" if cell != cell else cell for cell in cells)]


def _forecast_rows(made: Made) -> Iterator[list]:
    forecast = made.forecast
    assert forecast is not None
    numbers = (forecast.point, *(interval(forecast) or ()))
    for step, label in enumerate(made.ahead):
        for place, target in enumerate(forecast.targets):
            yield [label, target, *(float(block[0, step, place]) for block in numbers)]


def _pictures(made: Made) -> dict[str, Figure]:
    """{file name: figure}; the forecast and the lag check are those of the first target."""
    evaluation, data = made.evaluation, made.data
    target = made.trained.targets[0]
    column = data.values[:, data.columns.index(target)]
    found = {"loss.png": plots.plot_loss(made.trained.history)}
    if made.forecast is not None:
        length = SHOWN_PAST * (made.trained.settings.window + len(made.ahead))
        first = max(0, len(column) - length)
        ends = interval(made.forecast)
        found["forecast.png"] = plots.plot_forecast(
            column[first:],
            made.forecast.point[0, :, 0],
            interval=None if ends is None else tuple(end[0, :, 0] for end in ends),
            ylabel=target,
            xlabel=data.label_name,
            labels=[*data.labels[first:], *made.ahead],
        )
    if evaluation.lag[target]:
        # What was filled is what the check was made on.
        column = made.trained.prepared.filled(made.trained.table(data.values))[:, 0]
        check = evaluation.lag[target][0]
        origins = evaluation.forecast.origins[-MOST_CHECKED:]
        found["lag_check.png"] = plots.plot_lag_check(
            check,
            column[origins],
            evaluation.forecast.point[-MOST_CHECKED:, 0, 0],
            column[origins - 1],
            ylabel=target,
        )
    return found
