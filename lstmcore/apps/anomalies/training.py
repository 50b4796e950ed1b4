"""Training of a detector on a series that is taken to be normal."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial

import jax.numpy as jnp
import numpy as np

from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.examples import prepare, prepare_separate, settings_for
from lstmcore.apps.anomalies.settings import Settings, build
from lstmcore.apps.training import fit_model
from lstmcore.regularization import corrupt
from lstmcore.series.tables.many import SeveralTables, as_many
from lstmcore.training.epochs import ByExample


def train(
    values,
    settings: Settings | None = None,
    *,
    id: str | Sequence[str] | None = None,
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
      settings: None takes those of `start`, or `Settings()`; for windows of one length, of at most
        512 rows, with `window` such that the model reads them as a whole.
      id: column of a data frame, or of a dict of columns, that says which series a row belongs to;
        or several. The result of `series.read_many` needs none.
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
      >>> beats = np.sin(np.arange(20) / 3) + 0.1 * np.random.default_rng(0).normal(size=(30, 20))
      >>> settings = anomalies.Settings(window=19, units=4, epochs=2)
      >>> detector = anomalies.train(beats[:, :, None], settings)
      >>> detector.lengths == (20,) * 30, detector.validation_start  # of 27 windows
      (True, 540)
    """
    groups = as_many(values, id)
    if settings is None:
        usual = Settings() if groups is None else settings_for(groups)
        settings = usual if start is None else start.settings
    if groups is None:
        data = prepare(values, settings, start)
    else:
        has_names = id is not None or isinstance(values, Mapping | SeveralTables)
        data = prepare_separate(groups, settings, start, has_names=has_names)
    settings = data.settings
    model = build(settings, data.preprocessor.features)
    if start is not None:
        _check_start(start, model, settings)
    result = fit_model(
        model,
        settings,
        _loss(model, replace(settings, seed=0)),
        data.training,
        data.validation,
        start=lambda drawn: drawn if start is None else start.params,
        callback=callback,
        progress=progress,
        checkpoint=checkpoint,
        resume=resume,
    )
    detector = Detector(
        model,
        result.params,
        data.preprocessor,
        settings,
        result.history,
        np.zeros((0, 0)),
        data.validation_start,
    )
    if data.levels is not None:
        detector = replace(detector, levels=data.levels)
    if groups is None:
        return replace(detector, training_errors=detector.errors(data.tables[""]))
    lengths = tuple(len(table) for table in data.tables.values())
    detector = replace(detector, ids=tuple(map(str, data.tables)), lengths=lengths)
    return replace(detector, training_errors=np.concatenate(detector.errors_of(data.tables)))


def _check_start(start: Detector, model, settings: Settings) -> None:
    """Refuse settings under which the training of `start` cannot go on."""
    steps = [
        (each.preprocessing, each.season_rows, each.levels) for each in (settings, start.settings)
    ]
    if model != start.model or steps[0] != steps[1]:
        raise ValueError(
            "settings describe another model or preprocessing than those of start: leave them out, "
            "or change those of the training alone, as in dataclasses.replace(start.settings, "
            "epochs=5)"
        )


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
