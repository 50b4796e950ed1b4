"""Sort, merge and resample the rows of a table, as far as the options ask for it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore.formatting import count
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.times.column import TimeColumn
from lstmcore.series.times.resampling import AGGREGATES, merge_duplicates, resample, sort_rows


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
                f"--aggregate {part.strip()[:60]!r} is neither one of {', '.join(AGGREGATES)} nor "
                "such as NAME=sum with the name of a column that is read"
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
            notes.append(
                f"{count(doubled, 'row')} with the time of another row: {options.duplicates}"
            )
    if options.resample is None:
        return values, times, rows, notes
    hows = aggregates(options.aggregate, columns)
    try:
        resampled = resample(times, values, options.resample, hows)
    except ValueError as error:
        raise ValueError(str(error).replace("every=", "--resample ", 1)) from None
    notes.append(
        f"{count(len(values), 'row')} resampled to {len(resampled.values):,}, one every "
        f"{options.resample}, by {hows[0] if len(set(hows)) == 1 else options.aggregate}"
    )
    if resampled.left_out:
        notes.append(
            f"{count(resampled.left_out, 'row')} left out at the ends, where no interval of "
            f"{options.resample} is filled"
        )
    return resampled.values, resampled.column, None, notes


def _is_sorted(times: TimeColumn) -> bool:
    return bool((times.times[1:] >= times.times[:-1]).all())
