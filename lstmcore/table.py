"""Reading a table of numbers: CSV files and the series that come with lstmcore."""

from __future__ import annotations

import csv
import math
import os
from importlib import resources
from typing import NamedTuple

import numpy as np

from lstmcore import series

DATASETS = ("tutorial", "sunspots")


class Table(NamedTuple):
    """columns: names, F of them; values: float64 [rows, F], all finite."""

    columns: tuple[str, ...]
    values: np.ndarray


def read_dataset(name: str) -> Table:
    """A series that comes with lstmcore.

    "tutorial": 0.1 to 0.9 and its cubes, 9 rows. "sunspots": yearly sunspot numbers 1700-2008,
    309 rows, public domain (World Data Center SILSO by way of the NOAA and statsmodels).
    """
    if name == "tutorial":
        return Table(("x", "x_cubed"), series.tutorial_series())
    if name == "sunspots":
        with resources.as_file(resources.files("lstmcore") / "datasets" / "sunspots.csv") as path:
            return read_csv(path, ["sunspots"])
    raise ValueError(f"there is no dataset {name!r}: use one of {', '.join(DATASETS)}")


def read_csv(path: str | os.PathLike, columns: list[str] | None = None) -> Table:
    """The numeric columns of a CSV file.

    The separator may be a comma, a semicolon or a tab. A first line that holds a word is taken
    for the names of the columns; else they are column_0, column_1, ...

    Args:
      path: the file.
      columns: names of those to read; None reads every column that starts with a number.

    Returns:
      Table.

    Raises:
      ValueError: an empty file, a missing or non-numeric column, a missing or infinite value, or
        a line with too few or too many cells; the message names the line.
      FileNotFoundError: there is no such file.
    """
    names, rows, first_line = _cells(path)
    if columns is None:
        columns = [name for i, name in enumerate(names) if _is_number(rows[0][i])]
        if not columns:
            raise ValueError(f"{path} has no numeric column: its columns are {', '.join(names)}")
    missing = [name for name in columns if name not in names]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]!r}: its columns are {', '.join(names)}")
    values = np.empty((len(rows), len(columns)))
    for column, name in enumerate(columns):
        position = names.index(name)
        for row, cells in enumerate(rows):
            values[row, column] = _number(cells[position], path, name, first_line + row)
    return Table(tuple(columns), values)


def _cells(path) -> tuple[list[str], list[list[str]], int]:
    """(column names, rows of text, line number of the first row)."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            start = file.readline()
            file.seek(0)
            separator = max(",;\t", key=start.count)
            lines = list(csv.reader(file, delimiter=separator))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8 ({error.reason})") from error
    while lines and not any(cell.strip() for cell in lines[-1]):
        lines.pop()
    if not lines:
        raise ValueError(f"{path} is empty: expected lines of numbers with a separator")
    if all(_is_number(cell) for cell in lines[0]):
        names, rows, first_line = [f"column_{i}" for i in range(len(lines[0]))], lines, 1
    else:
        names, rows, first_line = [cell.strip() for cell in lines[0]], lines[1:], 2
    if not rows:
        raise ValueError(f"{path} has column names but no rows of numbers")
    for row, cells in enumerate(rows):
        if len(cells) != len(names):
            raise ValueError(
                f"{path}, line {first_line + row}: {len(cells)} cells, but there are "
                f"{len(names)} columns ({', '.join(names)})"
            )
    return names, rows, first_line


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, path, column: str, line: int) -> float:
    where = f"{path}, line {line}, column {column!r}"
    if not cell.strip() or cell.strip().lower() in ("na", "n/a", "null", "none"):
        raise ValueError(f"{where}: no value; fill in or remove missing values first")
    if not _is_number(cell):
        raise ValueError(f"{where}: {cell!r} is not a number; choose other columns or clean it")
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{where}: {cell.strip()} is not finite; fill in or remove it first")
    return value
