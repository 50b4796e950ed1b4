"""The model of a run, its outputs, its targets, and its training."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from lstmcore.apps.autoencoding.settings import Settings
from lstmcore.apps.autoencoding.windows import Windows
from lstmcore.apps.training import fit_model
from lstmcore.models.autoencoders import Autoencoder, CompositeAutoencoder
from lstmcore.training.epochs import ByExample
from lstmcore.training.fit import FitResult

ROWS_WORTH_SPLITTING = 256  # windows times steps in a batch; fewer keep one core busy at most


def build(settings: Settings, features: int) -> Autoencoder | CompositeAutoencoder:
    """Return the model that the settings describe."""
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
    validation = windows.values[windows.validation_start :]
    rows = min(settings.batch_size, windows.training) * windows.values.shape[1]
    return fit_model(
        model,
        settings,
        ByExample(_loss, model, settings),
        windows.values[: windows.training],
        validation if len(validation) else None,
        devices=jax.local_devices() if rows >= ROWS_WORTH_SPLITTING else None,
        progress=progress,
        checkpoint=checkpoint,
        resume=resume,
    )


def targets(settings: Settings) -> list[tuple[str, slice]]:
    """Return the name of each output of the model, in order, and its target's place in a window."""
    places = {"reconstruction": slice(settings.window), "prediction": slice(settings.window, None)}
    return [(name, places[name]) for name in settings.outputs]


def model_outputs(model, params, x, settings: Settings) -> tuple:
    """Return one output for each of `targets`."""
    output, _ = model.apply(params, x)
    return output if settings.mode == "composite" else (output,)


def _loss(model, settings: Settings, params, batch):
    """Return the mean squared error of each example, added up over the targets."""
    outputs = model_outputs(model, params, batch[:, : settings.window], settings)
    errors = [
        jnp.mean((output - batch[:, where]) ** 2, axis=(1, 2))
        for output, (_, where) in zip(outputs, targets(settings), strict=True)
    ]
    return sum(errors)
