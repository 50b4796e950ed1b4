"""What a detector's gates did while it read a stretch of a series."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Iterator, Sequence

import jax.numpy as jnp
import numpy as np

from lstmcore.apps.anomalies.detector import STEPS_AT_ONCE, Detector, scaled_rows
from lstmcore.formatting import count
from lstmcore.models.streaming import Stream, stream
from lstmcore.study.run import Run, end_to_end


def gate_traces(
    detector: Detector, values, stretches: Sequence[tuple[int, int]]
) -> Iterator[tuple[np.ndarray, Run]]:
    """The gates while these rows were read.

    A model that predicts reads the whole series from its start; what it does in a stretch comes
    from there. One that reconstructs reads windows, which are laid end to end here; of its layers
    the encoder's are shown.

    Args:
      detector: of `train`.
      values: numbers [rows, F] or [rows], in the order of time.
      stretches: (first row, row after the last), for each; those that reach beyond the series, or
        into the rows that differencing takes, are cut to it.

    Yields:
      (the rows that were read [T], Run of one example [1, T]); for a reconstruction the nearest
      whole windows that cover the stretch, as far as there are rows.

    Raises:
      ValueError: a stretch without a row, or values as in `Detector.errors`.
      TypeError: a stretch that is no pair of whole numbers.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(300) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> rows, run = next(anomalies.gate_traces(detector, values, [(100, 116)]))
      >>> rows[[0, -1]].tolist(), run["encoder_0", "forget"].shape
      ([100, 115], (1, 16, 4))
    """
    scaled = scaled_rows(detector.preprocessor, detector.preprocessor.table(values, "values"))
    lost = detector.preprocessor.dropped_rows
    running, read = None, 0
    if detector.settings.method == "prediction":
        running = stream(detector.model, detector.params)
    for stretch in map(_rows_of, stretches):
        first, last = max(stretch[0] - lost, 0), min(stretch[1] - lost, len(scaled))
        if first >= last:
            raise ValueError(
                f"the stretch {stretch} holds no row of the series"
                + f" once differencing has taken {lost} of them" * bool(lost)
            )
        if running is None:
            rows = _windows(first, last, len(scaled), detector.settings.window)
            run = end_to_end(detector.model, detector.params, scaled[rows])
        else:
            if first < read:
                running, read = stream(detector.model, detector.params), 0
            running, read = _advance(running, scaled, read, first), first
            rows = np.arange(first, last)
            run = _steps(running, scaled[rows])
        yield rows.ravel() + lost, run


def _rows_of(stretch) -> tuple[int, int]:
    """(first row, row after the last) as plain ints."""
    try:
        first, stop = map(operator.index, stretch)
    except (TypeError, ValueError):
        raise TypeError(
            f"stretches must hold pairs such as (100, 116), the first row and the one after the "
            f"last, got {reprlib.repr(stretch)}"
        ) from None
    return first, stop


def _windows(first: int, last: int, rows: int, length: int) -> np.ndarray:
    """[n, length]: rows of neighbouring windows that cover first to last, or as much as fits."""
    if rows < length:
        raise ValueError(f"values give {count(rows, 'row')} to read, but a window has {length}")
    windows = min(-(-(last - first) // length), rows // length)
    start = min(first, rows - windows * length)
    return start + np.arange(windows * length).reshape(windows, length)


def _advance(running: Stream, scaled: np.ndarray, read: int, until: int) -> Stream:
    """The stream after the rows `read` to `until`, of whose steps nothing is kept."""
    for start in range(read, until, STEPS_AT_ONCE):
        some = scaled[start : min(start + STEPS_AT_ONCE, until)]
        real = np.arange(STEPS_AT_ONCE) < len(some)
        padded = np.pad(some, ((0, STEPS_AT_ONCE - len(some)), (0, 0)))  # one size, one program
        _, running = running.step(jnp.asarray(padded)[None], jnp.asarray(real)[None])
    return running


def _steps(running: Stream, x: np.ndarray) -> Run:
    y, after = running.step(jnp.asarray(x)[None])
    return Run(
        inputs=jnp.asarray(x)[None],
        mask=None,
        outputs=y,
        traces=after.traces,
        masks=dict.fromkeys(after.traces),
        layers=tuple(after.traces),
    )
