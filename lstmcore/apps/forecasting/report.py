"""The results of `lstmcore forecast`: forecasts and errors as CSV files, figures, an HTML page.

In this order: the data of a report, its files, the tables of errors, the sentences that sum them
up, the page, and the figures on the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lstmcore.apps import run_folder
from lstmcore.apps.forecasting.backtest import Backtest
from lstmcore.apps.forecasting.evaluation import MOST_CHECKED, Evaluation, error_text
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.lag import BEATS, LAGS, NO_BETTER, LagCheck
from lstmcore.apps.forecasting.predictor import Trained
from lstmcore.apps.forecasting.rivals import DESCRIPTIONS, HOLT_WINTERS, LINEAR, NAIVE, SEASONAL
from lstmcore.apps.report import figures, page, series_data
from lstmcore.formatting import count, listed, shorten
from lstmcore.series import Table
from lstmcore.study import plots
from lstmcore.study.plots.style import COLOURS

ERRORS = ("MAE", "RMSE", "sMAPE", "MASE")
EXPLANATIONS = (
    "MAE: mean absolute error, in the units of the column.",
    "RMSE: root of the mean squared error, likewise; large errors count for more.",
    "sMAPE: mean error in per cent of the values, from 0 to 200; it says little about values that "
    "can be near 0.",
    "MASE: the MAE, relative to that of repeating the last {unit} in the training part, one row "
    "ahead; it compares columns of different units.",
)
TESTED = (
    "Whether the model is better than the best of these simple methods is decided by a paired test "
    "of their mean absolute errors (Diebold and Mariano 1995; Harvey, Leybourne and Newbold 1997): "
    "significant means a confidence of at least 95%. The best of them is chosen in hindsight, in "
    "its favour. All are fitted to the training part alone."
)
RIVALS = {
    NAIVE: f"{NAIVE}: {DESCRIPTIONS[NAIVE]} (persistence).",
    SEASONAL: f"{SEASONAL}: {DESCRIPTIONS[SEASONAL]}.",
    LINEAR: f"{LINEAR}: each forecast row is a sum of the rows and columns that the model reads, "
    "each times a weight (ridge regression).",
    HOLT_WINTERS: f"{HOLT_WINTERS}: exponential smoothing of level, damped trend and season.",
}
LEVEL = 0.8  # of the interval
NARROW = 0.15  # how far the coverage of an interval may be below its level
MOST_TARGETS = 6  # that have a sentence each
SHOWN_TARGETS = 4  # in figures
LISTED_TARGETS = 100  # in the tables of errors; the CSV files have all
SHOWN_PAST = 4  # times the window and horizon before the end, in forecast.png
SHOWN_ROWS = 300  # before the end, or SHOWN_HORIZONS, that the figure of the page opens on
SHOWN_HORIZONS = 8


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
        header = ["first_row", "step", time, "target", "actual", "forecast", *tested.baselines]
        run_folder.write_csv(folder / "test.csv", header, _test_rows(data, tested))
    if data.forecast is not None:
        ends = [] if interval(data.forecast) is None else ["low", "high"]
        header = [time, "target", "forecast", *ends]
        run_folder.write_csv(folder / "forecast.csv", header, _forecast_rows(data, data.forecast))
    drawn = _figures(data)
    for name, figure in drawn.items():
        figure.savefig(folder / name, dpi=120)
    title = f"Forecast of {Path(data.source).name}"
    page.write(folder / "report.html", title, parts(data, drawn.get("lag_check.png")))


def _test_rows(data: ReportData, evaluation: Evaluation) -> Iterator[list]:
    """Yield the non-overlapping forecasts of the test part, step by step."""
    labels, targets = data.table.labels, data.trained.targets
    blocks = [evaluation.actual, evaluation.forecast.point, *evaluation.baselines.values()]
    for number in non_overlapping(evaluation):
        origin = int(evaluation.forecast.origins[number])
        for step, place in np.ndindex(blocks[0].shape[1:]):
            names = [origin, step + 1, labels[origin + step], targets[place]]
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
    drawn = {} if data.is_new else {"loss.png": plots.plot_loss(data.trained.history)}
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


def interval(forecast: Forecast) -> tuple[np.ndarray, np.ndarray] | None:
    """Return (low, high) [N, horizon, targets] of the interval at LEVEL, if there is one."""
    if forecast.samples is None and forecast.quantiles is None:
        return None
    return forecast.interval(LEVEL)


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


def explanations(season: int | None, names: Sequence[str] = tuple(RIVALS)) -> list[str]:
    """Return a sentence on each name in a table of errors; `names` are those of the rivals."""
    unit = "value" if season is None else f"season of {season} rows"
    rivals = [
        line for name, line in RIVALS.items() if name in names and (season or name != SEASONAL)
    ]
    return [line.format(unit=unit) for line in EXPLANATIONS] + rivals


def is_good(evaluation: Evaluation) -> bool:
    """Return whether all targets are forecast better than by every rival, and no forecast lags.

    "Better" is significant: see `Comparison`.
    """
    lagging = (check.is_lagging for checks in evaluation.lag.values() for check in checks)
    return all(one.is_better for one in evaluation.comparisons.values()) and not any(lagging)


def summary(evaluation: Evaluation) -> list[str]:
    """Return a sentence for each target, one on the interval, and those on rivals left out.

    A sentence begins with the best rival where that is as good as the model, or better. Of many
    targets the first few have a sentence, after one that counts those forecast well.
    """
    compared = evaluation.comparisons
    sentences = [
        f"{shorten(target)}: {comparison} {_lag(evaluation.lag[target])}".strip()
        for target, comparison in list(compared.items())[:MOST_TARGETS]
    ]
    if len(compared) > MOST_TARGETS:
        others = sum(not comparison.is_better for comparison in compared.values())
        lagging = sum(any(c.is_lagging for c in checks) for checks in evaluation.lag.values())
        sentences.insert(
            0,
            f"For {others:,} of {len(compared):,} targets the model is not shown to be better than "
            f"a simple method; for {len(compared) - others:,} it is significantly better. It lags "
            f"(no better than persistence) for {lagging:,}. The first {MOST_TARGETS}:",
        )
    return [*sentences, *_coverage(evaluation), *(f"{note}." for note in evaluation.notes)]


def _lag(checks: Sequence[LagCheck]) -> str:
    """Return the verdicts of the lag check as a sentence."""
    if not checks:
        return "The test part is too short for a lag check."
    steps = {
        verdict: [check.step for check in checks if check.verdict == verdict]
        for verdict in (LAGS, NO_BETTER, BEATS)
    }
    clauses = [
        f"{'is ' * (verdict == NO_BETTER)}{verdict} {_steps(those, len(checks))}"
        for verdict, those in steps.items()
        if those
    ]
    return f"The model {'; it '.join(clauses)}."


def _steps(steps: Sequence[int], of: int) -> str:
    """Return steps as text: "1 row ahead", "2 to 5 rows ahead", "at 7 of 24 steps"."""
    if len(steps) == of > 1:
        return "at every step"
    if len(steps) > 2 and steps[-1] - steps[0] == len(steps) - 1:
        return f"{steps[0]} to {steps[-1]} rows ahead"
    if len(steps) > 2:
        return f"at {len(steps)} of {of} steps"
    return f"{listed([str(step) for step in steps])} row{'s' * (list(steps) != [1])} ahead"


def _coverage(evaluation: Evaluation) -> list[str]:
    """Return a sentence on the coverage of the interval, if there is one."""
    if evaluation.covered is None or evaluation.level is None:
        return []
    level = evaluation.level
    covered = dict(zip(evaluation.forecast.targets, evaluation.covered.tolist(), strict=True))
    if len(covered) > MOST_TARGETS:
        low, high = min(covered.values()), max(covered.values())
        values = f"{low:.0%} to {high:.0%} of each of {len(covered):,} targets"
    else:
        values = listed([f"{part:.0%} of {shorten(target)}" for target, part in covered.items()])
    sentence = f"The interval of {level:.0%} covered {values} in the test part"
    narrow = [target for target, part in covered.items() if part < level - NARROW]
    if narrow:
        which = "it is" if len(narrow) == len(covered) else f"for {listed(narrow)} it is"
        return [f"{sentence}: {which} too narrow to rely on."]
    return [f"{sentence}."]


def parts(data: ReportData, lag_check: Figure | None) -> list[str]:
    """Return the page in parts for `report.page.write`. lag_check: of the first target."""
    axis = series_data.time_axis([*data.table.labels, *data.future_labels], data.table.label_name)
    tested = data.evaluation
    html = [] if tested is None else [page.summary(summary(tested), good=is_good(tested))]
    html += [
        page.listing(data.notes),
        page.heading("The forecast"),
        page.figure(*_series_figure(data, axis)),
        *([] if tested is None else _error_parts(data, tested)),
        *_backtest_parts(data),
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
    return [*html, page.heading("The gates"), page.figure(*_gates_figure(data, axis))]


def _error_parts(data: ReportData, evaluation: Evaluation) -> list[str]:
    horizon = count(data.trained.settings.horizon, "row")
    start = data.table.labels[evaluation.forecast.origins[0]]
    tested = (
        f"{count(len(evaluation.actual), 'forecast')} of {horizon}: the first begins where "
        f"the test part does, at {start}, each other one row later. Nothing was fitted to the test "
        "part." + " The rows before it are the training part of the simple methods." * data.is_new
    )
    return [
        page.heading("How good it is"),
        page.paragraph(tested),
        *_error_table(data, evaluation.scores, "errors.csv"),
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


def _series_figure(data: ReportData, axis: series_data.Axis) -> tuple:
    """Return (figure, caption) of the series, the forecasts of the test part and the forecast."""
    horizon, rows = data.trained.settings.horizon, len(data.table.values)
    targets = data.trained.targets
    panels = [_target_panel(data, place) for place in range(min(len(targets), SHOWN_TARGETS))]
    length = max(SHOWN_ROWS, SHOWN_HORIZONS * horizon)
    tested = data.evaluation
    first = max(0 if tested is None else int(tested.forecast.origins[0]), rows - length)
    # Some rows before the test part, from which its first forecast starts.
    shown = max(0, first - horizon), rows + (0 if data.forecast is None else horizon)
    begins = (
        f"a new forecast of {horizon} rows begins at every {horizon}th row, from the rows before "
        "it."
        if horizon > 1
        else "each row is forecast from those before it."
    )
    caption = (
        f"The figure opens on the last {count(rows - shown[0], 'row')}: double-click to see all, "
        "drag to zoom."
        + ("" if tested is None else f" In the test part, {begins}")
        + (
            f" Of {len(targets):,} targets the first {SHOWN_TARGETS} are drawn."
            if len(targets) > SHOWN_TARGETS
            else ""
        )
    )
    return figures.series(panels, axis, shown=shown, height=300), caption


def _target_panel(data: ReportData, place: int) -> series_data.Panel:
    table, evaluation, horizon = data.table, data.evaluation, data.trained.settings.horizon
    target, rows = data.trained.targets[place], len(table.values)
    column = table.values[:, table.columns.index(target)]
    lines, bands = [series_data.Curve("data", np.arange(rows), column)], []
    if evaluation is not None:
        chosen = non_overlapping(evaluation)
        tested = (evaluation.forecast.origins[chosen, None] + np.arange(horizon)).ravel()
        point = evaluation.forecast.point[chosen, :, place].ravel()
        lines.append(series_data.Curve("forecast in the test part", tested, point, COLOURS[1]))
    if data.forecast is not None:
        after = rows + np.arange(horizon)
        point = data.forecast.point[0, :, place]
        lines.append(series_data.Curve("forecast", after, point, COLOURS[2]))
        if (ends := interval(data.forecast)) is not None:
            low, high = (end[0, :, place] for end in ends)
            name = f"interval of {LEVEL:.0%}"
            bands.append(series_data.Band(name, after, low, high, COLOURS[2]))
    return series_data.Panel(target, lines, bands)


def _gates_figure(data: ReportData, axis: series_data.Axis) -> tuple:
    """Return (figure, caption) of the gates of the first layer over the last window."""
    is_tested, end = data.evaluation is not None, len(data.table.values)
    last = end if data.evaluation is None else int(data.evaluation.forecast.origins[-1])
    run = data.trained.run(data.table.values, [last], future=data.future)
    layer = run.layers[0]
    first = last - data.trained.settings.window
    rows = np.arange(first, first + run[layer].h.shape[1])
    known = rows[rows < end]
    above = []
    for target in data.trained.targets[:SHOWN_TARGETS]:
        column = data.table.columns.index(target)
        curve = series_data.Curve("data", known, data.table.values[known, column])
        above.append(series_data.Panel(target, [curve]))
    caption = (
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
