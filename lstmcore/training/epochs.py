"""The compiled part of `fit`: steps in a scan, epochs in a loop that stops by itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.programs import compiled
from lstmcore.training.devices import spread
from lstmcore.training.minibatches import over_batches, over_chunks

EPOCHS_PER_CALL = 1024  # at most; the length of the buffer for losses
NOISE = 1  # what tells the key of an epoch's noise from that of its order


class Plan(NamedTuple):
    """How to train: all that is known before any array is.

    loss: (params, batch) -> scalar; with `tbptt_steps` (params, chunk, state) -> (scalar, state)
    noisy: whether the loss takes a random key besides
    surroundings: what the functions depend on besides their arguments
    optimizer: of optax
    batch_size: examples per step
    patience: epochs without a lower loss before training stops, or None
    devices: to split each batch over
    tbptt_steps: steps in a chunk of truncated backpropagation, or None
    initial_state: (params, batch) -> state before the first chunk
    """

    loss: Callable
    noisy: bool
    surroundings: tuple
    optimizer: Any
    batch_size: int
    patience: int | None
    devices: tuple[jax.Device, ...]
    tbptt_steps: int | None
    initial_state: Callable


class Training(NamedTuple):
    """What goes from epoch to epoch.

    epoch: how many are complete
    finite: whether losses and params still are
    best: params of the epoch with the lowest loss, None if nobody asks for them
    """

    epoch: jax.Array
    params: dict
    optimizer_state: tuple
    finite: jax.Array
    best: dict | None
    best_loss: jax.Array
    best_epoch: jax.Array


class Steps(NamedTuple):
    """What goes from step to step of the optimizer; `key` is None for a loss without noise."""

    params: Any
    optimizer_state: Any
    finite: jax.Array
    key: jax.Array | None


def before_training(params, optimizer, dtype, *, keep_best: bool) -> Training:
    """Before the first epoch; losses are compared in `dtype`."""
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


def should_continue(training, until, patience: int | None):
    """Whether there is an epoch to come before epoch `until`."""
    going = (training.epoch < until) & training.finite
    if patience is not None:
        going &= training.epoch - training.best_epoch < patience
    return going


@compiled
def run_epochs(
    plan: Plan, training, until, *, data: tuple, validation: tuple | None, key
) -> tuple[Training, dict[str, jax.Array]]:
    """Train until epoch `until`, or until it stops by itself.

    `data` and `validation` are tuples of parts, one for each bucket.
    Returns (Training, the losses of the epochs in this call, [EPOCHS_PER_CALL] each).
    """
    learn, measure = _whole(plan) if plan.tbptt_steps is None else _truncated(plan)

    def mean_loss(params, parts):
        def visit(_, batch):
            return None, measure(params, batch)

        return over_batches(visit, None, parts, plan.batch_size)[1]

    def epoch(carry):
        training, losses = carry
        order_key = None if key is None else jax.random.fold_in(key, training.epoch)
        noise_key = jax.random.fold_in(order_key, NOISE) if plan.noisy else None
        steps = Steps(training.params, training.optimizer_state, training.finite, noise_key)
        (params, state, finite, _), value = over_batches(
            learn, steps, data, plan.batch_size, order_key
        )
        measured = {"loss": value}
        if validation is not None:
            value = measured["validation_loss"] = mean_loss(params, validation)
            finite &= jnp.isfinite(value)
        elif plan.patience is not None:
            # The epoch's own loss was measured on the way; these params are to be compared.
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

    def go_on(carry):
        return should_continue(carry[0], until, plan.patience)

    began = training.epoch
    names = ("loss",) if validation is None else ("loss", "validation_loss")
    losses = {name: jnp.zeros(EPOCHS_PER_CALL, training.best_loss.dtype) for name in names}
    return jax.lax.while_loop(go_on, epoch, (training, losses))


def _whole(plan) -> tuple[Callable, Callable]:
    """What is done with a batch: (step of the optimizer, measurement of the loss)."""
    loss = spread(plan.loss, plan.devices)
    gradient = spread(jax.value_and_grad(plan.loss), plan.devices)
    descend = _descent(plan.optimizer)

    def learn(steps, batch):
        steps, noise = _with_noise(steps)
        value, gradients = gradient(steps.params, batch, **noise)
        return descend(steps, value, gradients, lambda params: loss(params, batch, **noise)), value

    return learn, loss


def _truncated(plan) -> tuple[Callable, Callable]:
    """As `_whole`, but in chunks of `tbptt_steps` steps: one step of the optimizer for each.

    What a chunk hands to the next is a number there, not a function of the params: no gradient
    passes. Only the first chunk differentiates `initial_state`, which may itself have params.
    """
    descend = _descent(plan.optimizer)

    def loss_of_chunk(params, chunk, state, first, batch, **noise):
        state = jax.lax.cond(first, lambda: plan.initial_state(params, batch), lambda: state)
        return plan.loss(params, chunk, state, **noise)

    def learn(steps, batch):
        def visit(carry, chunk):
            steps, state, first = carry
            steps, noise = _with_noise(steps)
            given = chunk, state, first, batch
            (value, state), gradients = gradient(steps.params, *given, **noise)

            def value_of(params):
                return loss_of_chunk(params, *given, **noise)[0]

            return (descend(steps, value, gradients, value_of), state, jnp.bool(False)), value

        gradient = jax.value_and_grad(loss_of_chunk, has_aux=True)
        carry = steps, plan.initial_state(steps.params, batch), jnp.bool(True)
        (steps, *_), value = over_chunks(visit, carry, batch, plan.tbptt_steps)
        return steps, value

    def measure(params, batch):
        def visit(state, chunk):
            value, state = plan.loss(params, chunk, state)
            return state, value

        return over_chunks(visit, plan.initial_state(params, batch), batch, plan.tbptt_steps)[1]

    return learn, measure


def _with_noise(steps: Steps) -> tuple[Steps, dict]:
    """The key of the steps to come, and of this one as an argument of the loss."""
    if steps.key is None:
        return steps, {}
    later, now = jax.random.split(steps.key)
    return steps._replace(key=later), {"key": now}


def _descent(optimizer) -> Callable:
    """One step of the optimizer.

    `value_of(params)` is the loss of the batch at other params, for a line search (`optax.lbfgs`).
    """
    import optax

    update = optax.with_extra_args_support(optimizer).update

    def descend(steps, value, gradients, value_of):
        params, state, finite, _ = steps
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes; a strict caller may not
            measured = {"value": value, "grad": gradients, "value_fn": value_of}
            updates, state = update(gradients, state, params, **measured)
            new_params = optax.apply_updates(params, updates)
        # The params before a step that went wrong are the last finite ones: freeze them.
        finite &= jnp.isfinite(value) & _all_finite(new_params)
        params = jax.tree.map(partial(jnp.where, finite), new_params, params)
        return steps._replace(params=params, optimizer_state=state, finite=finite)

    return descend


def _keep_best(training, value) -> Training:
    value = value.astype(training.best_loss.dtype)
    better = training.finite & (value < training.best_loss)
    return training._replace(
        best=jax.tree.map(partial(jnp.where, better), training.params, training.best),
        best_loss=jnp.where(better, value, training.best_loss),
        best_epoch=jnp.where(better, training.epoch, training.best_epoch),
    )


def _all_finite(tree):
    """Whether every number in `tree` is finite."""

    def every_one():
        return jnp.array([jnp.isfinite(leaf).all() for leaf in leaves]).all()

    # A finite sum of squares says it sooner: XLA reduces a product much faster than a comparison.
    # It may also overflow while every number is finite; then they are looked at one by one.
    leaves = jax.tree.leaves(tree)
    squares = sum(jnp.vdot(leaf, leaf).astype(jnp.float32) for leaf in leaves)
    return jax.lax.cond(jnp.isfinite(squares), lambda: jnp.bool(True), every_one)
