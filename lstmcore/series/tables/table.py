"""A table of numbers in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.display import displayed
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.times.timeline import Times, insert_gaps


@displayed
class Table(NamedTuple):
    """Numbers in the order of time.

    Attributes:
      columns: names, F of them.
      values: float64 [rows, F], all finite, or NaN if missing values were allowed.
      labels: name of each row, such as its date.
      label_name: name of the labels.
      times: the times of the rows, if the labels are times at regular steps; else None.
      notes: sentences on how a file was read: what was understood, left out and guessed.
      options: how to read the file again; its `time` is the column of times that was found.
    """

    columns: tuple[str, ...]
    values: np.ndarray
    labels: Sequence
    label_name: str = "row of the table"
    times: Times | None = None
    notes: tuple[str, ...] = ()
    options: ReadOptions = ReadOptions()

    def select(self, places: Sequence[int]) -> Table:
        """Return the table with the columns at these places, in this order."""
        columns = tuple(self.columns[place] for place in places)
        return self._replace(columns=columns, values=self.values[:, places])

    def first(self, rows: int) -> Table:
        """Return the table with its first rows alone."""
        return self._replace(values=self.values[:rows], labels=self.labels[:rows])


def regular(table: Table) -> Table:
    """Return the table with equal steps, by a row of NaN for each row that is left out.

    Raises:
      IrregularTimesError: more rows are missing than there are.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import series
      >>> times = series.check_times(["2001", "2002", "2004"])
      >>> table = series.Table(("x",), np.array([[1.0], [2.0], [4.0]]), times.labels, times=times)
      >>> series.regular(table).values[:, 0].tolist()
      [1.0, 2.0, nan, 4.0]
    """
    if table.times is None or not table.times.gaps:
        return table
    values, labels = insert_gaps(table.values, table.times)
    return table._replace(values=values, labels=labels)
