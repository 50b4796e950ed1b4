"""Convert columns of cells to numbers, by the evidence of all cells of a column."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.formatting import count, few, shorten
from lstmcore.series.row_names import as_text
from lstmcore.series.tables.numbers import advice, is_missing, is_padded, read_cell
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.sheet import Column, Sheet

TRUTHS = ({"false", "true"}, {"no", "yes"}, {"off", "on"}, {"f", "t"}, {"n", "y"})
MOST_CATEGORIES = 30
LARGEST_WHOLE = 2**53  # float64 holds all whole numbers below
MOST_DIGITS = 1e24  # larger numbers are no identifiers
NOT_FINITE = re.compile(r"[+-]?inf(inity)?", re.IGNORECASE)


class Place(NamedTuple):
    """A cell of a column: its row, counted from 0, and its text."""

    row: int
    text: str


class Content(NamedTuple):
    """The kinds of cells in a column.

    Attributes:
      numbers, words: how many cells are numbers, and how many are neither numbers nor missing.
      word: the first of the words.
      point, comma: the first number that needs decimal points, or decimal commas.
      unclear: the first whose value depends on the decimal mark, such as 1.234.
      unclear_comma: the first of these with a comma.
      percent, bare: the first number with a percent sign, and without.
      padded: the first whole number with leading zeros.
    """

    numbers: int
    words: int
    word: Place | None
    point: Place | None
    comma: Place | None
    unclear: Place | None
    unclear_comma: Place | None
    percent: Place | None
    bare: Place | None
    padded: Place | None

    @property
    def kind(self) -> str:
        """Return "empty", "number", "text", or "mixed" if at least half of it is numbers."""
        if not self.words:
            return "number" if self.numbers else "empty"
        return "mixed" if self.numbers >= self.words else "text"


def examine(column: Column, na: Sequence[str] = ()) -> Content:
    """Return the kinds of cells in a column."""
    found: dict[str, Place] = {}
    numbers = words = row = 0
    for part in column.parts:
        if part.dtype.kind == "f":
            known = int(np.count_nonzero(~np.isnan(part)))
            numbers += known
            if known and "bare" not in found:
                place = int(np.argmin(np.isnan(part)))
                found["bare"] = Place(row + place, f"{part[place]:g}")
            row += len(part)
            continue
        cells = part.tolist()
        # Each text once, in the order in which they appear: most columns of words have few.
        for text, count_of in Counter(cells).items():
            cell = as_text(text)
            if is_missing(cell, na):
                continue
            kinds = _kinds_of(cell)
            numbers += count_of * (kinds[0] != "word")
            words += count_of * (kinds[0] == "word")
            for kind in kinds:
                if kind not in found:
                    found[kind] = Place(row + cells.index(text), cell)
        row += len(part)
    for mark, kind in ((".", "point"), (",", "comma")):
        if mark in column.marks and kind not in found:
            found[kind] = found["bare"]
    return Content(numbers, words, **{kind: found.get(kind) for kind in Content._fields[2:]})


def _kinds_of(cell: str) -> list[str]:
    point, comma, percent = read_cell(cell)
    if point is None and comma is None:
        return ["word"]
    kinds = ["percent" if percent else "bare"]
    if comma is None:
        kinds.append("point")
    elif point is None:
        kinds.append("comma")
    elif point != comma:
        kinds += ["unclear", *["unclear_comma"] * ("," in cell)]
    elif is_padded(cell):
        kinds.append("padded")
    return kinds


def settled_mark(contents: Iterable[Content], options: ReadOptions) -> str | None:
    """Return the decimal mark that the numbers of a file agree on; None if they leave it open."""
    if options.decimal_mark:
        return options.decimal_mark
    marks = set()
    for content in contents:
        if content.kind in ("number", "mixed"):
            marks |= {"."} if content.point and not content.comma else set()
            marks |= {","} if content.comma and not content.point else set()
    return marks.pop() if len(marks) == 1 else None


def numbers(
    sheet: Sheet,
    column: Column,
    content: Content,
    options: ReadOptions,
    settled: str | None,
    out: np.ndarray,
) -> None:
    """Read a column of numbers into `out`, float64 [rows], NaN where a value is missing.

    Args:
      sheet: the file; receives notes.
      column, content: one of its columns, and the result of `examine`.
      options: how to read it.
      settled: the decimal mark of other columns, or None.
      out: receives the numbers.

    Raises:
      ValueError: a cell that is not a number; numbers whose value depends on the decimal mark. The
        message names the line.
    """
    if content.word is not None:
        raise ValueError(_not_a_number(sheet, column, content.word))
    decimal = _decimal_of(sheet, column, content, options, settled)
    if content.percent:
        if content.bare:
            raise ValueError(
                f"{where(sheet, content.bare.row, column)}: {content.bare.text!r} has no percent "
                f"sign, but {content.percent.text!r} on line {sheet.line(content.percent.row):,} "
                "has one: write it everywhere, or nowhere"
            )
        value = read_cell(content.percent.text)[0 if decimal == "." else 1]
        sheet.notes.append(
            f"{few([column.name])}: percentages, so that {content.percent.text} is read as "
            f"{value:.15g}"
        )
    if content.padded:
        sheet.notes.append(
            f"{few([column.name])}: {content.padded.text[:40]} on line "
            f"{sheet.line(content.padded.row):,} read as a number, without its leading zeros"
        )
    parts = [_parsed(part, decimal, options.na) for part in column.parts]
    values = np.concatenate(parts, out=out)
    for text in options.na:
        if (number := read_cell(text).point) is not None:
            values[values == number] = np.nan
    # The smallest and the largest take no memory, as a mask of a large column would.
    largest = max(-np.fmin.reduce(values), np.fmax.reduce(values))
    if np.isinf(largest):
        row = int(np.isinf(values).argmax())
        raise ValueError(f"{where(sheet, row, column)}: {_text(column, row)} is too large")
    if LARGEST_WHOLE <= largest < MOST_DIGITS:
        row = int((np.abs(values) >= LARGEST_WHOLE).argmax())
        sheet.notes.append(
            f"{few([column.name])}: numbers from {LARGEST_WHOLE:,} on, the first on line "
            f"{sheet.line(row):,}, are kept to 16 digits"
        )


def _parsed(part: np.ndarray, decimal: str, na: Sequence[str]) -> np.ndarray:
    if part.dtype.kind == "f":
        return part
    place = 0 if decimal == "." else 1
    cells = map(as_text, part.tolist())
    return np.array([np.nan if is_missing(c, na) else read_cell(c)[place] for c in cells], float)


def _decimal_of(
    sheet: Sheet, column: Column, content: Content, options: ReadOptions, settled: str | None
) -> str:
    point, comma, unclear = content.point, content.comma, content.unclear
    if point and comma:
        place, other = (comma, point) if options.decimal_mark != "," else (point, comma)
        raise ValueError(
            f"{where(sheet, place.row, column)}: {place.text!r} has another decimal mark than "
            f"{other.text!r} on line {sheet.line(other.row):,}: write the same one everywhere"
        )
    asked = options.decimal_mark
    if asked:
        if wrong := (comma if asked == "." else point):
            raise ValueError(
                f"{where(sheet, wrong.row, column)}: {wrong.text!r} is not a number with --decimal "
                f"{asked!r}"
            )
        return asked
    if unclear is None:
        return "," if comma else "."
    if decimal := ("." if point else "," if comma else settled):
        value = read_cell(unclear.text)[0 if decimal == "." else 1]
        if ("." if decimal == "," else ",") in unclear.text:
            sheet.notes.append(
                f"{few([column.name])}: {unclear.text} on line {sheet.line(unclear.row):,} read as "
                f"{value:.15g}, as other numbers have decimal {'commas' * (decimal == ',')}"
                f"{'points' * (decimal == '.')}"
            )
        return decimal
    if content.unclear_comma or sheet.separator == ";":
        unclear = content.unclear_comma or unclear
        first, second = read_cell(unclear.text)[:2]
        raise ValueError(
            f"{where(sheet, unclear.row, column)}: {unclear.text!r} may be {first:.15g} or "
            f"{second:.15g}: --decimal '.' or --decimal ',' says which"
        )
    return "."


def is_truth(words: Sequence[str]) -> bool:
    """Return whether these words are the one that stands for true in a column of true and false."""
    return len(words) == 1 and any(words[0] == max(truths) for truths in TRUTHS)


def categories(sheet: Sheet, column: Column, content: Content, na: Sequence[str]) -> list[str]:
    """Return the texts of a column of words, sorted; of true and false and the like, true alone.

    Raises:
      ValueError: too many to tell apart, or words between numbers.
    """
    assert content.word is not None
    if content.kind == "mixed":
        raise ValueError(_not_a_number(sheet, column, content.word))
    found = {text for text in column.texts() if not is_missing(text, na)}
    lowered = {text.lower() for text in found}
    for truths in TRUTHS:
        if lowered <= truths:
            return [max(truths)]
    rows = sum(map(len, column.parts))
    if len(found) > min(MOST_CATEGORIES, max(2, rows // 2)):
        raise ValueError(
            f"{where(sheet, content.word.row, column)}: {content.word.text[:40]!r} is not a "
            f"number, and {len(found):,} different texts in {count(rows, 'row')} are too many for "
            "categories: choose other columns"
        )
    return sorted(found)


def category_values(column: Column, category: str, na: Sequence[str]) -> np.ndarray:
    """Return 1 where a column holds this text, 0 for another, NaN where empty; float64 [rows]."""
    truth = is_truth([category])
    texts = [text.lower() if truth else text for text in column.texts()]
    return np.array([np.nan if is_missing(text, na) else text == category for text in texts], float)


def where(sheet: Sheet, row: int, column: Column) -> str:
    """Return the place of a cell, to begin a message with."""
    return f"{sheet.path}, line {sheet.line(row):,}, column {column.name[:60]!r}"


def _not_a_number(sheet: Sheet, column: Column, place: Place) -> str:
    start = where(sheet, place.row, column)
    if NOT_FINITE.fullmatch(place.text):
        return (
            f"{start}: {place.text} is not finite: correct it, or take it for a missing value with "
            f"--na={place.text}"
        )
    text = shorten(place.text)
    if to_do := advice(place.text):
        return f"{start}: {text!r} is not a number: {to_do}"
    if place.text == column.name:
        return f"{start}: the line repeats the names of the columns; remove it"
    return (
        f"{start}: {text!r} is not a number: correct it, leave out the column with --columns, or "
        f"take it for a missing value with --na{'=' if text[0] == '-' else ' '}{shlex.quote(text)}"
    )


def _text(column: Column, row: int) -> str:
    for part in column.parts:
        if row < len(part):
            return as_text(part[row])
        row -= len(part)
    raise IndexError(row)
