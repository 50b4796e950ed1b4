"""Several series in one table, such as places, products or shares, distinguished by a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

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


def keys_of(columns: Sequence[Sequence[str]]) -> list[str]:
    """Return the name of the series that each row belongs to.

    Examples:
      >>> keys_of([["a", "b"], ["1", "1"]])
      ['a/1', 'b/1']
    """
    return ["/".join(map(str, cells)) for cells in zip(*columns, strict=True)]


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
