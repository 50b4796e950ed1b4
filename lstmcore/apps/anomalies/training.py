"""Training of a detector on a series that is taken to be normal."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import jax.numpy as jnp
import numpy as np

from lstmcore import series
from lstmcore.apps.anomalies.detector import Detector, scaled_rows
from lstmcore.apps.anomalies.preprocessing import choose, limited, without_season
from lstmcore.apps.anomalies.settings import Settings, build
from lstmcore.apps.training import fit_model
from lstmcore.formatting import count
from lstmcore.regularization import corrupt
from lstmcore.series.arguments import as_table, column_names
from lstmcore.series.row_index import check_row_times
from lstmcore.training.epochs import ByExample


def train(
    values,
    settings: Settings | None = None,
    *,
    start: Detector | None = None,
    callback: Callable | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
) -> Detector:
    """Fit preprocessing and model to normal rows, and return the detector.

    Args:
      values: numbers [rows, F] or [rows], in the order of time: an array, a data frame or a dict of
        columns, whose names the detector keeps. Times of a data frame must rise by equal steps.
        Anomalies among the rows are learned as normal, and raise the thresholds; a value far from
        all others counts less in training, see `preprocessing.limited`.
      settings: None takes `Settings()`, or those of `start`.
      start: an earlier detector to continue from, with normal rows of the same columns: its weights
        and preprocessing are kept. Thresholds follow from the errors of these rows.
      callback, progress, checkpoint, resume: as in `lc.fit`.

    Returns:
      Detector, with the params of the best epoch if there is `patience`.

    Raises:
      ValueError: too few rows for a window in the training part or in the validation part, times
        at irregular steps, values that the preprocessing refuses, or a model other than `start`'s.
      ValueError, TypeError, NonFiniteLossError, KeyboardInterrupt: as in `lc.fit`.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(200) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> detector.training_errors.shape, detector.validation_start
      ((200, 1), 180)
    """
    settings = settings or (Settings() if start is None else start.settings)
    check_row_times(values, "values")
    table = as_table(values, name="values") if start is None else start.table(values)
    validation_start = _validation_start(len(table), settings)
    if start is None:
        settings = choose(settings, table[:validation_start])
        validation_start = _validation_start(len(table), settings)
    trained_rows = validation_start - settings.season_rows
    left = limited(without_season(settings, table), trained_rows)
    if start is None:
        preprocessor = settings.preprocessing.fit(left, rows=trained_rows)
        preprocessor = preprocessor._replace(columns=column_names(values))
    else:
        preprocessor = start.preprocessor
    scaled = scaled_rows(preprocessor, left)
    boundary = validation_start - settings.dropped_rows
    training = training_windows(scaled[:boundary], settings)
    validation = training_windows(scaled[boundary:], settings) if settings.validation else None
    model = build(settings, table.shape[1])
    if start is not None:
        _check_start(start, model, settings)
    result = fit_model(
        model,
        settings,
        _loss(model, replace(settings, seed=0)),
        training,
        validation,
        start=lambda drawn: drawn if start is None else start.params,
        callback=callback,
        progress=progress,
        checkpoint=checkpoint,
        resume=resume,
    )
    detector = Detector(
        model,
        result.params,
        preprocessor,
        settings,
        result.history,
        np.zeros((0, 0)),
        validation_start,
    )
    return replace(detector, training_errors=detector.errors(table))


def _check_start(start: Detector, model, settings: Settings) -> None:
    """Refuse settings under which the training of `start` cannot go on."""
    steps = [(each.preprocessing, each.season_rows) for each in (settings, start.settings)]
    if model != start.model or steps[0] != steps[1]:
        raise ValueError(
            "settings describe another model or preprocessing than those of start: leave them out, "
            "or change those of the training alone, as in dataclasses.replace(start.settings, "
            "epochs=5)"
        )


def training_windows(scaled: np.ndarray, settings: Settings) -> np.ndarray:
    """Return windows of `settings.span` rows, float32 [N, span, F]."""
    stride = settings.stride_for(len(scaled) - settings.span + 1, scaled.shape[1])
    return np.ascontiguousarray(series.windows(scaled, settings.span, stride=stride))


def loss(model, settings: Settings, params, batch):
    """Return the mean squared error of reconstruction or prediction of each window [B, span, F]."""
    return _error(model, settings, params, batch[:, : settings.window], batch)


def noisy_loss(model, settings: Settings, params, batch, key=None):
    """Return the mean of `loss`, of a model that reads a corrupted batch if there is a key."""
    read = batch[:, : settings.window]
    read = corrupt(key, read, masking=settings.masking, gaussian=settings.gaussian)
    return _error(model, settings, params, read, batch).mean()


@cache  # the same object for settings that differ in the seed alone: nothing is compiled again
def _loss(model, settings: Settings) -> Callable:
    noisy = settings.masking > 0 or settings.gaussian > 0
    return (partial if noisy else ByExample)(noisy_loss if noisy else loss, model, settings)


def _error(model, settings: Settings, params, read, batch):
    output, _ = model.apply(params, read)
    if settings.method == "prediction":
        # After row t: rows t + 1, ..., t + horizon, side by side.
        steps = range(1, settings.horizon + 1)
        batch = jnp.concatenate([batch[:, k : k + settings.window] for k in steps], axis=-1)
    return jnp.mean((output - batch) ** 2, axis=(1, 2))


def _validation_start(rows: int, settings: Settings) -> int:
    """Return the first validation row, once both parts are known to hold a window."""
    validation = settings.validation_rows(rows)
    needed = settings.span + settings.dropped_rows
    if rows - validation < needed:
        raise ValueError(
            f"values has {count(rows, 'row')}, of which {validation} are for validation, but "
            f"training needs at least {needed} (a window of {settings.span} and "
            f"{settings.dropped_rows} dropped by season and differencing): use more data, a "
            "shorter window or validation=0"
        )
    return rows - validation
