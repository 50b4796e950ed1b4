"""Names of rows, such as places: text that is kept as bytes until it is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import overload

import numpy as np

__all__ = ["RowNames"]


class RowNames(Sequence[str]):
    """A sequence of texts over an array of bytes in UTF-8, or of NumPy's StringDType.

    Examples:
      >>> names = RowNames(np.array([b"north", b"south"]))
      >>> names[1], list(names[:1]), len(names)
      ('south', ['north'], 2)
    """

    def __init__(self, texts: np.ndarray) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice | np.ndarray) -> RowNames: ...
    def __getitem__(self, place):
        if isinstance(place, slice | np.ndarray):
            return RowNames(self._texts[place])
        text = self._texts[place]
        return text.decode() if isinstance(text, bytes) else str(text)

    def __iter__(self) -> Iterator[str]:
        for text in self._texts.tolist():
            yield text.decode() if isinstance(text, bytes) else text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
