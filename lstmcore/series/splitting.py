"""Split a series in the order of time, so that the test part comes after the training part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.formatting import count


class Split(NamedTuple):
    """Slices of the rows, one after the other in time.

    Attributes:
      training: the first rows, on which everything is fitted.
      validation: the rows after them, which decide when training stops; may be empty.
      test: the last rows, for one final measurement; may be empty.
    """

    training: slice
    validation: slice
    test: slice


def split(rows: int, validation: float = 0, test: float = 0) -> Split:
    """Cut a series into training, validation and test part, in the order of time.

    A random split would train on the neighbours of the rows it is tested on, and on their future.

    Args:
      rows: number of rows of the series.
      validation, test: numbers of rows, or fractions of them below 1; a part with a fraction above
        0 has at least one row.

    Returns:
      Split of three slices, which cover all rows.

    Raises:
      ValueError: numbers below 0, others that are neither a fraction nor whole, or such that no
        row is left to train on.
      TypeError: arguments that are not numbers.

    Examples:
      >>> from lstmcore import series
      >>> series.split(100, validation=0.1, test=0.2)
      Split(training=slice(0, 70, None), validation=slice(70, 80, None), test=slice(80, 100, None))
      >>> series.split(100, test=12).test
      slice(88, 100, None)
    """
    rows = checks.check_count("rows", rows)
    counts = [_rows_of("validation", validation, rows), _rows_of("test", test, rows)]
    training = rows - sum(counts)
    if training < 1:
        raise ValueError(
            f"validation {validation} and test {test} leave none of {count(rows, 'row')} to train "
            "on: use smaller parts, or more data"
        )
    end = training + counts[0]
    return Split(slice(0, training), slice(training, end), slice(end, rows))


def _rows_of(name: str, part: float, rows: int) -> int:
    """Return the number of rows of a part, given as such or as a fraction of `rows`."""
    if isinstance(part, bool) or not isinstance(part, int | float | np.number):
        raise TypeError(f"{name} must be a fraction of the rows or their number, got {part!r}")
    if isinstance(part, int | np.integer) and part >= 1:
        return int(part)
    if not 0 <= part < 1:
        raise ValueError(
            f"{name} must be at least 0 and below 1, or a whole number of rows, got {part!r}"
        )
    return max(1, round(rows * float(part))) if part else 0


def rolling_origins(rows: int, count: int, horizon: int, minimum: int) -> np.ndarray:
    """Return the first row of each forecast of a rolling-origin evaluation.

    The forecasts of `horizon` rows follow one another without overlap, and the last one ends at the
    last row. Each may use all rows before it, and no others.

    Source: Tashman (2000), "Out-of-sample tests of forecasting accuracy: an analysis and review".

    Args:
      rows: number of rows of the series.
      count: number of forecasts.
      horizon: rows of each forecast.
      minimum: least number of rows before the first.

    Returns:
      int [count]: the first row of each forecast, in the order of time.

    Raises:
      ValueError: a series that is too short, or a number below 1 (`minimum`: below 0).
      TypeError: arguments that are not whole numbers.

    Examples:
      >>> from lstmcore import series
      >>> series.rolling_origins(rows=100, count=3, horizon=12, minimum=50).tolist()
      [64, 76, 88]
    """
    rows = checks.check_count("rows", rows, minimum=0)
    count, horizon = checks.check_count("count", count), checks.check_count("horizon", horizon)
    minimum = checks.check_count("minimum", minimum, minimum=0)
    if (needed := minimum + count * horizon) > rows:
        raise ValueError(
            f"{count} forecasts of {horizon} rows after at least {minimum} rows need {needed} "
            f"rows, but there are {rows}: use fewer or shorter forecasts, or more data"
        )
    return rows - horizon * np.arange(count, 0, -1)
