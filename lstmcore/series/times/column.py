"""Read a column of times in any common form, with the format to write more of them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.series.row_names import LazyTexts, RowNames
from lstmcore.series.times import errors, moments
from lstmcore.series.times import numbers as time_numbers
from lstmcore.series.times import text as time_text
from lstmcore.series.times import zone as zones
from lstmcore.series.times.format import DAY, END, FIRST, MONTHS, Part, TimeFormat, TimeLabels

ENOUGH = 10  # rows, whose order shows on which side of a date the year is
ORDERS = {  # of three numbers, the fields number1, number2 and number3
    "day.month.year": ("day", "month", "year2"),
    "month/day/year": ("month", "day", "year2"),
    "year-month-day": ("year2", "month", "day"),
}
ISO = tuple(
    Part(kind, style)
    for kind, style in (
        ("year", "4"), ("literal", "-"), ("month", "2"), ("literal", "-"), ("day", "2"),
        ("literal", "T"), ("hour", "2"), ("literal", ":"), ("minute", "2"), ("literal", ":"),
        ("second", "2"), ("literal", "."), ("fraction", "6"),
    )
)  # fmt: skip
ISO_PARTS = {"M": 3, "D": 5, "h": 7, "m": 9, "s": 11, "ms": 13, "us": 13}  # down to this unit


class TimeColumn(NamedTuple):
    """The times of a column, in the order of its rows, sorted or not.

    Attributes:
      times: [rows], of datetime64 in microseconds, or float64 if they are plain numbers.
      form: their format; `str` of it describes it: "day.month.year hour:minute".
      labels: text of each row, as it was given.
    """

    times: np.ndarray
    form: TimeFormat
    labels: Sequence[str]

    def clock(self) -> np.ndarray:
        """Return the times as the clock shows them, where they are counted in UTC."""
        return self.form.clock(self.times)

    def take(self, rows) -> TimeColumn:
        """Return these rows, given as a slice or an array of positions."""
        labels = self.labels if isinstance(self.labels, LazyTexts) else RowNames(self.labels)
        return TimeColumn(self.times[rows], self.form, labels.take(rows))


def read_times(
    labels: Sequence | np.ndarray,
    *,
    day_first: bool | None = None,
    time_zone: str | None = None,
    time_format: str | None = None,
) -> TimeColumn | None:
    """Read a column of times in any common form.

    ===============================================  =============================================
    text                                             how it is read
    ===============================================  =============================================
    2024-01-08, 2024-1-8, 2024/01/08, 2024.01.08,    year, month, day
    20240108, 2024 Jan 8
    8 Jan 2024, 08-Jan-24, January 8th, 2024,        day, named month, year; the name of a weekday
    Monday, January 8 2024                           is ignored
    31.12.2013, 12/31/2013                           what is above 12 in some row is the day in all
                                                     rows; if no row has one: refused, `day_first`
    31.12.13                                         the same; if it may be 2031-12-13, too: the one
                                                     that puts ten rows or more in order, or refused
    2024-01, 01/2024, Jan 2024, 2024M01, 2022_01,    months
    2023.01
    2024Q1, Q1 2024, 1Q24, 2024H1                    quarters and half-years
    2024-W02, 2024-W02-1, 2024-008                   weeks of ISO 8601, days of the year
    9:00, T0900, 09:00:30.5, 09:00:30,5, 1:00 PM     time of day after any date; 24:00 is midnight,
                                                     a leap second (:60) the next minute
    Z, UTC, GMT, +01, +0100, +01:00, UTC+1           offset from UTC after any time of day
    9:00                                             times of day alone: of one day, else refused
    yyyymm, yyyymmdd, yyyymmddHH, ..HHMM, ..HHMMSS   compact times of the years 1900 to 2100, if
                                                     every row can be one
    1704067200, or in ms, us, ns                     since 1970, if every row has 10, 13, 16 or 19
                                                     digits and is of the years 2001 to 2100
    yyyyww, yyyyddd, yymmdd, 0930                    may only count: refused, see `time_format`
    any other number: 1999, 0.5, 45292               a number: years, seconds, a count; serial days
                                                     of a spreadsheet if `time_format` says so, and
                                                     refused where it matters (hours, business days)
    ===============================================  =============================================

    Two-digit years are those from 1969 to 2068. The first text that is not empty sets the form of a
    column; all others must have it, except for the end of a time of day (spreadsheets leave out
    midnight, programs a fraction of 0) and leading zeros. An offset that is the same in all rows is
    kept. Different offsets are converted to UTC, except for days at one clock time, which keep the
    local clock. Parts of a microsecond are dropped.

    Args:
      labels: one per row, text as in a CSV file, or anything whose `str` is such text: numbers,
        datetimes, datetime64; an array of bytes is taken for UTF-8 without spaces at the ends.
      day_first: whether 02-01-2024 is the second of January; None: the column must show it.
      time_zone: the zone whose clock the column shows, "Europe/Berlin": where clocks change, hours
        are counted in UTC, and later times are written by the local clock. None assumes days of 24
        hours.
      time_format: the meaning of numbers: "number", "s", "ms", "us" or "ns" since 1970, "excel"; or
        the format of any column with the directives of strptime: "%d.%m.%y".

    Returns:
      TimeColumn; None if the labels are words, or there are none.

    Raises:
      AmbiguousTimesError: times that may be read in several ways.
      ImpossibleTimesError: a time that does not exist, such as 2024-02-30.
      MixedTimesError: a text in another format than the first.
      ValueError: an unknown time zone or directive. All other errors are TimesErrors, which have
        the row.

    Examples:
      >>> from lstmcore import series
      >>> column = series.read_times(["30.12.2013 9:00", "31.12.2013 9:00"])
      >>> print(column.form, column.times[0])
      day.month.year hour:minute 2013-12-30T09:00:00.000000
      >>> series.read_times(["02-01-2024", "01-01-2024"], day_first=True).times.astype("M8[D]")
      array(['2024-01-02', '2024-01-01'], dtype='datetime64[D]')
    """
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "M":
        return _from_datetimes(labels, time_zone)
    if isinstance(labels, np.ndarray) and labels.dtype.kind == "S":
        texts: Sequence[str] = RowNames(labels)
    else:
        texts = [text.strip() if type(text) is str else str(text).strip() for text in labels]
    first = next(filter(None, texts), "")
    cells = time_text.as_cells(texts) if first else None
    if cells is None:
        return None
    if first != texts[0]:
        raise errors.MixedTimesError("is empty: remove the row, or write its time", 0, texts[0])
    if time_format is None and time_zone is None and len(cells) > 1:
        times = time_text.iso_times(cells)
        if times is not None:
            form = _form_of(cells[:1])
            return TimeColumn(times, form, TimeLabels(times, form))
    first = cells[0].decode()
    is_asked = time_format is not None
    if not is_asked and time_numbers.NUMBER.fullmatch(first):
        time_format = time_numbers.format_of(cells, texts)
    if time_format in time_numbers.NAMED_FORMATS:
        times = time_numbers.whole_epochs(cells, time_format)
        if times is not None:
            form = TimeFormat((Part("epoch", f"{time_format} 0"),))
            return TimeColumn(times, form, TimeLabels(times, form))
        times, parts = time_numbers.read_named(cells, texts, time_format)
        if not is_asked and time_format == "number":
            time_numbers.check_serial_days(times, cells, texts)
        return _with_labels(times, TimeFormat(parts), texts)
    match = time_text.recognise if time_format is None else time_text.matcher_of(time_format)
    if time_format is None and match(first) is None:
        return None
    fields = time_text.split_fields(cells, texts, match)
    return _assemble(fields, texts, day_first, time_zone)


def _form_of(cells: np.ndarray) -> TimeFormat:
    """Return the format of times that are beyond doubt."""
    column = read_times(cells)
    assert column is not None
    return column.form


def join_columns(dates: Sequence, clocks: Sequence) -> list[str]:
    """Join a column of dates with one of times of day, for `read_times`.

    Args:
      dates: text of each row, in any form.
      clocks: text of each row: 9:00, 1:00 PM, or plain digits: 0 to 24 for hours, else HHMM
        without or with leading zeros (930, 0930), or six digits HHMMSS.

    Raises:
      ValueError: columns of different lengths.
      ImpossibleTimesError: digits that are no time of day.

    Examples:
      >>> from lstmcore import series
      >>> series.join_columns(["31.12.2013", "31.12.2013"], ["930", "1000"])
      ['31.12.2013 09:30', '31.12.2013 10:00']
    """
    dates, clocks = [str(date).strip() for date in dates], [str(text).strip() for text in clocks]
    if len(dates) != len(clocks):
        raise ValueError(f"there are {len(dates)} dates but {len(clocks)} times of day")
    if all(date.isascii() and date.removesuffix(".0").isdigit() for date in dates):
        dates = [date.removesuffix(".0") for date in dates]  # floats, for a missing value
    if all(clock.isascii() and clock.removesuffix(".0").isdigit() for clock in clocks):
        clocks = [clock.removesuffix(".0") for clock in clocks]
        are_hours = all(int(clock) <= 24 and len(clock) <= 2 for clock in clocks)
        width = 2 if are_hours else 6 if max(map(len, clocks)) > 4 else 4
        padded = [clock.zfill(width) for clock in clocks]
        for row, clock in enumerate(padded):
            if len(clock) > width or clock[:2] > "24" or clock[2:4] > "59" or clock[4:] > "59":
                raise errors.ImpossibleTimesError("is not a time of day", row, clocks[row])
        clocks = [_with_colons(clock) for clock in padded]
    return [f"{date} {clock}" for date, clock in zip(dates, clocks, strict=True)]


def _with_colons(digits: str) -> str:
    """Write "09", "0930" or "093015" as "09:00", "09:30" or "09:30:15"."""
    digits = digits.ljust(4, "0")
    return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2))


def _with_labels(times: np.ndarray, form: TimeFormat, texts: Sequence[str]) -> TimeColumn:
    """Keep no texts where the format writes the same."""
    labels = TimeLabels(times, form)
    is_same = all(map(operator.eq, labels, texts))
    return TimeColumn(times, form, labels if is_same else texts)


def _from_datetimes(array: np.ndarray, time_zone: str | None) -> TimeColumn | None:
    if not len(array):
        return None
    if np.isnat(array).any():
        row = int(np.isnat(array).argmax())
        raise errors.MixedTimesError("is not a date: remove the row, or write its time", row, "NaT")
    times = array.astype("M8[us]")
    given = np.datetime_data(array.dtype)[0]
    if given in ("Y", "M"):
        unit = given
    else:
        units = ("D", "m", "s", "ms", "us")
        unit = next(unit for unit in units if (times.astype(f"M8[{unit}]") == times).all())
    parts = [*ISO[: {"Y": 1, **ISO_PARTS}[unit]]]
    if unit == "ms":
        parts[-1] = Part("fraction", "3")
    return _in_zone(times, tuple(parts), time_zone, TimeLabels(times, TimeFormat(tuple(parts))))


def _assemble(
    fields: time_text.Fields, texts: Sequence[str], day_first: bool | None, time_zone: str | None
) -> TimeColumn:
    """Turn the fields of a column into moments."""
    numbers, parts = dict(fields.numbers), fields.parts
    if "zonename" in numbers:
        raise errors.AmbiguousTimesError(
            "ends in the name of a time zone, which may mean several offsets from UTC: remove it, "
            "and pass time_zone, such as time_zone='Europe/Berlin'",
            0,
            texts[0],
        )
    if "unclear" in numbers:
        month, number = MONTHS[numbers["monthname"][0] - 1], numbers["unclear"][0]
        raise errors.AmbiguousTimesError(
            f"may be {month} of the year {number:02} or day {number} of {month}: write years with "
            "four digits, or pass time_format='%b-%y'",
            0,
            texts[0],
        )
    if "number1" in numbers:
        order = _settle_order(numbers, texts, day_first)
        names = dict(zip(("number1", "number2", "number3"), order, strict=True))
        numbers.update({names[name]: numbers[name] for name in names if name in numbers})
        parts = tuple(part._replace(kind=names.get(part.kind, part.kind)) for part in parts)
    days = moments.days(numbers, texts)
    clock, is_exact, is_at_end = moments.microseconds(numbers, texts)
    if is_at_end:
        parts = tuple(
            part._replace(kind="hour24") if part.kind == "hour" else part for part in parts
        )
    times = (days * DAY + clock).astype("M8[us]")
    if "dayname" in numbers:
        is_exact &= bool(((days + 3) % 7 == numbers["dayname"]).all())
    if not (numbers.keys() & {"year", "year2", "isoyear"}):
        _check_one_day(times, texts)
    if "zone" in numbers:
        fields = fields._replace(uniform=fields.uniform and is_exact)
        return _with_offsets(times, parts, fields, texts, time_zone)
    labels = TimeLabels(times, TimeFormat(parts)) if fields.uniform and is_exact else texts
    return _in_zone(times, parts, time_zone, labels)


def _settle_order(
    numbers: dict[str, np.ndarray], texts: Sequence[str], day_first: bool | None
) -> tuple[str, str, str]:
    """Return which fields number1, number2 and number3 are, by the column or `day_first`."""
    triple = [numbers.get(f"number{place}", numbers.get("year")) for place in (1, 2, 3)]

    def ordered(name):
        found = dict(zip(ORDERS[name], triple, strict=True))
        year = found["year2"] if "year" in numbers else moments.full_year(found["year2"])
        return year, found["month"], found["day"]

    names = [name for name in ORDERS if "number3" in numbers or not name.startswith("year")]
    exists = {name: moments.exists(*ordered(name)) for name in names}
    possible = [name for name in names if exists[name].all()]
    if day_first is not None:
        asked = names[0] if day_first else names[1]
        if asked not in possible and not day_first and names[-1] in possible:
            asked = names[-1]
        possible = [asked]
        reason = f"is not a date as {asked}, which day_first={day_first} asks for"
        errors.ImpossibleTimesError.refuse(~exists[asked], reason, texts)
    if not possible:
        raise _contradiction(exists, texts)
    readings = [np.stack(ordered(name)) for name in possible]
    if len(possible) == 2 and "year-month-day" in possible and len(texts) >= ENOUGH:
        in_order = [_is_in_order(reading) for reading in readings]
        if in_order[0] != in_order[1]:
            return ORDERS[possible[in_order.index(True)]]
    for name, reading in zip(possible[1:], readings[1:], strict=True):
        different = (reading != readings[0]).any(axis=0)
        if different.any():
            row = int(different.argmax())
            shown = [_day_text(readings[0][:, row]), _day_text(reading[:, row])]
            raise errors.AmbiguousTimesError(
                f"does not say which number is the month, nor does any other row: {shown[0]} as "
                f"{possible[0]}, or {shown[1]} as {name}; pass day_first=True or "
                "day_first=False, or write dates as 2024-01-31",
                row,
                texts[row],
            )
    return ORDERS[possible[0]]


def _is_in_order(reading: np.ndarray) -> bool:
    """Return whether dates, year, month and day [3, rows], only rise or only fall."""
    year, month, day = reading
    steps = np.diff((year * 12 + month) * 31 + day)
    return bool((steps >= 0).all() or (steps <= 0).all())


def _contradiction(exists: dict[str, np.ndarray], texts: Sequence[str]) -> errors.TimesError:
    nowhere = ~np.any(list(exists.values()), axis=0)
    if nowhere.any():
        row = int(nowhere.argmax())
        return errors.ImpossibleTimesError("is not a date: there is no such day", row, texts[row])
    row = max(int(mask.argmin()) for mask in exists.values())
    return errors.MixedTimesError(
        "is not a date in the order of the rows before it: in some rows the first number can only "
        "be the day, in others only the month; write all dates as 2024-01-31",
        row,
        texts[row],
    )


def _day_text(reading: np.ndarray) -> str:
    year, month, day = map(int, reading)
    return f"{day} {MONTHS[month - 1]} {year}"


def _check_one_day(times: np.ndarray, texts: Sequence[str]) -> None:
    back = times[1:] <= times[:-1]
    if back.any():
        row = int(back.argmax()) + 1
        raise errors.AmbiguousTimesError(
            f"is a time of day without a date, after {texts[row - 1]}: join it with the column of "
            "dates",
            row,
            texts[row],
        )


def _with_offsets(
    times: np.ndarray,
    parts: tuple[Part, ...],
    fields: time_text.Fields,
    texts: Sequence[str],
    time_zone: str | None,
) -> TimeColumn:
    """Return the column of texts that end in an offset from UTC; `times` are those of the clock."""
    numbers, zero = fields.numbers, np.zeros(len(texts), np.int64)
    hours, minutes = (numbers.get(name, zero) for name in ("zonehour", "zoneminute"))
    errors.ImpossibleTimesError.refuse(
        (hours > 23) | (minutes > 59), "has an offset from UTC that does not exist", texts
    )
    sign = np.where(numbers.get("sign", zero) < 0, -1, 1)
    minutes = sign * (60 * hours + np.maximum(minutes, 0))
    style = fields.tail.lstrip()
    blank = (Part("literal", " "),) if style != fields.tail else ()
    is_constant = bool((minutes == minutes[0]).all())
    if is_constant and time_zone is None:
        form = TimeFormat((*parts, Part("literal", fields.tail)))
        labels = TimeLabels(times, form) if fields.uniform else texts
        return TimeColumn(times, form, labels)
    # Where clocks change, days have 23 or 25 hours, but they are days.
    by_clock = _are_days(times)
    if not by_clock:
        times = times - minutes.astype("m8[m]")
        beyond = (times < FIRST) | (times >= END)
        reason = "is not a date in UTC: years are 1 to 9999"
        errors.ImpossibleTimesError.refuse(beyond, reason, texts)
    if time_zone is not None:
        form = TimeFormat((*parts, *blank, Part("zone", style)), time_zone, by_clock)
    elif by_clock:
        form = TimeFormat(parts)
    else:
        colon = ":" if ":" in style else ""
        of_utc = Part("literal", f"+00{colon}00")
        form = TimeFormat((*parts, *blank, of_utc), has_several_offsets=True)
    return TimeColumn(times, form, texts)


def _in_zone(
    times: np.ndarray, parts: tuple[Part, ...], time_zone: str | None, labels: Sequence[str]
) -> TimeColumn:
    """Return the column of times that have no offset."""
    if time_zone is None:
        return TimeColumn(times, TimeFormat(parts), labels)
    zones.offsets_at(times[:1], time_zone)  # there is such a zone
    by_clock = _are_days(times)
    form = TimeFormat(parts, time_zone, by_clock)
    if not by_clock:
        times = zones.to_utc(times, time_zone, labels)
    if isinstance(labels, TimeLabels):
        labels = TimeLabels(times, form)
    return TimeColumn(times, form, labels)


def _are_days(times: np.ndarray) -> bool:
    """Return whether all are at one time of the clock."""
    clock = times.astype(np.int64) % DAY
    return bool((clock == clock[0]).all())
