"""The linear path of a forecaster, fitted in closed form; the LSTM learns what it leaves.

    forecast = linear(last rows, future covariates)  +  head(LSTM(window), future covariates)
               ridge regressions                        trained on what they leave

A linear map of the last rows alone is hard to beat (Zeng et al. 2023, "Are Transformers Effective
for Time Series Forecasting?"), and a network that must find it by gradient descent seldom does.

A map may be fitted to differences of the rows. Differences, the map and adding up again are linear
in the rows, so that all of it is one map of more rows, and the mean of such maps is one as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lstmcore import series
from lstmcore.apps.forecasting.ridge import ridge
from lstmcore.models.forecaster import Forecaster
from lstmcore.series.windowing import draw_windows
from lstmcore.types import DenseParams

TOWARDS = ("last", "mean")  # what a strong penalty leaves
MOST_INPUTS = 500  # of a map that is tried; the time to solve it grows with their cube
MOST_READ = 10_000  # numbers that it reads, if it takes differences
MOST_WEIGHTS = 2**22  # of a map that takes differences
FEWEST_EXAMPLES = 8  # that a map is fitted to
MOST_EXAMPLES, MOST_NUMBERS = 10_000, 2**22  # examples, and numbers in them: a second or two
NUMBERS_AT_ONCE = 2**23  # in the windows of one product: 64 MiB


class Rows(NamedTuple):
    """Rows of a table, or of several of the same columns, and what is to be forecast from them.

    Attributes:
      values: [rows, F], targets first, future covariates last; several tables one below another.
      horizon: rows to forecast, h.
      targets: number of columns to forecast, T.
      future_covariates: number of columns known in advance, C.
      starts: the first row of each table.
      calendar: [rows, K], of a forecast that begins with the row; see `series.times.cycles`.
    """

    values: np.ndarray
    horizon: int
    targets: int
    future_covariates: int = 0
    starts: tuple[int, ...] = (0,)
    calendar: np.ndarray | None = None

    @property
    def tables(self) -> list[Rows]:
        """Return the rows of each table by themselves."""
        values = np.split(self.values, self.starts[1:])
        calendars: Any = [None] * len(values)
        if self.calendar is not None:
            calendars = np.split(self.calendar, self.starts[1:])
        return [
            self._replace(values=one, starts=(0,), calendar=calendar)
            for one, calendar in zip(values, calendars, strict=True)
        ]

    @property
    def features(self) -> int:
        """Return the number of columns, F."""
        return self.values.shape[1]

    @property
    def known(self) -> int:
        """Return how many numbers are known of the rows to forecast."""
        of_calendar = 0 if self.calendar is None else self.calendar.shape[1]
        return self.horizon * self.future_covariates + of_calendar

    def first(self, stop: int) -> Rows:
        """Return the rows of a single table before row `stop`."""
        return self._part(slice(stop))

    def after(self, start: int) -> Rows:
        """Return the rows of a single table from row `start` on."""
        return self._part(slice(start, None))

    def _part(self, part: slice) -> Rows:
        calendar = None if self.calendar is None else self.calendar[part]
        return self._replace(values=self.values[part], calendar=calendar)

    def origins(self, length: int) -> np.ndarray:
        """Return all rows that have `length` rows before them and a horizon from them on."""
        stops = (*self.starts[1:], len(self.values))
        return np.concatenate(
            [
                np.arange(start + length, stop - self.horizon + 1)
                for start, stop in zip(self.starts, stops, strict=True)
            ]
        )

    def past(self, origins: np.ndarray, length: int) -> np.ndarray:
        """Return the rows right before some origins, [N, length, F]."""
        return self.values[origins[:, None] + np.arange(-length, 0)]

    def future(self, origins: np.ndarray) -> np.ndarray:
        """Return the future covariates of the rows to forecast, [N, h, C]."""
        first = self.features - self.future_covariates
        return self._following(origins)[:, :, first:]

    def truth(self, origins: np.ndarray) -> np.ndarray:
        """Return the targets of the rows to forecast, [N, h, T]."""
        return self._following(origins)[:, :, : self.targets]

    def _following(self, origins: np.ndarray) -> np.ndarray:
        return self.values[origins[:, None] + np.arange(self.horizon)]

    def inputs(self, origins: np.ndarray, past: np.ndarray) -> np.ndarray:
        """Return what a map reads: past [N, length, F] and what is known, side by side."""
        parts = [past, self.future(origins)] if self.future_covariates else [past]
        parts += [] if self.calendar is None else [self.calendar[origins]]
        return np.concatenate([part.reshape(len(origins), -1) for part in parts], axis=1)


def stacked(tables: Sequence[Rows]) -> Rows:
    """Return the rows of several single tables, one below another."""
    ends = np.cumsum([len(one.values) for one in tables]).tolist()
    calendars = [one.calendar for one in tables if one.calendar is not None]
    return tables[0]._replace(
        values=np.concatenate([one.values for one in tables]).astype(float),
        starts=(0, *ends[:-1]),
        calendar=np.concatenate(calendars) if calendars else None,
    )


def rows_of(model: Forecaster, values: np.ndarray, calendar: np.ndarray | None = None) -> Rows:
    """Return preprocessed rows, as the linear maps of a model read them.

    Args:
      model: the forecaster.
      values: [rows, F], from which differences may have dropped the first rows.
      calendar: [rows of the table, K] or None.
    """
    targets = model.targets or 0  # a number by now
    rows = Rows(values.astype(float), model.horizon, targets, model.future_covariates)
    if calendar is None:
        return rows
    return rows._replace(calendar=calendar[len(calendar) - len(values) :])


def most_rows(features: int, known: int) -> int:
    """Return how many rows a map may be fitted to.

    Args:
      features: columns of a row.
      known: future covariates of all rows to forecast, which it reads as well.
    """
    return max(0, (MOST_INPUTS - known) // features)


def is_small(rows: Rows, length: int, lags: tuple[int, ...]) -> bool:
    """Return whether a map of so many rows of differences reads and holds few enough numbers."""
    read = (length + sum(lags)) * rows.features + rows.known
    weights = read * rows.horizon * rows.targets
    return not lags or (read <= MOST_READ and weights <= MOST_WEIGHTS)


def fit_linear(
    rows: Rows,
    length: int,
    lags: tuple[int, ...] = (),
    towards: str = "last",
    most: int = MOST_EXAMPLES,
    *,
    calendar: bool = False,
) -> DenseParams:
    """Fit a linear map from the last rows, and what is known of the next ones, to the next rows.

    It is a ridge regression of scaled differences of the rows, see `ridge`, with one penalty for
    each target. Of more than `most` examples, or 4 million numbers in them, that many are drawn at
    random, always the same ones.

    Args:
      rows: all of which are fitted to; of several tables, one map for all.
      length: rows to read, after differences.
      lags: of the differences to take, see `series.difference`.
      towards: what a strong penalty leaves: "mean", that of the targets, or "last", the last value
        and a drift, for which rows and targets are taken relative to the last row.
      most: examples to fit to.
      calendar: whether it reads the calendar, if the rows have one; else its weights are 0.

    Returns:
      DenseParams of float64, a map of the rows themselves: kernel [read F + h C + K, h T], the
      oldest of the `length + sum(lags)` rows first, and bias [h T].
    """
    dropped = sum(lags)
    tables = [table for table in rows.tables if len(table.values) > dropped]
    steps = series.Preprocessing(difference=lags).fit_separate([one.values for one in tables])
    changes = stacked(
        [
            one._replace(
                values=steps.transform(one.values),
                calendar=None if one.calendar is None or not calendar else one.calendar[dropped:],
            )
            for one in tables
        ]
    )
    origins = changes.origins(length)
    width = length * rows.features + changes.known
    most = min(most, max(FEWEST_EXAMPLES, MOST_NUMBERS // width))
    origins = origins[draw_windows(len(origins), most)]
    past, last = _relative(changes, origins, length, towards)
    targets = (changes.truth(origins) - last).reshape(len(origins), -1)
    kernel, bias = ridge(changes.inputs(origins, past), targets, rows.targets)
    return _of_rows(rows, length, steps, towards, kernel, bias)


def _relative(
    rows: Rows, origins: np.ndarray, length: int, towards: str
) -> tuple[np.ndarray, np.ndarray | float]:
    """Return (the rows before some origins as the regression reads them, what it adds to)."""
    past = rows.past(origins, length)
    if towards == "mean":
        return past, 0.0
    last = past[:, -1:]
    return np.concatenate([past[:, :-1] - last, last], axis=1), last[:, :, : rows.targets]


def _of_rows(
    rows: Rows,
    length: int,
    steps: series.Preprocessor,
    towards: str,
    kernel: np.ndarray,
    bias: np.ndarray,
) -> DenseParams:
    """Return the map of the rows that equals a regression of their scaled differences."""
    horizon, targets, lags = rows.horizon, rows.targets, steps.preprocessing.difference
    dropped, first = sum(lags), rows.features - rows.future_covariates
    read = length + dropped
    kernel = kernel.reshape(-1, horizon, targets)
    past = kernel[: length * rows.features].reshape(length, rows.features, horizon, targets)
    known, of_calendar = np.split(
        kernel[length * rows.features :], [horizon * rows.future_covariates]
    )
    known = known.reshape(horizon, rows.future_covariates, horizon, targets)
    if towards == "last":
        past = past.copy()
        past[-1] -= past[:-1].sum(axis=0)
        for target in range(targets):
            past[-1, target, :, target] += 1
    # Of differences in units of the rows, rather than of scaled ones.
    offset, scale = steps.scaler
    past, known = past / scale[:, None, None], known / scale[first:, None, None]
    moved = np.einsum("rfht,f->ht", past, offset) + np.einsum("rfht,f->ht", known, offset[first:])
    bias = (bias.reshape(horizon, targets) - moved) * scale[:targets] + offset[:targets]
    past, known, of_calendar = (part * scale[:targets] for part in (past, known, of_calendar))
    # Of the rows, rather than of their differences: [differences, rows].
    differences = series.difference(np.eye(read + horizon), lags)
    of_past = np.tensordot(differences[:length, :read], past, (0, 0))
    if rows.future_covariates:
        of_past[:, first:] += np.tensordot(differences[length:, :read], known, (0, 0))
        known = np.tensordot(differences[length:, read:], known, (0, 0))
    sums, carried = _adding_up(lags, horizon)
    of_past, known, of_calendar, bias = (
        np.einsum("...ht,hk->...kt", part, sums, optimize=True)
        for part in (of_past, known, of_calendar, bias)
    )
    for target in range(targets):
        of_past[length:, target, :, target] += carried
    flat = [part.reshape(-1, horizon * targets) for part in (of_past, known, of_calendar)]
    if rows.calendar is not None and not len(of_calendar):
        flat[-1] = np.zeros((rows.calendar.shape[1], horizon * targets))
    return _params(np.concatenate(flat), bias.reshape(-1))


def _adding_up(lags: tuple[int, ...], horizon: int) -> tuple[np.ndarray, np.ndarray]:
    """Return `series.undifference` as a map of differences and of the rows before.

    Returns:
      ([horizon, horizon], [sum(lags), horizon]); each row to forecast is a column.
    """
    dropped = sum(lags)
    differences, before = np.eye(horizon), np.eye(dropped)
    sums = series.undifference(differences[:, :, None], np.zeros((horizon, dropped, 1)), lags)
    carried = series.undifference(np.zeros((dropped, horizon, 1)), before[:, :, None], lags)
    return sums[:, :, 0], carried[:, :, 0]


def rows_read(params: DenseParams, rows: Rows) -> int:
    """Return how many rows a map reads."""
    return (len(params.kernel) - rows.known) // rows.features


def mean_map(maps: Sequence[DenseParams], weights: Sequence[float]) -> DenseParams:
    """Return the map whose forecasts are the weighted mean of those of maps of the same rows."""
    longest = max(len(one.kernel) for one in maps)
    kernels = [np.pad(kernel, ((longest - len(kernel), 0), (0, 0))) for kernel, _ in maps]
    biases = [bias for _, bias in maps]
    return _params(*(np.average(parts, axis=0, weights=weights) for parts in (kernels, biases)))


def _params(kernel: Any, bias: Any) -> DenseParams:
    """Return arrays of NumPy as those of JAX for mypy."""
    return DenseParams(kernel, bias)


def outputs_of(params: DenseParams, rows: Rows, origins: np.ndarray) -> np.ndarray:
    """Return the forecasts of a map from some origins, float64 [N, h, T]."""
    length, size = rows_read(params, rows), max(1, NUMBERS_AT_ONCE // len(params.kernel))
    found = [np.zeros((0, len(params.bias)))]
    for start in range(0, len(origins), size):
        some = origins[start : start + size]
        found.append(rows.inputs(some, rows.past(some, length)) @ params.kernel + params.bias)
    return np.concatenate(found).reshape(len(origins), rows.horizon, rows.targets)
