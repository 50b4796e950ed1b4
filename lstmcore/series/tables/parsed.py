"""The rows of a file, once its columns are numbers and times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.series.tables.selection import Field
from lstmcore.series.tables.sheet import Sheet
from lstmcore.series.times.column import TimeColumn


class ParsedSheet(NamedTuple):
    """All rows of a file, of one series or of several, before their order is looked at.

    Attributes:
      sheet: the file; its notes grow while tables are made of it.
      fields: columns that are read, F of them.
      values: float64 [rows, F].
      places: positions of the columns of times in the file.
      rows: int [rows], the row of the file that each of these is.
      times: of these rows; None if the file has none.
      asked: names of columns that the caller named.
    """

    sheet: Sheet
    fields: list[Field]
    values: np.ndarray
    places: Sequence[int]
    rows: np.ndarray
    times: TimeColumn | None
    asked: list[str]

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns that are read."""
        return tuple(field.name for field in self.fields)

    def take(self, chosen: np.ndarray) -> ParsedSheet:
        """Return some rows, by position, without those at the ends that hold no value."""
        known = np.flatnonzero(~np.isnan(self.values[chosen]).all(axis=1))
        chosen = chosen[known[0] : known[-1] + 1] if len(known) else chosen
        times = None if self.times is None else self.times.take(chosen)
        return self._replace(values=self.values[chosen], rows=self.rows[chosen], times=times)
