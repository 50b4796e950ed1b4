"""Errors of a forecaster in rows that it was not fitted to, from which its intervals are made.

A map fits the rows that it was fitted to better than others, so that an interval from its residuals
is too narrow. Each fifth of the rows before the test part is therefore forecast by maps that are
fitted to the other four (cross-fitting; that this is sound for series whose forecast errors do not
correlate: Bergmeir, Hyndman & Koo 2018, "A note on the validity of cross-validation for evaluating
autoregressive time series prediction"). The empirical quantiles of these errors, step by step, are
added to a forecast, as in split conformal prediction (Lei et al. 2018, "Distribution-free
predictive inference for regression").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from lstmcore.apps.forecasting import linear
from lstmcore.apps.forecasting.selection import Candidate, used_of
from lstmcore.series import difference, undifference
from lstmcore.series.windowing import draw_windows
from lstmcore.types import DenseParams

LEVELS = (0.1, 0.9)  # of the interval that every forecast of a mean has
FOLDS = 5
MOST_ERRORS, FEWEST_ERRORS = 1_000, 200  # of many, so many are kept: fewer of a long horizon
MOST_NUMBERS = 2**15  # in those that are kept
MOST_FORECASTS = 2_000  # in a fold
INDEPENDENT = 3  # errors in a horizon of one short part
PRIOR = 5  # horizons of errors of all series that count beside those of one
DIGITS = 6  # that are kept


class Errors(NamedTuple):
    """Errors of forecasts, truth less forecast, in model units.

    Attributes:
      paths: [E, horizon, targets], one for each forecast; none if no rows were left to measure.
      independent: how many of them count as independent.
      series: int [E], the number of the series of each.
    """

    paths: np.ndarray
    independent: float
    series: np.ndarray

    @classmethod
    def of(cls, paths: np.ndarray, series: np.ndarray | None = None) -> Errors:
        """Return errors in one short part, where neighbours share most of their rows.

        Three in each horizon count as independent: more than one, as of errors that stay the same
        over the horizon, and fewer than all, as of those that do not correlate.
        """
        number, horizon = paths.shape[:2]
        if series is None:
            series = np.zeros(number, int)
        return cls(paths, min(number, 1 + INDEPENDENT * (number - 1) / horizon), series)

    @classmethod
    def none(cls, horizon: int, targets: int) -> Errors:
        """Return no errors."""
        return cls(np.zeros((0, horizon, targets)), 0.0, np.zeros(0, int))

    def without(self) -> Errors:
        """Return no errors, of the same shape."""
        return Errors.none(*self.paths.shape[1:])

    def scaled(self, factors: np.ndarray) -> Errors:
        """Return the errors times [horizon, targets], [E, horizon, targets] or the like."""
        return self._replace(paths=self.paths * factors)

    def drawn(self, rng: np.random.Generator, number: int) -> np.ndarray:
        """Return paths drawn at random, [number, horizon, targets]; zeros if there are no errors.

        They are spread so that their quantiles at LEVELS lie as far apart as those of `quantiles`.
        """
        if not len(self.paths):
            return np.zeros((number, *self.paths.shape[1:]))
        own, wider = (
            np.ptp(one.quantiles(LEVELS), axis=-1)
            for one in (self._replace(independent=np.inf), self)
        )
        factors = np.divide(wider, own, where=own > 0, out=np.ones_like(own))
        return self.paths[rng.integers(len(self.paths), size=number)] * factors

    def spreads(self, number: int) -> np.ndarray:
        """Return the size of the errors of each series, relative to that of all, [number, targets].

        Root mean squares; beside the errors of the series itself, those of all count as five
        horizons, since a few errors say little.
        """
        squares = (self.paths**2).mean(axis=1)  # [E, targets]
        whole = squares.sum(axis=0) / max(1, len(squares))
        found = np.ones((number, squares.shape[1]))
        for place in np.unique(self.series):
            own = squares[self.series == place]
            prior = PRIOR * self.paths.shape[1]
            pooled = (own.sum(axis=0) + prior * whole) / (len(own) + prior)
            found[place] = np.sqrt(
                np.divide(pooled, whole, where=whole > 0, out=np.ones_like(whole))
            )
        return found

    def quantiles(self, levels: Sequence[float], lags: tuple[int, ...] = ()) -> np.ndarray:
        """Return by how much the quantiles are above the forecast, [horizon, targets, Q].

        The end of an interval is the error that is exceeded by so many of E + 1 as it should be,
        the next forecast included (Lei et al. 2018, section 2.2); with few errors it is wider.

        Args:
          levels: Q numbers between 0 and 1.
          lags: of the differences that are forecast. Their errors add up over the horizon, and so
            do the results.
        """
        paths = undifference(self.paths, np.zeros((1, sum(lags), self.paths.shape[2])), lags)
        some = max(1.0, self.independent)
        sides = [np.sign(level - 0.5) for level in levels]
        tails = [
            min(1.0, max(level, 1 - level) * (1 + bool(side) / some))
            for level, side in zip(levels, sides, strict=True)
        ]
        ends = [tail if side >= 0 else 1 - tail for tail, side in zip(tails, sides, strict=True)]
        found = np.quantile(paths, ends, axis=0)
        before = np.zeros((sum(lags), paths.shape[2]))
        steps = [difference(np.concatenate([before, one]), lags) for one in found]
        return np.stack(steps, axis=-1)

    def thinned(self) -> Errors:
        """Return as many of the errors as are kept in a file, rounded."""
        number, *shape = self.paths.shape
        most = min(MOST_ERRORS, max(FEWEST_ERRORS, MOST_NUMBERS // int(np.prod(shape))))
        drawn = draw_windows(number, most)
        return self._replace(paths=_rounded(self.paths[drawn]), series=self.series[drawn])

    def to_json(self) -> dict:
        """Return plain lists and numbers."""
        return {"paths": self.paths.tolist(), "independent": self.independent}

    @classmethod
    def from_json(cls, stored: dict, horizon: int, targets: int) -> Errors:
        """Return what `to_json` wrote, from the description of a forecaster.

        Of earlier versions, which stored the size of their noise alone, it is that of normal
        errors.

        Raises:
          ValueError, TypeError, LookupError: it did not write this.
        """
        if "errors" not in stored:
            noise = np.array(stored["noise"], float)
            if noise.shape != (horizon, targets) or not (noise >= 0).all():
                raise ValueError("noise is not one number per step and target")
            if not noise.any():
                return cls.none(horizon, targets)
            normal = np.array([NormalDist().inv_cdf((one + 0.5) / 200) for one in range(200)])
            return cls(normal[:, None, None] * noise, 200.0, np.zeros(200, int))
        paths = np.array(stored["errors"]["paths"], float)
        paths = paths if len(paths) else np.zeros((0, horizon, targets))
        if paths.shape[1:] != (horizon, targets) or not np.isfinite(paths).all():
            raise ValueError("errors are not one number per step and target")
        independent = float(stored["errors"]["independent"])
        if not 0 <= independent < np.inf:
            raise ValueError(f"{independent} errors are independent")
        return cls(paths, independent, np.zeros(len(paths), int))


def _rounded(values: np.ndarray) -> np.ndarray:
    """Return numbers with a few digits, which are short as text."""
    return np.array([float(f"{one:.{DIGITS}g}") for one in values.flat]).reshape(values.shape)


def cross_fitted(maps: Sequence[Candidate], rows: linear.Rows) -> Errors:
    """Return the errors of the weighted mean of maps in rows that they were not fitted to.

    Each table is cut into five blocks of forecasts. Those of a block are by maps that are fitted to
    the examples of all tables that share no row to forecast with them.

    Args:
      maps: from `selection.select`.
      rows: preprocessed rows of all series before their test parts.

    Returns:
      Errors; none if there are too few rows to fit to without those of a block.
    """
    used = used_of(maps)
    read = max(one.rows_read for one in used)
    tables = rows.tables
    edges = [
        np.linspace(read, max(read, len(one.values) - rows.horizon + 1), FOLDS + 1).astype(int)
        for one in tables
    ]
    paths, series = [np.zeros((0, rows.horizon, rows.targets))], [np.zeros(0, int)]
    for fold in range(FOLDS):
        blocks = [(int(one[fold]), int(one[fold + 1])) for one in edges]
        origins = np.concatenate(
            [start + np.arange(*block) for start, block in zip(rows.starts, blocks, strict=True)]
        )
        origins = origins[draw_windows(len(origins), MOST_FORECASTS)]
        path = _fitted_without(used, tables, blocks)
        if path is None or not len(origins):
            continue
        paths.append(rows.truth(origins) - linear.outputs_of(path, rows, origins))
        series.append(np.searchsorted(rows.starts, origins, side="right") - 1)
    return Errors(np.concatenate(paths), float(sum(map(len, paths))), np.concatenate(series))


def _fitted_without(
    maps: Sequence[Candidate], tables: Sequence[linear.Rows], blocks: Sequence[tuple[int, int]]
) -> DenseParams | None:
    """Return the mean of maps fitted without the rows that a block of each table forecasts.

    None if too few are left.
    """
    fitted = []
    for one in maps:
        span = one.rows_read + tables[0].horizon
        pieces = [
            piece
            for table, block in zip(tables, blocks, strict=True)
            for piece in _around(table, block, one.rows_read)
            if len(piece.values) >= span
        ]
        if sum(len(piece.values) - span + 1 for piece in pieces) < linear.FEWEST_EXAMPLES:
            return None
        fitted.append(one.fit(linear.stacked(pieces)))
    return linear.mean_map(fitted, [one.weight for one in maps])


def _around(table: linear.Rows, block: tuple[int, int], read: int) -> Iterator[linear.Rows]:
    """Yield the rows before a block of forecasts, and those of examples that come after it.

    The latter read rows of the block, but do not forecast them.
    """
    start, stop = block
    if start == stop:
        yield table
        return
    yield table.first(start)
    yield table.after(max(0, stop + table.horizon - 1 - read))
