"""A table as windows, for training and validation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import series
from lstmcore.apps.autoencoding.settings import Settings
from lstmcore.formatting import count
from lstmcore.series import Table
from lstmcore.series.preprocessing import as_float32

SHOWN_STEPS = 300  # of a long series in a figure


class Windows(NamedTuple):
    """A table as windows.

    rows: [N, window + horizon], the row of the table behind each step
    values: float32 [N, window + horizon, F], preprocessed; inputs first, then the rows to predict
    stride: rows from one window to the next
    training: number of training windows, which come first
    validation_start: index of the first validation window; N if there is none
    preprocessor: between the units of the table and those of the model

    `rows` and `values` are views: windows that share rows share memory.
    """

    rows: np.ndarray
    values: np.ndarray
    stride: int
    training: int
    validation_start: int
    preprocessor: series.Preprocessor


def cut(table: Table, settings: Settings) -> Windows:
    """Return the windows of a table; validation windows share no row with training windows.

    With differencing, the first rows of a validation window are differences to training rows.

    Raises:
      ValueError: a window longer than the table, nothing left to train on, or values that the
        preprocessing refuses.
    """
    values = table.values[settings.first_row :]
    dropped, span = settings.preprocessing.dropped_rows, settings.span
    left = max(0, len(values) - dropped)
    if left < span:
        raise ValueError(
            f"a window of {count(settings.window, 'row')}"
            + f" and {settings.predicted_rows} to predict" * bool(settings.predicted_rows)
            + f" does not fit into {count(left, 'row')}"
            + f" ({dropped} are dropped by differencing)" * bool(dropped)
            + ": use a shorter window or more data"
        )
    stride = settings.stride_for(left - span + 1, values.shape[1])
    indices = np.arange(settings.first_row + dropped, len(table.values))
    rows = series.windows(indices, span, stride=stride)[:, :, 0]
    validation_start = training = len(rows)
    if settings.validation:
        validation_start -= max(1, round(settings.validation * len(rows)))
        training = (validation_start * stride - span) // stride + 1  # end before it begins
    if training < 1:
        raise ValueError(
            f"validation {settings.validation} leaves no window of {count(span, 'row')} to train "
            "on: lower it, or use a shorter window"
        )
    trained_on = int(rows[training - 1, -1]) + 1 - settings.first_row
    preprocessor = settings.preprocessing.fit(values, rows=trained_on)
    scaling = settings.preprocessing.scaling
    problem = f"scaling {scaling!r} leaves numbers that float32 cannot hold: use 'standard'"
    seen = as_float32(preprocessor.transform(values), problem)
    cut_up = series.windows(seen, span, stride=stride)
    return Windows(rows, cut_up, stride, training, validation_start, preprocessor)


def side_by_side(count: int, length: int, steps: int = SHOWN_STEPS, stride: int = 1) -> np.ndarray:
    """Return which of `count` windows to show: all if they are few, else non-overlapping ones.

    At most `steps` steps are shown. Windows begin `stride` rows apart.
    """
    if count * length <= SHOWN_STEPS // 5:
        return np.arange(count)
    return np.arange(0, count, -(-length // stride))[: max(1, steps // length)]
