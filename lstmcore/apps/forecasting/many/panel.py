"""Several series as an argument: their tables, and what does not change within them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from lstmcore.apps.forecasting.settings import check_names
from lstmcore.formatting import few, listed, shorten
from lstmcore.series.arguments import as_table
from lstmcore.series.filling import check_cells
from lstmcore.series.frames import narwhals, read_frame
from lstmcore.series.tables.many import SERIES, SeveralTables, as_many, columns_of_ids
from lstmcore.series.tables.panel import are_equal, is_static, whole_ids


class Panel(NamedTuple):
    """Several series.

    Attributes:
      tables: {name of a series: its table}, without the columns below.
      static: {name of a series: {column: value}}, what does not change within a series: numbers or
        texts.
      id: the columns whose values name a series.
    """

    tables: dict[str, Any]
    static: dict[str, dict[str, Any]]
    id: tuple[str, ...] = (SERIES,)

    @classmethod
    def of(
        cls,
        series: Any,
        id: str | Sequence[str] | None = None,
        static: Any = None,
        kept: Sequence[str] = (),
    ) -> Panel:
        """Take several series apart.

        Args:
          series: {name: table}; the result of `series.read_many`, with its static columns; a list
            of tables or an array [N, T, F], whose series are called 0, 1, ...; or a long table (a
            data frame or a dict of columns) with `id`.
          id: names of the columns of a long table that name the series of a row.
          static: of a long table, the names of columns that do not change within a series; None
            finds them. Otherwise {name of a series: {column: value}}, or None.
          kept: columns that are not static, even if they do not change, such as targets.

        Raises:
          ValueError: no series, names that are missing or given twice, or a static column that
            changes within a series.
          TypeError: something else than series.

        Examples:
          >>> days = {"shop": ["a", "b", "a", "b"], "region": ["n", "s", "n", "s"]}
          >>> found = Panel.of(days | {"sales": [1, 2, 3, 4]}, id="shop")
          >>> found.tables["b"]["sales"].tolist(), found.static["b"]
          ([2, 4], {'region': 's'})
        """
        if isinstance(series, SeveralTables) and id is None:
            own = series.static if static is None else static
            return cls.of(series.tables, None, own)._replace(id=series.id)
        is_by_name = id is None and isinstance(series, Mapping)
        tables = dict(series) if is_by_name else as_many(series, id, "series")
        if not tables:
            raise TypeError(
                "series must be {name: table}, a list of tables [rows, F], an array [N, T, F], or "
                "a long data frame together with id='NAME' of the column that names the series, "
                f"got {_kind(series)}"
            )
        names = list(map(str, whole_ids(list(tables))))
        if len(set(names)) < len(names):
            raise ValueError("series holds two tables of the same name: rename one of them")
        tables = dict(zip(names, tables.values(), strict=True))
        if id is None:
            return cls(tables, _static_by_name(static, names))
        columns = column_names(series)
        keys = columns_of_ids(id, columns)
        tables, values = _without_static(tables, keys, static, kept)
        return cls(tables, values, keys)


def column_of_names(id: Sequence[str]) -> str:
    """Return the name of the column of results that names a series. id: as in `Panel`."""
    return id[0] if len(id) == 1 else SERIES


def column_names(series: Any) -> list[str]:
    """Return the names of all columns of a long table."""
    if isinstance(series, Mapping):
        return list(map(str, series))
    return list(narwhals().from_native(series, eager_only=True).columns)


@contextmanager
def named(series: str) -> Iterator[None]:
    """Put the name of a series before the message of a ValueError."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"series {shorten(series)!r}: {error}") from error


def why_unusable(
    table: Any,
    columns: Sequence[str],
    missing: str,
    *,
    rows: int | None = None,
    has_means: bool = False,
) -> str | None:
    """Return why the values of a series cannot be preprocessed; None if they can.

    Args:
      table: of the series, with times if it has some.
      columns: names.
      missing: as in `Preprocessing`.
      rows: how many are looked at, from the first; None takes all.
      has_means: whether means are known that missing values are filled with.

    Raises:
      ValueError: some values are missing, and "refuse" asks for an error.
    """
    gone = np.isnan(as_table(table, columns).astype(float)[:rows])
    unknown = [name for name, is_so in zip(columns, gone.all(axis=0), strict=True) if is_so]
    if unknown and not has_means:
        return f"{listed(unknown)} {'has' if len(unknown) == 1 else 'have'} no value"
    try:
        check_cells(table, missing, columns, rows)
    except ValueError as error:
        if missing == "refuse" and gone.any():
            raise
        return str(error)
    return None


