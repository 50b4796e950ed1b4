"""The cells of a file by columns, in parts that follow one another, with the line of each row."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from lstmcore.formatting import did_you_mean, few
from lstmcore.series.row_names import as_text
from lstmcore.series.tables.plain_text import WIDEST_TEXT


class EmptyTableError(ValueError):
    """A file has no rows, or no values where they may be, so that there is nothing to read."""


class Row(NamedTuple):
    """The cells of a row, and the line of the file, counted from 1, that it begins on."""

    line: int
    cells: list[str]

    @property
    def is_blank(self) -> bool:
        return not any(map(str.strip, self.cells))


@dataclass
class Column:
    """The cells of a column, in parts that follow one another.

    Attributes:
      name: from the header, or column_0, column_1, ...
      is_unnamed: whether the header leaves its name empty.
      parts: text [rows], bytes in UTF-8 or StringDType; or float64 [rows] of cells that can only be
        numbers, NaN if empty.
      marks: decimal marks in the parts of numbers.
      numeric: whether later parts may be numbers rather than text.
    """

    name: str
    is_unnamed: bool = False
    parts: list[np.ndarray] = field(default_factory=list)
    marks: set[str] = field(default_factory=set)
    numeric: bool = False

    def append(self, cells: Sequence[str], decimal: str = ".") -> None:
        """Add the cells of some rows."""
        numbers = _plain_numbers(cells, decimal) if self.numeric else None
        self.parts.append(_text_array(cells) if numbers is None else numbers)
        if numbers is not None and decimal and any(decimal in cell for cell in cells):
            self.marks.add(decimal)

    def settle(self, decimal: str) -> None:
        """Turn the cells read so far into numbers, now that it is a column of them."""
        parts, self.parts = self.parts, []
        for part in parts:
            self.append(list(map(as_text, part.tolist())), decimal)

    def texts(self) -> Iterator[str]:
        """Yield the cells from first to last, without spaces around them."""
        for part in self.parts:
            if part.dtype.kind == "f":
                yield from ("" if n != n else f"{n:.15g}" for n in part.tolist())
            elif part.dtype.kind == "S":
                yield from (cell.decode() for cell in part.tolist())
            else:
                yield from part.tolist()


@dataclass
class Sheet:
    """The cells of a file.

    Attributes:
      path: the file.
      separator: the character between cells.
      columns: all of them, in order.
      notes: sentences on what was left out or guessed.
      rows: number of rows.
      decimal: the decimal mark; empty if it is not known.
      has_names: a line of the file, or a comment, names the columns.
    """

    path: str | os.PathLike
    separator: str = ","
    columns: list[Column] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    rows: int = 0
    decimal: str = "."
    has_names: bool = False
    _lines: list[tuple[int, range | np.ndarray]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.columns]

    def line(self, row: int) -> int:
        """Return the line of the file, counted from 1, that a row begins on."""
        first, lines = next(part for part in reversed(self._lines) if part[0] <= row)
        return int(lines[row - first])

    def append(self, rows: Sequence[Row]) -> None:
        numbers, cells = zip(*rows, strict=True)
        is_range = numbers[-1] - numbers[0] + 1 == len(numbers)
        lines = range(numbers[0], numbers[-1] + 1) if is_range else np.array(numbers)
        for column, texts in zip(self.columns, zip(*cells, strict=True), strict=True):
            column.append(texts, self.decimal)
        self._count(lines)

    def append_plain(self, parts: Sequence[np.ndarray], lines: range, block: bytes) -> None:
        """Add columns that `read_plain` has made of a block."""
        has_mark = bool(self.decimal) and self.decimal.encode() in block
        for column, part in zip(self.columns, parts, strict=True):
            column.parts.append(part)
            is_open = has_mark and part.dtype.kind == "f" and self.decimal not in column.marks
            if is_open and (part != np.trunc(part))[~np.isnan(part)].any():
                column.marks.add(self.decimal)
        self._count(lines)

    def _count(self, lines: range | np.ndarray) -> None:
        self._lines.append((self.rows, lines))
        self.rows += len(lines)


def _plain_numbers(cells: Sequence[str], decimal: str) -> np.ndarray | None:
    """Return cells that can only be numbers, float64 [rows], NaN where empty; else None."""
    joined = "".join(cells)
    if decimal == "" and ("." in joined or "," in joined):
        return None
    if decimal == ",":
        if "." in joined:
            return None
        cells = [cell.replace(",", ".") for cell in cells]
    if not joined.isascii() or "_" in joined:  # both are numbers to Python
        return None
    try:
        numbers = np.array([float(cell) if cell else np.nan for cell in cells])
    except ValueError:
        return None
    is_worded = np.count_nonzero(np.isnan(numbers)) > list(cells).count("")
    return None if is_worded or np.isinf(numbers).any() else numbers


def _text_array(cells: Sequence[str]) -> np.ndarray:
    """Return text [rows] in as little memory as its longest cell allows."""
    encoded = [cell.strip().encode() for cell in cells]
    if max(map(len, encoded)) <= WIDEST_TEXT:
        return np.array(encoded, dtype="S")
    return np.array([cell.strip() for cell in cells], dtype=np.dtypes.StringDType())


def column_error(sheet: Sheet, name: str) -> ValueError:
    """Return the error that a file has no column, or more than one, of a name."""
    if name in sheet.names:
        problem = f"more than one column {name[:60]!r}"
    else:
        problem = f"no column {name[:60]!r}{did_you_mean(name, sheet.names)}"
    return ValueError(f"{sheet.path} has {problem}: its columns are {few(sheet.names)}")
