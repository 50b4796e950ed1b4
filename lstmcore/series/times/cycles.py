"""The place of times in the day, the week and the year, as sines and cosines.

    [sin(2 pi k p), cos(2 pi k p)]  for k = 1, 2, ...      p: the place in a cycle, from 0 to 1

What recurs with the calendar can then be read by a linear map, however long the cycle is against
the rows that it reads (Hyndman & Athanasopoulos 2021, "Forecasting: principles and practice",
section 7.4: Fourier series). They are known of the future, since they follow from the times. Those
of one row say all of the next rows, too: moved on in time, a sine is a sum of a sine and a cosine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.series.times.calendar import DAY, days_in, weekday_of

LENGTHS = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}  # in microseconds
# 45 = 7 * 6 + 3 of a week give each of its days the six of a day, of its own.
MOST = {"day": 6, "week": 45, "year": 6}
FEWEST_CYCLES = 2  # in the known rows; in fewer, a cycle is a trend


class Cycle(NamedTuple):
    """A cycle of the calendar.

    Attributes:
      name: "day", "week" or "year".
      harmonics: the sine and cosine of the cycle, of its half, third, ...: so many of each.
    """

    name: str
    harmonics: int


def cycles_of(times: np.ndarray) -> tuple[Cycle, ...]:
    """Return the cycles that rows show at least twice, and that their interval can follow.

    Harmonics are no finer than two rows. Those of a week include those of a day.

    Args:
      times: datetime64[us] [rows], by the local clock, increasing.

    Examples:
      >>> hours = np.datetime64("2024-01-01", "us") + np.arange(500) * np.timedelta64(1, "h")
      >>> cycles_of(hours), cycles_of(hours[:100])
      ((Cycle(name='week', harmonics=45),), (Cycle(name='day', harmonics=6),))
      >>> cycles_of(np.arange("2021-01", "2024-01", dtype="M8[M]").astype("M8[us]"))
      (Cycle(name='year', harmonics=6),)
    """
    if len(times) < 2:
        return ()
    microseconds = times.astype("M8[us]").astype(np.int64)
    step, span = np.median(np.diff(microseconds)), microseconds[-1] - microseconds[0]
    found = {}
    for name, length in LENGTHS.items():
        # 2 %: most months are longer than a twelfth of a year.
        harmonics = min(MOST[name], int(1.02 * length / (2 * max(step, 1))))
        if harmonics and span + step >= 0.98 * FEWEST_CYCLES * length:
            found[name] = Cycle(name, harmonics)
    if "week" in found:
        found.pop("day", None)
    return tuple(found.values())


def harmonics_of(times: np.ndarray, cycles: Sequence[Cycle]) -> np.ndarray:
    """Return sines and cosines of the place of times in cycles, float64 [rows, `width`].

    Args:
      times: datetime64[us] [rows], by the local clock.
      cycles: from `cycles_of`.

    Examples:
      >>> noon = np.array(["2024-02-29T12:00"], "M8[us]")
      >>> harmonics_of(noon, [Cycle("day", 1)]).round(6).tolist()
      [[0.0, -1.0]]
    """
    times, parts = times.astype("M8[us]"), [np.zeros((len(times), 0))]
    for cycle in cycles:
        angles = (
            2 * np.pi * place_in(cycle.name, times)[:, None] * np.arange(1, cycle.harmonics + 1)
        )
        parts += [np.sin(angles), np.cos(angles)]
    return np.concatenate(parts, axis=1)


def width(cycles: Sequence[Cycle]) -> int:
    """Return how many numbers `harmonics_of` gives for each row."""
    return sum(2 * cycle.harmonics for cycle in cycles)


def parse_cycles(stored: Sequence[Sequence]) -> tuple[Cycle, ...]:
    """Return cycles from lists of their fields.

    Raises:
      ValueError: others than `cycles_of` finds.
    """
    cycles = tuple(Cycle(str(name), int(harmonics)) for name, harmonics in stored)
    for name, harmonics in cycles:
        if not 1 <= harmonics <= MOST.get(name, 0):
            raise ValueError(f"no calendar has {harmonics} harmonics of {name!r}")
    return cycles


def place_in(name: str, times: np.ndarray) -> np.ndarray:
    """Return the place of times in a cycle, from 0 on and below 1.

    A week begins on Monday. All months are a twelfth of a year, so that a date has the same place
    in leap years and others.

    Examples:
      >>> dates = np.array(["2023-03-01", "2024-03-01", "2024-10-01"], "M8[us]")
      >>> (12 * place_in("year", dates)).tolist(), (7 * place_in("week", dates)).tolist()
      ([2.0, 2.0, 9.0], [2.0, 4.0, 1.0])
    """
    days = times.astype("M8[D]")
    of_day = (times - days).astype(np.int64) / DAY
    if name == "day":
        return of_day
    if name == "week":
        return (weekday_of(times) + of_day) / 7
    months = times.astype("M8[M]")
    of_month = ((days - months.astype("M8[D]")).astype(np.int64) + of_day) / days_in(months)
    return (months.astype(np.int64) % 12 + of_month) / 12
