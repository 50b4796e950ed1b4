"""Times as text: read from it, and written in the same format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

AMBIGUOUS_DATE = re.compile(r"\d{1,4}[./]\d{1,2}[./]\d{1,4}\b.*")  # which is the month?
ZONE = re.compile(r"(Z|[+-]\d\d(:?\d\d){0,2})$")
# numpy's unit for a time written in so many characters.
UNIT_OF_LENGTH = {7: "M", 8: "D", 10: "D", 13: "h", 16: "m", 19: "s", 23: "ms"}

__all__ = ["read_times", "write_times"]


def read_times(texts: list[str]) -> np.ndarray | None:
    """datetime64[us] or float64 [rows]; None if they are words.

    What they are is judged by the first that is not empty.

    Raises:
      ValueError: a text that is not of the kind of the first, or that does not say which number is
        the month.
    """
    first = next(filter(None, texts), "")
    if re.fullmatch(r"\d{4}-\d\d", first):
        return _dates(texts, _month)
    # Eight digits are a date, 20240131, though they would pass for a number.
    if _reads(datetime.fromisoformat, first) and not (len(first) != 8 and _reads(float, first)):
        return _dates(texts)
    if _reads(float, first):
        return _numbers(texts)
    if AMBIGUOUS_DATE.fullmatch(first):
        raise ValueError(
            f"row 0 ({first}) does not say which number is the month: write dates as 2024-01-31, "
            "for instance with pandas.to_datetime(..., dayfirst=True or False)"
        )
    return None


def write_times(times: np.ndarray, labels: Sequence[str]) -> list[str]:
    """Text of times, in the format of these labels."""
    if times.dtype.kind == "f":
        return [f"{number:.15g}" for number in times.tolist()]
    zones = {found.group() if (found := ZONE.search(label[10:])) else "" for label in labels}
    zone = zones.pop() if len(zones) == 1 else "+00:00"  # different ones were converted to UTC
    length = max(len(label) - len(zone) for label in labels)
    unit: Any = UNIT_OF_LENGTH.get(length, "us" if length > 19 else "s")
    texts = np.datetime_as_string(times, unit=unit).tolist()
    if length == 8:
        return [text.replace("-", "") for text in texts]
    separator = labels[0][10:11] or "T"
    return [text.replace("T", separator) + zone for text in texts]


def _reads(read, text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def _read_all(read, texts: list[str], kind: str) -> list:
    try:
        return [read(text) for text in texts]
    except ValueError:
        row = next(row for row, text in enumerate(texts) if not _reads(read, text))
        raise ValueError(
            f"row {row} ({texts[row]!r}) is not {kind} as the rows before it are: write all times "
            "in one format"
        ) from None


def _numbers(texts: list[str]) -> np.ndarray:
    numbers = np.array(_read_all(float, texts, "a number"))
    if not (finite := np.isfinite(numbers)).all():
        row = int(finite.argmin())
        raise ValueError(f"row {row} ({texts[row]}) is no time: remove the row, or write its time")
    return numbers


def _month(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m")


def _dates(texts: list[str], read=datetime.fromisoformat) -> np.ndarray:
    moments = _read_all(read, texts, "a date in ISO 8601")
    offsets = [moment.utcoffset() for moment in moments]
    if any(offset != offsets[0] for offset in offsets):
        if None in offsets:
            row = next(row for row, o in enumerate(offsets) if (o is None) != (offsets[0] is None))
            raise ValueError(
                f"row {row} ({texts[row]}) and row 0 ({texts[0]}): one has an offset from UTC and "
                "the other has none; write all times in one format"
            )
        moments = [moment - offset for moment, offset in zip(moments, offsets, strict=True)]
    return np.array([moment.replace(tzinfo=None) for moment in moments], "M8[us]")
