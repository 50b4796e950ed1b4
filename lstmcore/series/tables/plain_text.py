"""Numbers of a large, plain file: what needs no thought is left to pandas, which is fast.

A block of text is plain if every line has as many cells and none is quoted. Whatever else a block
holds, `csv` reads it cell by cell, with the same result; so does it without pandas.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

WIDEST_TEXT = 64  # bytes of a cell
NEWLINE = ord("\n")
TRUTHS = (b"True", b"TRUE", b"true", b"False", b"FALSE", b"false")

__all__ = ["read_plain"]


def read_plain(
    block: bytes, separator: str, numeric: Sequence[bool], decimal: str
) -> list[np.ndarray] | None:
    """The columns of some lines: float64 [rows] if numeric, else text [rows]; None if not plain.

    Args:
      block: whole lines in UTF-8.
      separator: between cells.
      numeric: of each column, whether its cells are numbers; an empty one is read as NaN.
      decimal: the decimal mark, "." or ","; empty if it is not known.
    """
    if len(separator.encode()) != 1 or not any(numeric):
        return None
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    if b'"' in block or b"\r" in block or b"#" in block or not block.endswith(b"\n"):
        return None
    if not decimal and (b"." in block or b"," in block):
        return None
    if separator == " " and (b"  " in block or b"\n " in block or b"\t" in block):
        return None
    ends = _cell_ends(block, ord(separator), len(numeric))
    parse = _pandas_reader()
    if ends is None or parse is None:
        return None
    places = [place for place, is_numeric in enumerate(numeric) if is_numeric]
    try:
        numbers = parse(
            io.BytesIO(block),
            sep=separator,
            decimal=decimal or ".",
            names=range(len(numeric)),
            usecols=places,
            dtype=dict.fromkeys(places, "float64"),
        )
    except ValueError:  # a cell that is no number
        return None
    columns = []
    for place, is_numeric in enumerate(numeric):
        column = numbers[place].to_numpy() if is_numeric else _text(block, ends, place)
        if column is None or len(column) != len(ends):
            return None
        if is_numeric and (np.isinf(column).any() or _may_be_truth(column, block)):
            return None
        columns.append(column)
    return columns


def _cell_ends(block: bytes, separator: int, columns: int) -> np.ndarray | None:
    """Where each cell ends, int [rows, columns]; None if lines differ in their number of cells."""
    text = np.frombuffer(block, np.uint8)
    is_end = text == NEWLINE
    rows = np.count_nonzero(is_end)
    marks = np.flatnonzero(is_end | (text == separator))
    if len(marks) != rows * columns:
        return None
    ends = marks.reshape(rows, columns)
    # As many line ends as rows, each the last of its row: so all others are separators.
    return ends if is_end[ends[:, -1]].all() else None


def _text(block: bytes, ends: np.ndarray, place: int) -> np.ndarray | None:
    """The cells of a column as bytes, of the length of the longest; None if that is too long."""
    starts = ends[:, place - 1] + 1 if place else np.concatenate([[0], ends[:-1, -1] + 1])
    lengths = ends[:, place] - starts
    width = max(1, int(lengths.max()))
    if width > WIDEST_TEXT:
        return None
    text = np.frombuffer(block + bytes(width), np.uint8)
    cells = np.lib.stride_tricks.sliding_window_view(text, width)[starts]
    if lengths.min() < width:
        cells[np.arange(width) >= lengths[:, None]] = 0
    return cells.view(f"S{width}")[:, 0]


def _may_be_truth(column: np.ndarray, block: bytes) -> bool:
    """Whether 1 and 0 may have been words: pandas takes a column of True and False for them."""
    for part in (column[:64], column):  # most end with the first
        if not ((part == 0) | (part == 1) | np.isnan(part)).all():
            return False
    return any(word in block for word in TRUTHS)


@cache
def _pandas_reader() -> Any:
    """`pandas.read_csv` without any guesswork; None without pandas."""
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
