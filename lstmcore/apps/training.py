"""Training shared by the applications: weights drawn from the seed, then `lc.fit`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import numpy as np

from lstmcore.apps.settings import TrainingSettings
from lstmcore.batching import Buckets
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
      optimizer: None takes `adam`, with the learning rate of the settings.
      start: returns the params to start from, given those that were drawn.
      running: `callback`, `progress`, `checkpoint`, `resume` and `devices` of `lc.fit`.

    Raises:
      ValueError, TypeError, NonFiniteLossError, KeyboardInterrupt: as `lc.fit`.
    """
    params, key = _init(model, np.int64(settings.seed))
    batches = batches_of(data, settings.batch_size)
    return fit(
        loss,
        start(params),
        data,
        optimizer=adam(settings.learning_rate) if optimizer is None else optimizer,
        epochs=settings.epochs_for(batches),
        batch_size=settings.batch_size,
        key=key,
        validation=validation,
        patience=settings.patience_for(batches),
        **running,
    )


def batches_of(data, batch_size: int) -> int:
    """Return the number of batches in an epoch."""
    parts = data.parts if isinstance(data, Buckets) else [data]
    return sum(-(-len(jax.tree.leaves(part)[0]) // batch_size) for part in parts)


@cache  # the same object, so that training again compiles nothing
def adam(learning_rate: float, clip: float = 1.0, decay_steps: int | None = None, members: int = 1):
    """Return Adam on gradients that are scaled down to a norm of `clip`, where they are larger.

    One odd example then moves the weights, and the moments of Adam, no further than any other.

    Args:
      learning_rate: the step size.
      clip: largest norm of a gradient.
      decay_steps: the step size falls to 0 along a cosine over so many steps; None keeps it.
      members: number of models whose params are stacked on the first axis and whose loss is the
        mean of theirs. The gradient of each is scaled down by itself.
    """
    import optax  # here, so that importing an application does not import it

    rate: Any = learning_rate
    if decay_steps is not None:
        rate = optax.cosine_decay_schedule(learning_rate, decay_steps)
    clipping = optax.clip_by_global_norm(clip / members)
    if members > 1:
        clipping = _for_each(clipping)
    return optax.chain(clipping, optax.adam(rate))


def _for_each(clipping):
    """Return a clipping that is applied to each entry of the first axis by itself."""
    import optax

    def update(gradients, state, params=None):
        return jax.vmap(lambda each: clipping.update(each, state)[0])(gradients), state

    return optax.GradientTransformation(clipping.init, update)


def initial_params(model, settings: TrainingSettings) -> dict:
    """Return the params that `fit_model` draws."""
    return _init(model, np.int64(settings.seed))[0]


@partial(compiled, compiler_options=RUN_ONCE)
def _init(model, seed) -> tuple[dict, jax.Array]:
    """Return the initial params, and the key of the training."""
    init_key, key = jax.random.split(jax.random.key(seed))
    return model.init(init_key), key
