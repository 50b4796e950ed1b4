"""The times beside the rows of a table: sorted, at regular steps, and what is left out.

A model sees rows, not times: it takes each step to be as long as any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.series.arguments import as_table
from lstmcore.series.calendar import Calendar, find_calendar, first_break
from lstmcore.series.time_text import read_times, write_times

MOST_GAPS = 10  # rows left out for each that is there

__all__ = ["Times", "check_times", "insert_gaps"]


class Times(NamedTuple):
    """The times of the rows of a table, which are regular but for rows that are left out.

    Attributes:
      times: [rows], of datetime64 in microseconds, or float64 if they are plain numbers.
      interval: from one row to the next, to read: "5 minutes", "1 month", or "1" of numbers.
      gaps: how many rows are left out.
      positions: int [rows], where each row stands in the series without gaps: 0, 1, 3, ...
      labels: text of each row, as it was given.
      calendar: how times are counted.
    """

    times: np.ndarray
    interval: str
    gaps: int
    positions: np.ndarray
    labels: Sequence[str]
    calendar: Calendar

    def labels_at(self, positions) -> list[str]:
        """Text for rows of the series without gaps, written as the given labels are.

        Those after the last row are times to come, such as those of a forecast.
        """
        times = self.calendar.times(np.asarray(positions, np.int64))
        return write_times(times, self.labels)

    def labels_after(self, count: int) -> list[str]:
        """Text for the `count` rows that follow the last one."""
        return self.labels_at(self.positions[-1] + np.arange(1, count + 1))


def check_times(labels: Sequence) -> Times | None:
    """Whether labels are times in order, at regular steps.

    Times are dates or date-times in ISO 8601 (2024-01-31, 20240131, 2024-01, 2024-W05,
    2024-01-31 12:30:00.5, 2024-01-31T12:30Z, ...+01:00), or plain numbers (years, seconds). One
    offset from UTC for all is left as it is. Different ones, as where clocks change, are converted
    to UTC, but for days at one time of the clock, which go by the clock; times to come then have no
    offset.

    Months, quarters and years are regular, on the same day of each or on the last, and so are days
    of which all weekends are missing. Rows may be left out: see `insert_gaps`. Numbers may be
    rounded to 1 % of a step.

    Args:
      labels: one per row, text as in a CSV file, or anything whose `str` is such text: numbers,
        datetimes, datetime64.

    Returns:
      Times; None if they are no times but words, or fewer than two.

    Raises:
      ValueError: times that are not sorted, twice the same, at irregular steps, in different
        formats, or in one that does not say which number is the month. The message names the row,
        counted from 0.

    Examples:
      >>> from lstmcore import series
      >>> times = series.check_times(["2024-01-31", "2024-02-29", "2024-04-30"])
      >>> times.interval, times.gaps, times.labels_after(2)
      ('1 month', 1, ['2024-05-31', '2024-06-30'])
      >>> print(series.check_times(["spring", "summer"]))
      None
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "M":
        labels = np.datetime_as_string(labels)
    texts = [str(label).strip() for label in labels]
    times = read_times(texts)
    if times is None or len(times) < 2:
        return None
    _check_order(times, texts)
    found = find_calendar(times)
    if found is None:
        usual, row, step = first_break(times)
        raise ValueError(
            f"the rows are not at regular times: most are {usual} apart, but from row {row} "
            f"({texts[row]}) to row {row + 1} ({texts[row + 1]}) it is {step}; resample first, for "
            "instance with pandas"
        )
    calendar, positions = found
    gaps = int(positions[-1]) + 1 - len(positions)
    return Times(times, calendar.interval, gaps, positions, texts, calendar)


def insert_gaps(values, times: Times) -> tuple[np.ndarray, list[str]]:
    """The rows that are left out, as rows of missing values, so that every step is as long.

    Args:
      values: numbers [rows] or [rows, F].
      times: of these rows, as `check_times` returned them.

    Returns:
      (float64 [rows + gaps, F] with NaN in the new rows, the label of each row).

    Raises:
      ValueError: values of another length than the times, or times that leave out almost all rows.

    Examples:
      >>> from lstmcore import series
      >>> values, labels = series.insert_gaps([5, 6, 7], series.check_times([2001, 2002, 2004]))
      >>> values[:, 0].tolist(), labels
      ([5.0, 6.0, nan, 7.0], ['2001', '2002', '2003', '2004'])
    """
    values = as_table(values).astype(float)
    if len(values) != len(times.labels):
        raise ValueError(f"values has {len(values)} rows but there are {len(times.labels)} times")
    if times.gaps > MOST_GAPS * len(values):
        raise ValueError(
            f"at intervals of {times.interval}, {times.gaps:,} rows are missing between the "
            f"{len(values):,} that are there: resample to a longer interval first, for instance "
            "with pandas, or use a part without the gap"
        )
    complete = np.full((len(values) + times.gaps, values.shape[1]), np.nan)
    complete[times.positions] = values
    labels = times.labels_at(np.arange(len(complete))) if times.gaps else list(times.labels)
    for position, label in zip(times.positions.tolist(), times.labels, strict=True):
        labels[position] = label
    return complete, labels


def _check_order(times: np.ndarray, texts: list[str]) -> None:
    backward = times[1:] <= times[:-1]
    if not backward.any():
        return
    row = int(backward.argmax()) + 1
    if times[row] == times[row - 1]:
        raise ValueError(
            f"row {row} ({texts[row]}) has the same time as row {row - 1}: keep one of them, or "
            "their mean"
        )
    raise ValueError(
        f"row {row} ({texts[row]}) comes before row {row - 1} ({texts[row - 1]}): sort the file by "
        "time"
    )
