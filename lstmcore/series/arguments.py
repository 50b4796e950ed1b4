"""What a table may be, asked at the public entry points of `lstmcore.series`."""

from __future__ import annotations

import numpy as np

LARGEST = 1e150  # number that can be squared in float64

__all__ = ["LARGEST", "as_numbers", "as_table", "check_lags", "check_size"]


def as_numbers(name: str, value) -> np.ndarray:
    """Any array of real numbers."""
    value = np.asarray(value)
    if value.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold real numbers, got {value.dtype}")
    return value


def as_table(table) -> np.ndarray:
    """[rows] or [rows, F] -> [rows, F]."""
    table = as_numbers("table", table)
    if table.ndim not in (1, 2):
        raise ValueError(f"table must be [rows] or [rows, features], got shape {table.shape}")
    return table[:, None] if table.ndim == 1 else table


def check_size(table: np.ndarray) -> None:
    """Every number of [rows, F] can be computed with; NaN, a missing value, may stand for one."""
    bad = np.abs(table) >= LARGEST
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"table holds {table[row, column]:g} in row {row}, column {column} (counted from 0): "
            f"infinite, or too large to scale, beyond {LARGEST:g}; replace or remove it first"
        )


def check_lags(lags, name: str = "lags") -> tuple[int, ...]:
    """A tuple of whole numbers of at least 1; it may be empty."""
    is_tuple = isinstance(lags, tuple)
    if not is_tuple or not all(type(lag) is int or isinstance(lag, np.integer) for lag in lags):
        raise TypeError(
            f"{name} must be a tuple of whole numbers, such as (1,) or (12, 1): {lags!r}"
        )
    if any(lag < 1 for lag in lags):
        raise ValueError(f"{name} must be at least 1, got {lags!r}")
    return tuple(map(int, lags))
