"""The results of `lstmcore forecast`: forecasts and errors as CSV files, figures, an HTML page.

In this order: the data of a report, its files, the tables of errors, the page, and the figures on
the page. What is said of the errors is in `verdict`.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lstmcore.apps import run_folder
from lstmcore.apps.forecasting.backtest import Backtest
from lstmcore.apps.forecasting.evaluation import MOST_CHECKED, Evaluation, error_text
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.predictor import Trained
from lstmcore.apps.forecasting.rivals import DESCRIPTIONS
from lstmcore.apps.forecasting.verdict import (
    LEVEL,
    TESTED,
    explanations,
    interval,
    is_good,
    shortcomings,
    verdict,
)
from lstmcore.apps.report import figures, page, series_data
from lstmcore.formatting import count, shorten
from lstmcore.series import Table
from lstmcore.study import plots
from lstmcore.study.plots.style import MODEL
from lstmcore.study.plots.style import RIVALS as RIVAL_COLOURS

ERRORS = ("MAE", "RMSE", "sMAPE", "MASE")
SHOWN_TARGETS = 4  # in figures
LISTED_TARGETS = 100  # in the tables of errors; the CSV files have all
SHOWN_PAST = 4  # times the window and horizon before the end, in forecast.png
SHOWN_ROWS = 300  # before the end, or SHOWN_HORIZONS, that the figure of the page opens on
SHOWN_HORIZONS = 8
DIMMED = 0.5  # opacity of a forecast whose verdict is bad


class ReportData(NamedTuple):
    """The contents of a report.

    Attributes:
      source: name of the table.
      table: the table, up to the last row that is known.
      trained: from `train`.
      evaluation: of the test part, or None of a table without one, which is too short.
      backtest: from `backtest`, or None.
      forecast: of the rows after the last, or None if future covariates are not known there.
      future: [rows after the last, covariates], the future covariates, for `forecast`.
      future_labels: names of these rows.
      notes: sentences about the table.
      is_new: whether the table is another one than the model was trained on. The rows before its
        test part then serve the rivals as a training part.
    """

    source: str
    table: Table
    trained: Trained
    evaluation: Evaluation | None
    backtest: Backtest | None
    forecast: Forecast | None
    future: np.ndarray
    future_labels: Sequence[str]
    notes: Sequence[str]
    is_new: bool = False


def write(folder: Path, data: ReportData) -> None:
    """Write forecasts and errors as CSV files, the figures and report.html."""
    time, targets = data.table.label_name, data.trained.targets
    header = ["target", "forecast", *ERRORS]
    if data.backtest is not None:
        rows = error_rows(targets, data.backtest.scores)
        run_folder.write_csv(folder / "backtest.csv", header, rows)
    if (tested := data.evaluation) is not None:
        run_folder.write_csv(folder / "errors.csv", header, error_rows(targets, tested.scores))
        header = ["first_row", "step", time, "target", *tested_names(tested)]
        run_folder.write_csv(folder / "test.csv", header, tested_rows(data.table.labels, tested))
    if data.forecast is not None:
        ends = [] if interval(data.forecast) is None else ["low", "high"]
        header = [time, "target", "forecast", *ends]
        run_folder.write_csv(folder / "forecast.csv", header, _forecast_rows(data, data.forecast))
    drawn = _figures(data)
    for name, figure in drawn.items():
        figure.savefig(folder / name, dpi=120)
    title = f"Forecast of {Path(data.source).name}"
    page.write(folder / "report.html", title, parts(data, drawn.get("lag_check.png")))


def tested_names(evaluation: Evaluation) -> list[str]:
    """Return the names of the numbers that `tested_rows` yields, the rivals last."""
    ends = [] if interval(evaluation.forecast) is None else ["low", "high"]
    return ["actual", "forecast", *ends, *evaluation.baselines]


def tested_rows(labels: Sequence, evaluation: Evaluation) -> Iterator[list]:
    """Yield the non-overlapping forecasts of the test part, step by step.

    Each row holds the first row of the forecast, the step, the name of the row, that of the target,
    and the numbers of `tested_names`.
    """
    forecast = evaluation.forecast
    blocks = [evaluation.actual, forecast.point, *(interval(forecast) or ())]
    blocks += evaluation.baselines.values()
    for number in non_overlapping(evaluation):
        origin = int(forecast.origins[number])
        for step, place in np.ndindex(blocks[0].shape[1:]):
            names = [origin, step + 1, labels[origin + step], forecast.targets[place]]
            yield [*names, *(float(block[number, step, place]) for block in blocks)]


def _forecast_rows(data: ReportData, forecast: Forecast) -> Iterator[list]:
    blocks = (forecast.point, *(interval(forecast) or ()))
    for step, label in enumerate(data.future_labels):
        for place, target in enumerate(forecast.targets):
            yield [label, target, *(float(block[0, step, place]) for block in blocks)]


def _figures(data: ReportData) -> dict[str, Figure]:
    """Return {file name: figure}; the forecast and the lag check are of the first target."""
    evaluation, table = data.evaluation, data.table
    target = data.trained.targets[0]
    column = table.values[:, table.columns.index(target)]
    has_losses = data.trained.is_lstm_trained and not data.is_new
    drawn = {"loss.png": plots.plot_loss(data.trained.history)} if has_losses else {}
    if data.forecast is not None:
        length = SHOWN_PAST * (data.trained.settings.window + len(data.future_labels))
        first = max(0, len(column) - length)
        ends = interval(data.forecast)
        drawn["forecast.png"] = plots.plot_forecast(
            column[first:],
            data.forecast.point[0, :, 0],
            interval=None if ends is None else tuple(end[0, :, 0] for end in ends),
            ylabel=target,
            xlabel=table.label_name,
            labels=[*table.labels[first:], *data.future_labels],
        )
    if evaluation is not None and evaluation.lag[target]:
        # The check was made on the filled values.
        column = data.trained.preprocessor.filled(data.trained.table(table.values))[:, 0]
        origins = evaluation.forecast.origins[-MOST_CHECKED:]
        drawn["lag_check.png"] = plots.plot_lag_check(
            evaluation.lag[target][0],
            column[origins],
            evaluation.forecast.point[-MOST_CHECKED:, 0, 0],
            column[origins - 1],
            ylabel=target,
        )
    return drawn


def non_overlapping(evaluation: Evaluation) -> np.ndarray:
    """Return the indices of the forecasts of the test part that follow one another directly."""
    forecasts, horizon, _ = evaluation.actual.shape
    return np.arange(0, forecasts, horizon)


def error_rows(targets: Sequence[str], scores) -> Iterator[list]:
    """Yield target, forecast and its errors. scores: of an Evaluation or a Backtest."""
    for place, target in enumerate(targets):
        for name, errors in scores.items():
            yield [target, name, *(float(error[place]) for error in errors)]


def error_cells(targets: Sequence[str], scores) -> list[list[str]]:
    """Return `error_rows` as text."""
    return [
        [shorten(target), name, *map(error_text, errors)]
        for target, name, *errors in error_rows(targets, scores)
    ]


def parts(data: ReportData, lag_check: Figure | None) -> list[str]:
    """Return the page in parts for `report.page.write`. lag_check: of the first target."""
    axis = series_data.time_axis([*data.table.labels, *data.future_labels], data.table.label_name)
    tested = data.evaluation
    said = verdict(tested, data.trained)
    html = [] if tested is None else [page.summary(said, good=is_good(tested))]
    html += [
        *([] if tested is None else _error_parts(data, tested)),
        page.heading("The forecast"),
        page.figure(*series_figure(data, axis)),
        page.heading("The data"),
        page.listing(data.notes),
        *_backtest_parts(data),
        *([] if tested is None else _explanation_parts(data, tested)),
    ]
    if lag_check is not None:
        caption = (
            f"Does the forecast of {data.trained.targets[0]}, 1 row ahead, lag, like the last "
            "value repeated? One that does lies on the truth once it is moved back (left), "
            "correlates with the changes of the truth some rows before (middle, a lag above 0), "
            "and is a flat cloud (right). One that anticipated every change would have its lag at "
            "0 and lie along the diagonal."
        )
        html += [page.heading("Lag check"), page.image(lag_check, caption)]
    return [*html, page.heading("The gates"), page.figure(*gates_figure(data, axis))]


def _error_parts(data: ReportData, evaluation: Evaluation) -> list[str]:
    horizon = count(data.trained.settings.horizon, "row")
    start = data.table.labels[evaluation.forecast.origins[0]]
    tested = (
        f"{count(len(evaluation.actual), 'forecast')} of {horizon}: the first begins where "
        f"the test part does, at {start}, and each of the others one row later. Nothing was "
        "fitted to the test part."
        + " The rows before it are the training part of the simple methods."
        * data.is_new
    )
    return [
        page.heading("How good it is"),
        page.paragraph(tested),
        *_error_table(data, evaluation.scores, "errors.csv"),
    ]


def _explanation_parts(data: ReportData, evaluation: Evaluation) -> list[str]:
    return [
        page.heading("How to read the errors"),
        page.listing(explanations(data.trained.settings.season_rows, tuple(evaluation.baselines))),
        page.paragraph(TESTED),
    ]


def _backtest_parts(data: ReportData) -> list[str]:
    if data.backtest is None:
        return []
    folds = (
        f"Trained anew for each of {count(len(data.backtest.origins), 'fold')}, on only the rows "
        f"before it, to forecast the {count(data.trained.settings.horizon, 'row')} from there on."
    )
    table = _error_table(data, data.backtest.scores, "backtest.csv")
    return [page.heading("Backtest"), page.paragraph(folds), *table]


def _error_table(data: ReportData, scores, file: str) -> list[str]:
    """Return the errors of the first targets, and where the others are."""
    targets = data.trained.targets
    shown = targets[:LISTED_TARGETS]
    table = [page.grid(["target", "forecast", *ERRORS], error_cells(shown, scores))]
    if len(shown) < len(targets):
        text = f"Of {len(targets):,} targets the first {len(shown)} are listed; all are in {file}."
        table.append(page.paragraph(text))
    return table


def series_figure(data: ReportData, axis: series_data.Axis) -> tuple:
    """Return (figure, caption) of the series, the forecasts of the test part and the forecast."""
    bad = {} if data.evaluation is None else shortcomings(data.evaluation)
    drawn = range(min(len(data.trained.targets), SHOWN_TARGETS))
    panels = [_target_panel(data, place, bad) for place in drawn]
    figure = figures.series(panels, axis, views=_views(data), height=300)
    return figure, _series_caption(data, bad)


def _views(data: ReportData) -> list[series_data.View]:
    """Return the last rows, on which the figure opens, the test part if it is longer, and all."""
    horizon, rows = data.trained.settings.horizon, len(data.table.values)
    stop = rows + (0 if data.forecast is None else horizon)
    # Some rows before the test part, from which its first forecast starts.
    test = 0 if data.evaluation is None else max(0, int(data.evaluation.forecast.origins[0]))
    first = max(0, test, rows - max(SHOWN_ROWS, SHOWN_HORIZONS * horizon)) - horizon
    firsts = {"the end": max(0, first), "the test part": max(0, test - horizon), "all rows": 0}
    if data.evaluation is None:
        del firsts["the test part"]
    elif firsts["the end"] == firsts["the test part"]:
        del firsts["the end"]
    return [series_data.View(name, first, stop) for name, first in firsts.items()]


def _series_caption(data: ReportData, bad: Mapping[str, str]) -> str:
    """Return the caption of the series. bad: from `shortcomings`."""
    horizon, targets = data.trained.settings.horizon, data.trained.targets
    sentences = []
    if dimmed := [
        f"{shorten(name)} {bad[name]}" for name in targets[:SHOWN_TARGETS] if name in bad
    ]:
        text = f"Forecasts that are no better than a simple one are dimmed: {'; '.join(dimmed)}."
        sentences.append(text)
    sentences.append("Drag to zoom, double-click to see all.")
    if data.evaluation is not None:
        begins = (
            f"a new forecast of {horizon} rows begins every {horizon} rows, from the rows before "
            "it."
            if horizon > 1
            else "each row is forecast from those before it."
        )
        sentences.append(
            f"In the test part, {begins} The simple methods are drawn in the same way. A name "
            "above the figure shows or hides its line."
        )
    if len(targets) > SHOWN_TARGETS:
        sentences.append(f"Of {len(targets):,} targets the first {SHOWN_TARGETS} are drawn.")
    return " ".join(sentences)


def _target_panel(data: ReportData, place: int, bad: Container[str]) -> series_data.Panel:
    """Return the lines of a target. bad: targets whose forecast is dimmed."""
    table, horizon = data.table, data.trained.settings.horizon
    target, rows = data.trained.targets[place], len(table.values)
    column = table.values[:, table.columns.index(target)]
    opacity = DIMMED if target in bad else 1.0
    lines, bands = [series_data.Curve("data", np.arange(rows), column)], []
    if data.evaluation is not None:
        lines += _tested_lines(data.evaluation, place, opacity)
    if data.forecast is not None:
        after = rows + np.arange(horizon)
        point = data.forecast.point[0, :, place]
        lines.append(series_data.Curve("forecast", after, point, MODEL, width=2.6, opacity=opacity))
        if (ends := interval(data.forecast)) is not None:
            low, high = (end[0, :, place] for end in ends)
            name = f"interval of {LEVEL:.0%}"
            bands.append(series_data.Band(name, after, low, high))
    return series_data.Panel(target, lines, bands)


def _tested_lines(evaluation: Evaluation, place: int, opacity: float) -> list[series_data.Curve]:
    """Return the forecasts in the test part: those of the rivals, of which the best is shown."""
    numbers, steps = covering(evaluation)
    rows = evaluation.forecast.origins[numbers] + steps
    best = evaluation.comparisons[evaluation.forecast.targets[place]].rival
    lines = []
    for name, colour in zip(DESCRIPTIONS, RIVAL_COLOURS, strict=False):
        if name in evaluation.baselines:
            values = evaluation.baselines[name][numbers, steps, place]
            lines.append(series_data.Curve(name, rows, values, colour, "dash", shown=name == best))
    point = evaluation.forecast.point[numbers, steps, place]
    name = "forecast in the test part"
    return [*lines, series_data.Curve(name, rows, point, MODEL, opacity=opacity)]


def covering(evaluation: Evaluation) -> tuple[np.ndarray, np.ndarray]:
    """Return (forecast, step) for each row of the test part: of non-overlapping forecasts.

    The rows after these, fewer than the horizon, are from the last forecast.
    """
    origins, horizon = evaluation.forecast.origins, evaluation.actual.shape[1]
    numbers = np.repeat(non_overlapping(evaluation), horizon)
    steps = np.tile(np.arange(horizon), len(numbers) // horizon)
    left = origins[-1] + horizon - (origins[numbers[-1]] + horizon)
    after = np.arange(horizon - left, horizon)
    numbers = np.concatenate([numbers, np.full(left, len(origins) - 1)])
    return numbers, np.concatenate([steps, after])


def gates_figure(data: ReportData, axis: series_data.Axis) -> tuple:
    """Return (figure, caption) of the gates of the first layer over the last window."""
    is_tested, end = data.evaluation is not None, len(data.table.values)
    last = end if data.evaluation is None else int(data.evaluation.forecast.origins[-1])
    run = data.trained.run(data.table, [last], future=data.future)
    layer = run.layers[0]
    first = last - data.trained.settings.window
    rows = np.arange(first, first + run[layer].h.shape[1])
    known = rows[rows < end]
    above = []
    for target in data.trained.targets[:SHOWN_TARGETS]:
        column = data.table.columns.index(target)
        curve = series_data.Curve("data", known, data.table.values[known, column])
        above.append(series_data.Panel(target, [curve]))
    untrained = " and was not trained" * (not data.trained.is_lstm_trained)
    silent = f"This LSTM has no part in the forecast{untrained}. "
    caption = silent * (not data.trained.uses_lstm) + (
        f"A line for each unit of {layer}, the longest memory on top, over the window before the "
        + (
            f"last forecast of the test part, which starts at {data.table.labels[last]}."
            if is_tested
            else "forecast."
        )
    )
    if rows[-1] >= last:
        caption += " From there on the model read its own forecasts, not the data."
    return figures.gates(run, layer, 0, rows, axis, above=above), caption
