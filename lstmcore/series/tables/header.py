"""Tell whether the first row of a table holds names, values or units, by the rows below it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lstmcore.series.tables.numbers import is_missing, is_number

MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
# Texts written like dates and clock times; whether they exist is checked when they are read.
TIME = re.compile(
    rf"\d{{1,4}}[-/._ ]\d{{1,2}}[-/._ ]\d{{1,4}}(?:T\d|\b).*|\d{{4}}[-/]\d{{1,2}}|\d{{1,2}}/\d{{4}}"
    rf"|\d{{4}}-?(?:[QqWw]\d{{1,2}}(?:-?\d)?|\d{{3}})|[Qq][1-4][- ]?\d{{4}}"
    rf"|\d{{4}}-?(?:W\d\d-?\d|\d{{3}})T\d.*|\d{{4}}-(?:W\d\d-\d|\d{{3}}) \d.*"
    rf"|\d{{1,2}}:\d\d.*|\d{{8}}(?:T\d\d| \d{{4,6}}).*"
    rf"|(?:[a-z]{{3,9}},? )?(?:\d{{1,2}}(?:st|nd|rd|th)?[-. ]*)?(?:{MONTHS})[a-z]*[-., ]*\d.*",
    re.IGNORECASE,
)
TIME_NAMES = frozenset(
    ["time", "date", "datetime", "date time", "date/time", "timestamp", "time stamp", "ds", "utc",
     "utc time", "time utc", "date utc", "utc date", "utc timestamp", "local time", "datum", "zeit",
     "zeitstempel", "uhrzeit", "datum uhrzeit", "fecha", "hora", "fecha hora", "heure", "日期",
     "时间", "日時", "timestamp utc", "timestamp ms", "unix time", "epoch", "unix", "date heure"]
)  # fmt: skip
# Columns of these names may hold whole dates, such as 2024.10, or only a part of one, such as 10.
PERIOD_NAMES = frozenset(
    ["month", "quarter", "week", "day", "hour", "period", "ts", "t", "monat", "woche", "mes",
     "mois", "year month", "yearmonth", "yyyymm", "yyyyww", "yyyymmdd"]
)  # fmt: skip
YEARS = range(1900, 2101)


def looks_like_time(text: str) -> bool:
    """Return whether a text is written like a date or a time, and not as one plain number.

    Examples:
      >>> looks_like_time("31.12.2013"), looks_like_time("1 Jan 2024"), looks_like_time("2024")
      (True, True, False)
      >>> looks_like_time("2024-01-31T06"), looks_like_time("20240131T06Z")
      (True, True)
    """
    return TIME.fullmatch(text.strip()) is not None


def is_time_name(name: str) -> bool:
    """Return whether the name of a column says that it holds times.

    Examples:
      >>> is_time_name("Date"), is_time_name("Time [UTC]"), is_time_name("time spent")
      (True, True, False)
    """
    return plain_name(name) in TIME_NAMES


def may_be_time_name(name: str) -> bool:
    """Return whether a column of this name may hold times, if its cells look like times."""
    return plain_name(name) in TIME_NAMES | PERIOD_NAMES


def plain_name(name: str) -> str:
    """Return a name without units and marks."""
    return " ".join(re.sub(r"[\[(].*?[\])]|_|-", " ", name).lower().split())


def has_header(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool | None:
    """Return whether the first row of a table holds names; None if it may as well hold values.

    Args:
      first: cells of the first row.
      below: cells of some rows that follow, each of the same length.

    Examples:
      >>> has_header(["a", "b"], [["1", "2"]]), has_header(["1", "2"], [["3", "4"]])
      (True, False)
      >>> has_header(["0", "1"], [["10", "20"], ["11", "21"]])
      True
      >>> print(has_header(["0", "1"], [["1", "5"], ["2", "6"]]))
      None
    """
    kinds = [_kind(cell) for cell in first]
    usual = [_usual_kind([row[place] for row in below]) for place in range(len(first))]
    pairs = list(zip(kinds, usual, strict=True))
    if ("word", "number") in pairs or ("word", "time") in pairs or ("time", "number") in pairs:
        return True
    if ("time", "time") in pairs or "number" not in kinds:
        return "time" not in kinds
    numbers = [cell.strip() for cell, kind in zip(first, kinds, strict=True) if kind == "number"]
    are_names = _numbers_as_names(numbers, has_words="word" in kinds, below=below, kinds=kinds)
    if are_names:
        return None if _goes_on_evenly(first, below) else True
    if "word" in kinds and all(number.isdecimal() for number in numbers):
        return None
    return are_names


def _numbers_as_names(numbers, *, has_words: bool, below, kinds) -> bool | None:
    """Return whether numbers can name columns: 0, 1, 2 or consecutive years; None if unclear."""
    if not all(number.isdecimal() for number in numbers):
        return False
    whole = [int(number) for number in numbers]
    places = [place for place, kind in enumerate(kinds) if kind == "number"]
    cells = [row[place].strip() for row in below for place in places if row[place].strip()]
    if 1 < len(set(whole)) == len(whole) and set(whole) <= set(YEARS):
        alike = sum(cell.isdecimal() and int(cell) in YEARS for cell in cells)
        return True if not alike else False if 2 * alike > len(cells) else None
    if whole != list(range(whole[0], whole[0] + len(whole))):
        return False
    enough = len(whole) > 1 or has_words or "missing" in kinds
    if enough and (whole[0] == 0 or whole[0] in YEARS):
        return True
    # 1, 2, 3 above numbers that are not whole.
    if whole[0] != 1 or len(whole) < 2:
        return False
    return bool(cells) and not any(cell.lstrip("+-").isdecimal() for cell in cells)


def _goes_on_evenly(first: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether the first cell of some column begins a count that the next two continue."""
    for column in zip(first, *below[:2], strict=True):
        cells = [cell.strip() for cell in column]
        if len(cells) == 3 and all(cell.isdecimal() for cell in cells):
            one, two, three = map(int, cells)
            if two - one == three - two != 0:
                return True
    return False


def is_row_of_units(row: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Return whether a row under the names holds units: only words, above columns of numbers.

    Examples:
      >>> is_row_of_units(["", "kW"], [["2024-01-01", "5"]])
      True
    """
    usual = [_usual_kind([cells[place] for cells in below]) for place in range(len(row))]
    kinds = [_kind(cell) for cell in row]
    pairs = list(zip(kinds, usual, strict=True))
    measured = [kind for kind, is_usual in pairs if is_usual == "number"]
    return (
        "word" in measured
        and set(measured) <= {"word", "missing"}
        and not any(kind in ("number", "time") for kind in kinds)
        and not any(
            cell.strip().lower() in ("inf", "-inf", "true", "false")
            for cell, is_usual in zip(row, usual, strict=True)
            if is_usual == "number"
        )
    )


def _kind(cell: str) -> str:
    if is_missing(cell):
        return "missing"
    if is_number(cell):
        return "number"
    return "time" if looks_like_time(cell) else "word"


def _usual_kind(cells: Sequence[str]) -> str:
    """Return the kind of most cells that are not missing."""
    kinds = [kind for kind in map(_kind, cells) if kind != "missing"]
    return max(set(kinds), key=kinds.count) if kinds else "missing"
