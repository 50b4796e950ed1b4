"""The page of a forecast, from the verdict to the gates while the last window was read."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from lstmcore.forecasting.report import ERRORS, SHARE, Made, apart, error_cells, interval
from lstmcore.forecasting.sentences import explanations, is_good, sentences
from lstmcore.report import curves, figures, page
from lstmcore.study.plots.style import COLOURS
from lstmcore.text import count

SHOWN_TARGETS = 4  # in figures
LISTED_TARGETS = 100  # in the tables of errors; the CSV files have all
SHOWN_ROWS = 300  # before the end, or SHOWN_HORIZONS, that a figure opens on
SHOWN_HORIZONS = 8


def parts(made: Made, lag_check: Figure | None) -> list[str]:
    """The page in parts for `report.page.write`. lag_check: of the first target."""
    evaluation, header = made.evaluation, ["target", "forecast", *ERRORS]
    settings, labels = made.trained.settings, made.data.labels
    forecasts = count(len(evaluation.actual), "forecast")
    tested = (
        f"{forecasts} of {count(settings.horizon, 'row')}: the first begins where the test part "
        f"does, at {labels[made.trained.split.test.start]}, each other a row later. Nothing was "
        "fitted to the test part."
    )
    axis = curves.time_axis([*labels, *made.ahead], made.data.label_name)
    listed = made.trained.targets[:LISTED_TARGETS]
    cells = error_cells(listed, evaluation.scores)
    targets = len(made.trained.targets)
    hidden = targets - len(listed)
    all_in = f"Of {targets:,} targets the first {len(listed)} are listed; all are in"
    written = [
        page.verdict(sentences(evaluation), good=is_good(evaluation)),
        page.listing(made.notes),
        page.heading("The forecast"),
        page.picture(*_series(made, axis)),
        page.heading("How good it is"),
        page.paragraph(tested),
        page.grid(header, cells),
        *([page.paragraph(f"{all_in} errors.csv.")] if hidden else []),
        page.listing(explanations(settings.season)),
    ]
    if made.backtest is not None:
        folds = (
            f"Trained anew for each of {count(len(made.backtest.origins), 'fold')}, on the rows "
            f"before it alone, to forecast the {count(settings.horizon, 'row')} from there on."
        )
        cells = error_cells(listed, made.backtest.scores)
        written += [page.heading("Backtest"), page.paragraph(folds), page.grid(header, cells)]
        written += [page.paragraph(f"{all_in} backtest.csv.")] if hidden else []
    if lag_check is not None:
        caption = (
            f"Does the forecast of {made.trained.targets[0]}, 1 row ahead, merely follow the last "
            "value? One that does lies on the truth once it is moved back (left), goes with the "
            "changes of the truth some rows before (middle, a lag above 0), and is a flat cloud "
            "(right). One that foresaw every change would have its lag at 0 and lie along the "
            "diagonal."
        )
        written += [page.heading("Lag check"), page.image(lag_check, caption)]
    return [*written, page.heading("The gates"), page.picture(*_gates(made, axis))]


def _series(made: Made, axis: curves.Axis) -> tuple:
    """(figure, caption): the data, what was forecast in the test part, and what is to come."""
    data, evaluation, horizon = made.data, made.evaluation, made.trained.settings.horizon
    rows, targets = len(data.values), made.trained.targets
    chosen = apart(evaluation)
    forecast = (evaluation.forecast.origins[chosen, None] + np.arange(horizon)).ravel()
    after = rows + np.arange(horizon)
    panels = []
    for place, target in enumerate(targets[:SHOWN_TARGETS]):
        column = data.columns.index(target)
        tested = evaluation.forecast.point[chosen, :, place].ravel()
        lines = [
            curves.Curve("data", np.arange(rows), data.values[:, column]),
            curves.Curve("forecast in the test part", forecast, tested, COLOURS[1]),
        ]
        bands = []
        if made.forecast is not None:
            point = made.forecast.point[0, :, place]
            lines.append(curves.Curve("forecast", after, point, COLOURS[2]))
            if (ends := interval(made.forecast)) is not None:
                low, high = (end[0, :, place] for end in ends)
                bands.append(curves.Band(f"interval of {SHARE:.0%}", after, low, high, COLOURS[2]))
        panels.append(curves.Panel(target, lines, bands))
    length = max(SHOWN_ROWS, SHOWN_HORIZONS * horizon)
    first = max(made.trained.split.test.start, rows - length)
    # The first row of the test part has something before it to go on from.
    shown = max(0, first - horizon), rows + (0 if made.forecast is None else horizon)
    caption = (
        f"It opens on the last {count(rows - shown[0], 'row')}: double-click to see all, drag to "
        "look closer. In the test part, "
        + (
            f"a new forecast of {horizon} rows begins at every {horizon}th row, from what was "
            "known before it."
            if horizon > 1
            else "each row is forecast from those before it."
        )
        + (
            f" Of {len(targets):,} targets the first {SHOWN_TARGETS} are drawn."
            if len(targets) > SHOWN_TARGETS
            else ""
        )
    )
    return figures.series(panels, axis, shown=shown, height=300), caption


def _gates(made: Made, axis: curves.Axis) -> tuple:
    """(figure, caption): the gates of the first layer while it read the last window."""
    last = int(made.evaluation.forecast.origins[-1])
    run = made.trained.run(made.data.values, [last])
    layer = run.layers[0]
    first = last - made.trained.settings.window
    rows = np.arange(first, first + run[layer].h.shape[1])
    above = []
    for target in made.trained.targets[:SHOWN_TARGETS]:
        column = made.data.columns.index(target)
        read = curves.Curve("data", rows, made.data.values[rows, column])
        above.append(curves.Panel(target, [read]))
    caption = (
        f"A line for each unit of {layer}, the longest memory on top, while it read what came "
        f"before the last forecast of the test part, that from {made.data.labels[last]} on."
    )
    if rows[-1] >= last:
        caption += " From there on it read its own forecasts, not the data."
    return figures.gates(run, layer, 0, rows, axis, above=above), caption
