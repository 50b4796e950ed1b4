"""The last rows of a table that was scored, with which the next table is scored from its first row.

Season, differences, the state of the model and the memory of the score depend on the rows before.
So a run keeps as many of its last rows as they reach back, and the next one puts them before its
own, if these follow:

    kept = last_rows(detector, table, source)         of a table that was scored
    write(path, kept)
    joint = follow(read(path, features), later)       of a table that comes after it
    detect(detector, later.values, before=joint.before.values)
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore.apps.anomalies.adaptive import memory_rows
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.formatting import count
from lstmcore.io.reading import damaged
from lstmcore.io.tensors import Kind, open_tensors, write_tensors
from lstmcore.series import Table, TimesError, read_times
from lstmcore.series.seasonality import MEDIAN_OF
from lstmcore.series.times.calendar import DAY, Consecutive, find_calendar
from lstmcore.series.times.format import TimeFormat

SETTLED = 10  # windows, after which it hardly matters where a model has begun to read
LAST_ROWS = "last_rows.safetensors"
FORMAT = 1
KEY = "lstmcore_last_rows"  # of the one entry in the file's metadata
OFFSET = re.compile(r"([+-])(\d\d?)(?::?(\d\d))?")  # from UTC, at the end of a time


class LastRows(NamedTuple):
    """The last rows of a table that was scored.

    Attributes:
      values: float64 [k, F], in units of the data; NaN is missing.
      times: datetime64[us] or float64 [k], as in `series.Times`; None of a table without times.
      source: name of the table.
      last: label of the last row.
    """

    values: np.ndarray
    times: np.ndarray | None
    source: str
    last: str


class Joint(NamedTuple):
    """Where a table follows the last rows of another.

    Attributes:
      before: the rows right before the table, those of a gap included; None if it does not follow.
      said: how it follows, or why it does not.
      is_known: whether its times say so.
    """

    before: LastRows | None
    said: str
    is_known: bool = True


def reach(detector: Detector) -> int:
    """Return how many rows before it the score of a row depends on.

    An LSTM may remember for ever, but where it began to read makes less and less of a difference.
    """
    settings = detector.settings
    seasons = MEDIAN_OF * (settings.season_rows or 0)
    memory = memory_rows(len(detector.training_errors), settings.window)
    return seasons + settings.preprocessing.dropped_rows + SETTLED * settings.window + memory


def last_rows(
    detector: Detector, table: Table, source: str, before: LastRows | None = None
) -> LastRows:
    """Return the rows of a table that the scores of the rows after it depend on.

    The first of them must be complete to be filled from, and so must that of the second season,
    from which its level is taken; of a table that the detector reads, its own first row will do.

    Args:
      detector: from `train`.
      table: at equal steps, as it was scored.
      source: its name.
      before: rows right before the table, if it was scored with such.
    """
    kept = LastRows(table.values, _moments(table), source, str(table.labels[-1]))
    if before is not None:
        times = None
        if before.times is not None and kept.times is not None:
            times = np.concatenate([before.times, kept.times])
        kept = kept._replace(values=np.concatenate([before.values, kept.values]), times=times)
    complete = ~np.isnan(kept.values).any(axis=1)
    start, season = max(0, len(complete) - reach(detector)), detector.settings.season_rows or 0
    while start and not complete[[start, min(start + season, len(complete) - 1)]].all():
        start -= 1
    return _from_row(kept, start)


def follow(kept: LastRows, table: Table, longest: int = 0) -> Joint:
    """Return the rows to put before a table, if its times say that it follows.

    Rows that both have are those of the table: it may overlap. A table without times is taken to
    follow, but it is not known.

    Args:
      kept: of the table before.
      table: at equal steps, with the same columns.
      longest: rows that may be missing between the two, which are added without values.
    """
    times, ends = _moments(table), f"{kept.source}, which ends at {kept.last}"
    if times is None or kept.times is None:
        return Joint(kept, f"it goes on from {kept.source}, as --continue says", is_known=False)
    if times.dtype.kind != kept.times.dtype.kind:
        return Joint(None, f"its times are of another kind than those of {kept.source}")
    earlier = int((kept.times < times[0]).sum())
    if not earlier:
        return Joint(None, f"it begins before the rows that are kept of {ends}")
    found = _between(kept.times[:earlier], table, times, longest)
    if found is None:
        return Joint(None, f"its rows are not at equal steps from those of {ends}")
    gap, between = found
    if gap > longest:
        limit = f" (at most {longest:,} would be added as missing)" if longest else ""
        are = "row is" if gap == 1 else "rows are"
        return Joint(None, f"{gap:,} {are} missing between it and {ends}{limit}")
    nothing = np.full((gap, kept.values.shape[1]), np.nan)
    before = kept._replace(
        values=np.concatenate([kept.values[:earlier], nothing]),
        times=np.concatenate([kept.times[:earlier], between]),
    )
    said = f"it goes on from {ends}: {count(earlier, 'row')} before it {_be(earlier)} known"
    if gap:
        said += f"; {count(gap, 'row')} between them {_be(gap)} added as missing"
    return Joint(before, said + _overlap(kept, table, times))


def write(path: Path, kept: LastRows) -> None:
    """Write last rows into a file.

    Raises:
      OSError: the file cannot be written.
    """
    description = {"format": FORMAT, **{name: getattr(kept, name) for name in ("source", "last")}}
    arrays = {"values": kept.values}
    if kept.times is not None:
        is_number = kept.times.dtype.kind == "f"
        arrays["numbers" if is_number else "microseconds"] = (
            kept.times if is_number else kept.times.astype("M8[us]").astype(np.int64)
        )
    write_tensors(path, arrays, {KEY: json.dumps(description)})


def read(path: Path, features: int) -> LastRows:
    """Return what `write` wrote.

    Raises:
      ValueError: the file is damaged, or of another number of features.
      OSError: it cannot be read.
    """
    with open_tensors(path) as file:
        description = file.description(KEY, "holds no last rows of a table")
        with damaged(path):
            if description["format"] != FORMAT:
                raise ValueError(f"it is not described in format {FORMAT}")
            texts = [str(description[name]) for name in ("source", "last")]
            rows = (*file.kinds["values"].shape, 0)[0]
            kinds = {"values": Kind("float64", (rows, features))}
            if "numbers" in file.kinds:
                kinds["numbers"] = Kind("float64", (rows,))
            elif "microseconds" in file.kinds:
                kinds["microseconds"] = Kind("int64", (rows,))
            if not rows or file.kinds != kinds:
                raise ValueError(f"it does not hold rows of {features} features, or their times")
        arrays = file.read()
    times = arrays.get("numbers")
    if "microseconds" in arrays:
        times = arrays["microseconds"].astype("M8[us]")
    with damaged(path):
        if np.isinf(arrays["values"]).any():
            raise ValueError("it holds infinite values")
        if times is not None and not (times[1:] > times[:-1]).all():
            raise ValueError("its times do not rise")
    return LastRows(arrays["values"], times, *texts)


def _from_row(kept: LastRows, start: int) -> LastRows:
    times = None if kept.times is None else kept.times[start:]
    return kept._replace(values=kept.values[start:], times=times)


def _overlap(kept: LastRows, table: Table, times: np.ndarray) -> str:
    """Return what is to be said of rows that are kept and in the table as well; "" if none are."""
    assert kept.times is not None
    shared, ours, theirs = np.intersect1d(kept.times, times, return_indices=True)
    if not len(shared):
        return ""
    pair = kept.values[ours], table.values[theirs]
    differing = int((~np.isclose(*pair, rtol=1e-9, atol=0, equal_nan=True)).any(axis=1).sum())
    said = f"; {count(len(shared), 'row')} that both have {_be(len(shared))} scored again"
    return said + f", and {differing:,} of them hold other values now" * bool(differing)


def _between(
    before: np.ndarray, table: Table, times: np.ndarray, longest: int
) -> tuple[int, np.ndarray] | None:
    """Return (rows missing before the first of a table, the times of them); None at uneven steps.

    The times are those of `longest` rows at most.
    """
    if table.times is None:
        is_consecutive = table.options.consecutive
    else:
        is_consecutive = isinstance(table.times.calendar, Consecutive)
    if is_consecutive:
        return 0, times[:0]  # whatever time lies between rows, as the user says
    joined = np.concatenate([before, times])
    found = find_calendar(joined) if (joined[1:] > joined[:-1]).all() else None
    if found is None:
        return None
    calendar, places = found
    last, first = places[len(before) - 1 : len(before) + 1].tolist()
    gap = first - last - 1
    return gap, calendar.times(last + 1 + np.arange(min(gap, longest)))


def _be(number: int) -> str:
    return "is" if number == 1 else "are"


def _moments(table: Table) -> np.ndarray | None:
    """Return the times of a table; of a single row, which has no `times`, that of its label.

    If all show one offset from UTC, they are those of UTC, as the next table may show another; but
    days go on by the clock.
    """
    if table.times is not None:
        times = table.moments()
        if times.dtype.kind == "f":
            return times
        offset = _offset(table.times.form)
        clock = times.astype(np.int64) % DAY
        return times if (clock == clock[0]).all() else times - offset
    options = table.options
    if len(table.values) > 1 or isinstance(table.labels, range) or options.time_zone:
        return None
    try:
        column = read_times(
            list(table.labels), day_first=options.day_first, time_format=options.time_format
        )
    except TimesError:
        return None
    # Whether a single row with an offset is one of days is not known.
    return None if column is None or _offset(column.form) else column.times


def _offset(form: TimeFormat) -> np.timedelta64:
    """Return the offset from UTC that all times end in; 0 if they show none."""
    end = form.parts[-1]
    found = OFFSET.search(end.style) if end.kind == "literal" else None
    if found is None:
        return np.timedelta64(0, "m")
    minutes = 60 * int(found[2]) + int(found[3] or 0)
    return np.timedelta64(-minutes if found[1] == "-" else minutes, "m")
