"""Sort rows by their times, merge rows with the same time, and resample them.

Each function takes a `TimeColumn` and the table beside it, and returns new ones of both;
`check_times` takes the column in place of labels. Missing values, NaN, are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.display import displayed
from lstmcore.formatting import count
from lstmcore.series.arrays import as_rows_of_times
from lstmcore.series.times.column import TimeColumn
from lstmcore.series.times.errors import UnsortedTimesError
from lstmcore.series.times.format import TimeLabels

AGGREGATES = ("mean", "sum", "first", "last", "min", "max")
LENGTHS = {  # of units: (unit of datetime64, how many)
    "ms": ("us", 1_000),
    "s": ("us", 1_000_000),
    "min": ("us", 60_000_000),
    "h": ("us", 3_600_000_000),
    "day": ("D", 1),
    "week": ("D", 7),
    "month": ("M", 1),
    "quarter": ("M", 3),
    "year": ("M", 12),
}
UNITS = {
    "ms": "ms", "millisecond": "ms", "s": "s", "sec": "s", "second": "s", "min": "min", "t": "min",
    "minute": "min", "h": "h", "hour": "h", "d": "day", "day": "day", "w": "week", "week": "week",
    "mo": "month", "month": "month", "q": "quarter", "quarter": "quarter", "y": "year",
    "year": "year",
}  # fmt: skip
ALIASES = {"M": "month", "MS": "month", "ME": "month"}  # of pandas; "m" may be minutes
LARGEST = 1_000_000  # units in an interval
USUAL = 0.95  # of the steps are no longer than the usual ones
MONDAY = 4  # 5 January 1970, as a day since 1970


@displayed
class Resampled(NamedTuple):
    """A table at longer steps.

    Attributes:
      column: the times of its rows.
      values: float64 [rows, F]; NaN where an interval holds rows but no known value.
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
    values = as_rows_of_times(values, len(column.times))
    order = np.argsort(column.times, kind="stable")
    return column.take(order), values[order]


