"""From a table to what a detector learns: its season, its drift, and odd rows in the training part.

    settings = choose(settings, training)       a season to remove, differences to take
    left = without_season(settings, table)      rows minus their seasonal level
    limited(left, rows)                         to train on: odd values no further than a bound

Filling, differencing and scaling are `series.Preprocessing`, as everywhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lstmcore.apps.anomalies.settings import Settings
from lstmcore.series import fit_filling, seasonal_level, seasons
from lstmcore.series.arrays import check_size
from lstmcore.series.seasonality import MEDIAN_OF

DRIFTING = 0.1  # of the last fifth of a column is out of the range before; at random, next to none
SMOOTHER = 0.8  # changes that are left without a season; its level adds noise of its own
USUAL = 0.01, 0.99  # quantiles of a column between which its usual values lie


def choose(settings: Settings, table: np.ndarray, rows: int | None = None) -> Settings:
    """Return the settings with season and differences chosen for a table.

    A season is removed if the series then changes at least a fifth less from row to row: a smooth
    wave is predicted better without the noise of earlier seasons. The table must hold six seasons,
    so that one row of a phase at least is compared with the median of five. Differences of lag 1
    are taken if a column, without the season, drifts: if more than a tenth of its last fifth is out
    of the range that it had before.

    Args:
      settings: a season that is not "auto" stays; so do differences, unless there are none.
      table: numbers [rows, F], of the training part.
      rows: of the table that is to be scored, if it is another.

    Raises:
      ValueError: missing or infinite values that the preprocessing refuses.
    """
    table = fit_filling(table, settings.preprocessing.missing).transform(table.astype(float))
    table = limited(table, len(table))
    if settings.season == "auto":
        settings = replace(settings, season=_season(settings, table, rows))
    season = settings.season_rows
    if settings.search and not settings.preprocessing.difference and len(table) > season:
        left = table[season:] - seasonal_level(table, season) if season else table
        if _drifts(left):
            differenced = replace(settings.preprocessing, difference=(1,))
            settings = replace(settings, preprocessing=differenced)
    return settings


def _season(settings: Settings, table: np.ndarray, rows: int | None) -> int | None:
    shortest = len(table) if rows is None else min(len(table), rows)
    spare = shortest - settings.span - settings.dropped_rows - 1  # that training can do without
    longest = min(shortest // (MEDIAN_OF + 1), spare)
    for season in seasons(table, longest) if longest >= 2 else ():
        left = table[season:] - seasonal_level(table, season)
        changes = [np.abs(np.diff(values, axis=0)).mean(axis=0) for values in (left, table)]
        if np.mean(changes[0] / np.where(changes[1] > 0, changes[1], 1)) < SMOOTHER:
            return season
    return None


def _drifts(table: np.ndarray) -> bool:
    before, last = np.split(table, [len(table) - len(table) // 5])
    if not len(last):
        return False
    outside = (last < before.min(axis=0)) | (last > before.max(axis=0))
    return bool((outside.mean(axis=0) > DRIFTING).any())


def without_season(settings: Settings, table: np.ndarray) -> np.ndarray:
    """Return rows [rows - season, F] minus their seasonal level; the table if there is no season.

    Raises:
      ValueError: missing values where they are refused, infinite ones, or too few rows.
    """
    if not settings.season_rows:
        return table
    if settings.preprocessing.missing == "refuse":
        fit_filling(table, "refuse").transform(table)
    check_size(table)
    level = seasonal_level(table, settings.season_rows)
    return table[settings.season_rows :] - level


def limited(table: np.ndarray, rows: int) -> np.ndarray:
    """Return a table to train on, in which no value is far from all others.

    A value counts as at most as far beyond the 0.01 and 0.99 quantiles of its column as these are
    from one another: seven standard deviations from the mean, if it is Gaussian. A single odd row
    would otherwise take part in scale, loss and season with the square of its size.

    Args:
      table: numbers [rows, F]; NaN is missing and stays.
      rows: from the first, whose quantiles are taken.

    Returns:
      float64 [rows, F]. A column that is nearly always the same is left as it is.
    """
    table = table.astype(float)
    known = ~np.isnan(table[:rows])
    for column in np.flatnonzero(known.any(axis=0)):
        low, high = np.quantile(table[:rows, column][known[:, column]], USUAL)
        if high > low:
            table[:, column] = table[:, column].clip(2 * low - high, 2 * high - low)
    return table
