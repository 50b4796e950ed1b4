"""Read plain blocks of large files with pandas, which is fast.

A block of text is plain if all lines have the same number of cells and none is quoted. `csv` reads
other blocks, or all blocks without pandas, cell by cell, with the same result.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Sequence
from functools import cache, cached_property
from typing import Any

import numpy as np

WIDEST_TEXT = 64  # bytes of a cell
SPACES_AROUND = (b"  ", b"\n ", b" \n", b"\t", b"\r")  # of cells that spaces separate
# What `str.strip` takes off a cell, other than spaces and tabs.
CONTROLS = (b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
LEADS = (b"\xc2", b"\xe1\x9a", b"\xe2\x80", b"\xe2\x81", b"\xe3\x80")  # of others in UTF-8
OTHER_SPACES = re.compile(
    rb"\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2\x80[\x80-\x8a\xa8\xa9\xaf]|\xe2\x81\x9f|\xe3\x80\x80"
)
NEWLINE = ord("\n")
FLOAT64 = np.dtype("float64")  # looked up once, not for each column of each block
TRUTHS = (b"True", b"TRUE", b"true", b"False", b"FALSE", b"false")


def read_plain(
    block: bytes, separator: str, numeric: Sequence[bool], decimal: str
) -> list[np.ndarray] | None:
    """Return columns of lines: float64 [rows] if numeric, else text [rows]; None if not plain.

    Args:
      block: whole lines in UTF-8.
      separator: between cells.
      numeric: of each column, whether its cells are numbers; an empty one is read as NaN.
      decimal: the decimal mark, "." or ","; empty if it is not known.
    """
    if len(separator.encode()) != 1 or not any(numeric):
        return None
    # Where all cells have to be numbers, pandas makes these checks.
    if not all(numeric):
        if b"\r" in block:
            block = block.replace(b"\r\n", b"\n")
        if b'"' in block or b"#" in block or b"\r" in block or _has_other_spaces(block):
            return None
    if not decimal and (b"." in block or b"," in block):
        return None
    if separator == " " and any(mark in block for mark in SPACES_AROUND):
        return None
    if not block.endswith(b"\n") or block.startswith((b" ", codecs.BOM_UTF8)):
        return None
    lines = _Lines(block, ord(separator), len(numeric))
    numbers = _numbers(lines, separator, numeric, decimal or ".")
    if numbers is None:
        return None
    columns = []
    for place, is_numeric in enumerate(numeric):
        column = numbers[place].to_numpy() if is_numeric else lines.cells(place)
        if column is None or len(column) != len(numbers):
            return None
        if is_numeric and (np.isinf(column).any() or _may_be_truth(column, block)):
            return None
        columns.append(column)
    return columns


def _numbers(lines: _Lines, separator: str, numeric: Sequence[bool], decimal: str) -> Any:
    """Return a data frame of the numeric columns.

    None if a line has too few or too many cells, or a cell is no number.
    """
    parse = _pandas_reader()
    # With all columns to read, pandas refuses any line that is longer than the first.
    is_whole = lines.first_has_all_separators if all(numeric) else lines.have_all_separators
    if parse is None or not is_whole:
        return None
    places = [place for place, is_numeric in enumerate(numeric) if is_numeric]
    try:
        numbers = parse(
            io.BytesIO(lines.block),
            sep=separator,
            decimal=decimal,
            names=range(len(numeric)),
            usecols=None if all(numeric) else places,
            dtype=dict.fromkeys(places, FLOAT64),
        )
    except ValueError:  # a cell that is no number, or a line that is too long
        return None
    # To pandas, a carriage return alone ends a line, too.
    if all(numeric) and b"\r" in lines.block and len(numbers) != lines.rows:
        return None
    if len(numeric) == 1:  # a blank line is no row, nor an empty cell
        return None if np.isnan(numbers[0].to_numpy()).any() else numbers
    # A short line leaves its last cell without a value. If none is short, none is long either.
    is_filled = numeric[-1] and not np.isnan(numbers[places[-1]].to_numpy()).any()
    return numbers if is_filled or lines.cell_ends is not None else None


class _Lines:
    """The lines of a block, and where their cells are."""

    def __init__(self, block: bytes, separator: int, columns: int) -> None:
        self.block, self.separator, self.columns = block, separator, columns
        self.text = np.frombuffer(block, np.uint8)

    @cached_property
    def rows(self) -> int:
        return int(np.count_nonzero(self.text == NEWLINE))

    @cached_property
    def ends(self) -> np.ndarray:
        """Return where each line ends, int [rows]."""
        return np.flatnonzero(self.text == NEWLINE)

    @property
    def have_all_separators(self) -> bool:
        """Return whether there are as many separators as in lines with all cells."""
        needed = self.rows * (self.columns - 1)
        return np.count_nonzero(self.text == self.separator) == needed

    @property
    def first_has_all_separators(self) -> bool:
        """Return whether the first line has as many separators as one with all cells."""
        first = self.block[: self.block.index(b"\n")]
        return first.count(self.separator) == self.columns - 1

    @cached_property
    def cell_ends(self) -> np.ndarray | None:
        """Return where each cell ends, int [rows, columns]; None if lines differ in length."""
        is_end = self.text == NEWLINE
        marks = np.flatnonzero(is_end | (self.text == self.separator))
        if len(marks) != self.rows * self.columns:
            return None
        ends = marks.reshape(self.rows, self.columns)
        # As many line ends as rows, each the last of its row: so all others are separators.
        return ends if is_end[ends[:, -1]].all() else None

    def cells(self, place: int) -> np.ndarray | None:
        """Return a column as bytes, as wide as its longest cell; None if that is too long."""
        starts = np.concatenate([[0], self.ends[:-1] + 1])
        if not place and (cells := self._first_cells(starts)) is not None:
            return cells
        if (ends := self.cell_ends) is None:
            return None
        starts = ends[:, place - 1] + 1 if place else starts
        lengths = ends[:, place] - starts
        width = max(1, int(lengths.max()))
        if width > WIDEST_TEXT:
            return None
        cells = self._windows(starts, width)
        if lengths.min() < width:
            cells[np.arange(width) >= lengths[:, None]] = 0
        return _stripped(
            cells.view(f"S{width}")[:, 0], self.text[starts], self.text[ends[:, place] - 1]
        )

    def _first_cells(self, starts: np.ndarray) -> np.ndarray | None:
        """Return the first column, as `cells` does, if all of its cells are as long; else None."""
        width = int(np.argmax(self.text[: WIDEST_TEXT + 1] == self.separator))
        if (
            not width
            or (self.text[(starts + width).clip(max=len(self.text) - 1)] != self.separator).any()
        ):
            return None
        cells = self._windows(starts, width)
        if (cells == self.separator).any() or (cells == NEWLINE).any():
            return None
        return _stripped(cells.view(f"S{width}")[:, 0], cells[:, 0], cells[:, -1])

    def _windows(self, starts: np.ndarray, width: int) -> np.ndarray:
        """Return bytes [rows, width] from each start on."""
        text = np.concatenate([self.text, np.zeros(width, np.uint8)])
        return np.lib.stride_tricks.sliding_window_view(text, width)[starts]


def _has_other_spaces(block: bytes) -> bool:
    """Return whether there are spaces that only `str.strip` knows."""
    # Regular expressions are slow, so simpler checks come first.
    if any(mark in block for mark in CONTROLS):
        return True
    may_be = not block.isascii() and any(lead in block for lead in LEADS)
    return may_be and OTHER_SPACES.search(block) is not None


def _stripped(cells: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Strip spaces and tabs from cells, given their first and their last bytes."""
    is_space = (first == ord(" ")) | (first == ord("\t")) | (last == ord(" ")) | (last == ord("\t"))
    return np.strings.strip(cells, b" \t") if is_space.any() else cells


def _may_be_truth(column: np.ndarray, block: bytes) -> bool:
    """Return whether 1 and 0 may have been words: pandas reads True and False as these."""
    for part in (column[:64], column):  # most end with the first
        if not ((part == 0) | (part == 1) | np.isnan(part)).all():
            return False
    return any(word in block for word in TRUTHS)


@cache
def _pandas_reader() -> Any:
    """Return `pandas.read_csv` without any guesswork; None without pandas."""
    try:
        import pandas
    except ImportError:
        return None
    from functools import partial

    # Until pandas 3.1, its numbers are off by a rounding error unless asked for.
    version = tuple(int(part) for part in pandas.__version__.split(".")[:2])
    exact = {} if version >= (3, 1) else {"float_precision": "round_trip"}
    return partial(
        pandas.read_csv,
        engine="c",
        header=None,
        index_col=False,
        quoting=3,  # none
        keep_default_na=False,
        na_values=[""],
        skip_blank_lines=False,
        low_memory=False,
        **exact,
    )
