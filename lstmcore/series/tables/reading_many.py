"""Read many series: those of one file, which a column tells apart, or one from each of several.

read_many("shops.csv", "shop")            told apart by a column
read_many(["north.csv", "south.csv"])     each file is a series, named after it
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lstmcore.formatting import count, few, listed, shorten
from lstmcore.series.tables import panel
from lstmcore.series.tables.arranging import NoRowsError
from lstmcore.series.tables.columns import examine
from lstmcore.series.tables.many import SERIES, SeveralTables, columns_of_ids, rows_by_key
from lstmcore.series.tables.names_of_files import names_of_files
from lstmcore.series.tables.one_series import rows_of_one_series
from lstmcore.series.tables.options import ReadOptions
from lstmcore.series.tables.parsed import ParsedSheet
from lstmcore.series.tables.reading import limits_of, open_sheet, parse, table_of
from lstmcore.series.tables.row_notes import summed
from lstmcore.series.tables.selection import LEFT_OUT, leave_out
from lstmcore.series.tables.sheet import EmptyTableError, Sheet, column_error
from lstmcore.series.tables.static_columns import (
    AskedStatic,
    constant_columns,
    static_columns,
    tells_files_apart,
    texts_at,
)
from lstmcore.series.tables.table import Table

MOST_NOTES = 5  # on single files


class _WithoutValues(NamedTuple):
    """A file that holds no values. empty: its empty columns; None if it has no rows at all."""

    error: ValueError
    empty: set[str] | None


def read_many(
    path: str | os.PathLike | Sequence[str | os.PathLike],
    id: str | Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    *,
    static: Sequence[str] | None = None,
    optional_static: Sequence[str] = (),
    known: Iterable[Any] = (),
    missing: bool = False,
    options: ReadOptions | None = None,
    **given: Any,
) -> SeveralTables:
    """Read many series: from a CSV file whose rows a column tells apart, or from one file each.

    All tables have the same columns. In one file, columns of numbers, decimal marks and the format
    of times are found in all rows together; of several, each is understood by itself. Sorting,
    duplicate times, resampling and rows that are left out in time are those of each series.

    Args:
      path: as in `read_csv`; or several, each of which is a series. It is called like its file,
        without the ending, and with as many of its folders as it takes to tell it from the others.
      id: of one file, the column whose cells name the series of a row; or several, as names or as
        one text with commas between them. The names of a series are joined: "store/item".
      columns: as in `read_csv`.
      static: columns that do not change within a series, such as a region. None takes all of them
        but `columns`; with `columns`, none.
      optional_static: more of them, which a file may lack.
      known: names of series that a model was trained on. A file whose path ends with one is called
        so, however many of its folders that takes: x/north.csv is the "north" of a model.
      missing, options, **given: as in `read_csv`.

    Returns:
      SeveralTables, each as `read_csv` reads one; all have the same columns. Series without a value
      in the rows that are read are left out, and named in the notes.

    Raises:
      FileNotFoundError, IsADirectoryError, OSError, ValueError: as `read_csv`; or a row belongs to
        no series, a column is named twice, a static column changes within a series, a file has
        other columns than the rest, or a file may be several of the known series.

    Examples:
      >>> import pathlib, tempfile
      >>> from lstmcore import series
      >>> folder = pathlib.Path(tempfile.mkdtemp())
      >>> rows = ["year,shop,region,sales", "2023,a,n,5", "2023,b,s,7", "2024,a,n,6", "2024,b,s,8"]
      >>> _ = (folder / "shops.csv").write_text("\\n".join(rows))
      >>> found = series.read_many(folder / "shops.csv", "shop")
      >>> found.tables["b"].values.tolist(), found.static["b"]
      ([[7.0], [8.0]], {'region': 's'})
      >>> _ = (folder / "a.csv").write_text("year,sales\\n2023,5\\n2024,6\\n")
      >>> _ = (folder / "b.csv").write_text("year,sales\\n2024,8\\n2025,9\\n")
      >>> found = series.read_many([folder / "a.csv", folder / "b.csv"])
      >>> found.tables["b"].values.tolist()
      [[8.0], [9.0]]
    """
    options = replace(options or ReadOptions(), **given)
    paths = [path] if isinstance(path, str | os.PathLike) else list(path)
    if not paths:
        raise ValueError("path names no file: give one, or several")
    wanted = AskedStatic(static, tuple(optional_static))
    if id is None:
        files = names_of_files(paths, known)
        return _of_files(files, tuple(columns or ()), wanted, missing, options)
    if len(paths) > 1:
        raise ValueError(
            f"--id tells the series of one file apart, but there are {len(paths)} files, each of "
            "which is a series: leave out --id, or join the files into one"
        )
    return _of_column(paths[0], id, tuple(columns or ()), wanted, missing, options)


def _of_column(
    path: str | os.PathLike,
    id: str | Sequence[str],
    asked: tuple[str, ...],
    static: AskedStatic,
    missing: bool,
    options: ReadOptions,
) -> SeveralTables:
    """Return the series of a file that columns tell apart; arguments as in `read_many`."""
    if options.series is not None:
        raise ValueError(
            "--id reads all series of a file, --series one of them: give one of the two"
        )
    sheet = open_sheet(path, options, [id, *id.split(",")] if isinstance(id, str) else id)
    keys = _places(sheet, id)
    names = tuple(sheet.names[place] for place in keys)
    if both := {*names} & {*asked, *static.all, *(options.time or "").split(",")}:
        raise ValueError(
            f"{min(both)!r} tells series apart (--id), so it cannot be read as values, times or "
            "static features as well: leave it out there"
        )
    parsed = parse(sheet, asked, (), options, keys)
    rows = _rows_of_series(parsed, keys)
    found = static_columns(parsed, rows, static, keys, options)
    if not asked:
        parsed = _without(parsed, list(found))
    about = tuple(f"{name}: " for name in (*names, *found))
    notes = [f"{len(rows):,} series, told apart by {listed(names)}"]
    notes += [note for note in sheet.notes if not note.startswith(about) and LEFT_OUT not in note]
    notes += _notes(parsed, names, list(found), options)
    tables, said = _tables(
        {name: parsed.take(places) for name, places in rows.items()}, str(path), missing, options
    )
    return SeveralTables(
        {name: table._replace(notes=()) for name, table in tables.items()},
        {name: {c: v[rows[name][0]] for c, v in found.items()} for name in tables},
        (next(iter(tables.values())).notes[0], *notes, *said),
        names,
    )


def _of_files(
    files: Mapping[str, str | os.PathLike],
    asked: tuple[str, ...],
    static: AskedStatic,
    missing: bool,
    options: ReadOptions,
) -> SeveralTables:
    """Return the series that are a file each. files: {name: path}; the rest as in `read_many`."""
    if options.series is not None:
        raise ValueError(
            "--series reads one of several series in a file, but each of several files is one "
            "series: leave it out"
        )
    parts, empty, without = _parse_files(files, asked, options)
    constant = {n: constant_columns(parsed, static, options) for n, parsed in parts.items()}
    found = list(dict.fromkeys(column for own in constant.values() for column in own))
    if static.finds_all and not asked:
        found = [column for column in found if tells_files_apart(column, constant, parts)]
    if not asked:
        parts = _without_static(parts, found, empty, without)
    _check_without(without, parts, len(files))
    parts = _with_same_columns(parts, empty)
    about = tuple(f"{column}: " for column in found)
    of_files = {
        name: [
            note
            for note in parsed.sheet.notes
            if not note.startswith(about) and LEFT_OUT not in note
        ]
        for name, parsed in parts.items()
    }
    notes = _notes(next(iter(parts.values())), (), found, options)
    whole = f"{len(files):,} files" if len(files) > 1 else str(*files.values())
    tables, said = _tables(
        {name: parsed.take(np.arange(len(parsed.rows))) for name, parsed in parts.items()},
        whole,
        missing,
        options,
        list(without),
    )
    understood = dict.fromkeys(table.notes[0] for table in tables.values())
    return SeveralTables(
        {name: table._replace(notes=()) for name, table in tables.items()},
        {name: {c: constant[name][c] for c in found if c in constant[name]} for name in tables},
        (
            *list(understood)[:MOST_NOTES],
            f"{len(files):,} series, one from each file",
            *notes,
            *_of_single_files(of_files),
            *said,
        ),
        (SERIES,),
    )


def _parse_files(
    files: Mapping[str, str | os.PathLike], asked: tuple[str, ...], options: ReadOptions
) -> tuple[dict[str, ParsedSheet], dict[str, set[str]], dict[str, _WithoutValues]]:
    """Return the rows of the files with values, the empty columns of each, and the other files."""
    parts, empty = dict[str, ParsedSheet](), dict[str, set[str]]()
    without = dict[str, _WithoutValues]()
    for name, path in files.items():
        sheet = None
        try:
            sheet = open_sheet(path, options)
            parts[name] = parse(sheet, asked, (), options)
        except EmptyTableError as error:
            columns = None if sheet is None else _empty_columns(sheet, options)
            without[name] = _WithoutValues(error, columns)
            continue
        rows_of_one_series(parts[name], options)  # refuses a file of several
        empty[name] = _empty_columns(sheet, options)
    return parts, empty, without


def _without_static(
    parts: Mapping[str, ParsedSheet],
    names: Sequence[str],
    empty: Mapping[str, set[str]],
    without: dict[str, _WithoutValues],
) -> dict[str, ParsedSheet]:
    """Return the rows without static columns; a file of nothing else is added to `without`.

    Raises:
      ValueError: nothing else is in a file, and none of its columns is empty.
    """
    kept = {}
    for name, parsed in parts.items():
        try:
            kept[name] = _without(parsed, names)
        except ValueError as error:
            if not empty[name]:
                raise
            without[name] = _WithoutValues(error, empty[name])
    return kept


def _check_without(
    without: Mapping[str, _WithoutValues], parts: Mapping[str, ParsedSheet], files: int
) -> None:
    """Raise the error of a file without values unless others show that they are only missing.

    Raises:
      ValueError: no file has values, or one has no empty column in place of a column of the others.
    """
    if not without:
        return
    if not parts:
        error = next(iter(without.values())).error
        if files == 1:
            raise error
        raise ValueError(f"none of {files:,} files has values: {error}") from error
    expected = {name for parsed in parts.values() for name in parsed.names}
    for one in without.values():
        if one.empty is not None and not expected <= one.empty:
            raise one.error


def _without(parsed: ParsedSheet, names: Sequence[str]) -> ParsedSheet:
    """Return the rows without some columns.

    Raises:
      ValueError: nothing is left.
    """
    fields, values = leave_out(parsed.fields, parsed.values, names)
    if not fields:
        raise ValueError(
            f"{parsed.sheet.path}: {listed(names)} {'does' if len(names) == 1 else 'do'} not "
            "change within a series, and there is nothing else to read: name the columns to read "
            "with --columns"
        )
    return parsed._replace(fields=fields, values=values)


def _with_same_columns(
    parts: Mapping[str, ParsedSheet], empty: Mapping[str, set[str]]
) -> dict[str, ParsedSheet]:
    """Return the rows of all files with the same columns in the same order.

    empty: names of columns without a value, of each file; they are read as missing.

    Raises:
      ValueError: a file has other columns.
    """
    first = max(parts, key=lambda name: len(parts[name].fields))
    widest = parts[first]
    found = {}
    for name, parsed in parts.items():
        own = {column: place for place, column in enumerate(parsed.names)}
        for has, lacks, number in ((widest, parsed, name), (parsed, widest, first)):
            unknown = [c for c in has.names if c not in {*lacks.names, *empty[number]}]
            if unknown:
                raise ValueError(
                    f"{lacks.sheet.path} has no column {shorten(unknown[0])!r} of numbers, but "
                    f"{has.sheet.path} has: several files are series of the same columns; name "
                    "those to read with --columns"
                )
        values = np.full((len(parsed.rows), len(widest.fields)), np.nan)
        for place, column in enumerate(widest.names):
            if column in own:
                values[:, place] = parsed.values[:, own[column]]
        found[name] = parsed._replace(fields=widest.fields, values=values)
    return found


def _empty_columns(sheet: Sheet, options: ReadOptions) -> set[str]:
    """Return the names of the columns without a value, which are not read."""
    # Columns that are read as numbers or times hold no cells any more.
    columns = [column for column in sheet.columns if column.parts]
    return {column.name for column in columns if examine(column, options.na).kind == "empty"}


def _of_single_files(notes: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the sentences on files, with the names of those that not all files have."""
    files: dict[str, list[str]] = {}
    for name, own in notes.items():
        for note in dict.fromkeys(own):
            files.setdefault(note, []).append(name)
    shared = [note for note, names in files.items() if len(names) == len(notes)]
    single = [f"{few(names)}: {note}" for note, names in files.items() if note not in shared]
    if len(single) > MOST_NOTES:
        hidden = count(len(single) - MOST_NOTES, "more sentence")
        single = [*single[:MOST_NOTES], f"{hidden} on how single files were read"]
    return shared + single


