"""The `repr` of values with named fields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, NamedTuple

import numpy as np

from lstmcore.display.arrays import array_text, is_array
from lstmcore.formatting import excerpt

WIDTH = 100  # characters of a line; what is longer takes one line for each field
MOST_ITEMS = 6  # of a list, tuple or dict
LONGEST = 100  # characters of any other value
LONGEST_FLOAT = 8  # of a number that is shown as it is, not rounded to six digits


def fields_text(value: Any) -> str:
    """Return a value with its fields, arrays by dtype, shape and range.

    A field that has its default, such as None, is left out.

    Examples:
      >>> from lstmcore.types import DenseParams, LSTMState
      >>> fields_text(DenseParams(np.ones((2, 3)), np.zeros(3)))
      'DenseParams(kernel=float64[2, 3] all 1, bias=float64[3] all 0)'
      >>> print(fields_text(LSTMState(*np.arange(120.0).reshape(2, 4, 3, 5)))) # of a scan
      LSTMState(h=float64[4, 3, 5] 0 to 59, c=float64[4, 3, 5] 60 to 119)
    """
    try:
        return _layout(_node(value, of_fields=True), indent=0)
    except RecursionError:  # a list that holds itself; a `repr` must not fail
        return f"<{type(value).__name__}>"


def given_fields(value: Any) -> str:
    """Return a dataclass with the fields that differ from their defaults, as Python would make it.

    Examples:
      >>> import lstmcore as lc
      >>> given_fields(lc.Autoencoder(features=2, units=(128, 64), steps=4))
      'Autoencoder(features=2, units=(128, 64), steps=4)'
    """
    given = []
    for field in fields(value):
        here = getattr(value, field.name)
        if field.repr and (field.default is MISSING or here != field.default):
            given.append(f"{field.name}={here!r}")
    return f"{type(value).__name__}({', '.join(given)})"


def named_fields(value: Any) -> dict[str, Any] | None:
    """Return the fields of a NamedTuple or dataclass by name; None for any other value.

    A field that has its default is left out.
    """
    defaults: dict[str, Any]
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        defaults, given = getattr(value, "_field_defaults", {}), value._asdict()
    elif is_dataclass(value) and not isinstance(value, type):
        defaults = {field.name: field.default for field in fields(value)}
        given = {field.name: getattr(value, field.name) for field in fields(value) if field.repr}
    else:
        return None
    # By identity: two arrays are not simply equal or not.
    return {k: field for k, field in given.items() if field is not defaults.get(k, MISSING)}


def leaf_text(value: Any) -> str:
    """Return one value on one line: an array by its range, a function by its name."""
    if is_array(value) and not isinstance(value, np.generic):
        return array_text(value)
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, type | Callable) and hasattr(value, "__qualname__"):
        return value.__qualname__.removeprefix("<locals>.")
    if isinstance(value, float) and len(repr(value)) > LONGEST_FLOAT:
        return f"{value:.6g}"
    try:
        return excerpt(repr(value), LONGEST)
    except Exception:  # such as a number of thousands of digits; a `repr` must not fail
        return f"<{type(value).__name__}>"


class _Node(NamedTuple):
    """A value with parts, to be laid out on one line or several."""

    opening: str
    parts: list[tuple[str, _Node | str]]
    closing: str


def _node(value: Any, of_fields: bool = False) -> _Node | str:
    """Return the layout of a value; `of_fields` if its own `repr` is what is being made."""
    kind = type(value)
    if of_fields or (isinstance(value, tuple) and kind.__repr__ is fields_text):
        named = named_fields(value) or {}
        parts = [(f"{name}=", _node(field)) for name, field in named.items()]
        return _Node(f"{kind.__name__}(", parts, ")")
    if isinstance(value, Mapping):
        return _Node("{", _some(((f"{leaf_text(k)}: ", v) for k, v in value.items()), value), "}")
    if kind is list:
        return _Node("[", _some((("", item) for item in value), value), "]")
    if kind is tuple:
        closing = ",)" if len(value) == 1 else ")"
        return _Node("(", _some((("", item) for item in value), value), closing)
    return leaf_text(value)


def _some(items: Iterable[tuple[str, Any]], whole: Any) -> list[tuple[str, _Node | str]]:
    """Return the first of some items, and how many more there are."""
    parts = [
        (prefix, _node(item)) for (prefix, item), _ in zip(items, range(MOST_ITEMS), strict=False)
    ]
    more = len(whole) - len(parts)
    return [*parts, ("", f"... {more:,} more")] if more else parts


def _layout(node: _Node | str, indent: int, before: int = 0) -> str:
    """Return a node on one line if it fits behind `before` characters, else on several."""
    line = _one_line(node)
    if isinstance(node, str) or indent + before + len(line) <= WIDTH:
        return line
    deeper = indent + 4
    lines = [
        f"{' ' * deeper}{prefix}{_layout(part, deeper, len(prefix))},\n"
        for prefix, part in node.parts
    ]
    return f"{node.opening}\n{''.join(lines)}{' ' * indent}{node.closing.lstrip(',')}"


def _one_line(node: _Node | str) -> str:
    if isinstance(node, str):
        return node
    parts = ", ".join(prefix + _one_line(part) for prefix, part in node.parts)
    return f"{node.opening}{parts}{node.closing}"
