"""Training: epochs and batches inside one compiled program."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks
from lstmcore.devices import check_devices, check_mean, put_everywhere, useful
from lstmcore.dtypes import check_key, memory_dtype
from lstmcore.epochs import EPOCHS_PER_CALL, Training, run_epochs, start
from lstmcore.progress import progress_bar

__all__ = ["FitResult", "NonFiniteLossError", "fit"]

SECONDS_PER_CALL = 0.2  # of compiled training before Python looks at the clock and at Ctrl-C


class FitResult(NamedTuple):
    """What training found.

    Attributes:
      params: the trained params; with `patience` those of the best epoch.
      history: {"loss": NumPy [epochs]}, and "validation_loss" likewise if there was validation
        data; shorter than asked for if training stopped early.
    """

    params: Any
    history: dict[str, np.ndarray]


class NonFiniteLossError(FloatingPointError):
    """Training met a loss, a gradient or a weight that is NaN or infinite.

    Attributes:
      result: FitResult with the last params that were finite (with `patience` those of the best
        epoch) and the history of the epochs before.
    """

    def __init__(self, message: str, result: FitResult):
        super().__init__(message, result)  # both, so that the error survives pickling
        self.result = result

    def __str__(self) -> str:
        return self.args[0]


def fit(
    loss: Callable,
    params,
    data,
    *,
    optimizer=None,
    epochs: int,
    batch_size: int,
    key: jax.Array | None = None,
    validation=None,
    patience: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    progress: bool = False,
) -> FitResult:
    """Minimise a loss by gradient descent.

    The run is one program that Python enters a few times a second. It is compiled once for each
    combination of loss function, optimizer and shapes: pass the same two objects to train again
    with other keys or data. (What the loss itself refers to, such as a model, may change between
    calls; what functions that it calls refer to must not.) Learning-rate schedules and gradient
    clipping are part of the optimizer, for instance

        schedule = optax.cosine_decay_schedule(1e-3, decay_steps=500)
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    Equal arguments give equal results, bit for bit on one machine.

    Args:
      loss: function (params, batch) -> scalar; `batch` is `data` with fewer rows.
      params: pytree of floating-point arrays to start from; not changed.
      data: array, or pytree of arrays, with examples along the first axis.
      optimizer: of optax; None stands for `optax.adam(1e-3)`.
      epochs: how often to go through the data.
      batch_size: examples per step; the last batch of an epoch holds what is left.
      key: random key for a new order of examples in each epoch; None keeps the order of `data`.
      validation: like `data`; its loss is measured after each epoch.
      patience: stop after this many epochs without a lower validation loss, and return the params
        of the best epoch. Without validation data the loss on the training data counts, measured
        once more after each epoch.
      devices: split each batch over these, for instance `jax.devices()` after
        `lc.use_all_cores()`; each holds a copy of the data. The loss must then be a mean with equal
        weight for each example, for it is taken of each part alone (a mean over the real steps of
        masked sequences is none); the result is the same up to rounding.
      progress: show a bar with the losses and the time left (needs rich: `lstmcore[cli]`).

    Returns:
      FitResult(params, history). The loss of an epoch is the mean over its examples, each taken
      before the step that its batch caused.

    Raises:
      NonFiniteLossError: a loss, gradient or weight became NaN or infinite; the error's `result`
        holds the last finite params.
      ValueError: numbers below 1, data without examples or of unequal lengths, a loss that is no
        scalar, or with `devices` no mean over the examples.
      TypeError: params that are not floating point, an optimizer that is none of optax, a key that
        is none, or devices that are none.
      ImportError: `progress` without rich.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> x = lc.windows(jnp.sin(jnp.arange(100) / 5), length=10)
      >>> model = lc.Autoencoder(features=1, units=8)
      >>> def loss(params, x):
      ...     x_hat, _ = model.apply(params, x)
      ...     return jnp.mean((x_hat - x) ** 2)
      >>> result = lc.fit(loss, model.init(jax.random.key(0)), x, epochs=20, batch_size=16)
      >>> bool(result.history["loss"][-1] < result.history["loss"][0])
      True
    """
    epochs = checks.check_count("epochs", epochs)
    batch_size = checks.check_count("batch_size", batch_size)
    patience = None if patience is None else checks.check_count("patience", patience)
    params = _floating_params(params)
    devices = check_devices(devices)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, params)
    data, examples = _examples("data", data)
    batch_size = min(batch_size, examples)
    if validation is not None:
        validation, _ = _examples("validation", validation)
    loss_dtype = _check_loss(loss, params, data, batch_size)
    optimizer = _default_optimizer() if optimizer is None else optimizer
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            f"optimizer must be one of optax, got {type(optimizer).__name__}: "
            "write for instance optax.adam(1e-3)"
        )
    if key is not None:
        check_key(key)
    devices = useful(devices, batch_size)
    if len(devices) > 1:
        check_mean(loss, params, jax.tree.map(lambda leaf: leaf[:batch_size], data))
    training = start(params, optimizer, loss_dtype, keep_best=patience is not None)
    training, data, validation, key = put_everywhere((training, data, validation, key), devices)
    run = partial(
        run_epochs,
        data=data,
        validation=validation,
        key=key,
        loss=loss,
        surroundings=_surroundings(loss),
        optimizer=optimizer,
        batch_size=batch_size,
        patience=patience,
        devices=devices,
    )
    with progress_bar(epochs) if progress else nullcontext(_no_report) as report:
        for training, history in _chunks(run, training, epochs):  # noqa: B020 - the newest one
            report(int(training.epoch), history)
    found = training.params if patience is None else training.best
    result = FitResult(jax.device_put(found, shardings) if devices else found, history)
    if not training.finite:
        raise NonFiniteLossError(
            f"a loss, a gradient or a weight became NaN or infinite in epoch "
            f"{int(training.epoch) + 1} of {epochs}: lower the learning rate, clip gradients "
            "(optax.clip_by_global_norm), scale the data, or look for NaN in data and validation; "
            "finite params are in this error's .result",
            result,
        )
    return result


def _chunks(run, training, epochs) -> Iterator[tuple[Training, dict[str, np.ndarray]]]:
    """Advance in calls of about `SECONDS_PER_CALL`; where they end does not change the result.

    Yields (Training, the history so far).
    """
    size = 1
    history: dict[str, np.ndarray] = {}
    while True:
        before, started = int(training.epoch), time.perf_counter()
        until = min(before + size, epochs)
        training, losses = jax.block_until_ready(run(training, until))
        elapsed = time.perf_counter() - started
        done = int(training.epoch)
        new = {name: np.asarray(values)[: done - before] for name, values in losses.items()}
        history = {k: np.concatenate([history.get(k, v[:0]), v]) for k, v in new.items()}
        yield training, history
        if done < until or done == epochs:
            return  # stopped by itself, or complete
        size = max(1, min(4 * size, int(size * SECONDS_PER_CALL / elapsed), EPOCHS_PER_CALL))


def _no_report(epoch, history) -> None:
    pass


class _Same:
    """Stands for an object in a cache's key: equal to itself alone, and keeps it alive."""

    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self):
        return id(self.value)


