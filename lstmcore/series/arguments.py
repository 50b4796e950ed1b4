"""Tables as arguments: arrays, data frames and dicts of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from lstmcore.formatting import count, few, shorten
from lstmcore.series.arrays import as_numbers, as_rows, is_table
from lstmcore.series.frames import numbers_of, read_frame


def as_table(table, columns: Sequence[str] | None = None, name: str = "table") -> np.ndarray:
    """Return a table as an array [rows, F], its columns in the order that is expected.

    A table with names of columns is matched by name, in whatever order its columns are. An array
    is taken as is. The column of times of a data frame is none of the F; see `row_index`.

    Args:
      table: numbers [rows] or [rows, F]: an array, a data frame or a series (of pandas, polars or
        another library that narwhals knows), a `series.Table`, or a dict of columns.
      columns: F names in the order that is expected, or None if no names are known.
      name: name of the argument, for errors.

    Raises:
      ValueError: columns that do not hold real numbers, more than two axes, other names or another
        number of columns than expected.
      TypeError: what cannot be read as a table.

    Examples:
      >>> as_table({"temp": [20, 21], "load": [5, 6]}, ("load", "temp")).tolist()
      [[5.0, 20.0], [6.0, 21.0]]
    """
    names = column_names(table, name)
    order = None if names is None or columns is None else _order(name, names, columns)
    values = _values(name, table)
    if order is not None:
        return values[:, order]
    if columns is not None and values.shape[1] != len(columns):
        raise ValueError(
            f"{name} has {count(values.shape[1], 'column')} but columns names {len(columns)}: "
            f"{few(columns)}"
        )
    return values


def as_row(row, columns: Sequence[str] | None) -> np.ndarray:
    """Return the numbers of one row, in the order of `columns`.

    Args:
      row: numbers [F]: an array, a dict, a named tuple, or a row of a data frame of pandas, whose
        index holds the names.
      columns: F names, or None if none are known.

    Raises:
      ValueError: as `as_table`.
    """
    names = tuple(map(str, row)) if isinstance(row, Mapping) else getattr(row, "_fields", None)
    if names is None and not callable(index := getattr(row, "index", len)):
        labels = list(index)
        names = None if labels == list(range(len(labels))) else tuple(map(str, labels))
    if names is None:
        return np.asarray(row)
    values = row.values() if isinstance(row, Mapping) else row
    numbers = as_numbers("row", list(values))
    return numbers if columns is None else numbers[_order("row", names, columns)]


def column_names(table, name: str = "the table") -> tuple[str, ...] | None:
    """Return the names of a table's columns; None if it has none, like an array.

    The numbers 0, 1, 2, ..., with which pandas labels unnamed columns, are not names, and neither
    is the column of times one of these columns.

    Raises:
      ValueError: a name that stands for several columns.
    """
    if isinstance(table, Mapping):
        return tuple(map(str, table))
    if is_table(table):
        return table.columns
    frame = read_frame(name, table)
    return None if frame is None or not frame.is_named else tuple(frame.columns)


def check_column_names(names: Sequence[str], features: int, owner: str) -> None:
    """Raise ValueError unless there is one name for each column of `owner`."""
    if len(names) != features:
        raise ValueError(
            f"columns has {count(len(names), 'name')} but {owner} has {count(features, 'column')}"
        )


def _values(name: str, table) -> np.ndarray:
    """Return the values of a table in its own order, [rows, F]."""
    if isinstance(table, Mapping):
        columns = [_column(name, str(label), values) for label, values in table.items()]
    elif is_table(table):
        return as_rows(name, table.values)
    elif (frame := read_frame(name, table)) is not None:
        columns = [numbers_of(name, label, column) for label, column in frame.columns.items()]
    else:
        return as_rows(name, table)
    lengths = {len(column) for column in columns}
    if len(lengths) > 1:
        raise ValueError(f"{name} has columns of unequal lengths: {sorted(lengths)[:2]}")
    return np.column_stack(columns) if columns else np.zeros((0, 0))


def _column(name: str, label: str, values) -> np.ndarray:
    """Return one column of a dict as float64 [rows]."""
    frame = read_frame(name, values)
    if frame is not None:  # a series
        return numbers_of(name, label, next(iter(frame.columns.values())))
    try:
        numbers = as_numbers(name, values)
    except ValueError as error:
        kind = np.asarray(values).dtype if np.ndim(values) == 1 else "lists"
        raise ValueError(
            f"{name} must hold real numbers, but its column {shorten(label)!r} is of type "
            f"{shorten(kind)}: convert it, or leave it out"
        ) from error
    if numbers.ndim != 1:
        raise ValueError(
            f"{name} must hold one number in each cell, but its column {shorten(label)!r} has "
            f"shape {numbers.shape}"
        )
    return numbers.astype(float)


def _order(name: str, names: Sequence[str], columns: Sequence[str]) -> list[int]:
    """Return the position of each expected column in a table with these names."""
    place = {label: number for number, label in enumerate(names)}
    missing = [label for label in columns if label not in place]
    extra = sorted(set(names) - set(columns))
    if missing or extra:
        problems = [f"lacks {few(missing)}"] if missing else []
        problems += [f"also has {few(extra)}"] if extra else []
        raise ValueError(
            f"{name} must have the columns {few(columns)}, but it "
            f"{' and '.join(problems)}: select these columns, or rename them"
        )
    return [place[label] for label in columns]
