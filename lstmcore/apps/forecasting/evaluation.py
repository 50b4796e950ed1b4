"""Evaluation of a forecaster: its errors beside those of simple forecasts, its rivals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lstmcore.apps.forecasting import metrics
from lstmcore.apps.forecasting.comparison import Comparison, compare
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.lag import FEWEST, LagCheck, lag_check
from lstmcore.apps.forecasting.rivals import NAIVE, SEASONAL, RivalInputs, rival_forecasts
from lstmcore.display import displayed
from lstmcore.display.arrays import number_text
from lstmcore.display.html import Markup, table, titled
from lstmcore.formatting import count, shorten, text_table
from lstmcore.series.frames import make_frame

MOST_PRINTED = 10  # targets
MOST_CHECKED = 2000  # forecasts in a lag check; of more, the last
NOT_CHECKED = f"no lag check: it needs {FEWEST} forecasts whose truth is known"
MODEL = "model"


@displayed
class Scores(NamedTuple):
    """Four errors of a forecast: [targets], or with more axes before.

    mae, rmse: in units of the data
    smape: from 0 to 200
    mase: relative to the scale of the training part
    """

    mae: np.ndarray
    rmse: np.ndarray
    smape: np.ndarray
    mase: np.ndarray


class Evaluation(NamedTuple):
    """Errors over a test part; printed, it is a report.

    Attributes:
      actual: [N, horizon, targets], the truth in units of the data; NaN where it is missing.
      forecast: N forecasts of the model.
      baselines: {"naive": [N, horizon, targets], "seasonal naive": ..., "linear map": ...,
        "Holt-Winters": ...}, the rivals; see `rival_forecasts` for those that may be missing.
      scores: Scores [targets] of "model" and of each baseline.
      by_step: the same for each step, [horizon, targets].
      lag: for each target, a LagCheck for each step; () if the truth of fewer than 20 forecasts is
        known.
      season: rows of a season, or None.
      level, covered: fraction of the truth that the interval should cover, and [targets] that it
        covers; None without an interval.
      comparisons: for each target a Comparison with the best rival: who won, by how much, and
        whether the difference is significant.
      notes: sentences on rivals that had to be left out.
    """

    actual: np.ndarray
    forecast: Forecast
    baselines: dict[str, np.ndarray]
    scores: dict[str, Scores]
    by_step: dict[str, Scores]
    lag: dict[str, tuple[LagCheck, ...]]
    season: int | None
    level: float | None
    covered: np.ndarray | None
    comparisons: Mapping[str, Comparison] = MappingProxyType({})
    notes: tuple[str, ...] = ()

    def to_frame(self, library: str = "pandas") -> Any:
        """Return the scores as a data frame, one row for each target and forecast.

        Its columns are target, forecast ("model", "naive", ...), mae, rmse, smape and mase.

        Args:
          library: "pandas", "polars", "pyarrow", or another one that narwhals knows.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: narwhals does not know the library.
        """
        return make_frame(score_columns(self.forecast.targets, self.scores), library)

    def _repr_html_(self) -> str:
        forecasts, horizon, _ = self.actual.shape
        title = f"Evaluation of {count(forecasts, 'forecast')} of {count(horizon, 'row')}"
        scores = scores_html(self.forecast.targets, self.scores)
        targets = self.forecast.targets[:MOST_PRINTED]
        return titled(
            title, scores, *(f"{shorten(name)}: {self._verdicts(name)}" for name in targets)
        )

    def _ends_checked(self, target: str) -> tuple[LagCheck, ...]:
        """Return the lag checks of the first and the last step."""
        checked = self.lag[target]
        return checked if len(checked) < 3 else (checked[0], checked[-1])

    def _verdicts(self, target: str) -> str:
        """Return the verdicts, and the fraction that the interval covers."""
        said = [f"{check.step} ahead: {check.verdict}" for check in self._ends_checked(target)]
        said = [*(said or [NOT_CHECKED]), *self._coverage(self.forecast.targets.index(target))]
        return " ".join([*self._comparison(target), "; ".join(said)])

    def _comparison(self, target: str) -> list[str]:
        return [str(self.comparisons[target])] if target in self.comparisons else []

    def _coverage(self, place: int) -> list[str]:
        if self.covered is None or self.level is None or np.isnan(self.covered[place]):
            return []
        return [f"the interval of {self.level:.0%} covers {self.covered[place]:.0%} of the truth"]

    def __repr__(self) -> str:
        forecasts, horizon, _ = self.actual.shape
        lines = []
        for place, target in enumerate(self.forecast.targets[:MOST_PRINTED]):
            of_rows = f"{count(forecasts, 'forecast')} of {count(horizon, 'row')}"
            lines.append(f"{shorten(target)}: {of_rows}")
            lines += self._comparison(target)
            lines.append(score_table(self.scores, self.season, place))
            lines += self._coverage(place)
            lines += map(str, self._ends_checked(target) or [NOT_CHECKED])
            lines.append("")
        return "\n".join([*lines[:-1], *more_targets(self.forecast.targets), *self.notes])


def score_columns(targets: Sequence[str], scores: Mapping[str, Scores]) -> dict[str, list]:
    """Return the columns target, forecast and each error, one row for each target and forecast."""
    columns: dict[str, list] = {"target": [], "forecast": [], **{e: [] for e in Scores._fields}}
    for place, target in enumerate(targets):
        for name, errors in scores.items():
            columns["target"].append(target)
            columns["forecast"].append(name)
            for error, values in errors._asdict().items():
                columns[error].append(float(values[place]))
    return columns


def scores_html(targets: Sequence[str], scores: Mapping[str, Scores]) -> Markup:
    """Return the errors of every target and forecast as a table for notebooks."""
    rows = []
    for place, target in enumerate(targets):
        for name, errors in scores.items():
            numbers = [number_text(error[place]) for error in errors]
            rows.append([shorten(target), name, *numbers, _skill_text(scores, name, place)])
    return table(["target", "forecast", "MAE", "RMSE", "sMAPE", "MASE", "skill"], rows, words=2)


def more_targets(targets: Sequence[str]) -> list[str]:
    """Return a line on the targets that a printed report leaves out, if there are any."""
    hidden = len(targets) - MOST_PRINTED
    return [f"\n... and {count(hidden, 'more target')}: see scores"] if hidden > 0 else []


def evaluate(forecast: Forecast, table: np.ndarray, inputs: RivalInputs) -> Evaluation:
    """Compare forecasts with the truth, and with simple forecasts from the same rows.

    Args:
      forecast: from N rows of the table on.
      table: [rows, targets] in units of the data, NaN where a value is missing.
      inputs: the rows that the rivals read; `inputs.values` is the table with missing values filled
        and with all columns that the model reads.
    """
    origins, horizon = forecast.origins, forecast.point.shape[1]
    actual = table[origins[:, None] + np.arange(horizon)]
    baselines, notes = rival_forecasts(inputs, origins, horizon)
    # From the table as is: the naive forecast has no error on a value that was filled forward.
    scale = metrics.mase_scale(table[: inputs.training], inputs.season or 1)
    points = {MODEL: forecast.point, **baselines}
    level, covered = _interval(forecast, actual)
    return Evaluation(
        actual,
        forecast,
        baselines,
        scores={name: scores_of(actual, point, scale) for name, point in points.items()},
        by_step={name: scores_of(actual, point, scale, 0) for name, point in points.items()},
        lag={
            target: _lag_checks(
                actual[:, :, place], forecast.point[:, :, place], inputs.values[origins - 1, place]
            )
            for place, target in enumerate(forecast.targets)
        },
        season=inputs.season,
        level=level,
        covered=covered,
        comparisons=compare(actual, forecast.point, baselines, forecast.targets),
        notes=notes,
    )


def scores_of(actual, forecast, scale, axis: metrics.Axis = (0, 1)) -> Scores:
    """Return all four errors of a forecast."""
    return Scores(
        metrics.mae(actual, forecast, axis=axis),
        metrics.rmse(actual, forecast, axis=axis),
        metrics.smape(actual, forecast, axis=axis),
        metrics.mase(actual, forecast, scale, axis=axis),
    )


def score_table(scores: Mapping[str, Scores], season: int | None, place: int) -> str:
    """Return the errors of one target as text; skill is that of the MAE over the naive forecast."""
    rows = []
    for name, errors in scores.items():
        numbers = [error_text(error[place]) for error in errors]
        label = f"{name} ({season})" if name == SEASONAL else name
        rows.append([label, *numbers, _skill_text(scores, name, place)])
    return text_table(["", "MAE", "RMSE", "sMAPE", "MASE", "skill"], rows, words=1)


def error_text(error: float) -> str:
    """Return an error as text; "-" where there is none, since a truth or a rival is missing."""
    return "-" if np.isnan(error) else f"{error:.4g}"


def _skill_text(scores: Mapping[str, Scores], name: str, place: int) -> str:
    skill = metrics.skill(scores[name].mae[place], scores[NAIVE].mae[place])
    return "-" if np.isnan(skill) else f"{skill:.2f}"


def _interval(forecast: Forecast, actual):
    """Return (level, covered [targets]) of the widest interval of a forecast."""
    level = None
    if forecast.samples is not None:
        level = 0.8
    elif forecast.quantiles is not None:
        low, high = forecast.levels[0], forecast.levels[-1]
        level = high - low if np.isclose(low, 1 - high) and low < high else None
    if level is None:
        return None, None
    return level, metrics.coverage(actual, *forecast.interval(level))


def _lag_checks(actual, forecast, last) -> tuple[LagCheck, ...]:
    """Return a check for each step of one target: actual, forecast [N, horizon], last [N]."""
    actual, forecast, last = (values[-MOST_CHECKED:] for values in (actual, forecast, last))
    if np.isfinite(actual).sum(axis=0).min() < FEWEST:
        return ()
    return tuple(
        lag_check(actual[:, step], forecast[:, step], last, step + 1)
        for step in range(actual.shape[1])
    )
