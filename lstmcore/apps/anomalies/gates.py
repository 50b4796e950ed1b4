"""Gate traces of a detector over segments of a series."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np

from lstmcore.apps.anomalies.detector import STEPS_AT_ONCE, Detector
from lstmcore.formatting import count
from lstmcore.models.streaming import Stream, stream
from lstmcore.study.record import Run
from lstmcore.study.run import end_to_end


def gate_traces(
    detector: Detector, values, segments: Sequence[tuple[int, int]], id=None
) -> Iterator[tuple[np.ndarray, Run]]:
    """Yield the gates over each of some segments of a series.

    A model that predicts reads the whole series from its start, and its state in a segment comes
    from there. One that reconstructs reads windows, which are laid end to end here; the layers are
    those of the encoder.

    Args:
      detector: from `train`.
      values: numbers [rows, F] or [rows], in the order of time.
      segments: pairs (first row, row after the last); one that reaches beyond the series, or into
        the rows that season or differencing drop, is cut.
      id: name of the series, if the detector has `levels`.

    Yields:
      (the rows that were read [T], Run of one example [1, T]); for a reconstruction the nearest
      whole windows that cover the segment, as far as there are rows.

    Raises:
      ValueError: a segment without a row, or values as in `Detector.errors`.
      TypeError: a segment that is not a pair of whole numbers.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(300) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> rows, run = next(anomalies.gate_traces(detector, values, [(100, 116)]))
      >>> rows[[0, -1]].tolist(), run["lstm_0", "forget"].shape
      ([100, 115], (1, 16, 4))
    """
    scaled = detector.scaled(detector.table(values), id)
    dropped = detector.settings.dropped_rows
    running, read = None, 0
    if detector.settings.method == "prediction":
        running = stream(detector.model, detector.params)
    for segment in map(_row_range, segments):
        first, last = max(segment[0] - dropped, 0), min(segment[1] - dropped, len(scaled))
        if first >= last:
            raise ValueError(
                f"the segment {segment} holds no row of the series"
                + f" once season and differencing have dropped {dropped} of them" * bool(dropped)
            )
        if running is None:
            rows = _windows(first, last, len(scaled), detector.settings.window)
            run = end_to_end(detector.model, detector.params, scaled[rows])
        else:
            if first < read:
                running, read = stream(detector.model, detector.params), 0
            running, read = _advance(running, scaled, read, first), first
            rows = np.arange(first, last)
            x = jnp.asarray(scaled[rows])[None]
            y, after = running.step(x)
            run = Run.unmasked(x, y, after.traces)
        yield rows.ravel() + dropped, run


def _row_range(segment) -> tuple[int, int]:
    """Return (first row, row after the last) as plain ints."""
    try:
        first, stop = map(operator.index, segment)
    except (TypeError, ValueError):
        raise TypeError(
            f"segments must hold pairs such as (100, 116), the first row and the one after the "
            f"last, got {reprlib.repr(segment)}"
        ) from None
    return first, stop


def _windows(first: int, last: int, rows: int, length: int) -> np.ndarray:
    """Return rows [n, length] of adjacent windows that cover first to last, or as much as fits."""
    if rows < length:
        raise ValueError(f"values give {count(rows, 'row')} to read, but a window has {length}")
    windows = min(-(-(last - first) // length), rows // length)
    start = min(first, rows - windows * length)
    return start + np.arange(windows * length).reshape(windows, length)


def _advance(running: Stream, scaled: np.ndarray, read: int, until: int) -> Stream:
    """Return the stream after the rows `read` to `until`, whose traces are not kept."""
    for start in range(read, until, STEPS_AT_ONCE):
        some = scaled[start : min(start + STEPS_AT_ONCE, until)]
        real = np.arange(STEPS_AT_ONCE) < len(some)
        padded = np.pad(some, ((0, STEPS_AT_ONCE - len(some)), (0, 0)))  # one size, one program
        _, running = running.step(jnp.asarray(padded)[None], jnp.asarray(real)[None])
    return running
