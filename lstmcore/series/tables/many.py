"""Many series as {id: table}.

    split_frame(frame, "shop")     of a long data frame, or a dict of columns
    as_many(values)                and of arrays [N, T, F], lists and dicts of tables

The rows of a series need not be next to one another. Its ids are in the order of their first rows.
`reading_many` reads them from files.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lstmcore.formatting import count, few, shorten
from lstmcore.series.arrays import as_numbers
from lstmcore.series.frames import narwhals, read_frame
from lstmcore.series.tables import panel
from lstmcore.series.tables.table import Table

SERIES = "series"  # what a series is called where no column names it
Key = TypeVar("Key", bound=Hashable)


class SeveralTables(NamedTuple):
    """Several series, of one file or of several.

    Attributes:
      tables: {name of a series: Table}, in the order of the files.
      static: {name of a series: {column: text or number}}, of the columns that do not change within
        a series.
      notes: sentences on how the files were read.
      id: names of the columns that tell the series apart; (SERIES,) if each is a file.
    """

    tables: dict[str, Table]
    static: dict[str, dict[str, Any]]
    notes: tuple[str, ...]
    id: tuple[str, ...]


def split_frame(values: Any, id: str | Sequence[str], name: str = "values") -> dict[Hashable, Any]:
    """Split a long data frame, or a dict of columns, into one for each id, without its columns.

    Args:
      values: a data frame of any library, or a dict of columns [rows].
      id: column of ids, or several, as in `read_many`.
      name: of the argument, for errors.

    Returns:
      {id: data frame or dict}; an id is the value of the column or, of several columns, a text such
      as "store/item". A frame of pandas keeps the index of its rows.

    Raises:
      TypeError: neither a data frame nor a dict.
      ValueError: no such column, or a missing id in it.

    Examples:
      >>> parts = split_frame({"machine": ["a", "b", "a"], "load": [1.0, 5.0, 2.0]}, "machine")
      >>> {name: part["load"].tolist() for name, part in parts.items()}
      {'a': [1.0, 2.0], 'b': [5.0]}
    """
    if isinstance(values, Mapping):
        keys = _known_columns(name, id, list(values))
        columns = {label: np.asarray(column) for label, column in values.items()}
        ids = _known_ids(name, keys, [columns[key].tolist() for key in keys])
        for label, column in columns.items():
            if len(column) != len(ids):
                raise ValueError(
                    f"{name} has {count(len(ids), 'id')} in {keys[0]!r} but "
                    f"{count(len(column), 'value')} in {label!r}: give one for each row"
                )
        return {
            key: {label: column[rows] for label, column in columns.items() if label not in keys}
            for key, rows in rows_by_key(ids).items()
        }
    if read_frame(name, values) is None:
        raise TypeError(
            f"{name} must be a data frame or a dict of columns to have a column {id!r} of ids, got "
            f"{type(values).__name__}: an array [N, T, F] or a list of tables needs no id"
        )
    frame = narwhals().from_native(values, eager_only=True)
    keys = _known_columns(name, id, frame.columns)
    ids = _known_ids(name, keys, [frame.get_column(key).to_list() for key in keys])
    rest = frame.drop(*keys)
    return {key: rest[rows.tolist()].to_native() for key, rows in rows_by_key(ids).items()}


def as_many(
    values: Any, id: str | Sequence[str] | None = None, name: str = "values"
) -> dict | None:
    """Return separate tables as {id: table}; None if `values` is one table.

    Args:
      values: an array [N, T, F]; a list of tables [T_i, F], arrays or data frames; a dict of such
        tables; the result of `read_many`; or, with `id`, a long data frame or a dict of columns.
      id: column of ids, or several, as in `read_many`.
      name: of the argument, for errors.

    Returns:
      {id: table}; those of an array or a list are numbered from 0. None for an array [rows] or
      [rows, F], a data frame, or a dict of columns.

    Raises:
      ValueError, TypeError: as `split_frame`; an array of no windows, or of more axes.

    Examples:
      >>> list(as_many(np.zeros((2, 5, 1)))), as_many(np.zeros((5, 1)))
      ([0, 1], None)
      >>> {name: table.shape for name, table in as_many({"a": np.ones((4, 2))}).items()}
      {'a': (4, 2)}
    """
    if id is not None:
        return split_frame(values, id, name)
    if isinstance(values, SeveralTables):
        return dict(values.tables)
    if isinstance(values, Mapping):
        is_many = values and all(map(_is_table, values.values()))
        return (
            dict(zip(panel.whole_ids(list(values)), values.values(), strict=True))
            if is_many
            else None
        )
    if isinstance(values, list | tuple):
        return dict(enumerate(values)) if values and all(map(_is_table, values)) else None
    if getattr(values, "ndim", 0) < 3:
        return None
    array = as_numbers(name, values)
    if array.ndim > 3 or not len(array):
        raise ValueError(
            f"{name} must be [rows], [rows, F], or separate windows [N, T, F] with N of at least "
            f"1, got shape {array.shape}"
        )
    return dict(enumerate(array))


def columns_of_ids(id: str | Sequence[str], columns: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns of ids: one, or several with commas between them.

    Raises:
      ValueError: none is named, or one twice.

    Examples:
      >>> columns_of_ids("store, item", ["store", "item"]), columns_of_ids("a,b", ["a,b"])
      (('store', 'item'), ('a,b',))
    """
    if isinstance(id, str):
        names = [id] if id in columns else [part.strip() for part in id.split(",")]
    else:
        names = list(id)
    if not names:
        raise ValueError("id must name the column that tells series apart, or several, got none")
    if twice := [name for name in names if names.count(name) > 1]:
        raise ValueError(f"id names the column {shorten(twice[0])!r} twice: name it once (--id)")
    return tuple(names)


def _is_table(value: Any) -> bool:
    """Return whether a value is a table of its own, not a column or a row of one."""
    is_named = isinstance(value, Mapping) or hasattr(value, "columns")
    return is_named or np.ndim(value) == 2


def rows_by_key(keys: Sequence[Key]) -> dict[Key, np.ndarray]:
    """Return the positions of each key, the keys in the order of their first positions."""
    rows: dict[Key, list[int]] = {}
    for row, key in enumerate(keys):
        rows.setdefault(key, []).append(row)
    return {key: np.array(places) for key, places in rows.items()}


def _known_columns(name: str, id: str | Sequence[str], columns: Sequence) -> tuple[str, ...]:
    """Return the names of the columns of ids; raise if one is missing."""
    keys = columns_of_ids(id, columns)
    for key in keys:
        if key not in columns:
            raise ValueError(
                f"{name} has no column {shorten(key)!r} of ids: it has {few(list(columns))}"
            )
    if len(columns) <= len(keys):
        raise ValueError(f"{name} has no column besides the ids in {shorten(','.join(keys))!r}")
    return keys


def _known_ids(name: str, keys: Sequence[str], columns: Sequence[list]) -> list:
    """Return the id of each row; raise if one is missing."""
    for key, cells in zip(keys, columns, strict=True):
        for row, value in enumerate(cells):
            if panel.is_missing(value) or value == "":
                raise ValueError(
                    f"{name} has no id in column {shorten(key)!r} of row {row} (counted from 0): "
                    "give one, or leave out the row"
                )
    columns = [panel.whole_ids(cells) for cells in columns]
    return columns[0] if len(columns) == 1 else panel.keys_of(columns)
