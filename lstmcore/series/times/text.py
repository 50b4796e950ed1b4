"""Split a column of texts into the fields of their times, and find their format.

Texts of one *shape* (digits replaced by 0: `00 Jan 0000`) have their fields at the same places. So
a column is read shape by shape: a regular expression finds the fields in one text of each shape,
and the digits of all its rows are then converted to numbers at once. What single texts leave open,
such as which number is the month, is decided for the column as a whole.
"""

from __future__ import annotations

import functools
import itertools
import operator
import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.series.row_names import RowNames
from lstmcore.series.times.errors import MixedTimesError
from lstmcore.series.times.format import DAY_NAMES, MONTHS, NAMES, Part

LONGEST = 64  # characters of a time
ISO = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)?")
FIRST_YEAR = np.datetime64("0001-01-01")
ROWS_AT_ONCE = 2**15  # whose texts fit into the cache of a processor
# Characters that are used in place of ASCII ones.
LOOKALIKES = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u202f": " ", "\u2009": " "})

MONTH_NAME = (
    r"(?P<monthname>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?"
    r"|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
DAY_NAME = (
    r"(?P<dayname>mon(?:day)?|tue(?:s(?:day)?)?|wed(?:nesday)?|thu(?:rs(?:day)?)?|fri(?:day)?"
    r"|sat(?:urday)?|sun(?:day)?)"
)
DATES = (  # a time of day may follow these
    r"(?P<year>\d{4})(?P<_mark>[-/._] ?)(?P<month>\d\d?)(?P=_mark)(?P<day>\d\d?)\.?",  # 2024-1-8
    r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)",  # 20240108
    r"(?P<number1>\d\d?)(?P<_mark>[-/._] ?)(?P<number2>\d\d?)(?P=_mark)(?P<year>\d{4})",  # 1.8.2024
    r"(?P<number1>\d\d?)(?P<_mark>[-/._] ?)(?P<number2>\d\d?)(?P=_mark)(?P<number3>\d\d)",  # 1.8.24
    rf"(?P<day>\d\d?)(?P<ordinal>st|nd|rd|th)?\.?[-/ ]*{MONTH_NAME}\.?,?[-/ ]*"
    r"(?P<year>\d{4}|\d\d)",  # 8 January 2024
    rf"{MONTH_NAME}\.?[-/ ]*(?P<day>\d\d?)(?P<ordinal>st|nd|rd|th)?(?:, ?|[-/ ]+)"
    r"(?P<year>\d{4})",  # January 8, 2024
    rf"(?P<year>\d{{4}})[-/ ]?{MONTH_NAME}\.?[-/ ]?(?P<day>\d\d?)",  # 2024 Jan 8
    r"(?P<isoyear>\d{4})[- ]?w(?P<week>\d\d)-?(?P<weekday>[1-7])",  # 2024-W02-1
    r"(?P<year>\d{4})(?:-(?P<yearday>\d{3})|(?P<yearday>\d{3})(?=t))",  # 2024-008, 2024008T09
)
PERIODS = (
    r"(?P<year>\d{4}) ?[-/._m] ?(?P<month>\d\d?)",  # 2024-01, 2024M01
    r"(?P<month>\d\d?)[-/._](?P<year>\d{4})",  # 01/2024
    rf"{MONTH_NAME}\.?,?[-/ ]*(?P<year>\d{{4}})",  # Jan 2024
    rf"(?P<year>\d{{4}})[-/ ]?{MONTH_NAME}\.?",  # 2024 Jan
    rf"{MONTH_NAME}\.?[-/ ']*(?P<unclear>\d\d)",  # Jan-24
    r"(?P<year>\d{4})[- /_.]?q(?P<quarter>[1-4])",  # 2024Q1
    r"q(?P<quarter>[1-4])[- /_.']*(?P<year>\d{4}|\d\d)",  # Q1 2024
    r"(?P<quarter>[1-4])q[- /_.']*(?P<year>\d{4}|\d\d)",  # 1Q24
    r"(?P<year>\d{4})[- /_.]?[hs](?P<half>[12])",  # 2024H1
    r"(?P<isoyear>\d{4})[- ]?w(?P<week>\d\d?)",  # 2024-W02
    r"w(?P<week>\d\d?)[-/ ](?P<isoyear>\d{4})",  # W02 2024
)
HALF_DAY = r"(?: ?(?P<ampm>[ap]\.?m\.?))"
CLOCK = (
    r"(?P<hour>\d\d?)(?::(?P<minute>\d\d?)(?::(?P<second>\d\d?)"
    rf"(?:[.,](?P<fraction>\d+)|:(?P<fraction>\d{{3}}))?)?)?{HALF_DAY}?"
)
BASIC_CLOCK = r"(?P<hour>\d\d)(?P<minute>\d\d)(?:(?P<second>\d\d)(?:[.,](?P<fraction>\d+))?)?"
# `time_zone` in messages: an abbreviation such as CST names several zones.
ZONE = (
    r"(?: ?(?P<zone>z|utc|gmt|(?:utc|gmt)?(?P<sign>[+-])(?P<zonehour>\d\d?)"
    r"(?::?(?P<zoneminute>\d\d))?(?::?00)?)(?:\[[\w/+-]+\])?| (?P<zonename>[a-z]{3,5}))"
)
SEPARATOR = r"(?:t|,? +|_|,? at |(?<=\d{4})[-:](?=\d\d:))"
WHOLE = (
    *(
        rf"(?:{DAY_NAME}\.?,? )?{date}(?:{SEPARATOR}(?:{CLOCK}|{BASIC_CLOCK}){ZONE}?|{ZONE})?"
        for date in DATES
    ),
    *PERIODS,
    rf"(?=.*[:m]){CLOCK}{ZONE}?",  # a time of day alone
    rf"{DAY_NAME} {MONTH_NAME} +(?P<day>\d\d?) {CLOCK} (?P<year>\d{{4}})",  # asctime
)
# Directives of strptime, for a format that the caller gives.
DIRECTIVES = {
    "Y": r"(?P<year>\d{4})", "y": r"(?P<year>\d\d)", "m": r"(?P<month>\d\d?)",
    "d": r"(?P<day>\d\d?)", "e": r"(?P<day>\d\d?)", "j": r"(?P<yearday>\d{3})",
    "b": MONTH_NAME, "B": MONTH_NAME, "h": MONTH_NAME, "a": DAY_NAME, "A": DAY_NAME,
    "H": r"(?P<hour>\d\d?)", "I": r"(?P<hour>\d\d?)", "M": r"(?P<minute>\d\d?)",
    "S": r"(?P<second>\d\d?)", "f": r"(?P<fraction>\d{1,9})", "p": HALF_DAY, "z": ZONE, "Z": ZONE,
    "G": r"(?P<isoyear>\d{4})", "V": r"(?P<week>\d\d?)", "u": r"(?P<weekday>[1-7])",
    "q": r"(?P<quarter>[1-4])", "%": "%",
}  # fmt: skip
NEEDED = (  # any of these directives needs one of those
    ("mdejbBhq", "Yy"),
    ("G", "V"),
    ("V", "G"),
    ("u", "V"),
    ("I", "p"),
    ("p", "I"),
    ("MSf", "HI"),
)
NAMED = {  # fields that are words: their number
    "monthname": lambda word: [name[:3].lower() for name in MONTHS].index(word[:3]) + 1,
    "dayname": lambda word: [name[:3].lower() for name in DAY_NAMES].index(word[:3]),
    "ampm": lambda word: int(word[0] == "p"),
    "ordinal": lambda word: 0,
    "zonename": lambda word: 0,
}
ABBREVIATED = ("sept", "tues", "thurs")
TIME_OF_DAY = {"literal", "hour", "hour12", "minute", "second", "fraction", "ampm"}
# Where a spreadsheet leaves out leading zeros, it does so in all of these.
UNPADDED = ("day", "month", "number1", "number2", "hour", "hour12")


