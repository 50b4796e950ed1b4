"""Names of rows, such as places: texts in little memory until they are read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from operator import eq
from typing import Self, overload

import numpy as np

ROWS_AT_ONCE = 4_096  # whose texts are made together while iterating


def as_text(cell: str | bytes | float) -> str:
    """Return a cell as text; bytes are UTF-8."""
    return cell.decode() if isinstance(cell, bytes) else str(cell)


class LazyTexts(Sequence[str]):
    """A sequence of texts that are made when they are read.

    An index, a slice (again such a sequence), iteration and comparison work as with a list.
    """

    @abstractmethod
    def take(self, rows: slice | np.ndarray) -> Self:
        """Return the sequence of these rows, given as a slice or by their positions."""

    @abstractmethod
    def texts(self) -> list[str]:
        """Return all texts."""

    @overload
    def __getitem__(self, rows: int) -> str: ...
    @overload
    def __getitem__(self, rows: slice | np.ndarray) -> Self: ...
    def __getitem__(self, rows):
        if isinstance(rows, slice | np.ndarray):
            return self.take(rows)
        return self.take(np.array([rows])).texts()[0]

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield from self.take(slice(start, start + ROWS_AT_ONCE)).texts()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(eq, self, map(str, other)))

    __hash__ = None  # type: ignore[assignment]


class RowNames(LazyTexts):
    """Texts in a NumPy array.

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

    def take(self, rows: slice | np.ndarray) -> RowNames:
        return RowNames(self.cells[rows])

    def texts(self) -> list[str]:
        return list(map(as_text, self.cells.tolist()))
