"""Split the text of a file into the names and cells of its columns.

The standard library's `csv` splits lines into cells. This module finds the separator, the names of
the columns and the comments, and keeps the line of each row. Plain lines of large files go through
`plain_text`.
"""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import dropwhile, islice

import numpy as np

from lstmcore.formatting import count, few, normalized
from lstmcore.series.tables import numbers
from lstmcore.series.tables.header import has_header, is_row_of_units, is_time_name
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.plain_text import read_plain
from lstmcore.series.tables.sheet import Column, EmptyTableError, Row, Sheet
from lstmcore.series.tables.text_file import LONGEST_RECORD, open_blocks

JUDGED_BY = 50  # lines that decide which separator is used
FEW_ROWS = 12  # that decide whether the first line holds names
EXCEL_ERROR = re.compile(r"#(N/A|NV|DIV/0!|VALUE!|WERT!|REF!|BEZUG!|NAME\?|NULL!|NUM!)", re.I)
EXCEL_SEPARATOR = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
CAMPBELL = re.compile(r'"?TOA5"?,.*\n.*TIMESTAMP')
SPACED_NUMBER = re.compile(r"\s*[+-]?[1-9]\d{0,2}( \d{3})+([.,]\d*)?\s*")


class _Records:
    """Splits the lines of a file into rows of cells, with the line that each row begins on."""

    def __init__(self, path, skip_lines: int) -> None:
        self.path, self.line, self.skip_lines = path, 0, skip_lines
        self.separator = ","
        self.comments: list[tuple[int, str]] = []

    def lines(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield the numbered lines of whole rows, without comments and those to skip."""
        is_quoted = False
        for line in io.StringIO(text, newline=""):
            self.line += 1
            if self.line <= self.skip_lines:
                continue
            start = line.lstrip()
            if not is_quoted and start.startswith("#") and not EXCEL_ERROR.match(start):
                self.comments.append((self.line, start))
                continue
            is_quoted ^= line.count('"') % 2 == 1
            yield self.line, line

    def split(self, lines: Iterable[tuple[int, str]]) -> Iterator[Row]:
        """Yield the line and the cells of each row.

        Raises:
          ValueError: a quote that is not closed, text after a closing quote, a cell too long.
        """
        pulled: list[int] = []

        def texts() -> Iterator[str]:
            for number, text in lines:
                pulled.append(number)
                yield " ".join(text.split()) if self.separator == " " else text

        try:
            for cells in csv.reader(texts(), delimiter=self.separator, strict=True):
                yield Row(pulled[0], cells)
                pulled.clear()
        except csv.Error as error:
            line = pulled[0] if pulled else self.line
            problem = str(error).replace("unexpected end of data", "a quote is not closed")
            raise ValueError(f"{self.path}, line {line:,}: not a CSV file ({problem})") from error


class _Widths:
    """Checks that rows have a cell for each column; blank lines are allowed at the end alone."""

    def __init__(self, path, names: Sequence[str]) -> None:
        self.path, self.names = path, names
        self.blank: int | None = None  # line of the first blank one since the last row

    def check(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            is_whole = len(row.cells) == len(self.names)
            if row.is_blank and (self.blank or not is_whole or len(self.names) == 1):
                self.blank = self.blank or row.line
            elif is_whole:
                self.check_no_blank()
                yield row
            else:
                self.check_no_blank()
                verb = "is" if len(self.names) == 1 else "are"
                raise ValueError(
                    f"{self.path}, line {row.line:,}: {count(len(row.cells), 'cell')}, but there "
                    f"{verb} {count(len(self.names), 'column')} ({few(self.names)}); --separator, "
                    "--decimal and --skip-lines say how to read it"
                )

    def check_no_blank(self) -> None:
        """Raise ValueError if a blank line precedes this row."""
        if self.blank is not None:
            raise ValueError(
                f"{self.path}, line {self.blank:,}: 0 cells, a blank line between rows: remove it, "
                "write the separators of an empty row, or skip the lines above the table with "
                f"--skip-lines {self.blank}"
            )


def read_sheet(
    path: str | os.PathLike, options: ReadOptions, is_text: Callable[[str], bool]
) -> Sheet:
    """Read the cells of a file.

    Args:
      path: the file; "-" is the standard input.
      options: how to read it, as far as the caller knows.
      is_text: returns whether the text of a column of this name is needed, even if it looks like
        numbers.

    Raises:
      FileNotFoundError, IsADirectoryError, OSError: the file cannot be read.
      ValueError: it is not text, is empty or has no rows; a line has too few or too many cells; the
        separator, or whether the first line holds names, is unclear.
    """
    notes: list[str] = []
    with open_blocks(path, options.encoding, notes) as blocks:
        return _read(path, _whole_rows(blocks, path), notes, options, is_text)


def _read(
    path,
    blocks: Iterator[bytes],
    notes: list[str],
    options: ReadOptions,
    is_text: Callable[[str], bool],
) -> Sheet:
    """Return the sheet in blocks of text: the first ones decide how the others are read."""
    records = _Records(path, options.skip_lines)
    lines, separator = _without_head(_first_lines(records, blocks), notes)
    if not lines:
        raise EmptyTableError(f"{path} is empty: expected lines of numbers with a separator")
    records.separator = (
        options.separator
        or separator
        or _find_separator([text for _, text in lines], path, options.decimal_mark)
    )
    sheet = Sheet(path, records.separator, notes=notes)
    rows = list(records.split(lines))
    ends_with_separator = _add_unnamed(sheet, rows, lines[1:], options)
    _name_columns(sheet, rows, records.comments, options)
    widths = _Widths(path, sheet.names)
    rows = list(widths.check(rows))
    if rows:
        _leave_out_units(sheet, rows, options)
        sheet.append(rows)
    _find_numbers(sheet, options, is_text)
    _append_blocks(sheet, blocks, records, widths)
    if not sheet.rows:
        raise EmptyTableError(f"{path} has column names but no rows of numbers")
    if ends_with_separator:
        _drop_empty_end(sheet)
    if records.comments:
        line, text = records.comments[0]
        sheet.notes.append(
            f"{count(len(records.comments), 'comment line')} left out, the first on line "
            f"{line:,}: {text.strip()[:40]!r}"
        )
    return sheet


def _find_numbers(sheet: Sheet, options: ReadOptions, is_text: Callable[[str], bool]) -> None:
    """Find the decimal mark and the columns of numbers, by the rows read so far."""
    found = options.decimal_mark or numbers.decimal_mark(column.texts() for column in sheet.columns)
    # Between semicolons, 1.234 may be a thousand until some cell shows the decimal mark.
    sheet.decimal = found or ("" if sheet.separator == ";" else ".")
    for column in sheet.columns:
        column.numeric = not is_text(column.name) and all(
            (numbers.is_plain(cell, sheet.decimal) and numbers.is_exact(cell))
            or numbers.is_missing(cell)
            for cell in column.texts()
        )
        if column.numeric:
            column.settle(sheet.decimal)


def _append_blocks(
    sheet: Sheet, blocks: Iterator[bytes], records: _Records, widths: _Widths
) -> None:
    """Append the other blocks of a file, plain ones at once and others row by row."""
    numeric = [column.numeric for column in sheet.columns]
    for block in blocks:
        plain = read_plain(block, sheet.separator, numeric, sheet.decimal)
        if plain:
            widths.check_no_blank()
            first = records.line + 1
            records.line += len(plain[0])
            sheet.append_plain(plain, range(first, records.line + 1), block)
        elif rows := list(widths.check(records.split(records.lines(block.decode())))):
            sheet.append(rows)


def _whole_rows(blocks: Iterator[bytes], path) -> Iterator[bytes]:
    """Yield blocks that do not end within a quoted cell."""
    held: list[bytes] = []
    quotes = 0
    for block in blocks:
        held.append(block)
        quotes += block.count(b'"') if b'"' in block else 0
        if quotes % 2 == 0:
            yield b"".join(held)
            held, quotes = [], 0
        elif sum(map(len, held)) > LONGEST_RECORD:
            raise ValueError(f"{path} is not a CSV file: a quote is not closed")
    if held:
        yield b"".join(held)


def _first_lines(records: _Records, blocks: Iterator[bytes]) -> list[tuple[int, str]]:
    """Return the lines of the first blocks, until they are enough, without leading blank lines."""
    lines: list[tuple[int, str]] = []
    for block in blocks:
        lines += records.lines(block.decode())
        lines = _from_filled(lines)
        if len(lines) >= FEW_ROWS:
            break
    return lines


def _without_head(
    lines: list[tuple[int, str]], notes: list[str]
) -> tuple[list[tuple[int, str]], str | None]:
    """Return the lines without what programs write above a table, and the separator named there."""
    if CAMPBELL.match("".join(text for _, text in lines[:2])):
        notes.append(f"line {lines[0][0]:,} left out: it describes the logger")
        return _from_filled(lines[1:]), None
    if lines and (found := EXCEL_SEPARATOR.fullmatch(lines[0][1])):
        return _from_filled(lines[1:]), found.group(1)
    return lines, None


def _from_filled(lines: list[tuple[int, str]]) -> list[tuple[int, str]]:
    """Return the lines from the first that is not blank."""
    return list(dropwhile(lambda line: not line[1].strip(), lines))


def _find_separator(lines: list[str], path, decimal: str | None) -> str:
    """Return the character that cuts most lines into as many cells, at least two, as the first."""
    sample = list(islice(filter(str.strip, lines), JUDGED_BY))
    best, agreeing = "", 0.0
    for separator in "\t;,| ":
        if separator == " " and best:
            break
        widths = _cell_counts(sample, separator)
        agree = sum(width == widths[0] for width in widths) / len(widths)
        if set(widths[1:]) == {widths[0] + 1}:  # rows with names, or with a separator at their end
            agree = 0.9
        is_cut = widths[0] > 1 or (agree == 0.9 and sample[-1].startswith('"'))
        if is_cut and agree > agreeing:
            best, agreeing = separator, agree
    if best == " " and agreeing <= 0.5:
        best = ""
    if best == " " and all(map(SPACED_NUMBER.fullmatch, sample[1:])):
        raise ValueError(
            f"{path}, line 2: {sample[-1].strip()[:40]!r} may be one number or several: "
            "--separator ';' takes the line as one, --separator space as several"
        )
    return best or (";" if decimal == "," else ",")


def _cell_counts(lines: list[str], separator: str) -> list[int]:
    if separator == " ":
        lines = [" ".join(line.split()) for line in lines]
    try:
        return [len(cells) for cells in csv.reader(lines, delimiter=separator) if cells] or [0]
    except csv.Error:  # a cell too long: reported when it is read
        return [0]


def _name_columns(
    sheet: Sheet, rows: list[Row], comments: list[tuple[int, str]], options: ReadOptions
) -> None:
    """Take the names from the first row, the comment before it, or the positions of columns."""
    first, below = rows[0], [row.cells for row in rows[1:FEW_ROWS] if not row.is_blank]
    named = options.header
    if named is None:
        below = [cells for cells in below if len(cells) == len(first.cells)]
        named = has_header(first.cells, below)
    if named is None:
        raise ValueError(
            f"{sheet.path}, line {first.line:,}: {few(first.cells)} may be column names or the "
            "values of the first row: --header or --no-header says which"
        )
    names = first.cells
    if named:
        rows.pop(0)
        if all(numbers.is_number(name) or not name.strip() for name in names):
            sheet.notes.append(
                f"line {first.line:,} read as column names ({few(names)}); --no-header reads "
                "it as values"
            )
    else:
        names = [""] * len(names)
        if options.header is None and comments and comments[-1][0] < first.line:
            text = comments[-1][1].lstrip("#").strip("\r\n")
            if sheet.separator != "\t":
                text = text.strip()
            words = next(csv.reader([text], delimiter=sheet.separator), [])
            if sheet.separator == " ":
                words = text.split()
            if len(words) == len(names):
                names = words
                sheet.notes.append(f"column names taken from the comment {text[:40]!r}")
                comments.pop()
    sheet.has_names = any(name.strip() for name in names)
    sheet.columns = [
        Column(normalized(name) or f"column_{place}", named and not name.strip())
        for place, name in enumerate(names)
    ]


def _add_unnamed(
    sheet: Sheet, rows: list[Row], lines: Sequence[tuple[int, str]], options: ReadOptions
) -> bool:
    """Add an empty name to the first row if all others have one cell more.

    The extra cell may be the name of the row, which R writes in quotes before the others. Or lines
    of values end with a separator; then return True.
    """
    names, below = rows[0].cells, [row.cells for row in rows[1:FEW_ROWS] if not row.is_blank]
    if options.header is False or len(below) < 2:
        return False
    if {len(cells) for cells in below} != {len(names) + 1}:
        return False
    if not any(cells[-1].strip() for cells in below):
        rows[0] = rows[0]._replace(cells=[*names, ""])
        return True
    is_quoted = all(text.lstrip().startswith('"') for _, text in lines[: len(below)])
    # Without a decimal point, 1,5 may be one number and a half rather than two.
    may_be_halved = (
        sheet.separator == ","
        and options.decimal_mark != "."
        and not any(
            "." in cell and numbers.is_number(cell) for cells in below for cell in cells[1:]
        )
    )
    is_time = is_time_name(names[0]) and not numbers.is_number(below[0][0])
    if is_quoted and not may_be_halved and not is_time:
        rows[0] = rows[0]._replace(cells=["", *names])
        sheet.notes.append(
            f"line {rows[0].line:,} has {count(len(names), 'name')} for "
            f"{count(len(names) + 1, 'column')}: the first column was read as row names"
        )
    return False


def _drop_empty_end(sheet: Sheet) -> None:
    """Drop the empty column that separators at the ends of lines have made."""
    row = 0
    for part in sheet.columns.pop().parts:
        is_filled = ~np.isnan(part) if part.dtype.kind == "f" else part != part.dtype.type()
        if is_filled.any():
            row += int(is_filled.argmax())
            raise ValueError(
                f"{sheet.path}, line {sheet.line(row):,}: {count(len(sheet.columns) + 1, 'cell')}, "
                f"but there are {count(len(sheet.columns), 'column')} ({few(sheet.names)})"
            )
        row += len(part)


def _leave_out_units(sheet: Sheet, rows: list[Row], options: ReadOptions) -> None:
    """Remove the first rows if they hold units, as words above numbers, or name the index."""
    for _ in range(2):
        below = [row.cells for row in rows[1:FEW_ROWS]]
        if not below or options.header is False or not is_row_of_units(rows[0].cells, below):
            break
        words = [cell.strip() for cell in rows[0].cells if cell.strip()]
        sheet.notes.append(f"line {rows[0].line:,} holds units, not values: {few(words)}")
        rows.pop(0)
    filled = [place for place, cell in enumerate(rows[0].cells) if cell.strip()] if rows else []
    if len(filled) == 1 and is_time_name(rows[0].cells[filled[0]]):
        # The name of the index, as pandas writes it under names of several levels.
        sheet.columns[filled[0]].name = rows.pop(0).cells[filled[0]].strip()
