"""Training of a forecaster on a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lstmcore import series
from lstmcore.apps.forecasting import selection
from lstmcore.apps.forecasting.bounds import never_negative
from lstmcore.apps.forecasting.calendar import calendar_of, check_not_on, cycles_to_try
from lstmcore.apps.forecasting.examples import Parts
from lstmcore.apps.forecasting.fitting import fit_parts
from lstmcore.apps.forecasting.predictor import TOO_LARGE, Trained
from lstmcore.apps.forecasting.settings import Settings, arrange, build, continued, names_of
from lstmcore.formatting import count
from lstmcore.series.arguments import as_table
from lstmcore.series.filling import check_cells
from lstmcore.series.preprocessing import as_float32
from lstmcore.series.row_index import check_row_times
from lstmcore.series.times.cycles import Cycle, width


def train(
    values,
    columns: Sequence[str] | None = None,
    settings: Settings | None = None,
    *,
    start: Trained | None = None,
    callback: Callable | None = None,
    progress: bool = False,
    checkpoint=None,
    resume: bool = False,
) -> Trained:
    """Train a forecaster on a table: split, preprocess, cut into windows, fit.

    The season and the linear maps are chosen first, see `Settings`, on the rows before the test
    part. The preprocessing is fitted to the training part alone. With a linear path, the LSTM is
    kept only if it lowers the loss in the validation part, of 20 windows or more, by three standard
    errors. In a validation part of fewer windows that cannot be shown, so it is not trained, and
    the history is empty. Without a validation part it is kept. `Trained.choices` says what was
    chosen.

    Training reads no row after the validation part. A forecast belongs to the part that holds all
    rows of its horizon, so that no row is forecast in two parts; the window before may reach back
    into an earlier part. (A recursive model is trained to forecast each row of a window, so its
    windows lie within one part.)

    Args:
      values: numbers [rows, F] in the order of time, rows at equal distances; [rows] for a single
        column. An array, a data frame, a `series.Table` or a dict of columns. Times must rise by
        equal steps; the calendar is read from them, see `Settings`. `settings.preprocessing`
        decides what becomes of NaN.
      columns: F names; None takes those of a data frame or a dict, and calls the columns of an
        array column_0, column_1, ...
      settings: None takes `Settings()`, or those of `start`.
      start: an earlier forecaster to continue from, with a table of the same columns, such as its
        own with more rows: its weights, preprocessing and season are kept, its linear maps are
        fitted anew, and nothing is searched for. In the rows of the validation part that `start`
        was not trained on, the result is no worse than `start`.
      callback, progress, checkpoint, resume: as in `lc.fit`.

    Returns:
      Trained, whose `settings` are those that were chosen.

    Raises:
      ValueError: too few rows, unknown names, settings that do not fit together, times at
        irregular steps, values that the preprocessing refuses, or another model or preprocessing
        than that of `start`.
      TypeError: arguments of another kind.
      NonFiniteLossError, KeyboardInterrupt: as `lc.fit`, with the params so far in its `result`.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> wave = np.sin(np.arange(200) / 5)
      >>> settings = forecasting.Settings(window=10, horizon=3, units=4, epochs=2)
      >>> trained = forecasting.train(wave, ["wave"], settings)
      >>> trained.forecast(wave).point.shape  # of the 3 rows after the last
      (1, 3, 1)
      >>> longer = np.sin(np.arange(240) / 5)
      >>> forecasting.train(longer, ["wave"], start=trained).split.test
      slice(204, 240, None)
    """
    settings = settings or (Settings() if start is None else start.settings)
    check_row_times(values, "values")
    names = names_of(values, columns)
    if start is not None:
        settings = continued(settings, names, start, "values")
    table = as_table(values, names, "values").astype(float)
    table = table[:, arrange(names, settings).order]
    model = build(settings, names)
    split = check_rows(len(table), settings)
    check_cells(values, settings.preprocessing.missing, names, split.validation.stop)
    if start is None:
        cycles = cycles_to_try(values, settings, len(table), split.training.stop)
        calendars = _calendars(values, cycles, split)
        chosen = selection.select([table], settings, [split], model, calendars)
        settings, candidates = chosen
        if not chosen.reads_calendar:
            check_not_on(settings)
            cycles, calendars = (), None
        model = build(settings, names, width(cycles))  # which reads as many rows as were chosen
    else:
        candidates, cycles, model = start.candidates, start.cycles, start.model
        calendars = _calendars(values, cycles, split)
    first = settings.preprocessing.dropped_rows
    preprocessor = (
        settings.preprocessing.fit(table, rows=split.training.stop)
        if start is None
        else start.preprocessor
    )
    seen = as_float32(preprocessor.transform(table[: split.validation.stop]), TOO_LARGE)
    parts = Parts.of(model, [seen], [split.training.stop - first], settings, calendars=calendars)
    running = {
        "callback": callback,
        "progress": progress,
        "checkpoint": checkpoint,
        "resume": resume,
    }
    earlier = None if start is None else start.params
    known = 0 if start is None else start.split.training.stop - first
    fitted = fit_parts(model, settings, parts, candidates, earlier, running, known=known)
    return Trained(
        settings=settings,
        columns=names,
        model=model,
        params=fitted.result.params,
        preprocessor=preprocessor,
        history=fitted.result.history,
        split=split,
        stride=parts.stride,
        errors=fitted.errors.thinned(),
        candidates=candidates,
        nonnegative=nonnegative(table[: split.validation.stop], names, settings),
        cycles=cycles,
    )


def _calendars(values, cycles: Sequence[Cycle], split: series.Split) -> list[np.ndarray] | None:
    """Return the calendar [rows, K] of the rows before the test part; None without cycles."""
    if not cycles:
        return None
    return [calendar_of(values, np.arange(split.validation.stop), cycles)]


def nonnegative(table: np.ndarray, names: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Return the targets that are forecast at 0 or above; columns in the order of the model."""
    if not settings.nonnegative:
        return ()
    order, targets, _ = arrange(names, settings)
    is_so = never_negative(table[:, :targets])
    return tuple(names[place] for place, one in zip(order, is_so.tolist(), strict=False) if one)


