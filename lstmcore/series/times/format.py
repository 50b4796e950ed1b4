"""The format of a column of times, and labels that are formatted on demand.

A format is a sequence of parts: fields such as the year or the hour, and the text between them.
`text` and `numbers` find the format of a column; here times are formatted.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lstmcore.series.row_names import LazyTexts
from lstmcore.series.times import zone as zones
from lstmcore.series.times.calendar import weekday_of

MONTHS = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}  # in a unit of epoch times; "ns": 1/1000
DAY = 86_400_000_000  # microseconds
EXCEL_EPOCH = np.datetime64("1899-12-30", "us")  # serial day 0, of those from March 1900 on
FIRST = np.datetime64("0001-01-01", "us")
END = np.datetime64("10000-01-01", "us")  # years have four digits
LONGEST_WHOLE = 2**63  # a larger number is written with an exponent
CLOCK = ("hour", "hour12", "hour24", "minute", "second")  # fields of the time of day
# Names of the fields in the description of a format.
WORDS = {
    "year": "year", "year2": "year (two digits)", "month": "month", "monthname": "month",
    "day": "day", "dayname": "weekday", "hour": "hour", "hour12": "hour", "hour24": "hour",
    "minute": "minute", "second": "second", "fraction": "fraction", "ampm": "AM/PM",
    "quarter": "quarter", "half": "half-year", "isoyear": "year", "week": "week",
    "weekday": "weekday", "yearday": "day of the year", "ordinal": "", "zone": "offset from UTC",
}  # fmt: skip


class Part(NamedTuple):
    """A field or the text between two fields.

    Attributes:
      kind: "literal", or the name of a field: one of WORDS, or "number", "epoch" or "excel".
      style: of a literal, its text; of a number, its least width; of a name, its spelling, "Jan";
        of an offset, its form, "+01:00"; of "epoch", its unit and decimals.
    """

    kind: str
    style: str = ""


class TimeFormat(NamedTuple):
    """The format of the times of a column.

    Attributes:
      parts: from left to right.
      time_zone: name of the zone whose local clock the column shows; None if it is UTC, one
        constant offset, or unknown.
      by_clock: whether the times are those of the local clock; else, if there is a zone, of UTC.
      has_several_offsets: whether the column shows several offsets from UTC, to which its times
        were converted, but not the name of the zone; what its local clock shows later is unknown.
    """

    parts: tuple[Part, ...]
    time_zone: str | None = None
    by_clock: bool = False
    has_several_offsets: bool = False

    def write(self, times: np.ndarray) -> list[str]:
        """Write times, datetime64[us] or float64 [rows], as the column is written.

        Raises:
          ValueError: a time beyond the year 9999.
        """
        kind, style = self.parts[0]
        if kind == "number":
            return _numbers(np.asarray(times, float), style)
        _check_range(times)
        if kind == "epoch":
            return _epochs(times, style)
        if kind == "excel":
            return _serial_days(times, int(style))
        offsets = np.zeros(0, np.int64)
        if any(part.kind == "zone" for part in self.parts) and self.time_zone:
            utc = zones.to_utc_roughly(times, self.time_zone) if self.by_clock else times
            offsets = zones.offsets_at(utc, self.time_zone)
        times = self.clock(times)
        days = times
        if any(part.kind == "hour24" for part in self.parts):  # midnight ends the day before
            days = times - (_microsecond_of_day(times) == 0).astype("m8[us]")
        template, columns = "", []
        for part in self.parts:
            if part.kind == "literal":
                template += part.style.replace("%", "%%")
                continue
            column: list
            if part.kind == "zone":
                column = [_offset_text(offset, part.style) for offset in offsets.tolist()]
                template += "%s"
            elif part.kind in NAMES:
                own = times if part.kind == "ampm" else days
                column = [NAMES[part.kind](n, part.style) for n in FIELDS[part.kind](own)]
                template += "%s"
            elif part.kind == "fraction":
                digits = int(part.style)
                column = [f"{n:06}{'0' * digits}"[:digits] for n in FIELDS["fraction"](times)]
                template += "%s"
            else:
                column = FIELDS[part.kind](times if part.kind in CLOCK else days).tolist()
                template += f"%0{part.style}d"
            columns.append(column)
        return [template % row for row in zip(*columns, strict=True)]

    def clock(self, times: np.ndarray) -> np.ndarray:
        """Return times as the local clock shows them, where they are counted in UTC."""
        if self.time_zone is None or self.by_clock:
            return times
        return times + zones.offsets_at(times, self.time_zone).astype("m8[s]")

    def shows_hours(self) -> bool:
        """Return whether a time of day is written."""
        return any(part.kind in CLOCK for part in self.parts)

    def __str__(self) -> str:
        """Describe the format: "day.month.year hour:minute"."""
        kind, style = self.parts[0]
        if kind == "number":
            return "numbers"
        if kind == "epoch":
            return f"{style.split()[0]} since 1970"
        if kind == "excel":
            return "days since 1899-12-30, as Excel counts them"
        text, is_apart = "", True
        for place, (kind, style) in enumerate(self.parts):
            if kind == "literal":  # its letters only mark a field, but for an offset at the end
                is_last = place > 0 and place == len(self.parts) - 1
                text += style if is_last else re.sub("[A-Za-z]+", "", style) or " "
            else:
                text += ("" if is_apart else " ") + WORDS[kind]
            is_apart = kind == "literal"
        text = text.strip()
        return f"{text} in {self.time_zone}" if self.time_zone else text


class TimeLabels(LazyTexts):
    """Texts of times that are formatted on demand; a million take 8 MB.

    A table may hold them in place of a list of texts.

    Args:
      times: datetime64[us] or float64 [rows].
      form: their format.

    Examples:
      >>> from lstmcore import series
      >>> labels = series.check_times(["31.12.2013", "1.1.2014", "2.1.2014"]).labels
      >>> type(labels).__name__, labels[0], list(labels[1:])
      ('TimeLabels', '31.12.2013', ['1.1.2014', '2.1.2014'])
    """

    def __init__(self, times: np.ndarray, form: TimeFormat):
        self.times, self.form = times, form

    def __len__(self) -> int:
        return len(self.times)

    def take(self, rows: slice | np.ndarray) -> TimeLabels:
        return TimeLabels(self.times[rows], self.form)

    def texts(self) -> list[str]:
        return self.form.write(self.times)

    def __repr__(self) -> str:
        first = ", ".join(map(repr, itertools.islice(self, 3)))
        return f"TimeLabels([{first}{', ...' if len(self) > 3 else ''}], rows={len(self)})"


def year_of(times: np.ndarray) -> np.ndarray:
    """Return the years of datetime64 [rows], int [rows]."""
    return times.astype("M8[Y]").astype(np.int64) + 1970


def _check_range(times: np.ndarray) -> None:
    if len(times) and not ((times >= FIRST) & (times < END)).all():
        raise ValueError(
            "times beyond the years 1 to 9999 cannot be written: ask for fewer rows, or write the "
            "times as plain numbers"
        )


def _microsecond_of_day(times: np.ndarray) -> np.ndarray:
    return times.astype(np.int64) % DAY


def _thursday(times: np.ndarray) -> np.ndarray:
    """Return the Thursday of each ISO week, whose year is the year of the week."""
    return times.astype("M8[D]") + (3 - weekday_of(times)).astype("m8[D]")


def _month(times: np.ndarray) -> np.ndarray:
    return times.astype("M8[M]").astype(np.int64) % 12 + 1


def _day(times: np.ndarray) -> np.ndarray:
    return (times.astype("M8[D]") - times.astype("M8[M]").astype("M8[D]")).astype(np.int64) + 1


def _yearday(times: np.ndarray) -> np.ndarray:
    return (times.astype("M8[D]") - times.astype("M8[Y]").astype("M8[D]")).astype(np.int64) + 1


def _hour(times: np.ndarray) -> np.ndarray:
    return _microsecond_of_day(times) // 3_600_000_000


FIELDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "year": year_of,
    "year2": lambda times: year_of(times) % 100,
    "month": _month,
    "monthname": _month,
    "day": _day,
    "dayname": weekday_of,
    "ordinal": _day,
    "yearday": _yearday,
    "quarter": lambda times: (_month(times) + 2) // 3,
    "half": lambda times: (_month(times) + 5) // 6,
    "isoyear": lambda times: year_of(_thursday(times)),
    "week": lambda times: (_yearday(_thursday(times)) - 1) // 7 + 1,
    "weekday": lambda times: weekday_of(times) + 1,
    "hour": _hour,
    "hour24": lambda times: _hour(times) + 24 * (_microsecond_of_day(times) == 0),
    "hour12": lambda times: (_hour(times) + 11) % 12 + 1,
    "ampm": lambda times: _hour(times) // 12,
    "minute": lambda times: _microsecond_of_day(times) // 60_000_000 % 60,
    "second": lambda times: _microsecond_of_day(times) // 1_000_000 % 60,
    "fraction": lambda times: _microsecond_of_day(times) % 1_000_000,
}


def _spelt(name: str, style: str) -> str:
    """Shorten a name and set it in capitals as `style`, one of its kind, is."""
    if len(style) <= 3:
        name = name[:3]
    if style.isupper():
        return name.upper()
    return name.lower() if style.islower() else name


def _half_day(afternoon: int, style: str) -> str:
    letter = "p" if afternoon else "a"
    return (letter.upper() if style[:1].isupper() else letter) + style[1:]


def _ordinal(day: int, style: str) -> str:
    ending = "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
    return ending.upper() if style.isupper() else ending


NAMES: dict[str, Callable[[int, str], str]] = {
    "monthname": lambda month, style: _spelt(MONTHS[month - 1], style),
    "dayname": lambda day, style: _spelt(DAY_NAMES[day], style),
    "ampm": _half_day,
    "ordinal": _ordinal,
}


def _offset_text(seconds: int, style: str) -> str:
    """Write an offset as `style` is: "+01:00", "+0100" or "+01"."""
    sign, minutes = "-" if seconds < 0 else "+", abs(seconds) // 60
    colon = ":" if ":" in style else ""
    if len(style) <= 3 and minutes % 60 == 0 and style != "Z":
        return f"{sign}{minutes // 60:02}"
    return f"{sign}{minutes // 60:02}{colon}{minutes % 60:02}"


def _numbers(numbers: np.ndarray, style: str) -> list[str]:
    """Write plain numbers; style: "" or a format such as "05.0f"."""
    if style:
        return [f"{number:{style}}" for number in numbers.tolist()]
    return [
        f"{number:.0f}" if number % 1 == 0 and abs(number) < LONGEST_WHOLE else f"{number:.15g}"
        for number in numbers.tolist()
    ]


def _epochs(times: np.ndarray, style: str) -> list[str]:
    """Write times since 1970; style: unit and decimals, "ms 0"."""
    unit, decimals = style.split()
    count = times.astype(np.int64)
    if unit == "ns":
        return [f"{number}000" for number in count.tolist()]
    size = MICROSECONDS[unit]
    if decimals == "0":
        return [str(number) for number in (count // size).tolist()]
    whole, rest = np.divmod(count, size)
    digits = len(str(size)) - 1
    return [
        f"{number}.{f'{part:0{digits}}'.ljust(int(decimals), '0')[: int(decimals)]}"
        for number, part in zip(whole.tolist(), rest.tolist(), strict=True)
    ]


def _serial_days(times: np.ndarray, decimals: int) -> list[str]:
    days = (times - EXCEL_EPOCH).astype(np.int64) / DAY
    return [
        f"{day:.0f}" if day % 1 == 0 else f"{day:.{decimals}f}".rstrip("0") for day in days.tolist()
    ]
