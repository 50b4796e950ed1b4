"""A table of numbers in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lstmcore.display import displayed
from lstmcore.series.frames import LIBRARIES, make_frame
from lstmcore.series.row_index import RowIndex, whole_numbers
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

    def to_frame(self, library: str = "pandas") -> Any:
        """Return the table as a data frame, with its times.

        Args:
          library: "pandas", "polars" or "pyarrow".

        Returns:
          A data frame of that library, with NaN where values are missing. The times, or else the
          labels, are the index in pandas and the first column elsewhere. Times in a zone keep it;
          others are those of the clock.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: an unknown library, or a column with the name of the times.

        Examples:
          >>> from lstmcore import series
          >>> frame = series.read_dataset("sunspots").to_frame()
          >>> frame.tail(2)["sunspots"].to_dict()
          {2007: 7.5, 2008: 2.9}
        """
        if library not in LIBRARIES:
            raise ValueError(f"library must be 'pandas', 'polars' or 'pyarrow', got {library!r}")
        columns = dict(zip(self.columns, self.values.T, strict=True))
        index = RowIndex.of_table(self, library)
        if index.times is None and index.index is None and not isinstance(self.labels, range):
            if self.label_name in columns:
                raise ValueError(
                    f"the labels of the rows need a column {self.label_name!r}, but another one "
                    "is called so as well: use library='pandas', where they are the index"
                )
            labels = list(self.labels) if self.times is None else whole_numbers(self.moments())
            return make_frame({self.label_name: labels, **columns}, library)
        if index.times is None and index.index is None:
            return make_frame(columns, library)
        return index.frame(columns, np.arange(len(self.values)), library)

    def moments(self) -> np.ndarray:
        """Return the time of each row; only of a table that has times.

        Returns:
          datetime64[us] or float64 [rows], as in `times`.
        """
        assert self.times is not None
        rows = len(self.values)
        if self.has_own_rows():
            return self.times.times[:rows]
        return self.times.calendar.times(np.arange(rows))

    def has_own_rows(self) -> bool:
        """Return whether the rows are those of `times`, without any that `regular` has inserted."""
        assert self.times is not None
        rows, labels = len(self.values), self.times.labels
        is_within = 0 < rows <= len(labels)
        return is_within and str(self.labels[rows - 1]) == str(labels[rows - 1])

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
