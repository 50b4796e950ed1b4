"""The recursive mode of the forecaster: a stack that reads its own forecasts, one after another.

Training never sees them: the true rows are read instead (teacher forcing).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import lstmcore as lc
from lstmcore.models.stack import (
    DropoutMasks,
    Edits,
    activations_of,
    check_edit_shapes,
    run_stack,
    step_stack,
    traces_of_step,
)
from lstmcore.types import Gates, Trace

if TYPE_CHECKING:
    import jax


def forecast_recursively(
    model: Any,
    ops: Any,
    params: dict,
    x: jax.Array,
    future: jax.Array | None,
    mask: jax.Array | None,
    edits: Edits,
    dropout_masks: DropoutMasks,
) -> tuple[jax.Array, dict[str, Trace]]:
    """Read x [B, T, F], then the model's own forecasts: (forecast [B, horizon, targets], traces).

    It is this loop, without reading the same rows again:

        for step in range(horizon):
            next = forecast of the row after x
            x = concatenate(x, [next, future covariates of that row])
    """
    batch, timesteps = x.shape[:2]
    steps = timesteps + model.horizon - 1
    check_edit_shapes(edits, model.layers, "lstm", batch, steps)
    # The edits have been checked, for all steps; `lc.lstm` must not check them for the past alone.
    edits = {name: partial(_call, edit) for name, edit in (edits or {}).items() if edit}
    options = {"edits": edits, "dropout_masks": dropout_masks, **activations_of(model)}
    rows = _with_next_covariates(model, ops, x, future, mask)
    finals, _, past_traces = run_stack(ops, params, "lstm", rows, mask=mask, **options)
    head = partial(_head, ops, params, dropout_masks)

    def step(carry: tuple, covariates: jax.Array, t: jax.Array) -> tuple:
        states, forecast = carry
        row = ops.np.concatenate([forecast, covariates], axis=1)
        h, states, gates = step_stack(ops, params, "lstm", row, states, t=timesteps + t, **options)
        return (states, head(h)), (forecast, traces_of_step(states, gates))

    covariates = ops.np.zeros((batch, model.horizon, 0), x.dtype) if future is None else future
    start = tuple(finals), head(finals[-1].h)
    (_, last), (forecasts, future_traces) = ops.scan(
        step, start, covariates[:, 1:], model.horizon - 1
    )
    traces = {
        name: _joined_in_time(ops, past_traces[name], future_traces[name]) for name in past_traces
    }
    return ops.np.concatenate([forecasts, last[:, None]], axis=1), traces


def teacher_forcing_loss(
    model: Any,
    params: dict,
    x: jax.Array,
    target: jax.Array,
    future: jax.Array | None,
    dropout_masks: DropoutMasks,
) -> jax.Array:
    """Return the mean squared error of forecasting each row but the first from the true ones."""
    np = lc.ops.np
    x = np.asarray(x, params["head"].kernel.dtype)
    rows = np.concatenate([x[:, :, : model.targets], np.asarray(target, x.dtype)], axis=1)
    inputs = rows[:, :-1]
    if future is not None:
        past, future = x[:, :, model.targets :], np.asarray(future, x.dtype)
        covariates = np.concatenate([past, future], axis=1)
        inputs = np.concatenate([inputs, covariates[:, 1:]], axis=2)
    options = {"mask": None, "edits": None, "dropout_masks": dropout_masks, **activations_of(model)}
    _, h, _ = run_stack(lc.ops, params, "lstm", inputs, **options)
    forecast = lc.ops.time_distributed(partial(_head, lc.ops, params, dropout_masks), h)
    return np.mean((forecast - rows[:, 1:]) ** 2)


def _with_next_covariates(
    model: Any,
    ops: Any,
    x: jax.Array,
    future: jax.Array | None,
    mask: jax.Array | None,
) -> jax.Array:
    """Return [B, T, F] as the stack reads it: with the future covariates of the next row."""
    if future is None:
        return x
    np, timesteps = ops.np, x.shape[1]
    covariates = np.concatenate([x[:, :, model.targets :], future[:, :1]], axis=1)
    if mask is None:
        following = covariates[:, 1:]
    else:  # past the masked rows, which are no rows
        real = np.where(mask, np.arange(timesteps), timesteps)
        at_or_after = -np.flip(ops.cumulative_max(-np.flip(real, axis=1), axis=1), axis=1)
        place = np.pad(at_or_after[:, 1:], ((0, 0), (0, 1)), constant_values=timesteps)
        following = np.take_along_axis(covariates, place[:, :, None], axis=1)
    return np.concatenate([x[:, :, : model.targets], following], axis=2)


def _head(ops: Any, params: dict, dropout_masks: DropoutMasks, h: jax.Array) -> jax.Array:
    return ops.dense(params["head"], h if dropout_masks is None else h * dropout_masks["head"].x)


def _call(edit: Callable, gates: Gates, t: jax.Array) -> Gates:
    return edit(gates, t)


def _joined_in_time(ops: Any, past: Trace, future: Trace) -> Trace:
    def joined(*parts: jax.Array) -> jax.Array:
        return ops.np.concatenate(parts, axis=1)

    gates = Gates(*map(joined, past.gates, future.gates))
    return Trace(joined(past.h, future.h), joined(past.c, future.c), gates)
