"""Training: epochs and batches inside one compiled program."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import jax
import numpy as np

from lstmcore import checks
from lstmcore.dtypes import check_key
from lstmcore.training.arguments import (
    check_loss,
    check_loss_of_chunks,
    check_optimizer,
    check_tbptt_steps,
    floating_params,
    parts_of,
    takes_key,
    zeros_for_all,
)
from lstmcore.training.cache_key import surroundings
from lstmcore.training.checkpoint import State, begin, check_place, describe, kept
from lstmcore.training.devices import check_devices, check_mean, put_everywhere, useful
from lstmcore.training.epochs import (
    EPOCHS_PER_CALL,
    Plan,
    Training,
    before_training,
    run_epochs,
    should_continue,
)
from lstmcore.training.minibatches import rows_of
from lstmcore.training.progress import progress_bar

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
    tbptt_steps: int | None = None,
    initial_state: Callable | None = None,
    callback: Callable[[int, Any, dict[str, float]], None] | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
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

    Whatever ends training once it has begun, Ctrl-C (KeyboardInterrupt) or an exception of
    `callback`, carries the FitResult of the epochs so far as its attribute `result`:

        try:
            result = lc.fit(...)
        except KeyboardInterrupt as stop:
            result = stop.result        # not caught in a session: sys.last_value.result

    With `checkpoint` it is in a file too, for what ends without a word: a killed process, a power
    cut. The same call with `resume=True` goes on from there, and ends with the same numbers, bit
    for bit (on one machine with one set of versions), as if it had never stopped:

        result = lc.fit(..., checkpoint="run.safetensors", resume=True)     # starts, or goes on

    Args:
      loss: function (params, batch) -> scalar; `batch` is `data` with fewer rows. With
        `tbptt_steps`: (params, chunk, state) -> (scalar, state). A loss with a parameter
        `key=None` is given a new random key in each step, for dropout and the like, and none where
        it is only measured, as on validation data; this takes `key`, and does not go together with
        `devices`.
      params: pytree of floating-point arrays to start from; not changed.
      data: array, or pytree of arrays, with examples along the first axis. Or Buckets of them, for
        sequences of unequal length: each batch is then of one bucket.
      optimizer: of optax, also one that measures the loss itself (`optax.lbfgs()`, best with all
        examples in one batch); None stands for `optax.adam(1e-3)`, with moments of at least float32
        also for narrower params.
      epochs: how often to go through the data.
      batch_size: examples per step; the last batch of an epoch (of each bucket) holds what is left.
      key: random key for a new order of examples in each epoch, with Buckets also of the batches of
        all buckets; None keeps the order of `data`, one bucket after the other.
      validation: like `data`, or Buckets; its loss is measured after each epoch.
      patience: stop after this many epochs without a lower validation loss, and return the params
        of the best epoch. Without validation data the loss on the training data counts, measured
        once more after each epoch.
      devices: split each batch over these, for instance `jax.devices()` after
        `lc.use_all_cores()`; each holds a copy of the data. The loss must then be a mean with equal
        weight for each example, for it is taken of each part alone (a mean over the real steps of
        masked sequences is none); the result is the same up to rounding.
      tbptt_steps: k, for truncated backpropagation through time (Werbos 1990; Williams & Peng
        1990): each batch is cut into chunks of k steps along axis 1 (the last may be shorter),
        with one step of the optimizer for each chunk. The state that the loss returns goes to the
        next chunk as plain numbers: it carries memory, but no gradient. Arrays [examples] have no
        time axis and are given to each chunk whole; all others must have the same number of steps.
        Each step weighs the same in the recorded losses. Not together with `devices`.
      initial_state: with `tbptt_steps`, (params, batch) -> the state before the first chunk of a
        batch; None starts every LSTM layer of the params from zeros, `lc.zero_states`. A first
        state that depends on the params is learned.
      callback: called after each epoch with (number of epochs done, their params, the epoch's
        losses as in `history`), for instance to print samples. Python is then entered in every
        epoch.
      checkpoint: a file of this run alone, to keep where it stands: written after the first epoch,
        then every 10 s (less often if writing takes long), and when training ends, however it ends.
        It is replaced in one step, so that it is whole at any moment.
      resume: go on from `checkpoint` if there is such a file, else start. What was given must be
        the same, data, key, batch_size and tbptt_steps; `epochs` and `patience` may have grown, and
        `params` are looked at for their shapes alone. The loss, `initial_state` and the optimizer
        cannot be compared but for the shapes of the optimizer's state: a learning rate may be
        another, for instance after a NonFiniteLossError, which leaves the file as it was last
        written. A run that is complete returns its result at once. `callback` sees the new epochs
        alone.
      progress: show a bar with the losses and the time left (needs rich: `lstmcore[cli]`).

    Returns:
      FitResult(params, history). The loss of an epoch is the mean over its examples, each taken
      before the step that its batch (or chunk) caused.

    Raises:
      NonFiniteLossError: a loss, gradient or weight became NaN or infinite; the error's `result`
        holds the last finite params.
      ValueError: numbers below 1, data without examples or of unequal lengths, a loss that is no
        scalar, with `devices` no mean over the examples, with `tbptt_steps` returns no state like
        the one it was given, or takes a `key` that there is not; a checkpoint that is damaged, or
        of another run.
      TypeError: params that are not floating point, an optimizer that is none of optax, a key that
        is none, devices that are none, or `initial_state` or `callback` that is no function.
      FileExistsError: there is a file `checkpoint`, but no `resume`.
      OSError: the checkpoint cannot be written: found out before training starts, as far as that
        can be told. Later, the last complete file stays, and the error has its `result`.
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
    params = floating_params(params)
    devices = check_devices(devices)
    shardings = jax.tree.map(lambda leaf: leaf.sharding, params)
    data = parts_of("data", data)
    batch_size = min(batch_size, max(map(rows_of, data)))
    validation = None if validation is None else parts_of("validation", validation)
    tbptt_steps = check_tbptt_steps(tbptt_steps, initial_state, devices, data, validation)
    initial_state = zeros_for_all if initial_state is None else initial_state
    noisy = takes_key(loss, key, devices)
    if tbptt_steps is None:
        loss_dtype = check_loss(loss, params, data, batch_size)
    else:
        loss_dtype = check_loss_of_chunks(
            loss, initial_state, params, data, batch_size, tbptt_steps
        )
    optimizer = check_optimizer(optimizer)
    if key is not None:
        check_key(key)
    if callback is not None and not callable(callback):
        raise TypeError(
            f"callback must be a function (epoch, params, losses), got {type(callback).__name__}"
        )
    checkpoint = check_place(checkpoint, resume)
    devices = useful(devices, batch_size)
    if len(devices) > 1:
        largest = max(data, key=rows_of)
        check_mean(loss, params, jax.tree.map(lambda leaf: leaf[:batch_size], largest))
    names = ("loss",) if validation is None else ("loss", "validation_loss")
    history = {name: np.zeros(0, loss_dtype) for name in names}
    training = before_training(params, optimizer, loss_dtype, keep_best=patience is not None)
    if checkpoint is not None:
        options = {"batch_size": batch_size, "patience": patience, "tbptt_steps": tbptt_steps}
        this_run = describe(data, validation, key, epochs=epochs, **options)
        training, history = begin(checkpoint, State(training, history), this_run)
    training, data, validation, key = put_everywhere((training, data, validation, key), devices)
    around = surroundings(loss) + surroundings(initial_state)
    plan = Plan(
        loss, noisy, around, optimizer, batch_size, patience, devices, tbptt_steps, initial_state
    )
    run = partial(run_epochs, data=data, validation=validation, key=key, plan=plan)

    def result_now() -> FitResult:
        found = training.params if patience is None else training.best
        return FitResult(jax.device_put(found, shardings) if devices else found, history)

    if resume and not should_continue(training, epochs, patience):
        return result_now()
    chunks = _chunks(run, training, history, epochs, one_by_one=callback is not None)
    bar = progress_bar(epochs, int(training.epoch)) if progress else nullcontext(_nothing)
    file: AbstractContextManager[Callable] = nullcontext(_nothing)
    if checkpoint is not None:
        file = kept(checkpoint, State(training, history), this_run)
    try:
        with bar as report, file as keep:
            for training, history in chunks:
                keep(training, history)
                report(int(training.epoch), history)
                if callback is not None and training.finite:
                    params = jax.device_put(training.params, shardings)
                    losses = {name: float(values[-1]) for name, values in history.items()}
                    callback(int(training.epoch), params, losses)
            if not training.finite:
                raise _diverged(int(training.epoch) + 1, epochs, result_now())
    except BaseException as error:  # Ctrl-C among them: what was learned must not be lost
        error.result = result_now()  # type: ignore[attr-defined]
        done = int(training.epoch)  # a comparison in JAX would wait for what still runs
        if done and training.finite:
            error.add_note(f"(params after epoch {done} are in this error's .result)")
        raise
    return result_now()


def _diverged(epoch: int, epochs: int, result: FitResult) -> NonFiniteLossError:
    narrow = any(leaf.dtype == np.float16 for leaf in jax.tree.leaves(result.params))
    eps = "raise the optimizer's eps (1e-8 is 0 in float16: optax.adam(1e-3, eps=1e-4)), "
    return NonFiniteLossError(
        f"a loss, a gradient or a weight became NaN or infinite in epoch {epoch} of {epochs}: "
        f"{eps if narrow else ''}lower the learning rate, clip gradients "
        "(optax.clip_by_global_norm), scale the data, or look for NaN in data and validation; "
        "finite params are in this error's .result",
        result,
    )


def _chunks(
    run, training, history, epochs, one_by_one
) -> Iterator[tuple[Training, dict[str, np.ndarray]]]:
    """Advance in calls of about `SECONDS_PER_CALL`; where they end does not change the result.

    Yields (Training, the history so far); after each epoch if they are wanted `one_by_one`.
    """
    size = 1
    while True:
        before, started = int(training.epoch), time.perf_counter()
        until = min(before + size, epochs)
        training, losses = jax.block_until_ready(run(training, until))
        elapsed = time.perf_counter() - started
        done = int(training.epoch)
        new = {name: np.asarray(values)[: done - before] for name, values in losses.items()}
        history = {name: np.concatenate([history[name], new[name]]) for name in new}
        yield training, history
        if done < until or done == epochs:
            return  # stopped by itself, or complete
        if not one_by_one:
            size = max(1, min(4 * size, int(size * SECONDS_PER_CALL / elapsed), EPOCHS_PER_CALL))


def _nothing(*_) -> None:
    pass
