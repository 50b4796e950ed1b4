"""The moments that a text such as 2024-03 stands for, by which a user names rows of a table."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore.series.times.column import read_times
from lstmcore.series.times.errors import TimesError
from lstmcore.series.times.format import CLOCK, TimeFormat

A_DAY, A_MONTH = np.timedelta64(1, "D"), np.timedelta64(1, "M")
SPANS: dict[str, np.timedelta64] = {  # by the last field of a time without a clock
    "day": A_DAY, "yearday": A_DAY, "weekday": A_DAY, "week": 7 * A_DAY,
    "month": A_MONTH, "monthname": A_MONTH, "quarter": 3 * A_MONTH, "half": 6 * A_MONTH,
}  # fmt: skip


class Span(NamedTuple):
    """The moments that a text stands for: from `first` on, before `stop`; equal for an instant."""

    first: np.datetime64 | float
    stop: np.datetime64 | float

    def begins_by(self, moments: np.ndarray) -> np.ndarray:
        """Return which moments are not before the span, bool [n]."""
        return moments >= self.first

    def ends_after(self, moments: np.ndarray) -> np.ndarray:
        """Return which moments are not after the span, bool [n]."""
        return moments <= self.first if self.stop == self.first else moments < self.stop


def span_of(
    when: str,
    form: TimeFormat,
    years: range | None,
    *,
    day_first: bool | None = None,
    time_format: str | None = None,
) -> Span | None:
    """Return the moments that a text stands for; None if it is no time as in the table.

    Args:
      when: a time as those of the table, or as year-month-day; parts may be left out from the end,
        so that 2024-03 is the whole month, as in a slice of pandas.
      form: of the times of the table.
      years: numbers that are years, of a table of dates; None if its times are numbers.
      day_first, time_format: as in `read_times`.

    Examples:
      >>> from lstmcore import series
      >>> form = series.read_times(["30.12.2013", "31.12.2013"]).form
      >>> span_of("31.12.2013", form, range(2013, 2014)).first
      np.datetime64('2013-12-31T00:00:00.000000')
      >>> span_of("2013", form, range(2013, 2014)).stop
      np.datetime64('2014-01-01T00:00:00.000000')
      >>> print(span_of("soon", form, range(2013, 2014)))
      None
    """
    if years is None:
        try:
            number = float(when)
        except ValueError:
            return None
        return Span(number, number) if np.isfinite(number) else None
    fields = [part.kind for part in form.parts]
    if day_first is None and {"day", "month"} <= {*fields}:
        day_first = fields.index("day") < fields.index("month")
    try:
        read = read_times([when], day_first=day_first)
    except TimesError:
        try:  # numbers and other forms that need to be told
            read = read_times([when], time_format=time_format)
        except TimesError:
            return None
    if read is None:
        return None
    if read.times.dtype.kind != "M":
        is_year = len(when) == 4 and when.isascii() and when.isdigit() and int(when) in years
        if not is_year:
            return None
        year = np.datetime64(when, "Y")
        return Span(year.astype("M8[us]"), (year + np.timedelta64(1, "Y")).astype("M8[us]"))
    first, kinds = read.times[0], {part.kind for part in read.form.parts}
    span = next((SPANS[kind] for kind in SPANS if kind in kinds), None)
    if span is None or kinds & {*CLOCK, "epoch", "excel"}:
        return Span(first, first)
    start = first.astype(f"M8[{np.datetime_data(span.dtype)[0]}]")
    return Span(first, (start + span).astype("M8[us]"))