def check_rows(rows: int, settings: Settings) -> series.Split:
    """Return the split of `rows` rows into training, validation and test part.

    Raises:
      ValueError: a part is too short.
    """
    split = series.split(rows, settings.validation, settings.test)
    # Differencing drops the first rows.
    first, window = settings.preprocessing.dropped_rows, settings.window
    read, span = settings.rows_read, settings.rows_read + settings.horizon
    if split.training.stop - first < span:
        raise ValueError(
            f"the training part has {split.training.stop} of {count(rows, 'row')}"
            + f", {first} of which differencing drops," * bool(first)
            + (
                f" but one window of {count(window, 'row')} and"
                if read == window
                else f" but {count(read, 'row')} that the linear map reads and"
            )
            + f" a horizon of {settings.horizon} need {span}: use more data, a smaller "
            "window or horizon, or smaller parts for validation and test"
        )
    # Checked here, because `evaluate` would find out only after training.
    season = settings.season_rows
    if settings.test and season is not None and season >= split.training.stop:
        raise ValueError(
            f"season is {count(season, 'row')}, but the training part has "
            f"{split.training.stop}: use a shorter season, or more data"
        )
    validation = split.validation.stop - split.validation.start
    recursive = settings.mode == "recursive"
    if settings.validation and validation < (settings.span if recursive else settings.horizon):
        raise ValueError(
            f"the validation part has {count(validation, 'row')}, but "
            + (
                f"a window of {count(settings.window, 'row')} and a horizon of {settings.horizon} "
                f"need {settings.span} (those of a recursive forecaster lie within one part)"
                if recursive
                else f"the horizon is {settings.horizon}"
            )
            + ": raise validation or use more data; validation=0 leaves the part out"
        )
    return split
