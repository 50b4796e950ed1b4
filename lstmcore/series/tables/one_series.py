"""Choose the rows of one series of a file that may hold several."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore.formatting import count, did_you_mean, few
from lstmcore.series.tables import panel
from lstmcore.series.tables.numbers import is_number
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.parsed import ParsedSheet
from lstmcore.series.tables.sheet import Column, Sheet


def rows_of_one_series(
    parsed: ParsedSheet, options: ReadOptions
) -> tuple[np.ndarray, tuple[str, ...]] | None:
    """Return the rows of the requested series, and the columns that tell series apart.

    None if there is only one series. Rows are positions in the values.

    Raises:
      ValueError: several series, none of which was requested, or one that does not exist.
    """
    sheet, fields, values, places, rows, times, asked = parsed
    moments = None if times is None else times.times
    is_sorted = moments is None or bool((moments[1:] > moments[:-1]).all())
    candidates: dict[str, np.ndarray] = {}
    read = {field.place: values[:, place] for place, field in enumerate(fields)}
    for place, column in enumerate(sheet.columns):
        is_guess = not panel.is_key_name(column.name)
        if place in places or (is_sorted and is_guess):
            continue
        cells = _cells_of_key(column, read.get(place), rows)
        is_dropped = is_guess and options.consecutive and options.series is None
        if cells is None or (is_dropped and _are_numbers(cells)):
            continue  # numbers may count within the same time, such as the terms of a year
        candidates[column.name] = cells
    keys = panel.find_keys(moments, candidates) or _shared_key(
        sheet, candidates, options.series, asked
    )
    if not keys:
        return None
    return _rows_of_series(sheet, [candidates[key] for key in keys], keys, options.series), keys


def _cells_of_key(
    column: Column, numbers: np.ndarray | None, rows: np.ndarray
) -> np.ndarray | None:
    """Return the cells of a column that may tell series apart: texts, or whole numbers."""
    if column.parts:
        return np.array(list(column.texts()))[rows]
    if numbers is None or not np.isfinite(numbers).all() or (numbers != np.trunc(numbers)).any():
        return None
    return numbers.astype(np.int64)


def _are_numbers(cells: np.ndarray) -> bool:
    """Return whether all cells of a column that may tell series apart are numbers."""
    return cells.dtype.kind == "i" or all(map(is_number, np.unique(cells).tolist()))


def _shared_key(
    sheet: Sheet, candidates: dict[str, np.ndarray], series: str | None, asked: Sequence[str]
) -> tuple[str, ...]:
    """Return the column that tells series apart by its name; () if no series is requested.

    Raises:
      ValueError: a series is requested, but no column may tell series apart.
    """
    sharing = panel.shared_keys(candidates)
    if series is None:
        if names := [name for name in sharing if name not in asked]:
            sheet.notes.append(
                f"{few(names)} may tell series apart, but all rows are read as one series: "
                f"--series NAME reads those of one value, such as {sharing[names[0]]}"
            )
        return ()
    if not sharing:
        raise ValueError(f"{sheet.path} holds a single series: leave out --series")
    fitting = [name for name in sharing if series in map(str, candidates[name])]
    return tuple(fitting or sharing)[:1]


def _rows_of_series(
    sheet: Sheet, cells: Sequence[np.ndarray], keys: Sequence[str], series: str | None
) -> np.ndarray:
    """Return the positions of the rows of a series; raise if it is not one of those in the file."""
    names = panel.keys_of([column.tolist() for column in cells])
    known = list(dict.fromkeys(names))
    found = f"{len(known):,} series, told apart by {' and '.join(key[:40] for key in keys)}"
    if series is None:
        is_guess = all(map(_are_numbers, cells)) and not any(map(panel.is_key_name, keys))
        other = (
            "if it is one series, --consecutive takes all rows"
            if is_guess
            else f"lstmcore forecast --id {','.join(keys)[:80]} forecasts all of them, and "
            "lstmcore anomalies --id searches them"
        )
        raise panel.SeveralSeriesError(
            f"{sheet.path} holds {found} ({few(known)}): --series NAME reads one of them, --series "
            f"list names all; {other}",
            known,
        )
    chosen = np.flatnonzero(np.array(names) == series)
    if not len(chosen):
        raise panel.SeveralSeriesError(
            f"{sheet.path} has no series {series[:60]!r}{did_you_mean(series, known)}: it holds "
            f"{found} ({few(known)})",
            known,
        )
    sheet.notes.append(f"series {series[:60]} of {found}: {count(len(chosen), 'row')}")
    return chosen