def _kind(series: Any) -> str:
    if isinstance(series, Mapping):
        return "none"
    return type(series).__name__


def _static_by_name(static: Any, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return {name of a series: {column: value}}, of the same columns for each."""
    if static is None:
        return {name: {} for name in names}
    if not isinstance(static, Mapping) or not all(
        isinstance(one, Mapping) for one in static.values()
    ):
        raise TypeError(
            "static must be {name of a series: {column: value}} for tables by name, got "
            f"{type(static).__name__}"
        )
    given = {str(name): {str(k): v for k, v in one.items()} for name, one in static.items()}
    if missing := [name for name in names if name not in given]:
        raise ValueError(f"static holds nothing of the series {few(missing)}: add their values")
    columns = set(given[names[0]]) if names else set()
    for name in names:
        if set(given[name]) != columns:
            raise ValueError(
                f"static must hold the same columns for each series, but that of {shorten(name)!r} "
                f"has {few(sorted(given[name]))} and that of {shorten(names[0])!r} "
                f"{few(sorted(columns))}"
            )
    return {name: given[name] for name in names}


def _without_static(
    tables: dict[str, Any],
    id: Sequence[str],
    static: Sequence[str] | None,
    kept: Sequence[str],
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Return the tables of a long one without static columns, and the values of these."""
    cells = {name: _cells_of(table) for name, table in tables.items()}
    columns = list(next(iter(cells.values())))

    def joined(column: str) -> tuple[list, list[range]]:
        parts = [one[column] for one in cells.values()]
        ends = np.cumsum([len(part) for part in parts]).tolist()
        rows = [range(end - len(part), end) for part, end in zip(parts, ends, strict=True)]
        return [cell for part in parts for cell in part], rows

    if static is None:
        found = [
            name
            for name in columns
            if name not in kept and (is_static(*joined(name)) or _is_one_word(joined(name)[0]))
        ]
    else:
        found = list(check_names("static", static))
        for name in found:
            if name not in columns:
                raise ValueError(
                    f"static names {shorten(name)!r} but the columns of series are {few(columns)}"
                )
            _check_static(name, {series: one[name] for series, one in cells.items()})
    if len(found) == len(columns):
        raise ValueError(
            f"series has no column that changes within a series, besides {few([*id, *found])}: "
            "name the static ones by static=(...), and leave one to forecast"
        )
    return (
        {name: _without(table, found) for name, table in tables.items()},
        {name: {column: one[column][0] for column in found} for name, one in cells.items()},
    )


def _is_one_word(cells: Sequence) -> bool:
    """Return whether a column holds the same text in every row of every series."""
    return isinstance(cells[0], str) and all(cell == cells[0] for cell in cells)


def _check_static(name: str, cells: Mapping[str, list]) -> None:
    for series, own in cells.items():
        for cell in own:
            if not are_equal(cell, own[0]):
                raise ValueError(
                    f"static names {shorten(name)!r}, which changes within the series "
                    f"{shorten(series)!r}, from {shorten(own[0])} to {shorten(cell)}: leave it out "
                    "of static"
                )


def _cells_of(table: Any) -> dict[str, list]:
    """Return the cells of each column of a data frame, or a dict of columns, but its times."""
    if isinstance(table, Mapping):
        return {str(name): np.asarray(cells).tolist() for name, cells in table.items()}
    frame = read_frame("series", table)
    assert frame is not None  # `as_many` has checked it
    return {name: column.to_list() for name, column in frame.columns.items()}


def _without(table: Any, columns: Sequence[str]) -> Any:
    """Return a part of a long table without some columns.

    Row numbers of the long table are dropped: they say nothing about those of a series.
    """
    if isinstance(table, Mapping):
        return {str(name): cells for name, cells in table.items() if name not in columns}
    frame, nw = read_frame("series", table), narwhals()
    assert frame is not None
    part = nw.from_native(table, eager_only=True).drop(*columns)
    is_numbered = frame.index is not None and (frame.times is None or frame.times_in_column)
    return (nw.maybe_reset_index(part) if is_numbered else part).to_native()
