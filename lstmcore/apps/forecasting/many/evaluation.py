"""Errors of a forecaster of many series: per series, over all of them, and beside simple methods.

Series are compared by their MASE (Hyndman & Koehler 2006, "Another look at measures of forecast
accuracy"), which is in units of the mean change of each series, so that it can be averaged.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lstmcore.apps.forecasting.comparison import Comparison
from lstmcore.apps.forecasting.evaluation import MODEL, Evaluation, Scores, error_text
from lstmcore.apps.forecasting.many.panel import column_of_names
from lstmcore.apps.forecasting.paired import upper_tail
from lstmcore.apps.forecasting.rivals import HOLT_WINTERS, NAIVE
from lstmcore.display.html import table, titled
from lstmcore.formatting import few, shorten, text_table
from lstmcore.series.frames import make_frame

FEWEST_SERIES = 10  # that tell a difference from chance
SHOWN = 3  # best and worst series of a printed evaluation
NO_SCALE = "nothing changes from season to season in the training part of any series"
HEADER = ("", "mean MASE", "median", "series", "model better", "worse")


class Line(NamedTuple):
    """A forecast over all series, for one target.

    Attributes:
      name: "model", or that of a rival.
      mean, median: of its MASE over the series.
      series: number of series that it was made for.
      wins, losses: number of series in which the model has a smaller, and a larger error.
    """

    name: str
    mean: float
    median: float
    series: int
    wins: int
    losses: int

    def cells(self) -> list[str]:
        """Return the line as text, for `HEADER`."""
        beside = ["", ""] if self.name == MODEL else [f"{self.wins:,}", f"{self.losses:,}"]
        return [
            self.name,
            error_text(self.mean),
            error_text(self.median),
            f"{self.series:,}",
            *beside,
        ]


@dataclass(frozen=True, eq=False, repr=False)
class EvaluationOfMany:
    """Errors of many series over their test parts; printed, it is a report.

    Attributes:
      evaluations: {name of a series: Evaluation}.
      left_out: {name of a series: why it has none}.
      id: names of the columns that name a series.
      smoothed: names of the series that were drawn to run Holt-Winters smoothing for; None if it
        ran for all.
    """

    evaluations: dict[str, Evaluation]
    left_out: dict[str, str]
    id: tuple[str, ...]
    smoothed: frozenset[str] | None = None

    def __getitem__(self, series: Any) -> Evaluation:
        name = str(series)
        if name not in self.evaluations:
            why = self.left_out.get(name, f"evaluated are {few(list(self.evaluations))}")
            raise KeyError(f"{shorten(name)} was not evaluated: {why}")
        return self.evaluations[name]

    @property
    def targets(self) -> tuple[str, ...]:
        """Return the names of the columns that are forecast."""
        return next(iter(self.evaluations.values())).forecast.targets

    def mase(self, target: str) -> dict[str, np.ndarray]:
        """Return {"model": [series], rival: [series], ...}, in the order of `evaluations`.

        NaN for a rival that could not be fitted to a series, and for a series without a scale, as
        it does not change in its training part.
        """
        names = dict.fromkeys(name for one in self.evaluations.values() for name in one.scores)
        place = self.targets.index(target)
        found = {}
        for name in names:
            errors = [
                float(one.scores[name].mase[place]) if name in one.scores else np.nan
                for one in self.evaluations.values()
            ]
            found[name] = np.where(np.isfinite(errors), errors, np.nan)
        return found

    def lines(self, target: str) -> list[Line]:
        """Return the forecasts over all series, the model first."""
        every = self.mase(target)
        ours = every[MODEL]
        lines = []
        for name, errors in every.items():
            known = errors[~np.isnan(errors)]
            if len(known):
                wins, losses = int((ours < errors).sum()), int((ours > errors).sum())
                middle = float(known.mean()), float(np.median(known))
                lines.append(Line(name, *middle, len(known), wins, losses))
        return lines

    def comparison(self, target: str) -> Comparison:
        """Return the model beside its best rival, by their mean MASE, with a test over the series.

        A rival that is missing for more than half of the series that it was run for is not
        compared; of the others those series count for which none is missing. If Holt-Winters was
        not run for all series, it is compared over those that it was run for; where it is not the
        best there, the others are compared over all series. All is NaN, beside the naive forecast,
        if no series has a MASE. The test takes series to be independent: what happens to all of
        them at once makes it too sure.
        """
        every = self._compared(target)
        known, means = _means(every)
        best = min(means, key=lambda name: means[name], default=NAIVE)
        rivals = len(means)
        if self.smoothed is not None and best != HOLT_WINTERS:
            known, means = _means({n: e for n, e in every.items() if n != HOLT_WINTERS})
            best = min(means, key=lambda name: means[name], default=NAIVE)
        if not known.any():
            return Comparison(np.nan, NAIVE, np.nan, rivals, np.nan, 0, "series")
        ours = every[MODEL][known]
        gaps = ours - every[best][known]
        p_value = tested_over_series(gaps)[1] if len(gaps) >= FEWEST_SERIES else np.nan
        return Comparison(
            float(ours.mean()), best, means[best], rivals, p_value, len(gaps), "series"
        )

    def _compared(self, target: str) -> dict[str, np.ndarray]:
        """Return {"model": MASE [series], rival: ...} without rivals that are missing for most."""
        found = {}
        for name, errors in self.mase(target).items():
            tried = np.ones(len(errors), bool)
            if name == HOLT_WINTERS and self.smoothed is not None:
                tried = np.array([series in self.smoothed for series in self.evaluations])
            if name == MODEL or 2 * np.isnan(errors[tried]).sum() <= tried.sum():
                found[name] = errors
        return found

    def ranked(self, target: str) -> list[str]:
        """Return the names of the series by the MASE of the model, the best first.

        Those without one come last.
        """
        errors = dict(zip(self.evaluations, self.mase(target)[MODEL].tolist(), strict=True))
        return sorted(errors, key=lambda name: (np.isnan(errors[name]), errors[name]))

    def summary(self) -> list[str]:
        """Return a sentence on each target over all series, and one on series left out."""
        said = []
        for target in self.targets:
            compared = self.comparison(target)
            every = {line.name: line for line in self.lines(target)}
            if compared.rival not in every:
                said.append(f"{shorten(target)} has no MASE: {NO_SCALE}.")
                continue
            rival = every[compared.rival]
            of = f"{compared.forecasts:,} series, mean MASE"
            won = f"The model is better in {rival.wins:,} series and worse in {rival.losses:,}."
            said.append(f"{shorten(target)} ({of}): {compared} {won}")
        if self.smoothed is not None:
            number = len(self.smoothed & self.evaluations.keys())
            said.append(
                f"{HOLT_WINTERS} was run for {number:,} of the {len(self.evaluations):,} series, "
                "drawn at random: it takes longer than all else."
            )
        if self.left_out:
            name, why = next(iter(self.left_out.items()))
            said.append(
                f"{len(self.left_out):,} series could not be evaluated "
                f"({few(list(self.left_out))}); of {shorten(name)}, {why}."
            )
        return said

    def rows(self) -> Iterator[list]:
        """Yield series, target, forecast, and its errors, one row for each."""
        for name, one in self.evaluations.items():
            for place, target in enumerate(self.targets):
                for forecast, errors in one.scores.items():
                    yield [name, target, forecast, *(float(error[place]) for error in errors)]

    def to_frame(self, library: str = "pandas") -> Any:
        """Return the errors as a data frame, one row for each series, target and forecast.

        Its columns are that of the names of series, target, forecast, mae, rmse, smape and mase.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: narwhals does not know the library.
        """
        header = [column_of_names(self.id), "target", "forecast", *Scores._fields]
        columns = zip(*self.rows(), strict=True)
        return make_frame(dict(zip(header, map(list, columns), strict=True)), library)

    def __repr__(self) -> str:
        parts = []
        for target in self.targets:
            cells = [line.cells() for line in self.lines(target)]
            parts.append(f"{shorten(target)}\n{text_table(HEADER, cells, words=1)}")
            parts.append(text_table(*self.extremes(target), words=2))
        return "\n\n".join([*parts, *self.summary()])

    def _repr_html_(self) -> str:
        tables = []
        for target in self.targets:
            cells = [line.cells() for line in self.lines(target)]
            header, extremes = self.extremes(target)
            tables += [table(HEADER, cells, words=1), table(header, extremes, words=2)]
        title = f"Evaluation of {len(self.evaluations):,} series"
        return titled(title, *tables, *self.summary())

    def extremes(self, target: str) -> tuple[tuple[str, ...], list[list[str]]]:
        """Return (header, cells) of a table of the best and the worst series."""
        order, every = self.ranked(target), self.mase(target)
        place = {name: number for number, name in enumerate(self.evaluations)}
        if len(order) > 2 * SHOWN:
            shown = [("best", n) for n in order[:SHOWN]] + [("worst", n) for n in order[-SHOWN:]]
        else:
            shown = [("", name) for name in order]
        cells = [
            [rank, shorten(name), *(error_text(errors[place[name]]) for errors in every.values())]
            for rank, name in shown
        ]
        return ("MASE", "series", *every), cells


def _means(every: Mapping[str, np.ndarray]) -> tuple[np.ndarray, dict[str, float]]:
    """Return (bool [series], where none is missing; the mean MASE of each rival over these)."""
    known = np.isfinite(np.array(list(every.values()))).all(axis=0)
    rivals = [name for name in every if name != MODEL]
    return known, {name: float(every[name][known].mean()) for name in rivals if known.any()}


def tested_over_series(gains: np.ndarray) -> tuple[float, float]:
    """Return the mean over its standard error, and the two-sided p-value, of one gain per series.

    Series are taken to be independent, which they are not where they share events.
    """
    spread = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else 0.0
    if not spread > 0:
        statistic = float(np.sign(gains.mean()) * np.inf) if gains.mean() else 0.0
    else:
        statistic = float(gains.mean() / spread)
    return statistic, min(1.0, 2 * upper_tail(abs(statistic), len(gains)))
