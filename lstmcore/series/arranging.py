"""Rows in the order of time, one for each time, at equal intervals: only if asked for."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from lstmcore.series.read_options import AGGREGATES, ReadOptions
from lstmcore.series.time_column import TimeColumn
from lstmcore.series.time_format import TimeLabels
from lstmcore.text import count

UNITS = {  # numpy's unit for what people write
    "ms": "ms", "s": "s", "sec": "s", "second": "s", "t": "m", "min": "m", "minute": "m",
    "h": "h", "hour": "h", "d": "D", "day": "D", "w": "W", "week": "W", "mo": "M", "month": "M",
    "y": "Y", "year": "Y",
}  # fmt: skip

__all__ = ["aggregates", "arrange", "interval"]


def interval(text: str) -> tuple[float, str]:
    """The number and NumPy's unit of an interval such as 5min; the unit is empty of a plain number.

    Raises:
      ValueError: it is no interval.

    Examples:
      >>> interval("5min"), interval("1 hour"), interval("MS"), interval("7")
      ((5, 'm'), (1, 'h'), (1, 'M'), (7.0, ''))
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)?\s*([A-Za-z]*)\s*", text)
    number, word = found.groups() if found else (None, "?")
    size = float(number or 1)
    if not word and number and size > 0:
        return size, ""
    unit = "M" if word in ("M", "MS", "ME") else UNITS.get(word.lower(), "")
    unit = unit or UNITS.get(word.lower().removesuffix("s"), "")
    if not unit or size != int(size) or not 0 < size < 2**31:
        raise ValueError(
            f"--resample {text[:40]!r} is no interval: use one such as 30s, 5min, 1h, 1d, 1month"
        )
    return int(size), unit


def aggregates(text: str, columns: Sequence[str]) -> list[str]:
    """How the rows of an interval become one, for each column.

    Raises:
      ValueError: an aggregate or a column that there is not.

    Examples:
      >>> aggregates("rain=sum", ["rain", "level"]), aggregates("last", ["rain"])
      (['sum', 'mean'], ['last'])
    """
    chosen = dict.fromkeys(columns, "mean")
    for part in text.split(","):
        name, equals, how = part.rpartition("=")
        if how.strip() not in AGGREGATES or (equals and name.strip() not in chosen):
            raise ValueError(
                f"--aggregate {part.strip()[:60]!r} is neither one of {', '.join(AGGREGATES)} nor "
                "such as NAME=sum with the name of a column that is read"
            )
        chosen |= {name.strip(): how.strip()} if equals else dict.fromkeys(columns, how.strip())
    return list(chosen.values())


def arrange(
    values: np.ndarray, times: TimeColumn, columns: Sequence[str], options: ReadOptions
) -> tuple[np.ndarray, TimeColumn, np.ndarray | None, list[str]]:
    """Sort, join and resample rows, as far as the options ask for it.

    Args:
      values: float64 [rows, F].
      times: of these rows.
      columns: names of the F columns.
      options: of which sort, duplicates, resample and aggregate are used.

    Returns:
      (values, times, rows, notes). rows: int, the row before for each row; None after resampling.
    """
    notes: list[str] = []
    rows = np.arange(len(values))
    if options.sort or options.resample:
        order = np.argsort(times.times, kind="stable")
        if (order != rows).any():
            notes.append("rows sorted by time")
            values, times, rows = values[order], times.take(order), rows[order]
    if options.duplicates != "refuse":
        starts = _starts(times.times)
        if len(starts) < len(values):
            doubled = len(values) - len(starts)
            notes.append(
                f"{count(doubled, 'row')} with a time that was there: {options.duplicates}"
            )
            values = _join(values, starts, [options.duplicates] * len(columns))
            times, rows = times.take(starts), rows[starts]
    if options.resample is None:
        return values, times, rows, notes
    hows = aggregates(options.aggregate, columns)
    before = len(values)
    begins = _begins(times, options.resample)
    starts = _starts(begins)
    values = _join(values, starts, hows)
    kept = begins[starts]
    times = TimeColumn(kept, times.form, TimeLabels(kept, times.form))
    notes.append(
        f"{count(before, 'row')} resampled to {len(values):,}, one every {options.resample}, by "
        + (hows[0] if len(set(hows)) == 1 else options.aggregate)
    )
    return values, times, None, notes


def _starts(times: np.ndarray) -> np.ndarray:
    """The first row of each run of equal times."""
    return np.flatnonzero(np.concatenate([[True], times[1:] != times[:-1]]))


def _begins(times: TimeColumn, text: str) -> np.ndarray:
    """The start of the interval that each time lies in."""
    size, unit = interval(text)
    if (times.times.dtype.kind == "f") != (unit == ""):
        kind = "plain numbers" if unit else "dates"
        raise ValueError(f"--resample {text}: the times are {kind}, so it must be such, too")
    if not unit:
        return np.floor(times.times / size) * size
    number = int(size)
    units = times.times.astype(f"M8[{unit}]").astype(np.int64)
    if unit == "W":  # weeks since 1970 begin on Thursdays; people's on Mondays
        days = times.times.astype("M8[D]").astype(np.int64) + 3
        return ((days // (7 * number)) * 7 * number - 3).astype("M8[D]").astype("M8[us]")
    return (units // number * number).astype(f"M8[{unit}]").astype("M8[us]")


def _join(values: np.ndarray, starts: np.ndarray, hows: Sequence[str]) -> np.ndarray:
    """One row of each run of rows; a missing value takes no part."""
    joined = np.empty((len(starts), values.shape[1]))
    ends = np.append(starts[1:], len(values))
    for place, how in enumerate(hows):
        column = values[:, place]
        known = ~np.isnan(column)
        counts = np.add.reduceat(known.astype(int), starts)
        if how in ("mean", "sum"):
            sums = np.add.reduceat(np.where(known, column, 0.0), starts)
            result = sums / np.maximum(counts, 1) if how == "mean" else sums
        elif how in ("min", "max"):
            result = (np.fmin if how == "min" else np.fmax).reduceat(column, starts)
        else:
            every = np.arange(len(column))
            if how == "first":  # the first row that has a value
                row = np.minimum.reduceat(np.where(known, every, len(column) - 1), starts)
            else:
                row = np.maximum.reduceat(np.where(known, every, 0), starts)
            result = column[np.clip(row, starts, ends - 1)]
        joined[:, place] = np.where(counts > 0, result, np.nan)
    return joined
