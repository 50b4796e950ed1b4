"""The forecaster: an LSTM stack that reads the past of a table and forecasts its next rows.

It forecasts several rows in one of two modes (Ben Taieb et al. 2012, "A review and comparison of
strategies for multi-step ahead time series forecasting based on the NN5 forecasting competition"):

    direct      stack -> last h [B, H], beside all future covariates -> head -> every row
    recursive   stack -> h -> head -> the next row, which the stack reads -> head -> the next ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from lstmcore import checks, specs
from lstmcore.activations import Activation
from lstmcore.dtypes import check_key
from lstmcore.layers import dense, time_distributed
from lstmcore.losses import quantile_loss
from lstmcore.models.stack import (
    DropoutMasks,
    Edits,
    LayerDropout,
    activations_of,
    batch_major,
    check_activations,
    check_edit_shapes,
    check_edits,
    init_layers,
    run_stack,
    sizes_of,
    step_stack,
    traces_of_step,
)
from lstmcore.regularization import dropout_mask
from lstmcore.types import Gates, LSTMParams, Trace

__all__ = ["Forecaster"]


@dataclass(frozen=True)
class Forecaster:
    """LSTM stack that forecasts the next `horizon` rows of a table.

    The columns of the table are in this order: first the targets, which are forecast, then those of
    which only the past is known, then the future covariates, which are known in advance, such as
    the calendar, plans and prices.

    Attributes:
      features: F, columns of the table.
      units: sizes of the layers; one number for one layer.
      horizon: rows to forecast.
      targets: number of columns to forecast, the first ones; None: all but the future covariates.
      future_covariates: number of columns that are known in advance, the last ones.
      mode: "direct" or "recursive". In place of a row, a recursive forecaster reads its targets and
        the future covariates of the next row; there can be no other columns.
      quantiles: increasing numbers between 0 and 1, one output for each; () forecasts the mean.
        Only for a direct forecaster.
      dropout: rate, on the hidden states that a layer, the layer above and the head read; the same
        units at every step of an example (Gal & Ghahramani 2016). The input is never dropped: of a
        single column nothing would be left. Applied only if `apply` is given a key.
      activation, recurrent_activation, output_activation: of every layer, see `lc.lstm`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> model = lc.Forecaster(features=3, units=8, horizon=4, targets=1, future_covariates=1)
      >>> past, prices = jnp.ones((5, 24, 3)), jnp.ones((5, 4, 1))
      >>> forecast, traces = model.apply(model.init(jax.random.key(0)), past, prices)
      >>> forecast.shape, list(traces)
      ((5, 4, 1), ['lstm_0'])
    """

    features: int
    units: tuple[int, ...]
    horizon: int
    targets: int | None = None
    future_covariates: int = 0
    mode: str = "direct"
    quantiles: tuple[float, ...] = ()
    dropout: float = 0.0
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None

    def __post_init__(self) -> None:
        check_activations(self)
        _ = self.layers  # describing them checks what is left
        # Plain numbers compare, hash and save well.
        features, units = checks.check_sizes(self.features, self.units)
        future_covariates = int(self.future_covariates)
        plain = {
            "features": features,
            "units": units,
            "horizon": int(self.horizon),
            "targets": int(features - future_covariates if self.targets is None else self.targets),
            "future_covariates": future_covariates,
            "quantiles": checks.check_quantiles(self.quantiles),
            "dropout": float(self.dropout),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    @property
    def layers(self) -> dict[str, specs.Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order."""
        return specs.forecaster(**sizes_of(self))

    def init(self, key: jax.Array, dtype: Any = jnp.float32) -> dict:
        """Return new weights, drawn by `init_lstm` and `init_dense`."""
        return init_layers(key, self.layers, dtype)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        future: jax.Array | None = None,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        key: jax.Array | None = None,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Read the past and forecast the next rows.

        Args:
          params: what `init` returned, trained or not.
          x: [B, T, F], the rows up to now.
          future: [B, horizon, future_covariates], of the rows to forecast.
          mask: bool [B, T], True = real row.
          edits: for any LSTM layer by name, the `edit` of `lc.lstm`.
          key: random key for dropout; None for no dropout.

        Returns:
          (forecast [B, horizon, targets], with quantiles [B, horizon, targets, Q] in increasing
          order; Trace of each LSTM layer by name). A recursive forecaster's traces include the
          steps at which it reads its own forecasts: they have T + horizon - 1 steps, which the `t`
          of edits counts too.

        Raises:
          ValueError: shapes that do not fit, or an unknown name in `edits`.
          TypeError: arguments of another kind.
        """
        self._check(params, x, future, edits, key)
        if mask is not None:
            checks.check_mask(mask, x.shape[0], x.shape[1])
        x = jnp.asarray(x, params["head"].kernel.dtype)
        if future is not None:
            future = jnp.asarray(future, x.dtype)
        dropout_masks = _draw_dropout_masks(self, params, key, x.shape[0])
        forecast = _forecast_recursively if self.mode == "recursive" else _forecast_directly
        return forecast(self, params, x, future, mask, edits, dropout_masks)

    def loss(self, params: dict, batch: dict, key: jax.Array | None = None) -> jax.Array:
        """Return the loss for `lc.fit`: mean squared error or, with quantiles, `lc.quantile_loss`.

        A recursive forecaster is trained to forecast the next row from each row of `x` and `target`
        but the last, always reading the true rows (teacher forcing).

        Args:
          params: as in `apply`.
          batch: {"x": [B, T, F], "target": [B, horizon, targets]}, and with
            future covariates "future": [B, horizon, future_covariates].
          key: random key for dropout.

        Returns:
          A scalar.

        Raises:
          ValueError, TypeError: as `apply`.
        """
        x, target, future = batch["x"], batch["target"], batch.get("future")
        self._check(params, x, future, None, key)
        checks.check_array("target", target, "batch time features")
        expected = (x.shape[0], self.horizon, self.targets)
        if tuple(target.shape) != expected:
            raise ValueError(f"target has shape {tuple(target.shape)} but must be {expected}")
        if self.mode == "recursive":
            dropout_masks = _draw_dropout_masks(self, params, key, x.shape[0])
            return _teacher_forcing_loss(self, params, x, target, future, dropout_masks)
        forecast, _ = self.apply(params, x, future, key=key)
        if self.quantiles:
            return quantile_loss(forecast, target, self.quantiles)
        return jnp.mean((forecast - jnp.asarray(target, forecast.dtype)) ** 2)

    def _check(
        self,
        params: dict,
        x: jax.Array,
        future: jax.Array | None,
        edits: Edits,
        key: jax.Array | None,
    ) -> None:
        if key is not None:
            check_key(key)
        specs.check_params(params, self.layers)
        check_edits(edits, self.layers)
        checks.check_input(x, self.features, repeated=False)
        if x.shape[1] == 0:
            raise ValueError("x has no steps: a forecast needs at least one row of the past")
        if not self.future_covariates:
            if future is not None:
                raise ValueError(
                    "future was given but the model has future_covariates=0: leave it out"
                )
            return
        if future is None:
            raise ValueError(
                f"future is missing: the last {self.future_covariates} columns are future "
                f"covariates, pass theirs [batch, {self.horizon}, {self.future_covariates}]"
            )
        checks.check_array("future", future, "batch time features")
        checks.check_floating("future", future)
        expected = (x.shape[0], self.horizon, self.future_covariates)
        if tuple(future.shape) != expected:
            raise ValueError(
                f"future has shape {tuple(future.shape)} but the model and x need {expected}: the "
                "future covariates of the rows to forecast"
            )


def _forecast_directly(
    model: Forecaster,
    params: dict,
    x: jax.Array,
    future: jax.Array | None,
    mask: jax.Array | None,
    edits: Edits,
    dropout_masks: DropoutMasks,
) -> tuple[jax.Array, dict[str, Trace]]:
    """Return (forecast [B, horizon, targets] or [B, horizon, targets, Q], traces)."""
    options = {
        "mask": mask,
        "edits": edits,
        "dropout_masks": dropout_masks,
        **activations_of(model),
    }
    finals, _, traces = run_stack(params, "lstm", x, **options)
    code = finals[-1].h if dropout_masks is None else finals[-1].h * dropout_masks["head"].x
    if future is not None:
        flat = future.reshape(future.shape[0], model.horizon * model.future_covariates)
        code = jnp.concatenate([code, flat], axis=1)
    shape = (model.horizon, model.targets, *(len(model.quantiles),) * bool(model.quantiles))
    forecast = dense(params["head"], code).reshape(code.shape[0], *shape)
    if model.quantiles:
        # Quantiles that are trained one by one may cross. In order they are never further from
        # the truth (Chernozhukov, Fernández-Val & Galichon 2010).
        forecast = jnp.sort(forecast, axis=-1)
    return forecast, traces


def _forecast_recursively(
    model: Forecaster,
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
    rows = _with_next_covariates(model, x, future, mask)
    finals, _, past_traces = run_stack(params, "lstm", rows, mask=mask, **options)
    head = partial(_head, params, dropout_masks)

    def advance(carry: tuple, inputs: tuple) -> tuple:
        states, forecast = carry
        t, covariates = inputs
        row = jnp.concatenate([forecast, covariates], axis=1)
        h, states, gates = step_stack(params, "lstm", row, states, t=t, **options)
        return (states, head(h)), (forecast, traces_of_step(states, gates))

    covariates = jnp.zeros((batch, model.horizon, 0), x.dtype) if future is None else future
    inputs = jnp.arange(timesteps, steps), covariates[:, 1:].swapaxes(0, 1)
    start = tuple(finals), head(finals[-1].h)
    scanned: Any = jax.lax.scan(advance, start, inputs)
    (_, last), results = scanned
    forecasts, future_traces = batch_major(results)
    traces = {
        name: jax.tree.map(_join_in_time, past_traces[name], future_traces[name])
        for name in past_traces
    }
    return jnp.concatenate([forecasts, last[:, None]], axis=1), traces


def _teacher_forcing_loss(
    model: Forecaster,
    params: dict,
    x: jax.Array,
    target: jax.Array,
    future: jax.Array | None,
    dropout_masks: DropoutMasks,
) -> jax.Array:
    """Return the mean squared error of forecasting each row but the first from the true ones."""
    x = jnp.asarray(x, params["head"].kernel.dtype)
    rows = jnp.concatenate([x[:, :, : model.targets], jnp.asarray(target, x.dtype)], axis=1)
    inputs = rows[:, :-1]
    if future is not None:
        past, future = x[:, :, model.targets :], jnp.asarray(future, x.dtype)
        covariates = jnp.concatenate([past, future], axis=1)
        inputs = jnp.concatenate([inputs, covariates[:, 1:]], axis=2)
    options = {"mask": None, "edits": None, "dropout_masks": dropout_masks, **activations_of(model)}
    _, h, _ = run_stack(params, "lstm", inputs, **options)
    forecast = time_distributed(partial(_head, params, dropout_masks), h)
    return jnp.mean((forecast - rows[:, 1:]) ** 2)


def _with_next_covariates(
    model: Forecaster, x: jax.Array, future: jax.Array | None, mask: jax.Array | None
) -> jax.Array:
    """Return [B, T, F] as the stack reads it: with the future covariates of the next row."""
    if future is None:
        return x
    covariates = jnp.concatenate([x[:, :, model.targets :], future[:, :1]], axis=1)
    timesteps = x.shape[1]
    if mask is None:
        following = covariates[:, 1:]
    else:  # past the masked rows, which are no rows
        real = jnp.where(mask, jnp.arange(timesteps), timesteps)
        at_or_after = jax.lax.cummin(real, axis=1, reverse=True)
        place = jnp.pad(at_or_after[:, 1:], ((0, 0), (0, 1)), constant_values=timesteps)
        following = jnp.take_along_axis(covariates, place[:, :, None], axis=1)
    return jnp.concatenate([x[:, :, : model.targets], following], axis=2)


def _draw_dropout_masks(
    model: Forecaster, params: dict, key: jax.Array | None, batch: int
) -> DropoutMasks:
    """Return the dropout masks of each LSTM layer and the head, by name; None without dropout."""
    if key is None or not model.dropout:
        return None
    dtype = params["head"].kernel.dtype
    draw: Callable = partial(dropout_mask, rate=model.dropout, dtype=dtype)
    stack = [name for name, layer in model.layers.items() if layer.kind is LSTMParams]
    keys = iter(jax.random.split(key, 2 * len(stack)))
    dropout_masks = {}
    below = jnp.ones((batch, model.features), dtype)
    for name in stack:
        shape = batch, model.layers[name].units
        dropout_masks[name] = LayerDropout(x=below, h=draw(next(keys), shape))
        below = draw(next(keys), shape)
    return dropout_masks | {"head": LayerDropout(x=below, h=None)}


def _head(params: dict, dropout_masks: DropoutMasks, h: jax.Array) -> jax.Array:
    return dense(params["head"], h if dropout_masks is None else h * dropout_masks["head"].x)


def _call(edit: Callable, gates: Gates, t: jax.Array) -> Gates:
    return edit(gates, t)


def _join_in_time(past: jax.Array, future: jax.Array) -> jax.Array:
    return jnp.concatenate([past, future], axis=1)
