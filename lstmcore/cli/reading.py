"""From a CSV file to a table at regular steps, with checks and notes for the user."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import typer
from rich.markup import escape

from lstmcore import series
from lstmcore.cli.intervals import every
from lstmcore.cli.terminal import console, print_notes
from lstmcore.formatting import count, few, listed, shorten
from lstmcore.series import Preprocessor, ReadOptions, SeveralSeriesError, Table, Times, TimesError
from lstmcore.series.arrays import LARGEST
from lstmcore.series.tables.selection import columns_of_labels

FILLED = {"forward": "the last known value", "mean": "the mean of the training part"}
MOST_LINES = 5  # of notes that are one for each column
MOST_TESTED = 50  # columns, for stationarity
MANY_BEYOND = 0.1  # of the rows after the training part


def name_of(sources: Sequence[Path]) -> Path:
    """Return the name of one table, or of several that are a series each, for messages."""
    if len(sources) == 1:
        return sources[0]
    folders = {source.parent.name for source in sources}
    within = f" in {next(iter(folders))}" if len(folders) == 1 and any(folders) else ""
    return Path(f"{len(sources):,} files{within}")


def read(
    source: Path,
    columns: Sequence[str],
    options: ReadOptions,
    *,
    missing: bool = True,
    also: Sequence[str] = (),
) -> tuple[Table, Times | None]:
    """Return the table with a row for each step, and its times if it has any.

    If several rows have the same label, such as a place, the labels are not times, and rows are
    numbered.

    Args:
      source: the CSV file.
      columns: names of the columns to read; empty for all numeric ones.
      options: how to read the file.
      missing: whether values may be missing, and times be skipped.
      also: names of columns to read after these.

    Raises:
      ValueError, OSError: as `series.read_csv` and `series.regular`.
    """
    try:
        data = series.read_csv(source, columns, missing=missing, also=also, options=options)
    except SeveralSeriesError as error:
        if options.series != "list":
            raise
        for name in error.names:
            console.print(escape(name), soft_wrap=True)
        raise typer.Exit from None
    if data.times and data.times.gaps and not missing:
        raise ValueError(
            f"{source} has no row at {_skipped(data.times)}, though rows are {data.times.interval} "
            "apart: add what is missing, or fill it with --missing forward"
        )
    data = regular(str(source), data)
    return data, data.times


def regular(source: Path | str, data: Table) -> Table:
    """Return a table with a row for each step, and rows with names of their own.

    Raises:
      ValueError: its times skip more rows than there are.
    """
    try:
        data = series.regular(data)
    except TimesError as error:
        raise ValueError(
            f"{source}: {error.text} {error.reason} (--resample, --consecutive, --since, --until)"
        ) from error
    if data.times is None and len(set(data.labels)) < len(data.labels):
        return data._replace(labels=range(len(data.labels)), label_name="row")
    return data


def read_beside(
    source: Path, columns: Sequence[str], others: Sequence[str], options: ReadOptions
) -> tuple[Table, Times | None, Table]:
    """Read a table as `read` does, and the columns `others` as a table of their own.

    The file is read once, because it may be a pipe.

    Raises:
      ValueError: as `read`; or a column is among both.
    """
    if both := set(columns) & set(others):
        raise ValueError(
            f"{min(both)!r} is among --columns and --labels: labels are not trained on"
        )
    whole, times = read(source, columns, options, also=others)
    beside = [  # columns of the file, or of one of its words
        place
        for place, name in enumerate(whole.columns)
        if name in others or name.rpartition("=")[0] in others
    ]
    if len(beside) > len(others):
        values = [whole.columns[place] for place in beside]
        raise ValueError(
            f"{source}: {others[0]} holds text: say which value marks a row, such as --labels "
            f"'{values[0]}' ({few(values)})"
        )
    rest = [place for place in range(len(whole.columns)) if place not in beside]
    return whole.select(rest), times, whole.select(beside)


def check(source: Path | str, data: Table, missing: str) -> None:
    """Check a table before training, with errors that name columns, labels and options.

    Args:
      source: where the table is from.
      data: the table.
      missing: how missing values are filled.

    Raises:
      ValueError: missing values that are refused or have no value before them, or numbers too large
        to compute with.
    """
    gone = np.isnan(data.values)
    for place, name in enumerate(data.columns):
        rows = np.flatnonzero(gone[:, place])
        if not len(rows):
            continue
        where = f"{source}, column {name!r}"
        if len(rows) == len(data.values):
            raise ValueError(f"{where}: no row has a value; leave out the column with --columns")
        if missing == "refuse":
            raise ValueError(
                f"{where}: {count(len(rows), 'value')} missing, the first at "
                f"{data.labels[rows[0]]}; --missing forward or mean fills them"
            )
        if missing == "forward" and rows[0] == 0:
            known = int(np.argmin(gone[:, place]))
            first = known if isinstance(data.labels, range) else repr(str(data.labels[known]))
            raise ValueError(
                f"{where}: no value in the first {count(known, 'row')}, and none before to fill "
                f"them with: begin after them with --since {first}, leave out the column, or use "
                "--missing mean"
            )
    large = np.argwhere(np.abs(data.values) >= LARGEST)
    if len(large):
        row, place = large[0]
        raise ValueError(
            f"{source}, column {data.columns[place]!r}: {data.values[row, place]:g} at "
            f"{data.labels[row]} is too large to compute with; replace or remove it first"
        )


def check_range(source: Path, data: Table, preprocessor: Preprocessor) -> None:
    """Check that float32 can hold every number after preprocessing.

    Raises:
      ValueError: it cannot.
    """
    with np.errstate(over="ignore"):
        far = np.argwhere(np.abs(preprocessor.transform(data.values)) > np.finfo(np.float32).max)
    if len(far):
        row, place = far[0] + [preprocessor.dropped_rows, 0]
        raise ValueError(
            f"{source}, column {data.columns[place]!r}: {data.values[row, place]:g} at "
            f"{data.labels[row]} is too far from the values of the training part to compute with; "
            "replace or remove it first"
        )


def introduce(source: Path, data: Table, times: Times | None, more: str = "") -> None:
    """Print how a table was read, before training, which may take long."""
    title = f"[bold]{escape(str(source))}[/bold]: {escape(_size(data, times) + more)}"
    console.print(title, soft_wrap=True)
    print_notes(data.notes)
    console.print()


def not_introduced(notes: Sequence[str], data: Table) -> Sequence[str]:
    """Return the notes that `introduce` has not printed."""
    return notes[1 + len(data.notes) :]


def notes(data: Table, times: Times | None, preprocessor: Preprocessor) -> list[str]:
    """Return sentences on a table and its preprocessing."""
    messages = [_size(data, times), *data.notes]
    if times and times.gaps:
        messages.append(
            f"the times skip {count(times.gaps, 'row')}, which "
            f"{'is' if times.gaps == 1 else 'are'} added as missing: {_skipped(times)}"
        )
    holes = series.missing(data)
    if holes.counts.any():
        filling = FILLED[preprocessor.preprocessing.missing]
        lines = str(holes).splitlines()
        messages += [f"{line}; filled with {filling}" for line in lines[:MOST_LINES]]
        if len(lines) > MOST_LINES:
            others = count(len(lines) - MOST_LINES, "more column")
            messages.append(f"{others} with missing values, filled in the same way")
    lags = preprocessor.preprocessing.difference
    if lags:
        rows = ["the row before" if lag == 1 else f"{lag:,} rows before" for lag in lags]
        messages.append(f"the model reads differences to {' and then to '.join(rows)}")
    if labels := [data.columns[place] for place in columns_of_labels(data)]:
        messages.append(
            f"{listed(labels)} may hold labels rather than measurements: --columns names the "
            "columns to train on"
        )
    constant = [
        name for name, is_so in zip(data.columns, preprocessor.constant, strict=True) if is_so
    ]
    if constant:
        verb = "never changes" if len(constant) == 1 else "never change"
        after = " once differences are taken" if lags else ""
        messages.append(
            f"{listed(constant)} {verb} in the training part{after}: there is nothing to learn "
            "from it"
        )
    return messages


def stationary(data: Table, preprocessor: Preprocessor, rows: int) -> list[str]:
    """Return sentences on the stationarity of the training part as the model reads it.

    There are none if statsmodels is missing or there are too few rows for the tests. Of a wide
    table the first 50 columns are tested, which takes a second.
    """
    try:
        tests = series.stationarity(preprocessor.transform(data.values[:rows])[:, :MOST_TESTED])
    except (ImportError, ValueError):
        return []
    tests = tests if isinstance(tests[0], tuple) else (tests,)
    by_verdict: dict[str, list[str]] = {}
    for name, test in zip(data.columns, tests, strict=False):
        by_verdict.setdefault(test.verdict, []).append(name)
    lags = preprocessor.preprocessing.difference
    hint = f"{'another difference' if lags else '--difference 1'} may help"
    of_some = len(data.columns) > MOST_TESTED
    first = f"of the first {MOST_TESTED} columns, " if of_some else ""
    return [
        f"{first}{listed(names)}, as the model reads "
        + ("it, is " if len(names) == 1 else "them, are ")
        + verdict.replace("take differences", hint)
        for verdict, names in by_verdict.items()
        if verdict != "constant"
    ]


def beyond(
    data: Table, preprocessor: Preprocessor, rows: int, *, advises: bool = True
) -> list[str]:
    """Return sentences on columns that leave their range in the training part.

    advises: whether differences may help that are not tried anyway
    """
    read = preprocessor.transform(data.values)
    training, later = (
        read[: rows - preprocessor.dropped_rows],
        read[rows - preprocessor.dropped_rows :],
    )
    if not len(training) or not len(later):
        return []
    outside = (later < training.min(axis=0)) | (later > training.max(axis=0))
    fractions = outside.mean(axis=0)
    far = np.flatnonzero(fractions > MANY_BEYOND)
    advises = advises and not preprocessor.preprocessing.difference
    hint = "; if it drifts, --difference 1 may help" * advises
    messages = [
        f"{shorten(data.columns[place])} is outside its range in the training part in "
        f"{fractions[place]:.0%} of the later rows, for which the model has not been trained{hint}"
        for place in far[:MOST_LINES]
    ]
    if len(far) > MOST_LINES:
        messages.append(f"so are {count(len(far) - MOST_LINES, 'more column')}")
    return messages


def _size(data: Table, times: Times | None) -> str:
    rows = f"{count(len(data.values), 'row')} of {few(data.columns)}"
    if times is None or times.times.dtype.kind == "f":
        return rows
    return f"{rows}, one every {every(times.interval)}"


def _skipped(times: Times) -> str:
    """Return the label of the first row that the times skip, and how many more there are."""
    first = times.positions[int((np.diff(times.positions) > 1).argmax())] + 1
    others = f" and {times.gaps - 1:,} more" if times.gaps > 1 else ""
    return f"{times.labels_at([first])[0]}{others}"
