"""Note readings that are likely but not certain, without changing what is read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore.formatting import few
from lstmcore.series.tables.header import YEARS, is_time_name, looks_like_time, plain_name
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.panel import is_key_name
from lstmcore.series.tables.selection import may_number_rows
from lstmcore.series.tables.sheet import Sheet
from lstmcore.series.times.column import TimeColumn
from lstmcore.series.times.numbers import SERIAL_DAYS

CALENDAR = frozenset(["year", "month", "day", "hour", "minute", "weekday", "dayofweek", "quarter"])
CODES = frozenset(
    ["zip", "zip code", "zipcode", "postcode", "postal code", "plz", "phone", "telephone", "mobile",
     "status", "status code", "error code", "user id", "account", "barcode", "isbn", "version"]
)  # fmt: skip
# What loggers write where they have no value, with either sign and with up to two nines after the
# decimal point.
SENTINELS = np.add.outer([0, 0.9, 0.99], [99, 999, 9999, 99999, 999999]).ravel()
FEWEST_VALUES = 5  # besides a sentinel, to judge that it is far from them


def point_out(
    sheet: Sheet,
    names: Sequence[str],
    values: np.ndarray,
    times: TimeColumn | None,
    places: Sequence[int],
    *,
    asked: bool,
) -> None:
    """Add a note to the sheet for each doubt about the columns that were read.

    Args:
      sheet: the file.
      names: of the columns, F of them.
      values: float64 [rows, F], NaN where missing.
      times: of the rows, or None.
      places: of the columns of times.
      asked: whether the caller named these columns, so that only their values may be in doubt.
    """
    has_dates = times is not None and times.times.dtype.kind == "M"
    for name, column in zip(names, values.T, strict=True):
        if found := _sentinels(column):
            text = " and ".join(f"{value:.15g}" for value in found)
            sheet.notes.append(
                f"{few([name])}: {text}, far from the other values, may stand for a missing "
                f"value: --na={found[0]:.15g} reads it as one"
            )
    if times is not None and not has_dates and is_time_name(sheet.names[places[0]]):
        low, high = SERIAL_DAYS
        if low <= times.times[0] < high:
            sheet.notes.append(
                f"times from {times.labels[0]} on may be days as spreadsheets count them: "
                "--time-format excel reads them as dates"
            )
    if asked:
        return
    choose = "--columns names the columns to learn from"
    if has_dates and (parts := [name for name in names if name.strip().lower() in CALENDAR]):
        sheet.notes.append(f"{few(parts)} may repeat what the times say: {choose}")
    if numbered := [n for n, v in zip(names, values.T, strict=True) if _numbers_rows(sheet, n, v)]:
        sheet.notes.append(f"{few(numbered)} may number the rows: {choose}")
    coded = [
        name
        for name, column in zip(names, values.T, strict=True)
        if name not in numbered and _is_code(name) and _is_whole(column)
    ]
    if coded:
        sheet.notes.append(f"{few(coded)} may hold codes, not measurements: {choose}")
    if _are_times(names):
        sheet.notes.append(
            f"the columns are named by times ({few(names)}): if each row is a series, swap rows "
            "and columns first"
        )


def note_halves(sheet: Sheet, options: ReadOptions) -> None:
    """Add a note if pairs of columns may be numbers cut in two at their decimal commas.

    Only a table without names leaves this open: `100,13` is then two cells or one.
    """
    is_told = options.separator or options.decimal_mark
    if is_told or sheet.separator != "," or sheet.has_names:
        return
    firsts = [next(filter(None, column.texts()), "") for column in sheet.columns]
    numbers = [text for text in firsts if not looks_like_time(text)]
    if len(numbers) % 2 or not numbers or any("." in column.marks for column in sheet.columns):
        return
    is_whole = all(text.lstrip("+-").isdecimal() for text in numbers)
    halves = [c for c, text in zip(sheet.columns, firsts, strict=True) if text in numbers][1::2]
    if not is_whole or any(_is_negative(part) for column in halves for part in column.parts):
        return
    pair = ",".join(numbers[:2])
    sheet.notes.append(
        f"{pair} was read as two numbers: if it is one with a decimal comma, separate "
        "the cells by another character; if it is two, --separator ',' says so"
    )


def _is_negative(part: np.ndarray) -> bool:
    """Return whether a part of a column holds a negative number, or a text that begins like one."""
    if part.dtype.kind == "f":
        return bool((part < 0).any())
    return any(text.startswith(b"-" if isinstance(text, bytes) else "-") for text in part.tolist())


def _numbers_rows(sheet: Sheet, name: str, values: np.ndarray) -> bool:
    """Return whether a column, unnamed or named like an index, grows from row to row."""
    column = sheet.columns[sheet.names.index(name)] if name in sheet.names else None
    if column is None or not may_number_rows(column) or len(values) < 3:
        return False
    return _is_whole(values) and bool((np.diff(values) > 0).all())


def _is_code(name: str) -> bool:
    """Return whether a column is named like codes; `panel.shared_keys` handles keys."""
    plain = plain_name(name)
    return (plain in CODES or plain.endswith(" id")) and not is_key_name(name)


def _is_whole(values: np.ndarray) -> bool:
    known = values[~np.isnan(values)]
    return len(known) > 0 and bool((known == np.trunc(known)).all())


def _sentinels(values: np.ndarray) -> list[float]:
    """Return the smallest and the largest value, if each may stand for a missing one."""
    ends = {float(np.fmin.reduce(values)), float(np.fmax.reduce(values))}
    found: list[float] = [end for end in sorted(ends) if abs(end) in SENTINELS]
    if not found:
        return []
    rest = values[~np.isnan(values) & ~np.isin(values, found)]
    if len(rest) < FEWEST_VALUES:
        return []
    low, high = float(rest.min()), float(rest.max())
    spread = max(high - low, abs(high), abs(low))
    return [
        end for end in found if (end < 0 <= low) or min(abs(end - low), abs(end - high)) > spread
    ]


def _are_times(names: Sequence[str]) -> bool:
    if len(names) < 3:
        return False
    years = [name.isdecimal() and int(name) in YEARS for name in names]
    return all(years) or all(looks_like_time(name) for name in names)
