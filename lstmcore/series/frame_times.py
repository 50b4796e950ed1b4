"""The times of a data frame, as a series of narwhals: read, checked, and carried on."""

from __future__ import annotations

from typing import Any

import numpy as np

from lstmcore.formatting import count
from lstmcore.series.frames import narwhals, to_utc, type_of_times
from lstmcore.series.times import errors
from lstmcore.series.times.calendar import Calendar, find_calendar, first_break
from lstmcore.series.times.zone import to_utc_roughly

DAY = 86_400_000_000  # microseconds
CONSECUTIVE = "take the rows as consecutive without their times (reset_index(drop=True) in pandas)"


def check_steps(times: Any) -> None:
    """Raise TimesError unless the times rise by equal steps."""
    unknown = times.is_null().to_numpy()
    errors.MixedTimesError.refuse(
        unknown, "has no time: remove the row, or write its time", ["missing"] * len(times)
    )
    moments, _ = moments_of(times)
    if len(moments) < 2:
        return
    unit = f"M8[{coarsest_unit(moments)}]"

    def text(row: int) -> str:
        return str(moments[row].astype(unit))

    backward = moments[1:] <= moments[:-1]
    if backward.any():
        row = int(backward.argmax()) + 1
        if moments[row] == moments[row - 1]:
            raise errors.DuplicateTimesError(
                "has the same time as the row before it: keep one of them, or their mean",
                row,
                text(row),
            )
        raise errors.UnsortedTimesError(
            f"comes before {text(row - 1)}, the row above it: sort the rows by time",
            row,
            text(row),
        )
    found = _calendar(times)
    if found is None:
        usual, row, step = first_break(moments)
        raise errors.IrregularTimesError(
            f"is {step} after {text(row)}, but rows are usually {usual} apart: resample the table, "
            f"or {CONSECUTIVE}",
            row + 1,
            text(row + 1),
        )
    calendar, positions, _ = found
    skipped = int(positions[-1]) + 1 - len(positions)
    if skipped:
        row = int((np.diff(positions) > 1).argmax()) + 1
        raise errors.IrregularTimesError(
            f"comes after a gap: at steps of {calendar.interval}, {count(skipped, 'row')} of the "
            f"table {'is' if skipped == 1 else 'are'} left out; insert them as missing values "
            f"(asfreq in pandas, upsample in polars), or {CONSECUTIVE}",
            row,
            text(row),
        )


def times_after(times: Any, rows: int) -> Any:
    """Return the times of the rows after the last one, as a series of narwhals like `times`."""
    found = _calendar(times) if len(times) > 1 else None
    if found is None:
        raise ValueError("the table has a single row, whose time does not say the next one")
    calendar, positions, is_clock = found
    later = calendar.times(positions[-1] + 1 + np.arange(rows))
    dtype = type_of_times(times)
    zone = getattr(dtype, "time_zone", None)
    if is_clock and zone:
        later = _in_utc(later, times, zone)
    return series_of(later, times.implementation, zone).cast(dtype)


def moments_of(times: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return (times in UTC, times by the local clock), datetime64[us] [rows] each."""
    if getattr(type_of_times(times), "time_zone", None) is None:
        clock = times.to_numpy().astype("M8[us]")
        return clock, clock
    utc, clock = (
        zoned.dt.replace_time_zone(None).to_numpy().astype("M8[us]")
        for zoned in (to_utc(times), times)
    )
    return utc, clock


def series_of(moments: np.ndarray, library: Any, zone: str | None) -> Any:
    """Return times as a series of narwhals; in a zone they are given in UTC."""
    series = narwhals().new_series("time", moments.astype("M8[us]"), backend=library)
    return series.dt.replace_time_zone("UTC").dt.convert_time_zone(zone) if zone else series


def coarsest_unit(moments: np.ndarray) -> str:
    """Return the coarsest of days, minutes, seconds and microseconds that tells the times."""
    units = ("D", "m", "s", "us")
    return next(unit for unit in units if (moments.astype(f"M8[{unit}]") == moments).all())


def _calendar(times: Any) -> tuple[Calendar, np.ndarray, bool] | None:
    """Return (calendar, positions on it, whether it is that of the local clock), or None.

    Days and months are regular by the clock alone where it is put forward and back; days that are
    regular in UTC as well, since it was not, go on by the clock, unless they begin at midnight UTC.
    """
    found, both = [], moments_of(times)
    in_utc, by_clock = (moments[0] == moments[0].astype("M8[D]") for moments in both)
    for is_clock, moments in enumerate(both if both[0] is not both[1] else both[:1]):
        calendar = find_calendar(moments) if (moments[1:] > moments[:-1]).all() else None
        if calendar is not None:
            found.append((*calendar, bool(is_clock)))

    def rank(one: tuple[Calendar, np.ndarray, bool]) -> tuple[int, bool]:
        calendar, positions, is_clock = one
        is_finer = calendar.unit == "microsecond" and bool(calendar.step % DAY)
        return int(positions[-1]), is_clock == (is_finer or (in_utc and not by_clock))

    return min(found, key=rank, default=None)


def _in_utc(clock: np.ndarray, times: Any, zone: str) -> np.ndarray:
    """Return UTC of later times by the local clock."""
    try:
        return to_utc_roughly(clock, zone)
    except ValueError:  # no zone with a name, but an offset such as "+01:00"
        utc, local = moments_of(times)
        return clock - (local[-1] - utc[-1])
