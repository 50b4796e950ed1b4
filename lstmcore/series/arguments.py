"""Tables as arguments: arrays, data frames and dicts of columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from lstmcore.formatting import count, few, shorten

LARGEST = 1e150  # can still be squared in float64


def as_numbers(name: str, value) -> np.ndarray:
    """Return any array of real numbers; masked values become NaN."""
    if isinstance(value, np.ma.MaskedArray) and value.dtype.kind in "iuf":
        return np.ma.filled(value.astype(float), np.nan)
    try:
        value = np.asarray(value)
    except ValueError as error:  # nested lists of unequal lengths
        raise ValueError(
            f"{name} must be an array of numbers, each row of it as long as the others"
        ) from error
    if value.dtype.kind not in "iuf":
        raise ValueError(f"{name} must hold real numbers, got {value.dtype}")
    return value


def as_table(table, columns: Sequence[str] | None = None, name: str = "table") -> np.ndarray:
    """Return a table as an array [rows, F], its columns in the order that is expected.

    A table with names of columns is matched by name, in whatever order its columns are. An array
    is taken as is.

    Args:
      table: numbers [rows] or [rows, F]: an array, a data frame (of pandas, polars or another
        library whose frames have `columns`), or a dict of columns.
      columns: F names in the order that is expected, or None if no names are known.
      name: name of the argument, for errors.

    Raises:
      ValueError: columns that do not hold real numbers, more than two axes, other names or another
        number of columns than expected.

    Examples:
      >>> as_table({"temp": [20, 21], "load": [5, 6]}, ("load", "temp")).tolist()
      [[5, 20], [6, 21]]
    """
    names = column_names(table)
    order = None if names is None or columns is None else _order(name, names, columns)
    values = as_numbers(name, table) if names is None else _columns(name, table, names)
    if values.ndim not in (1, 2):
        raise ValueError(f"{name} must be [rows] or [rows, features], got shape {values.shape}")
    values = values[:, None] if values.ndim == 1 else values
    if order is not None:
        return values[:, order]
    if columns is not None and values.shape[1] != len(columns):
        raise ValueError(
            f"{name} has {count(values.shape[1], 'column')} but columns names {len(columns)}: "
            f"{few(columns)}"
        )
    return values


def as_table_of_times(values, times: int) -> np.ndarray:
    """Return values as an array [rows, F] with one row for each time.

    Raises:
      ValueError: as `as_table`, or another number of rows.
    """
    values = as_table(values)
    if len(values) != times:
        raise ValueError(
            f"values has {count(len(values), 'row')} but there are {count(times, 'time')}"
        )
    return values


def as_row(row, columns: Sequence[str] | None) -> np.ndarray:
    """Return the numbers of one row, in the order of `columns`.

    Args:
      row: numbers [F]: an array, a dict, a named tuple, or a row of a data frame, whose index
        holds the names.
      columns: F names, or None if none are known.

    Raises:
      ValueError: as `as_table`.
    """
    names = _mapping_names(row) or getattr(row, "_fields", None)
    if names is None and not callable(index := getattr(row, "index", len)):
        names = _as_names(index)
    if names is None:
        return np.asarray(row)
    values = row.values() if isinstance(row, Mapping) else row
    numbers = as_numbers("row", list(values))
    return numbers if columns is None else numbers[_order("row", names, columns)]


def column_names(table) -> tuple[str, ...] | None:
    """Return the names of a table's columns; None if it has none, like an array.

    The numbers 0, 1, 2, ..., with which pandas labels unnamed columns, are not names.

    Raises:
      ValueError: a name that stands for several columns.
    """
    names = _mapping_names(table)
    if names is None and not isinstance(table, np.ndarray):
        for attribute in ("column_names", "columns"):  # of pyarrow; of the others
            found = getattr(table, attribute, None)
            if found is not None and not callable(found):
                names = _as_names(found)
                break
        else:
            name = getattr(table, "name", None)  # of a single column, such as a pandas Series
            names = (name,) if isinstance(name, str) and name and _is_single(table) else None
    if names is not None and len(set(names)) < len(names):
        twice = Counter(names).most_common(1)[0][0]
        raise ValueError(f"the table has more than one column {shorten(twice)!r}: rename them")
    return names


def check_column_names(names: Sequence[str], features: int, owner: str) -> None:
    """Raise ValueError unless there is one name for each column of `owner`."""
    if len(names) != features:
        raise ValueError(
            f"columns has {count(len(names), 'name')} but {owner} has {count(features, 'column')}"
        )


def check_size(table: np.ndarray) -> None:
    """Raise ValueError if a number of [rows, F] is infinite or too large to scale; NaN is not."""
    bad = np.abs(table) >= LARGEST
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"table holds {table[row, column]:g} in row {row}, column {column} (counted from 0): "
            f"infinite, or too large to scale, beyond {LARGEST:g}; replace or remove it first"
        )


def check_lags(lags, name: str = "lags") -> tuple[int, ...]:
    """Return lags as a tuple of whole numbers of at least 1; it may be empty."""
    is_tuple = isinstance(lags, tuple)
    if not is_tuple or not all(type(lag) is int or isinstance(lag, np.integer) for lag in lags):
        raise TypeError(
            f"{name} must be a tuple of whole numbers, such as (1,) or (12, 1): {lags!r}"
        )
    if any(lag < 1 for lag in lags):
        raise ValueError(f"{name} must be at least 1, got {lags!r}")
    return tuple(map(int, lags))


def _is_single(table) -> bool:
    return len(getattr(table, "shape", ())) == 1


def _mapping_names(table) -> tuple[str, ...] | None:
    return tuple(map(str, table)) if isinstance(table, Mapping) else None


def _as_names(labels) -> tuple[str, ...] | None:
    labels = list(labels)
    return None if labels == list(range(len(labels))) else tuple(map(str, labels))


def _columns(name: str, table, names: tuple[str, ...]) -> np.ndarray:
    """Return the columns of a data frame, a series or a dict, as [rows, F] or [rows]."""
    if not isinstance(table, Mapping):
        whole = np.asarray(table)  # at once, where all columns are of one kind
        if whole.dtype.kind in "iuf":
            return whole
    parts = [_numbers(name, label, column) for label, column in _each(table, names)]
    lengths = {len(part) for part in parts}
    if len(lengths) > 1:
        raise ValueError(f"{name} has columns of unequal lengths: {sorted(lengths)[:2]}")
    return np.column_stack(parts) if parts else np.zeros((0, 0))


def _each(table, names: tuple[str, ...]):
    """Return (name, column) for each column."""
    if isinstance(table, Mapping):
        return zip(names, table.values(), strict=True)
    if _is_single(table):
        return [(names[0], table)]
    if hasattr(table, "iloc"):
        return ((label, table.iloc[:, place]) for place, label in enumerate(names))
    return ((label, table[label]) for label in names)


def _numbers(name: str, label: str, column) -> np.ndarray:
    """Return one column as numbers; what a data frame marks as missing is NaN."""
    kind = getattr(getattr(column, "dtype", None), "kind", None)
    if kind is not None and kind in "iuf" and hasattr(column, "to_numpy"):
        # Nullable integers of pandas have a mark of their own for a missing value.
        values = column.to_numpy(dtype=float, na_value=np.nan)
    else:
        values = np.asarray(column)
    if values.dtype.kind not in "iuf":
        kind = getattr(column, "dtype", values.dtype)
        raise ValueError(
            f"{name} must hold real numbers, but its column {shorten(label)!r} is of type "
            f"{shorten(kind)}: convert it, or leave it out"
        )
    if values.ndim != 1:
        raise ValueError(
            f"{name} must hold one number in each cell, but its column {shorten(label)!r} has "
            f"shape {values.shape}"
        )
    return values


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
