"""Rolling origins: several series, each cut into segments that are forecast one after another.

Each segment is forecast by maps that are fitted to all rows before it (Tashman 2000, "Out-of-sample
tests of forecasting accuracy").
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore import series
from lstmcore.apps.forecasting import linear, metrics
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.models.forecaster import Forecaster
from lstmcore.series.windowing import draw_windows

FOLDS = 5
MOST_FORECASTS = 1_000  # that maps are judged by, in each fold


class Segment(NamedTuple):
    """The rows of one series before a segment, to which maps are fitted, and those of the segment.

    Attributes:
      fitted: preprocessed rows before the segment.
      rows: those, and the segment.
      origins: of the forecasts, in `rows`.
      actual: [N, horizon, targets], in units of the table.
      preprocessor: of the targets.
      before: [N, dropped rows, targets], in units of the table, right before the forecasts.
      scale: [targets], the unit of errors; NaN for those that do not count.
    """

    fitted: linear.Rows
    rows: linear.Rows
    origins: np.ndarray
    actual: np.ndarray
    preprocessor: series.Preprocessor
    before: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(
        cls,
        table: np.ndarray,
        begin: int,
        settings: Settings,
        model: Forecaster,
        scale: np.ndarray,
        most: int,
        calendar: np.ndarray | None,
    ) -> Segment:
        """Return the segment from row `begin` of a table to its end, with `most` forecasts."""
        preprocessor = settings.preprocessing.fit(table, rows=begin)
        dropped, horizon, targets = preprocessor.dropped_rows, settings.horizon, model.targets or 0
        rows = linear.rows_of(model, preprocessor.transform(table), calendar)
        origins = begin + draw_windows(len(table) - horizon + 1 - begin, most)
        return cls(
            rows.first(begin - dropped),
            rows,
            origins - dropped,
            table[origins[:, None] + np.arange(horizon), :targets],
            preprocessor.select(range(targets)),
            preprocessor.filled(table)[origins[:, None] + np.arange(-dropped, 0), :targets],
            scale,
        )

    def error(self, forecast: np.ndarray) -> np.ndarray:
        """Return the mean absolute error of a forecast of preprocessed rows, [targets]."""
        in_units = self.preprocessor.inverse_transform(forecast, self.before)
        return metrics.mae(self.actual, in_units) / self.scale


class Fold(NamedTuple):
    """One segment of each series.

    Attributes:
      fitted: the rows of all series before the segments.
      rows: those, and the segments.
      origins: of all forecasts, in `rows`.
      segments: one for each series.
    """

    fitted: linear.Rows
    rows: linear.Rows
    origins: np.ndarray
    segments: list[Segment]

    @classmethod
    def of(cls, segments: list[Segment]) -> Fold:
        """Return the fold of some segments."""
        fitted = linear.stacked([one.fitted for one in segments])
        rows = linear.stacked([one.rows for one in segments])
        origins = [start + one.origins for start, one in zip(rows.starts, segments, strict=True)]
        return cls(fitted, rows, np.concatenate(origins), segments)

    @property
    def asked(self) -> tuple[linear.Rows, np.ndarray]:
        """Return the rows and the origins of the forecasts."""
        return self.rows, self.origins

    def error(self, forecast: np.ndarray) -> np.ndarray:
        """Return the mean error over the series, [targets], of a forecast of preprocessed rows."""
        ends = np.cumsum([len(one.origins) for one in self.segments])
        parts = np.split(forecast, ends[:-1])
        errors = np.array([one.error(part) for one, part in zip(self.segments, parts, strict=True)])
        known = ~np.isnan(errors)
        number = known.sum(axis=0)
        total = errors.sum(axis=0, where=known)
        return np.where(number > 0, total / np.maximum(number, 1), np.nan)


def folds_of(
    tables: Sequence[np.ndarray],
    starts: Sequence[int],
    settings: Settings,
    model: Forecaster,
    least: int,
    calendars: Sequence[np.ndarray] | None,
) -> list[Fold]:
    """Return the rolling origins, each of all tables that have rows enough for all of them.

    Args:
      tables: [rows, F] each.
      starts: the first row to forecast, of each.
      settings, model, calendars: as `selection.select` takes them.
      least: rows that are needed before the first forecast.
    """
    free = {
        place: (len(table) - start) // settings.horizon
        for place, (table, start) in enumerate(zip(tables, starts, strict=True))
        if start >= least
        and len(table) - start >= settings.horizon
        and not np.isnan(table[:start]).all(axis=0).any()
    }
    if not free:
        return []
    folds = min(FOLDS, int(np.median(list(free.values()))))
    long = [place for place, number in free.items() if number >= folds]
    edges = [np.linspace(starts[p], len(tables[p]), folds + 1).astype(int).tolist() for p in long]
    scales = np.array([metrics.mase_scale(tables[p][: starts[p], : model.targets]) for p in long])
    # A series that never changed has no scale; it does not count if others have one.
    scales = np.where(scales > 0, scales, np.where((scales > 0).any(axis=0), np.nan, 1))
    most = max(1, MOST_FORECASTS // len(long))
    return [
        Fold.of(
            [
                Segment.of(
                    tables[p][: ends[fold + 1]],
                    ends[fold],
                    settings,
                    model,
                    scale,
                    most,
                    None if calendars is None else calendars[p][: ends[fold + 1]],
                )
                for p, ends, scale in zip(long, edges, scales, strict=True)
            ]
        )
        for fold in range(folds)
    ]
