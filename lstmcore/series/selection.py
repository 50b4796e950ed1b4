"""Which columns of a file are values to learn from; others are left out, and named."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.series.columns import (
    Content,
    categories,
    category_values,
    examine,
    numbers,
    settled_mark,
)
from lstmcore.series.csv import Sheet
from lstmcore.series.panel import is_key_name
from lstmcore.series.read_options import ReadOptions
from lstmcore.series.time_column import TimeColumn
from lstmcore.series.time_role import time_parts
from lstmcore.text import count, few, listed

ROW_NUMBERS = frozenset(["no", "no.", "nr", "nr.", "#", "index", "row", "id", "n", "unnamed: 0"])
LABELS = frozenset(
    ["anomaly", "anomalies", "is_anomaly", "changepoint", "label", "labels", "outlier", "is_outlier",
     "attack", "fault", "class"]
)  # fmt: skip

__all__ = ["Field", "leave_out_counts", "point_out", "select", "values_of"]


class Field(NamedTuple):
    """A column of the table to be.

    Attributes:
      name: its name there.
      place: of the column in the file that it is read from.
      content: of that column.
      category: the word that it is 1 for, or None if it holds numbers.
    """

    name: str
    place: int
    content: Content
    category: str | None = None


def select(
    sheet: Sheet,
    chosen: Sequence[tuple[int, str | None]],
    times: Sequence[int],
    options: ReadOptions,
) -> list[Field]:
    """The columns to read: those that are chosen, or all of numbers.

    Args:
      sheet: the file; receives a note on what is left out.
      chosen: places of columns, with a word or None; none for all of numbers.
      times: places of the columns of times.
      options: how to read the file.

    Raises:
      ValueError: no column of numbers, two of one name, or too many words to tell apart.
    """
    fields: list[Field] = []
    if chosen:
        for place, category in chosen:
            column = sheet.columns[place]
            content = examine(column, options.na)
            if category is None and content.kind != "text":
                fields.append(Field(column.name, place, content))
                continue
            words = (
                categories(sheet, column, content, options.na) if category is None else [category]
            )
            is_truth = category is None and len(words) == 1
            fields += [
                Field(column.name if is_truth else f"{column.name}={word}", place, content, word)
                for word in words
            ]
        return fields
    left_out = []
    for place, column in enumerate(sheet.columns):
        if place in times:
            continue
        content = examine(column, options.na)
        if content.kind in ("text", "mixed") and (
            content.kind == "text" or is_key_name(column.name)
        ):
            left_out.append(f"{column.name[:32]} ({content.word.text[:20]!r})")  # type: ignore[union-attr]
        elif content.kind == "empty":
            left_out += [] if column.is_unnamed else [f"{column.name[:32]} (empty)"]
        else:
            if sheet.names.count(column.name) > 1:
                raise ValueError(
                    f"{sheet.path} has more than one column {column.name[:60]!r}: its columns are "
                    f"{few(sheet.names)}"
                )
            fields.append(Field(column.name, place, content))
    if not fields:
        besides = listed([sheet.names[place][:40] for place in times])
        first = [next(column.texts(), "") for column in sheet.columns[:6]]
        raise ValueError(
            f"{sheet.path} has no numeric column{f' besides that of times, {besides}' * bool(times)}"
            f": its columns are {few(sheet.names)}, and the first row holds "
            f"{few([repr(cell[:30]) for cell in first])}"
        )
    if left_out:
        sheet.notes.append(
            f"{count(len(left_out), 'column')} left out, without numbers: {few(left_out, longest=60)};"
            " --columns reads words as categories"
        )
    return fields


def values_of(sheet: Sheet, fields: Sequence[Field], options: ReadOptions) -> np.ndarray:
    """The values of columns, float64 [rows, F], NaN where missing.

    Raises:
      ValueError: a cell that is no number, or means one thing or another; see `columns.numbers`.
    """
    settled = settled_mark([field.content for field in fields], options)
    values = np.empty((sheet.rows, len(fields)))
    for place, field in enumerate(fields):
        column = sheet.columns[field.place]
        if field.category is not None:
            values[:, place] = category_values(column, field.category, options.na)
        else:
            values[:, place] = numbers(sheet, column, field.content, options, settled)
    sheet.decimal = settled or "."
    return values


def leave_out_counts(
    sheet: Sheet, fields: list[Field], values: np.ndarray, *, asked: bool
) -> tuple[list[Field], np.ndarray]:
    """Leave out columns that just count the rows, unless they were asked for or nothing else is there."""
    if asked or len(values) < 2:
        return fields, values
    counts = [
        place
        for place, field in enumerate(fields)
        if (sheet.columns[field.place].is_unnamed or field.name.lower() in ROW_NUMBERS)
        and (np.diff(values[:, place]) == 1).all()
    ]
    if not counts or len(counts) == len(fields):
        return fields, values
    sheet.notes.append(
        f"{listed([fields[place].name for place in counts[:6]])} left out: it counts the rows"
    )
    kept = [place for place in range(len(fields)) if place not in counts]
    return [fields[place] for place in kept], values[:, kept]


def point_out(
    sheet: Sheet, names: Sequence[str], values: np.ndarray, times: TimeColumn | None
) -> None:
    """Note columns that look like labels, or repeat what the times say."""
    labels = [
        name
        for place, name in enumerate(names)
        if name.strip().lower() in LABELS and set(np.unique(values[:2000, place])) <= {0.0, 1.0}
    ]
    if labels:
        sheet.notes.append(
            f"{few(labels)} looks like a label, not a measurement: it is read as a value unless "
            "--columns names the others, or --labels names it (lstmcore anomalies)"
        )
    if times is None or times.times.dtype.kind != "M":
        return
    parts = [names[place] for place in time_parts(names)] or [
        name for name in names if name.strip().lower() in ("hour", "day", "month", "weekday")
    ]
    if parts:
        sheet.notes.append(
            f"{few(parts)} may repeat what the times say: leave out with --columns what is not to "
            "be learnt from"
        )
