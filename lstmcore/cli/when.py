"""Rows of a table that the user names by a time or by a number, such as where the test part begins.

A time is written as those of the table, or as year-month-day; parts may be left out from the end,
so that 2024-03 is the whole month, as in a slice of pandas. What is no time is the number of a
row, counted from 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore.formatting import count
from lstmcore.series import Table, Times, TimesError, read_times
from lstmcore.series.times.format import CLOCK

A_DAY, A_MONTH = np.timedelta64(1, "D"), np.timedelta64(1, "M")
SPANS: dict[str, np.timedelta64] = {  # by the last field of a time without a clock
    "day": A_DAY, "yearday": A_DAY, "weekday": A_DAY, "week": 7 * A_DAY,
    "month": A_MONTH, "monthname": A_MONTH, "quarter": 3 * A_MONTH, "half": 6 * A_MONTH,
}  # fmt: skip


class Span(NamedTuple):
    """The moments that a text stands for: from `first` on, before `stop`; equal for an instant."""

    first: np.datetime64 | float
    stop: np.datetime64 | float


def first_row(option: str, when: str, table: Table) -> int:
    """Return the first row that is not before a time, or the row of this number.

    Args:
      option: for messages, such as "--test-from".
      when: as the user wrote it.
      table: with equal steps, as from `reading.read`.

    Raises:
      ValueError: it is neither, or outside of the table.
    """
    return _rows(option, when, table)[0]


def last_row(option: str, when: str, table: Table) -> int:
    """Return the last row that is not after a time, or the row of this number; see `first_row`."""
    return _rows(option, when, table)[1]


def moment_of(times: Times | None, row: int) -> str | None:
    """Return the time of a row as text for a JSON file; None of a table without times.

    Of a row that the times skip, it is that of the row before.
    """
    if times is None:
        return None
    return str(times.times[np.searchsorted(times.positions, row, side="right") - 1])


def text_of(times: Times | None, moment: str | None) -> str:
    """Return a moment of `moment_of` as the times of a table are written; "" if it has none."""
    limit = _limit(times, moment)
    return "" if times is None or limit is None else times.form.write(np.array([limit]))[0]


def rows_until(times: Times | None, moment: str | None) -> int | None:
    """Return how many rows of a table are not after a moment of `moment_of`; None if unknown."""
    limit = _limit(times, moment)
    if times is None or limit is None:
        return None
    until = int(np.searchsorted(times.times, limit, side="right"))
    return int(times.positions[until - 1]) + 1 if until else 0


def _limit(times: Times | None, moment: str | None) -> np.datetime64 | float | None:
    """Return a moment as the times of a table are; None if it is of another kind."""
    if times is None or moment is None:
        return None
    try:
        is_date = times.times.dtype.kind == "M"
        return np.datetime64(moment, "us") if is_date else float(moment)
    except ValueError:
        return None


def _rows(option: str, when: str, table: Table) -> tuple[int, int]:
    """Return (first row not before, last row not after) what `when` names."""
    times, rows = table.times, len(table.values)
    span = _span(when, times, table) if times is not None else None
    if times is None or span is None:
        row = _numbered(option, when, table)
        return row, row
    every = times.calendar.times(np.arange(rows)) if times.gaps else times.times[:rows]
    moments = times.form.clock(every)
    not_before = np.flatnonzero(moments >= span.first)
    not_after = np.flatnonzero(
        moments <= span.first if span.stop == span.first else moments < span.stop
    )
    if not len(not_before) or not len(not_after):
        where = "after" if not len(not_before) else "before"
        raise ValueError(
            f"{option} {when} is {where} the rows of the table, which are from {table.labels[0]} "
            f"to {table.labels[rows - 1]}"
        )
    return int(not_before[0]), int(not_after[-1])


def _span(when: str, times: Times, table: Table) -> Span | None:
    """Return the moments that a text stands for; None if it is no time as in the table."""
    if times.times.dtype.kind != "M":
        try:
            number = float(when)
        except ValueError:
            return None
        return Span(number, number) if np.isfinite(number) else None
    fields = [part.kind for part in times.form.parts]
    day_first = table.options.day_first
    if day_first is None and {"day", "month"} <= {*fields}:
        day_first = fields.index("day") < fields.index("month")
    try:
        read = read_times([when], day_first=day_first)
    except TimesError:
        try:  # numbers and other forms that need to be told
            read = read_times([when], time_format=table.options.time_format)
        except TimesError:
            return None
    if read is None or (read.times.dtype.kind != "M" and not _is_year(when, times)):
        return None
    if read.times.dtype.kind != "M":
        year = np.datetime64(when, "Y")
        return Span(year.astype("M8[us]"), (year + np.timedelta64(1, "Y")).astype("M8[us]"))
    first, kinds = read.times[0], {part.kind for part in read.form.parts}
    span = next((SPANS[kind] for kind in SPANS if kind in kinds), None)
    if span is None or kinds & {*CLOCK, "epoch", "excel"}:
        return Span(first, first)
    start = first.astype(f"M8[{np.datetime_data(span.dtype)[0]}]")
    return Span(first, (start + span).astype("M8[us]"))


def _is_year(when: str, times: Times) -> bool:
    """Return whether a number is one of the years of a table, rather than the number of a row."""
    years = times.times[[0, -1]].astype("M8[Y]").astype(int) + 1970
    return (
        len(when) == 4 and when.isascii() and when.isdigit() and years[0] <= int(when) <= years[1]
    )


def _numbered(option: str, when: str, table: Table) -> int:
    """Return the row of a number, or with a label if the labels are no times."""
    rows = len(table.values)
    if table.times is None and when in map(str, table.labels):
        return list(map(str, table.labels)).index(when)
    if not (when.isascii() and when.isdigit()):
        example = f"a time as in the table, such as {table.labels[rows // 2]}"
        raise ValueError(
            f"{option} {when!r} is neither {example}, nor the number of a row, counted from 0"
        )
    if int(when) >= rows:
        raise ValueError(
            f"{option} {when} is no time of the table, and as the number of a row it is after the "
            f"last of {count(rows, 'row')}, which are counted from 0"
        )
    return int(when)
