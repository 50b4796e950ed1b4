"""Select the columns of a file that are values; those left out are noted."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.formatting import count, few, listed
from lstmcore.series.tables.columns import (
    Content,
    categories,
    category_values,
    examine,
    is_truth,
    numbers,
    settled_mark,
)
from lstmcore.series.tables.numbers import advice
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.panel import is_key_name
from lstmcore.series.tables.sheet import Column, EmptyTableError, Sheet, column_error
from lstmcore.series.tables.table import Table

ROW_NUMBERS = frozenset(["no", "no.", "nr", "nr.", "#", "index", "row", "id", "number", "record"])

# Names in published data sets, without "is", separators and plural.
LABEL_NAMES = frozenset({
    "anomaly", "anomalous", "attack", "changepoint", "failure", "fault", "faulty", "groundtruth",
    "label", "outlier",
})  # fmt: skip
MOST_CLASSES = 20  # different values of a column of labels


LEFT_OUT = "without numbers left out"


class Field(NamedTuple):
    """A column of the table to read.

    Attributes:
      name: its name in the table.
      place: position of the column in the file.
      content: kinds of cells in that column.
      category: the word that is read as 1, or None if the column holds numbers.
      is_beside: whether it is read besides the values, such as labels.
    """

    name: str
    place: int
    content: Content
    category: str | None = None
    is_beside: bool = False


def select(
    sheet: Sheet,
    chosen: Sequence[tuple[int, str | None]],
    beside: Sequence[tuple[int, str | None]],
    times: Sequence[int],
    options: ReadOptions,
) -> list[Field]:
    """Return the columns to read: the chosen ones, or all of numbers; and those beside them.

    Args:
      sheet: the file; receives a note on what is left out.
      chosen: positions of columns, each with a word or None; empty for all columns of numbers.
      beside: likewise, for columns that are not values.
      times: positions of the columns of times.
      options: how to read the file.

    Raises:
      EmptyTableError: no column of numbers, but some are empty.
      ValueError: no column of numbers, two of one name, or too many words to tell apart.
    """
    others = [place for place, _ in beside]
    fields: list[Field] = []
    for place, category in chosen:
        fields += _chosen(sheet, place, category, options)
    if not chosen:
        fields = _all_numbers(sheet, [*times, *others], options)
    if not fields:
        raise _no_numbers(sheet, [*times, *others], options)
    for place, category in beside:
        fields += [f._replace(is_beside=True) for f in _chosen(sheet, place, category, options)]
    return fields


def _chosen(sheet: Sheet, place: int, category: str | None, options: ReadOptions) -> list[Field]:
    """Return a requested column as a field; a column of words as one of 0 and 1 for each word."""
    column = sheet.columns[place]
    content = examine(column, options.na)
    if category is not None:
        return [Field(f"{column.name}={category}", place, content, category)]
    if content.kind != "text":
        return [Field(column.name, place, content)]
    words = categories(sheet, column, content, options.na)
    if is_truth(words):
        return [Field(column.name, place, content, words[0])]
    return [Field(f"{column.name}={word}", place, content, word) for word in words]


def _all_numbers(sheet: Sheet, others: Sequence[int], options: ReadOptions) -> list[Field]:
    fields, left_out, to_do = [], [], ""
    names = Counter(sheet.names)
    for place, column in enumerate(sheet.columns):
        if place in others:
            continue
        content = examine(column, options.na)
        is_key = content.kind == "mixed" and is_key_name(column.name)
        if content.word is not None and (content.kind == "text" or is_key):
            left_out.append(f"{column.name[:32]} ({content.word.text[:20]!r})")
            to_do = to_do or advice(content.word.text)
        elif content.kind == "empty":
            left_out += [] if column.is_unnamed else [f"{column.name[:32]} (empty)"]
        elif names[column.name] > 1:
            raise column_error(sheet, column.name)
        else:
            fields.append(Field(column.name, place, content))
    if left_out and fields:
        sheet.notes.append(
            f"{count(len(left_out), 'column')} {LEFT_OUT}: "
            f"{few(left_out, longest=60)}; {to_do or '--columns reads words as categories'}"
        )
    return fields


def _no_numbers(sheet: Sheet, others: Sequence[int], options: ReadOptions) -> ValueError:
    """Return the error that no column holds numbers. others: columns that are not values."""
    besides = listed([sheet.names[place][:40] for place in others[:6]])
    rest = [column for place, column in enumerate(sheet.columns) if place not in others]
    empty = [column for column in rest if examine(column, options.na).kind == "empty"]
    message = f"{sheet.path} has no numeric column{' besides ' * bool(others)}{besides}: "
    if empty and len(empty) == len(rest):
        verb = "has" if len(empty) == 1 else "have"
        return EmptyTableError(f"{message}{few([c.name for c in empty])} {verb} no value")
    first = [next(column.texts(), "")[:30] for column in sheet.columns[:6]]
    to_do = next(filter(None, map(advice, first)), "--columns reads words as categories")
    kind = EmptyTableError if empty else ValueError
    return kind(
        f"{message}its columns are {few(sheet.names)}, and the first row holds "
        f"{few([repr(cell) for cell in first])}; {to_do}"
    )


def values_of(sheet: Sheet, fields: Sequence[Field], options: ReadOptions) -> np.ndarray:
    """Return the values of columns, float64 [rows, F], NaN where missing.

    Raises:
      ValueError: a cell that is not a number, or is ambiguous; see `columns.numbers`.
    """
    settled = settled_mark([field.content for field in fields], options)
    values = np.empty((len(fields), sheet.rows)).T  # each column in one piece
    for place, field in enumerate(fields):
        column = sheet.columns[field.place]
        if field.category is not None:
            values[:, place] = category_values(column, field.category, options.na)
        else:
            numbers(sheet, column, field.content, options, settled, out=values[:, place])
            if column.numeric:
                column.parts = []  # else the cells of a large file are in memory twice
    sheet.decimal = settled or "."
    return values


def leave_out_counts(
    sheet: Sheet, fields: list[Field], values: np.ndarray, *, asked: bool
) -> tuple[list[Field], np.ndarray]:
    """Leave out columns that only count the rows, unless they are asked for or alone."""
    main = [place for place, field in enumerate(fields) if not field.is_beside]
    counts = [place for place in main if _counts_rows(sheet, fields[place], values[:, place])]
    if asked or not counts or len(sheet.columns) == 1:
        return fields, values
    if len(counts) == len(main):
        # Columns that are read as numbers or times hold no cells any more.
        rest = [column for column in sheet.columns if column.parts]
        is_empty = any(examine(column).kind == "empty" for column in rest)
        raise (EmptyTableError if is_empty else ValueError)(
            f"{sheet.path} has no numeric column besides {few([fields[p].name for p in counts])}, "
            f"which counts the rows: its columns are {few(sheet.names)}; --columns reads words as "
            "categories"
        )
    names = few([repr(fields[place].name) for place in counts])
    sheet.notes.append(
        f"column {names} left out: it only counts the rows"
        if len(counts) == 1
        else f"columns {names} left out: they only count the rows"
    )
    return leave_out(fields, values, [fields[place].name for place in counts])


def leave_out(
    fields: list[Field], values: np.ndarray, names: Collection[str]
) -> tuple[list[Field], np.ndarray]:
    """Return the fields and values without those of these names."""
    kept = [place for place, field in enumerate(fields) if field.name not in names]
    if len(kept) == len(fields):
        return fields, values
    return [fields[place] for place in kept], values[:, kept]


def may_number_rows(column: Column) -> bool:
    """Return whether a column has no name, or one that the numbers of rows have."""
    return _is_index(column) or column.name.strip().lower() in ROW_NUMBERS


def _is_index(column: Column) -> bool:
    """Return whether a column stands where pandas writes its index: it has no name of its own."""
    return column.is_unnamed or column.name.lower() == "unnamed: 0"


def _counts_rows(sheet: Sheet, field: Field, values: np.ndarray) -> bool:
    column = sheet.columns[field.place]
    if not may_number_rows(column):
        return False
    values = values[~np.isnan(values)]
    is_index = _is_index(column)
    if len(values) < (2 if is_index else 3) or (np.diff(values) != 1).any():
        return False
    return is_index or values[0] in (0, 1)


def columns_of_labels(table: Table) -> list[int]:
    """Return the places of the columns of a table that look like labels."""
    columns = zip(table.columns, table.values.T, strict=True)
    return [place for place, column in enumerate(columns) if looks_like_labels(*column)]


def looks_like_labels(name: str, values: np.ndarray) -> bool:
    """Return whether a column is named like labels, and holds few different whole numbers.

    Examples:
      >>> looks_like_labels("Is_Anomaly", np.array([0.0, 1.0, np.nan]))
      True
      >>> looks_like_labels("pump", np.array([0, 1])), looks_like_labels("fault", np.array([0.25]))
      (False, False)
    """
    plain = re.sub(r"[\W_]", "", name.lower()).removeprefix("is")
    if not {plain, plain.removesuffix("s")} & LABEL_NAMES:
        return False
    known = np.unique(values[~np.isnan(values)])
    return len(known) <= MOST_CLASSES and bool((known == np.round(known)).all())
