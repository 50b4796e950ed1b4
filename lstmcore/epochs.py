"""The compiled part of `fit`: steps in a scan, epochs in a loop that stops by itself."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from lstmcore.devices import spread

EPOCHS_PER_CALL = 1024  # at most; the length of the buffer for losses


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


def start(params, optimizer, dtype, *, keep_best: bool) -> Training:
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


STATIC = ("loss", "surroundings", "optimizer", "batch_size", "patience", "devices")


@partial(jax.jit, static_argnames=STATIC)
def run_epochs(
    training,
    until,
    *,
    data,
    validation,
    key,
    loss,
    surroundings,
    optimizer,
    batch_size,
    patience,
    devices,
) -> tuple[Training, dict[str, jax.Array]]:
    """Train until epoch `until`, or until it stops by itself.

    Returns (Training, the losses of the epochs in this call, [EPOCHS_PER_CALL] each).
    `surroundings` is what the loss depends on besides its arguments: part of the cache's key.
    """
    import optax

    update = optax.with_extra_args_support(optimizer).update
    examples = len(jax.tree.leaves(data)[0])
    gradient = spread(jax.value_and_grad(loss), devices)
    loss = spread(loss, devices)

    def step(carry, batch):
        params, state, finite = carry
        value, grads = gradient(params, batch)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes; a strict caller may not
            updates, new_state = update(grads, state, params, value=value)
            new_params = optax.apply_updates(params, updates)
        # The params before a step that went wrong are the last finite ones: freeze them.
        finite &= jnp.isfinite(value) & _all_finite(new_params)
        params = jax.tree.map(partial(jnp.where, finite), new_params, params)
        return (params, new_state, finite), value

    def epoch(carry):
        training, losses = carry
        order = jnp.arange(examples)
        if key is not None:
            order = jax.random.permutation(jax.random.fold_in(key, training.epoch), order)
        steps = training.params, training.optimizer_state, training.finite
        (params, state, finite), value = _over_batches(step, steps, data, order, batch_size)
        measured = {"loss": value}
        if validation is not None:
            value = measured["validation_loss"] = _mean_loss(loss, params, validation, batch_size)
            finite &= jnp.isfinite(value)
        elif patience is not None:
            # The epoch's own loss was measured on the way; these params are to be compared.
            value = _mean_loss(loss, params, data, batch_size)
            finite &= jnp.isfinite(value)
        place = training.epoch - began
        losses = {k: losses[k].at[place].set(measured[k].astype(losses[k].dtype)) for k in losses}
        training = training._replace(
            epoch=training.epoch + finite.astype(jnp.int32),
            params=params,
            optimizer_state=state,
            finite=finite,
        )
        return (training if patience is None else _keep_best(training, value)), losses

    def go_on(carry):
        training, _ = carry
        going = (training.epoch < until) & training.finite
        if patience is not None:
            going &= training.epoch - training.best_epoch < patience
        return going

    began = training.epoch
    names = ("loss",) if validation is None else ("loss", "validation_loss")
    losses = {name: jnp.zeros(EPOCHS_PER_CALL, training.best_loss.dtype) for name in names}
    return jax.lax.while_loop(go_on, epoch, (training, losses))


def _keep_best(training, value) -> Training:
    value = value.astype(training.best_loss.dtype)
    better = training.finite & (value < training.best_loss)
    return training._replace(
        best=jax.tree.map(partial(jnp.where, better), training.params, training.best),
        best_loss=jnp.where(better, value, training.best_loss),
        best_epoch=jnp.where(better, training.epoch, training.best_epoch),
    )


def _over_batches(step, carry, data, order, batch_size):
    """Scan `step` over the batches of `data` in `order`; returns (carry, mean value)."""

    def take(carry, rows):
        return step(carry, jax.tree.map(lambda leaf: leaf[rows], data))

    full, rest = divmod(len(order), batch_size)
    split = full * batch_size
    carry, values = jax.lax.scan(take, carry, order[:split].reshape(full, batch_size))
    total = batch_size * values.sum()
    if rest:
        carry, value = take(carry, order[split:])
        total += rest * value
    return carry, total / len(order)


def _mean_loss(loss, params, data, batch_size):
    examples = len(jax.tree.leaves(data)[0])
    _, value = _over_batches(
        lambda _, batch: (None, loss(params, batch)),
        None,
        data,
        jnp.arange(examples),
        min(batch_size, examples),
    )
    return value


def _all_finite(tree):
    """Whether every number in `tree` is finite."""

    def every_one():
        return jnp.array([jnp.isfinite(leaf).all() for leaf in leaves]).all()

    # A finite sum of squares says it sooner: XLA reduces a product much faster than a comparison.
    # It may also overflow while every number is finite; then they are looked at one by one.
    leaves = jax.tree.leaves(tree)
    squares = sum(jnp.vdot(leaf, leaf).astype(jnp.float32) for leaf in leaves)
    return jax.lax.cond(jnp.isfinite(squares), lambda: jnp.bool(True), every_one)
