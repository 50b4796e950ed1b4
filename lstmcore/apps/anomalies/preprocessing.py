"""From a table to what a detector learns: its season, its drift, and odd rows in the training part.

    settings = choose(settings, training)       a season to remove, differences to take
    left = without_season(settings, table)      rows minus their seasonal level
    limited(left, rows)                         to train on: odd values no further than a bound

Filling, differencing and scaling are `series.Preprocessing`, as everywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lstmcore.apps.anomalies.settings import Settings
from lstmcore.series import fit_filling, seasonal_level, seasons
from lstmcore.series.arrays import check_size
from lstmcore.series.seasonality import MEDIAN_OF

DRIFTING = 0.1  # of the last fifth of a column is out of the range before; at random, next to none
FEWEST_LAST = 10  # rows in the last fifth
FEWEST_OUTSIDE = 3  # rows that are out of it; one or two of a few rows are, at random
SMOOTHER = 0.8  # changes that are left without a season; its level adds noise of its own
MOST_SEARCHED = 20  # of several series for a season
USUAL = 0.01, 0.99  # quantiles of a column between which its usual values lie


def choose(
    settings: Settings, *tables: np.ndarray, rows: int | None = None, goes_on: bool = True
) -> Settings:
    """Return the settings with season and differences chosen for a table, or for several.

    A season is removed if the series then changes at least a fifth less from row to row: a smooth
    wave is predicted better without the noise of earlier seasons. The table must hold six seasons,
    so that one row of a phase at least is compared with the median of five. Differences of lag 1
    are taken if a column, without the season, drifts: if more than a tenth of its last fifth, and
    at least three of at least ten rows, are out of the range that it had before.

    Of several series, more than half must have the season; and the last fifths are compared with
    the range that all series had before. Every series must stay long enough for a model.

    Args:
      settings: a season that is not "auto" stays; so do differences, unless there are none.
      tables: numbers [rows, F], of the training part.
      rows: of the shortest table that is to be scored, if it is another.
      goes_on: whether the series go on after these rows. A heart beat does not: all beats end where
        those of the training part do.

    Raises:
      ValueError: missing or infinite values that the preprocessing refuses.
    """
    together = np.concatenate(tables).astype(float)
    filling = fit_filling(together, settings.preprocessing.missing)
    filled = np.concatenate([filling.transform(table.astype(float)) for table in tables])
    parts = _split(limited(filled, len(filled)), tables)
    if settings.season == "auto":
        settings = replace(settings, season=_common_season(settings, parts, rows))
    season = settings.season_rows or 0
    is_open = settings.search and goes_on and not settings.preprocessing.difference
    if is_open and min(map(len, parts)) > max(season, 1):
        left = [part[season:] - seasonal_level(part, season) if season else part for part in parts]
        if _drifts(left) and min(map(len, left)) > settings.span:
            differenced = replace(settings.preprocessing, difference=(1,))
            settings = replace(settings, preprocessing=differenced)
    return settings


def _split(table: np.ndarray, like: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return the rows of a table in parts as long as some others."""
    return np.split(table, np.cumsum([len(part) for part in like])[:-1])


def _common_season(
    settings: Settings, tables: Sequence[np.ndarray], rows: int | None
) -> int | None:
    """Return the season that more than half of the tables have, of which some are looked at."""
    places = np.unique(np.linspace(0, len(tables) - 1, MOST_SEARCHED).round().astype(int))
    shortest = min([len(table) for table in tables] + ([] if rows is None else [rows]))
    found = Counter(_season(settings, tables[place], shortest) for place in places)
    season, number = found.most_common(1)[0]
    return season if 2 * number > len(places) else None


def _season(settings: Settings, table: np.ndarray, shortest: int) -> int | None:
    spare = shortest - settings.span - settings.dropped_rows - 1  # that training can do without
    longest = min(shortest // (MEDIAN_OF + 1), spare)
    for season in seasons(table, longest) if longest >= 2 else ():
        left = table[season:] - seasonal_level(table, season)
        changes = [np.abs(np.diff(values, axis=0)).mean(axis=0) for values in (left, table)]
        if np.mean(changes[0] / np.where(changes[1] > 0, changes[1], 1)) < SMOOTHER:
            return season
    return None


def _drifts(tables: Sequence[np.ndarray]) -> bool:
    halves = [np.split(table, [len(table) - len(table) // 5]) for table in tables]
    before, last = (np.concatenate(parts) for parts in zip(*halves, strict=True))
    if len(last) < FEWEST_LAST:
        return False
    outside = ((last < before.min(axis=0)) | (last > before.max(axis=0))).sum(axis=0)
    return bool((outside > max(DRIFTING * len(last), FEWEST_OUTSIDE - 1)).any())


def without_season(settings: Settings, table: np.ndarray) -> np.ndarray:
    """Return rows [rows - season, F] minus their seasonal level; the table if there is no season.

    Raises:
      ValueError: missing values where they are refused, infinite ones, or too few rows.
    """
    return split_season(settings, table)[0]


def split_season(settings: Settings, table: np.ndarray) -> tuple[np.ndarray, np.ndarray | float]:
    """Return (rows minus their seasonal level, that level), [rows - season, F] both; or (table, 0).

    Raises:
      ValueError: as `without_season`.
    """
    season = settings.season_rows
    if season is None:
        return table, 0.0
    if settings.preprocessing.missing == "refuse":
        fit_filling(table, "refuse").transform(table)
    check_size(table)
    level = seasonal_level(table, season)
    return table[season:] - level, level


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
