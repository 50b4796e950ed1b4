"""The checks of the arguments of `fit`, before anything is compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks
from lstmcore.arrays import as_array, check_known
from lstmcore.batching import Buckets
from lstmcore.dtypes import accumulation_dtype
from lstmcore.sequence import zero_states
from lstmcore.training.devices import check_mean
from lstmcore.training.epochs import Plan, is_by_example
from lstmcore.training.minibatches import chunk_of, rows_of, steps_of


def check_optimizer(optimizer: Any) -> Any:
    """Return `optimizer`, or Adam for None; raise unless it is one of optax."""
    optimizer = _default_optimizer() if optimizer is None else optimizer
    if not (hasattr(optimizer, "init") and hasattr(optimizer, "update")):
        raise TypeError(
            f"optimizer must be one of optax, got {type(optimizer).__name__}: "
            "write for instance optax.adam(1e-3)"
        )
    return optimizer


@cache
def _default_optimizer() -> Any:
    """Return Adam with moments of at least float32.

    In float16 its eps of 1e-8 is 0, and so is the square of any gradient below 2e-4.
    """
    import optax

    adam = optax.adam(1e-3)

    def widened(tree: Any) -> Any:
        return jax.tree.map(lambda leaf: leaf.astype(accumulation_dtype(leaf.dtype)), tree)

    def init(params: Any) -> Any:
        return adam.init(widened(params))

    def update(gradients: Any, state: Any, params: Any = None) -> Any:
        return adam.update(widened(gradients), state)

    return optax.GradientTransformation(init, update)


def floating_params(params: Any) -> Any:
    """Return the params as JAX arrays; raise unless all are floating point."""
    check_known("params", params)
    params = jax.tree.map(partial(as_array, "params"), params)
    for path, leaf in jax.tree.leaves_with_path(params):
        if not (hasattr(leaf, "dtype") and jnp.issubdtype(leaf.dtype, jnp.floating)):
            raise TypeError(
                f"params{jax.tree_util.keystr(path)} must be a floating-point array, got "
                f"{getattr(leaf, 'dtype', type(leaf).__name__)}"
            )
    return jax.tree.map(jnp.asarray, params)


def parts_of(name: str, data: Any) -> tuple:
    """Return the data as a tuple of pytrees of JAX arrays: one, or one for each bucket."""
    if not isinstance(data, Buckets):
        return (_examples(name, data),)
    if not data.parts:
        raise ValueError(f"{name} holds no buckets: make it with lc.buckets(...)")
    parts = tuple(_examples(f"{name}.parts[{i}]", part) for i, part in enumerate(data.parts))
    kinds = [jax.tree.map(lambda leaf: (leaf.dtype, leaf.ndim), part) for part in parts]
    for i, kind in enumerate(kinds):
        if kind != kinds[0]:
            raise ValueError(
                f"{name}.parts[{i}] differs from {name}.parts[0] in more than its steps: all "
                "buckets must hold the same names, dtypes and numbers of axes"
            )
    return parts


def _examples(name: str, data: Any) -> Any:
    """Return the data of one part as JAX arrays; raise unless all have as many examples."""
    check_known(name, data)
    data = jax.tree.map(partial(as_array, name), data)
    leaves = jax.tree.leaves(data)
    if not leaves or any(np.ndim(leaf) == 0 for leaf in leaves):
        raise ValueError(
            f"{name} must be an array or a pytree of arrays with examples along axis 0"
        )
    for leaf in leaves:
        if np.dtype(leaf.dtype).kind not in "biufcV":  # V: bfloat16
            raise TypeError(f"the arrays of {name} must hold numbers, got {leaf.dtype}")
    lengths = {len(leaf) for leaf in leaves}
    if len(lengths) > 1:
        raise ValueError(f"the arrays of {name} hold {sorted(lengths)} examples: they must agree")
    if lengths == {0}:
        raise ValueError(f"{name} holds no examples: its first axis is empty")
    return jax.tree.map(jnp.asarray, data)


def check_tbptt_steps(
    tbptt_steps: Any, initial_state: Any, devices: Any, data: tuple, validation: tuple | None
) -> int | None:
    """Return `tbptt_steps` as a plain int; raise unless the data can be cut into such chunks.

    Raises:
      ValueError: arrays without a time axis or of unequal lengths, or `initial_state` without
        `tbptt_steps`.
    """
    if tbptt_steps is None:
        if initial_state is not None:
            raise ValueError("initial_state is for truncated backpropagation: name tbptt_steps")
        return None
    tbptt_steps = checks.check_count("tbptt_steps", tbptt_steps)
    if devices:
        raise ValueError("tbptt_steps does not go together with devices: leave one of them out")
    if not callable(initial_state or zero_states):
        raise TypeError(
            f"initial_state must be a function (params, batch) -> state, got "
            f"{type(initial_state).__name__}"
        )
    for name, parts in (("data", data), ("validation", validation or ())):
        for part in parts:
            steps = {leaf.shape[1] for leaf in jax.tree.leaves(part) if leaf.ndim > 1}
            if len(steps) != 1 or 0 in steps:
                raise ValueError(
                    f"the arrays of {name} have {sorted(steps)} steps along axis 1: with "
                    "tbptt_steps all must have the same number, at least one. What belongs to a "
                    "whole example is an array [examples], or repeated at each step "
                    "(lc.repeat_vector)"
                )
    return tbptt_steps


def check_callback(callback: Any) -> None:
    """Raise unless `callback` is a function or None."""
    if callback is not None and not callable(callback):
        raise TypeError(
            f"callback must be a function (epoch, params, losses), got {type(callback).__name__}"
        )


def takes_key(loss: Callable, key: Any, devices: Any) -> bool:
    """Return whether the loss takes a random key, without which it must also work.

    Raises:
      ValueError: it has a parameter `key` that must be given, or there is no key, or devices.
    """
    try:
        parameter = inspect.signature(loss).parameters.get("key")
    except (TypeError, ValueError):  # a callable without a signature
        return False
    if parameter is None:
        return False
    if parameter.default is not None:
        raise ValueError(
            "the parameter key of loss must be key=None: without a key, as on validation data, the "
            "loss leaves its noise out"
        )
    if key is None:
        raise ValueError("loss takes a random key: pass key=jax.random.key(...) to fit")
    if devices:
        raise ValueError(
            "a loss with noise does not go together with devices: leave one of them out"
        )
    return True


def zeros_for_all(params: Any, batch: Any) -> Any:
    """Return the default initial state: zeros for every LSTM layer."""
    return zero_states(params, rows_of(batch))


def check_loss(plan: Plan, params: Any, data: tuple) -> Any:
    """Return the dtype to record the loss in.

    Raises:
      ValueError: the loss is not a scalar for each part of the data, with `tbptt_steps` returns no
        state like the one it was given, or with several devices is not a mean over the examples.
    """
    check = _check_loss_of_batch if plan.tbptt_steps is None else _check_loss_of_chunk
    for part in data:
        dtype = check(plan, params, _batch(part, plan.batch_size))
    if len(plan.devices) > 1 and not is_by_example(plan):
        largest = max(data, key=rows_of)
        check_mean(plan.loss, params, jax.tree.map(lambda leaf: leaf[: plan.batch_size], largest))
    return dtype


def _check_loss_of_batch(plan: Plan, params: Any, batch: Any) -> Any:
    loss = jax.eval_shape(plan.loss, params, batch)
    if is_by_example(plan):
        assert loss.shape == (rows_of(batch),)
        return accumulation_dtype(loss.dtype)
    return _check_scalar(loss)


def _check_loss_of_chunk(plan: Plan, params: Any, batch: Any) -> Any:
    assert plan.tbptt_steps is not None
    length = min(plan.tbptt_steps, steps_of(batch))
    chunk = jax.eval_shape(partial(chunk_of, first=0, length=length), batch)
    state = jax.eval_shape(plan.initial_state, params, batch)
    result = jax.eval_shape(plan.loss, params, chunk, state)
    if type(result) is not tuple or len(result) != 2:
        raise ValueError(
            f"with tbptt_steps, loss must return (scalar, state), got {type(result).__name__}: for "
            "a model, return loss, lc.final_states(traces)"
        )
    dtype = _check_scalar(result[0])
    _check_same_state(state, result[1])
    return dtype


def _batch(part: Any, batch_size: int) -> Any:
    """Return the shapes and dtypes of a batch."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(
            (min(batch_size, len(leaf)), *leaf.shape[1:]), leaf.dtype
        ),
        part,
    )


