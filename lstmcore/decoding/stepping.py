"""What every decoder requires of a step function and its state, and how it reads the logits."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks
from lstmcore.dtypes import accumulation_dtype
from lstmcore.vocabulary import PADDING

TINY = float(np.finfo(np.float32).tiny)
ADVICE = "step(params, token [B], state) -> (logits [B, V], state)"


def checked_step(step: Callable) -> Callable:
    """Return `step`; raise unless it is callable and can be a static argument of a compilation."""
    if not callable(step) or hasattr(step, "apply"):
        raise TypeError(f"step must be a function {ADVICE}, got {type(step).__name__}")
    if not isinstance(step, Hashable):
        raise TypeError(
            f"step must be hashable, for it is compiled once and kept: {type(step).__name__} is not"
        )
    return step


def batch_of(state) -> int:
    """Return B, the size of the first axis of every leaf of the state."""
    leaves = jax.tree_util.tree_leaves_with_path(state)
    if not leaves:
        raise ValueError(
            "state has no arrays, so the number of examples is unknown: a step that needs no state "
            "can be given jnp.zeros(batch)"
        )
    shapes = {f"state{jax.tree_util.keystr(path)}": np.shape(leaf) for path, leaf in leaves}
    for name, shape in shapes.items():
        if not shape:
            raise ValueError(
                f"{name} is a single number, but every array of the state must have the batch as "
                "its first axis: repeat it for each example, jnp.full(batch, ...)"
            )
    if len({shape[0] for shape in shapes.values()}) > 1:
        raise ValueError(
            "state must have the same batch as first axis of every array, got "
            + ", ".join(f"{name} {shape}" for name, shape in list(shapes.items())[:6])
        )
    return next(iter(shapes.values()))[0]


def check_output(
    step: Callable, params, given, state, advice: str = ADVICE
) -> jax.ShapeDtypeStruct:
    """Return shape and dtype of the output of `step`; raise unless its state is like `state`."""
    state = jax.tree.map(jnp.asarray, state)
    result = jax.eval_shape(step, params, given, state)
    if not (isinstance(result, tuple | list) and len(result) == 2):
        raise TypeError(f"step must return a pair, {advice}, got {type(result).__name__}")
    output, after = result
    if not isinstance(output, jax.ShapeDtypeStruct):
        raise TypeError(f"step must return an array first, {advice}, got {type(output).__name__}")
    before = jax.eval_shape(lambda state: state, state)
    structures: list = [jax.tree.structure(tree) for tree in (before, after)]
    if structures[0] != structures[1]:
        raise ValueError(
            "step must return a state of the same structure as it was given: gave "
            f"{structures[0]}, got {structures[1]}"
        )
    for (path, old), new in zip(
        jax.tree_util.tree_leaves_with_path(before), jax.tree.leaves(after), strict=True
    ):
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ValueError(
                f"step must return a state like the one it was given: state"
                f"{jax.tree_util.keystr(path)} was {old.dtype}{list(old.shape)} and became "
                f"{new.dtype}{list(new.shape)}"
            )
    return output


def check_logits(step: Callable, params, token, state, **ids: int) -> tuple[int, np.dtype]:
    """Return V and the dtype to sum in; raise unless `step` gives logits [B, V] that hold `ids`."""
    logits = check_output(step, params, token, state)
    if len(logits.shape) != 2 or logits.shape[0] != token.shape[0]:
        raise ValueError(
            f"step must return logits [batch, vocabulary] for {token.shape[0]} tokens, got shape "
            f"{logits.shape}"
        )
    checks.check_floating("the logits of step", logits)
    for name, token_id in ids.items():
        if token_id >= logits.shape[1]:
            raise ValueError(
                f"{name} must be an id of the vocabulary, 0 to {logits.shape[1] - 1}, got "
                f"{token_id}: step returns {logits.shape[1]} logits"
            )
    return logits.shape[1], accumulation_dtype(logits.dtype)


def choices(logits: jax.Array, end: int, dtype) -> jax.Array:
    """Return log probabilities [B, V]; that of PADDING, which is never chosen, is -inf."""
    log_p = jax.nn.log_softmax(logits.astype(dtype))
    return log_p if end == PADDING else log_p.at[:, PADDING].set(-jnp.inf)


def none_left(log_p: jax.Array) -> jax.Array:
    """Return whether log probabilities [..., V] leave no token to choose, bool [...]."""
    return ~(log_p.max(axis=-1) > -jnp.inf)  # not <=, for NaN


def raise_if_failed(failed: jax.Array) -> None:
    """Raise for the first example that failed; `failed` [B] is the step it failed at, or -1."""
    if isinstance(failed, jax.core.Tracer):
        return
    examples = np.flatnonzero(np.asarray(failed) >= 0)
    if examples.size:
        raise ValueError(
            f"step left no token to choose for example {examples[0]} at step "
            f"{failed[examples[0]]} ({examples.size} of {len(failed)} examples failed): its logits "
            "are NaN, or infinite, or -inf but for PADDING. Check that params and state are finite"
        )


def traced_number(name: str, value, smallest: float = 0, largest: float = math.inf) -> jax.Array:
    """Return a finite number from `smallest` to `largest` as a float32 array.

    As an array it can change without a new compilation; a traced value is returned unchecked. With
    a `smallest` of TINY it must be above 0, and a number that float32 would round to 0 becomes
    TINY.
    """
    if isinstance(value, jax.core.Tracer):
        return value
    number = checks.check_number(name, value)
    too_small = number <= 0 if smallest else number < 0
    if too_small or not number <= largest or math.isinf(number):
        least = "above 0" if smallest else "0 or more"
        most = "finite" if math.isinf(largest) else f"at most {largest}"
        advice = ": lc.greedy takes the most probable token" if name == "temperature" else ""
        raise ValueError(f"{name} must be {least} and {most}, got {number}{advice}")
    return jnp.float32(max(number, smallest))
