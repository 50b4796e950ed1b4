"""Rows of CSV, with text that a spreadsheet could take for a formula in quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

__all__ = ["write_rows"]

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula starts with


def write_rows(file: TextIO, rows: Iterable[Sequence]) -> None:
    """Write rows into a file that was opened with `newline=""`.

    Numbers stay numbers, and every text comes back as it is: nothing is put before it. A row with
    a text that starts like a formula has all its text in quotes, which tells programs that honour
    them that it is text. Excel and LibreOffice do not: open such a file by importing it, with
    these columns as text.

    Examples:
      >>> import io
      >>> write_rows(file := io.StringIO(newline=""), [["day", "=1+1"], ["monday", -2.5]])
      >>> file.getvalue().splitlines()
      ['"day","=1+1"', 'monday,-2.5']
    """
    usual, quoted = csv.writer(file), csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        formula = any(isinstance(cell, str) and cell.startswith(FORMULA) for cell in row)
        (quoted if formula else usual).writerow(row)
