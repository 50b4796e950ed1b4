"""The compiled part of `fit`: steps in a scan, epochs in a loop that stops by itself."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp


class Training(NamedTuple):
    """What the epochs carry. history: [epochs] each, filled up to `epoch`."""

    epoch: jax.Array
    params: dict
    optimizer_state: tuple
    finite: jax.Array
    best: dict
    best_loss: jax.Array
    best_epoch: jax.Array
    history: dict[str, jax.Array]


def start(params, optimizer, epochs: int, names: tuple[str, ...], dtype) -> Training:
    """Before the first epoch; `names` and `dtype` are those of the losses to be recorded."""
    return Training(
        epoch=jnp.int32(0),
        params=params,
        optimizer_state=optimizer.init(params),
        finite=jnp.bool(True),
        best=params,
        best_loss=jnp.array(jnp.inf, dtype),
        best_epoch=jnp.int32(0),
        history={name: jnp.zeros(epochs, dtype) for name in names},
    )


@partial(jax.jit, static_argnames=("loss", "optimizer", "batch_size", "patience"))
def run_epochs(
    training, until, *, data, validation, key, loss, optimizer, batch_size, patience
) -> Training:
    import optax

    update = optax.with_extra_args_support(optimizer).update
    examples = len(jax.tree.leaves(data)[0])

    def step(carry, batch):
        params, state, finite = carry
        value, grads = jax.value_and_grad(loss)(params, batch)
        with jax.numpy_dtype_promotion("standard"):  # optax mixes dtypes; a strict caller may not
            updates, new_state = update(grads, state, params, value=value)
            new_params = optax.apply_updates(params, updates)
        # The params before a step that went wrong are the last finite ones: freeze them.
        finite &= jnp.isfinite(value) & _all_finite(new_params)
        params = jax.tree.map(partial(jnp.where, finite), new_params, params)
        return (params, new_state, finite), value

    def epoch(training):
        order = jnp.arange(examples)
        if key is not None:
            order = jax.random.permutation(jax.random.fold_in(key, training.epoch), order)
        carry = training.params, training.optimizer_state, training.finite
        (params, state, finite), value = _over_batches(step, carry, data, order, batch_size)
        values = {"loss": value}
        if validation is not None:
            value = _mean_loss(loss, params, validation, batch_size)
            values["validation_loss"] = value
            finite &= jnp.isfinite(value)
        now = training.epoch
        history = training.history
        training = training._replace(
            epoch=now + finite.astype(now.dtype),
            params=params,
            optimizer_state=state,
            finite=finite,
            history={k: history[k].at[now].set(values[k].astype(history[k].dtype)) for k in values},
        )
        return training if patience is None else _keep_best(training, value, now)

    def go_on(training):
        going = (training.epoch < until) & training.finite
        if patience is not None:
            going &= training.epoch - training.best_epoch < patience
        return going

    return jax.lax.while_loop(go_on, epoch, training)


def _keep_best(training, value, now) -> Training:
    better = training.finite & (value < training.best_loss)
    return training._replace(
        best=jax.tree.map(partial(jnp.where, better), training.params, training.best),
        best_loss=jnp.where(better, value.astype(training.best_loss.dtype), training.best_loss),
        best_epoch=jnp.where(better, now + 1, training.best_epoch),
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
    return jnp.array([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(tree)]).all()
