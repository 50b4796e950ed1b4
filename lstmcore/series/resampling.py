"""Rows put in order by their times: sorted, merged where several have one time, and resampled.

Each takes a `TimeColumn` and the table beside it, and returns both anew; `check_times` takes the
column in place of labels. Missing values, NaN, count for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.series.arguments import as_table
from lstmcore.series.time_column import TimeColumn
from lstmcore.series.time_errors import IrregularTimesError, UnsortedTimesError
from lstmcore.series.time_format import DAY, TimeLabels

AGGREGATES = ("mean", "sum", "first", "last", "min", "max")
MICROSECONDS = {"ms": 1_000, "s": 1_000_000, "min": 60_000_000, "h": 3_600_000_000}
DAYS = {"day": 1, "week": 7}
MONTHS = {"month": 1, "quarter": 3, "year": 12}
UNITS = {
    "ms": "ms", "millisecond": "ms", "s": "s", "sec": "s", "second": "s", "min": "min",
    "minute": "min", "h": "h", "hour": "h", "d": "day", "day": "day", "w": "week", "week": "week",
    "month": "month", "q": "quarter", "quarter": "quarter", "y": "year", "year": "year",
}  # fmt: skip
LARGEST = 1_000_000  # units in an interval
USUAL = 0.95  # of the steps are no longer than the usual ones
MONDAY = 4  # 5 January 1970, as a day since 1970

__all__ = ["Resampled", "merge_duplicates", "resample", "sort_rows"]


class Resampled(NamedTuple):
    """A table at longer steps.

    Attributes:
      column: the times of its rows.
      values: float64 [rows, F]; NaN where an interval holds no known value.
      left_out: rows of the table before that are in no row of this one, because they lie in the
        first or the last interval and do not fill it.
    """

    column: TimeColumn
    values: np.ndarray
    left_out: int


def sort_rows(column: TimeColumn, values) -> tuple[TimeColumn, np.ndarray]:
    """Return times and values in the order of time; rows of one time stay in their order.

    Args:
      column: times, as `read_times` returns them.
      values: numbers [rows] or [rows, F].

    Raises:
      ValueError: values of another length than the times.

    Examples:
      >>> from lstmcore import series
      >>> newest_first = series.read_times(["2024-01-03", "2024-01-02", "2024-01-01"])
      >>> column, values = series.sort_rows(newest_first, [30, 20, 10])
      >>> list(column.labels), values[:, 0].tolist()
      (['2024-01-01', '2024-01-02', '2024-01-03'], [10, 20, 30])
    """
    values = _table(column, values)
    order = np.argsort(column.times, kind="stable")
    return column.take(order), values[order]


def merge_duplicates(
    column: TimeColumn, values, how: str | Sequence[str] = "mean"
) -> tuple[TimeColumn, np.ndarray]:
    """Return one row for each time, the first, last or mean value of all its rows.

    Args:
      column: times in order, see `sort_rows`.
      values: numbers [rows] or [rows, F].
      how: "mean", "first", "last", "sum", "min" or "max", of the known values; or one for each
        column.

    Returns:
      (times, float64 [times, F]).

    Raises:
      UnsortedTimesError: times that are not in order.
      ValueError: values of another length than the times, or an unknown `how`.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import series
      >>> column = series.read_times(["2024-01-01", "2024-01-02", "2024-01-02"])
      >>> column, values = series.merge_duplicates(column, [1, 2, np.nan])
      >>> list(column.labels), values[:, 0].tolist()
      (['2024-01-01', '2024-01-02'], [1.0, 2.0])
    """
    values = _table(column, values).astype(float)
    _check_sorted(column)
    starts = _starts(column.times)
    return column.take(starts), _aggregate(values, starts, how)


def resample(
    column: TimeColumn, values, every: str, how: str | Sequence[str] = "mean"
) -> Resampled:
    """Return one row for each interval, such as five minutes or a month.

    A row holds nothing that comes after it. Up to hours, the row at 10:00 holds what came after the
    row before it, up to and including 10:00. Days, weeks from Monday on, months, quarters and years
    are named by their first day, as in a calendar: such a row holds all of that day or month, and
    is known when it is over.

    Args:
      column: times in order, see `sort_rows`; several rows may have one time.
      values: numbers [rows] or [rows, F].
      every: a number and a unit: "500 ms", "30s", "5min", "2h", "day", "week", "month", "quarter",
        "year".
      how: what stands for the values of an interval: "mean", "sum", "first", "last", "min" or "max"
        of those that are known; or one for each column, such as ("mean", "sum").

    Raises:
      UnsortedTimesError: times that are not in order.
      IrregularTimesError: more than half of the intervals would be empty.
      ValueError: values of another length than the times, times that are plain numbers, an unknown
        interval or `how`, or no interval that is filled.

    Examples:
      >>> from lstmcore import series
      >>> column = series.read_times([f"2024-01-01 10:{minute:02}" for minute in range(1, 13)])
      >>> resampled = series.resample(column, range(1, 13), "5min", "sum")
      >>> list(resampled.column.labels), resampled.values[:, 0].tolist(), resampled.left_out
      (['2024-01-01 10:05', '2024-01-01 10:10'], [15.0, 40.0], 2)
    """
    values = _table(column, values).astype(float)
    grid = _Grid.of(every, column)
    _check_sorted(column)
    bins = grid.bins
    starts = _starts(bins)
    rows = int(bins[-1] - bins[0]) + 1
    if rows > 2 * len(starts):
        row = int(np.diff(bins).argmax()) + 1
        raise IrregularTimesError(
            f"is the end of the longest gap: every {every}, {rows - len(starts):,} of {rows:,} "
            "rows would be empty: choose a longer interval, or take rows as consecutive",
            row,
            str(column.labels[row]),
        )
    complete = np.full((rows, values.shape[1]), np.nan)
    complete[bins[starts] - bins[0]] = _aggregate(values, starts, how)
    skip_first, skip_last = grid.unfilled_ends()
    kept = slice(int(skip_first), rows - int(skip_last))
    if kept.start >= kept.stop:
        raise ValueError(f"every={every!r}: the table fills not one such interval")
    ends = (skip_first & (bins == bins[0])) | (skip_last & (bins == bins[-1]))
    times = grid.edges(bins[0] + np.arange(kept.start, kept.stop) + grid.named_by_end)
    by_clock = column.form.by_clock or (column.form.time_zone and not grid.named_by_end)
    form = column.form._replace(by_clock=bool(by_clock))
    labels = TimeLabels(times, form)
    return Resampled(TimeColumn(times, form, labels), complete[kept], int(ends.sum()))


class _Grid(NamedTuple):
    """The intervals of time that rows fall into.

    Attributes:
      number, unit: an interval is so many of these.
      moments: datetime64[us] [rows]: the times; where an interval includes its end and not its
        start, a microsecond earlier.
      origin: day since 1970 with which days and weeks begin.
      bins: int [rows], the interval of each row.
      named_by_end: the label of an interval is its end, and it includes that.
    """

    number: int
    unit: str
    moments: np.ndarray
    origin: int
    bins: np.ndarray
    named_by_end: bool

    @classmethod
    def of(cls, every: str, column: TimeColumn) -> _Grid:
        found = re.fullmatch(r"\s*(\d{0,9})\s*([a-z]+?)s?\s*", every.lower())
        number = int(found[1] or 1) if found else 0
        if found is None or found[2] not in UNITS or not 0 < number <= LARGEST:
            raise ValueError(
                f"every={every!r} is not an interval: give a number and one of ms, s, min, h, day, "
                "week, month, quarter or year, such as '5min'"
            )
        unit = UNITS[found[2]]
        if column.times.dtype.kind != "M":
            raise ValueError(f"every={every!r}: the times are plain numbers, without a unit")
        days = column.clock().astype("M8[D]").astype(np.int64)
        if unit in MICROSECONDS:
            moments = column.times - np.timedelta64(1, "us")
            bins = moments.astype(np.int64) // (number * MICROSECONDS[unit])
            return cls(number, unit, moments, 0, bins, True)
        moments, origin = column.clock(), 0
        if unit in DAYS:
            origin = int(days.min(initial=days[0]))
            origin -= (origin - MONDAY) % 7 if unit == "week" else 0
            bins = (days - origin) // (number * DAYS[unit])
        else:
            bins = moments.astype("M8[M]").astype(np.int64) // (number * MONTHS[unit])
        return cls(number, unit, moments, origin, bins, False)

    def edges(self, bins: np.ndarray) -> np.ndarray:
        """Return the start of each interval, datetime64[us]."""
        if self.unit in MICROSECONDS:
            return (bins * (self.number * MICROSECONDS[self.unit])).astype("M8[us]")
        if self.unit in DAYS:
            days = self.origin + bins * (self.number * DAYS[self.unit])
            return (days * DAY).astype("M8[us]")
        months = bins * (self.number * MONTHS[self.unit])
        return months.astype("M8[M]").astype("M8[us]")

    def unfilled_ends(self) -> tuple[bool, bool]:
        """Return whether a row of the first, and of the last interval, is beyond the table.

        Rows are taken to go on before and after the table with the longest of its usual steps.
        """
        if len(self.moments) < 2:
            return True, True
        steps = np.diff(self.moments).astype(np.int64)
        usual = np.timedelta64(int(np.quantile(steps, USUAL, method="higher")), "us")
        low, high = self.edges(np.array([self.bins[0], self.bins[-1] + 1]))
        return bool(self.moments[0] >= low + usual), bool(self.moments[-1] + usual < high)


def _table(column: TimeColumn, values) -> np.ndarray:
    values = as_table(values)
    if len(values) != len(column.times):
        raise ValueError(f"values has {len(values)} rows but there are {len(column.times)} times")
    return values


def _check_sorted(column: TimeColumn) -> None:
    back = column.times[1:] < column.times[:-1]
    if back.any():
        row = int(back.argmax()) + 1
        raise UnsortedTimesError(
            f"comes before {column.labels[row - 1]}, the row above it: sort the rows by time",
            row,
            str(column.labels[row]),
        )


def _starts(groups: np.ndarray) -> np.ndarray:
    """Return the first row of each run of equal values."""
    return np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1]]))


def _aggregate(values: np.ndarray, starts: np.ndarray, how: str | Sequence[str]) -> np.ndarray:
    """Return one row for each run of rows, float64 [runs, F]."""
    columns = values.shape[1]
    names = (how,) * columns if isinstance(how, str) else tuple(how)
    if len(names) != columns or not set(names) <= set(AGGREGATES):
        raise ValueError(
            f"how={how!r} must be one of {', '.join(AGGREGATES)}, or one of them for each of the "
            f"{columns} columns"
        )
    merged = np.empty((len(starts), columns))
    for place, name in enumerate(names):
        merged[:, place] = _aggregate_column(values[:, place], starts, name)
    return merged


def _aggregate_column(values: np.ndarray, starts: np.ndarray, name: str) -> np.ndarray:
    known = ~np.isnan(values)
    counts = np.add.reduceat(known.astype(np.int64), starts)
    if name in ("min", "max"):
        return (np.fmin if name == "min" else np.fmax).reduceat(values, starts)
    if name in ("first", "last"):
        rows = np.arange(len(values))
        choose, unknown = (np.minimum, len(values)) if name == "first" else (np.maximum, -1)
        chosen = choose.reduceat(np.where(known, rows, unknown), starts)
        return np.where(counts > 0, values[np.clip(chosen, 0, len(values) - 1)], np.nan)
    sums = np.add.reduceat(np.where(known, values, 0), starts)
    if name == "mean":
        sums = sums / np.maximum(counts, 1)
    return np.where(counts > 0, sums, np.nan)
