"""Columns of labels in a table of measurements, which are not trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lstmcore.cli import reading
from lstmcore.formatting import count, few
from lstmcore.series import ReadOptions, Table
from lstmcore.series.tables.selection import columns_of_labels


def without_labels(
    source: Path, data: Table, wanted: Sequence[str]
) -> tuple[Table, dict[str, np.ndarray], list[str]]:
    """Return the table without the columns that look like labels, unless they are in `wanted`.

    Returns:
      (table, {name: bool [rows], marked rows} of columns that look like labels, sentences for the
      user)

    Raises:
      ValueError: nothing else is left.
    """
    places = columns_of_labels(data)
    found = {data.columns[place]: labelled(data.values[:, place]) for place in places}
    if not found:
        return data, {}, []
    names = few(list(found))
    looks, verb, them = (
        ("looks like a column of labels", "is", "it")
        if len(found) == 1
        else ("look like columns of labels", "are", "them")
    )
    if wanted:
        message = f"{names} {looks}, and {verb} trained on because --columns names {them}"
        return data, found, [message]
    rest = [place for place in range(len(data.columns)) if place not in places]
    if not rest:
        raise ValueError(
            f"{source} has nothing to train on: {names} {looks}; --columns reads {them} "
            "nevertheless"
        )
    message = f"{names} {looks} and {verb} left out; --columns reads {them}, --labels compares"
    return data.select(rest), found, [message]


def labelled(values: np.ndarray) -> np.ndarray:
    """Return bool [rows]: which values of a column of labels are neither 0 nor missing."""
    return np.nan_to_num(values) != 0


def trained_on_labelled(
    marks: Mapping[str, np.ndarray], train: Path | None, options: ReadOptions, rows: int
) -> list[str]:
    """Return sentences on labelled rows that are trained on, and so taken to be normal.

    Args:
      marks: {name: bool [rows]} of the columns of labels in the table that is scored.
      train: the table that is trained on; None if it is the first rows of the one that is scored.
      options: how to read it.
      rows: number of rows that are trained on.
    """
    notes = []
    for name, marked in marks.items():
        if train is None:
            trained_on = marked[:rows]
        else:
            try:
                table, _ = reading.read(train, [name], options.of_another_table())
                trained_on = labelled(table.values[:, 0])
            except ValueError:  # it has no such column; the table itself can be read
                continue
        number = int(trained_on.sum())
        notes += on_labelled(name, number, rows)
    return notes


def on_labelled(name: str, number: int, rows: int) -> list[str]:
    """Return a sentence on rows that column `name` marks, of those trained on, if there are any."""
    if not number:
        return []
    return [
        f"{number:,} of the {count(rows, 'row')} trained on {'is' if number == 1 else 'are'} "
        f"marked in {few([name])}: the model takes them to be normal, and they raise the "
        "threshold; --train names a table without any"
    ]
