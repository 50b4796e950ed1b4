"""The static columns of many series: those that do not change within a series."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstmcore.series.tables import panel
from lstmcore.series.tables.columns import examine
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.parsed import ParsedSheet
from lstmcore.series.tables.reading import places_of
from lstmcore.series.tables.selection import Field, values_of
from lstmcore.series.tables.sheet import Sheet


class AskedStatic(NamedTuple):
    """The static columns that are asked for. names: None for all that there are."""

    names: Sequence[str] | None
    optional: tuple[str, ...]

    @property
    def finds_all(self) -> bool:
        """Return whether all columns that do not change are static."""
        return self.names is None and not self.optional

    @property
    def all(self) -> tuple[str, ...]:
        """Return all names."""
        return (*(self.names or ()), *self.optional)

    def of(self, sheet: Sheet) -> list[str]:
        """Return the names that are asked for of a file."""
        return [*(self.names or ()), *(name for name in self.optional if name in sheet.names)]


def static_columns(
    parsed: ParsedSheet,
    rows: Mapping[str, np.ndarray],
    static: AskedStatic,
    keys: Sequence[int],
    options: ReadOptions,
    *,
    alone: bool = False,
) -> dict[str, list]:
    """Return {name: cells} of the static columns: those that are asked for, or that are found.

    alone: whether the rows are of one series, so that its columns cannot differ from others.

    Raises:
      ValueError: one that is asked for changes within a series.
    """
    sheet, groups = parsed.sheet, [places.tolist() for places in rows.values()]
    read = {field.place: parsed.values[:, number] for number, field in enumerate(parsed.fields)}

    def cells_at(place: int) -> list:
        """Return the cells of a column as numbers, if it holds no words, else as texts."""
        if place in read:
            return read[place].tolist()
        column = sheet.columns[place]
        content = examine(column, options.na)
        if content.word is not None:
            return texts_at(parsed, place)
        field = Field(column.name, place, content)
        return values_of(sheet, [field], options)[parsed.rows, 0].tolist()

    if not static.finds_all:
        found = {
            sheet.names[place]: cells_at(place) for place, _ in places_of(sheet, static.of(sheet))
        }
        for name, cells in found.items():
            if not panel.is_constant(cells, groups):
                raise ValueError(
                    f"{sheet.path}: column {name!r} changes within a series, so it is not static"
                )
        return found
    if parsed.asked:
        return {}
    found = {}
    for place, column in enumerate(sheet.columns):
        if place in parsed.places or place in keys or not (place in read or column.parts):
            continue
        is_static = panel.is_constant if alone else panel.is_static
        if is_static(cells := cells_at(place), groups):
            found[column.name] = cells
    return found


def constant_columns(
    parsed: ParsedSheet, static: AskedStatic, options: ReadOptions
) -> dict[str, Any]:
    """Return {column: value} of columns that do not change in a file: those asked for, or all.

    Raises:
      ValueError: one that is asked for changes.
    """
    rows = {"": np.arange(len(parsed.rows))}
    found = static_columns(parsed, rows, static, (), options, alone=True)
    return {column: cells[0] for column, cells in found.items()}


def tells_files_apart(
    column: str, constant: Mapping[str, Mapping[str, Any]], parts: Mapping[str, ParsedSheet]
) -> bool:
    """Return whether a column does not change in any file, but differs between some of them."""
    if not all(column in one for one in constant.values()):
        return False
    cells = [one[column] for one in constant.values()]
    is_long = any(len(parsed.rows) > 1 for parsed in parts.values())
    return is_long and not all(panel.are_equal(cell, cells[0]) for cell in cells)


def texts_at(parsed: ParsedSheet, place: int) -> list[str]:
    """Return the cells of a column, in the rows that are read."""
    texts = list(parsed.sheet.columns[place].texts())
    return [texts[row].strip() for row in parsed.rows.tolist()]
