"""Cut a table into the windows [N, T, F] that a model reads, and merge windows into a series."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from lstmcore import checks
from lstmcore.formatting import count
from lstmcore.series.arrays import as_numbers, as_rows

CELLS_AT_ONCE = 2**22  # sorted at a time for a median: some 100 MB
MOST_WINDOWS, MOST_NUMBERS = 20_000, 2**26  # numbers in all windows: 256 MiB of float32


def windows(table, length: int, horizon: int = 0, stride: int = 1):
    """Return every segment of `length` rows, and with a horizon the rows that follow each.

    Args:
      table: numbers [rows] or [rows, F], in the order of time. Of a data frame its `to_numpy()`,
        with the columns in the order that the model reads: windows have no names.
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
      TypeError: a data frame, or arguments of another kind.

    Examples:
      >>> import lstmcore as lc
      >>> inputs, targets = lc.windows([1, 2, 3, 4, 5], length=2, horizon=1)
      >>> inputs[:, :, 0].tolist(), targets[:, :, 0].tolist()
      ([[1, 2], [2, 3], [3, 4]], [[3], [4], [5]])
    """
    table = as_rows("table", table)
    length = checks.check_count("length", length)
    horizon = checks.check_count("horizon", horizon, minimum=0)
    stride = checks.check_count("stride", stride)
    span = length + horizon
    if len(table) < span:
        beyond = f" and a horizon of {horizon}" if horizon else ""
        raise ValueError(
            f"a window of {count(length, 'row')}{beyond} does not fit into a table of "
            f"{count(len(table), 'row')}: use a shorter window or more data"
        )
    spans = sliding_window_view(table, span, axis=0)[::stride].swapaxes(1, 2)
    return (spans[:, :length], spans[:, length:]) if horizon else spans


def stride_for(stride: int | str, windows: int, numbers: int) -> int:
    """Return a stride that keeps the time and the memory of training within bounds.

    Args:
      stride: a number of rows, which is returned; or "auto" for the smallest that makes at most
        20,000 windows with at most 2**26 numbers in all (256 MiB of float32).
      windows: number of windows with a stride of 1.
      numbers: count of numbers in one window.

    Returns:
      int, at least 1.

    Raises:
      ValueError: a stride below 1, or another word than "auto".
      TypeError: a stride that is neither a whole number nor a word.

    Examples:
      >>> from lstmcore import series
      >>> [series.stride_for("auto", windows, numbers=72) for windows in (20_000, 100_000)]
      [1, 5]
    """
    if not isinstance(stride, str):
        return checks.check_count("stride", stride)
    if stride != "auto":
        raise ValueError(f"stride must be a number of rows or 'auto', got {stride!r}")
    most = max(1, min(MOST_WINDOWS, MOST_NUMBERS // max(1, numbers)))
    return max(1, -(-windows // most))


def draw_windows(number: int, most: int) -> np.ndarray:
    """Return which of `number` windows to take if `most` are enough, int [n], in rising order.

    Always the same ones, and drawn at random: every 8th hour would see three hours of the day
    alone.
    """
    return np.sort(np.random.default_rng(0).permutation(number)[:most])


def unwindow(windows, stride: int = 1, how: str = "mean") -> np.ndarray:
    """Merge overlapping windows into one series: per row the mean, or median, of all that hold it.

    Args:
      windows: [N, T, ...]; window n holds the rows from n * stride on, as `windows` cuts them.
      stride: rows from the start of one window to the start of the next.
      how: "mean" or "median".

    Returns:
      float64 [rows, ...] with rows = (N - 1) * stride + T. NaN in a window is left out; a row
      without any other value, or that no window holds (stride > T), is NaN.

    Raises:
      ValueError: no windows, windows that are not numeric or have no axis of steps, a stride
        below 1, or an unknown `how`.

    Examples:
      >>> import lstmcore as lc
      >>> from lstmcore import series
      >>> series.unwindow(lc.windows([1.0, 2.0, 3.0, 4.0], length=2))[:, 0].tolist()
      [1.0, 2.0, 3.0, 4.0]
    """
    windows, stride = as_numbers("windows", windows), checks.check_count("stride", stride)
    if windows.ndim < 2 or 0 in windows.shape[:2]:
        raise ValueError(
            f"windows must be [windows, steps, ...] with at least one of each, got {windows.shape}"
        )
    if how not in ("mean", "median"):
        raise ValueError(f"how must be 'mean' or 'median', got {how!r}")
    return (_mean_of_windows if how == "mean" else _median_of_windows)(windows, stride)


def _mean_of_windows(windows: np.ndarray, stride: int) -> np.ndarray:
    count, length, *rest = windows.shape
    rows = (count - 1) * stride + length
    mean, seen = np.zeros((rows, *rest)), np.zeros((rows, *rest), int)
    for step in range(length):
        at = slice(step, step + (count - 1) * stride + 1, stride)
        values = windows[:, step]
        known = ~np.isnan(values)
        seen[at] += known
        # A running mean, so that the mean of equal values is exactly their value.
        change = np.where(known, values - mean[at], 0)
        mean[at] += change / np.maximum(seen[at], 1)
    return np.where(seen > 0, mean, np.nan)


def _median_of_windows(windows: np.ndarray, stride: int) -> np.ndarray:
    count, length, *rest = windows.shape
    rows, deep = (count - 1) * stride + length, -(-length // stride)
    median = np.empty((rows, *rest))
    at_once = max(1, CELLS_AT_ONCE // (deep * max(1, int(np.prod(rest)))))
    for start in range(0, rows, at_once):
        row = np.arange(start, min(start + at_once, rows))[:, None]
        window = row // stride - np.arange(deep)  # that may hold this row
        step = row - window * stride
        holds = (window >= 0) & (window < count) & (step < length)
        values = windows[np.where(holds, window, 0), np.where(holds, step, 0)].astype(float)
        values[~holds] = np.nan
        values.sort(axis=1)  # NaN goes to the end
        last = np.sum(~np.isnan(values), axis=1, keepdims=True) - 1
        low, high = (
            np.take_along_axis(values, np.maximum(middle, 0), axis=1)
            for middle in (last // 2, (last + 1) // 2)
        )
        median[start : start + at_once] = ((low + high) / 2)[:, 0]
    return median


def temporalize(X, y, lookback: int):
    """Return the windows of the LSTM autoencoder tutorial, which leaves out the first two rows.

    The tutorial (Ranjan 2019, "Step-by-step understanding LSTM Autoencoder layers") looks ahead
    by one row twice, so of n rows it makes n - lookback - 1 windows where `windows` makes
    n - lookback + 1. Use `windows` for your own data; this reproduces the published run.

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
    X, y = as_rows("X", X), np.asarray(y)
    lookback = checks.check_count("lookback", lookback)
    if len(X) != len(y):
        raise ValueError(f"X has {count(len(X), 'row')} but y has {len(y)}: they must be aligned")
    return windows(X[2:], lookback), y[lookback + 1 :]


def tutorial_series() -> np.ndarray:
    """Return the series of the LSTM autoencoder tutorial: 0.1 to 0.9 beside its cubes, [9, 2]."""
    steps = np.arange(1, 10) / 10
    return np.stack([steps, steps**3], axis=1)
