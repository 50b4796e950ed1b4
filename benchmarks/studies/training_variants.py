"""Other ways to train than `apps.training.fit_model`, whose arguments and result they have."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from lstmcore.apps.settings import TrainingSettings
from lstmcore.apps.training import adam, batches_of, fit_model
from lstmcore.training.fit import FitResult

WEIGHT = 0.5  # of the latest epoch in the smoothed loss


def unclipped(model, settings: TrainingSettings, *data, **running) -> FitResult:
    """Train with gradients as large as they come."""
    optimizer = adam(settings.learning_rate, clip=float("inf"))
    return fit_model(model, settings, *data, **running | {"optimizer": optimizer})


def decaying(model, settings: TrainingSettings, loss, data, *others, **running) -> FitResult:
    """Train with a learning rate that falls to 0 along a cosine over all epochs."""
    batches = batches_of(data, settings.batch_size)
    steps = batches * settings.epochs_for(batches)
    optimizer = adam(settings.learning_rate, decay_steps=steps)
    return fit_model(model, settings, loss, data, *others, **running | {"optimizer": optimizer})


def smoothed(model, settings: TrainingSettings, loss, data, *others, **running) -> FitResult:
    """Train with `patience` for a moving average of the validation loss, and keep its best."""
    best: dict[str, Any] = {"loss": np.inf, "epoch": 0, "params": None}
    patience = settings.patience_for(batches_of(data, settings.batch_size))
    assert patience is not None, "nothing stops without patience"
    average = np.nan

    def callback(epoch, params, losses) -> None:
        nonlocal average
        latest = losses["validation_loss"]
        average = latest if epoch == 1 else WEIGHT * latest + (1 - WEIGHT) * average
        if average < best["loss"]:
            best.update(loss=average, epoch=epoch, params=params)
        if epoch - best["epoch"] >= patience:
            raise StopIteration

    try:
        to_the_end = replace(settings, patience=None)
        result = fit_model(
            model, to_the_end, loss, data, *others, **running | {"callback": callback}
        )
    except StopIteration as stop:
        result = stop.result  # type: ignore[attr-defined]
    return result if best["params"] is None else result._replace(params=best["params"])
