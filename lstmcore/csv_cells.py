"""The cells of a CSV file, some thousand rows at a time: a file may be larger than memory."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np

ROWS_AT_ONCE = 4_000

__all__ = ["Chunk", "is_number", "numbers", "read_chunks", "starts_with_a_number"]


class Chunk(NamedTuple):
    """Rows that follow one another in a file.

    lines: [rows], the line of the file that each row ends on, counted from 1
    columns: text of the cells, [rows] for each column
    """

    lines: tuple[int, ...]
    columns: list[tuple[str, ...]]


def read_chunks(path) -> tuple[list[str], Iterator[Chunk]]:
    """(column names, the rows in order, at least one).

    Raises:
      ValueError: an empty file, or one that is no text, now; a line with too few or too many
        cells, when it is reached.
      FileNotFoundError: there is no such file.
    """
    rows = _without_blank_ends(_numbered_lines(path))
    start = list(islice(rows, 2))
    if not start:
        raise ValueError(f"{path} is empty: expected lines of numbers with a separator")
    first = start[0][1]
    if all(is_number(cell) for cell in first):
        names = [f"column_{i}" for i in range(len(first))]
    else:
        names = [cell.strip() for cell in first]
        start.pop(0)
    if not start:
        raise ValueError(f"{path} has column names but no rows of numbers")
    return names, _chunks(path, names, start, rows)


def numbers(chunk: Chunk, column: int, path, name: str, missing: bool) -> np.ndarray:
    """A column of the chunk, float64 [rows]; where `missing` allows for it, NaN without a value.

    Raises:
      ValueError: a cell that is no finite number; the message names its line.
    """
    cells = chunk.columns[column]
    try:
        values = np.array(list(map(float, cells)))
    except ValueError:
        pass
    else:
        if (np.isfinite(values) | (missing & np.isnan(values))).all():
            return values
    where = (f"{path}, line {line}, column {name!r}" for line in chunk.lines)
    return np.array(
        [_number(cell, place, missing) for cell, place in zip(cells, where, strict=True)]
    )


def starts_with_a_number(cells) -> bool | None:
    """Whether the first value that is not missing is a number; None if all are missing."""
    return next((is_number(cell) for cell in cells if not _is_missing(cell)), None)


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _chunks(path, names: list[str], start: list, rest: Iterator) -> Iterator[Chunk]:
    while rows := start + list(islice(rest, ROWS_AT_ONCE - len(start))):
        start = []
        for line, cells in rows:
            if len(cells) != len(names):
                raise ValueError(
                    f"{path}, line {line}: {len(cells)} cells, but there are {len(names)} columns "
                    f"({', '.join(names)})"
                )
        lines, cells = zip(*rows, strict=True)
        yield Chunk(lines, list(zip(*cells, strict=True)))


def _without_blank_ends(rows: Iterator) -> Iterator:
    """Blank lines at the start and the end of a file mean nothing; between rows they do."""
    blank: list = []
    begun = False
    for row in rows:
        if any(cell.strip() for cell in row[1]):
            yield from blank
            yield row
            blank, begun = [], True
        elif begun:
            blank.append(row)


def _numbered_lines(path) -> Iterator[tuple[int, list[str]]]:
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            first = next((line for line in file if line.strip()), "")
            file.seek(0)
            # A comma may be a decimal one where there is another separator.
            separator = next((mark for mark in "\t;" if mark in first), ",")
            reader = csv.reader(file, delimiter=separator, strict=True)
            for cells in reader:
                yield reader.line_num, cells
    except IsADirectoryError:
        raise IsADirectoryError(f"{path} is a folder, not a CSV file") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file in UTF-8 ({error.reason})") from error
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: not a CSV file ({error})") from error


def _is_missing(cell: str) -> bool:
    return cell.strip().lower() in ("", "na", "n/a", "null", "none")


def _number(cell: str, where: str, missing: bool) -> float:
    if _is_missing(cell):
        if missing:
            return math.nan
        raise ValueError(f"{where}: no value; fill in or remove missing values first")
    if not is_number(cell):
        raise ValueError(f"{where}: {cell!r} is not a number; choose other columns or clean it")
    value = float(cell)
    if not (math.isfinite(value) or (missing and math.isnan(value))):
        raise ValueError(f"{where}: {cell.strip()} is not finite; fill in or remove it first")
    return value