class Fields(NamedTuple):
    """The fields of a column of texts.

    Attributes:
      parts: the format of the longest texts, without the offset from UTC at their end; other texts
        may lack the end of it.
      tail: the offset at the end of the first text, " UTC" or "+01:00"; "" if there is none.
      numbers: int32 [rows] of each field; where a text lacks it, -1.
      uniform: whether every text has exactly this format.
    """

    parts: tuple[Part, ...]
    tail: str
    numbers: dict[str, np.ndarray]
    uniform: bool


class _Group(NamedTuple):
    """Rows of one shape, where their fields are, and what is the same in all of them."""

    rows: np.ndarray
    parts: tuple[Part, ...]
    tail: str
    spans: dict[str, tuple[int, int]]
    constants: dict[str, int]


def _compiled(pattern: str) -> re.Pattern:
    """Number the groups, for a field may occur in several alternatives: `hour__3`."""
    number = itertools.count()
    named = re.sub(r"\(\?P<([a-z]\w*)>", lambda found: f"(?P<{found[1]}__{next(number)}>", pattern)
    return re.compile(named, re.IGNORECASE | re.ASCII)


@functools.cache
def _patterns() -> tuple[re.Pattern, ...]:
    return tuple(map(_compiled, WHOLE))


def as_cells(texts: Sequence[str]) -> np.ndarray | None:
    """Return texts as bytes, "S" [rows], with ASCII marks; None if the first cannot be a time.

    Raises:
      MixedTimesError: a later one that cannot.
    """
    if isinstance(texts, RowNames) and texts.is_ascii(LONGEST):
        return texts.cells
    if len(texts) and max(map(len, texts)) <= LONGEST:
        try:
            return np.array(texts, "S")
        except UnicodeEncodeError:
            texts = [text.translate(LOOKALIKES) for text in texts]
    first = next((text for text in texts if text), "")
    for row, text in enumerate(texts):
        if len(text) > LONGEST or not text.isascii():
            if text == first:
                return None
            raise _mixed(texts, row)
    return np.array(texts, "S")


