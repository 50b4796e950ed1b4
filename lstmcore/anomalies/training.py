"""Train a detector on a series that is taken to be normal."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lstmcore import checks, layout, series
from lstmcore.anomalies.detector import Detector, scaled_rows
from lstmcore.models import Autoencoder, StackedLSTM
from lstmcore.noise import corrupt
from lstmcore.programs import compiled
from lstmcore.series.arguments import as_table, column_names
from lstmcore.text import count
from lstmcore.train import fit

METHODS = ("reconstruction", "prediction")
COMBINATIONS = ("mean", "median")


@dataclass(frozen=True)
class Settings:
    """All that a detector depends on but for its data.

    Attributes:
      method: "reconstruction": an `lc.Autoencoder` writes each window again (Malhotra et al. 2016,
        "LSTM-based Encoder-Decoder for Multi-sensor Anomaly Detection"). "prediction": an
        `lc.StackedLSTM` writes at each row the next ones (Malhotra et al. 2015, "Long Short Term
        Memory Networks for Anomaly Detection in Time Series"); it can also watch a stream.
      window: rows of a training window. Reconstruction wants a window that its code can hold, so
        some tens of rows; prediction one that holds what the next row depends on. (On the series
        of `benchmarks.nab`, days of 288 rows, windows of 24 were far better than whole days.)
      units: sizes of the LSTM layers; for reconstruction those of the encoder, the last one that
        of the code.
      ahead: rows that a prediction writes; reconstruction does not use it. With several, the older
        predictions for a row do not know yet that something began, so an event lasts longer.
      activation: of every layer.
      preparation: `series.Preparation`: missing values, differencing, scaling.
      combine: "mean" or "median": what stands for a row that several windows (or predictions)
        hold.
      stride: rows between training windows. "auto" is the smallest that leaves at most 20,000
        windows and 2**26 numbers (256 MiB). Scoring always uses every window.
      masking: rate of numbers of a window that are set to 0, the mean under "standard" scaling, in
        what the model reads while training, not in what it is to write (Vincent et al. 2008,
        "Extracting and Composing Robust Features with Denoising Autoencoders").
      gaussian: standard deviation of noise that is added likewise, in scaled units.
      epochs, batch_size, learning_rate, patience: of `lc.fit`, with Adam.
      validation: share of the rows, the last in time, that is held out. Nothing is fitted to it,
        and no window crosses into it. At least a window of rows, if not 0.
      seed: of weights, order and noise.
    """

    method: str = "reconstruction"
    window: int = 24
    units: tuple[int, ...] = (32, 16)
    ahead: int = 1
    activation: str = "tanh"
    preparation: series.Preparation = field(default_factory=series.Preparation)
    combine: str = "mean"
    stride: int | str = "auto"
    masking: float = 0.0
    gaussian: float = 0.0
    epochs: int = 40
    batch_size: int = 32
    learning_rate: float = 3e-3
    patience: int | None = 10
    validation: float = 0.1
    seed: int = 0

    def __post_init__(self):
        object.__setattr__(self, "units", layout.check_units("units", self.units))
        layout.check_choice("method", self.method, METHODS)
        layout.check_choice("combine", self.combine, COMBINATIONS)
        for name in ("window", "ahead", "epochs", "batch_size"):
            checks.check_count(name, getattr(self, name))
        if self.patience is not None:
            checks.check_count("patience", self.patience)
        if isinstance(self.stride, str):
            if self.stride != "auto":
                raise ValueError(f'stride must be a number of rows or "auto", got {self.stride!r}')
        else:
            checks.check_count("stride", self.stride)
        checks.check_seed("seed", self.seed)
        if not isinstance(self.preparation, series.Preparation):
            raise TypeError(
                f"preparation must be a series.Preparation, got {type(self.preparation).__name__}"
            )
        for name in ("masking", "gaussian", "learning_rate", "validation"):
            object.__setattr__(self, name, checks.check_number(name, getattr(self, name)))
        for name in ("masking", "validation"):
            layout.check_rate(name, getattr(self, name))
        if not 0 <= self.gaussian < np.inf:
            raise ValueError(f"gaussian must be a number from 0 on, got {self.gaussian}")
        if not 0 < self.learning_rate < np.inf:
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate}")

    @property
    def span(self) -> int:
        """Rows that a training example takes: the window, and what is to be predicted."""
        return self.window + (self.ahead if self.method == "prediction" else 0)


def train(
    values,
    settings: Settings | None = None,
    *,
    watch: Callable | None = None,
    progress: bool = False,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
) -> Detector:
    """Fit preparation and model to normal rows.

    Args:
      values: numbers [rows, F] or [rows], in the order of time: an array, a data frame or a dict of
        columns, whose names the detector keeps. Anomalies among them are learned, and raise the
        thresholds.
      settings: None takes `Settings()`.
      watch, progress, checkpoint, resume: as in `lc.fit`.

    Returns:
      Detector, with the params of the best epoch if there is `patience`.

    Raises:
      ValueError: too few rows for a window on either side, or a table that its preparation
        refuses.
      ValueError, TypeError, NonFiniteLossError, KeyboardInterrupt: as in `lc.fit`.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(200) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> detector.training_errors.shape, detector.held_out
      ((200, 1), 180)
    """
    settings = Settings() if settings is None else settings
    table = as_table(values, name="values")
    first_held_out = _first_held_out(len(table), settings)
    prepared = settings.preparation.fit(table, rows=first_held_out)
    prepared = prepared._replace(columns=column_names(values))
    scaled = scaled_rows(prepared, table)
    boundary = first_held_out - settings.preparation.lost
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
        watch=watch,
        progress=progress,
        checkpoint=checkpoint,
        resume=resume,
    )
    detector = Detector(
        model, result.params, prepared, settings, result.history, np.zeros((0, 0)), first_held_out
    )
    return replace(detector, training_errors=detector.errors(table))


def build(settings: Settings, features: int) -> Autoencoder | StackedLSTM:
    """The model for these settings."""
    if settings.method == "reconstruction":
        return Autoencoder(features, settings.units, settings.activation)
    outputs = settings.ahead * features
    return StackedLSTM(features, settings.units, outputs, settings.activation)


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
        # After row t: rows t + 1, ..., t + ahead, side by side.
        steps = range(1, settings.ahead + 1)
        batch = jnp.concatenate([batch[:, k : k + settings.window] for k in steps], axis=-1)
    return jnp.mean((written - batch) ** 2)


def _first_held_out(rows: int, settings: Settings) -> int:
    """Where the held-out rows begin; both sides are checked to hold a window."""
    held_out = 0
    if settings.validation:
        held_out = max(settings.span, round(settings.validation * rows))
    needed = settings.span + settings.preparation.lost
    if rows - held_out < needed:
        raise ValueError(
            f"values has {count(rows, 'row')}, of which {held_out} are held out, but training "
            f"needs at least {needed} (a window of {settings.span} and "
            f"{settings.preparation.lost} lost to differencing): use more data, a shorter "
            "window or validation=0"
        )
    return rows - held_out
