"""The recursive half of `lstmcore.forecaster`: a forecaster that reads its own forecasts.

In the place of a row it reads the row's targets and what is known of the row after it:

    row t, known of t + 1  ->  targets of t + 1, known of t + 2  ->  targets of t + 2, ...

`model` is a Forecaster throughout, `params` its weights; `noise` are factors of dropout by name of
what reads them, the same at every step, or None.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp

from lstmcore import checks
from lstmcore.hyperparameters import activations_of
from lstmcore.layers import dense, time_distributed
from lstmcore.stack import run_stack, step_stack
from lstmcore.types import Trace


def write(model, params, x, future, mask, edits, noise):
    """Read x [B, T, F], then go on alone: (forecast [B, horizon, targets], traces).

    It is this loop, without reading the same rows again:

        for step in range(horizon):
            next = forecast of the row after x
            x = concatenate(x, [next, known of that row])
    """
    batch, timesteps = x.shape[:2]
    steps = timesteps + model.horizon - 1
    for name, edit in (edits or {}).items():
        checks.check_edit(edit, batch, steps, model.layers[name].units)
    # Checked here, over all steps; what reads the past alone must not ask whether it fits that.
    edits = {name: partial(_call, edit) for name, edit in (edits or {}).items() if edit}
    options = {"edits": edits, "noise": noise, **activations_of(model)}
    rows = _with_next_known(model, x, future, mask)
    finals, _, read = run_stack(params, "lstm", rows, mask=mask, **options)
    head = partial(_head, params, noise)

    def advance(carry, inputs):
        states, written = carry
        t, known = inputs
        row = jnp.concatenate([written, known], axis=1)
        options = {"t": t, "edits": edits, "noise": noise, **activations_of(model)}
        shown, states, gates = step_stack(params, "lstm", row, states, **options)
        looked = {
            name: Trace(state.h, state.c, gates[name])
            for name, state in zip(gates, states, strict=True)
        }
        return (states, head(shown)), (written, looked)

    known = jnp.zeros((batch, model.horizon, 0), x.dtype) if future is None else future
    inputs = jnp.arange(timesteps, steps), known[:, 1:].swapaxes(0, 1)
    (_, last), written = jax.lax.scan(advance, (tuple(finals), head(finals[-1].h)), inputs)
    forecasts, wrote = jax.tree.map(lambda leaf: leaf.swapaxes(0, 1), written)
    traces = {name: jax.tree.map(_one_after_the_other, read[name], wrote[name]) for name in read}
    return jnp.concatenate([forecasts, last[:, None]], axis=1), traces


def loss(model, params, x, target, future, noise):
    """Mean squared error of forecasting each row but the first, the true ones before it at hand."""
    x = jnp.asarray(x, params["head"].kernel.dtype)
    rows = jnp.concatenate([x[:, :, : model.targets], jnp.asarray(target, x.dtype)], axis=1)
    read = rows[:, :-1]
    if future is not None:
        known = jnp.concatenate([x[:, :, model.targets :], jnp.asarray(future, x.dtype)], axis=1)
        read = jnp.concatenate([read, known[:, 1:]], axis=2)
    options = {"mask": None, "edits": None, "noise": noise, **activations_of(model)}
    _, h, _ = run_stack(params, "lstm", read, **options)
    forecast = time_distributed(partial(_head, params, noise), h)
    return jnp.mean((forecast - rows[:, 1:]) ** 2)


def _with_next_known(model, x, future, mask):
    """[B, T, F] as it is read: the known columns are those of the next row."""
    if not model.known:
        return x
    known = jnp.concatenate([x[:, :, model.targets :], future[:, :1]], axis=1)
    timesteps = x.shape[1]
    if mask is None:
        following = known[:, 1:]
    else:  # past the masked rows, which are no rows
        real = jnp.where(mask, jnp.arange(timesteps), timesteps)
        at_or_after = jax.lax.cummin(real, axis=1, reverse=True)
        place = jnp.pad(at_or_after[:, 1:], ((0, 0), (0, 1)), constant_values=timesteps)
        following = jnp.take_along_axis(known, place[:, :, None], axis=1)
    return jnp.concatenate([x[:, :, : model.targets], following], axis=2)


def _head(params, noise, h):
    return dense(params["head"], h if noise is None else h * noise["head"].x)


def _call(edit, gates, t):
    return edit(gates, t)


def _one_after_the_other(read, written):
    return jnp.concatenate([read, written], axis=1)
