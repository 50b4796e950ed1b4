"""Training shared by the applications: weights drawn from the seed, then `lc.fit`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import numpy as np

from lstmcore.apps.settings import TrainingSettings
from lstmcore.programs import compiled
from lstmcore.training.fit import FitResult, fit

# To optimise what runs once takes longer than to run it as it is.
RUN_ONCE = {"xla_backend_optimization_level": 0}


def fit_model(
    model,
    settings: TrainingSettings,
    loss: Callable,
    data,
    validation=None,
    *,
    optimizer=None,
    start: Callable = lambda params: params,
    **running: Any,
) -> FitResult:
    """Initialise a model and train it with these settings.

    Args:
      model: a model of lstmcore.
      settings: epochs, batch size, learning rate, patience and seed are used.
      loss, data, validation: as in `lc.fit`.
      optimizer: None takes Adam.
      start: returns the params to start from, given those that were drawn.
      running: `callback`, `progress`, `checkpoint`, `resume` and `devices` of `lc.fit`.

    Raises:
      ValueError, TypeError, NonFiniteLossError, KeyboardInterrupt: as `lc.fit`.
    """
    params, key = _init(model, np.int64(settings.seed))
    return fit(
        loss,
        start(params),
        data,
        optimizer=adam(settings.learning_rate) if optimizer is None else optimizer,
        epochs=settings.epochs,
        batch_size=settings.batch_size,
        key=key,
        validation=validation,
        patience=settings.patience,
        **running,
    )


@cache  # the same object, so that training again compiles nothing
def adam(learning_rate: float):
    """Return Adam with this step size."""
    import optax  # here, so that importing an application does not import it

    return optax.adam(learning_rate)


@partial(compiled, compiler_options=RUN_ONCE)
def _init(model, seed) -> tuple[dict, jax.Array]:
    """Return the initial params, and the key of the training."""
    init_key, key = jax.random.split(jax.random.key(seed))
    return model.init(init_key), key
