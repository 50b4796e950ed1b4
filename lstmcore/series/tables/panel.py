"""Several series in one table, such as places, products or shares, distinguished by a column."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from lstmcore.formatting import shorten
from lstmcore.series.tables.numbers import is_number

# Columns of these names tell series apart even where no time occurs twice.
NAMES_OF_SERIES = frozenset(
    ["unique_id", "series_id", "series", "item_id", "ticker", "symbol", "ts_id"]
)
NAMES_OF_THINGS = frozenset(
    ["id", "item", "store", "store_id", "shop", "sensor", "sensor_id", "station", "station_id",
     "entity", "group", "key", "country", "region", "city", "name", "product", "sku", "meter",
     "meter_id", "device", "device_id", "asset", "location", "site", "code", "asset_id"]
)  # fmt: skip
WHOLE = re.compile(r"-?(0|[1-9][0-9]*)(\.0)?")
MOST_KEYS = 8  # columns that may tell series apart, of which pairs are tried


class SeveralSeriesError(ValueError):
    """A file with several series, none of which was asked for.

    Attributes:
      names: of all of them, in the order of the file.
    """

    def __init__(self, message: str, names: Sequence[str]) -> None:
        super().__init__(message)
        self.names = list(names)


def is_key_name(name: str) -> bool:
    """Return whether a column of this name tells series apart, if any does."""
    return name.strip().lower() in NAMES_OF_SERIES | NAMES_OF_THINGS


def find_keys(times: np.ndarray | None, columns: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the columns, one or two, that tell several series apart; () if there is one series.

    Args:
      times: of the rows, of any sortable type; None if the table has none.
      columns: cells, by name, of the columns that may tell series apart.

    Examples:
      >>> days = np.array([1, 2, 1, 2])
      >>> find_keys(days, {"note": ["", "x", "", ""], "shop": ["a", "a", "b", "b"]})
      ('shop',)
      >>> find_keys(np.arange(4), {"weather": ["dry", "wet", "dry", "dry"]})
      ()
    """
    codes = {name: np.unique(texts, return_inverse=True)[1] for name, texts in columns.items()}
    named = sorted(codes, key=lambda name: not is_key_name(name))
    for name in named:
        if name.strip().lower() in NAMES_OF_SERIES and codes[name].any():
            return (name,)
    if times is None or (times[1:] > times[:-1]).all():
        return ()
    pairs = combinations([name for name in codes if name in named[:MOST_KEYS]], 2)
    measured = {name for name in codes if np.asarray(columns[name]).dtype.kind in "iuf"}
    for keys in [*((name,) for name in named), *pairs]:
        code = codes[keys[0]]
        for name in keys[1:]:
            code = code * (codes[name].max() + 1) + codes[name]
        is_measured = any(name in measured and not is_key_name(name) for name in keys)
        if _tells_apart(times, code, is_measured, named=all(map(is_key_name, keys))):
            return keys
    return ()


def shared_keys(columns: Mapping[str, Any]) -> dict[str, str]:
    """Return the columns named like keys whose values recur, with the first value of each.

    They may tell apart series that follow one another, or that have no times.

    Examples:
      >>> shared_keys({"store": ["A", "A", "B", "B"], "id": [1, 2, 3, 4], "weather": ["dry"] * 4})
      {'store': 'A'}
    """
    found = {}
    for name, cells in columns.items():
        if not is_key_name(name):
            continue
        values = [value for value in dict.fromkeys(map(str, cells)) if value]
        is_measured = any("." in value and is_number(value) for value in values)
        if not is_measured and 1 < len(values) <= len(cells) // 2:
            found[name] = values[0]
    return found


def keys_of(columns: Sequence[Sequence]) -> list[str]:
    """Return the name of the series that each row belongs to.

    Raises:
      ValueError: different ids would be joined to the same name.

    Examples:
      >>> keys_of([["a", "b"], ["1", "1"]])
      ['a/1', 'b/1']
    """
    names, first = [], dict[str, tuple]()
    for cells in zip(*columns, strict=True):
        texts = tuple(map(str, cells))
        name = "/".join(texts)
        if first.setdefault(name, texts) != texts:
            one, other = (" and ".join(map(shorten, each)) for each in (first[name], texts))
            raise ValueError(
                f"two series would be called {shorten(name)!r}: that of {one}, and that of "
                f"{other}: write these ids without a slash"
            )
        names.append(name)
    return names


def whole_ids(ids: Sequence) -> list:
    """Return ids with whole numbers as integers: a column of integers with gaps is one of floats.

    Examples:
      >>> whole_ids([1.0, 2.5, "x", "1.0"])
      [1, 2.5, 'x', '1.0']
    """
    return [int(id) if isinstance(id, float) and id.is_integer() else id for id in ids]


def whole_texts(cells: Sequence[str]) -> list[str]:
    """Return the ids of a file, without ".0" if all are whole numbers: others may be codes.

    Examples:
      >>> whole_texts(["1.0", "2"]), whole_texts(["1.0", "1.10"])
      (['1', '2'], ['1.0', '1.10'])
    """
    is_whole = all(map(WHOLE.fullmatch, cells))
    return [cell.removesuffix(".0") for cell in cells] if is_whole else list(cells)


def is_missing(cell: Any) -> bool:
    """Return whether a cell is None, NaN, or the NA or NaT of pandas."""
    try:
        return cell is None or bool(cell != cell)
    except TypeError:  # NA, of which pandas does not say whether it equals anything
        return True


def is_static(cells: Sequence, rows: Sequence[Sequence[int]]) -> bool:
    """Return whether a column differs between series, but does not change within any.

    Args:
      cells: of the column.
      rows: of each series.

    Examples:
      >>> rows = [[0, 2], [1, 3]]
      >>> is_static(["n", "s", "n", "s"], rows), is_static([1, 2, 3, 4], rows)
      (True, False)
    """
    if len(rows) < 2 or all(len(places) < 2 for places in rows):
        return False
    firsts = [cells[places[0]] for places in rows]
    return is_constant(cells, rows) and not all(are_equal(one, firsts[0]) for one in firsts)


def is_constant(cells: Sequence, rows: Sequence[Sequence[int]]) -> bool:
    """Return whether a column does not change within any series."""
    return all(are_equal(cells[place], cells[places[0]]) for places in rows for place in places)


def are_equal(one: Any, other: Any) -> bool:
    """Return whether two cells are equal; missing ones are."""
    if is_missing(one) or is_missing(other):
        return is_missing(one) and is_missing(other)
    return bool(one == other)


def _tells_apart(times: np.ndarray, code: np.ndarray, is_measured: bool, *, named: bool) -> bool:
    """Return whether each series is sorted, and not by chance alone.

    Whole numbers in a column without the name of a key may be measurements: they tell series apart
    only if these follow one another, or if nearly every series has a row at nearly every time.
    """
    number = len(np.unique(code))
    if number < 2 or (number if named else 2 * number - 1) >= len(code):
        return False
    order = np.argsort(code, kind="stable")
    same = code[order][1:] == code[order][:-1]
    forward = times[order][1:] > times[order][:-1]
    if not forward[same].all():
        return False
    if named:
        return True
    changes = np.count_nonzero(code[1:] != code[:-1])
    one_after_another = changes == number - 1
    moments = len(np.unique(times))
    rows_to_be = 0.9 * number * moments if is_measured else 1.5 * moments
    return bool(one_after_another or len(times) >= rows_to_be)
