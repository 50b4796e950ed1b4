"""The main job, from a table to a trained model and its outputs: what `lstmcore fit` does."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from lstmcore import checks, series
from lstmcore.models import Autoencoder, CompositeAutoencoder
from lstmcore.study.end_to_end import end_to_end
from lstmcore.study.run import Run
from lstmcore.table import Table
from lstmcore.train import FitResult, fit

MODES = ("reconstruction", "prediction", "composite")
WINDOWS_AT_ONCE = 1024  # in `outputs`, so that memory does not grow with the table
USES = ("training", "neither", "validation")  # "neither" overlaps both
ROWS_WORTH_SPLITTING = 256  # windows times steps in a batch; fewer keep one core busy at most
SHOWN_STEPS = 300  # of a long series in a picture


@dataclass(frozen=True)
class Settings:
    """How to train; the defaults suit a series of some hundreds of rows.

    mode: what the decoder writes, one of MODES
    window: rows that the encoder reads
    steps: rows that a prediction writes
    units, activation: of the model
    scaling: "standard", "minmax" or "none", fitted on the rows that are trained on
    epochs, batch_size, learning_rate, patience: of `lc.fit`, with Adam
    validation: fraction of the windows, the last in time, that is held out; at least one if not 0
    seed: for weights and the order of examples
    first_row: rows before it are left out
    """

    mode: str = "reconstruction"
    window: int = 24
    steps: int = 1
    units: tuple[int, ...] = (64, 32)
    activation: str = "tanh"
    scaling: str = "standard"
    epochs: int = 200
    batch_size: int = 32
    learning_rate: float = 3e-3
    patience: int | None = None
    validation: float = 0.0
    seed: int = 0
    first_row: int = 0

    def __post_init__(self):
        for name in ("window", "steps", "epochs", "batch_size"):
            checks.check_count(name, getattr(self, name))
        for name in ("seed", "first_row"):
            checks.check_count(name, getattr(self, name), minimum=0)
        if self.patience is not None:
            checks.check_count("patience", self.patience)
        if self.seed >= 2**63:
            raise ValueError(f"seed must be below 2**63, got {self.seed}")
        if self.mode not in MODES:
            raise ValueError(f"mode {self.mode!r} is not known: use one of {', '.join(MODES)}")
        if not 0 <= self.validation < 1:
            raise ValueError(
                f"validation must be a fraction, at least 0 and below 1, got {self.validation}"
            )
        if not 0 < self.learning_rate < float("inf"):
            raise ValueError(f"learning_rate must be a positive number, got {self.learning_rate}")

    @property
    def horizon(self) -> int:
        """Rows after each window that the model is to write."""
        return 0 if self.mode == "reconstruction" else self.steps


# The stacked LSTM autoencoder that most tutorials build (Ranjan 2019); its windows leave out the
# first two rows, see `series.temporalize`.
TUTORIAL = Settings(
    window=3,
    units=(128, 64),
    activation="relu",
    scaling="none",
    epochs=300,
    batch_size=5,
    learning_rate=1e-3,
    first_row=2,
)


class Windows(NamedTuple):
    """A table cut up for training.

    rows: [N, window + horizon], the row of the table behind each step
    values: float32 [N, window + horizon, F], scaled; inputs first, then the rows to predict
    training: how many of the N, from the first, are trained on
    held_out: the index of the first that is held out, N if none is
    scaler: between the units of the table and those of the model
    """

    rows: np.ndarray
    values: np.ndarray
    training: int
    held_out: int
    scaler: series.Scaler


def cut(table: Table, settings: Settings) -> Windows:
    """Windows of the table; held-out ones share no row with those trained on.

    Raises:
      ValueError: a window longer than the table, or nothing left to train on.
    """
    indices = np.arange(settings.first_row, len(table.values))
    span = settings.window + settings.horizon
    if len(indices) < span:
        raise ValueError(
            f"a window of {settings.window} rows"
            + f" and {settings.horizon} to predict" * bool(settings.horizon)
            + f" does not fit into {len(indices)} rows: use a shorter window or more data"
        )
    rows = series.windows(indices, span)[:, :, 0]
    held_out = len(rows)
    if settings.validation:
        held_out -= max(1, round(settings.validation * len(rows)))
    training = len(rows) if held_out == len(rows) else held_out - span + 1
    if training < 1:
        raise ValueError(
            f"validation {settings.validation} leaves no window of {span} rows to train on: "
            "hold out less, or use a shorter window"
        )
    trained_on = table.values[settings.first_row : rows[training - 1, -1] + 1]
    scaler = series.fit_scaler(trained_on, settings.scaling)
    with np.errstate(over="ignore"):
        values = scaler.apply(table.values).astype(np.float32)
    if not np.isfinite(values).all():
        raise ValueError(
            f"scaling {settings.scaling!r} leaves numbers that float32 cannot hold: use 'standard'"
        )
    return Windows(rows, values[rows], training, held_out, scaler)


def build(settings: Settings, features: int) -> Autoencoder | CompositeAutoencoder:
    """The model for these settings."""
    if settings.mode == "composite":
        return CompositeAutoencoder(features, settings.units, settings.steps, settings.activation)
    return Autoencoder(
        features, settings.units, settings.activation, steps=settings.horizon or None
    )


def train(model, windows: Windows, settings: Settings, *, progress: bool = False) -> FitResult:
    """Fit the model to the windows; errors as in `lc.fit`."""
    init_key, order_key = jax.random.split(jax.random.key(settings.seed))
    held_out = windows.values[windows.held_out :]
    rows = min(settings.batch_size, windows.training) * windows.values.shape[1]
    return fit(
        partial(_loss, model, settings),
        jax.jit(model.init)(init_key),
        windows.values[: windows.training],
        optimizer=optax.adam(settings.learning_rate),
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        key=order_key,
        validation=held_out if len(held_out) else None,
        patience=settings.patience,
        devices=jax.local_devices() if rows >= ROWS_WORTH_SPLITTING else None,
        progress=progress,
    )


class Part(NamedTuple):
    """What one decoder was to write and what it wrote, in units of the table.

    name: "reconstruction" or "prediction"
    used_for: [N], what each window was used for: USES
    rows: [N, T], the row of the table behind each step
    actual, output: [N, T, F]
    """

    name: str
    used_for: np.ndarray
    rows: np.ndarray
    actual: np.ndarray
    output: np.ndarray


def outputs(model, params, table: Table, windows: Windows, settings: Settings) -> list[Part]:
    """Run the trained model on every window of the table."""
    apply = jax.jit(lambda params, x: _written(model, params, x, settings))
    inputs = windows.values[:, : settings.window]
    used_for = np.full(len(inputs), USES[1], dtype=object)
    used_for[: windows.training], used_for[windows.held_out :] = USES[0], USES[2]
    starts = range(0, len(inputs), WINDOWS_AT_ONCE)
    chunks = [apply(params, inputs[start : start + WINDOWS_AT_ONCE]) for start in starts]
    return [
        Part(
            name,
            used_for,
            windows.rows[:, where],
            table.values[windows.rows[:, where]],
            windows.scaler.invert(np.concatenate(written)),
        )
        for (name, where), written in zip(
            _targets(settings), zip(*chunks, strict=True), strict=True
        )
    ]


def encoder_run(model, params, windows: Windows, chosen, settings: Settings) -> Run:
    """The encoder's layers on the chosen windows, laid end to end: one example of len * T steps."""
    return end_to_end(model, params, windows.values[chosen, : settings.window])


def side_by_side(count: int, length: int, steps: int = SHOWN_STEPS) -> np.ndarray:
    """Which of `count` windows to show: all if they are few, else such that no row shows twice.

    At most `steps` steps are shown.
    """
    if count * length <= SHOWN_STEPS // 5:
        return np.arange(count)
    return np.arange(0, count, length)[: max(1, steps // length)]


def _targets(settings: Settings) -> list[tuple[str, slice]]:
    """What the model writes, in order, and where in a window stands what it is to write."""
    targets = {"reconstruction": slice(settings.window), "prediction": slice(settings.window, None)}
    names = targets if settings.mode == "composite" else [settings.mode]
    return [(name, targets[name]) for name in names]


def _written(model, params, x, settings: Settings) -> tuple:
    """One output for each of `_targets`."""
    output, _ = model.apply(params, x)
    return output if settings.mode == "composite" else (output,)


def _loss(model, settings: Settings, params, batch):
    """Mean squared error, added up over the targets."""
    written = _written(model, params, batch[:, : settings.window], settings)
    errors = [
        jnp.mean((output - batch[:, where]) ** 2)
        for output, (_, where) in zip(written, _targets(settings), strict=True)
    ]
    return sum(errors)
