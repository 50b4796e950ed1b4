"""From a CSV file to a table at regular steps, and what the user should know about it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lstmcore import series, table
from lstmcore.series import Prepared, Times
from lstmcore.table import Table


def read(
    source: Path,
    columns: Sequence[str],
    time: str | None,
    leave_out: Sequence[str] = (),
    *,
    missing: bool = True,
) -> tuple[Table, Times | None]:
    """The table with a row for each step, and its times if it has some.

    Args:
      source: the CSV file.
      columns: names of those to read; none for all numeric ones but `leave_out`.
      time: name of the column of times, or None.
      missing: whether values, and rows in time, may be missing.

    Raises:
      ValueError, OSError: as `table.read_csv` and `table.regular`.
    """
    data = table.read_csv(source, list(columns) or None, missing=missing, time=time)
    if not columns and set(leave_out) & set(data.columns):
        kept = [place for place, name in enumerate(data.columns) if name not in leave_out]
        if not kept:
            raise ValueError(f"{source} has no numeric column besides {', '.join(leave_out)}")
        names = tuple(data.columns[place] for place in kept)
        data = data._replace(columns=names, values=data.values[:, kept])
    whole, times = table.regular(data)
    if times and times.gaps and not missing:
        raise ValueError(
            f"{source} leaves out {times.gaps:,} rows in time, of which there should be one every "
            f"{times.interval}: add them, or have them filled with --missing forward"
        )
    return whole, times


def notes(data: Table, times: Times | None, prepared: Prepared) -> list[str]:
    """What was found in a table, and what was done about it, in sentences."""
    rows = f"{len(data.values):,} rows of {', '.join(data.columns)}"
    regular = times is not None and not times.interval.replace(".", "").isdigit()
    said = [f"{rows}, one every {times.interval}" if times and regular else rows]
    if times and times.gaps:
        said.append(f"{times.gaps:,} rows were left out in time and are missing values")
    holes = series.missing(data.values, data.columns)
    if holes.counts.any():
        ways = {"forward": "the last known value", "mean": "the mean of the training part"}
        way = ways[prepared.preparation.missing]
        said += [f"{line}; filled with {way}" for line in str(holes).splitlines()]
    if lags := prepared.preparation.difference:
        said.append(f"differences of {' and then '.join(map(str, lags))} rows are taken")
    constant = [name for name, is_so in zip(data.columns, prepared.constant, strict=True) if is_so]
    if constant:
        after = " once differences are taken" if lags else ""
        said.append(
            f"{', '.join(constant)} never changes in the training part{after}: there is nothing "
            "to learn from it"
        )
    return said


def stationary(data: Table, prepared: Prepared, rows: int) -> list[str]:
    """The verdict of tests of stationarity on the training part as the model sees it.

    None where statsmodels is missing, which makes them.
    """
    try:
        tests = series.stationarity(prepared.apply(data.values[:rows]))
    except ImportError:
        return []
    tests = tests if isinstance(tests[0], tuple) else (tests,)
    pairs = zip(data.columns, tests, strict=True)
    return [f"{name} as the model sees it: {test}" for name, test in pairs]


def numbers(value) -> str:
    """A number as in the tables of a report."""
    return "" if value is None or not np.isfinite(value) else f"{value:.4g}"
