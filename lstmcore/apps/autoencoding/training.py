"""The model of a run, what it writes, and how it is trained."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import optax

from lstmcore.apps.autoencoding.settings import Settings
from lstmcore.apps.autoencoding.windows import Windows
from lstmcore.models.autoencoders import Autoencoder, CompositeAutoencoder
from lstmcore.training.fit import FitResult, fit

ROWS_WORTH_SPLITTING = 256  # windows times steps in a batch; fewer keep one core busy at most

__all__ = ["build", "targets", "train", "written"]


def build(settings: Settings, features: int) -> Autoencoder | CompositeAutoencoder:
    """The model for these settings."""
    if settings.mode == "composite":
        return CompositeAutoencoder(features, settings.units, settings.horizon, settings.activation)
    return Autoencoder(
        features, settings.units, settings.activation, steps=settings.predicted_rows or None
    )


def train(
    model,
    windows: Windows,
    settings: Settings,
    *,
    progress: bool = False,
    checkpoint=None,
    resume: bool = False,
) -> FitResult:
    """Fit the model to the windows; options and errors as in `lc.fit`."""
    init_key, order_key = jax.random.split(jax.random.key(settings.seed))
    held_out = windows.values[windows.validation_start :]
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
        checkpoint=checkpoint,
        resume=resume,
    )


def targets(settings: Settings) -> list[tuple[str, slice]]:
    """What the model writes, in order, and where in a window stands what it is to write."""
    places = {"reconstruction": slice(settings.window), "prediction": slice(settings.window, None)}
    return [(name, places[name]) for name in settings.outputs]


def written(model, params, x, settings: Settings) -> tuple:
    """One output for each of `targets`."""
    output, _ = model.apply(params, x)
    return output if settings.mode == "composite" else (output,)


def _loss(model, settings: Settings, params, batch):
    """Mean squared error, added up over the targets."""
    outputs = written(model, params, batch[:, : settings.window], settings)
    errors = [
        jnp.mean((output - batch[:, where]) ** 2)
        for output, (_, where) in zip(outputs, targets(settings), strict=True)
    ]
    return sum(errors)
