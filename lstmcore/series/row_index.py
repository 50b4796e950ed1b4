"""The index of a table's rows: put on what comes of the table, and carried on after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmcore.formatting import count, shorten
from lstmcore.series.arguments import column_names
from lstmcore.series.arrays import is_table
from lstmcore.series.frame_times import (
    check_steps,
    coarsest_unit,
    moments_of,
    series_of,
    times_after,
)
from lstmcore.series.frames import (
    installed_library,
    is_pandas,
    make_frame,
    narwhals,
    read_frame,
    type_of_times,
    with_column_before,
)
from lstmcore.series.times import errors
from lstmcore.series.times.calendar import Calendar, Consecutive
from lstmcore.series.times.zone import to_utc_roughly

ROW = "row"  # the column of row numbers in a frame, where nothing else names the rows


@dataclass(frozen=True, eq=False, repr=False)
class RowIndex:
    """The index of a table's rows.

    Attributes:
      rows: number of rows.
      library: of the table, as narwhals names it.
      times: series of narwhals of the times of the rows, or None.
      index: the index of pandas, or None.
      times_in_column: whether the times are a column of the table, not its index.
      calendar: of times that rows have in no regular order, such as sessions; None of regular ones.
    """

    rows: int
    library: Any = "pandas"
    times: Any = None
    index: Any = None
    times_in_column: bool = False
    calendar: Calendar | Consecutive | None = None

    def __repr__(self) -> str:
        return f"RowIndex({count(self.rows, 'row')} of {self.library})"

    @classmethod
    def of(cls, table: Any, name: str = "table") -> RowIndex | None:
        """Return the index of a data frame, a series or a `Table`; None for an array or a dict.

        That of a Table needs a library of data frames; it is None if none is installed.

        Its times must rise by equal steps, as a model assumes: they may be months, quarters, years,
        or days without weekends.

        Raises:
          TimesError: times that are missing, not sorted, duplicate, or at irregular steps.
        """
        if is_table(table):
            check_no_gaps(table)
            library = installed_library()
            return None if library is None else cls.of_table(table, library)
        frame = read_frame(name, table)
        if frame is None:
            return None
        if frame.times is not None and (frame.times_in_column or not _has_step(frame.index)):
            check_steps(frame.times)
        return cls(frame.rows, frame.library, frame.times, frame.index, frame.times_in_column)

    @classmethod
    def of_table(cls, table: Any, library: str) -> RowIndex:
        """Return the index of a `series.Table`, as a frame of a library has it.

        Raises:
          ImportError: narwhals or the library is not installed.
        """
        rows, times = len(table.values), table.times
        moments = None if times is None else table.moments()
        if is_pandas(library) and (moments is None or moments.dtype.kind == "f"):
            if isinstance(table.labels, range):
                return cls(rows, library)
            labels = list(table.labels) if moments is None else whole_numbers(moments)
            index = make_frame({ROW: labels}, library).set_index(ROW).index
            return cls(rows, library, index=index.rename(table.label_name))
        if moments is None or moments.dtype.kind == "f":
            return cls(rows, library)
        zone = times.form.time_zone
        if zone and times.form.by_clock:
            moments = to_utc_roughly(moments, zone)
        series = series_of(moments, library, zone).alias(table.label_name)
        calendar = times.calendar if isinstance(times.calendar, Consecutive) else None
        if not is_pandas(library):
            return cls(rows, library, series, times_in_column=True, calendar=calendar)
        index = series.alias(ROW).to_frame().to_native().set_index(ROW).index
        return cls(rows, library, series, index.rename(table.label_name), calendar=calendar)

    @property
    def has_numbers(self) -> bool:
        """Return whether the rows are named by whole numbers, not by times."""
        if self.times is not None or self.index is None:
            return False
        return getattr(self.index.dtype, "kind", "") in ("i", "u")

    @classmethod
    def numbered(cls, rows: int = 0) -> RowIndex:
        """Return the index of an array, whose rows are numbered from 0."""
        return cls(rows)

    def frame(self, columns: Mapping[str, Any], positions: Any, library: Any = None) -> Any:
        """Return columns as a data frame whose rows are named as those of the table.

        Args:
          columns: by name, an array or a list [n] each.
          positions: int [n], the row of the table that each belongs to. Rows after the last one are
            named by the times, or the numbers, that come next.
          library: "pandas", "polars" or "pyarrow"; None takes that of the table.

        Returns:
          A data frame. Times that are a column of the table are the first column; otherwise the
          names are the index in pandas, and elsewhere the first column. The index of a table of
          pandas is kept in both cases.

        Raises:
          ValueError: the rows have names that do not say the next ones, a column is called as the
            names of the rows are, or an unknown library.
          ImportError: the library is not installed.
        """
        positions = np.asarray(positions, np.int64)
        library = self.library if library is None else library
        if is_pandas(library) and not self.times_in_column:
            frame = make_frame(columns, library)
            frame.index = positions if self.index is None else self._index_at(positions)
            return frame
        name = ROW
        if self.times is not None:
            name = str(self.times.name or "time")
        elif self.index is not None:
            name = str(self.index.name or ROW)
        if name in columns:
            raise ValueError(
                f"the names of the rows need a column {shorten(name)!r}, but another one is called "
                "so as well: rename one of the two in the table"
            )
        if self.times is None or library != self.library:
            return make_frame({name: self.labels(positions, library), **columns}, library)
        frame = with_column_before(make_frame(columns, library), name, self._times_at(positions))
        if self.index is not None:
            # By it, not by their order, pandas aligns rows that are added to the table.
            with suppress(ValueError):  # later rows, which have a time but no label
                frame.index = self._index_at(positions)
        return frame

    def labels(self, positions: np.ndarray, library: Any = None) -> Any:
        """Return the names of rows [n], for a frame of `library`: times, labels, or numbers."""
        library = self.library if library is None else library
        in_index = self.index is not None and not self.times_in_column
        if in_index and (self.times is None or is_pandas(library)):
            return self._index_at(positions)
        return positions if self.times is None else self._times_at(positions).to_list()

    def texts(self, positions: np.ndarray) -> list[str]:
        """Return the names of rows [n] as texts; times are as short as all of them allow.

        Raises:
          ValueError: names that do not say the next ones.
        """
        if self.times is None or hasattr(self.index, "to_timestamp"):  # periods: "2024Q1"
            return list(map(str, self.labels(positions)))
        _, clock = moments_of(self._times_at(positions))
        return [
            text.replace("T", " ")
            for text in clock.astype(f"M8[{coarsest_unit(clock)}]").astype(str)
        ]

    def moments(self, positions: np.ndarray) -> np.ndarray:
        """Return the times of rows in UTC, datetime64[us] [n]; only of a table that has times."""
        return moments_of(self._times_at(positions))[0]

    def clock(self, positions: np.ndarray) -> np.ndarray:
        """Return the times of rows by the local clock, as `moments`."""
        return moments_of(self._times_at(positions))[1]

    def _times_at(self, positions: np.ndarray) -> Any:
        """Return the times of rows as a series of narwhals."""
        nw, times = narwhals(), self.times
        beyond = int(positions.max(initial=-1)) + 1 - self.rows
        if beyond > 0:
            freq = None if self.times_in_column else getattr(self.index, "freq", None)
            if self.calendar is not None:
                later = self._by_calendar(beyond)
            else:
                later = times_after(times, beyond) if freq is None else self._by(freq, beyond)
            parts = [part.alias(ROW).to_frame() for part in (times, later)]
            times = nw.concat(parts)[ROW]
        rows = _as_slice(positions)
        return times[positions.tolist()] if rows is None else times[rows]

    def _by_calendar(self, rows: int) -> Any:
        """Return the times of the rows after the last one by the calendar of the table."""
        assert self.calendar is not None
        try:
            later = self.calendar.times(self.rows + np.arange(rows))
        except LookupError as error:
            raise ValueError(
                f"the times of the table do not say what comes next ({error}): number its rows "
                "with table.to_frame().reset_index(drop=True)"
            ) from error
        dtype = type_of_times(self.times)
        zone = getattr(dtype, "time_zone", None)
        later = to_utc_roughly(later, zone) if zone else later
        return series_of(later, self.times.implementation, zone).cast(dtype)

    def _by(self, freq: Any, rows: int) -> Any:
        """Return the times of the rows after the last one by the frequency of pandas."""
        pandas = narwhals().get_native_namespace(self.times)
        is_periods = hasattr(self.index, "to_timestamp")
        # Not by adding `freq`: before pandas 3 a day is 24 hours, also where the clock changes.
        made = pandas.period_range if is_periods else pandas.date_range
        later = made(self.index[-1], periods=rows + 1, freq=freq)[1:]
        later = later.to_timestamp() if is_periods else later
        series = narwhals().from_native(later.to_series(), series_only=True)
        return series.cast(type_of_times(self.times))

    def _index_at(self, positions: np.ndarray) -> Any:
        """Return the index of pandas at these rows."""
        index = self.index
        if (positions < self.rows).all():
            rows = _as_slice(positions)
            return index[positions if rows is None else rows]
        if self.times is not None and not self.times_in_column:
            times = self._times_at(positions)
            later = times.alias(ROW).to_frame().to_native().set_index(ROW).index
            later = later.to_period(index.freq) if hasattr(index, "to_timestamp") else later
            if hasattr(later, "to_period"):
                with suppress(ValueError):  # rows that are not consecutive have no frequency
                    later.freq = index.freq
            return later.rename(index.name)
        numbers = index.to_numpy()
        steps = np.diff(numbers) if numbers.dtype.kind in "iu" else np.zeros(0)
        if not len(steps) or (steps != steps[0]).any() or not steps[0]:
            raise ValueError(
                f"the last row of the table is {index[-1]!r}, and its index does not say what "
                "comes next: give it one of times, or of numbers at equal steps, such as "
                "table.reset_index(drop=True)"
            )
        later = make_frame({ROW: numbers[0] + positions * steps[0]}, self.library)
        return later.set_index(ROW).index.rename(index.name)


def check_row_times(table: Any, name: str = "table") -> None:
    """Raise TimesError unless the times of a data frame, if it has some, rise by equal steps."""
    RowIndex.of(table, name)


class UnknownClockError(ValueError):
    """Times that do not say what the local clock shows, or will show."""


def clock_of(table: Any, positions: np.ndarray, name: str = "table") -> np.ndarray | None:
    """Return the times of rows by the local clock, datetime64[us] [n]; None if there are none.

    Rows after the last one have the times that come next.

    Args:
      table: a data frame or a `series.Table`; arrays, dicts, and rows that are numbered or named
        have no times.
      positions: int [n].
      name: of the argument, for errors.

    Raises:
      ValueError: times at irregular steps.
      UnknownClockError: times that do not say what comes next, or that show several offsets from
        UTC without the name of their zone.
    """
    if not is_table(table):
        index = RowIndex.of(table, name)
        return None if index is None or index.times is None else index.clock(positions)
    times = table.times
    if times is None or times.times.dtype.kind != "M":
        return None
    check_no_gaps(table)
    if times.form.has_several_offsets:
        raise UnknownClockError(
            f"the times of {name} show several offsets from UTC, so that their local clock, which "
            "the calendar needs, is not known: read the table with the name of its time_zone "
            "(--time-zone Europe/Berlin), or train with calendar='off' (--calendar off)"
        )
    try:
        return times.form.clock(times.calendar.times(positions))
    except LookupError as error:
        raise UnknownClockError(
            f"the times of {name} do not say what comes next ({error}), which the calendar needs: "
            "train with calendar='off' (--calendar off)"
        ) from error


def first_rows(table: Any, stop: int) -> Any:
    """Return the rows before row `stop` of any table, with their times."""
    if is_table(table):
        return table.first(stop)
    if read_frame("table", table) is not None:
        return narwhals().from_native(table, allow_series=True).head(stop).to_native()
    if isinstance(table, Mapping):
        return {name: values[:stop] for name, values in table.items()}
    return table[:stop]


def check_no_gaps(table: Any) -> None:
    """Raise IrregularTimesError if the times of a `series.Table` leave out rows."""
    times, rows = table.times, len(table.values)
    if times is None or not times.gaps or not table.has_own_rows():
        return
    skipped = np.diff(times.positions[:rows]) - 1
    if skipped.any():
        row = int((skipped > 0).argmax()) + 1
        raise errors.IrregularTimesError(
            f"comes after a gap: at steps of {times.interval}, {count(int(skipped.sum()), 'row')} "
            "of the table are left out; insert them as missing values with series.regular(table)",
            row,
            str(table.labels[row]),
        )


def label_of(table: Any, row: int) -> str | None:
    """Return the time or the label of a row; None if rows are only numbered."""
    if is_table(table):
        return None if isinstance(table.labels, range) else str(table.labels[row])
    frame = read_frame("table", table)
    if frame is None or (frame.times is None and _is_numbered(frame.index)):
        return None
    index = RowIndex(frame.rows, frame.library, frame.times, frame.index, frame.times_in_column)
    return index.texts(np.array([row]))[0]


def cell_of(table: Any, row: int, column: int, columns: Sequence[str] | None = None) -> str:
    """Return a cell by its names: "column 'load' at 2024-01-31"; or by numbers counted from 0.

    Args:
      table: as `as_table` takes it.
      row, column: numbers of the cell, counted from 0.
      columns: names, if they are not those of the table.

    Examples:
      >>> cell_of({"load": [5.0, 6.0]}, 1, 0), cell_of(np.zeros((2, 2)), 1, 0)
      ("column 'load', row 1 (counted from 0)", 'row 1, column 0 (counted from 0)')
    """
    names = column_names(table) if columns is None else columns
    label = label_of(table, row)
    if names is None and label is None:
        return f"row {row}, column {column} (counted from 0)"
    name = column if names is None else repr(shorten(names[column]))
    return f"column {name}" + (f", row {row} (counted from 0)" if label is None else f" at {label}")


def like(
    table: Any, values: np.ndarray, columns: Sequence[str] | None = None, *, first: int = 0
) -> Any:
    """Return numbers that belong to the rows of a table as a data frame, if the table is one.

    Args:
      table: a data frame or a series; any other table gives the numbers as they are.
      values: [n, F].
      columns: F names; None takes those of the table, or column_0, column_1, ...
      first: the row of the table that the first of these belongs to.

    Returns:
      `values`, or a data frame with the index of the table, or with its column of times before the
      F columns.

    Examples:
      >>> import pandas
      >>> days = pandas.date_range("2024-01-01", periods=3)
      >>> table = pandas.DataFrame({"load": [5.0, 6.0, 8.0]}, index=days)
      >>> print(like(table, np.array([[1.0], [2.0]]), first=1))
                  load
      2024-01-02   1.0
      2024-01-03   2.0
    """
    rows = RowIndex.of(table)
    if rows is None:
        return values
    names = column_names(table) if columns is None else columns
    names = names or [f"column_{place}" for place in range(values.shape[1])]
    named = dict(zip(names, values.T, strict=True))
    if rows.times is None and rows.index is None:
        return make_frame(named, rows.library)
    return rows.frame(named, first + np.arange(len(values)))


def _as_slice(positions: np.ndarray) -> slice | None:
    """Return consecutive positions as a slice, which pandas and polars take without a copy."""
    if not len(positions) or (np.diff(positions) != 1).any():
        return None
    return slice(int(positions[0]), int(positions[-1]) + 1)


def _is_numbered(index: Any) -> bool:
    """Return whether an index of pandas, or None, only counts the rows from 0."""
    return index is None or (hasattr(index, "step") and (index.start, index.step) == (0, 1))


def _has_step(index: Any) -> bool:
    """Return whether pandas knows the step of an index of times; periods may have gaps."""
    is_known = getattr(index, "freq", None) is not None and not hasattr(index, "to_timestamp")
    return is_known and index.is_monotonic_increasing


def whole_numbers(numbers: np.ndarray) -> np.ndarray:
    """Return whole numbers as integers, others as they are."""
    return numbers.astype(np.int64) if (numbers == np.rint(numbers)).all() else numbers
