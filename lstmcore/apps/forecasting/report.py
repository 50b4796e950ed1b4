"""What `lstmcore forecast` leaves in its folder: forecasts and errors as CSV, pictures, a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lstmcore.apps import run_folder
from lstmcore.apps.forecasting import predictor
from lstmcore.apps.forecasting.backtest import Backtest
from lstmcore.apps.forecasting.evaluation import MODEL, MOST_CHECKED, NAIVE, SEASONAL, Evaluation
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.lag import AHEAD, LagCheck
from lstmcore.apps.forecasting.predictor import Trained
from lstmcore.apps.report import figures, page, series_data
from lstmcore.formatting import count, listed, shorten
from lstmcore.series import Table
from lstmcore.study import plots
from lstmcore.study.plots.style import COLOURS

RIVALS = {NAIVE: "the last value repeated", SEASONAL: "the last season repeated"}
MOST_TARGETS = 6  # that have a sentence each
MUCH = 2.0  # times the error of a rival, from which on percents are hard to read
NARROW = 0.15  # how far the coverage of an interval may be below its share
METRICS = (
    "MAE: mean absolute error, in the units of the column.",
    "RMSE: root of the mean squared error, likewise; large errors count for more.",
    "sMAPE: mean error in per cent of the values, from 0 to 200; it says little about values that "
    "can be near 0.",
    "MASE: the MAE, relative to that of repeating the last {unit} in the training part, one row "
    "ahead; it compares columns of different units.",
)


class Comparison(NamedTuple):
    """The mean absolute error of a target, beside that of the best naive forecast, called rival."""

    error: float
    rival: str
    rival_error: float

    @property
    def is_better(self) -> bool:
        """Whether the error is smaller; False where there is nothing to compare."""
        return self.error < self.rival_error


def compare(evaluation: Evaluation) -> dict[str, Comparison]:
    """A comparison for each target."""
    errors = {name: found.mae.tolist() for name, found in evaluation.scores.items()}
    ours = errors.pop(MODEL)
    found = {}
    for place, target in enumerate(evaluation.forecast.targets):
        rival = min(errors, key=lambda name: errors[name][place])
        found[target] = Comparison(ours[place], rival, errors[rival][place])
    return found


def is_good(evaluation: Evaluation) -> bool:
    """Whether every target is forecast better than naively, and none merely follows."""
    follows = (check.follows for checks in evaluation.lag.values() for check in checks)
    return all(one.is_better for one in compare(evaluation).values()) and not any(follows)


def sentences(evaluation: Evaluation) -> list[str]:
    """What a reader in a hurry should know: one for each target, one of the interval.

    Of many targets, one counts those that are forecast well, and the first few have their own.
    """
    compared = compare(evaluation)
    said = [
        f"{shorten(target)}: {_gain(found)} {_lag(evaluation.lag[target])}".strip()
        for target, found in list(compared.items())[:MOST_TARGETS]
    ]
    if len(compared) > MOST_TARGETS:
        better = sum(found.is_better for found in compared.values())
        follow = sum(any(check.follows for check in checks) for checks in evaluation.lag.values())
        said.insert(
            0,
            f"{better:,} of {len(compared):,} targets are forecast with less error than naively, "
            f"{follow:,} merely follow the last value. The first {MOST_TARGETS}:",
        )
    return [*said, *_coverage(evaluation)]


def explanations(season: int | None) -> list[str]:
    """What the names in a table of errors mean."""
    unit = "value" if season is None else f"season of {season} rows"
    rivals = [f"{name}: {words}." for name, words in RIVALS.items() if season or name == NAIVE]
    return [line.format(unit=unit) for line in METRICS] + rivals


def _gain(found: Comparison) -> str:
    error, rival, other = found
    words = RIVALS[rival]
    if np.isnan(error) or np.isnan(other):
        return "the test part holds no value of it to compare with."
    if other == 0:
        ours = "no error either" if error == 0 else f"a mean error of {error:.4g}"
        return f"in the test part, {words} makes no error, and the model {ours}."
    numbers = f"({error:.4g} against {other:.4g} on average)"
    ratio = error / other
    if ratio >= MUCH:
        return f"{ratio:.3g} times the error of {words} {numbers}."
    if abs(ratio - 1) < 0.005:
        return f"the same error as {words} {numbers}."
    return f"{abs(ratio - 1):.0%} {'less' if ratio < 1 else 'more'} error than {words} {numbers}."


def _lag(checks: Sequence[LagCheck]) -> str:
    """The verdicts of the lag check."""
    if not checks:
        return "The test part is too short for a lag check."
    follows = [check.step for check in checks if check.follows]
    ahead = [check.step for check in checks if check.verdict == AHEAD]
    said = []
    if follows:
        said.append(f"It merely follows the last value {_steps(follows, len(checks))}.")
    if ahead:
        where = _steps(ahead, len(checks))
        said.append(f"It is significantly better than the last value repeated {where}.")
    if not said:
        said.append("At no step is it significantly better than the last value repeated.")
    return " ".join(said)


def _steps(steps: Sequence[int], of: int) -> str:
    """Steps in words: "1 row ahead", "2 to 5 rows ahead", "at 7 of 24 steps"."""
    if len(steps) == of > 1:
        return "at every step"
    if len(steps) > 2 and steps[-1] - steps[0] == len(steps) - 1:
        return f"{steps[0]} to {steps[-1]} rows ahead"
    if len(steps) > 2:
        return f"at {len(steps)} of {of} steps"
    return f"{listed([str(step) for step in steps])} row{'s' * (list(steps) != [1])} ahead"


def _coverage(evaluation: Evaluation) -> list[str]:
    """Whether the interval holds what it should."""
    if evaluation.covered is None or evaluation.share is None:
        return []
    share = evaluation.share
    covered = dict(
        zip(evaluation.forecast.targets, evaluation.covered.tolist(), strict=True),
    )
    if len(covered) > MOST_TARGETS:
        low, high = min(covered.values()), max(covered.values())
        held = f"{low:.0%} to {high:.0%} of each of {len(covered):,} targets"
    else:
        held = listed([f"{part:.0%} of {shorten(target)}" for target, part in covered.items()])
    said = f"The interval of {share:.0%} held {held} in the test part"
    narrow = [target for target, part in covered.items() if part < share - NARROW]
    if narrow:
        which = "it is" if len(narrow) == len(covered) else f"for {listed(narrow)} it is"
        return [f"{said}: {which} too narrow to rely on."]
    return [f"{said}."]


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
    predictor.write_parts(folder, trained)
    run_folder.write_history(folder / "history.csv", trained.history)


def write(folder: Path, made: Made) -> None:
    """Forecasts and errors as CSV, pictures, and the page."""
    evaluation, time = made.evaluation, made.data.label_name
    header = ["target", "forecast", *ERRORS]
    targets = made.trained.targets
    run_folder.write_csv(folder / "errors.csv", header, error_rows(targets, evaluation.scores))
    if made.backtest is not None:
        rows = error_rows(targets, made.backtest.scores)
        run_folder.write_csv(folder / "backtest.csv", header, rows)
    rivals = list(evaluation.baselines)
    header = ["first_row", "step", time, "target", "actual", "forecast", *rivals]
    run_folder.write_csv(folder / "test.csv", header, _test_rows(made))
    if made.forecast is not None:
        ends = [] if interval(made.forecast) is None else ["low", "high"]
        header = [time, "target", "forecast", *ends]
        run_folder.write_csv(folder / "forecast.csv", header, _forecast_rows(made))
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
        column = made.trained.preprocessor.filled(made.trained.table(data.values))[:, 0]
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
    axis = series_data.time_axis([*labels, *made.ahead], made.data.label_name)
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


def _series(made: Made, axis: series_data.Axis) -> tuple:
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
            series_data.Curve("data", np.arange(rows), data.values[:, column]),
            series_data.Curve("forecast in the test part", forecast, tested, COLOURS[1]),
        ]
        bands = []
        if made.forecast is not None:
            point = made.forecast.point[0, :, place]
            lines.append(series_data.Curve("forecast", after, point, COLOURS[2]))
            if (ends := interval(made.forecast)) is not None:
                low, high = (end[0, :, place] for end in ends)
                bands.append(
                    series_data.Band(f"interval of {SHARE:.0%}", after, low, high, COLOURS[2])
                )
        panels.append(series_data.Panel(target, lines, bands))
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


def _gates(made: Made, axis: series_data.Axis) -> tuple:
    """(figure, caption): the gates of the first layer while it read the last window."""
    last = int(made.evaluation.forecast.origins[-1])
    run = made.trained.run(made.data.values, [last])
    layer = run.layers[0]
    first = last - made.trained.settings.window
    rows = np.arange(first, first + run[layer].h.shape[1])
    above = []
    for target in made.trained.targets[:SHOWN_TARGETS]:
        column = made.data.columns.index(target)
        read = series_data.Curve("data", rows, made.data.values[rows, column])
        above.append(series_data.Panel(target, [read]))
    caption = (
        f"A line for each unit of {layer}, the longest memory on top, while it read what came "
        f"before the last forecast of the test part, that from {made.data.labels[last]} on."
    )
    if rows[-1] >= last:
        caption += " From there on it read its own forecasts, not the data."
    return figures.gates(run, layer, 0, rows, axis, above=above), caption