def iso_times(cells: np.ndarray) -> np.ndarray | None:
    """Return times, datetime64[us] [rows], of texts such as 2024-01-31 12:30; None if others.

    NumPy reads these ten times as fast as fields are found in texts of any form.
    """
    # NumPy alone would also take shorter texts, and offsets with a mere warning.
    if not ISO.fullmatch(cells[0].decode()) or not _have_one_shape(_chars(cells)):
        return None
    try:
        times = cells.astype("M8[us]")
    except ValueError:  # such as 2024-02-30; the row is found field by field
        return None
    return times if times.min() >= FIRST_YEAR else None


def recognise(text: str) -> re.Match | None:
    """Return the fields of a text that has a form that times have; None if it has none."""
    found = (pattern.fullmatch(text) for pattern in _patterns())
    return next(filter(None, found), None)


def matcher_of(time_format: str):
    """Return a function like `recognise` for the directives of strptime.

    Raises:
      ValueError: an unknown directive, or directives that make no time together.
    """
    pattern, rest, directives = "", iter(time_format), set()
    for char in rest:
        if char != "%":
            pattern += r" +" if char == " " else re.escape(char)
            continue
        directive = next(rest, "")
        if directive in ("-", "#"):  # %-d: without a leading zero
            directive = next(rest, "")
        if directive not in DIRECTIVES:
            raise ValueError(
                f"time_format={time_format[:40]!r} has the directive '%{directive}': use those of "
                f"strptime, %{', %'.join(DIRECTIVES)}"
            )
        pattern += DIRECTIVES[directive]
        directives.add(directive)
    for some, needed in NEEDED:
        if directives & set(some) and not directives & set(needed):
            raise ValueError(
                f"time_format={time_format[:40]!r} has '%{min(directives & set(some))}' but not "
                f"'%{needed[0]}', without which it says no time"
            )
    if not directives & set("YyGHI"):
        raise ValueError(f"time_format={time_format[:40]!r} shows neither a date nor a time of day")
    return _compiled(pattern).fullmatch


