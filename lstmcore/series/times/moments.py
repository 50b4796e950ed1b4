"""Convert fields of a column of times, such as year, month and hour, to days and microseconds.

Times that do not exist, such as 30 February or 25:00, are refused with their row.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore.series.times.calendar import days_in
from lstmcore.series.times.errors import ImpossibleTimesError
from lstmcore.series.times.format import MONTHS

refuse = ImpossibleTimesError.refuse
PIVOT = 69  # two-digit years from 69 on are of the last century, as POSIX has it


def full_year(year: np.ndarray) -> np.ndarray:
    """Return years of four digits for those of two."""
    return year + np.where(year < PIVOT, 2000, 1900)


def exists(year: np.ndarray, month: np.ndarray, day: np.ndarray) -> np.ndarray:
    """Return which of these are days of the calendar, bool [rows]."""
    is_month = (month >= 1) & (month <= 12)
    return is_month & (day >= 1) & (day <= _last_day(year, month)) & (year >= 1)


def _last_day(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    return days_in(_month_number(year, np.clip(month, 1, 12)).astype("M8[M]"))


def _month_number(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    return (year - 1970) * 12 + month - 1


def days(numbers: dict[str, np.ndarray], texts: Sequence[str]) -> np.ndarray:
    """Return the days since 1970, int64 [rows]."""
    if "isoyear" in numbers:
        return _days_of_weeks(numbers["isoyear"], numbers["week"], numbers.get("weekday"), texts)
    if "year" in numbers:
        year = numbers["year"]
        refuse(year < 1, "is not a date: years are 1 to 9999", texts)
    elif "year2" in numbers:
        year = full_year(numbers["year2"])
    else:
        return np.zeros(len(texts), np.int64)
    one = np.ones_like(year)
    if "yearday" in numbers:
        start = _month_number(year, one).astype("M8[M]").astype("M8[D]").astype(np.int64)
        leap = _last_day(year, one * 2) == 29
        yearday = numbers["yearday"]
        wrong = (yearday < 1) | (yearday > 365 + leap)
        refuse(wrong, "is not a date: the year has no such day", texts)
        return start + yearday - 1
    month = numbers.get("month", numbers.get("monthname", one))
    if "quarter" in numbers:
        month = numbers["quarter"] * 3 - 2
    elif "half" in numbers:
        month = numbers["half"] * 6 - 5
    day = numbers.get("day", one)
    refuse((month < 1) | (month > 12), "is not a date: months are 1 to 12", texts)
    gone = (day < 1) | (day > _last_day(year, month))
    if gone.any():
        row = int(gone.argmax())
        last = _last_day(year[[row]], month[[row]])[0]
        reason = f"is not a date: {MONTHS[month[row] - 1]} {year[row]} has {last} days"
        raise ImpossibleTimesError(reason, row, texts[row])
    return _month_number(year, month).astype("M8[M]").astype("M8[D]").astype(np.int64) + day - 1


def _days_of_weeks(
    year: np.ndarray, week: np.ndarray, weekday: np.ndarray | None, texts: Sequence[str]
) -> np.ndarray:
    """Return days of ISO weeks; the first has the year's first Thursday, so it holds 4 January."""

    def start(of_year):
        first = _month_number(of_year, np.ones_like(of_year)).astype("M8[M]").astype("M8[D]")
        fourth = first.astype(np.int64) + 3
        return fourth - (fourth + 3) % 7

    refuse(year < 1, "is not a date: years are 1 to 9999", texts)
    weeks = (start(year + 1) - start(year)) // 7
    refuse((week < 1) | (week > weeks), "is not a date: the year has no such week", texts)
    since_1970 = start(year) + 7 * (week - 1) + (0 if weekday is None else weekday - 1)
    last = np.datetime64("9999-12-31").astype(np.int64)
    refuse(since_1970 > last, "is not a date before the year 10000", texts)
    return since_1970


def microseconds(
    numbers: dict[str, np.ndarray], texts: Sequence[str]
) -> tuple[np.ndarray, bool, bool]:
    """Return microseconds of the day, int64 [rows], and how midnights are written.

    The first flag: whether all are written alike, and no leap second occurs. The second: whether
    midnights are written as the end of a day, 24:00.
    """
    zero = np.zeros(len(texts), np.int32)
    hour, minute, second, fraction = (
        np.maximum(numbers.get(name, zero), 0) for name in ("hour", "minute", "second", "fraction")
    )
    if "hour12" in numbers:
        twelve = numbers["hour12"]  # -1 where midnight is left out
        wrong = (twelve == 0) | (twelve > 12)
        refuse(wrong, "is not a time: hours before AM or PM are 1 to 12", texts)
        hour = np.where(twelve < 0, 0, twelve % 12 + 12 * numbers["ampm"])
    is_end = (hour == 24) & (minute + second + fraction == 0)
    refuse((hour > 23) & ~is_end, "is not a time: hours are 0 to 23", texts)
    refuse(minute > 59, "is not a time: minutes are 0 to 59", texts)
    is_leap = (second == 60) & (minute == 59)
    refuse((second > 59) & ~is_leap, "is not a time: seconds are 0 to 59", texts)
    seconds = (hour * 60 + minute) * 60 + second
    since_midnight = seconds.astype(np.int64) * 1_000_000 + fraction
    is_at_end = bool(is_end.any()) and bool((since_midnight > 0).all())
    is_exact = (is_at_end or not is_end.any()) and not is_leap.any()
    return since_midnight, is_exact, is_at_end
