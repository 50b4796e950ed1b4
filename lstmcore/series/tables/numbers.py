"""Read cells as numbers: decimal points or commas, thousands, percent, missing values.

A cell such as 1.234 may be a fraction or a thousand. The other cells of its column decide, then the
other columns of the file, then the caller; otherwise it is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

MISSING = frozenset(
    ["", "na", "n/a", "#n/a", "#nv", "<na>", "nan", "null", "none", "nil", "nat", "?", "-", "--",
     "---", "–", "—", ".", "-nan", "+nan", "nan(ind)", "-nan(ind)"]
)  # fmt: skip
PLAIN = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
LONG = re.compile(r"[+-]?[0-9]{16,}")  # digits, of which float64 may not hold all
PADDED = re.compile(r"[+-]?0[0-9]{2,}")
DOT_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:\.[0-9]{3})+")
COMMA_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:,[0-9]{3})+")
# A space of some kind or an apostrophe between groups of three leaves no doubt.
CLEAR_GROUPS = re.compile(r"([+-]?[1-9][0-9]{0,2}(?:([ \u00a0\u2009\u202f'’])[0-9]{3})"
                          r"(?:\2[0-9]{3})*)([.,][0-9]*)?")  # fmt: skip
CURRENCY = re.compile(r"[$£€¥₹₩₽]|\b(?:USD|EUR|GBP|CHF|JPY|CAD|AUD)\b")
SIGNS = str.maketrans({"−": "-", "﹣": "-", "－": "-", "＋": "+"})


class Cell(NamedTuple):
    """The number in a cell under decimal points and under decimal commas.

    None: not a number in this format; NaN: missing.
    """

    point: float | None
    comma: float | None
    percent: bool = False


NO_NUMBER = Cell(None, None)


def is_missing(text: str, extra: Sequence[str] = ()) -> bool:
    """Return whether a cell holds no value.

    Examples:
      >>> is_missing(" N/A "), is_missing("-9999.0", ["-9999"]), is_missing("0")
      (True, True, False)
    """
    text = text.strip()
    return text.lower() in MISSING or (bool(extra) and _is_among(text, extra))


def _is_among(text: str, extra: Sequence[str]) -> bool:
    if text in extra:
        return True
    number = read_cell(text).point
    return number is not None and any(read_cell(other).point == number for other in extra)


def is_number(text: str) -> bool:
    """Return whether a cell is a number in some format."""
    point, comma, _ = read_cell(text.strip())
    return point is not None or comma is not None


def read_cell(text: str) -> Cell:
    """Return the numbers that a cell, without spaces around it, may mean.

    Examples:
      >>> read_cell("1.5"), read_cell("1,5")
      (Cell(point=1.5, comma=None, percent=False), Cell(point=None, comma=1.5, percent=False))
      >>> read_cell("1,234")
      Cell(point=1234.0, comma=1.234, percent=False)
      >>> read_cell("1'234.50").point, read_cell("−5 %"), read_cell("1_0").point
      (1234.5, Cell(point=-5.0, comma=-5.0, percent=True), None)
    """
    if PLAIN.fullmatch(text):  # as most are
        number = float(text)
        if "." not in text:
            return Cell(number, number)
        return Cell(number, float(text.replace(".", "")) if DOT_GROUPS.fullmatch(text) else None)
    text = text.translate(SIGNS)
    percent = text.endswith("%")
    if percent:
        text = text[:-1].rstrip()
    if groups := CLEAR_GROUPS.fullmatch(text):
        whole, mark, fraction = groups.groups()
        return _cell(whole.replace(mark, ""), fraction or "", percent)
    dots, commas = text.count("."), text.count(",")
    if dots and commas:  # the one that comes last, and but once, is the decimal mark
        place = max(text.rfind("."), text.rfind(","))
        whole, fraction = text[:place], text[place:]
        grouped = COMMA_GROUPS if fraction[0] == "." else DOT_GROUPS
        if not grouped.fullmatch(whole):
            return NO_NUMBER
        return _cell(whole.replace(".", "").replace(",", ""), fraction, percent)
    point = comma = None
    if not commas and PLAIN.fullmatch(text):
        point = float(text)
        comma = None if dots else point
    if not dots and commas and PLAIN.fullmatch(swapped := text.replace(",", ".")):
        comma = float(swapped)
    if dots and DOT_GROUPS.fullmatch(text):
        comma = float(text.replace(".", ""))
    if commas and COMMA_GROUPS.fullmatch(text):
        point = float(text.replace(",", ""))
    return Cell(point, comma, percent)


def _cell(whole: str, fraction: str, percent: bool) -> Cell:
    """Return a number whose digits are all beyond doubt."""
    text = whole + fraction.replace(",", ".")
    if not PLAIN.fullmatch(text):
        return NO_NUMBER
    number = float(text)
    return Cell(
        None if fraction.startswith(",") else number,
        None if fraction.startswith(".") else number,
        percent,
    )


def is_padded(text: str) -> bool:
    """Return whether a cell is a whole number with leading zeros, like codes and identifiers.

    Two digits, as those of 01 to 12, may well be a number of something.

    Examples:
      >>> is_padded("01234"), is_padded("01"), is_padded("0.25")
      (True, False, False)
    """
    return PADDED.fullmatch(text) is not None


def advice(text: str) -> str:
    """Return what to do about a cell that is a number but for signs; empty for other words.

    Examples:
      >>> advice("$1,000.50"), advice("dry")
      ('remove the currency sign', '')
      >>> advice("(5.29)")
      'write a minus sign before negative numbers'
    """
    bare = CURRENCY.sub("", text).strip()
    inner = bare.removeprefix("(").removesuffix(")") if bare.startswith("(") else bare
    inner = inner.removesuffix("-").removesuffix("−")
    if inner == text or not is_number(inner):
        return ""
    found = ["remove the currency sign"] * (CURRENCY.search(text) is not None)
    found += ["write a minus sign before negative numbers"] * (inner != bare)
    return " and ".join(found)


def is_exact(text: str) -> bool:
    """Return whether a plain number keeps all that its cell holds, except for rounding.

    Examples:
      >>> is_exact("0.25"), is_exact("01234"), is_exact("9007199254740993")
      (True, False, False)
    """
    return not is_padded(text) and LONG.fullmatch(text) is None


def is_plain(text: str, decimal: str) -> bool:
    """Return whether a cell holds only digits, a sign, a decimal mark and an exponent."""
    return PLAIN.fullmatch(text.replace(",", ".") if decimal == "," else text) is not None


def decimal_mark(columns: Iterable[Iterable[str]]) -> str | None:
    """Return the decimal mark that some columns of cells have and none contradicts, or None."""
    found = set()
    for cells in columns:
        marks = {".", ","}
        for cell in cells:
            if not is_missing(cell):
                point, comma, _ = read_cell(cell)
                marks -= {"."} if point is None else set()
                marks -= {","} if comma is None else set()
        found.add("".join(marks))
    marks = found & {".", ","}
    return marks.pop() if len(marks) == 1 else None
