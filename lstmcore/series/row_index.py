"""The index of a table's rows: checked, put on what comes of the table, and carried on after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from lstmcore.formatting import count, shorten
from lstmcore.series.arguments import column_names
from lstmcore.series.frames import (
    is_pandas,
    make_frame,
    narwhals,
    read_frame,
    to_utc,
    type_of_times,
    with_column_before,
)
from lstmcore.series.times import errors
from lstmcore.series.times.calendar import Calendar, find_calendar, first_break
from lstmcore.series.times.zone import to_utc_roughly

DAY = 86_400_000_000  # microseconds
ROW = "row"  # the column of row numbers in a frame, where nothing else names the rows
CONSECUTIVE = "take the rows as consecutive without their times (reset_index(drop=True) in pandas)"


@dataclass(frozen=True, eq=False, repr=False)
class RowIndex:
    """The index of a table's rows.

    Attributes:
      rows: number of rows.
      library: of the table, as narwhals names it.
      times: series of narwhals of the times of the rows, or None.
      index: the index of pandas, or None.
      times_in_column: whether the times are a column of the table, not its index.
    """

    rows: int
    library: Any = "pandas"
    times: Any = None
    index: Any = None
    times_in_column: bool = False

    def __repr__(self) -> str:
        return f"RowIndex({count(self.rows, 'row')} of {self.library})"

    @classmethod
    def of(cls, table: Any, name: str = "table") -> RowIndex | None:
        """Return the index of a data frame or a series; None for a table of any other kind.

        Its times must rise by equal steps, as a model assumes: they may be months, quarters, years,
        or days without weekends.

        Raises:
          TimesError: times that are missing, not sorted, duplicate, or at irregular steps.
        """
        frame = read_frame(name, table)
        if frame is None:
            return None
        if frame.times is not None and (frame.times_in_column or not _has_step(frame.index)):
            _check_steps(frame.times)
        return cls(frame.rows, frame.library, frame.times, frame.index, frame.times_in_column)

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
        _, clock = _moments(self._times_at(positions))
        return [text.replace("T", " ") for text in clock.astype(f"M8[{_unit(clock)}]").astype(str)]

    def moments(self, positions: np.ndarray) -> np.ndarray:
        """Return the times of rows in UTC, datetime64[us] [n]; only of a table that has times."""
        return _moments(self._times_at(positions))[0]

    def _times_at(self, positions: np.ndarray) -> Any:
        """Return the times of rows as a series of narwhals."""
        nw, times = narwhals(), self.times
        beyond = int(positions.max(initial=-1)) + 1 - self.rows
        if beyond > 0:
            freq = None if self.times_in_column else getattr(self.index, "freq", None)
            later = _following(times, beyond) if freq is None else self._by(freq, beyond)
            parts = [part.alias(ROW).to_frame() for part in (times, later)]
            times = nw.concat(parts)[ROW]
        rows = _as_slice(positions)
        return times[positions.tolist()] if rows is None else times[rows]

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


def _has_step(index: Any) -> bool:
    """Return whether pandas knows the step of an index of times; periods may have gaps."""
    is_known = getattr(index, "freq", None) is not None and not hasattr(index, "to_timestamp")
    return is_known and index.is_monotonic_increasing


def _check_steps(times: Any) -> None:
    """Raise TimesError unless the times rise by equal steps."""
    unknown = times.is_null().to_numpy()
    errors.MixedTimesError.refuse(
        unknown, "has no time: remove the row, or write its time", ["missing"] * len(times)
    )
    moments, _ = _moments(times)
    if len(moments) < 2:
        return
    unit = f"M8[{_unit(moments)}]"

    def text(row: int) -> str:
        return str(moments[row].astype(unit))

    backward = moments[1:] <= moments[:-1]
    if backward.any():
        row = int(backward.argmax()) + 1
        if moments[row] == moments[row - 1]:
            raise errors.DuplicateTimesError(
                "has the same time as the row before it: keep one of them, or their mean",
                row,
                text(row),
            )
        raise errors.UnsortedTimesError(
            f"comes before {text(row - 1)}, the row above it: sort the rows by time",
            row,
            text(row),
        )
    found = _calendar(times)
    if found is None:
        usual, row, step = first_break(moments)
        raise errors.IrregularTimesError(
            f"is {step} after {text(row)}, but most rows are {usual} apart: resample the table, "
            f"or {CONSECUTIVE}",
            row + 1,
            text(row + 1),
        )
    calendar, positions, _ = found
    skipped = int(positions[-1]) + 1 - len(positions)
    if skipped:
        row = int((np.diff(positions) > 1).argmax()) + 1
        raise errors.IrregularTimesError(
            f"comes after a gap: at steps of {calendar.interval}, {count(skipped, 'row')} of the "
            f"table {'is' if skipped == 1 else 'are'} left out; insert them as missing values "
            f"(asfreq in pandas, upsample in polars), or {CONSECUTIVE}",
            row,
            text(row),
        )


def _moments(times: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (times in UTC, times by the local clock), datetime64[us] [rows] each."""
    if getattr(type_of_times(times), "time_zone", None) is None:
        clock = times.to_numpy().astype("M8[us]")
        return clock, clock
    utc, clock = (
        zoned.dt.replace_time_zone(None).to_numpy().astype("M8[us]")
        for zoned in (to_utc(times), times)
    )
    return utc, clock


