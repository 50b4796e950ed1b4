"""Rows of a table that the user names by a time or by a number, such as where the test part begins.

A time is written as those of the table, or as year-month-day; parts may be left out from the end,
so that 2024-03 is the whole month, as in a slice of pandas. What is no time is the number of a
row, counted from 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lstmcore.formatting import count
from lstmcore.series import Table, Times
from lstmcore.series.times.span import Span, span_of


class Boundary(NamedTuple):
    """Where the test part begins. when: as the user wrote it, of the option --test-from or, the row
    before it, of --train-until."""

    when: str
    is_first: bool

    @property
    def option(self) -> str:
        """Return the option."""
        return "--test-from" if self.is_first else "--train-until"

    def rows(self, tables: Mapping[str, Table]) -> dict[str, int]:
        """Return how many rows of each of several series come before it."""
        count_rows = rows_before if self.is_first else rows_up_to
        return count_rows(self.option, self.when, tables)


def boundary(train_until: str | None, test_from: str | None, *, is_given: bool) -> Boundary | None:
    """Return where the test part begins, if an option says so. is_given: whether --test does.

    Raises:
      ValueError: several options say where it begins.
    """
    if (train_until is not None) + (test_from is not None) + is_given > 1:
        raise ValueError(
            "--test, --train-until and --test-from all say where the test part begins: give one "
            "of them"
        )
    if test_from is not None:
        return Boundary(test_from, is_first=True)
    return None if train_until is None else Boundary(train_until, is_first=False)


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


def rows_up_to(option: str, when: str, tables: Mapping[str, Table]) -> dict[str, int]:
    """Return how many rows of each of several series are not after a time, or up to a number.

    A series may begin after it, or end before it.

    Raises:
      ValueError: it is neither a time nor the number of a row.
    """
    return _rows_of_each(option, when, tables, are_before=False)


def rows_before(option: str, when: str, tables: Mapping[str, Table]) -> dict[str, int]:
    """Return how many rows of each of several series are before a time, or a number."""
    return _rows_of_each(option, when, tables, are_before=True)


def _rows_of_each(
    option: str, when: str, tables: Mapping[str, Table], *, are_before: bool
) -> dict[str, int]:
    """Return how many rows of each series are before a moment, or not after it."""
    years = [_years(table.times) for table in tables.values() if table.times is not None]
    spanned = [year for each in years if each is not None for year in (each[0], each[-1])]
    known = range(min(spanned), max(spanned) + 1) if spanned else None
    found = {}
    for name, table in tables.items():
        span = None if table.times is None else _span(when, table.times, table, known)
        if span is not None:
            moments = _moments(table)
            inside = ~span.begins_by(moments) if are_before else span.ends_after(moments)
            found[name] = int(inside.sum())
            continue
        is_number = when.isascii() and when.isdigit()
        row = int(when) if is_number else _numbered(option, when, table)
        found[name] = min(row + (not are_before), len(table.values))
    return found


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
    span = _span(when, times, table, _years(times)) if times is not None else None
    if times is None or span is None:
        row = _numbered(option, when, table)
        return row, row
    moments = _moments(table)
    not_before = np.flatnonzero(span.begins_by(moments))
    not_after = np.flatnonzero(span.ends_after(moments))
    if not len(not_before) or not len(not_after):
        where = "after" if not len(not_before) else "before"
        raise ValueError(
            f"{option} {when} is {where} the rows of the table, which are from {table.labels[0]} "
            f"to {table.labels[rows - 1]}"
        )
    return int(not_before[0]), int(not_after[-1])


def _moments(table: Table) -> np.ndarray:
    """Return the times of all rows, by the clock of the table, those that are skipped included."""
    times, rows = table.times, len(table.values)
    assert times is not None
    every = times.calendar.times(np.arange(rows)) if times.gaps else times.times[:rows]
    return times.form.clock(every)


def _years(times: Times) -> range | None:
    """Return the years of a table of dates, in which a number is a year and not a row."""
    if times.times.dtype.kind != "M":
        return None
    first, last = (times.times[[0, -1]].astype("M8[Y]").astype(int) + 1970).tolist()
    return range(first, last + 1)


def _span(when: str, times: Times, table: Table, years: range | None) -> Span | None:
    """Return the moments that a text stands for; None if it is no time as in the table."""
    options = table.options
    return span_of(
        when, times.form, years, day_first=options.day_first, time_format=options.time_format
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
            f"{option} {when} is not a time of the table, nor the number of one of "
            f"{count(rows, 'row')}, counted from 0"
        )
    return int(when)
