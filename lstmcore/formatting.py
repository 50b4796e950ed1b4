"""Plain text for people: tables, counts, lists of names, excerpts of unknown values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import get_close_matches

_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)


def text_table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int, last: Sequence[str] = ()
) -> str:
    """Format columns under a header and a rule; the first `words` flush left, the rest right.

    `last` is a row below a second rule.
    """
    every = [header, *rows, *([last] if last else [])]
    widths = [max(map(len, column)) for column in zip(*every, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = zip(row, widths, strict=True)
        return "  ".join(
            cell.ljust(width) if place < words else cell.rjust(width)
            for place, (cell, width) in enumerate(cells)
        ).rstrip()

    rule = "─" * (sum(widths) + 2 * (len(widths) - 1))
    lines = [line(header), rule, *map(line, rows)]
    if last:
        lines += [rule, line(last)]
    return "\n".join(lines)


def count(number: int, word: str) -> str:
    """Format a count of something whose plural ends in -s.

    Examples:
      >>> count(1, "row"), count(1200, "row")
      ('1 row', '1,200 rows')
    """
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def normalized(name: str) -> str:
    """Return a name in Unicode's composed form, with single spaces: lookalikes become equal.

    Examples:
      >>> normalized(" Ka\u0308lte  [kW]")
      'Kälte [kW]'
    """
    return unicodedata.normalize("NFC", " ".join(name.split()))


def printable(text: str) -> str:
    r"""Escape the characters that a terminal obeys or cannot display.

    These are control characters except line ends and tabs, marks of writing direction, and
    surrogates, which stand for the bytes of a file name that is not UTF-8.

    Examples:
      >>> print(printable("\x1b[2J caf\udce9.csv \u202etxt"))
      \x1b[2J caf\xe9.csv \u202etxt
    """
    return _UNPRINTABLE.sub(_escaped, text)


def excerpt(value: object, most: int = 60) -> str:
    """Return the start and the end of an untrusted value as printable text.

    Examples:
      >>> excerpt("x" * 50 + "y" * 50, most=30)
      'xxxxxxxxxxxxxxxxxx...yyyyyyyyy'
    """
    text = str(value)
    text = printable(text[: 2 * most] + text[-most:] if len(text) > 3 * most else text)
    if len(text) <= most:
        return text
    end = (most - 3) // 3
    return f"{text[: most - 3 - end]}...{text[len(text) - end :]}"


def _escaped(match: re.Match) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # Python's sign for a byte that is not UTF-8
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def listed(names: Sequence[str], last: str = "and", most: int = 8) -> str:
    """Join names as in a sentence; of more than `most` the first few.

    Examples:
      >>> listed(["load", "price", "wind"]), listed(["load", "price"]), listed(["load"])
      ('load, price and wind', 'load and price', 'load')
      >>> listed([f"sensor {number}" for number in range(5000)])
      'sensor 0, sensor 1, sensor 2 and 4,997 more'
    """
    if len(names) > most:
        return few(names, most=3)
    short = [shorten(name) for name in names]
    return f" {last} ".join(filter(None, [", ".join(short[:-1]), *short[-1:]]))


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Return a hint at the known name that is closest to another one; "" if none is close.

    Examples:
      >>> did_you_mean("passengers", ["Month", "Passengers"])
      " (did you mean 'Passengers'?)"
      >>> did_you_mean("weather", ["load", "temp"])
      ''
    """
    plain = {known.strip().lower(): known for known in reversed(names)}
    close = get_close_matches(name.strip().lower(), plain, n=1)
    return f" (did you mean {shorten(plain[close[0]])!r}?)" if close else ""


def few(names: Sequence[str], most: int = 6, longest: int = 32) -> str:
    """Join the first of some names, each cut if long, and say how many more there are.

    Examples:
      >>> few(["load", "temp"]), few([f"column_{i}" for i in range(5000)], most=2)
      ('load, temp', 'column_0, column_1 and 4,998 more')
    """
    short = [shorten(name, longest) for name in names[:most]]
    more = len(names) - len(short)
    return ", ".join(short) + (f" and {more:,} more" if more else "")


def shorten(text: object, most: int = 40) -> str:
    """Return the text of something, cut after so many characters.

    Examples:
      >>> shorten("temperature"), shorten("temperature", 5)
      ('temperature', 'temp…')
    """
    text = str(text)
    return text if len(text) <= most else text[: most - 1] + "…"


def numeric(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[bool]:
    """Return for each column whether its cells are numbers; an empty cell may be one.

    Examples:
      >>> numeric(["name", "n"], [["a", "1,000"], ["2", ""]])
      [False, True]
    """
    columns = zip(*rows, strict=True) if rows else [[""]] * len(header)
    return [all(map(_is_number, column)) and any(column) for column in columns]


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "") or 0)
    except ValueError:
        return False
    return True
