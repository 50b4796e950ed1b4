"""Scale each column of a table into a range that suits an LSTM, and invert it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore.display import displayed
from lstmcore.formatting import count
from lstmcore.series.arrays import as_rows, check_size

SCALINGS = ("standard", "minmax", "none")


@displayed
class Scaler(NamedTuple):
    """An affine map per column and its inverse: scaled = (table - offset) / scale.

    Attributes:
      offset: [F], in units of the data.
      scale: [F], in units of the data, never 0.
    """

    offset: np.ndarray
    scale: np.ndarray

    def transform(self, table: np.ndarray) -> np.ndarray:
        """Scale [..., F], given in units of the data."""
        return (np.asarray(table) - self.offset) / self.scale

    def inverse_transform(self, table: np.ndarray) -> np.ndarray:
        """Return scaled [..., F] in units of the data."""
        return np.asarray(table) * self.scale + self.offset


def fit_scaler(table, kind: str) -> Scaler:
    """Fit the scaling that brings each column of a table into a range that suits an LSTM.

    Args:
      table: numbers [rows] or [rows, F], the training part alone. Missing values, NaN, are left
        out.
      kind: "standard" (mean 0, standard deviation 1), "minmax" (0 to 1) or "none".

    Returns:
      Scaler; a column that never changes is shifted but not scaled.

    Raises:
      ValueError: an unknown kind, a table that is not numeric, is empty, or holds infinity, or a
        column in which all values are missing.

    Examples:
      >>> from lstmcore import series
      >>> scaler = series.fit_scaler([[1.0], [3.0]], "minmax")
      >>> scaler.transform([[2.0]]).tolist(), scaler.inverse_transform([[0.5]]).tolist()
      ([[0.5]], [[2.0]])
    """
    table = as_rows("table", table).astype(float)
    if len(table) == 0:
        raise ValueError("table has no rows: there is nothing to fit a scaling to")
    check_size(table)
    if (unknown := np.isnan(table).all(axis=0)).any():
        raise ValueError(
            f"column {unknown.argmax()} of the table (counted from 0) holds no number in "
            f"{count(len(table), 'row')}: leave the column out, or use more data"
        )
    low, high = np.nanmin(table, axis=0), np.nanmax(table, axis=0)
    if kind == "standard":
        offset, scale = np.nanmean(table, axis=0), np.nanstd(table, axis=0)
    elif kind == "minmax":
        offset, scale = low, high - low
    elif kind == "none":
        offset, scale = np.zeros(table.shape[1]), np.ones(table.shape[1])
    else:
        raise ValueError(f"scaling {kind!r} is not known: use 'standard', 'minmax' or 'none'")
    constant = low == high  # rounding may leave a standard deviation above 0
    return Scaler(offset, np.where(constant | (scale == 0), 1.0, scale))
