"""Calendars for regular steps of unequal length: months, years, business days.

A calendar maps times to whole numbers and back. Times are regular on it if their numbers are a
constant step apart, except for rows that are left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

UNITS = (  # in microseconds
    ("day", 86_400_000_000),
    ("hour", 3_600_000_000),
    ("minute", 60_000_000),
    ("second", 1_000_000),
    ("millisecond", 1_000),
    ("microsecond", 1),
)
DAY = 86_400_000_000  # microseconds
SHORT_UNITS = (
    ("d", DAY), ("h", 3_600_000_000), ("min", 60_000_000), ("s", 1_000_000), ("ms", 1_000),
)  # fmt: skip
PERIODS = (("1month", 26, 33), ("1quarter", 85, 96), ("1y", 360, 370))  # in days
ROUND_NUMBERS = {
    "ms": (1, 10, 100), "s": (1, 5, 10, 15, 30), "min": (1, 5, 10, 15, 30), "h": (1, 2, 6, 12),
    "d": (1, 7),
}  # fmt: skip
ROUND_STEPS = (
    *((f"{n}{unit}", n * size) for unit, size in SHORT_UNITS[::-1] for n in ROUND_NUMBERS[unit]),
    *(("1month", 31 * DAY), ("1quarter", 92 * DAY)),
)
JITTER = 0.1  # of the median, how far apart steps are that are equal but for their noise
MOST_STEPS = 0.9  # are no longer than the interval at which uneven steps are resampled
EPOCH = np.datetime64("1970-01-01")
MOST_ROWS = 0.9  # must be at the usual times of day for these to predict later rows
UNEVEN = 0.01  # of a step, the largest rounding error of plain numbers


class Calendar(NamedTuple):
    """A count of time in which row n of a series without gaps is at `start + n * step`.

    Attributes:
      unit: "month", "business day", "microsecond", or "number" where times are plain numbers.
      step: units from one row to the next.
      start: the first row, in units since the start of 1970; or the first number.
      day: for "month", day of the month, counted from 0; in shorter months the last one.
      time_of_day: for "month" and "business day".
    """

    unit: str
    step: float
    start: float
    day: int = 0
    time_of_day: np.timedelta64 = np.timedelta64(0, "us")

    @property
    def interval(self) -> str:
        """Return the step as text: "5 minutes", "1 month", "2 years"."""
        return _text(self.unit, self.step)

    def times(self, positions: np.ndarray) -> np.ndarray:
        """Return the times of rows, int [n] -> datetime64[us] or float64 [n]."""
        count = self.start + self.step * positions
        if self.unit == "number":
            return count
        if self.unit == "microsecond":
            return count.astype("M8[us]")
        if self.unit == "business day":
            days = np.busday_offset(EPOCH, count.astype(int))
        else:
            months = count.astype("M8[M]")
            days = months.astype("M8[D]") + np.minimum(self.day, days_in(months) - 1)
        return days.astype("M8[us]") + self.time_of_day


class Consecutive(NamedTuple):
    """Consecutive rows with arbitrary times: row n is at `known[n]`.

    Later rows have the times of day that most days have, on the weekdays that occur.

    Attributes:
      known: datetime64[us] or float64 [rows], by the local clock.
    """

    known: np.ndarray

    @property
    def interval(self) -> str:
        """Return the commonest step as text; "1" if all times are equal."""
        times = np.unique(self.known)
        usual = first_break(times)[0] if len(times) > 1 else "1"
        return f"{usual} (rows taken as consecutive)"

    def times(self, positions: np.ndarray) -> np.ndarray:
        """Return the times of rows, int [n] -> datetime64[us] or float64 [n].

        Raises:
          LookupError: later rows, where the times of day differ from day to day.
        """
        rows = len(self.known)
        beyond = int(positions.max(initial=0)) - rows + 1
        if beyond <= 0:
            return self.known[positions]
        return np.concatenate([self.known, self._after(beyond)])[positions]

    def _after(self, count: int) -> np.ndarray:
        if self.known.dtype.kind == "f":
            raise LookupError("numbers have no times of day")
        days = self.known.astype("M8[D]")
        clock = self.known - days
        present = np.unique(days)
        whole = days < days[-1]  # the last day may be incomplete
        slots, counts = np.unique(clock[whole], return_counts=True)
        slots = slots[2 * counts > len(present) - 1]
        if np.isin(clock, slots).mean() < MOST_ROWS:
            raise LookupError("times of day differ from day to day")
        weekdays = np.unique(weekday_of(present))
        if len(weekdays) < 5 and (weekdays < 5).all():  # too few days to tell
            weekdays = np.arange(5)
        # Enough days: each has at least one time, each week at least one day.
        later = days[-1] + np.arange(7 * (count // len(slots) + 2)).astype("m8[D]")
        later = later[np.isin(weekday_of(later), weekdays)]
        times = (later[:, None] + slots).ravel()
        return times[times > self.known[-1]][:count]


def find_calendar(times: np.ndarray) -> tuple[Calendar, np.ndarray] | None:
    """Return the calendar on which these times are regular, and their positions; None if none is.

    Args:
      times: datetime64[us] or float64 [rows], at least two and strictly increasing.

    Returns:
      (Calendar, positions int [rows] from 0 on, which skip missing rows).
    """
    if times.dtype.kind == "f":
        return _numbers(times)
    days = times.astype("M8[D]")
    time_of_day = times - days
    if (time_of_day == time_of_day[0]).all():
        months = times.astype("M8[M]")
        day, last = (days - months.astype("M8[D]")).astype(int), days_in(months) - 1
        usual = 30 if (day == last).all() else int(day.max())
        if (day == np.minimum(usual, last)).all():
            count = months.astype(int)
            if step := _regular_step(count):
                calendar = Calendar("month", step, int(count[0]), usual, time_of_day[0])
                return calendar, (count - count[0]) // step
        # Up to a week may be daily; longer without a weekend, they are business days.
        if np.is_busday(days).all() and days[-1] - days[0] >= np.timedelta64(7, "D"):
            count = np.busday_count(EPOCH, days)
            if _regular_step(count) == 1:
                calendar = Calendar("business day", 1, int(count[0]), 0, time_of_day[0])
                return calendar, count - count[0]
    count = times.astype(np.int64)
    if step := _regular_step(count):
        return Calendar("microsecond", step, int(count[0])), (count - count[0]) // step
    return None


def first_break(times: np.ndarray) -> tuple[str, int, str]:
    """Return (the commonest step, the first row before another, that step) of irregular times."""
    if times.dtype.kind == "f":
        steps = np.diff(times)
        usual = _usual_number(steps)
        row = int(_uneven(steps / usual).argmax())
        return _text("number", usual), row, _text("number", steps[row])
    steps = np.diff(times.astype(np.int64))
    usual = _commonest(steps)
    row = int((steps % usual != 0).argmax())
    return _text("microsecond", int(usual)), row, _text("microsecond", int(steps[row]))


def usual_interval(times: np.ndarray) -> str:
    """Return the interval at which irregular times are best resampled, such as "5min".

    It is the step from one time to the next where most steps are equal, if only roughly, or else a
    round one that most steps do not exceed.

    Args:
      times: datetime64[us] or float64 [rows], of which at least two differ.

    Examples:
      >>> minutes = np.array([0, 5, 10, 15, 22, 27], "m8[m]") + np.datetime64("2024-01-01", "us")
      >>> usual_interval(minutes), usual_interval(minutes[[0, 1, 3, 5]])
      ('5min', '15min')
    """
    steps = np.diff(np.unique(times))
    if times.dtype.kind == "f":
        usual = _usual_number(steps)
        near = steps[~_uneven(steps / usual) & (steps < 1.5 * usual)]
        step = np.median(near) if 2 * len(near) >= len(steps) else _mostly(steps)
        return np.format_float_positional(step, precision=6, fractional=False, trim="-")
    steps = steps.astype(np.int64)
    step, median = int(_commonest(steps)), float(np.median(steps))
    is_exact = 2 * (steps == step).sum() >= max(len(steps), 3)
    are_weeks = is_exact and step % (7 * DAY) == 0
    for interval, shortest, longest in PERIODS:
        fits = (steps >= shortest * DAY) & (steps <= longest * DAY)
        if 2 * fits.sum() > len(steps) and not are_weeks:
            return interval
    for unit, size in SHORT_UNITS:
        if is_exact and step % size == 0:
            return f"{step // size}{unit}"
    if 2 * (np.abs(steps - median) <= JITTER * median).sum() > len(steps):
        for unit, size in SHORT_UNITS:
            if abs((number := round(median / size)) * size - median) <= JITTER / 2 * median:
                return f"{number}{unit}"
    usual = _mostly(steps)
    return next((name for name, size in ROUND_STEPS if size >= usual), "1y")


def _mostly(steps: np.ndarray):
    """Return what most steps do not exceed."""
    return np.quantile(steps, MOST_STEPS, method="higher")


def _numbers(times: np.ndarray) -> tuple[Calendar, np.ndarray] | None:
    steps = np.diff(times)
    rows = steps / _usual_number(steps)
    if _uneven(rows).any():
        return None
    positions = np.concatenate([[0], np.rint(rows).cumsum()]).astype(int)
    mean = (times[-1] - times[0]) / positions[-1]  # rounding of single times cancels
    return Calendar("number", float(mean), float(times[0])), positions


def _usual_number(steps: np.ndarray) -> float:
    """Return the commonest step, for which rounded numbers count as equal."""
    return float(_commonest(np.round(steps / steps.min(), 3)) * steps.min())


def _uneven(rows: np.ndarray) -> np.ndarray:
    return (np.abs(rows - np.rint(rows)) > UNEVEN) | (np.rint(rows) == 0)


def _regular_step(count: np.ndarray) -> int | None:
    """Return the commonest step of increasing whole numbers, if all others are its multiples."""
    steps = np.diff(count)
    step = _commonest(steps)
    return None if (steps % step).any() else int(step)


def _commonest(steps: np.ndarray):
    """Return the value that occurs most often; the smallest of them, if several do."""
    values, counts = np.unique(steps, return_counts=True)
    return values[counts.argmax()]


def _text(unit: str, step: float) -> str:
    if unit == "number":
        return f"{step:.6g}" if step % 1 else f"{step:.15g}"
    if unit == "microsecond":
        unit, size = next((name, size) for name, size in UNITS if step % size == 0)
        step //= size
    elif unit == "month" and step % 12 == 0:
        unit, step = "year", step // 12
    return f"{step:,} {unit}{'s' * (step != 1)}"


def weekday_of(times: np.ndarray) -> np.ndarray:
    """Return the weekday of each time, 0 for Monday."""
    return (times.astype("M8[D]").astype(np.int64) + 3) % 7


def days_in(months: np.ndarray) -> np.ndarray:
    """Return the number of days of each month, datetime64[M]."""
    after = months + np.timedelta64(1, "M")
    return (after.astype("M8[D]") - months.astype("M8[D]")).astype(np.int64)
