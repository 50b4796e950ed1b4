"""Find the column of a file that holds the times of its rows, or the columns that make them up."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from operator import eq

import numpy as np

from lstmcore.formatting import listed
from lstmcore.series.tables import header
from lstmcore.series.tables.columns import where
from lstmcore.series.tables.numbers import is_missing, read_cell
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.sheet import Column, Sheet, column_error
from lstmcore.series.times.column import join_columns, read_times
from lstmcore.series.times.errors import TimesError

PARTS = {  # of a time: the names of their columns
    "year": ("year", "yyyy", "yr"), "month": ("month", "mm", "mo"), "day": ("day", "dd", "dy"),
    "yearday": ("day of year", "dayofyear", "year day", "yearday", "doy", "yday", "julian day"),
    "week": ("week", "wk", "ww", "isoweek", "iso week", "week of year", "weekofyear"),
    "quarter": ("quarter", "qtr"),
    "hour": ("hour", "hh", "hr"), "minute": ("minute", "mi"), "second": ("second", "ss"),
}  # fmt: skip
DATES = {  # parts that make up a date, and how they are written; the finest first
    ("year", "month", "day"): "{:04}-{:02}-{:02}",
    ("year", "yearday"): "{:04}-{:03}",
    ("year", "week"): "{:04}-W{:02}",
    ("year", "month"): "{:04}-{:02}",
    ("year", "quarter"): "{:04}Q{}",
}
CLOCKS = (("hour", " {:02}:"), ("minute", "{:02}"), ("second", ":{:02}"))
RANGES = {  # numbers that tell a part from a measurement of the same name
    "yearday": range(1, 367), "week": range(1, 54), "quarter": range(1, 5),
}  # fmt: skip
PREFIXES = {"week": "Ww", "quarter": "Qq"}  # as in Q1
CLOCK = re.compile(r"\d{1,2}:\d\d.*|\d{1,2}\.\d\d\.\d\d|\d{1,2} ?[ap]\.?m\.?", re.IGNORECASE)
MONTH_NAME = re.compile(rf"({header.MONTHS})[a-z]*\.?", re.IGNORECASE)
CLOCK_NAME = re.compile(r"time|hour|hr|hh\w*|clock|uhrzeit|zeit|hora|heure", re.IGNORECASE)
COMPACT = re.compile(r"\d{6}(\d\d){0,4}|\d{13}|\d{4}[._]\d\d|\d{10}\.\d+")
COMPACT_DAY = re.compile(r"(19|20)\d\d[01]\d[0-3]\d(\.0)?")
FEWEST_COMPACT = 3  # cells; two numbers may look like dates by chance
JUDGED_BY = 50  # cells that decide what a column holds


def find_time(sheet: Sheet, options: ReadOptions, chosen: Collection[str]) -> list[int]:
    """Return the positions of the columns that hold the times; [] if no column does.

    Args:
      sheet: the file.
      options: its `time` names the columns.
      chosen: names of columns that are to be read as values.

    Raises:
      ValueError: several columns may hold the times, or a column is named that does not exist.
    """
    if options.time is not None:
        return _named(sheet, options.time)
    if len(sheet.columns) == 1 and not looks_like_times(sheet.columns[0]):
        return []
    names = sheet.names
    places = [place for place, name in enumerate(names) if name not in chosen]
    named = [place for place in places if header.is_time_name(names[place])]
    parts = time_parts(sheet, places)
    whole = [place for place in named if not _are_clocks(sheet.columns[place])]
    clocks = [place for place in named if place not in whole]
    if not whole and parts:
        is_day = [*parts][-1] in ("day", "yearday")
        return [*parts.values()] + (clocks if is_day and len(clocks) == 1 else [])
    if len(whole) == 1:
        clocks = clocks or _clocks_beside(sheet, whole[0], places)
        return whole + clocks[:1] if _are_days(sheet.columns[whole[0]]) else whole
    if len(whole) > 1:
        looking = [place for place in whole if looks_like_times(sheet.columns[place])]
        return looking if len(looking) == 1 else _refuse(sheet, whole)
    found = [place for place in places if looks_like_times(sheet.columns[place])]
    if all(_are_clocks(sheet.columns[place]) for place in found):
        found += [place for place in places if _are_compact_times(sheet.columns[place])]
    found = found or [place for place in places if _are_mostly_times(sheet.columns[place])]
    if len(found) == 1:
        return found + (_clocks_beside(sheet, found[0], places) if not named else [])
    if len(found) > 1:
        days = [place for place in found if _are_days(sheet.columns[place])]
        clocks = [place for place in found if _are_clocks(sheet.columns[place])]
        if len(found) == 2 and len(days) == len(clocks) == 1:
            return days + clocks
        return _refuse(sheet, found)
    if named:
        return named
    return [place for place in places if header.plain_name(names[place]) == "year"][:1]


def time_parts(sheet: Sheet, places: Collection[int]) -> dict[str, int]:
    """Return the positions of the columns that make up a time: year and month, day, hour, ...

    Year, month and day come first, and the finest date where there are hours. Otherwise it is the
    coarsest that does not recur in the first rows: a table of months may also give their quarter.

    Args:
      sheet: the file.
      places: positions of the columns to choose from.

    Returns:
      {part: position}, such as {"year": 0, "quarter": 1}; {} if no date can be made up.
    """
    found = {}
    for part, names in PARTS.items():
        named = [p for p in places if header.plain_name(sheet.names[p]) in names]
        if len(named) == 1 and _may_be(part, sheet.columns[named[0]]):
            found[part] = named[0]
    dates = [date for date in DATES if found.keys() >= {*date}]
    if not dates:
        return {}
    date = dates[0]
    if date[-1] != "day" and "hour" not in found:
        unique = (date for date in reversed(dates) if not _recurs(sheet, date, found))
        date = next(unique, date)
    chosen = {part: found[part] for part in date}
    if date[-1] in ("day", "yearday"):
        for part, _ in CLOCKS:
            if part not in found:
                break
            chosen[part] = found[part]
    return chosen


def texts_of_time(sheet: Sheet, places: Sequence[int], rows: slice) -> list[str] | np.ndarray:
    """Return the times of some rows as texts, or bytes, each of one or of several columns.

    Raises:
      ValueError: columns of parts, such as the month, that hold something else.
    """
    columns = [sheet.columns[place] for place in places]
    if len(columns) == 1:
        parts = columns[0].parts
        if all(part.dtype.kind == "S" for part in parts):
            return np.concatenate(parts)[rows]
        return list(columns[0].texts())[rows]
    dated = time_parts(sheet, places)
    if not dated:
        days, clocks = (list(column.texts())[rows] for column in columns)
        if all(map(CLOCK.fullmatch, clocks)):
            clocks = [clock.replace(".", ":", 2) if ":" not in clock else clock for clock in clocks]
        return join_columns(days, clocks)
    whole = [_numbers_of_part(sheet, part, place, rows) for part, place in dated.items()]
    form = next(form for date, form in DATES.items() if date == tuple(dated)[: len(date)])
    form += "".join(clock for part, clock in CLOCKS if part in dated)
    form += "00" * form.endswith(":")  # hours without minutes
    texts = [form.format(*numbers) for numbers in zip(*whole, strict=True)]
    others = [place for place in places if place not in dated.values()]
    if not others:
        return texts
    return join_columns(texts, list(sheet.columns[others[0]].texts())[rows])


def looks_like_times(column: Column) -> bool:
    """Return whether the first cells that are not missing are written as times are."""
    cells = _first_cells(column)
    return bool(cells) and all(map(header.looks_like_time, cells)) and not column.numeric


def _named(sheet: Sheet, text: str) -> list[int]:
    names = [text] if text in sheet.names else [name.strip() for name in text.split(",")]
    places = []
    for name in names:
        if sheet.names.count(name) != 1:
            raise column_error(sheet, name)
        places.append(sheet.names.index(name))
    if len(places) > 2 and not {*places[:3]} <= {*time_parts(sheet, places).values()}:
        raise ValueError(
            f"--time {text[:80]!r}: name a column of dates and one of times of day, or the columns "
            "of year, month, day, hour, minute and second"
        )
    return places


def _refuse(sheet: Sheet, places: Sequence[int]) -> list[int]:
    names = [sheet.names[place][:40] for place in places[:5]]
    raise ValueError(
        f"{sheet.path}: {len(places)} columns may hold the times of the rows, {listed(names)}: say "
        f"which, --time NAME, or both of date and time of day, --time {names[0]},{names[1]}"
    )


def _first_cells(column: Column) -> list[str]:
    return list(islice((cell for cell in column.texts() if not is_missing(cell)), JUDGED_BY))


def _are_mostly_times(column: Column) -> bool:
    """Return whether most cells are times; the others, such as a footer, are then errors."""
    cells = _first_cells(column)
    return 2 * sum(map(header.looks_like_time, cells)) > len(cells) and not column.numeric


def _are_compact_times(column: Column) -> bool:
    """Return whether a column holds dates that look like numbers: 202401, 1700000000.5.

    `read_times` must read them without doubt. Unless the column is named like times, they must also
    only rise or only fall, which measured values rarely do.
    """
    cells = _first_cells(column)
    if not cells or not all(map(COMPACT.fullmatch, cells)):
        return False
    try:
        times = read_times(cells)
    except TimesError:
        return False
    if times is None or times.times.dtype.kind != "M":
        return False
    if header.may_be_time_name(column.name):
        return True
    steps = np.diff(times.times).astype(np.int64)
    return len(cells) >= FEWEST_COMPACT and bool((steps > 0).all() or (steps < 0).all())


def _are_clocks(column: Column) -> bool:
    cells = _first_cells(column)
    return bool(cells) and all(map(CLOCK.fullmatch, cells))


def _are_days(column: Column) -> bool:
    """Return whether times have a day but no time of day."""
    cells = _first_cells(column)
    if cells and all(map(COMPACT_DAY.fullmatch, cells)):
        return header.may_be_time_name(column.name)
    return looks_like_times(column) and not any(":" in cell or "T" in cell for cell in cells)


def _clocks_beside(sheet: Sheet, date: int, places: Sequence[int]) -> list[int]:
    """Return the one column of times of day beside one of days, or []."""
    if not _are_days(sheet.columns[date]):
        return []
    found = [
        place
        for place in places
        if place != date
        and CLOCK_NAME.search(sheet.names[place])
        and _are_clocks(sheet.columns[place])
    ]
    hours = [
        place for place in places if header.plain_name(sheet.names[place]) in ("hour", "hr", "hh")
    ]
    days = list(islice(sheet.columns[date].texts(), JUDGED_BY))
    if not found and len(hours) == 1 and len(set(days)) < len(days):
        found = hours  # the same day again and again
    return found if len(found) == 1 else []


def _may_be(part: str, column: Column) -> bool:
    """Return whether the first cells of a column can be this part of a time."""
    if part not in RANGES:
        return True
    values = [_number_of_part(part, cell) for cell in _first_cells(column)]
    return bool(values) and all(value in RANGES[part] for value in values)


def _recurs(sheet: Sheet, date: Sequence[str], places: Mapping[str, int]) -> bool:
    """Return whether one of the first rows has the date of the row before it."""
    columns = [sheet.columns[places[part]].texts() for part in date]
    first = [*islice(zip(*columns, strict=True), JUDGED_BY)]
    return any(map(eq, first, first[1:]))


def _number_of_part(part: str, text: str) -> float | None:
    """Return the number in a cell of a part of a time; None if there is none."""
    if part == "month" and (name := MONTH_NAME.fullmatch(text)):
        return header.MONTHS.split("|").index(name[1].lower()) + 1
    return read_cell(text.lstrip(PREFIXES.get(part, ""))).point


def _numbers_of_part(sheet: Sheet, part: str, place: int, rows: slice) -> list[int]:
    numbers, column = [], sheet.columns[place]
    for row, text in enumerate(list(column.texts())[rows], start=rows.start):
        value = _number_of_part(part, text)
        if value is None or value != int(value) or not 0 <= value < 10_000:
            raise ValueError(
                f"{where(sheet, row, column)}: {text[:40]!r} is not the {PARTS[part][0]} of a "
                "time; --time names the column of times"
            )
        numbers.append(int(value))
    return numbers
