"""The decoder of an autoencoder: from a code to a sequence, all steps at once or one by one.

An unconditional decoder reads the code alone, the same at each step. A conditional one reads the
step before beside it: the true one where it is known (teacher forcing), else what it wrote itself
(Srivastava, Mansimov & Salakhutdinov 2015, sections 2.1 to 2.3). Before the first step stand zeros.

`model` is an autoencoder throughout, `params` its weights, `name` that of a decoder among them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.dtypes import memory_dtype
from lstmcore.hyperparameters import activations_of
from lstmcore.layers import dense, repeat_vector, time_distributed
from lstmcore.stack import Edits, run_stack, step_stack
from lstmcore.types import LSTMState, Trace


def write(
    model, params, name: str, code, *, steps, mask, target, edits: Edits
) -> tuple[jax.Array, dict[str, Trace]]:
    """What the decoder writes, [B, steps, F], and the Trace of each of its layers."""
    stack: Callable = partial(
        run_stack, params, name, mask=mask, edits=edits, **activations_of(model)
    )
    if not model.conditional:
        _, h, traces = stack(code, repeat=steps)
    elif target is None:
        return write_by_itself(model, params, name, code, steps, mask, edits)
    else:
        before = step_before(jnp.asarray(target, code.dtype), mask)
        _, h, traces = stack(jnp.concatenate([repeat_vector(code, steps), before], axis=-1))
    return time_distributed(partial(dense, params[head_of(name)]), h), traces


def write_by_itself(model, params, name: str, code, steps, mask, edits: Edits):
    """As `write`, step by step, each reading what was written at the last real step before."""

    def body(carry, inputs):
        states, wrote = carry
        t, keep = inputs
        x_t = jnp.concatenate([code, wrote.astype(code.dtype)], axis=-1)
        shown, states, gates = step_stack(
            params, name, x_t, states, t=t, edits=edits, keep=keep, **activations_of(model)
        )
        y = dense(params[head_of(name)], shown)
        traces = {
            layer: Trace(*state, gates[layer]) for layer, state in zip(gates, states, strict=True)
        }
        return (states, y if keep is None else jnp.where(keep, y, wrote)), (y, traces)

    def zeros(size, dtype):  # sharded as the code is, and of a symbolic batch where it has one
        return jnp.broadcast_to(jnp.zeros_like(code[:, :1], dtype), (code.shape[0], size))

    states = []
    for place in range(len(model.units)):
        layer = f"{name}_{place}"
        units, dtype = model.layers[layer].units, params[layer].kernel.dtype
        checks.check_edit((edits or {}).get(layer), code.shape[0], steps, units)
        states.append(LSTMState(zeros(units, dtype), zeros(units, memory_dtype(dtype))))
    wrote = zeros(model.features, params[head_of(name)].kernel.dtype)
    keep = None if mask is None else mask.T[:, :, None]
    _, written = jax.lax.scan(body, (tuple(states), wrote), (jnp.arange(steps), keep))
    return jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), written)


def head_of(name: str) -> str:
    """The dense layer behind a decoder; the only one of a model has no name of its own."""
    return "head" if name == "decoder" else f"{name}_head"


def step_before(target, mask):
    """What a conditional decoder reads at each step: the last real step before it, or zeros."""
    zeros = jnp.zeros_like(target[:, :1])
    if mask is None:
        return jnp.concatenate([zeros, target], axis=1)[:, :-1]
    steps = jnp.arange(1, mask.shape[1] + 1)
    last = jax.lax.cummax(jnp.where(mask, steps, 0), axis=1)  # real step so far, 0 if none
    last = jnp.concatenate([jnp.zeros_like(last[:, :1]), last], axis=1)[:, :-1]
    return jnp.take_along_axis(jnp.concatenate([zeros, target], axis=1), last[:, :, None], axis=1)


def check_target(model, name: str, target, batch: int, steps: int) -> None:
    """`target`, if there is one, is what a conditional decoder is to write."""
    if target is None:
        return
    if not model.conditional:
        raise ValueError(
            f"{name} is what a conditional decoder reads, and this one reads the code alone: make "
            f"the model with conditional=True, or leave {name} out"
        )
    checks.check_array(name, target, "batch time features", "what the decoder is to write")
    checks.check_floating(name, target)
    shape = batch, steps, model.features
    if tuple(target.shape) != shape:
        raise ValueError(
            f"{name} has shape {tuple(target.shape)} but the decoder writes {shape}: it must hold "
            "one row for each step that is written"
        )