def split_fields(cells: np.ndarray, texts: Sequence[str], match=recognise) -> Fields:
    """Return the fields of all texts.

    Args:
      cells: the texts as bytes, from `as_cells`.
      texts: the same, for messages.
      match: text -> re.Match or None.

    Raises:
      MixedTimesError: a text that does not match, or in another format than the first.
    """
    chars = _chars(cells)
    groups = []
    for rows in sorted(_rows_by_shape(chars), key=operator.itemgetter(0)):
        found = match(cells[rows[0]].decode())
        if found is None:
            raise _mixed(texts, int(rows[0]))
        groups.append(_group(rows, found))
    parts, uniform = _common_format(groups, texts)
    numbers: dict[str, np.ndarray] = {}
    for group in groups:
        own = chars if len(groups) == 1 else chars[group.rows]
        for name, (start, stop) in group.spans.items():
            column = numbers.setdefault(name, np.full(len(cells), -1, np.int32))
            column[group.rows] = _number(own[:, start:stop], name)
        for name, constant in group.constants.items():
            column = numbers.setdefault(name, np.full(len(cells), -1, np.int32))
            column[group.rows] = constant
    parts = _padding(parts, numbers)
    uniform &= not (_has_extra_zeros(groups, chars, parts) or _has_nanoseconds(groups, chars))
    return Fields(parts, groups[0].tail, numbers, uniform)


