"""Read a file of any common form into a table."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np

from lstmcore.formatting import count, few, listed, normalized
from lstmcore.series.row_names import RowNames
from lstmcore.series.tables import panel
from lstmcore.series.tables.arranging import arrange, rows_within
from lstmcore.series.tables.columns import examine, where
from lstmcore.series.tables.csv import read_sheet
from lstmcore.series.tables.doubts import note_halves, point_out
from lstmcore.series.tables.header import may_be_time_name
from lstmcore.series.tables.one_series import rows_of_one_series
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.parsed import ParsedSheet
from lstmcore.series.tables.row_notes import RowsNote
from lstmcore.series.tables.selection import Field, leave_out, leave_out_counts, select, values_of
from lstmcore.series.tables.sheet import Sheet, column_error
from lstmcore.series.tables.table import Table
from lstmcore.series.tables.time_role import find_time, texts_of_time
from lstmcore.series.times.column import TimeColumn, read_times
from lstmcore.series.times.errors import TimesError
from lstmcore.series.times.timeline import Times, check_times
from lstmcore.series.windowing import tutorial_series

ARGUMENTS = {  # of a function, as options of a command
    r"day_first=True or day_first=False": "--day-first or --month-first",
    r"day_first=True": "--day-first",
    r"day_first=False": "--month-first",
    r"time_(zone|format)='([^' ]*)'": r"--time-\1 \2",
    r"resample them with every='(.*)', or pass consecutive=True": (
        r"--resample \1 makes the steps equal, --consecutive ignores the times"
    ),
    "keep one of them, or their mean": (
        "--duplicates first or last keeps one of them, --duplicates mean their mean"
    ),
    "sort the rows by time": "--sort sorts the rows by time",
}
DATASETS = ("tutorial", "sunspots")
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", " ": "spaces", "|": "bars"}
HINTS = {  # for each kind of TimesError, the options that settle it
    "ambiguous": "--day-first, --month-first or --time-format settles it",
    "impossible": "--time names another column of times",
    "mixed": "--time names another column, --time-format a format",
    "unsorted": "if the times were misread, --time-format says how they are written",
}


def read_dataset(name: str) -> Table:
    """Return a series that comes with lstmcore.

    "tutorial": 0.1 to 0.9 and its cubes, 9 rows. "sunspots": yearly sunspot numbers 1700-2008,
    309 rows, public domain (World Data Center SILSO by way of the NOAA and statsmodels).

    Raises:
      ValueError: another name.
    """
    if name == "tutorial":
        return Table(("x", "x_cubed"), tutorial_series(), range(9))
    if name == "sunspots":
        with resources.as_file(resources.files("lstmcore") / "datasets" / "sunspots.csv") as path:
            return read_csv(path, ["sunspots"])
    raise ValueError(f"there is no dataset {name!r}: use one of {', '.join(DATASETS)}")


def read_csv(
    path: str | os.PathLike,
    columns: Sequence[str] | None = None,
    *,
    missing: bool = False,
    also: Sequence[str] = (),
    options: ReadOptions | None = None,
    **given: Any,
) -> Table:
    """Read the columns of numbers of a CSV file, as spreadsheets, loggers and pandas write it.

    The table's notes say how the file was understood, one sentence each. Anything ambiguous is
    refused with the option that settles it (`--day-first` on the command line is `day_first=True`
    here).

    Args:
      path: the file, which may be compressed (gz, bz2, xz); "-" is the standard input.
      columns: names of the columns to read, in this order; None reads all that hold numbers, except
        times and row numbers. A column of words becomes one of 0 and 1 for each word:
        "weather=dry", "weather=wet", which can also be named here; one of true and false becomes a
        single column.
      missing: whether values may be missing, and are read as NaN; else they are an error.
      also: names of columns to read after these, whose values may be missing, such as labels.
      options: how to read the file.
      **given: fields of ReadOptions, in place of those of `options`.

    Returns:
      Table; its labels are the times, or else the texts of the first column, or row numbers. Rows
      without any value at the start and at the end are left out.

    Raises:
      FileNotFoundError, IsADirectoryError, OSError: the file cannot be read.
      ValueError: it is not a table, a cell is not a number, has no value or is ambiguous, or times
        are not understood, not sorted, duplicate or irregular. The message names the line.

    Examples:
      >>> import pathlib, tempfile
      >>> from lstmcore import series
      >>> path = pathlib.Path(tempfile.mkdtemp(), "load.csv")
      >>> _ = path.write_text("Datum;Last\\n30.12.2013;1,5\\n31.12.2013;1,75\\n")
      >>> table = series.read_csv(path)
      >>> table.columns, table.values.tolist(), list(table.labels)
      (('Last',), [[1.5], [1.75]], ['30.12.2013', '31.12.2013'])
      >>> print(table.notes[0])
      cells separated by semicolons, decimal commas, times as day.month.year in column 'Datum'
    """
    options = replace(options or ReadOptions(), **given)
    return _table(open_sheet(path, options), columns or (), also, missing, options)


def open_sheet(path: str | os.PathLike, options: ReadOptions, keys: Sequence[str] = ()) -> Sheet:
    """Return the cells of a file. keys: names of columns that are to stay text."""
    named = {options.time, *(options.time or "").split(","), *keys}

    def is_text(name: str) -> bool:  # 2024.10 and 0930 must keep their zeros
        return name in named or may_be_time_name(name) or panel.is_key_name(name)

    sheet = read_sheet(path, options, is_text)
    note_halves(sheet, options)
    return sheet


def parse(
    sheet: Sheet,
    columns: Sequence[str],
    also: Sequence[str],
    options: ReadOptions,
    keys: Sequence[int] = (),
) -> ParsedSheet:
    """Return all rows of a sheet. keys: positions of columns that are neither times nor values.

    Raises:
      ValueError: as `read_csv`.
    """
    chosen, beside = places_of(sheet, columns), places_of(sheet, also)
    taken = {
        sheet.columns[place].name for place in [*(place for place, _ in chosen + beside), *keys]
    }
    places = find_time(sheet, options, taken)
    fields = select(sheet, chosen, beside, [*places, *keys], options)
    values = values_of(sheet, fields, options)
    fields, values = leave_out_counts(sheet, fields, values, asked=bool(chosen))
    main = sum(not field.is_beside for field in fields)
    start, stop = _filled(sheet, values[:, :main])
    rows = np.arange(start, stop)
    times = _read_times(sheet, places, rows, options)
    asked = [sheet.names[place] for place, _ in chosen]
    return ParsedSheet(sheet, fields, values[start:stop], places, rows, times, asked)


def _table(
    sheet: Sheet, columns: Sequence[str], also: Sequence[str], missing: bool, options: ReadOptions
) -> Table:
    """Return the table of a sheet of one series, or of the series that is asked for."""
    parsed = parse(sheet, columns, also, options)
    one = rows_of_one_series(parsed, options)
    if one is not None:
        chosen, keys = one
        parsed = parsed.take(chosen)
        fields, values = leave_out(parsed.fields, parsed.values, () if parsed.asked else keys)
        parsed = parsed._replace(fields=fields, values=values)
        about_keys = tuple(f"{key}: " for key in keys)
        sheet.notes = [note for note in sheet.notes if not note.startswith(about_keys)]
    return table_of(parsed, missing, options)


def table_of(parsed: ParsedSheet, missing: bool, options: ReadOptions) -> Table:
    """Return the rows of one series as a table, with times, labels and notes on how it was read.

    Raises:
      ValueError: as `read_csv`.
    """
    sheet, fields, values, places, rows, times, asked = parsed
    labels, label_name = _labels(sheet, fields, places, times, rows)
    if (kept := _rows_within(sheet, times, labels, options)) is not None:
        rows, values = rows[kept], values[kept]
        times = None if times is None else times.take(kept)
        labels, label_name = _labels(sheet, fields, places, times, rows)
    _check_missing(sheet, fields, values, rows, missing)
    names = tuple(field.name for field in fields)
    point_out(sheet, names, values, times, places, asked=bool(asked))
    found = None
    if times is not None:
        values, times, kept, notes = arrange(values, times, names, options)
        sheet.notes.extend(notes)
        labels = times.labels
        found = _check_times(sheet, times, places, None if kept is None else rows[kept], options)
    time = ",".join(sheet.names[place] for place in places) if places else None
    return Table(
        names,
        values,
        labels,
        label_name,
        found,
        (_understood(sheet, times, places), *sheet.notes),
        replace(options, time=time),
    )


def places_of(sheet: Sheet, asked: Sequence[str]) -> list[tuple[int, str | None]]:
    """Return the position of each requested column, and the word in `column=word`, or None."""
    places: dict[str, list[int]] = {}
    for place, name in enumerate(sheet.names):
        places.setdefault(name, []).append(place)
    found = []
    for name in map(normalized, asked):
        column, equals, category = name.rpartition("=")
        is_category = name not in places and bool(equals) and column in places
        column = column if is_category else name
        if len(places.get(column, ())) != 1:
            raise column_error(sheet, column)
        found.append((places[column][0], category if is_category else None))
    return found


def _filled(sheet: Sheet, values: np.ndarray) -> tuple[int, int]:
    """Return the rows from the first to the last that hold any value, as (start, stop)."""
    if not np.isnan(values[[0, -1]]).all(axis=1).any():
        return 0, len(values)
    known = np.flatnonzero(~np.isnan(values).all(axis=1))
    if not len(known):
        return 0, len(values)  # refused, or filled, by column
    start, stop = int(known[0]), int(known[-1]) + 1
    if start:
        sheet.notes.append(f"{count(start, 'row')} without any value left out at the start")
    if stop < len(values):
        sheet.notes.append(
            f"{count(len(values) - stop, 'row')} without any value left out at the end, from line "
            f"{sheet.line(stop):,}"
        )
    return start, stop


def _read_times(
    sheet: Sheet, places: Sequence[int], rows: np.ndarray, options: ReadOptions
) -> TimeColumn | None:
    if not places:
        if asked := options.of_times:
            raise ValueError(
                f"{sheet.path} has no column of times, which {asked} needs: --time names it; its "
                f"columns are {few(sheet.names)}"
            )
        return None
    texts = texts_of_time(sheet, places, slice(rows[0], rows[-1] + 1))
    try:
        times = read_times(
            texts,
            day_first=options.day_first,
            time_zone=options.time_zone,
            time_format=options.time_format,
        )
    except TimesError as error:
        raise _of_file(error, sheet, places, rows) from None
    if times is None and not options.consecutive:
        first = RowNames(texts)[0][:40]
        raise ValueError(
            f"{where(sheet, int(rows[0]), sheet.columns[places[0]])}: {first!r} is not "
            "understood as a time: --time names another column, --time-format the format, and "
            "--consecutive takes the rows as they come"
        )
    if times is not None:
        for place in places:
            sheet.columns[place].parts = []  # their texts are in the times
    return times


def _check_times(
    sheet: Sheet,
    times: TimeColumn,
    places: Sequence[int],
    rows: np.ndarray | None,
    options: ReadOptions,
) -> Times | None:
    if repeated := int((times.times[1:] == times.times[:-1]).sum()) * options.consecutive:
        sheet.notes.append(RowsNote(repeated, "{have} the time of the row before"))
    try:
        return check_times(times, consecutive=options.consecutive)
    except TimesError as error:
        if rows is None:
            raise ValueError(
                f"{sheet.path}, resampled: {error.text} {_with_options(error.reason)}"
            ) from None
        raise _of_file(error, sheet, places, rows) from None


def _of_file(
    error: TimesError, sheet: Sheet, places: Sequence[int], rows: np.ndarray
) -> ValueError:
    """Return the same error with the line of the file and the options that settle it."""
    names = "','".join(sheet.names[place][:40] for place in places)
    reason = _with_options(error.reason)
    is_settled = error.kind == "ambiguous" and reason != error.reason
    hint = "" if is_settled else HINTS.get(error.kind, "")
    return ValueError(
        f"{sheet.path}, line {sheet.line(int(rows[error.row])):,}, column '{names}': "
        f"{error.text or 'an empty cell'} {reason}{'; ' * bool(hint)}{hint}"
    )


def _with_options(reason: str) -> str:
    """Return the reason of a TimesError with options in place of arguments."""
    for argument, option in ARGUMENTS.items():
        reason = re.sub(argument, option, reason)
    return reason


def _rows_within(
    sheet: Sheet, times: TimeColumn | None, labels: Sequence, options: ReadOptions
) -> np.ndarray | None:
    """Return the positions of the rows that are asked for, or None for all, with a note."""
    try:
        kept = rows_within(times, labels, options)
    except ValueError as error:
        raise type(error)(f"{sheet.path}: {error}") from None
    if kept is None:
        return None
    in_utc = ", in UTC, as the offsets change (--time-zone reads the local clock)"
    rest = f"cut to {{kept}} by {limits_of(options)}{in_utc * _is_in_utc(times)}"
    sheet.notes.append(RowsNote(len(labels), rest, int(kept.sum())))
    return np.flatnonzero(kept)


def limits_of(options: ReadOptions) -> str:
    """Return the options that say which rows are read, as they were given."""
    limits = (("since", options.since), ("until", options.until))
    return " and ".join(f"--{name} {when}" for name, when in limits if when is not None)


def _is_in_utc(times: TimeColumn | None) -> bool:
    """Return whether times of several offsets were converted to UTC."""
    if times is None or not times.form.parts:
        return False
    end = times.form.parts[-1].style
    ends = (str(times.labels[place]) for place in (0, len(times.labels) - 1))
    return end in ("+0000", "+00:00") and not all(one.endswith((end, "Z")) for one in ends)


def _check_missing(
    sheet: Sheet, fields: Sequence[Field], values: np.ndarray, rows: np.ndarray, missing: bool
) -> None:
    if missing:
        return
    for place, field in enumerate(fields):
        if not field.is_beside and np.isnan(values[:, place].min(initial=0)):
            row = int(rows[np.isnan(values[:, place]).argmax()])
            raise ValueError(
                f"{where(sheet, row, sheet.columns[field.place])}: no value; fill in or remove "
                "missing values first"
            )


def _labels(
    sheet: Sheet,
    fields: Sequence[Field],
    places: Sequence[int],
    times: TimeColumn | None,
    rows: np.ndarray,
) -> tuple[Sequence, str]:
    if times is not None:
        return times.labels, " ".join(sheet.names[place] for place in places)
    place = places[0] if places else 0
    column = sheet.columns[place]
    if place not in [field.place for field in fields] and examine(column).words:
        return RowNames(list(column.texts()))[rows], column.name
    return range(len(rows)), "row of the table"


def _understood(sheet: Sheet, times: TimeColumn | None, places: Sequence[int]) -> str:
    """Return one sentence on how the file was read."""
    parts = []
    if len(sheet.columns) > 1:
        separator = SEPARATORS.get(sheet.separator, repr(sheet.separator))
        parts.append(f"cells separated by {separator}")
    if sheet.decimal == ",":
        parts.append("decimal commas")
    if times is not None:
        names = listed([repr(sheet.names[place][:40]) for place in places[:6]])
        parts.append(f"times as {times.form} in column{'s' * (len(places) > 1)} {names}")
    return ", ".join(parts or ["one number on each line"])