def _surroundings(loss) -> tuple:
    """What the loss refers to by name, so that a changed model is never trained as the old one."""
    try:
        found = inspect.getclosurevars(loss)
    except (TypeError, ValueError):  # not a Python function: a partial, a callable object
        return ()
    return tuple(
        (name, value if _is_value(value) else _Same(value))
        for name, value in sorted({**found.globals, **found.nonlocals}.items())
    )


def _is_value(value) -> bool:
    """Whether equal means the same: a model, for instance, made again with the same sizes."""
    try:
        hash(value)
    except TypeError:
        return False
    parameters = getattr(value, "__dataclass_params__", None)
    return parameters is not None and parameters.frozen


@cache
def _default_optimizer():
    import optax

    return optax.adam(1e-3)


def _floating_params(params):
    for path, leaf in jax.tree.leaves_with_path(params):
        if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)):
            raise TypeError(
                f"params{jax.tree_util.keystr(path)} must be a floating-point array, got "
                f"{getattr(leaf, 'dtype', type(leaf).__name__)}"
            )
    return jax.tree.map(jnp.asarray, params)


def _examples(name: str, data) -> tuple:
    """The data as JAX arrays, and how many examples they hold."""
    leaves = jax.tree.leaves(data)
    if not leaves or any(np.ndim(leaf) == 0 for leaf in leaves):
        raise ValueError(
            f"{name} must be an array or a pytree of arrays with examples along axis 0"
        )
    lengths = {len(leaf) for leaf in leaves}
    if len(lengths) > 1:
        raise ValueError(f"the arrays of {name} hold {sorted(lengths)} examples: they must agree")
    if lengths == {0}:
        raise ValueError(f"{name} holds no examples: its first axis is empty")
    return jax.tree.map(jnp.asarray, data), lengths.pop()


def _check_loss(loss, params, data, batch_size):
    """The dtype to record the loss in, if it is a scalar."""
    batch = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct((batch_size, *leaf.shape[1:]), leaf.dtype), data
    )
    value = jax.eval_shape(loss, params, batch)
    if not (hasattr(value, "shape") and value.shape == ()):
        got = f"shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
        raise ValueError(f"loss must return a scalar, got {got}: take its mean")
    checks.check_floating("loss", value)
    return memory_dtype(value.dtype)