def _rows_by_shape(chars: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each shape: as they are but for their digits."""
    if _have_one_shape(chars):
        return [np.arange(len(chars))]
    shapes = _shape(chars)
    # Random odd factors: two shapes of a column have one sum with a chance of 2**-63.
    factors = 2 * np.random.default_rng(0).integers(2**62, size=(chars.shape[1],)) + 1
    sums = np.zeros(len(shapes), np.int64)
    for place in range(chars.shape[1]):
        sums += shapes[:, place].astype(np.int64) * factors[place]
    _, inverse, counts = np.unique(sums, return_inverse=True, return_counts=True)
    order = np.argsort(inverse, kind="stable")
    return np.split(order, np.cumsum(counts)[:-1])


def _have_one_shape(chars: np.ndarray) -> bool:
    """Return whether all texts are as the first but for their digits."""
    first = _shape(chars[:1])
    starts = range(0, len(chars), ROWS_AT_ONCE)
    return all((_shape(chars[start : start + ROWS_AT_ONCE]) == first).all() for start in starts)


def _chars(cells: np.ndarray) -> np.ndarray:
    """Return the characters of texts, uint8 [rows, longest]."""
    return cells.view(np.uint8).reshape(len(cells), cells.dtype.itemsize)


def _shape(chars: np.ndarray) -> np.ndarray:
    """Return characters with 0 for every digit."""
    return np.where((chars >= 48) & (chars <= 57), np.uint8(48), chars)


def _group(rows: np.ndarray, found: re.Match) -> _Group:
    """Return the fields of one text, found by a pattern, for all rows of its shape."""
    text = found.string
    parts: list[Part] = []
    spans: dict[str, tuple[int, int]] = {}
    constants: dict[str, int] = {}
    end, tail = 0, ""
    named = [(found.span(name), name.split("__")[0]) for name in found.groupdict()]
    for (start, stop), kind in sorted(named):
        if start < 0 or kind == "_mark":
            continue
        own = text[start:stop]
        if kind == "zone":
            tail = text[end:]
            constants["zone"] = 0
        elif kind == "sign":
            constants[kind] = -1 if own == "-" else 1
        elif kind in ("zonehour", "zoneminute"):
            spans[kind] = start, stop
        else:
            if start > end:
                parts.append(Part("literal", text[end:start]))
            end = stop
            if kind == "year" and len(own) == 2:
                kind = "year2"
            parts.append(Part(kind, str(len(own)) if own.isdigit() else own))
            if kind in NAMED:
                constants[kind] = NAMED[kind](own.lower())
            else:
                spans[kind] = start, stop
    if end < len(text) and not tail:
        parts.append(Part("literal", text[end:]))
    if "ampm" in constants:
        parts = [part._replace(kind="hour12") if part.kind == "hour" else part for part in parts]
        spans["hour12"] = spans.pop("hour")
    return _Group(rows, tuple(parts), tail, spans, constants)


def _common_format(groups: list[_Group], texts: Sequence[str]) -> tuple[tuple[Part, ...], bool]:
    """Return (the format of the longest texts, whether all are written in just this format)."""
    longest = max(groups, key=lambda group: len(group.parts))
    _check_alike(groups, longest, texts)
    uniform = all((len(g.parts), g.tail) == (len(longest.parts), longest.tail) for g in groups)
    parts = []
    for place in range(len(longest.parts)):
        part, is_uniform = _common_part([g for g in groups if len(g.parts) > place], place)
        uniform &= is_uniform
        parts.append(part)
    return tuple(parts), uniform


def _check_alike(groups: list[_Group], longest: _Group, texts: Sequence[str]) -> None:
    """Refuse formats that differ, but for texts that lack the end of a time of day.

    Spreadsheets leave out midnight, programs a fraction of 0.
    """
    keys = [_key(part) for part in longest.parts]
    for group in groups:
        own = [_key(part) for part in group.parts]
        missing = {part.kind for part in longest.parts[len(own) :]}
        row = int((longest if group is groups[0] else group).rows[0])
        if own != keys[: len(own)] or missing - TIME_OF_DAY:
            raise _mixed(texts, row)
        if bool(group.tail) != bool(longest.tail):
            reason = "and the first row differ: one has an offset from UTC, the other has none"
            raise MixedTimesError(reason, row, texts[row])


def _common_part(groups: list[_Group], place: int) -> tuple[Part, bool]:
    """Return (how the part at a place of the format is written, whether it is in all groups)."""
    kind = groups[0].parts[place].kind
    styles = [group.parts[place].style for group in groups]
    if kind in ("monthname", "dayname", "ampm"):
        style = styles[0] if kind == "ampm" else max(styles, key=len)  # May is short and long
        style = style[:3] if style.lower() in ABBREVIATED else style
        written = [NAMES[kind](group.constants[kind], style) for group in groups]
        return Part(kind, style), written == styles
    if kind in ("literal", "ordinal", "zonename"):
        return Part(kind, styles[0]), kind == "literal" and len(set(styles)) == 1
    if kind == "fraction":
        return Part(kind, max(styles, key=int)), len(set(styles)) == 1
    return Part(kind, min(styles, key=int)), True


def _key(part: Part) -> str:
    """Return a key that is equal for parts that can stand for one another."""
    return f"literal{' '.join(part.style.split()) or ' '}" if part.kind == "literal" else part.kind


def _padding(parts: tuple[Part, ...], numbers: dict[str, np.ndarray]) -> tuple[Part, ...]:
    """Drop the leading zero of fields that are never below 10, if other fields have none."""
    unpadded = {part.kind for part in parts if part.style == "1"} & set(UNPADDED)
    if not unpadded:
        return parts
    return tuple(
        part._replace(style="1")
        if part.kind in UNPADDED and part.kind in numbers and numbers[part.kind].min() >= 10
        else part
        for part in parts
    )


def _has_extra_zeros(groups: list[_Group], chars: np.ndarray, parts: tuple[Part, ...]) -> bool:
    """Return whether a field without leading zeros has some, such as 05 beside 5."""
    unpadded = {part.kind for part in parts if part.style == "1"}
    return any(
        (chars[group.rows, start] == ord("0")).any()
        for group in groups
        for kind, (start, stop) in group.spans.items()
        if stop - start > 1 and kind in unpadded
    )


def _has_nanoseconds(groups: list[_Group], chars: np.ndarray) -> bool:
    """Return whether a fraction goes beyond the microseconds that are read."""
    spans = [(group.rows, group.spans["fraction"]) for group in groups if "fraction" in group.spans]
    return any((chars[rows, start + 6 : stop] != ord("0")).any() for rows, (start, stop) in spans)


def _number(digits: np.ndarray, name: str) -> np.ndarray:
    """Turn digits, bytes [rows, n], into numbers; a fraction of a second into microseconds."""
    if name == "fraction":
        digits = digits[:, :6]
        return _number(digits, "") * 10 ** (6 - digits.shape[1])
    number = np.zeros(len(digits), np.int32)
    for column in digits.T:
        number *= 10
        number += column
        number -= ord("0")
    return number


def _mixed(texts: Sequence[str], row: int) -> MixedTimesError:
    if row == 0:
        reason = "is not a date or time in the requested format"
        return MixedTimesError(reason, row, texts[row])
    example = next(text for text in texts if text)[:LONGEST]
    return MixedTimesError(
        f"is not a date or time in the format of the rows before it, such as {example}: write all "
        "times in one format",
        row,
        texts[row],
    )
