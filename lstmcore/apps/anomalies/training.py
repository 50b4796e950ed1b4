"""Train a detector on a series that is taken to be normal."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lstmcore import series
from lstmcore.apps.anomalies.detector import Detector, scaled_rows
from lstmcore.apps.anomalies.settings import Settings, build
from lstmcore.formatting import count
from lstmcore.programs import compiled
from lstmcore.regularization import corrupt
from lstmcore.series.arguments import as_table, column_names
from lstmcore.training.fit import fit


def train(
    values,
    settings: Settings | None = None,
    *,
    callback: Callable | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
) -> Detector:
    """Fit preprocessing and model to normal rows.

    Args:
      values: numbers [rows, F] or [rows], in the order of time: an array, a data frame or a dict of
        columns, whose names the detector keeps. Anomalies among them are learned, and raise the
        thresholds.
      settings: None takes `Settings()`.
      callback, progress, checkpoint, resume: as in `lc.fit`.

    Returns:
      Detector, with the params of the best epoch if there is `patience`.

    Raises:
      ValueError: too few rows for a window on either side, or a table that its preprocessing
        refuses.
      ValueError, TypeError, NonFiniteLossError, KeyboardInterrupt: as in `lc.fit`.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(200) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> detector.training_errors.shape, detector.validation_start
      ((200, 1), 180)
    """
    settings = Settings() if settings is None else settings
    table = as_table(values, name="values")
    first_held_out = _first_held_out(len(table), settings)
    preprocessor = settings.preprocessing.fit(table, rows=first_held_out)
    preprocessor = preprocessor._replace(columns=column_names(values))
    scaled = scaled_rows(preprocessor, table)
    boundary = first_held_out - settings.preprocessing.dropped_rows
    training = training_windows(scaled[:boundary], settings)
    held_out = training_windows(scaled[boundary:], settings) if settings.validation else None
    model = build(settings, table.shape[1])
    init_key, key = jax.random.split(jax.random.key(settings.seed))
    result = fit(
        _loss(model, replace(settings, seed=0)),
        _init(model, init_key),
        training,
        optimizer=_optimizer(settings.learning_rate),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        key=key,
        validation=held_out,
        patience=settings.patience,
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
        first_held_out,
    )
    return replace(detector, training_errors=detector.errors(table))


def training_windows(scaled: np.ndarray, settings: Settings) -> np.ndarray:
    """Windows of `settings.span` rows, float32 [N, span, F]."""
    count = len(scaled) - settings.span + 1
    stride = series.stride_for(settings.stride, count, settings.span * scaled.shape[1])
    return np.ascontiguousarray(series.windows(scaled, settings.span, stride=stride))


def loss(model, settings: Settings, params, batch):
    """Mean squared error of what the model writes on `batch` [B, span, F]."""
    return _error(model, settings, params, batch[:, : settings.window], batch)


def noisy_loss(model, settings: Settings, params, batch, key=None):
    """`loss`, of a model that reads a corrupted batch; without a key it reads it as it is."""
    read = batch[:, : settings.window]
    read = corrupt(key, read, masking=settings.masking, gaussian=settings.gaussian)
    return _error(model, settings, params, read, batch)


# The same objects for settings that differ in the seed alone, so that nothing is compiled again.


@cache
def _loss(model, settings: Settings) -> Callable:
    noisy = settings.masking > 0 or settings.gaussian > 0
    return partial(noisy_loss if noisy else loss, model, settings)


@compiled
def _init(model, key) -> dict:
    return model.init(key)


@cache
def _optimizer(learning_rate: float):
    return optax.adam(learning_rate)


def _error(model, settings: Settings, params, read, batch):
    written, _ = model.apply(params, read)
    if settings.method == "prediction":
        # After row t: rows t + 1, ..., t + horizon, side by side.
        steps = range(1, settings.horizon + 1)
        batch = jnp.concatenate([batch[:, k : k + settings.window] for k in steps], axis=-1)
    return jnp.mean((written - batch) ** 2)


def _first_held_out(rows: int, settings: Settings) -> int:
    """Where the held-out rows begin; both sides are checked to hold a window."""
    held_out = 0
    if settings.validation:
        held_out = max(settings.span, round(settings.validation * rows))
    needed = settings.span + settings.preprocessing.dropped_rows
    if rows - held_out < needed:
        raise ValueError(
            f"values has {count(rows, 'row')}, of which {held_out} are held out, but training "
            f"needs at least {needed} (a window of {settings.span} and "
            f"{settings.preprocessing.dropped_rows} lost to differencing): use more data, a "
            f"shorter "
            "window or validation=0"
        )
    return rows - held_out
