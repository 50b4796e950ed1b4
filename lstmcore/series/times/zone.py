"""Convert local clock times of a named zone to UTC and back, many at once.

The clock changes of a zone are found once for the years that a column spans; the rest is a search
in a sorted array. Where clocks are put back, an hour occurs twice; the order of the rows decides
which of the two a row means.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from lstmcore.series.times import errors

LATEST = np.datetime64("9998-01-01", "s")
EARLIEST = np.datetime64("0002-01-01", "s")
UNCLEAR = -1
DAY = np.timedelta64(1, "D")


def offsets_at(utc: np.ndarray, name: str) -> np.ndarray:
    """Return the zone's offset from UTC at these times, in seconds, int [rows].

    Args:
      utc: datetime64[us] [rows].
      name: of the zone, as in the IANA database: "Europe/Berlin".

    Raises:
      ValueError: there is no such zone, or no database of zones.
    """
    changes, offsets = _changes(utc, name)
    return offsets[np.searchsorted(changes, utc.astype("M8[s]"), "right")]


def to_utc_roughly(local: np.ndarray, name: str) -> np.ndarray:
    """Return UTC of clock times; in an hour that occurs twice, its first pass."""
    first, _ = _candidates(local, name)
    return first


def to_utc(local: np.ndarray, name: str, texts) -> np.ndarray:
    """Return UTC of clock times in the order of time, or newest first, datetime64[us] [rows].

    Raises:
      ImpossibleTimesError: a time at which the clock was put forward.
      AmbiguousTimesError: a time that the clock showed twice, if the rows do not decide which.
      UnsortedTimesError: the same, because they are in no order.
      ValueError: there is no such zone, or no database of zones.
    """
    first, second = _candidates(local, name)
    reason = (
        f"is not a time in {name}: the clock was put forward past it; if the file keeps the same "
        "clock all year, leave the time zone out"
    )
    errors.ImpossibleTimesError.refuse(first > second, reason, texts)
    twice = np.flatnonzero(first < second)
    if not len(twice):
        return first
    hour = (second - first).max()
    steps = np.diff(local)
    is_rising = local[-1] > local[0]
    if is_rising and (steps >= -hour).all():
        is_second = _passes(local, first, second, twice)
    elif not is_rising and (steps <= hour).all():
        is_second = _passes(local[::-1], first[::-1], second[::-1], len(local) - 1 - twice[::-1])
        is_second = is_second[::-1]
    else:
        row = int((steps < -hour).argmax()) + 1
        raise errors.UnsortedTimesError(
            f"comes before {texts[row - 1]}, the row above it: where the clock of {name} was put "
            "back, an hour occurs twice, and only the order of the rows tells which is which",
            row,
            str(texts[row]),
        )
    unclear = np.flatnonzero(is_second == UNCLEAR)
    if len(unclear):
        row = int(unclear[0])
        raise errors.AmbiguousTimesError(
            f"was on the clock twice in {name}, when it was put back, but is there once: "
            f"{_text(first[row])} or {_text(second[row])} in UTC; if the file keeps the same clock "
            "all year, leave the time zone out, else write times in UTC",
            row,
            str(texts[row]),
        )
    return np.where(is_second == 1, second, first)


def _passes(
    local: np.ndarray, first: np.ndarray, second: np.ndarray, twice: np.ndarray
) -> np.ndarray:
    """Return 0 where a row, in the order of time, is of the first pass of an hour, 1 of the second.

    Args:
      local: times of the clock.
      first, second: UTC of either pass.
      twice: the rows where these differ.

    Returns:
      int [rows]; UNCLEAR where nothing decides.
    """
    is_second = np.zeros(len(local), np.int64)
    is_clear = np.ones(len(local) - 1, bool)  # steps from and to rows that occur once
    is_clear[twice[twice < len(local) - 1]] = False
    is_clear[twice[twice > 0] - 1] = False
    steps, counts = np.unique(np.diff(first)[is_clear], return_counts=True)
    usual = steps[counts.argmax()] if len(steps) else None
    for rows in np.split(twice, np.flatnonzero(np.diff(twice) > 1) + 1):
        start, stop = int(rows[0]), int(rows[-1]) + 1
        back = np.flatnonzero(np.diff(local[start:stop]) <= np.timedelta64(0, "us"))
        if len(back):
            is_second[start + back[0] + 1 : stop] = 1
            continue
        # The hour occurs once: the usual step before and after it decides of which pass it is.
        fits = []
        for utc in (first, second):
            before = start == 0 or utc[start] - first[start - 1] == usual
            after = stop == len(local) or first[stop] - utc[stop - 1] == usual
            fits.append(before and after)
        is_second[start:stop] = UNCLEAR if fits[0] == fits[1] else int(fits[1])
    return is_second


def _candidates(local: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return UTC by the offset before and after the nearest clock change.

    They are equal where the clock does not change; the first is earlier where it shows the time
    twice, and later where it shows it never.
    """
    changes, offsets = _changes(local, name)
    seconds = local.astype("M8[s]")
    # By the clock as it was before each change, and as it was after.
    later, earlier = (
        choose(offsets[:-1], offsets[1:]).astype("m8[s]") for choose in (np.maximum, np.minimum)
    )
    before = np.searchsorted(changes + later, seconds, "right")
    after = np.searchsorted(changes + earlier, seconds, "right")
    return local - offsets[before].astype("m8[s]"), local - offsets[after].astype("m8[s]")


def _changes(times: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (changes datetime64[s] [n] in UTC, offsets int [n + 1] in seconds).

    Offset k is that until change k.
    """
    zone = _zone(name)
    if not len(times):
        return np.zeros(0, "M8[s]"), np.array([_offset(zone, np.datetime64(0, "s"))])
    first = np.maximum(times.min().astype("M8[D]") - 2 * DAY, EARLIEST.astype("M8[D]"))
    last = np.minimum(times.max().astype("M8[D]") + 2 * DAY, LATEST.astype("M8[D]"))
    days = np.arange(first, np.maximum(first, last) + DAY).astype("M8[s]")
    offsets = np.array([_offset(zone, day) for day in days])
    different = np.flatnonzero(np.diff(offsets))
    changes = [_change_between(zone, days[day], days[day + 1]) for day in different.tolist()]
    return np.array(changes, "M8[s]"), np.append(offsets[different], offsets[-1])


def _change_between(zone: tzinfo, low: np.datetime64, high: np.datetime64) -> np.datetime64:
    """Return the first second with the later offset."""
    before = _offset(zone, low)
    while high - low > np.timedelta64(1, "s"):
        middle = low + (high - low) // 2
        if _offset(zone, middle) == before:
            low = middle
        else:
            high = middle
    return high


def _offset(zone: tzinfo, utc: np.datetime64) -> int:
    moment = utc.astype(datetime).replace(tzinfo=UTC).astimezone(zone)
    return int((moment.utcoffset() or timedelta()).total_seconds())


def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo, available_timezones

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # ZoneInfoNotFoundError is a KeyError
        problem = error
    if not available_timezones():
        raise ValueError(
            f"time_zone={name!r}: this machine has no database of time zones; install it with: "
            "pip install tzdata"
        ) from problem
    raise ValueError(
        f"there is no time zone {name!r}: name one of the IANA database, such as 'Europe/Berlin' "
        "or 'America/New_York'"
    ) from problem


def _text(time: np.datetime64) -> str:
    return str(time.astype("M8[m]")).replace("T", " ")
