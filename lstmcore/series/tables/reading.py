"""Read a file of any common form into a table."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib import resources
from typing import Any

import numpy as np

from lstmcore.formatting import count, few, normalized
from lstmcore.series.row_names import RowNames
from lstmcore.series.tables import panel
from lstmcore.series.tables.arranging import arrange
from lstmcore.series.tables.columns import examine, where
from lstmcore.series.tables.csv import read_sheet
from lstmcore.series.tables.doubts import note_halves, point_out
from lstmcore.series.tables.header import may_be_time_name
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.selection import Field, leave_out, leave_out_counts, select, values_of
from lstmcore.series.tables.sheet import Column, Sheet, column_error
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
}
DATASETS = ("tutorial", "sunspots")
SEPARATORS = {"\t": "tabs", " ": "spaces"}  # others are shown as is
HINTS = {  # for each kind of TimesError, the options that settle it
    "ambiguous": "--day-first, --month-first or --time-format settles it",
    "impossible": "--time names another column of times",
    "mixed": "--time names another column, --time-format a format",
    "duplicate": "--duplicates mean, first or last makes one row of them",
    "unsorted": "--sort sorts them, --time-format tells how they are written if they were misread",
    "irregular": "--resample 1h or --consecutive does it",
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
      read with ; between cells, decimal commas, times as day.month.year in column 'Datum'
    """
    options = replace(options or ReadOptions(), **given)
    named = {options.time, *(options.time or "").split(",")}

    def is_text(name: str) -> bool:  # 2024.10 and 0930 must keep their zeros
        return name in named or may_be_time_name(name) or panel.is_key_name(name)

    sheet = read_sheet(path, options, is_text)
    note_halves(sheet, options)
    return _table(sheet, columns or (), also, missing, options)


def _table(
    sheet: Sheet, columns: Sequence[str], also: Sequence[str], missing: bool, options: ReadOptions
) -> Table:
    """Return the table of a sheet, with its times, its labels and the notes on how it was read."""
    chosen, beside = _resolve(sheet, columns), _resolve(sheet, also)
    taken = {sheet.columns[place].name for place, _ in chosen + beside}
    places = find_time(sheet, options, taken)
    fields = select(sheet, chosen, beside, places, options)
    values = values_of(sheet, fields, options)
    fields, values = leave_out_counts(sheet, fields, values, asked=bool(chosen))
    main = sum(not field.is_beside for field in fields)
    start, stop = _filled(sheet, values[:, :main])
    rows, values = np.arange(start, stop), values[start:stop]
    times = _read_times(sheet, places, rows, options)
    asked = [sheet.names[place] for place, _ in chosen]
    one = _one_series(sheet, fields, values, places, times, rows, options, asked)
    if one is not None:
        places_of, keys = one
        rows, values = rows[places_of], values[places_of]
        times = None if times is None else times.take(places_of)
        fields, values = leave_out(fields, values, () if chosen else keys)
        about_keys = tuple(f"{key}: " for key in keys)
        sheet.notes = [note for note in sheet.notes if not note.startswith(about_keys)]
    _check_missing(sheet, fields, values, rows, missing)
    names = tuple(field.name for field in fields)
    labels, label_name = _labels(sheet, fields, places, times, rows)
    point_out(sheet, names, values, times, places, asked=bool(chosen))
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


def _resolve(sheet: Sheet, asked: Sequence[str]) -> list[tuple[int, str | None]]:
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
    try:
        return check_times(times, consecutive=options.consecutive)
    except TimesError as error:
        if rows is None:
            raise ValueError(f"{sheet.path}, resampled: {error}") from None
        raise _of_file(error, sheet, places, rows) from None


def _of_file(
    error: TimesError, sheet: Sheet, places: Sequence[int], rows: np.ndarray
) -> ValueError:
    """Return the same error with the line of the file and the options that settle it."""
    names = "','".join(sheet.names[place][:40] for place in places)
    reason = error.reason
    for argument, option in ARGUMENTS.items():
        reason = re.sub(argument, option, reason)
    is_settled = error.kind == "ambiguous" and reason != error.reason
    hint = "" if is_settled else f"; {HINTS[error.kind]}"
    return ValueError(
        f"{sheet.path}, line {sheet.line(int(rows[error.row])):,}, column '{names}': "
        f"{error.text or 'an empty cell'} {reason}{hint}"
    )


