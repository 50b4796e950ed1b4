"""The calendar that a forecaster reads from the times of a table.

Which cycles are tried is decided here, from the training part; whether they are read, by the errors
of the linear maps in `selection`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore.apps.forecasting.settings import Settings
from lstmcore.formatting import listed
from lstmcore.series.row_index import UnknownClockError, clock_of
from lstmcore.series.times.cycles import Cycle, cycles_of, harmonics_of


def cycles_to_try(values, settings: Settings, rows: int, trained: int) -> tuple[Cycle, ...]:
    """Return the cycles of the calendar that the training part of a table shows.

    None is tried if the times of the next rows after the table, which will be forecast, are not
    known.

    Args:
      values: a table, as `train` takes it.
      settings: () if they leave no choice.
      rows, trained: of the table, and of its training part.

    Raises:
      ValueError: the calendar is asked for, but there are no times, or too few; or not those of the
        next rows.
    """
    is_on = settings.calendar == "on"
    if settings.calendar == "off" or not settings.has_map or not (settings.search or is_on):
        return ()
    places = np.append(np.arange(trained), rows)
    try:
        clock = clock_of(values, places, "values")
    except UnknownClockError:
        if is_on:
            raise
        return ()
    if clock is None and is_on:
        raise ValueError(
            "calendar='on' needs the times of the rows, and values has none: pass a data frame "
            "with times, or a series.Table"
        )
    cycles = () if clock is None else cycles_of(clock[:-1])
    if is_on and not cycles:
        raise ValueError(
            "calendar='on', but the training part does not show a day, a week or a year twice: use "
            "more rows, or calendar='auto'"
        )
    return cycles


def calendar_of(values, rows: np.ndarray, cycles: Sequence[Cycle]) -> np.ndarray:
    """Return the calendar of rows of a table, or of the next ones after it, [N, K].

    Raises:
      ValueError: values has no times.
    """
    clock = clock_of(values, rows, "values")
    if clock is None:
        raise ValueError(
            f"values has no times, but the model reads the time of the "
            f"{listed([cycle.name for cycle in cycles])} from them: pass a data frame with times, "
            "or a series.Table; or train with calendar='off'"
        )
    return harmonics_of(clock, cycles)


def check_not_on(settings: Settings) -> None:
    """Raise ValueError if the calendar was asked for, but no map could read it."""
    if settings.calendar == "on":
        raise ValueError(
            "calendar='on', but there are too many columns for a linear map that reads the "
            "calendar: use fewer columns, a shorter window, or calendar='auto'"
        )


def check_many(settings: Settings) -> None:
    """Raise ValueError if the calendar was asked for in a model of many series, which has none."""
    if settings.calendar == "on":
        raise ValueError(
            "calendar='on' is for one series, not for many: use calendar='auto' or 'off', or name "
            "columns of the calendar as future_covariates"
        )
