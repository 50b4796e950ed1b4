"""What `lstmcore forecast` leaves in its folder: forecasts, errors, pictures, a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from lstmcore import results
from lstmcore.forecasting.evaluation import MODEL, MOST_CHECKED, Evaluation
from lstmcore.forecasting.rolling import Backtest
from lstmcore.forecasting.trained import Forecast, Trained
from lstmcore.report import figures, page
from lstmcore.study import plots
from lstmcore.study.plots.style import COLOURS
from lstmcore.table import Table

FILES = (
    "model.safetensors", "forecast.json", "settings.json", "history.csv", "forecast.csv",
    "test.csv", "errors.csv", "backtest.csv", "forecast.png", "lag_check.png", "loss.png",
    "report.html", results.CHECKPOINT,
)  # fmt: skip
SHOWN_TARGETS = 4  # in pictures; the tables have all
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

    @property
    def is_good(self) -> bool:
        """Whether each target is forecast better than by any naive forecast, and none follows."""
        followers = (check.follows for every in self.evaluation.lag.values() for check in every)
        return all(gain > 0 for gain, _ in self._gains().values()) and not any(followers)

    @property
    def sentences(self) -> list[str]:
        """What a reader in a hurry should know, for each target."""
        return [
            f"{target}: {abs(gain):.0%} {'better' if gain >= 0 else 'worse'} than the {rival} "
            f"forecast (MAE {errors.mae[place]:.4g}, MASE {errors.mase[place]:.3g}). "
            f"{self._lag(target)}"
            for errors in [self.evaluation.scores[MODEL]]
            for place, (target, (gain, rival)) in enumerate(self._gains().items())
        ]

    def _gains(self) -> dict[str, tuple[float, str]]:
        """{target: (skill over the better naive forecast, its name)}, by MAE."""
        scores, gains = self.evaluation.scores, {}
        for place, target in enumerate(self.trained.targets):
            rivals = {name: found.mae[place] for name, found in scores.items() if name != MODEL}
            name = min(rivals, key=lambda rival: rivals[rival])
            gain = 1 - scores[MODEL].mae[place] / rivals[name] if rivals[name] else -np.inf
            gains[target] = (float(gain), name)
        return gains

    def _lag(self, target: str) -> str:
        """The verdicts of the lag check in a sentence."""
        checks = self.evaluation.lag[target]
        if not checks:
            return "The test part is too short for a lag check."
        followers = [check.step for check in checks if check.follows]
        if followers:
            return f"At {_steps(followers)} ahead it merely follows the last value."
        better = [check.step for check in checks if check.verdict.startswith("ahead")]
        if better:
            return f"At {_steps(better)} ahead it is ahead of the last value."
        return "As far as the test part tells, the last value would have done as well."


def error_rows(targets: Sequence[str], scores) -> list[list[str]]:
    """Target, forecast and its errors, as text; of an Evaluation or of a Backtest."""
    return [
        [target, name, *(f"{error[place]:.4g}" for error in found)]
        for place, target in enumerate(targets)
        for name, found in scores.items()
    ]


def write_model(folder: Path, trained: Trained, described: dict) -> None:
    """What must not be lost: the forecaster, how it was trained, and on what."""
    trained.save(folder)
    results.write_json(folder / "settings.json", results.versions() | described)
    results.write_history(folder / "history.csv", trained.history)


def write(folder: Path, made: Made) -> None:
    """Forecasts and errors as CSV, pictures, and the page."""
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
        ends = ["low", "high"] if _interval(made.forecast) else []
        header = [time, "target", "forecast", *ends]
        results.write_csv(folder / "forecast.csv", header, _forecast_rows(made))
    pictures = _pictures(made)
    for name, figure in pictures.items():
        figure.savefig(folder / name, dpi=120)
    page.write(folder / "report.html", f"Forecast of {made.source}", _parts(made, pictures))


def _test_rows(made: Made) -> Iterator[list]:
    """The forecasts of the test part that do not overlap, step by step."""
    evaluation, labels = made.evaluation, made.data.labels
    every = [evaluation.actual, evaluation.forecast.point, *evaluation.baselines.values()]
    for number in _apart(evaluation):
        origin = int(evaluation.forecast.origins[number])
        for step, place in np.ndindex(every[0].shape[1:]):
            cells = [float(block[number, step, place]) for block in every]
            names = [origin, step + 1, labels[origin + step], made.trained.targets[place]]
            yield [*names, *("" if cell != cell else cell for cell in cells)]


def _forecast_rows(made: Made) -> Iterator[list]:
    forecast = made.forecast
    assert forecast is not None
    ends = _interval(forecast) or ()
    for step, label in enumerate(made.ahead):
        for place, target in enumerate(forecast.targets):
            numbers = (forecast.point, *ends)
            yield [label, target, *(float(block[0, step, place]) for block in numbers)]


def _parts(made: Made, pictures: dict[str, Figure]) -> list[str]:
    """The page, from the verdict to the gates while the last window was read."""
    evaluation, header = made.evaluation, ["target", "forecast", *ERRORS]
    split, labels = made.trained.split, made.data.labels
    parts = [page.verdict(" ".join(made.sentences), good=made.is_good), page.listing(made.notes)]
    tested = (
        f"{len(evaluation.actual):,} forecasts of {made.trained.model.horizon} rows, from "
        f"{labels[split.test.start]} on, which nothing was fitted to. MASE is relative to the "
        "naive forecast (the seasonal one, if there is a season) within the training part."
    )
    rows = error_rows(made.trained.targets, evaluation.scores)
    parts += [
        page.heading("How good it is"),
        page.paragraph(tested),
        page.grid(header, rows),
    ]
    if evaluation.covered is not None:
        pairs = zip(made.trained.targets, evaluation.covered, strict=True)
        covered = "; ".join(f"{target} {share:.0%}" for target, share in pairs)
        sentence = f"The interval of {evaluation.share:.0%} covers of the truth: {covered}."
        parts.append(page.paragraph(sentence))
    if made.backtest is not None:
        folds = (
            f"Trained anew for each of {len(made.backtest.origins)} origins, on what came before."
        )
        rows = error_rows(made.trained.targets, made.backtest.scores)
        parts += [page.heading("Backtest"), page.paragraph(folds), page.grid(header, rows)]
    parts += [page.heading("The forecast"), page.picture(*_series(made))]
    if "lag_check.png" in pictures:
        caption = (
            "Does it merely follow the last value? Then the forecast, moved back, lies on the "
            "truth, the distance is smallest at a lag above 0, and where the truth changes the "
            "forecast does not."
        )
        parts += [page.heading("Lag check"), page.image(pictures["lag_check.png"], caption)]
    run = made.trained.run(made.data.values[: evaluation.forecast.origins[-1]])
    return [*parts, *_gates(made, run)]


def _series(made: Made) -> tuple:
    """(figure, caption): the data, what was forecast in the test part, and what is to come."""
    data, evaluation, model = made.data, made.evaluation, made.trained.model
    labels = [*data.labels, *made.ahead]
    apart = _apart(evaluation)
    rows = (evaluation.forecast.origins[apart, None] + np.arange(model.horizon)).ravel()
    after = len(data.values) + np.arange(len(made.ahead))
    panels = []
    for place, target in enumerate(made.trained.targets[:SHOWN_TARGETS]):
        column = data.columns.index(target)
        tested = evaluation.forecast.point[apart, :, place].ravel()
        curves = [
            figures.Curve("data", np.arange(len(data.values)), data.values[:, column]),
            figures.Curve("forecast of the test part", rows, tested, COLOURS[1]),
        ]
        bands = []
        if made.forecast is not None:
            point = made.forecast.point[0, :, place]
            curves.append(figures.Curve("forecast", after, point, COLOURS[2]))
            if (ends := _interval(made.forecast)) is not None:
                low, high = (end[0, :, place] for end in ends)
                name = f"{SHARE:.0%} interval"
                bands.append(figures.Band(name, after, low, high, COLOURS[2]))
        panels.append(figures.Panel(target, curves, bands))
    caption = f"In the test part, {model.horizon} rows from every {model.horizon}th row on."
    return figures.series(panels, labels, height=300), caption


def _gates(made: Made, run) -> list[str]:
    """The gates of the first layer while it read the last window."""
    layer = run.layers[0]
    last = int(made.evaluation.forecast.origins[-1])
    steps = run[layer].h.shape[1]
    rows = np.arange(
        last - made.trained.settings.window, last - made.trained.settings.window + steps
    )
    columns = [made.data.columns.index(name) for name in made.trained.targets[:SHOWN_TARGETS]]
    above = [
        figures.Panel(
            made.data.columns[column],
            [figures.Curve("data", rows, made.data.values[rows, column])],
        )
        for column in columns
    ]
    drawn = figures.gates(run, layer, 0, rows, made.data.labels, above=above)
    caption = f"Units of {layer}, the longest memory on top, before the last forecast of the test."
    return [page.heading("The gates"), page.picture(drawn, caption)]


def _pictures(made: Made) -> dict[str, Figure]:
    """{file name: figure}; the forecast and the lag check are those of the first target."""
    evaluation, data = made.evaluation, made.data
    target = made.trained.targets[0]
    column = data.values[:, data.columns.index(target)]
    found = {"loss.png": plots.plot_loss(made.trained.history)}
    if made.forecast is not None:
        length = SHOWN_PAST * (made.trained.settings.window + len(made.ahead))
        first = max(0, len(column) - length)
        ends = _interval(made.forecast)
        found["forecast.png"] = plots.plot_forecast(
            column[first:],
            made.forecast.point[0, :, 0],
            interval=None if ends is None else tuple(end[0, :, 0] for end in ends),
            ylabel=target,
            xlabel=data.label_name,
            labels=[*data.labels[first:], *made.ahead],
        )
    if evaluation.lag[target]:
        check = evaluation.lag[target][0]
        count = min(len(evaluation.actual), MOST_CHECKED)
        origins = evaluation.forecast.origins[-count:]
        found["lag_check.png"] = plots.plot_lag_check(
            check,
            evaluation.actual[-count:, 0, 0],
            evaluation.forecast.point[-count:, 0, 0],
            column[origins - 1],
            ylabel=target,
        )
    return found


def _apart(evaluation: Evaluation) -> np.ndarray:
    """Which of the forecasts of the test part follow one another without overlap."""
    count, horizon, _ = evaluation.actual.shape
    return np.arange(0, count, horizon)


def _interval(forecast: Forecast):
    """(low, high) [N, horizon, targets] of the usual share, or None."""
    try:
        return forecast.interval(SHARE)
    except ValueError:
        return None


def _steps(steps: Sequence[int]) -> str:
    """Steps in words: "1", "1 and 3", "2 to 5"."""
    if len(steps) > 2 and steps[-1] - steps[0] == len(steps) - 1:
        return f"{steps[0]} to {steps[-1]} rows"
    words = " and ".join(filter(None, [", ".join(map(str, steps[:-1])), str(steps[-1])]))
    return f"{words} row{'s' * (list(steps) != [1])}"