def merge_duplicates(
    column: TimeColumn, values, how: str | Sequence[str] = "mean"
) -> tuple[TimeColumn, np.ndarray]:
    """Return one row for each time, such as the first, the last or the mean of all its rows.

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
    values = as_rows_of_times(values, len(column.times)).astype(float)
    _check_sorted(column)
    starts = _starts(column.times)
    return column.take(starts), _aggregate(values, starts, how)


def resample(
    column: TimeColumn, values, every: str, how: str | Sequence[str] = "mean"
) -> Resampled:
    """Return one row for each interval, such as five minutes or a month.

    Intervals up to hours, and of plain numbers, are named by their end: the row at 10:00 holds all
    after the row before it, up to and including 10:00. Days, weeks from Monday on, months, quarters
    and years are named by their first day, as in a calendar: such a row holds all of that day or
    month, and is known only when it is over. Intervals without any row are left out, see
    `insert_gaps`.

    Args:
      column: times in order, see `sort_rows`; several rows may have one time.
      values: numbers [rows] or [rows, F].
      every: a number and a unit: "500 ms", "30s", "5min", "2h", "day", "week", "month", "quarter",
        "year"; of plain numbers, such as days since a start, a number.
      how: aggregate of the known values of an interval: "mean", "sum", "first", "last", "min" or
        "max"; or one for each column, such as ("mean", "sum").

    Raises:
      UnsortedTimesError: times that are not in order.
      ValueError: values of another length than the times, an unknown interval or `how`, a unit for
        plain numbers, or a table that fills no interval.

    Examples:
      >>> from lstmcore import series
      >>> column = series.read_times([f"2024-01-01 10:{minute:02}" for minute in range(1, 13)])
      >>> resampled = series.resample(column, range(1, 13), "5min", "sum")
      >>> list(resampled.column.labels), resampled.values[:, 0].tolist(), resampled.left_out
      (['2024-01-01 10:05', '2024-01-01 10:10'], [15.0, 40.0], 2)
    """
    values = as_rows_of_times(values, len(column.times)).astype(float)
    grid = _Grid.of(every, column)
    _check_sorted(column)
    bins, (skip_first, skip_last) = grid.bins, grid.unfilled_ends()
    ends = (skip_first & (bins == bins[0])) | (skip_last & (bins == bins[-1]))
    if ends.all():
        raise ValueError(f"every={every!r}: the table does not fill a single such interval")
    starts = _starts(bins[~ends])
    times = grid.edges(bins[~ends][starts] + grid.named_by_end)
    by_clock = column.form.by_clock or (column.form.time_zone and not grid.named_by_end)
    form = column.form._replace(by_clock=bool(by_clock))
    column = TimeColumn(times, form, TimeLabels(times, form))
    return Resampled(column, _aggregate(values[~ends], starts, how), int(ends.sum()))


class _Grid(NamedTuple):
    """The intervals of time that rows fall into.

    Attributes:
      clock: unit of datetime64 in which intervals are counted; "" for plain numbers.
      length: of an interval, in these units.
      moments: [rows], by the clock where intervals are days or longer.
      origin: units since 1970 with which an interval begins.
      bins: int [rows], the interval of each row.
      named_by_end: an interval is named by its end, and includes its end but not its start.
    """

    clock: str
    length: float
    moments: np.ndarray
    origin: int
    bins: np.ndarray
    named_by_end: bool

    @classmethod
    def of(cls, every: str, column: TimeColumn) -> _Grid:
        number, unit = parse_interval(every)
        are_numbers = column.times.dtype.kind == "f"
        if are_numbers != (unit == "number"):
            kind = "plain numbers: give a number" if are_numbers else "dates: give a unit as well"
            raise ValueError(f"every={every!r}: the times are {kind}")
        if are_numbers:
            bins = np.ceil(column.times / number).astype(np.int64) - 1
            return cls("", number, column.times, 0, bins, True)
        clock, units = LENGTHS[unit]
        length, named_by_end = int(number) * units, clock == "us"
        moments = column.times if named_by_end else column.clock()
        count = moments.astype(f"M8[{clock}]").astype(np.int64)
        origin = int(count.min()) if clock == "D" else 0
        origin -= (origin - MONDAY) % 7 if unit == "week" else 0
        # The end of an interval belongs to it, not to the next.
        bins = (count - origin - named_by_end) // length
        return cls(clock, length, moments, origin, bins, named_by_end)

    def edges(self, bins: np.ndarray) -> np.ndarray:
        """Return the start of each interval, datetime64[us] or float64."""
        start = self.origin + bins * self.length
        return start.astype(f"M8[{self.clock}]").astype("M8[us]") if self.clock else start

    def unfilled_ends(self) -> tuple[bool, bool]:
        """Return whether a row of the first, and of the last interval, is beyond the table.

        Rows are taken to go on before and after the table with the longest of its usual steps.
        """
        moments = self.moments[_starts(self.moments)]
        if len(moments) < 2:
            return True, True
        usual = np.quantile(np.diff(moments), USUAL, method="higher")
        low, high = self.edges(np.array([self.bins[0], self.bins[-1] + 1]))
        before, after = moments[0] - usual, moments[-1] + usual
        if self.named_by_end:
            return bool(before > low), bool(after <= high)
        return bool(before >= low), bool(after < high)


def parse_interval(text: str) -> tuple[float, str]:
    """Return the number and the unit of an interval; the unit of a plain number is "number".

    Raises:
      ValueError: it is no interval.

    Examples:
      >>> parse_interval("5min"), parse_interval("2 hours"), parse_interval("MS")
      ((5.0, 'min'), (2.0, 'h'), (1.0, 'month'))
    """
    found = re.fullmatch(r"\s*(\d{1,9}(?:\.\d{1,9})?)?\s*([A-Za-z]*)\s*", text)
    number, word = found.groups() if found else (None, "?")
    unit = ALIASES.get(word) or UNITS.get(word.lower()) or UNITS.get(word.lower().removesuffix("s"))
    size = float(number or 1)
    if not word and number:
        unit = "number"
    if not unit or not 0 < size <= LARGEST or (unit != "number" and size % 1):
        raise ValueError(
            f"every={text[:40]!r} is not an interval: give a whole number and one of ms, s, min, "
            "h, day, week, month, quarter or year, such as '5min'"
        )
    return size, unit


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
            f"{count(columns, 'column')}"
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
