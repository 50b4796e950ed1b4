"""Decoding of real-valued sequences: each output is the next input, as in a forecast."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.decoding.stepping import batch_of, check_output, checked_step
from lstmcore.dtypes import as_arrays
from lstmcore.programs import compiled

__all__ = ["rollout"]


def rollout(step: Callable, params, state, first: jax.Array, *, steps: int) -> jax.Array:
    """Return real-valued outputs, one step at a time, each being the next input.

    It is this loop, compiled once for each `step`, shape and number of steps:

        x = first
        for t in range(steps):
            x, state = step(params, x, state)
            outputs.append(x)

    Args:
      step: `(params, x [B, F], state) -> (next x [B, F], state)`; compiled as in `greedy`.
      params: of `step`, any pytree.
      state: pytree of arrays with the batch first.
      first: [B, F], what the first step reads; not part of the outputs.
      steps: number of outputs.

    Returns:
      [B, steps, F], in the dtype of `first`. An output that is not finite is kept, and so are those
      that follow from it.

    Raises:
      ValueError: `steps` below 1, a `first` that is not floating [B, F], or a step that returns
        another shape or another kind of state; a state as in `greedy`.
      TypeError: as `greedy`.

    Examples:
      >>> import jax.numpy as jnp, lstmcore as lc
      >>> halve = lambda params, x, state: (x * params, state)
      >>> lc.rollout(halve, 0.5, jnp.zeros(1), jnp.ones((1, 1)), steps=3).ravel().tolist()
      [0.5, 0.25, 0.125]
    """
    step = checked_step(step)
    params, state, first = as_arrays(params=params, state=state, first=first)
    checks.check_array("first", first, "batch features", "it is one step, not a sequence")
    checks.check_floating("first", first)
    return _rollout((step, checks.check_count("steps", steps)), params, state, first)


@compiled
def _rollout(fixed, params, state, first):
    step, steps = fixed
    state, first = jax.tree.map(jnp.asarray, (state, first))
    if batch_of(state) != first.shape[0]:
        raise ValueError(
            f"first has {first.shape[0]} examples but state has {batch_of(state)}: they must agree"
        )
    advice = "step(params, x [B, F], state) -> (next x [B, F], state)"
    output = check_output(step, params, first, state, advice)
    if output.shape != first.shape:
        raise ValueError(
            f"step must return an output of the shape of its input, {first.shape}, to be fed back, "
            f"got {output.shape}"
        )

    def advance(carry, _):
        x, state = step(params, *carry)
        x = x.astype(first.dtype)
        return (x, state), x

    _, outputs = jax.lax.scan(advance, (first, state), length=steps)
    return outputs.swapaxes(0, 1)
