"""Write rows of CSV, quoting text that a spreadsheet could take for a formula."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from typing import TextIO

__all__ = ["write_rows"]

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a formula starts with


def write_rows(file: TextIO, rows: Iterable[Sequence]) -> None:
    """Write rows into a file that was opened with `newline=""`.

    Numbers stay numbers, and every text is read back as is: nothing is put before it. In a row with
    a text that starts like a formula all text is quoted, which marks it as text for programs that
    respect quotes. Excel and LibreOffice do not: import such a file with these columns as text.

    Examples:
      >>> import io
      >>> write_rows(file := io.StringIO(newline=""), [["day", "=1+1"], ["monday", -2.5]])
      >>> file.getvalue().splitlines()
      ['"day","=1+1"', 'monday,-2.5']
    """
    usual, quoted = csv.writer(file), csv.writer(file, quoting=csv.QUOTE_NONNUMERIC)
    for row in rows:
        has_formula = any(isinstance(cell, str) and cell.startswith(FORMULA) for cell in row)
        (quoted if has_formula else usual).writerow(row)
