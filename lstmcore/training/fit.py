"""Training: `fit` checks its arguments, runs compiled epochs, and saves and reports in between."""

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
from lstmcore.arrays import check_known
from lstmcore.dtypes import check_key
from lstmcore.series.frames import make_frame
from lstmcore.training.arguments import (
    check_callback,
    check_loss,
    check_optimizer,
    check_tbptt_steps,
    floating_params,
    parts_of,
    takes_key,
    zeros_for_all,
)
from lstmcore.training.cache_key import captured_variables
from lstmcore.training.checkpoint import (
    State,
    check_checkpoint_path,
    checkpointing,
    describe,
    restore_or_start,
)
from lstmcore.training.devices import check_devices, put_everywhere, worthwhile
from lstmcore.training.epochs import (
    EPOCHS_PER_CALL,
    Plan,
    before_training,
    loss_names,
    run_epochs,
    should_continue,
)
from lstmcore.training.history import (
    history_columns,
    history_html,
    history_text,
    params_text,
)
from lstmcore.training.minibatches import rows_of
from lstmcore.training.progress import progress_bar

__all__ = ["FitResult", "NonFiniteLossError", "fit"]

SECONDS_PER_CALL = 0.2  # of compiled training before Python checks the clock and Ctrl-C


class FitResult(NamedTuple):
    """Result of training.

    Attributes:
      params: the trained params; with `patience` those of the best epoch.
      history: {"loss": NumPy [epochs]}, and "validation_loss" likewise if there was validation
        data; shorter than `epochs` if training stopped early.
    """

    params: Any
    history: dict[str, np.ndarray]

    def to_frame(self, library: str = "pandas") -> Any:
        """Return a data frame with one row for each epoch: epoch (from 1), loss, validation_loss.

        Args:
          library: "pandas", "polars", "pyarrow", or another one that narwhals knows.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: narwhals does not know the library.

        Examples:
          >>> FitResult({}, {"loss": np.array([0.5, 0.25])}).to_frame()["epoch"].tolist()
          [1, 2]
        """
        return make_frame(history_columns(self.history), library)

    def __repr__(self) -> str:
        return f"FitResult({history_text(self.history)}; {params_text(self.params)})"

    def _repr_html_(self) -> str:
        return history_html("FitResult", self.history, params_text(self.params))


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
    # So many parameters because they are independent of one another and most calls leave most of
    # them out; a settings object would only be one more thing to build and to learn.
    loss: Callable,
    params: Any,
    data: Any,
    *,
    optimizer: Any = None,
    epochs: int,
    batch_size: int,
    key: jax.Array | None = None,
    validation: Any = None,
    patience: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    tbptt_steps: int | None = None,
    initial_state: Callable | None = None,
    callback: Callable[[int, Any, dict[str, float]], None] | None = None,
    checkpoint: str | os.PathLike | None = None,
    resume: bool = False,
    progress: bool | str = False,
) -> FitResult:
    """Minimise a loss by gradient descent.

    The run is one program that Python enters a few times a second. It is compiled once for each
    combination of loss function, optimizer and shapes: pass the same two objects to train again
    with other keys or data. (The captured variables of the loss, such as a model, may change
    between calls; those of functions that it calls must not.) Learning-rate schedules and gradient
    clipping are part of the optimizer, for instance

        schedule = optax.cosine_decay_schedule(1e-3, decay_steps=500)
        optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))

    Equal arguments give equal results, bit for bit on one machine.

    An exception that ends training once it has begun, Ctrl-C (KeyboardInterrupt) or one that
    `callback` raises, carries the FitResult of the epochs so far as its attribute `result`:

        try:
            result = lc.fit(...)
        except KeyboardInterrupt as stop:
            result = stop.result        # not caught in a session: sys.last_value.result

    With `checkpoint` it is also in a file, which survives a killed process or a power cut. The same
    call with `resume=True` goes on from there, and ends with the same numbers, bit for bit (on one
    machine with one set of versions), as if it had never stopped:

        result = lc.fit(..., checkpoint="run.safetensors", resume=True)     # starts, or goes on

    Args:
      loss: function (params, batch) -> scalar; `batch` is `data` with fewer rows. With
        `tbptt_steps`: (params, chunk, state) -> (scalar, state). A loss with a parameter
        `key=None` is given a new random key in each step, for dropout and the like, and none when
        it is only measured, as on validation data; it needs `key`, and cannot be combined with
        `devices`.
      params: pytree of floating-point arrays to start from; left unchanged.
      data: array, or pytree of arrays, with examples along the first axis. Or Buckets of them, for
        sequences of unequal length: each batch is then from one bucket.
      optimizer: from optax, including one that measures the loss itself (`optax.lbfgs()`, best with
        all examples in one batch); None for `optax.adam(1e-3)`, with moments of at least float32
        even for narrower params.
      epochs: number of passes through the data.
      batch_size: examples per step; the last batch of an epoch (of each bucket) may be smaller.
      key: random key for a new order of examples in each epoch, with Buckets also of the batches of
        all buckets; None keeps the order of `data`, one bucket after another.
      validation: like `data`, or Buckets; its loss is measured after each epoch.
      patience: stop after this many epochs without a lower validation loss, and return the params
        of the best epoch. Without validation data it is the loss on the training data, measured
        again after each epoch.
      devices: split each batch over these, for instance `jax.devices()` after
        `lc.use_all_cores()`; each holds a copy of the data. Of the cores of a CPU no more are used
        than get four examples each. The loss must then be a mean with equal
        weight for each example, because it is computed for each part separately (a mean over the
        real steps of masked sequences does not qualify); the result is the same up to rounding.
      tbptt_steps: k, for truncated backpropagation through time (Werbos 1990; Williams & Peng
        1990): each batch is cut into chunks of k steps along axis 1 (the last may be shorter),
        with one step of the optimizer for each chunk. The state that the loss returns is passed to
        the next chunk as plain numbers: it carries memory, but no gradient. Arrays [examples] have
        no time axis and are passed to each chunk whole; all others must have the same number of
        steps. Each step has the same weight in the recorded losses. Not together with `devices`.
      initial_state: with `tbptt_steps`, (params, batch) -> the state before the first chunk of a
        batch; None starts every LSTM layer of the params from zeros, `lc.zero_states`. An initial
        state that depends on the params is learned.
      callback: called after each epoch with (number of epochs done, their params, the epoch's
        losses as in `history`), for instance to print samples. The program then returns to Python
        after every epoch.
      checkpoint: path of a file for this run alone: written after the first epoch, then every 10 s
        (less often if writing takes long), and when training ends, however it ends. It is replaced
        in one step, so that it is complete at any moment.
      resume: go on from `checkpoint` if there is such a file, else start. Data, key, batch_size and
        tbptt_steps must be the same; `epochs` and `patience` may be larger, and of `params` only
        the shapes are compared. The loss, `initial_state` and the optimizer cannot be compared,
        except for the shapes of the optimizer's state: the learning rate may be different, for
        instance after a NonFiniteLossError, which leaves the file as it was last written. A run
        that is complete returns its result at once. `callback` is called for new epochs only.
      progress: show a bar with the losses and the time left (needs rich: `lstmcore[cli]`); a text
        is its name.

    Returns:
      FitResult(params, history). The loss of an epoch is the mean over its examples, each measured
      before the step on its batch (or chunk).

    Raises:
      NonFiniteLossError: a loss, gradient or weight became NaN or infinite; the error's `result`
        holds the last finite params.
      ValueError: numbers below 1, data without examples or of unequal lengths, a loss that is not a
        scalar, with `devices` is not a mean over the examples, with `tbptt_steps` does not return a
        state like the one it was given, or takes a `key` when none is passed; a checkpoint that is
        damaged, or of another run.
      TypeError: params that are not floating point, an optimizer that is not from optax, or a key,
        devices, `initial_state` or `callback` of another kind.
      FileExistsError: the file `checkpoint` exists and `resume` is False.
      OSError: the checkpoint cannot be written. As far as possible this is raised before training
        starts; later, the last complete file remains, and the error has its `result`.
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
    patience = None if patience is None else checks.check_count("patience", patience)
    params = floating_params(params)
    data = parts_of("data", data)
    validation = None if validation is None else parts_of("validation", validation)
    batch_size = min(checks.check_count("batch_size", batch_size), max(map(rows_of, data)))
    devices = check_devices(devices)
    tbptt_steps = check_tbptt_steps(tbptt_steps, initial_state, devices, data, validation)
    if key is not None:
        check_known("key", key)
        check_key(key)
    check_callback(callback)
    path = check_checkpoint_path(checkpoint, resume)
    initial_state = zeros_for_all if initial_state is None else initial_state
    plan = Plan(
        loss,
        takes_key(loss, key, devices),
        captured_variables(loss) + captured_variables(initial_state),
        check_optimizer(optimizer),
        batch_size,
        patience,
        worthwhile(devices, batch_size),
        tbptt_steps,
        initial_state,
    )
    loss_dtype = check_loss(plan, params, data)
    training = before_training(params, plan.optimizer, loss_dtype, keep_best=patience is not None)
    history = {name: np.zeros(0, loss_dtype) for name in loss_names(validation)}
    run = _Run(State(training, history), plan, params)
    del training  # `run` alone holds the arrays, so that they are freed as training goes on
    this_run: dict = {}
    if path is not None:
        numbers: dict = {"batch_size": batch_size, "patience": patience, "tbptt_steps": tbptt_steps}
        this_run = describe(data, validation, key, epochs=epochs, **numbers)
        run.state = restore_or_start(path, run.state, this_run)
    data, validation, key = put_everywhere((data, validation, key), plan.devices)
    run.put_everywhere()
    if resume and not should_continue(run.state.training, epochs, patience):
        return run.result()
    advance = partial(run_epochs, data=data, validation=validation, key=key, plan=plan)
    chunks = _chunks(advance, run, epochs, one_by_one=callback is not None)
    name = progress if isinstance(progress, str) else "training"
    bar = progress_bar(epochs, run.epoch, name) if progress else nullcontext(_nothing)
    file: AbstractContextManager[Callable] = nullcontext(_nothing)
    if path is not None:
        file = checkpointing(path, run.state, this_run)
    return _train(run, chunks, epochs, callback, bar, file)


class _Run:
    """A run that is under way: its state, and the result that it would have now."""

    def __init__(self, state: State, plan: Plan, params: Any):
        self.state, self.plan = state, plan
        self.shardings = jax.tree.map(lambda leaf: leaf.sharding, params)

    @property
    def epoch(self) -> int:
        """Return the number of complete epochs."""
        return int(self.state.training.epoch)

    def put_everywhere(self) -> None:
        """Copy the state to each device of the plan."""
        training = put_everywhere(self.state.training, self.plan.devices)
        self.state = State(training, self.state.history)

    def put_back(self, params: Any) -> Any:
        """Return params on the devices that those given to `fit` were on."""
        return jax.device_put(params, self.shardings)

    def result(self) -> FitResult:
        """Return the result so far."""
        training, history = self.state
        params = training.params if self.plan.patience is None else training.best
        return FitResult(self.put_back(params) if self.plan.devices else params, history)


def _train(
    run: _Run,
    chunks: Iterator[State],
    epochs: int,
    callback: Callable | None,
    bar: AbstractContextManager[Callable],
    file: AbstractContextManager[Callable],
) -> FitResult:
    """Train to the end, showing, saving and calling back; any error carries the result so far."""
    try:
        with bar as report, file as save:
            for state in chunks:
                run.state = state
                save(state)
                report(run.epoch, state.history)
                if callback is not None and state.training.finite:
                    params = run.put_back(state.training.params)
                    losses = {name: float(values[-1]) for name, values in state.history.items()}
                    callback(run.epoch, params, losses)
            if not run.state.training.finite:
                raise _diverged(run.epoch + 1, epochs, run.result())
    except BaseException as error:  # Ctrl-C among them: what was learned must not be lost
        error.result = run.result()  # type: ignore[attr-defined]
        done = run.epoch  # a comparison in JAX would wait for what still runs
        if done and run.state.training.finite:
            error.add_note(f"(params after epoch {done} are in this error's .result)")
        raise
    return run.result()


def _chunks(advance: Callable, run: _Run, epochs: int, one_by_one: bool) -> Iterator[State]:
    """Yield the state after each call of about `SECONDS_PER_CALL`, or of one epoch, `one_by_one`.

    Where a call ends does not change the result.
    """
    training, history = run.state
    size = 1
    while True:
        before, started = int(training.epoch), time.perf_counter()
        until = min(before + size, epochs)
        training, losses = jax.block_until_ready(advance(training, until))
        elapsed = time.perf_counter() - started
        done = int(training.epoch)
        new = {name: np.asarray(values)[: done - before] for name, values in losses.items()}
        history = {name: np.concatenate([history[name], new[name]]) for name in new}
        yield State(training, history)
        if done < until or done == epochs:
            return  # stopped by itself, or complete
        if not one_by_one:
            size = max(1, min(4 * size, int(size * SECONDS_PER_CALL / elapsed), EPOCHS_PER_CALL))


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


def _nothing(*_: Any) -> None:
    pass
