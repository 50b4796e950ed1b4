"""Static features: what does not change within a series, as numbers that a model reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lstmcore.formatting import few, shorten

MOST_LEVELS = 20  # of a column of texts that have a feature each, the most frequent


class Column(NamedTuple):
    """A static column as features.

    Attributes:
      name: of the column.
      levels: of a column of texts, those with a feature of 0 and 1 each; () of numbers.
      mean, scale: of a column of numbers, over the series.
    """

    name: str
    levels: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0


class StaticEncoder(NamedTuple):
    """Static columns as numbers, fitted to the series that are trained on.

    Numbers are standardised over the series; a missing one is the mean. A text is a feature of 0
    and 1 for each of the 20 most frequent ones; any other text, such as one that is new, is 0 in
    all of them.
    """

    columns: tuple[Column, ...] = ()

    @classmethod
    def fit(cls, static: Mapping[str, Mapping[str, Any]]) -> StaticEncoder:
        """Learn means and texts of {series: {column: value}}.

        Examples:
          >>> shops = {"a": {"size": 1.0, "region": "n"}, "b": {"size": 3.0, "region": "s"}}
          >>> encoder = StaticEncoder.fit(shops)
          >>> encoder.features, encoder.transform(shops["b"]).tolist()
          (3, [1.0, 0.0, 1.0])
        """
        names = next(iter(static.values()), {})
        return cls(tuple(_column(name, [one[name] for one in static.values()]) for name in names))

    @property
    def features(self) -> int:
        """Return the number of features."""
        return sum(max(1, len(column.levels)) for column in self.columns)

    def transform(self, values: Mapping[str, Any]) -> np.ndarray:
        """Return the features of one series, float32 [features].

        Raises:
          ValueError: a column is missing, or holds a text where there were numbers.
        """
        names = [column.name for column in self.columns]
        if missing := [name for name in names if name not in values]:
            raise ValueError(
                f"the static columns {few(missing)} are missing: the model was trained with "
                f"{few(names)}"
            )
        features: list[float] = []
        for column in self.columns:
            value = values[column.name]
            if column.levels:
                features += [float(_text(value) == level) for level in column.levels]
                continue
            number = _number(value)
            if number is None:
                raise ValueError(
                    f"the static column {shorten(column.name)!r} held numbers in training, but "
                    f"now {shorten(value)!r}"
                )
            features.append(0.0 if np.isnan(number) else (number - column.mean) / column.scale)
        return np.array(features, np.float32)

    def to_json(self) -> list:
        """Return plain lists, which `from_json` reads back."""
        return [[c.name, list(c.levels), c.mean, c.scale] for c in self.columns]

    @classmethod
    def from_json(cls, stored: Sequence) -> StaticEncoder:
        """Return the encoder that `to_json` wrote."""
        return cls(
            tuple(
                Column(str(name), tuple(map(str, levels)), float(mean), float(scale))
                for name, levels, mean, scale in stored
            )
        )


def _column(name: str, values: Sequence) -> Column:
    numbers = [_number(value) for value in values]
    known = np.array([n for n in numbers if n is not None and not np.isnan(n)], float)
    if None in numbers:
        frequent = Counter(map(_text, values)).most_common(MOST_LEVELS)
        return Column(name, tuple(level for level, _ in frequent))
    if not len(known) or not np.isfinite(known).all():
        raise ValueError(
            f"the static column {shorten(name)!r} holds no numbers that can be computed with: "
            "leave it out"
        )
    return Column(name, (), float(known.mean()), float(known.std()) or 1.0)


def _number(value: Any) -> float | None:
    """Return a value as a float, NaN if it is missing; None if it is a text."""
    if value is None:
        return float("nan")
    if isinstance(value, bool | np.bool_ | int | float | np.number):
        return float(value)
    return None


def _text(value: Any) -> str:
    """Return a value as a text; a whole number as it is written, also where it was read as 7.0."""
    if value is None or value != value:
        return ""
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)
