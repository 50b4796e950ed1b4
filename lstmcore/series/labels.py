"""Names of rows, such as places: texts that take little memory until they are looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

__all__ = ["RowNames"]


class RowNames(Sequence[str]):
    """A sequence of texts over a NumPy array, equal to a list of the same.

    Examples:
      >>> names = RowNames(["north", "south"])
      >>> names[1], list(names[:1]), len(names), names == ["north", "south"]
      ('south', ['north'], 2, True)
    """

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = np.array(texts, dtype=np.dtypes.StringDType())

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice | np.ndarray) -> RowNames: ...
    def __getitem__(self, place):
        chosen = self._texts[place]
        return chosen if isinstance(chosen, str) else RowNames(chosen)

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts.tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._texts.tolist() == list(other)

    __hash__ = None  # type: ignore[assignment]
