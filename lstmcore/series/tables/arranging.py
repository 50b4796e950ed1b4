"""Select, sort, merge and resample the rows of a table, as far as the options ask for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore.formatting import count
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.row_notes import RowsNote
from lstmcore.series.times.column import TimeColumn
from lstmcore.series.times.resampling import AGGREGATES, merge_duplicates, resample, sort_rows
from lstmcore.series.times.span import Span, span_of


class NoRowsError(ValueError):
    """None of the rows is among those that are asked for by time or number."""


def aggregates(text: str, columns: Sequence[str]) -> list[str]:
    """Return how the rows of an interval are aggregated, for each column.

    Raises:
      ValueError: an aggregate or a column that does not exist.

    Examples:
      >>> aggregates("rain=sum", ["rain", "level"]), aggregates("last", ["rain"])
      (['sum', 'mean'], ['last'])
    """
    chosen = dict.fromkeys(columns, "mean")
    for part in text.split(","):
        name, equals, how = part.rpartition("=")
        if how.strip() not in AGGREGATES or (equals and name.strip() not in chosen):
            raise ValueError(
                f"--aggregate {part.strip()[:60]!r} is not one of {', '.join(AGGREGATES)}, "
                "or NAME=sum with the name of a column that is read"
            )
        chosen |= {name.strip(): how.strip()} if equals else dict.fromkeys(columns, how.strip())
    return list(chosen.values())


def arrange(
    values: np.ndarray, times: TimeColumn, columns: Sequence[str], options: ReadOptions
) -> tuple[np.ndarray, TimeColumn, np.ndarray | None, list[str]]:
    """Sort, merge and resample rows, as far as the options ask for it.

    Args:
      values: float64 [rows, F].
      times: of these rows.
      columns: names of the F columns.
      options: its sort, duplicates, resample and aggregate are used.

    Returns:
      (values, times, rows, notes). rows: int, the former position of each row; None after
      resampling.
    """
    notes: list[str] = []
    rows = np.arange(len(values))
    if (options.sort or options.resample) and not _is_sorted(times):
        notes.append("rows sorted by time")
        times, order = sort_rows(times, rows)
        rows = order[:, 0]
        values = values[rows]
    if options.duplicates != "refuse" and _is_sorted(times):
        before = len(values)
        _, firsts = merge_duplicates(times, rows, "first")
        times, values = merge_duplicates(times, values, options.duplicates)
        rows = firsts[:, 0].astype(np.int64)
        if doubled := before - len(values):
            notes.append(RowsNote(doubled, f"with the time of another row: {options.duplicates}"))
    if options.resample is None:
        return values, times, rows, notes
    hows = aggregates(options.aggregate, columns)
    try:
        resampled = resample(times, values, options.resample, hows)
    except ValueError as error:
        raise ValueError(str(error).replace("every=", "--resample ", 1)) from None
    how = hows[0] if len(set(hows)) == 1 else options.aggregate
    rest = f"resampled to {{kept}}, one every {options.resample}, by {how}"
    notes.append(RowsNote(len(values), rest, len(resampled.values)))
    if resampled.left_out:
        rest = f"left out at the ends, where they do not fill an interval of {options.resample}"
        notes.append(RowsNote(resampled.left_out, rest))
    return resampled.values, resampled.column, None, notes


def rows_within(
    times: TimeColumn | None, labels: Sequence, options: ReadOptions
) -> np.ndarray | None:
    """Return which rows `options.since` and `until` ask for, bool [rows]; None if all.

    Args:
      times: of the rows, or None.
      labels: of the rows.
      options: how the table is read.

    Raises:
      NoRowsError: no row is left.
      ValueError: what is neither a time nor the number of a row.
    """
    asked = {"--since": options.since, "--until": options.until}
    given = {option: when for option, when in asked.items() if when is not None}
    if not given:
        return None
    rows = len(labels)
    kept = np.ones(rows, bool)
    for option, when in given.items():
        is_since = option == "--since"
        span = _span(when, times, options)
        if span is not None and times is not None:
            clock = times.clock()
            kept &= span.begins_by(clock) if is_since else span.ends_after(clock)
            continue
        row = _row_of(option, when, labels)
        kept &= np.arange(rows) >= row if is_since else np.arange(rows) <= row
    if not kept.any():
        named = " ".join(f"{option} {when}" for option, when in given.items())
        raise NoRowsError(
            f"{named} leaves none of {count(rows, 'row')}"
            + ("" if isinstance(labels, range) else f", from {labels[0]} to {labels[rows - 1]}")
        )
    return None if kept.all() else kept


def _span(when: str, times: TimeColumn | None, options: ReadOptions) -> Span | None:
    if times is None:
        return None
    years = range(1, 10_000) if times.times.dtype.kind == "M" else None
    return span_of(
        when, times.form, years, day_first=options.day_first, time_format=options.time_format
    )


def _row_of(option: str, when: str, labels: Sequence) -> int:
    """Return the row of a number, or with a label."""
    if not isinstance(labels, range) and when in (names := list(map(str, labels))):
        return names.index(when)
    if not (when.isascii() and when.isdigit()):
        is_named = not isinstance(labels, range)
        example = f"a time as in the table, such as {labels[len(labels) // 2]}, nor " * is_named
        raise ValueError(
            f"{option} {when[:40]!r} is {'neither ' * is_named}{'not ' * (not is_named)}{example}"
            "the number of a row, counted from 0"
        )
    return int(when)


def _is_sorted(times: TimeColumn) -> bool:
    return bool((times.times[1:] >= times.times[:-1]).all())