def _one_series(
    sheet: Sheet,
    fields: Sequence[Field],
    values: np.ndarray,
    places: Sequence[int],
    times: TimeColumn | None,
    rows: np.ndarray,
    options: ReadOptions,
    asked: Sequence[str],
) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Return the rows of the requested series, and the columns that tell series apart.

    None if there is only one series. Rows are positions in `values`; `asked` names the columns that
    the caller named.

    Raises:
      ValueError: several series, none of which was requested, or one that does not exist.
    """
    moments = None if times is None else times.times
    is_sorted = moments is None or bool((moments[1:] > moments[:-1]).all())
    candidates: dict[str, np.ndarray] = {}
    read = {field.place: values[:, place] for place, field in enumerate(fields)}
    for place, column in enumerate(sheet.columns):
        if place in places or (is_sorted and not panel.is_key_name(column.name)):
            continue
        if (cells := _cells_of_key(column, read.get(place), rows)) is not None:
            candidates[column.name] = cells
    keys = panel.find_keys(moments, candidates) or _shared_key(
        sheet, candidates, options.series, asked
    )
    if not keys:
        return None
    chosen = _rows_of_series(sheet, [candidates[key] for key in keys], keys, options.series)
    known = np.flatnonzero(~np.isnan(values[chosen]).all(axis=1))
    return (chosen[known[0] : known[-1] + 1] if len(known) else chosen), keys


def _cells_of_key(
    column: Column, numbers: np.ndarray | None, rows: np.ndarray
) -> np.ndarray | None:
    """Return the cells of a column that may tell series apart: texts, or whole numbers."""
    if column.parts:
        return np.array(list(column.texts()))[rows]
    if numbers is None or not np.isfinite(numbers).all() or (numbers != np.trunc(numbers)).any():
        return None
    return numbers.astype(np.int64)


def _shared_key(
    sheet: Sheet, candidates: dict[str, np.ndarray], series: str | None, asked: Sequence[str]
) -> tuple[str, ...]:
    """Return the column that tells series apart by its name; () if no series is requested.

    Raises:
      ValueError: a series is requested, but no column may tell series apart.
    """
    sharing = panel.shared_keys(candidates)
    if series is None:
        if names := [name for name in sharing if name not in asked]:
            sheet.notes.append(
                f"{few(names)} may tell series apart, but all rows are taken for one series: "
                f"--series NAME reads those of one value, such as {sharing[names[0]]}"
            )
        return ()
    if not sharing:
        raise ValueError(f"{sheet.path} holds one series alone: leave out --series")
    fitting = [name for name in sharing if series in map(str, candidates[name])]
    return tuple(fitting or sharing)[:1]


def _rows_of_series(
    sheet: Sheet, cells: Sequence[np.ndarray], keys: Sequence[str], series: str | None
) -> np.ndarray:
    """Return the positions of the rows of a series; raise if it is not one of those in the file."""
    names = panel.keys_of([column.tolist() for column in cells])
    known = list(dict.fromkeys(names))
    found = f"{len(known):,} series, told apart by {' and '.join(key[:40] for key in keys)}"
    if series is None:
        raise panel.SeveralSeriesError(
            f"{sheet.path} holds {found} ({few(known)}): --series NAME reads one of them, --series "
            "list names all",
            known,
        )
    chosen = np.flatnonzero(np.array(names) == series)
    if not len(chosen):
        raise panel.SeveralSeriesError(
            f"{sheet.path} has no series {series[:60]!r}: it holds {found} ({few(known)})", known
        )
    sheet.notes.append(f"series {series[:60]} of {found}: {count(len(chosen), 'row')}")
    return chosen


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
        parts.append(f"{SEPARATORS.get(sheet.separator, sheet.separator)} between cells")
    if sheet.decimal == ",":
        parts.append("decimal commas")
    if times is not None:
        names = " and ".join(repr(sheet.names[place][:40]) for place in places[:6])
        parts.append(f"times as {times.form} in column{'s' * (len(places) > 1)} {names}")
    return "read with " + ", ".join(parts or ["one number on each line"])
