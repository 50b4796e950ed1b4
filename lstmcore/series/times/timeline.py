"""Check that the times of a table's rows are sorted and regular, and insert missing rows.

A model sees rows, not times: it assumes that all steps are equally long.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.formatting import count
from lstmcore.series.arrays import as_rows_of_times
from lstmcore.series.times import errors
from lstmcore.series.times.calendar import (
    Calendar,
    Consecutive,
    find_calendar,
    first_break,
    usual_interval,
)
from lstmcore.series.times.column import TimeColumn, read_times
from lstmcore.series.times.format import TimeFormat, TimeLabels

MOST_GAPS = 1  # missing rows for each present one: at most half of all rows are inserted


class Times(NamedTuple):
    """The times of the rows of a table, which are regular except for rows that are left out.

    Attributes:
      times: [rows], of datetime64 in microseconds, or float64 if they are plain numbers.
      interval: step from one row to the next, as text: "5 minutes", "1 month", or "1" of numbers.
      gaps: number of rows that are left out.
      positions: int [rows], position of each row in the series without gaps: 0, 1, 3, ...
      labels: text of each row, as it was given; a TimeLabels, which takes no memory for texts, if
        all have one format.
      calendar: how times are counted.
      form: format of the times.
    """

    times: np.ndarray
    interval: str
    gaps: int
    positions: np.ndarray
    labels: Sequence[str]
    calendar: Calendar | Consecutive
    form: TimeFormat

    def labels_at(self, positions) -> list[str]:
        """Return text for rows of the series without gaps, written as the given labels are."""
        positions = np.asarray(positions, np.int64)
        try:
            times = self.calendar.times(positions)
        except LookupError:  # later times do not follow from the known ones
            last = int(self.positions[-1])
            return [
                self.labels[n] if n <= last else f"{self.labels[last]} + {count(n - last, 'row')}"
                for n in positions.tolist()
            ]
        return self.form.write(times)

    def labels_after(self, count: int, row: int | None = None) -> list[str]:
        """Return text for the `count` rows after `row` of the series without gaps; None: the last.

        Rows after the last one have later times, such as those of a forecast.
        """
        last = self.positions[-1] if row is None else row
        return self.labels_at(last + np.arange(1, count + 1))


def check_times(
    labels: Sequence | TimeColumn,
    *,
    day_first: bool | None = None,
    time_zone: str | None = None,
    time_format: str | None = None,
    consecutive: bool = False,
) -> Times | None:
    """Return the times of rows, which must be sorted and at regular steps.

    `read_times` states which forms of times are read, and how.

    Months, quarters and years are regular, on the same day of each or on the last, and so are days
    without any weekends. Rows may be left out: see `insert_gaps`. Numbers may be rounded to 1 % of
    a step.

    Args:
      labels: one per row, text as in a CSV file, or anything whose `str` is such text: numbers,
        datetimes, datetime64; or a TimeColumn, for which the next three are ignored.
      day_first, time_zone, time_format: as in `read_times`.
      consecutive: take rows as consecutive steps, however much time lies between them, as between
        the sessions of a market; several rows may have one time. Later times then follow the times
        of day and the weekdays of the rows, or, where these differ from day to day, are counted
        from the last row.

    Returns:
      Times; None if the labels are words, not times, or fewer than two.

    Raises:
      TimesError: times that are not sorted, duplicate or at irregular steps, and those that
        `read_times` refuses. It has the row, counted from 0, and the kind of fault.
      ValueError: an unknown time zone or directive.

    Examples:
      >>> from lstmcore import series
      >>> times = series.check_times(["2024-01-31", "2024-02-29", "2024-04-30"])
      >>> times.interval, times.gaps, times.labels_after(2)
      ('1 month', 1, ['2024-05-31', '2024-06-30'])
      >>> print(series.check_times(["spring", "summer"]))
      None
      >>> trades = ["5 Jan 2024 15:30", "5 Jan 2024 16:00", "8 Jan 2024 15:30", "8 Jan 2024 16:00"]
      >>> series.check_times(trades, consecutive=True).labels_after(2)
      ['9 Jan 2024 15:30', '9 Jan 2024 16:00']
    """
    if isinstance(labels, TimeColumn):
        column: TimeColumn | None = labels
    else:
        column = read_times(
            labels, day_first=day_first, time_zone=time_zone, time_format=time_format
        )
    if column is None or len(column.times) < 2:
        return None
    _check_order(column, may_repeat=consecutive)
    times, form, texts = column
    found = find_calendar(times) if (times[1:] > times[:-1]).all() else None
    are_months = (  # whose order goes on, unlike that of days and hours, which have sessions
        found is not None and found[0].unit == "month" and found[1][-1] == len(times) - 1
    )
    if consecutive and not are_months:
        calendar: Calendar | Consecutive = Consecutive(column.clock())
        form = form._replace(by_clock=form.time_zone is not None)
        positions = np.arange(len(times))
    else:
        if found is None:
            usual, row, step = first_break(times)
            raise errors.IrregularTimesError(
                f"is {step} after {texts[row]}, but rows are usually {usual} apart: resample them "
                f"with every='{usual_interval(times)}', or pass consecutive=True",
                row + 1,
                texts[row + 1],
            )
        calendar, positions = found
    gaps = int(positions[-1]) + 1 - len(positions)
    return Times(times, calendar.interval, gaps, positions, texts, calendar, form)


def insert_gaps(values, times: Times) -> tuple[np.ndarray, Sequence[str]]:
    """Insert rows of missing values where rows are left out, so that all steps are equal.

    Args:
      values: numbers [rows] or [rows, F].
      times: of these rows, as `check_times` returned them.

    Returns:
      (float64 [rows + gaps, F] with NaN in the new rows, the label of each row).

    Raises:
      ValueError: values of another length than the times.
      IrregularTimesError: more rows are missing than there are.

    Examples:
      >>> from lstmcore import series
      >>> values, labels = series.insert_gaps([5, 6, 7], series.check_times([2001, 2002, 2004]))
      >>> values[:, 0].tolist(), list(labels)
      ([5.0, 6.0, nan, 7.0], ['2001', '2002', '2003', '2004'])
    """
    values = as_rows_of_times(values, len(times.labels)).astype(float)
    if times.gaps > MOST_GAPS * len(values):
        row = int(np.diff(times.positions).argmax()) + 1
        raise errors.IrregularTimesError(
            f"is the end of the longest gap: at intervals of {times.interval}, {times.gaps:,} rows "
            f"are missing, but only {len(values):,} are there: resample to a longer interval, take "
            "rows as consecutive, or use a part without the gap",
            row,
            times.labels[row],
        )
    complete = np.full((len(values) + times.gaps, values.shape[1]), np.nan)
    complete[times.positions] = values
    if not times.gaps:
        return complete, times.labels
    every = np.arange(len(complete))
    if isinstance(times.labels, TimeLabels):
        return complete, TimeLabels(times.calendar.times(every), times.form)
    labels = times.labels_at(every)
    for position, label in zip(times.positions.tolist(), times.labels, strict=True):
        labels[position] = label
    return complete, labels


def _check_order(column: TimeColumn, *, may_repeat: bool) -> None:
    times, _, texts = column
    backward = (times[1:] < times[:-1]) if may_repeat else (times[1:] <= times[:-1])
    if not backward.any():
        return
    row = int(backward.argmax()) + 1
    if times[row] == times[row - 1]:
        raise errors.DuplicateTimesError(
            "has the same time as the row before it: keep one of them, or their mean"
            f"{_clock_change(column, row)}",
            row,
            texts[row],
        )
    order = " (here, the newest row is first)" if (times[1:] <= times[:-1]).all() else ""
    raise errors.UnsortedTimesError(
        f"comes before {texts[row - 1]}, the row above it: sort the rows by time{order}"
        f"{_clock_change(column, row)}",
        row,
        texts[row],
    )


def _clock_change(column: TimeColumn, row: int) -> str:
    """Advise to name the time zone, if a clock may have been put back before this row."""
    times, form, _ = column
    if times.dtype.kind != "M" or form.time_zone or not form.shows_hours():
        return ""
    back = times[row - 1] - times[row]
    if back > np.timedelta64(1, "h") or times[row].astype("M8[h]").astype(int) % 24 > 3:
        return ""
    return "; if the clock was put back there, name its zone, such as time_zone='Europe/Berlin'"
