"""From a table of numbers to the windows [N, T, F] that a model reads. NumPy alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lstmcore import checks

LARGEST = 1e150  # number that can be squared in float64

__all__ = ["Scaler", "fit_scaler", "temporalize", "tutorial_series", "windows"]


def windows(table, length: int, horizon: int = 0, stride: int = 1):
    """Every stretch of `length` rows, and if asked the `horizon` rows that follow each.

    Args:
      table: numbers [rows] or [rows, F], in the order of time.
      length: T, rows in a window.
      horizon: rows after each window that a model is to predict; 0 for none.
      stride: rows from the start of one window to the start of the next.

    Returns:
      inputs [N, T, F], or (inputs, targets [N, horizon, F]) if `horizon` is not 0, with
      N = (rows - length - horizon) // stride + 1. Both are read-only views: windows that share
      rows share memory.

    Raises:
      ValueError: a table that is not numeric or has neither one nor two axes, a length or stride
        below 1, or a table too short for one window.

    Examples:
      >>> import lstmcore as lc
      >>> inputs, targets = lc.windows([1, 2, 3, 4, 5], length=2, horizon=1)
      >>> inputs[:, :, 0].tolist(), targets[:, :, 0].tolist()
      ([[1, 2], [2, 3], [3, 4]], [[3], [4], [5]])
    """
    table = _as_table(table)
    length = checks.check_count("length", length)
    horizon = checks.check_count("horizon", horizon, minimum=0)
    stride = checks.check_count("stride", stride)
    span = length + horizon
    if len(table) < span:
        beyond = f" and a horizon of {horizon}" if horizon else ""
        raise ValueError(
            f"a window of {length} rows{beyond} does not fit into a table of {len(table)} rows: "
            "use a shorter window or more data"
        )
    spans = sliding_window_view(table, span, axis=0)[::stride].swapaxes(1, 2)
    return (spans[:, :length], spans[:, length:]) if horizon else spans


def temporalize(X, y, lookback: int):
    """The windows of the LSTM autoencoder tutorial, which leaves out the first two rows.

    The tutorial (Ranjan 2019, "Step-by-step understanding LSTM Autoencoder layers") looks ahead
    by one row twice, so of n rows it makes n - lookback - 1 windows where `windows` makes
    n - lookback + 1. Use `windows` for your own data; this is here to repeat the published run.

    Args:
      X: [n, F], in the order of time.
      y: [n], one label per row.
      lookback: T, rows in a window.

    Returns:
      (inputs [n - lookback - 1, T, F], the label of each window's last row).

    Raises:
      ValueError: as `windows`, or X and y of different lengths.

    Examples:
      >>> from lstmcore import series
      >>> X, y = series.temporalize(series.tutorial_series(), range(9), lookback=3)
      >>> X.shape, X[0, :, 0].tolist(), y.tolist()
      ((5, 3, 2), [0.3, 0.4, 0.5], [4, 5, 6, 7, 8])
    """
    X, y = _as_table(X), np.asarray(y)
    lookback = checks.check_count("lookback", lookback)
    if len(X) != len(y):
        raise ValueError(f"X has {len(X)} rows but y has {len(y)}: they must be aligned")
    return windows(X[2:], lookback), y[lookback + 1 :]


def tutorial_series() -> np.ndarray:
    """The series of the LSTM autoencoder tutorial: 0.1, 0.2, ..., 0.9 beside its cubes, [9, 2]."""
    steps = np.arange(1, 10) / 10
    return np.stack([steps, steps**3], axis=1)


class Scaler(NamedTuple):
    """An affine map per column, and back: scaled = (table - offset) / scale.

    Attributes:
      offset: [F], in units of the data.
      scale: [F], in units of the data, never 0.
    """

    offset: np.ndarray
    scale: np.ndarray

    def apply(self, table: np.ndarray) -> np.ndarray:
        """[..., F] in units of the data -> scaled."""
        return (np.asarray(table) - self.offset) / self.scale

    def invert(self, table: np.ndarray) -> np.ndarray:
        """[..., F] scaled -> in units of the data."""
        return np.asarray(table) * self.scale + self.offset


def fit_scaler(table, kind: str) -> Scaler:
    """The scaling that brings each column of a table into a range that suits an LSTM.

    Args:
      table: numbers [rows] or [rows, F]; fit it on the training part alone.
      kind: "standard" (mean 0, standard deviation 1), "minmax" (0 to 1) or "none".

    Returns:
      Scaler; a column that never changes is shifted but not stretched.

    Raises:
      ValueError: an unknown kind, or a table that is not numeric or empty.

    Examples:
      >>> from lstmcore import series
      >>> scaler = series.fit_scaler([[1.0], [3.0]], "minmax")
      >>> scaler.apply([[2.0]]).tolist(), scaler.invert([[0.5]]).tolist()
      ([[0.5]], [[2.0]])
    """
    table = _as_table(table).astype(float)
    if len(table) == 0:
        raise ValueError("table has no rows: there is nothing to fit a scaling to")
    if not np.abs(table).max() < LARGEST:
        raise ValueError(f"table holds NaN or numbers too large to scale, beyond {LARGEST:g}")
    if kind == "standard":
        offset, scale = table.mean(axis=0), table.std(axis=0)
    elif kind == "minmax":
        offset, scale = table.min(axis=0), np.ptp(table, axis=0)
    elif kind == "none":
        offset, scale = np.zeros(table.shape[1]), np.ones(table.shape[1])
    else:
        raise ValueError(f"scaling {kind!r} is not known: use 'standard', 'minmax' or 'none'")
    constant = table.min(axis=0) == table.max(axis=0)  # rounding may leave it a spread above 0
    return Scaler(offset, np.where(constant | (scale == 0), 1.0, scale))


def _as_table(table) -> np.ndarray:
    table = np.asarray(table)
    if table.dtype.kind not in "iuf":
        raise ValueError(f"table must hold real numbers, got {table.dtype}")
    if table.ndim not in (1, 2):
        raise ValueError(f"table must be [rows] or [rows, features], got shape {table.shape}")
    return table[:, None] if table.ndim == 1 else table
