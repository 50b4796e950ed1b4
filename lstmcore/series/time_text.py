"""Times as text: read from it, and written in the same format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np

AMBIGUOUS_DATE = re.compile(r"\d{1,4}[./]\d{1,2}[./]\d{1,4}\b.*")  # which is the month?
ZONE = re.compile(r"(Z|[+-]\d\d(:?\d\d){0,2})$")
# numpy's unit for a time written in so many digits.
UNIT_OF_DIGITS = {6: "M", 8: "D", 10: "h", 12: "m", 14: "s", 17: "ms"}
WEEK = re.compile(r"\d{4}(-?)W\d\d(-?\d)?")
LONGEST_WHOLE = 2**63  # a larger number is written with an exponent

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
        return list(map(_number_text, times.tolist()))
    if week := WEEK.fullmatch(labels[0]):
        return [_week_text(time, *week.groups()) for time in times.tolist()]
    zones = {_zone(label) for label in labels}
    if len(zones) == 1:
        zone = zones.pop()
    else:  # see `_dates`: the clock was kept, or they were converted to UTC
        zone = "" if len({_clock(label) for label in labels}) == 1 else "+00:00"
    digits = max(sum(map(str.isdigit, label.removesuffix(_zone(label)))) for label in labels)
    unit: Any = UNIT_OF_DIGITS.get(digits, "us" if digits > 14 else "s")
    texts = np.datetime_as_string(times, unit=unit).tolist()
    basic = "-" not in labels[0][:10]  # 20240131T1230
    separator = labels[0][8:9] if basic else labels[0][10:11]
    if basic:
        texts = [text.replace("-", "").replace(":", "") for text in texts]
    return [text.replace("T", separator or "T") + zone for text in texts]


def _zone(label: str) -> str:
    """The offset from UTC that a date-time ends with; "" if it has none."""
    found = ZONE.search(label[10:])
    return found.group() if found else ""


def _clock(label: str) -> str:
    """What the clock shows, without the date."""
    return label[10:].removesuffix(_zone(label))


def _number_text(number: float) -> str:
    whole = number % 1 == 0 and abs(number) < LONGEST_WHOLE
    return f"{number:.0f}" if whole else f"{number:.15g}"


def _week_text(time: datetime, dash: str, day: str | None) -> str:
    year, week, weekday = time.isocalendar()
    return f"{year}{dash}W{week:02}" + (f"{dash}{weekday}" if day else "")


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
        # Where clocks change, days have 23 or 25 hours, but they are days.
        if any(moment.time() != moments[0].time() for moment in moments):
            moments = [moment - offset for moment, offset in zip(moments, offsets, strict=True)]
    return np.array([moment.replace(tzinfo=None) for moment in moments], "M8[us]")
