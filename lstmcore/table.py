"""Reading a table of numbers: CSV files and the series that come with lstmcore."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

import numpy as np

from lstmcore import csv_cells, series

DATASETS = ("tutorial", "sunspots")
TIME_NAMES = ("time", "date", "datetime", "timestamp", "year", "ds")


class Table(NamedTuple):
    """Numbers in the order of time.

    columns: names, F of them
    values: float64 [rows, F], all finite, but for NaN where missing values were asked for
    labels: name of each row, such as its date
    label_name: what the labels are
    timed: the labels are times because the file or the caller says so; else they may be
    """

    columns: tuple[str, ...]
    values: np.ndarray
    labels: Sequence
    label_name: str = "row of the table"
    timed: bool = False


def read_dataset(name: str) -> Table:
    """A series that comes with lstmcore.

    "tutorial": 0.1 to 0.9 and its cubes, 9 rows. "sunspots": yearly sunspot numbers 1700-2008,
    309 rows, public domain (World Data Center SILSO by way of the NOAA and statsmodels).
    """
    if name == "tutorial":
        return Table(("x", "x_cubed"), series.tutorial_series(), range(9))
    if name == "sunspots":
        with resources.as_file(resources.files("lstmcore") / "datasets" / "sunspots.csv") as path:
            return read_csv(path, ["sunspots"])
    raise ValueError(f"there is no dataset {name!r}: use one of {', '.join(DATASETS)}")


def read_csv(
    path: str | os.PathLike,
    columns: list[str] | None = None,
    *,
    missing: bool = False,
    time: str | None = None,
) -> Table:
    """The numeric columns of a CSV file.

    The separator may be a comma, a semicolon or a tab. A first line that holds a word is taken
    for the names of the columns; else they are column_0, column_1, ...

    Args:
      path: the file.
      columns: names of those to read; None reads every column that starts with a number, but not
        the column of times.
      missing: whether cells may be empty, NA, null or nan: they are read as NaN. Else they are an
        error.
      time: name of the column of times; None takes the first column if it is called time, date,
        datetime, timestamp, year or ds and stands beside others.

    Returns:
      Table; its labels are the cells of the column of times, or else of the first column, such as
      names, if that is not read.

    Raises:
      ValueError: an empty file, a missing or non-numeric column, a missing or infinite value, or
        a line with too few or too many cells; the message names the line.
      FileNotFoundError: there is no such file.
    """
    names, chunks = csv_cells.read_chunks(path)
    is_named = time is None and len(names) > 1 and names[0].lower() in TIME_NAMES
    label = 0 if time is None else _position(time, names, path)
    timed = time is not None or is_named
    if columns is None:
        undecided = [place for place in range(len(names)) if not (timed and place == label)]
        read: dict[int, list[np.ndarray]] = {}
    else:
        undecided, read = [], {_position(name, names, path): [] for name in columns}
    labels: list[str] = []
    rows, start = 0, None
    for chunk in chunks:
        start = start or chunk
        for place in list(undecided):
            numeric = csv_cells.starts_with_a_number(chunk.columns[place])
            if numeric is not None:
                undecided.remove(place)
            if numeric:
                _position(names[place], names, path)
                if rows:  # without a value until now, which is an error if it is one there
                    csv_cells.numbers(start, place, path, names[place], missing)
                read[place] = [np.full(rows, np.nan)]
        for place, parts in read.items():
            parts.append(csv_cells.numbers(chunk, place, path, names[place], missing))
        if time is not None or label not in read:
            labels += map(str.strip, chunk.columns[label])
        rows += len(chunk.lines)
    if not read:
        besides = f" besides that of times, {names[label]}" if timed else ""
        first = [cells[0] for cells in start.columns] if start else []
        raise ValueError(
            f"{path} has no numeric column{besides}: its columns are {', '.join(names)}, and the "
            f"first row holds {', '.join(map(repr, first))}"
        )
    places = sorted(read) if columns is None else list(read)
    values = np.empty((rows, len(places)))
    for column, place in enumerate(places):
        values[:, column] = np.concatenate(read.pop(place))
    chosen = tuple(names[place] for place in places)
    if time is None and label in places:
        return Table(chosen, values, range(rows))
    return Table(chosen, values, labels, names[label], timed)


def regular(table: Table) -> tuple[Table, series.Times | None]:
    """The table with every step as long as any other: a row of NaN for each that is left out.

    Labels are checked if they are times: dates, or numbers of a column that says it holds times.

    Returns:
      (the table without gaps, its times as they were); (the table as it is, None) if its labels
      are no times.

    Raises:
      ValueError: times that are not sorted, twice the same or irregular, see `series.check_times`.

    Examples:
      >>> import numpy as np
      >>> from lstmcore.table import Table, regular
      >>> years = Table(("x",), np.array([[1.0], [2.0]]), ["2001-01-01", "2002-01-01"], "year")
      >>> regular(years)[1].interval
      '1 year'
    """
    if isinstance(table.labels, range):
        return table, None
    if not table.timed and csv_cells.is_number(str(next(iter(table.labels), ""))):
        return table, None
    times = series.check_times(table.labels)
    if times is None or not times.gaps:
        return table, times
    values, labels = series.insert_gaps(table.values, times)
    return table._replace(values=values, labels=labels), times


def _position(name: str, names: list[str], path) -> int:
    if names.count(name) != 1:
        problem = "more than one column" if name in names else "no column"
        raise ValueError(f"{path} has {problem} {name!r}: its columns are {', '.join(names)}")
    return names.index(name)
