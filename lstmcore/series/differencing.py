"""Differences of a series to its own past, which remove a trend or a season, and their inverse.

Source: Box & Jenkins (1970), "Time series analysis: forecasting and control", chapter 4 (the
operators 1 - B and 1 - B^s) and chapter 9 (both of them, for a trend and a season).
"""

from __future__ import annotations

import numpy as np

from lstmcore.formatting import count
from lstmcore.series.arrays import as_numbers, as_rows, check_lags


def difference(table, lags: tuple[int, ...]) -> np.ndarray:
    """Subtract from each row the one `lag` rows before it; for several lags one after the other.

    (1,) removes a linear trend, (12,) a yearly season of monthly data, (12, 1) both.

    Args:
      table: numbers [rows] or [rows, F], in the order of time; every difference with a missing
        value, NaN, is NaN.
      lags: numbers of rows, in the order in which they are applied; () changes nothing.

    Returns:
      float64 [rows - sum(lags), F]: its row r belongs to row r + sum(lags) of the table.

    Raises:
      ValueError: a table that is not numeric or too short, or a lag below 1.
      TypeError: lags that are not a tuple of whole numbers.

    Examples:
      >>> from lstmcore import series
      >>> series.difference([1, 4, 9, 16], (1,)).tolist()
      [[3.0], [5.0], [7.0]]
    """
    lags, table = check_lags(lags), as_rows("table", table).astype(float)
    if lags and len(table) <= sum(lags):
        raise ValueError(
            f"differences of lags {lags} need more than {count(sum(lags), 'row')}, but the table "
            f"has {len(table)}: use smaller lags or more data"
        )
    return _difference(table, lags)


def undifference(differences, before, lags: tuple[int, ...]) -> np.ndarray:
    """Invert `difference`: return the rows themselves, given those right before them.

    Args:
      differences: [..., T, F] of T rows in the order of time.
      before: [..., sum(lags), F], the rows of the table right before these T; leading axes as those
        of `differences`, or such that they broadcast.
      lags: as they were given to `difference`.

    Returns:
      float64 [..., T, F] in units of the table. Sums of whole numbers below 2**53 are exact, others
      rounded as in any float64 sum.

    Raises:
      ValueError: arrays that are not numeric or whose shapes do not fit, or a lag below 1.
      TypeError: lags that are not a tuple of whole numbers.

    Examples:
      >>> from lstmcore import series
      >>> series.undifference([[5.0], [7.0]], before=[[4.0]], lags=(1,)).tolist()
      [[9.0], [16.0]]
    """
    lags = check_lags(lags)
    values = as_numbers("differences", differences).astype(float)
    before = as_numbers("before", before).astype(float)
    if values.ndim < 2:
        raise ValueError(f"differences must be [..., rows, features], got shape {values.shape}")
    expected = (*values.shape[:-2], sum(lags), values.shape[-1])
    if before.shape[-2:] != expected[-2:] or not _broadcasts(before.shape, expected):
        raise ValueError(
            f"before has shape {before.shape} but differences of shape {values.shape} with lags "
            f"{lags} need {expected}: the {count(sum(lags), 'row')} right before"
        )
    before = np.broadcast_to(before, expected)
    for position in reversed(range(len(lags))):
        # The values that this lag was applied to, right before the segment: one row for each row
        # of the lag.
        values = _add_up(values, _difference(before, lags[:position]))
        before = before[..., lags[position] :, :]
    return values


def _difference(values: np.ndarray, lags: tuple[int, ...]) -> np.ndarray:
    for lag in lags:
        values = values[..., lag:, :] - values[..., :-lag, :]
    return values


def _add_up(values: np.ndarray, before: np.ndarray) -> np.ndarray:
    """Add to each row of [..., T, F] the result `lag` rows before it; to the first ones, `before`.

    Rows that are `lag` apart form independent sums: one cumulative sum over [..., T / lag, lag, F].
    """
    *batch, rows, features = values.shape
    lag = before.shape[-2]
    padding = np.zeros((*batch, -rows % lag, features))
    segment = np.concatenate([before, values, padding], axis=-2)
    total = segment.reshape(*batch, -1, lag, features).cumsum(axis=-3)
    return total.reshape(*batch, -1, features)[..., lag : lag + rows, :]


def _broadcasts(shape: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, expected) == expected
    except ValueError:
        return False
