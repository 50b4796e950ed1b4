"""Read JSON from any source, within bounds that are checked before it is parsed."""

from __future__ import annotations

import json
import math
import os
import re
from typing import Any

from lstmcore.formatting import excerpt
from lstmcore.io.reading import read_bytes

__all__ = ["parse_json", "read_json"]

# Together less than 64 MiB of memory beside the data itself. `json.dumps` writes ASCII; other text
# takes up to four bytes a character, once as text and once in values.
MAX_BYTES = 16 * 2**20
MAX_BYTES_UNLESS_ASCII = 4 * 2**20
MAX_VALUES_BYTES = 24 * 2**20  # as `_check_extent` estimates it: some 390,000 numbers
MAX_DEPTH = 32
MAX_NUMBER = 100  # characters; the longest that Python writes for a float has 24

# A string, closed or not, is matched whole, so that no bracket in it is counted.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]++|\\.)*+\\?"?|[\[\]{}]', re.DOTALL)


def parse_json(data: bytes | str, where: str, limit: int = MAX_BYTES) -> Any:
    """Return what a JSON text holds.

    Python's own parser accepts more than JSON allows, and more than fits into memory. Here every
    number is finite, every integer fits int64, no object has a name twice, and size, depth and the
    number of values are bounded.

    Args:
      data: the text, in UTF-8 if it is bytes.
      where: name of the file, for the error message.
      limit: most bytes (or characters).

    Raises:
      ValueError: anything else; the message names `where`.

    Examples:
      >>> parse_json('{"units": [8, 4], "rate": 0.5}', "settings.json")
      {'units': [8, 4], 'rate': 0.5}
      >>> parse_json('{"rate": 1e400}', "settings.json")
      Traceback (most recent call last):
      ValueError: settings.json is damaged: the number 1e400 is too large
    """
    if not isinstance(data, bytes | str):
        raise TypeError(f"{where} must be text, got {type(data).__name__}")
    try:
        limit = limit if data.isascii() else min(limit, MAX_BYTES_UNLESS_ASCII)
        if len(data) > limit:
            raise ValueError(f"{len(data):,} bytes of JSON, expected at most {limit:,}")
        text = data.decode("utf-8") if isinstance(data, bytes) else data
        _check_extent(text)
        return json.loads(
            text,
            parse_int=_integer,
            parse_float=_float,
            parse_constant=_constant,
            object_pairs_hook=_object,
        )
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is damaged: {error}") from error


def read_json(path: str | os.PathLike, limit: int = MAX_BYTES) -> Any:
    """Return what a file of JSON holds; see `parse_json`.

    Raises:
      ValueError: it holds anything else, is no regular file, or is larger than `limit` bytes.
      OSError: it is not there, or cannot be read.
    """
    return parse_json(read_bytes(path, limit), os.fspath(path), limit)


def _check_extent(text: str) -> None:
    # Bytes that a list, an object or an entry of one takes in Python, and any other value.
    values = 100 * sum(map(text.count, "[{:")) + 64 * text.count(",")
    if values > MAX_VALUES_BYTES:
        raise ValueError(f"its values take {values:,} bytes, expected at most {MAX_VALUES_BYTES:,}")
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        mark = text[match.start()]
        if mark != '"':
            depth += 1 if mark in "[{" else -1
            if depth > MAX_DEPTH:
                raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
            if depth < 0:
                return  # the parser reports where


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER or not -(2**63) <= (number := int(text)) < 2**63:
        raise ValueError(f"the integer {excerpt(text, 40)} does not fit 64 bits")
    return number


def _float(text: str) -> float:
    if len(text) > MAX_NUMBER:
        raise ValueError(f"the number {excerpt(text, 40)} has {len(text):,} characters")
    if not math.isfinite(number := float(text)):
        raise ValueError(f"the number {text} is too large")
    return number


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"{excerpt(repr(twice), 40)} appears twice in one object")
    return found
