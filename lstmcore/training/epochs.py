"""The compiled part of `fit`: a scan over steps inside a loop over epochs that stops by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.dtypes import accumulation_dtype
from lstmcore.programs import compiled
from lstmcore.training.devices import on_each, spread, with_gradient
from lstmcore.training.minibatches import Batching, over_batches, over_chunks

EPOCHS_PER_CALL = 1024  # at most; the length of the buffer for losses
NOISE = 1  # folded into an epoch's key, for noise whose draws differ from those of its order


class Plan(NamedTuple):
    """Static arguments of the compiled program: all that is known before any array is.

    Attributes:
      loss: (params, batch) -> scalar, or [B] if it is `ByExample`; with `tbptt_steps`
        (params, chunk, state) -> (scalar, state).
      noisy: whether the loss also takes a random key.
      captured_variables: of the loss and of `initial_state`; they are only compared.
      optimizer: from optax.
      batch_size: examples per step.
      patience: epochs without a lower loss before training stops, or None.
      devices: those that each batch is split over.
      tbptt_steps: steps in a chunk of truncated backpropagation, or None.
      initial_state: (params, batch) -> state before the first chunk.
    """

    loss: Callable
    noisy: bool
    captured_variables: tuple
    optimizer: Any
    batch_size: int
    patience: int | None
    devices: tuple[jax.Device, ...]
    tbptt_steps: int | None
    initial_state: Callable


class ByExample(partial):
    """A loss of lstmcore's own that returns one number for each example, independent of the others.

    The mean is minimised, so the last batch can be filled up with rows of weight 0: it compiles
    nothing of its own. Of a user's loss nobody knows whether [B] are its examples.
    """


def is_by_example(plan: Plan) -> bool:
    """Return whether the loss of a plan returns one number for each example."""
    return isinstance(plan.loss, ByExample)


class Training(NamedTuple):
    """Carry from epoch to epoch.

    Attributes:
      epoch: the number of complete epochs.
      params, optimizer_state: after the latest step.
      finite: whether losses and params still are.
      best: params of the epoch with the lowest loss; None without `patience`.
      best_loss, best_epoch: of that epoch.
    """

    epoch: jax.Array
    params: Any
    optimizer_state: tuple
    finite: jax.Array
    best: dict | None
    best_loss: jax.Array
    best_epoch: jax.Array


class Steps(NamedTuple):
    """Carry from step to step of the optimizer; `key` is None for a loss without noise."""

    params: Any
    optimizer_state: Any
    finite: jax.Array
    key: jax.Array | None


def before_training(params: Any, optimizer: Any, dtype: Any, *, keep_best: bool) -> Training:
    """Return the state before the first epoch; losses are compared in `dtype`."""
    with jax.numpy_dtype_promotion("standard"):
        optimizer_state = optimizer.init(params)
    return Training(
        epoch=jnp.int32(0),
        params=params,
        optimizer_state=optimizer_state,
        finite=jnp.bool(True),
        best=params if keep_best else None,
        best_loss=jnp.array(jnp.inf, dtype),
        best_epoch=jnp.int32(0),
    )


def should_continue(training: Training, until: Any, patience: int | None) -> jax.Array:
    """Return whether another epoch is to be trained before epoch `until`."""
    going = (training.epoch < until) & training.finite
    if patience is not None:
        going &= training.epoch - training.best_epoch < patience
    return going


def loss_names(validation: Any) -> tuple[str, ...]:
    """Return the names of the losses in the history."""
    return ("loss",) if validation is None else ("loss", "validation_loss")


@compiled
def run_epochs(
    plan: Plan,
    training: Training,
    until: Any,
    *,
    data: tuple,
    validation: tuple | None,
    key: jax.Array | None,
) -> tuple[Training, dict[str, jax.Array]]:
    """Train until epoch `until`, or until training stops by itself.

    `data` and `validation` are tuples of parts, one for each bucket.

    Returns:
      (Training, {name: losses of the epochs in this call, [EPOCHS_PER_CALL]}).
    """
    return on_each(partial(_epochs, plan), plan.devices)(training, until, data, validation, key)


def _epochs(
    plan: Plan,
    training: Training,
    until: Any,
    data: tuple,
    validation: tuple | None,
    key: jax.Array | None,
) -> tuple[Training, dict[str, jax.Array]]:
    """Compute what `run_epochs` returns, on one device, or on each of those of the plan."""
    learn, measure = _whole(plan) if plan.tbptt_steps is None else _truncated(plan)

    batching = Batching(plan.batch_size, max(1, len(plan.devices)) if is_by_example(plan) else None)

    def mean_loss(params: Any, parts: tuple) -> jax.Array:
        def visit(_: None, batch: Any, real: Any) -> tuple:
            return None, measure(params, batch, real)

        return over_batches(visit, None, parts, batching)[1]

    def epoch(carry: tuple) -> tuple:
        training, losses = carry
        order_key: Any = None if key is None else jax.random.fold_in(key, training.epoch)
        noise_key = jax.random.fold_in(order_key, NOISE) if plan.noisy else None
        steps = Steps(training.params, training.optimizer_state, training.finite, noise_key)
        (params, state, finite, _), value = over_batches(learn, steps, data, batching, order_key)
        measured = {"loss": value}
        if validation is not None:
            value = measured["validation_loss"] = mean_loss(params, validation)
            finite &= jnp.isfinite(value)
        elif plan.patience is not None:
            # The epoch's own loss was measured while the params changed; compare the final ones.
            value = mean_loss(params, data)
            finite &= jnp.isfinite(value)
        place = training.epoch - began
        losses = {k: losses[k].at[place].set(measured[k].astype(losses[k].dtype)) for k in losses}
        training = training._replace(
            epoch=training.epoch + finite.astype(jnp.int32),
            params=params,
            optimizer_state=state,
            finite=finite,
        )
        return (training if plan.patience is None else _keep_best(training, value)), losses

    def unfinished(carry: tuple) -> jax.Array:
        return should_continue(carry[0], until, plan.patience)

    began = training.epoch
    dtype = training.best_loss.dtype
    losses = {name: jnp.zeros(EPOCHS_PER_CALL, dtype) for name in loss_names(validation)}
    return jax.lax.while_loop(unfinished, epoch, (training, losses))


def _whole(plan: Plan) -> tuple[Callable, Callable]:
    """Return the functions of a batch: (step of the optimizer, measurement of the loss)."""
    count = len(plan.devices)
    loss = spread(_mean_loss(plan), count)
    gradient = spread(jax.value_and_grad(_mean_loss(plan)), count)
    if count > 1:
        loss = with_gradient(loss, gradient)
    descend = _descent(plan.optimizer)

    def learn(steps: Steps, batch: Any, real: Any) -> tuple[Steps, jax.Array]:
        steps, key = _split_key(steps)
        given = batch, real
        value, gradients = gradient(steps.params, *given, **key)
        return descend(steps, value, gradients, lambda params: loss(params, *given, **key)), value

    return learn, loss


def _mean_loss(plan: Plan) -> Callable:
    """Return the loss as a function (params, batch, real) -> scalar, of the real examples alone."""

    def mean(params: Any, batch: Any, real: Any, **key: jax.Array) -> jax.Array:
        values = plan.loss(params, batch, **key)
        if not is_by_example(plan):
            return values
        values = values.astype(accumulation_dtype(values.dtype))
        if real is None:
            return values.mean()
        weights = real.astype(values.dtype)
        # Of several devices, one may have nothing but rows that fill the batch up.
        return jnp.vdot(weights, values) / jnp.maximum(weights.sum(), 1)

    return mean


def _truncated(plan: Plan) -> tuple[Callable, Callable]:
    """As `_whole`, but in chunks of `tbptt_steps` steps: one step of the optimizer for each.

    The state that a chunk passes on is a constant for the next, not a function of the params, so no
    gradient passes. Only the first chunk differentiates `initial_state`, which may depend on them.
    """
    descend, length = _descent(plan.optimizer), plan.tbptt_steps
    assert length is not None

    def loss_of_chunk(
        params: Any, chunk: Any, state: Any, first: jax.Array, batch: Any, **key: jax.Array
    ) -> tuple:
        state = jax.lax.cond(first, lambda: plan.initial_state(params, batch), lambda: state)
        return plan.loss(params, chunk, state, **key)

    def learn(steps: Steps, batch: Any, _: None) -> tuple[Steps, jax.Array]:
        def visit(carry: tuple, chunk: Any) -> tuple:
            steps, state, first = carry
            steps, key = _split_key(steps)
            given = chunk, state, first, batch
            (value, state), gradients = gradient(steps.params, *given, **key)

            def value_of(params: Any) -> jax.Array:
                return loss_of_chunk(params, *given, **key)[0]

            return (descend(steps, value, gradients, value_of), state, jnp.bool(False)), value

        gradient = jax.value_and_grad(loss_of_chunk, has_aux=True)
        carry = steps, plan.initial_state(steps.params, batch), jnp.bool(True)
        (steps, *_), value = over_chunks(visit, carry, batch, length)
        return steps, value

    def measure(params: Any, batch: Any, _: None) -> jax.Array:
        def visit(state: Any, chunk: Any) -> tuple:
            value, state = plan.loss(params, chunk, state)
            return state, value

        return over_chunks(visit, plan.initial_state(params, batch), batch, length)[1]

    return learn, measure


def _split_key(steps: Steps) -> tuple[Steps, dict[str, jax.Array]]:
    """Return the steps with the key of later ones, and the key of this one as {"key": ...}."""
    if steps.key is None:
        return steps, {}
    later, now = jax.random.split(steps.key)
    return steps._replace(key=later), {"key": now}


def _descent(optimizer: Any) -> Callable:
    """Return the function `descend(steps, value, gradients, value_of)`, one step of the optimizer.

    `value_of(params)` is the loss of the batch at other params, for a line search (`optax.lbfgs`).
    """
    import optax

    update = optax.with_extra_args_support(optimizer).update

    def descend(steps: Steps, value: jax.Array, gradients: Any, value_of: Callable) -> Steps:
        params, state, finite, _ = steps
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes, which a caller may forbid
            measured = {"value": value, "grad": gradients, "value_fn": value_of}
            updates, state = update(gradients, state, params, **measured)
            new_params = optax.apply_updates(params, updates)
        # The params before a step that went wrong are the last finite ones: freeze them.
        finite &= jnp.isfinite(value) & _all_finite(new_params)
        params = jax.tree.map(partial(jnp.where, finite), new_params, params)
        return steps._replace(params=params, optimizer_state=state, finite=finite)

    return descend


def _keep_best(training: Training, value: jax.Array) -> Training:
    """Return `training` with its params as the best ones, if their loss is the lowest so far."""
    value = value.astype(training.best_loss.dtype)
    better = training.finite & (value < training.best_loss)
    return training._replace(
        best=jax.tree.map(partial(jnp.where, better), training.params, training.best),
        best_loss=jnp.where(better, value, training.best_loss),
        best_epoch=jnp.where(better, training.epoch, training.best_epoch),
    )


def _all_finite(tree: Any) -> jax.Array:
    """Return whether every number in `tree` is finite."""

    def every_one() -> jax.Array:
        return jnp.array([jnp.isfinite(leaf).all() for leaf in leaves]).all()

    # A finite sum of squares proves it faster: XLA reduces a product much faster than a comparison.
    # The sum may also overflow while every number is finite; then they are checked one by one.
    leaves = jax.tree.leaves(tree)
    squares = sum(jnp.vdot(leaf, leaf).astype(jnp.float32) for leaf in leaves)
    return jax.lax.cond(jnp.isfinite(squares), lambda: jnp.bool(True), every_one)
