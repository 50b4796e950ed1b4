"""Names of rows, such as places: texts in little memory until they are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np

ROWS_AT_ONCE = 2**15  # decoded at the same time


def as_text(cell: str | bytes | float) -> str:
    """Return a cell as text; bytes are UTF-8."""
    return cell.decode() if isinstance(cell, bytes) else str(cell)


class RowNames(Sequence[str]):
    """A sequence of texts over a NumPy array, equal to a list of the same.

    Args:
      texts: texts, or bytes in UTF-8 [rows].

    Attributes:
      cells: bytes in UTF-8 or StringDType [rows].

    Examples:
      >>> names = RowNames(["north", "south"])
      >>> names[1], list(names[:1]), len(names), names == ["north", "south"]
      ('south', ['north'], 2, True)
    """

    def __init__(self, texts: Iterable[str] | np.ndarray) -> None:
        if not (isinstance(texts, np.ndarray) and texts.dtype.kind == "S"):
            texts = np.array(texts, dtype=np.dtypes.StringDType())
        self.cells: np.ndarray = texts

    def is_ascii(self, longest: int) -> bool:
        """Return whether the cells are bytes, all ASCII, and at most `longest` bytes long."""
        if self.cells.dtype.kind != "S" or self.cells.dtype.itemsize > longest:
            return False
        return bool((self.cells.view(np.uint8) < 128).all())

    def __len__(self) -> int:
        return len(self.cells)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice | np.ndarray) -> RowNames: ...
    def __getitem__(self, place):
        chosen = self.cells[place]
        if isinstance(chosen, np.ndarray):
            return RowNames(chosen)
        return as_text(chosen)

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield from map(as_text, self.cells[start : start + ROWS_AT_ONCE].tolist())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]
