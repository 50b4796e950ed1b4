"""Arrays of numbers as arguments; tables with names are those of `arguments`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lstmcore.arrays import as_values, refuse_frame
from lstmcore.formatting import count

LARGEST = 1e150  # can still be squared in float64


def as_numbers(name: str, value) -> np.ndarray:
    """Return any array of real numbers; masked values become NaN.

    Raises:
      TypeError: a data frame, whose names an array cannot hold, or what NumPy cannot read.
      ValueError: other values than real numbers.
    """
    check_nameless(name, value)
    if isinstance(value, np.ma.MaskedArray) and value.dtype.kind in "iuf":
        return np.ma.filled(value.astype(float), np.nan)
    try:
        value = np.asarray(as_values(name, value))
    except ValueError as error:  # nested lists of unequal lengths
        raise ValueError(
            f"{name} must be an array of numbers, each row of it as long as the others"
        ) from error
    if value.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold real numbers, got {value.dtype}")
    return value


def as_rows(name: str, value) -> np.ndarray:
    """Return numbers [rows] or [rows, F] as an array [rows, F].

    Raises:
      TypeError, ValueError: as `as_numbers`, or another number of axes.
    """
    values = as_numbers(name, value)
    if values.ndim not in (1, 2):
        raise ValueError(f"{name} must be [rows] or [rows, features], got shape {values.shape}")
    return values[:, None] if values.ndim == 1 else values


def as_rows_of_times(values, times: int) -> np.ndarray:
    """Return values as an array [rows, F] with one row for each time.

    Raises:
      TypeError, ValueError: as `as_rows`, or another number of rows.
    """
    values = as_rows("values", values)
    if len(values) != times:
        raise ValueError(
            f"values has {count(len(values), 'row')} but there are {count(times, 'time')}"
        )
    return values


def check_nameless(name: str, value) -> None:
    """Raise TypeError for a data frame or a `series.Table`: what comes of it would be nameless."""
    refuse_frame(name, value, single=False)
    if is_table(value):
        raise TypeError(
            f"{name} is a series.Table, whose names would be lost here: pass {name}.values"
        )


def is_table(value) -> bool:
    """Return whether `value` is a `series.Table`, such as `read_csv` returns."""
    return hasattr(value, "label_name")


def check_size(table: np.ndarray, cell_of: Callable[[int, int], str] | None = None) -> None:
    """Raise ValueError if a number of [rows, F] is infinite or too large to scale; NaN is not.

    `cell_of` names a cell by its row and column in the message.
    """
    bad = np.abs(table) >= LARGEST
    if bad.any():
        row, column = map(int, np.argwhere(bad)[0])
        cell = f"row {row}, column {column} (counted from 0)"
        cell = cell if cell_of is None else cell_of(row, column)
        raise ValueError(
            f"table holds {table[row, column]:g} in {cell}: "
            f"infinite, or too large to scale, beyond {LARGEST:g}; replace or remove it first"
        )


def check_lags(lags, name: str = "lags") -> tuple[int, ...]:
    """Return lags as a tuple of whole numbers of at least 1; it may be empty."""
    is_tuple = isinstance(lags, tuple)
    if not is_tuple or not all(type(lag) is int or isinstance(lag, np.integer) for lag in lags):
        raise TypeError(
            f"{name} must be a tuple of whole numbers, such as (1,) or (12, 1): {lags!r}"
        )
    if any(lag < 1 for lag in lags):
        raise ValueError(f"{name} must be at least 1, got {lags!r}")
    return tuple(map(int, lags))