def _check_scalar(value: Any) -> Any:
    """Return the dtype to record a loss in; raise unless it is a floating-point scalar."""
    if not (hasattr(value, "shape") and value.shape == ()):
        got = f"shape {value.shape}" if hasattr(value, "shape") else type(value).__name__
        raise ValueError(f"loss must return a scalar, got {got}: take its mean")
    checks.check_floating("loss", value)
    return accumulation_dtype(value.dtype)


def _check_same_state(given: Any, returned: Any) -> None:
    """Raise unless a loss returns a state of the structure, shapes and dtypes it was given."""
    described = [
        {
            jax.tree_util.keystr(path) or "all": f"{leaf.dtype}{list(leaf.shape)}"
            for path, leaf in jax.tree.leaves_with_path(state)
        }
        for state in (given, returned)
    ]
    differing = [
        f"{name}: {described[0].get(name, 'nothing')} and {described[1].get(name, 'nothing')}"
        for name in described[0] | described[1]
        if described[0].get(name) != described[1].get(name)
    ]
    structures = {jax.tree.structure(state) for state in (given, returned)}
    if differing or len(structures) > 1:
        raise ValueError(
            "loss must return a state of the kind that it was given, but the two differ in "
            f"{'; '.join(differing) or 'their structure'} (given and returned)"
        )
