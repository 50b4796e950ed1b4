"""The data of a figure: curves, bands, spans and marks of rows, views, and the time axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.series import TimeLabels, read_times
from lstmcore.study.plots.style import DATA, MODEL

MOST_POINTS = 4000  # of a line; of more, the lowest and highest of each segment are drawn


class Curve(NamedTuple):
    """A line.

    Attributes:
      name: in the legend; lines of one name are shown and hidden together.
      rows: [n], positions on the time axis.
      values: [n]; NaN leaves a gap.
      colour: one of `style.COLOURS`, which have a counterpart on dark pages.
      dash: "solid", "dot" or "dash".
      width: in pixels.
      opacity: below 1 for a line that is dimmed.
      shown: False for a line that the reader has to ask for.
    """

    name: str
    rows: np.ndarray
    values: np.ndarray
    colour: str = DATA
    dash: str = "solid"
    width: float = 1.4
    opacity: float = 1.0
    shown: bool = True


class Band(NamedTuple):
    """The area between two lines, such as an interval; low, high: [n]."""

    name: str
    rows: np.ndarray
    low: np.ndarray
    high: np.ndarray
    colour: str = MODEL


class Panel(NamedTuple):
    """One of several plots over the same time axis.

    Attributes:
      title, curves, bands: name and lines.
      level: height of a horizontal line, as of a threshold.
      has_scale: False where heights mean nothing, and have no numbers beside them.
    """

    title: str
    curves: Sequence[Curve]
    bands: Sequence[Band] = ()
    level: float | None = None
    has_scale: bool = True


class Span(NamedTuple):
    """A segment of rows, first to last, both included."""

    first: int
    last: int
    name: str
    colour: str


class Mark(NamedTuple):
    """A single row to point out."""

    row: int
    name: str
    colour: str


class View(NamedTuple):
    """A segment of the time axis that a reader can choose.

    Attributes:
      name: on its button.
      first, stop: first row, row after the last.
      anchor: id of the button, for links; "" for none.
    """

    name: str
    first: int
    stop: int
    anchor: str = ""


class Axis(NamedTuple):
    """The time axis. places: position of each row, dates as text or numbers; title: its label."""

    places: Sequence
    title: str = ""


def time_axis(labels: Sequence, title: str = "") -> Axis:
    """Return an axis of times, if the labels are times in order, else of row numbers.

    In a browser, rows with equal labels would be drawn at one position, and text has no order.

    Examples:
      >>> time_axis(["20240131", "20240201"], "day")
      Axis(places=['2024-01-31T00:00:00', '2024-02-01T00:00:00'], title='day')
      >>> time_axis(["spring", "summer", "spring"], "season")
      Axis(places=range(0, 3), title='row, counted from 0')
    """
    numbered = Axis(range(len(labels)), "row, counted from 0")
    if isinstance(labels, range):
        return numbered
    if isinstance(labels, TimeLabels):
        times, form = labels.times, labels.form
    else:
        try:
            column = read_times(labels)
        except ValueError:
            return numbered
        if column is None:
            return numbered
        times, form = column.times, column.form
    if not (times[1:] > times[:-1]).all():
        return numbered
    if form.time_zone and not form.by_clock:
        title = f"{title} (UTC)".lstrip()
    if times.dtype.kind != "M":
        return Axis(times.tolist(), title)
    seconds = times.astype("datetime64[s]")
    exact = seconds if (seconds == times).all() else times
    return Axis(np.datetime_as_string(exact).tolist(), title)


def thin(values: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """Return indices of `values` [n] that draw the same line: all, or the extremes of each segment.

    Examples:
      >>> thin(np.array([0, 5, 1, 0, -7, 2, 0, 1]), most=4).tolist()
      [0, 1, 4, 5]
    """
    values = np.asarray(values, float)
    if len(values) <= most:
        return np.arange(len(values))
    length = -(-len(values) // (most // 2))
    padded = np.full(-(-len(values) // length) * length, np.nan)
    padded[: len(values)] = values
    segments = padded.reshape(-1, length)
    low = np.where(np.isnan(segments), np.inf, segments).argmin(axis=1)
    high = np.where(np.isnan(segments), -np.inf, segments).argmax(axis=1)
    first = np.arange(len(segments)) * length
    chosen = np.unique(np.concatenate([first + low, first + high]))
    return chosen[chosen < len(values)]


def points(curve: Curve, detail: Sequence[tuple[int, int]]) -> np.ndarray:
    """Return which points of a curve are drawn: those of `thin`, and more in `detail`."""
    chosen = [thin(curve.values)]
    for first, stop in detail:
        inside = np.flatnonzero((curve.rows >= first) & (curve.rows < stop))
        chosen.append(inside[thin(np.asarray(curve.values)[inside])])
    return np.unique(np.concatenate(chosen))


def limits(panel: Panel, first: int, stop: int) -> list[float] | None:
    """Return the range of a panel within these rows, with a margin; None without a number."""
    lines = [(curve.rows, curve.values) for curve in panel.curves]
    lines += [(band.rows, end) for band in panel.bands for end in (band.low, band.high)]
    parts = [np.asarray(line)[(rows >= first) & (rows < stop)] for rows, line in lines]
    numbers = np.concatenate(parts)
    numbers = numbers[np.isfinite(numbers)]
    if not len(numbers):
        return None
    low, high = float(numbers.min()), float(numbers.max())
    margin = 0.06 * (high - low) or 1.0
    return [low - margin, high + margin]
