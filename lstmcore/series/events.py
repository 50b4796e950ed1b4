"""From flagged rows to events: segments with a start, an end and a peak. Needs only NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_values
from lstmcore.formatting import count


class Event(NamedTuple):
    """A segment of flagged rows, start <= row < stop.

    Attributes:
      start: the first flagged row.
      stop: the row after the last flagged one.
      peak: the first row with the largest score.
      score: the score there; 1.0 where flags were given.
    """

    start: int
    stop: int
    peak: int
    score: float


def events(scores, threshold=None, *, gap: int = 0, minimum: int = 1) -> list[Event]:
    """Group consecutive flagged rows into events.

    Args:
      scores: [rows]; flagged where above the threshold. A missing score (NaN) is not flagged. Or
        flags, bool [rows], without a threshold.
      threshold: in units of the scores; or a `thresholds.Threshold`.
      gap: largest number of consecutive rows inside an event that are not flagged.
      minimum: least number of rows; shorter events are dropped after gaps are closed.

    Returns:
      A list of Event, in the order of time. (For 100,000 rows it takes milliseconds.)

    Raises:
      ValueError: scores without a threshold, flags with one, a threshold that is NaN, `gap` below
        0, `minimum` below 1, or an array that is not [rows].
      TypeError: scores that are not an array, or a threshold that is not a number.

    Examples:
      >>> scores = np.array([0.0, 3.0, 0.0, 5.0, 0.0, 0.0, 4.0])
      >>> events(scores, 2.0, gap=1)
      [Event(start=1, stop=4, peak=3, score=5.0), Event(start=6, stop=7, peak=6, score=4.0)]
      >>> events(scores > 2, minimum=2)
      []
    """
    scores, flags = _flags(scores, threshold)
    gap = checks.check_count("gap", gap, minimum=0)
    minimum = checks.check_count("minimum", minimum)
    rows = np.flatnonzero(flags)
    if not len(rows):
        return []
    breaks = np.flatnonzero(np.diff(rows) > gap + 1)
    starts = rows[np.concatenate([[0], breaks + 1])]
    stops = rows[np.concatenate([breaks, [-1]])] + 1
    long_enough = stops - starts >= minimum
    starts, stops = starts[long_enough], stops[long_enough]
    if not len(starts):
        return []
    # Only flagged rows can hold a peak; each gets the number of its event.
    number = np.searchsorted(starts, rows, side="right") - 1
    inside = (number >= 0) & (rows < stops[number])
    rows, number = rows[inside], number[inside]
    highest = np.maximum.reduceat(scores[rows], np.searchsorted(rows, starts))
    at_peak = rows[scores[rows] == highest[number]]
    peaks = at_peak[np.searchsorted(at_peak, starts)]
    columns = (starts, stops, peaks, scores[peaks].astype(float))
    return [Event(*values) for values in zip(*(column.tolist() for column in columns), strict=True)]


def flags_of(found: Sequence[Event], rows: int) -> np.ndarray:
    """Return the rows of events as flags.

    Args:
      found: events; they may overlap.
      rows: of the series.

    Returns:
      bool [rows].

    Raises:
      ValueError: an event that ends after the last row.

    Examples:
      >>> flags_of([Event(1, 3, 1, 1.0)], rows=4).tolist()
      [False, True, True, False]
    """
    rows = checks.check_count("rows", rows, minimum=0)
    steps = np.zeros(rows + 1, int)
    for event in found:
        if not 0 <= event.start < event.stop <= rows:
            raise ValueError(
                f"{event} does not lie in a series of {count(rows, 'row')}: do both belong to the "
                "same series?"
            )
        steps[event.start] += 1
        steps[event.stop] -= 1
    return np.cumsum(steps)[:-1] > 0


def _flags(scores, threshold) -> tuple[np.ndarray, np.ndarray]:
    """Return (scores, flags), [rows] each; flags are their own scores."""
    scores = as_values("scores", scores)
    checks.check_array("scores", scores, "rows", "one score or flag for each row")
    if scores.dtype == bool:
        if threshold is not None:
            raise ValueError("scores are flags already (bool), so leave threshold out")
        return scores, scores
    if scores.dtype.kind not in "iuf":
        raise ValueError(f"scores must hold real numbers or bool, got {scores.dtype}")
    if threshold is None:
        raise ValueError(
            "scores need a threshold: events(scores, threshold); for flags write scores == 1"
        )
    return scores, scores > limit_of(threshold)


def limit_of(threshold) -> float:
    """Return the number of a threshold, given as a number or as a `thresholds.Threshold`."""
    limit = getattr(threshold, "value", threshold)
    try:
        limit = float(limit)
    except (TypeError, ValueError):
        raise TypeError(f"threshold must be a number or a Threshold, got {threshold!r}") from None
    if np.isnan(limit):
        raise ValueError("threshold is NaN, above which nothing would ever be flagged")
    return limit