def _calendar(times: Any) -> tuple[Calendar, np.ndarray, bool] | None:
    """Return (calendar, positions on it, whether it is that of the local clock), or None.

    Days and months are regular by the clock alone where it is put forward and back; days that are
    regular in UTC as well, since it was not, go on by the clock, unless they begin at midnight UTC.
    """
    found, both = [], _moments(times)
    in_utc, by_clock = (moments[0] == moments[0].astype("M8[D]") for moments in both)
    for is_clock, moments in enumerate(both if both[0] is not both[1] else both[:1]):
        calendar = find_calendar(moments) if (moments[1:] > moments[:-1]).all() else None
        if calendar is not None:
            found.append((*calendar, bool(is_clock)))

    def rank(one: tuple[Calendar, np.ndarray, bool]) -> tuple[int, bool]:
        calendar, positions, is_clock = one
        is_finer = calendar.unit == "microsecond" and bool(calendar.step % DAY)
        return int(positions[-1]), is_clock == (is_finer or (in_utc and not by_clock))

    return min(found, key=rank, default=None)


def _following(times: Any, rows: int) -> Any:
    """Return the times of the rows after the last one, as a series of narwhals like `times`."""
    found = _calendar(times) if len(times) > 1 else None
    if found is None:
        raise ValueError("the table has a single row, whose time does not say the next one")
    calendar, positions, is_clock = found
    later = calendar.times(positions[-1] + 1 + np.arange(rows))
    dtype = type_of_times(times)
    zone = getattr(dtype, "time_zone", None)
    if is_clock and zone:
        later = _in_utc(later, times, zone)
    series = narwhals().new_series(ROW, later.astype("M8[us]"), backend=times.implementation)
    if zone:
        series = series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone)
    return series.cast(dtype)


def _in_utc(clock: np.ndarray, times: Any, zone: str) -> np.ndarray:
    """Return UTC of later times by the local clock."""
    try:
        return to_utc_roughly(clock, zone)
    except ValueError:  # no zone with a name, but an offset such as "+01:00"
        utc, local = _moments(times)
        return clock - (local[-1] - utc[-1])


def _unit(moments: np.ndarray) -> str:
    """Return the coarsest of days, minutes, seconds and microseconds that tells the times."""
    units = ("D", "m", "s", "us")
    return next(unit for unit in units if (moments.astype(f"M8[{unit}]") == moments).all())
