"""Missing values: where they are, and what replaces them.

There is no interpolation: it computes a missing value from the values on both sides, but at the
time of a forecast later values are not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.display import displayed
from lstmcore.formatting import count
from lstmcore.series.arguments import as_table, check_column_names, column_names
from lstmcore.series.arrays import as_rows, check_size
from lstmcore.series.row_index import cell_of, label_of

FILLINGS = ("refuse", "forward", "mean")


class Missing(NamedTuple):
    """Missing values of a table; `str()` of it is a report.

    Attributes:
      rows: number of rows of the table.
      counts: int [F], missing values of each column.
      longest: int [F], rows of the longest segment without a value.
      first: int [F], the first row without a value, counted from 0; -1 if there is none.
      columns: F names.
      labels: F times or labels of these first rows; "" if there is none.
    """

    rows: int
    counts: np.ndarray
    longest: np.ndarray
    first: np.ndarray
    columns: tuple[str, ...]
    labels: tuple[str, ...] = ()

    def __str__(self) -> str:
        labels = self.labels or ("",) * len(self.columns)
        lines = [
            f"{name}: {count:,} of {self.rows:,} values missing ({count / self.rows:.1%}), the "
            f"first {f'at {label}' if label else f'in row {first} (counted from 0)'}, at most "
            f"{longest:,} consecutive"
            for name, count, longest, first, label in zip(
                self.columns, self.counts, self.longest, self.first, labels, strict=True
            )
            if count
        ]
        return "\n".join(lines) or f"no missing values in {count(self.rows, 'row')}"


def missing(table, columns: Sequence[str] | None = None) -> Missing:
    """Count the missing values, NaN, of each column.

    Args:
      table: numbers [rows] or [rows, F]; an array, a data frame, a `Table` or a dict of columns.
      columns: names for the report; None stands for those of the table, or column 0, column 1, ...

    Returns:
      Missing.

    Raises:
      ValueError: a table that is not numeric, or another number of names than columns.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import series
      >>> print(series.missing([[1.0, 5.0], [np.nan, 6.0], [np.nan, 7.0], [4.0, 8.0]], ["a", "b"]))
      a: 2 of 4 values missing (50.0%), the first in row 1 (counted from 0), at most 2 consecutive
    """
    own, source, table = column_names(table), table, as_table(table)
    rows, features = table.shape
    names = tuple(columns or own or (f"column {column}" for column in range(features)))
    check_column_names(names, features, "the table")
    gone = np.isnan(table)
    counts = gone.sum(axis=0)
    first = np.where(counts, gone.argmax(axis=0), -1) if rows else np.full(features, -1)
    labels = [label_of(source, row) if row >= 0 else None for row in first.tolist()]
    return Missing(
        rows,
        counts,
        (_since_last(gone) * gone).max(axis=0, initial=0),
        first,
        names,
        tuple(label or "" for label in labels),
    )


def check_cells(
    table, missing: str, columns: Sequence[str] | None = None, rows: int | None = None
) -> None:
    """Raise ValueError, by the names of a table, where a `Filling` would refuse its values.

    A model computes on arrays, which have no names; this is checked before.

    Args:
      table: as `as_table` takes it.
      missing: "refuse", "forward" or "mean".
      columns: F names; None takes those of the table.
      rows: how many rows are checked, from the first; None takes all.

    Raises:
      ValueError: infinite or huge values, missing ones that are refused, or that nothing precedes.
    """
    values = as_table(table, columns)[:rows]
    check_size(values, lambda row, column: cell_of(table, row, column, columns))
    gone = np.isnan(values)
    if not gone.any() or missing == "mean":
        return
    if missing == "refuse":
        row, column = map(int, np.argwhere(gone)[0])
        raise ValueError(
            f"table has {count(gone.sum(), 'missing value')}, the first in "
            f"{cell_of(table, row, column, columns)}: fill them with "
            "Preprocessing(missing='forward') or (missing='mean') of lstmcore.series, which "
            "settings take as preprocessing=, or remove them"
        )
    if gone[0].any():
        leading = np.where(gone.all(axis=0), len(values), gone.argmin(axis=0))
        column, names = int(leading.argmax()), column_names(table) if columns is None else columns
        name = f"{column} of the table (counted from 0)" if names is None else repr(names[column])
        known = None if leading[column] == len(values) else label_of(table, int(leading[column]))
        later = "that many rows later" if known is None else f"at {known}"
        raise ValueError(
            f"column {name} starts with {count(leading[column], 'missing value')}, with no value "
            f"before them: start {later}, fill with missing='mean', or leave the column out"
        )


@displayed
class Filling(NamedTuple):
    """Replacement of missing values.

    Attributes:
      how: "refuse", "forward" or "mean".
      means: [F] in units of the data, if `how` is "mean"; else None.
    """

    how: str
    means: np.ndarray | None

    def transform(self, table: np.ndarray) -> np.ndarray:
        """Fill the missing values of [rows, F], each row from itself and earlier rows alone.

        Raises:
          ValueError: a value is missing, with "refuse"; or there is none before it, with "forward".
        """
        gone = np.isnan(table)
        if not gone.any():
            return table
        if self.means is not None:
            return np.where(gone, self.means, table)
        check_cells(table, self.how)
        last_known = np.arange(len(table))[:, None] - _since_last(gone)
        return np.take_along_axis(table, last_known, axis=0)


def fit_filling(table, how: str) -> Filling:
    """Learn from a table what replaces missing values, NaN.

    Args:
      table: numbers [rows] or [rows, F]; fit it on the training part alone.
      how: "refuse" (missing values are an error), "forward" (the last known value of the column)
        or "mean" (the mean of the column in this table). None of them uses later rows.

    Returns:
      Filling.

    Raises:
      ValueError: an unknown `how`, a table that is not numeric or holds infinity, or a column
        without any value to take the mean of.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import series
      >>> table = np.array([[1.0], [np.nan], [4.0], [np.nan]])
      >>> series.fit_filling(table, "forward").transform(table)[:, 0].tolist()
      [1.0, 1.0, 4.0, 4.0]
      >>> series.fit_filling(table, "mean").transform(table)[:, 0].tolist()
      [1.0, 2.5, 4.0, 2.5]
    """
    table = as_rows("table", table).astype(float)
    if how not in FILLINGS:
        raise ValueError(f"missing {how!r} is not known: use 'refuse', 'forward' or 'mean'")
    check_size(table)
    if how != "mean":
        return Filling(how, None)
    if (unknown := np.isnan(table).all(axis=0)).any():
        raise ValueError(
            f"column {unknown.argmax()} of the table (counted from 0) has no value in {len(table)} "
            "rows to take the mean of: leave the column out, or use more data"
        )
    return Filling(how, np.nanmean(table, axis=0))


def _since_last(gone: np.ndarray) -> np.ndarray:
    """Count the rows since the last known value, bool [rows, F] -> int; 0 where it is known."""
    rows = np.arange(len(gone))[:, None]
    return rows - np.maximum.accumulate(np.where(gone, -1, rows), axis=0)
