"""Reading a table of numbers: CSV files and the series that come with lstmcore."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Sequence
from importlib import resources
from typing import NamedTuple

import numpy as np

from lstmcore import series

DATASETS = ("tutorial", "sunspots")


class Table(NamedTuple):
    """Numbers in the order of time.

    columns: names, F of them
    values: float64 [rows, F], all finite
    labels: name of each row, such as its date
    label_name: what the labels are
    """

    columns: tuple[str, ...]
    values: np.ndarray
    labels: Sequence
    label_name: str = "row of the table"


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


def read_csv(path: str | os.PathLike, columns: list[str] | None = None) -> Table:
    """The numeric columns of a CSV file.

    The separator may be a comma, a semicolon or a tab. A first line that holds a word is taken
    for the names of the columns; else they are column_0, column_1, ...

    Args:
      path: the file.
      columns: names of those to read; None reads every column that starts with a number.

    Returns:
      Table; its labels are the cells of the first column, such as dates, if that is not read.

    Raises:
      ValueError: an empty file, a missing or non-numeric column, a missing or infinite value, or
        a line with too few or too many cells; the message names the line.
      FileNotFoundError: there is no such file.
    """
    names, rows = _cells(path)
    if columns is None:
        by_column = zip(names, zip(*(cells for _, cells in rows), strict=True), strict=True)
        columns = [name for name, cells in by_column if _starts_with_a_number(cells)]
        if not columns:
            raise ValueError(
                f"{path} has no numeric column: its columns are {', '.join(names)}, and the first "
                f"row holds {', '.join(map(repr, rows[0][1]))}"
            )
    values = np.empty((len(rows), len(columns)))
    for column, name in enumerate(columns):
        if names.count(name) != 1:
            problem = "more than one column" if name in names else "no column"
            raise ValueError(f"{path} has {problem} {name!r}: its columns are {', '.join(names)}")
        position = names.index(name)
        for row, (line, cells) in enumerate(rows):
            values[row, column] = _number(cells[position], path, name, line)
    if names[0] in columns:
        return Table(tuple(columns), values, range(len(rows)))
    return Table(tuple(columns), values, [cells[0].strip() for _, cells in rows], names[0])


def _cells(path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """(column names, rows as (line number, text of each cell))."""
    rows = _numbered_lines(path)
    while rows and _is_blank(rows[-1][1]):
        rows.pop()
    while rows and _is_blank(rows[0][1]):
        rows.pop(0)
    if not rows:
        raise ValueError(f"{path} is empty: expected lines of numbers with a separator")
    _, first = rows[0]
    if all(_is_number(cell) for cell in first):
        names = [f"column_{i}" for i in range(len(first))]
    else:
        names = [cell.strip() for cell in first]
        rows.pop(0)
    if not rows:
        raise ValueError(f"{path} has column names but no rows of numbers")
    for line, cells in rows:
        if len(cells) != len(names):
            raise ValueError(
                f"{path}, line {line}: {len(cells)} cells, but there are {len(names)} columns "
                f"({', '.join(names)})"
            )
    return names, rows


def _numbered_lines(path) -> list[tuple[int, list[str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip()), "")
            file.seek(0)
            # A comma may be a decimal one where there is another separator.
            separator = next((mark for mark in "\t;" if mark in first), ",")
            reader = csv.reader(file, delimiter=separator, strict=True)
            return [(reader.line_num, cells) for cells in reader]
    except IsADirectoryError:
        raise IsADirectoryError(f"{path} is a folder, not a CSV file") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not a CSV file ({error})") from error


def _is_blank(cells: list[str]) -> bool:
    return not any(cell.strip() for cell in cells)


def _starts_with_a_number(cells) -> bool:
    """Whether the first value that is not missing is a number."""
    return next((_is_number(cell) for cell in cells if not _is_missing(cell)), False)


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in ("", "na", "n/a", "null", "none")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _number(cell: str, path, column: str, line: int) -> float:
    where = f"{path}, line {line}, column {column!r}"
    if _is_missing(cell):
        raise ValueError(f"{where}: no value; fill in or remove missing values first")
    if not _is_number(cell):
        raise ValueError(f"{where}: {cell!r} is not a number; choose other columns or clean it")
    value = float(cell)
    if not math.isfinite(value):
        raise ValueError(f"{where}: {cell.strip()} is not finite; fill in or remove it first")
    return value