def _places(sheet: Sheet, id: str | Sequence[str]) -> list[int]:
    """Return the positions of the columns of ids."""
    names = columns_of_ids(id, sheet.names)
    for name in names:
        if sheet.names.count(name) != 1:
            raise column_error(sheet, name)
    return [sheet.names.index(name) for name in names]


def _rows_of_series(parsed: ParsedSheet, keys: Sequence[int]) -> dict[str, np.ndarray]:
    """Return the rows of each series, by position in the values.

    Raises:
      ValueError: a row belongs to none, or two series would have the same name.
    """
    sheet = parsed.sheet
    cells = [texts_at(parsed, place) for place in keys]
    for place, column in zip(keys, cells, strict=True):
        if "" in column:
            line = sheet.line(int(parsed.rows[column.index("")]))
            raise ValueError(
                f"{sheet.path}, line {line:,}, column {sheet.names[place]!r}: no id, so that the "
                "row belongs to no series: write one, or remove the row"
            )
    try:
        return rows_by_key(panel.keys_of([panel.whole_texts(column) for column in cells]))
    except ValueError as error:
        raise ValueError(f"{sheet.path}: {error}") from None


def _tables(
    parts: Mapping[str, ParsedSheet],
    source: str,
    missing: bool,
    options: ReadOptions,
    without: Sequence[str] = (),
) -> tuple[dict[str, Table], list[str]]:
    """Return the table of each series that has one, and sentences on their rows and on the others.

    without: names of more series, which have no value.

    Raises:
      ValueError: as `table_of`, with the name of the series; or none has a table.
    """
    limits = limits_of(options)
    sheets = {id(part.sheet): part.sheet for part in parts.values()}
    for sheet in sheets.values():
        sheet.notes = []
    tables, empty, outside = dict[str, Table](), list(without), list[str]()
    for name, part in parts.items():
        if np.isnan(part.values).all():
            empty.append(name)
            continue
        try:
            table = table_of(part, missing, options)
        except NoRowsError:
            outside.append(name)
            continue
        except ValueError as error:
            raise ValueError(f"{error} (in the series {shorten(name)!r})") from error
        if np.isnan(table.values).all():
            outside.append(name)
            continue
        if part.times is None:
            table = table._replace(labels=range(len(table.values)), label_name="row")
        tables[name] = table
    if not tables:
        within = f" within {limits}" * bool(outside)
        columns = few(next(iter(parts.values())).names)
        raise ValueError(f"{source}: no series has a value in {columns}{within}")
    left_out = _left_out(empty, "no value") + _left_out(outside, f"no value within {limits}")
    return tables, [*left_out, *summed([n for sheet in sheets.values() for n in sheet.notes])]


def _left_out(names: Sequence[str], why: str) -> list[str]:
    """Return a sentence on series that are left out as they have no value, if there are any."""
    if not names:
        return []
    if len(names) == 1:
        return [f"series {shorten(names[0])} has {why}, and is left out"]
    return [f"{len(names):,} series have {why}, and are left out: {few(names)}"]


def _notes(
    parsed: ParsedSheet, keys: Sequence[str], static: Sequence[str], options: ReadOptions
) -> list[str]:
    """Return sentences on what became of the columns that are not read as rows."""
    said = []
    if static:
        verb = "does" if len(static) == 1 else "do"
        said.append(f"{listed(static)} {verb} not change within a series")
    read = {field.place for field in parsed.fields} | set(parsed.places)
    rest = [
        column
        for place, column in enumerate(parsed.sheet.columns)
        if place not in read and column.parts and column.name not in (*keys, *static)
    ]
    if rest:
        has_words = any(examine(column, options.na).kind == "text" for column in rest)
        said.append(
            f"{count(len(rest), 'column')} left out: {few([column.name for column in rest])}"
            + "; --columns reads words as categories" * has_words
        )
    return said
