"""From one series, or from separate ones, to the windows that a detector is trained on.

    data = prepare(values, settings)                 the last rows are held out
    data = prepare_separate({"a": table, ...}, settings)     some whole series are

Everything that is chosen or fitted here follows from the training part, but for the level of a
series that is held out, which is that of its own rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lstmcore import series
from lstmcore.apps.anomalies.detector import Detector, of_series, scaled_rows
from lstmcore.apps.anomalies.levels import Levels, fit_levels, own_levels_fit
from lstmcore.apps.anomalies.preprocessing import choose, limited, without_season
from lstmcore.apps.anomalies.settings import Settings
from lstmcore.formatting import count, few, shorten
from lstmcore.series import fit_filling
from lstmcore.series.arguments import as_table, column_names
from lstmcore.series.arrays import check_size
from lstmcore.series.filling import check_cells
from lstmcore.series.row_index import check_row_times

MOST_WHOLE = 512  # rows of a window that is read as a whole, unless the settings say otherwise


class Examples(NamedTuple):
    """What a detector is trained on, and what it is to remember of that.

    Attributes:
      settings: with all that was to be chosen.
      preprocessor: fitted to the training part, or that of an earlier detector.
      training, validation: float32 windows [N, span, F]; None without validation.
      tables: {id: table [rows, F]} of all series, those held out last; one series has the id "".
      validation_start: first row of the held-out part in `tables`, one after the other.
      levels: of the series; None if their scaling is common.
    """

    settings: Settings
    preprocessor: series.Preprocessor
    training: np.ndarray
    validation: np.ndarray | None
    tables: dict[Any, np.ndarray]
    validation_start: int
    levels: Levels | None = None


def prepare(values, settings: Settings, start: Detector | None = None) -> Examples:
    """Return the examples of one series, whose last rows are held out.

    Raises:
      ValueError: as `training.train`.
    """
    check_row_times(values, "values")
    table = as_table(values, name="values") if start is None else start.table(values)
    check_cells(values, settings.preprocessing.missing)
    validation_start = _validation_start(len(table), settings)
    if start is None:
        settings = choose(settings, table[:validation_start])
        validation_start = _validation_start(len(table), settings)
    trained_rows = validation_start - (settings.season_rows or 0)
    left = limited(without_season(settings, table), trained_rows)
    if start is None:
        preprocessor = settings.preprocessing.fit(left, rows=trained_rows)
        preprocessor = preprocessor._replace(columns=column_names(values))
    else:
        preprocessor = start.preprocessor
    scaled = scaled_rows(preprocessor, left)
    boundary = validation_start - settings.dropped_rows
    training = training_windows([scaled[:boundary]], settings)
    validation = training_windows([scaled[boundary:]], settings) if settings.validation else None
    return Examples(settings, preprocessor, training, validation, {"": table}, validation_start)


def prepare_separate(
    groups: Mapping[Any, Any],
    settings: Settings,
    start: Detector | None = None,
    *,
    has_names: bool = True,
) -> Examples:
    """Return the examples of separate series, some of which are held out as a whole.

    Args:
      groups: {id: table}.
      settings: as given to `training.train`.
      start: an earlier detector to continue from.
      has_names: whether the ids will name the same series again; numbers of windows do not.

    Raises:
      ValueError: as `training.train`; of one series, the message names it.
    """
    tables, names = _tables(groups, start)
    held_out = _held_out(len(tables), settings)
    order = np.random.default_rng(settings.seed).permutation(len(tables))
    chosen = sorted(order[held_out:]) + sorted(order[:held_out])
    ids = list(tables)
    tables = {ids[place]: tables[ids[place]] for place in chosen}
    trained = len(tables) - held_out
    if start is None:
        settings = _with_levels(settings, list(tables.values())[:trained], has_names)
    levels = None
    if settings.levels == "own":
        levels = fit_levels(list(tables), list(tables.values()))
        levels = (
            levels if start is None or start.levels is None else start.levels.with_others(levels)
        )
    centred = [_centred(table, id, levels) for id, table in tables.items()]
    _check_lengths(tables, settings)
    _check_values(tables, settings)
    if start is None:
        settings = choose(settings, *centred[:trained], goes_on=has_names)
        _check_lengths(tables, settings)
    left = []
    for id, table in zip(tables, centred, strict=True):
        with of_series(id):
            left.append(without_season(settings, table))
    lengths = [len(table) for table in left]
    together = limited(np.concatenate(left), sum(lengths[:trained]))
    left = np.split(together, np.cumsum(lengths)[:-1])
    if start is None:
        preprocessor = settings.preprocessing.fit_separate(left[:trained], names)
    else:
        preprocessor = start.preprocessor
    scaled = [scaled_rows(preprocessor, table) for table in left]
    rows = [len(table) for table in tables.values()]
    return Examples(
        settings,
        preprocessor,
        training_windows(scaled[:trained], settings),
        training_windows(scaled[trained:], settings) if held_out else None,
        tables,
        sum(rows[:trained]),
        levels,
    )


def settings_for(groups: Mapping[Any, Any]) -> Settings:
    """Return the settings for separate series, if none are given.

    A model reads windows of one length, of at most 512 rows, as a whole: it then knows where in the
    window a row is, and every row but the first has a score.
    """
    lengths = {len(values) for values in groups.values() if not isinstance(values, Mapping)}
    length = max(lengths, default=0)
    is_whole = len(lengths) == 1 and len(groups) > 1 and 2 <= length <= MOST_WHOLE
    return Settings(window=length - 1) if is_whole else Settings()


def training_windows(tables: Sequence[np.ndarray], settings: Settings) -> np.ndarray:
    """Return windows of `settings.span` rows, none of which reaches over the end of a table.

    Args:
      tables: as the model reads them, [rows_i, F].
      settings: span and stride are used.

    Returns:
      float32 [N, span, F].
    """
    windows = sum(len(table) - settings.span + 1 for table in tables)
    stride = settings.stride_for(windows, tables[0].shape[1])
    some = [series.windows(table, settings.span, stride=stride) for table in tables]
    return np.ascontiguousarray(np.concatenate(some))


def _tables(
    groups: Mapping[Any, Any], start: Detector | None
) -> tuple[dict[Any, np.ndarray], tuple[str, ...] | None]:
    """Return ({id: table [rows, F]}, names of the columns), which all series share."""
    if len({*map(str, groups)}) < len(groups):
        raise ValueError(f"values has ids that are written alike, among {few(list(groups))}")
    names = None if start is None else start.preprocessor.columns
    tables: dict[Any, np.ndarray] = {}
    for place, (id, values) in enumerate(groups.items()):
        with of_series(id):
            if place == 0 and start is None:
                names = column_names(values)
            check_row_times(values, "values")
            own = column_names(values)
            table = (
                as_table(values, names if own else None) if start is None else start.table(values)
            )
            features = next(iter(tables.values()), table).shape[1]
            if table.shape[1] != features or not features:
                raise ValueError(
                    f"values has {count(table.shape[1], 'column')} but other series have "
                    f"{features}: give all the same columns"
                )
            tables[id] = table
    return tables, names


def _with_levels(settings: Settings, tables: Sequence[np.ndarray], has_names: bool) -> Settings:
    if settings.levels == "own" and not has_names:
        raise ValueError(
            'levels="own" needs series with ids that are met again: give a dict of tables, or a '
            "long data frame with id"
        )
    if settings.levels != "auto":
        return settings
    is_own = has_names and own_levels_fit(tables)
    return replace(settings, levels="own" if is_own else "common")


def _centred(table: np.ndarray, id: Any, levels: Levels | None) -> np.ndarray:
    if levels is None:
        return table
    with of_series(id):
        offset, scale = levels.of(id)
        return (table - offset) / scale


def _held_out(number: int, settings: Settings) -> int:
    """Return how many of so many series are held out."""
    if not settings.validation:
        return 0
    held_out = max(1, round(settings.validation * number))
    if held_out >= number:
        raise ValueError(
            f"values has {number} series, of which {held_out} would be held out for validation: "
            "give more of them, or validation=0"
        )
    return held_out


def _check_values(tables: Mapping[Any, np.ndarray], settings: Settings) -> None:
    """Raise the errors of values that the preprocessing refuses, which name the series."""
    for id, table in tables.items():
        with of_series(id):
            check_size(table)
            if settings.preprocessing.missing != "mean":
                fit_filling(table, settings.preprocessing.missing).transform(table)


def _check_lengths(tables: Mapping[Any, np.ndarray], settings: Settings) -> None:
    needed = settings.span + settings.dropped_rows
    short = [id for id, table in tables.items() if len(table) < needed]
    if short:
        rows = len(tables[short[0]])
        raise ValueError(
            f"series {shorten(short[0])!r} has {count(rows, 'row')}; {len(short)} of {len(tables)} "
            f"series have fewer than the {needed} that the model needs (a window of "
            f"{settings.span} and {settings.dropped_rows} dropped by season and differencing): "
            "leave them out, or use a shorter window"
        )


def _validation_start(rows: int, settings: Settings) -> int:
    """Return the first validation row, once both parts are known to hold a window."""
    validation = settings.validation_rows(rows)
    needed = settings.span + settings.dropped_rows
    if rows - validation < needed:
        raise ValueError(
            f"values has {count(rows, 'row')}, but training needs at least {needed} (a window of "
            f"{settings.span} and {settings.dropped_rows} dropped by season and differencing) and "
            f"validation {validation} more: use more data, a smaller window or validation=0"
        )
    return rows - validation
