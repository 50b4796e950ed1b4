"""A table cut up into windows, to train on and to hold out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import series
from lstmcore.apps.autoencoding.settings import Settings
from lstmcore.formatting import count
from lstmcore.series import Table

SHOWN_STEPS = 300  # of a long series in a picture

__all__ = ["SHOWN_STEPS", "Windows", "cut", "side_by_side"]


class Windows(NamedTuple):
    """A table cut up for training.

    rows: [N, window + horizon], the row of the table behind each step
    values: float32 [N, window + horizon, F], prepared; inputs first, then the rows to predict
    stride: rows from one window to the next
    training: how many of the N, from the first, are trained on
    validation_start: the index of the first that is held out, N if none is
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
    """Windows of the table; held-out ones share no row with those trained on.

    Where differences are taken, the first of a held-out window are those to rows trained on.

    Raises:
      ValueError: a window longer than the table, nothing left to train on, or values that the
        preprocessing refuses.
    """
    values = table.values[settings.first_row :]
    lost, span = settings.preprocessing.dropped_rows, settings.span
    left = max(0, len(values) - lost)
    if left < span:
        raise ValueError(
            f"a window of {count(settings.window, 'row')}"
            + f" and {settings.predicted_rows} to predict" * bool(settings.predicted_rows)
            + f" does not fit into {count(left, 'row')}"
            + f" ({lost} are lost to differencing)" * bool(lost)
            + ": use a shorter window or more data"
        )
    stride = series.stride_for(settings.stride, left - span + 1, span * values.shape[1])
    indices = np.arange(settings.first_row + lost, len(table.values))
    rows = series.windows(indices, span, stride=stride)[:, :, 0]
    held_out = training = len(rows)
    if settings.validation:
        held_out -= max(1, round(settings.validation * len(rows)))
        training = (held_out * stride - span) // stride + 1  # that end before it begins
    if training < 1:
        raise ValueError(
            f"validation {settings.validation} leaves no window of {count(span, 'row')} to train "
            "on: "
            "hold out less, or use a shorter window"
        )
    trained_on = int(rows[training - 1, -1]) + 1 - settings.first_row
    preprocessor = settings.preprocessing.fit(values, rows=trained_on)
    with np.errstate(over="ignore"):
        seen = preprocessor.transform(values).astype(np.float32)
    if not np.isfinite(seen).all():
        raise ValueError(
            f"scaling {settings.preprocessing.scaling!r} leaves numbers that float32 cannot hold: "
            "use 'standard'"
        )
    cut_up = series.windows(seen, span, stride=stride)
    return Windows(rows, cut_up, stride, training, held_out, preprocessor)


def side_by_side(count: int, length: int, steps: int = SHOWN_STEPS, stride: int = 1) -> np.ndarray:
    """Which of `count` windows to show: all if they are few, else such that no row shows twice.

    At most `steps` steps are shown. Windows begin `stride` rows apart.
    """
    if count * length <= SHOWN_STEPS // 5:
        return np.arange(count)
    return np.arange(0, count, -(-length // stride))[: max(1, steps // length)]
