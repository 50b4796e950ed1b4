"""The forecaster: read what has been, write what comes next.

Two ways to write more than one step (Ben Taieb et al. 2012, "A review and comparison of strategies
for multi-step ahead time series forecasting based on the NN5 forecasting competition"):

    direct      stack -> last h [B, H], and all that is known of the future -> head -> every step
    recursive   stack -> h -> head -> the next step, which the stack reads -> head -> the next ...
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from lstmcore import checks, specs
from lstmcore.activations import Activation
from lstmcore.dtypes import check_key
from lstmcore.layers import dense, time_distributed
from lstmcore.losses import quantile_loss
from lstmcore.models.stack import (
    Edits,
    Noise,
    activations_of,
    check_activations,
    check_edits,
    init_layers,
    run_stack,
    sizes_of,
    step_stack,
)
from lstmcore.regularization import dropout_mask
from lstmcore.types import LSTMParams, Trace

__all__ = ["Forecaster"]


def forecast_recursively(model, params, x, future, mask, edits, noise):
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
    if not model.future_covariates:
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


@dataclass(frozen=True)
class Forecaster:
    """An LSTM stack that forecasts the next `horizon` rows of a table.

    The columns of the table stand in this order: first those to forecast, then those of which only
    the past is known, then those known in advance, such as calendar, plans and prices.

    Attributes:
      features: F, columns of the table.
      units: sizes of the layers; one number for one layer.
      horizon: rows to forecast.
      targets: the first so many columns are forecast; None: all that are not known in advance.
      future_covariates: the last so many columns are known in advance.
      mode: "direct" or "recursive". A recursive forecaster reads in the place of a row its targets
        and what is known of the row after it; there are no columns of which only the past is known.
      quantiles: rising numbers between 0 and 1, one output for each; () forecasts the mean. Of a
        direct forecaster only.
      dropout: rate, on the hidden states that a layer, the layer above and the head read; the same
        units at every step of an example (Gal & Ghahramani 2016). The data are never dropped: of a
        single column nothing would be left. Acts only where `apply` is given a key.
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

    def __post_init__(self):
        check_activations(self)
        _ = self.layers  # describing them checks what is left
        # Plain numbers compare, hash and save well.
        features, units = checks.check_sizes(self.features, self.units)
        known = int(self.future_covariates)
        plain = {
            "features": features,
            "units": units,
            "horizon": int(self.horizon),
            "targets": features - known if self.targets is None else int(self.targets),
            "future_covariates": known,
            "quantiles": checks.check_quantiles(self.quantiles),
            "dropout": float(self.dropout),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)

    @property
    def layers(self) -> dict[str, specs.Layer]:
        """{name: Layer(kind, features, units)}, in reading order."""
        return specs.forecaster(**sizes_of(self))

    def init(self, key: jax.Array, dtype=jnp.float32) -> dict:
        """Fresh weights, drawn as by `init_lstm` and `init_dense`."""
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
        """Read the past, forecast.

        Args:
          params: what `init` returned, trained or not.
          x: [B, T, F], the rows up to now.
          future: [B, horizon, known], the known columns of the rows to forecast.
          mask: bool [B, T], True = real row.
          edits: for any LSTM layer by name, the `edit` of `lc.lstm`.
          key: random key for dropout; None leaves dropout out.

        Returns:
          (forecast [B, horizon, targets], with quantiles [B, horizon, targets, Q] in rising order,
          Trace of each LSTM layer by name). A recursive forecaster's traces go on while it reads
          its own output: they have T + horizon - 1 steps, over which the `t` of edits counts, too.

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
        noise = self._noise(params, key, x.shape[0])
        if self.mode == "recursive":
            return forecast_recursively(self, params, x, future, mask, edits, noise)
        return self._direct(params, x, future, mask, edits, noise)

    def loss(self, params: dict, batch: dict, key: jax.Array | None = None) -> jax.Array:
        """What `lc.fit` minimises: mean squared error or, with quantiles, `lc.quantile_loss`.

        A recursive forecaster is trained to forecast the next row from each row of `x` and `target`
        but the last, with the true row before it at hand (teacher forcing).

        Args:
          params: as in `apply`.
          batch: {"x": [B, T, F], "target": [B, horizon, targets]}, and if columns are known in
            advance "future": [B, horizon, known].
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
            noise = self._noise(params, key, x.shape[0])
            return loss(self, params, x, target, future, noise)
        forecast, _ = self.apply(params, x, future, key=key)
        if self.quantiles:
            return quantile_loss(forecast, target, self.quantiles)
        return jnp.mean((forecast - jnp.asarray(target, forecast.dtype)) ** 2)

    def _direct(self, params, x, future, mask, edits, noise):
        options = {"mask": mask, "edits": edits, "noise": noise, **activations_of(self)}
        finals, _, traces = run_stack(params, "lstm", x, **options)
        code = finals[-1].h if noise is None else finals[-1].h * noise["head"].x
        if future is not None:
            known = future.reshape(future.shape[0], self.horizon * self.future_covariates)
            code = jnp.concatenate([code, known], axis=1)
        shape = (self.horizon, self.targets, *(len(self.quantiles),) * bool(self.quantiles))
        forecast = dense(params["head"], code).reshape(code.shape[0], *shape)
        if self.quantiles:
            # Quantiles that are trained one by one may cross. In order they are never further from
            # the truth (Chernozhukov, Fernández-Val & Galichon 2010).
            forecast = jnp.sort(forecast, axis=-1)
        return forecast, traces

    def _noise(self, params, key, batch: int) -> dict[str, Noise] | None:
        """Factors of dropout, by name of what reads them."""
        if key is None or not self.dropout:
            return None
        dtype = params["head"].kernel.dtype
        draw: Callable = partial(dropout_mask, rate=self.dropout, dtype=dtype)
        stack = [name for name, layer in self.layers.items() if layer.kind is LSTMParams]
        keys = iter(jax.random.split(key, 2 * len(stack)))
        shown = {name: (batch, self.layers[name].units) for name in stack}
        noise = {}
        below = jnp.ones((batch, self.features), dtype)
        for name in stack:
            noise[name] = Noise(x=below, h=draw(next(keys), shown[name]))
            below = draw(next(keys), shown[name])
        return noise | {"head": Noise(x=below, h=None)}

    def _check(self, params, x, future, edits, key) -> None:
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
                f"future is missing: the last {self.future_covariates} columns are known in "
                f"advance, pass "
                f"theirs [batch, {self.horizon}, {self.future_covariates}]"
            )
        checks.check_array("future", future, "batch time features")
        checks.check_floating("future", future)
        expected = (x.shape[0], self.horizon, self.future_covariates)
        if tuple(future.shape) != expected:
            raise ValueError(
                f"future has shape {tuple(future.shape)} but the model and x need {expected}: the "
                "known columns of the rows to forecast"
            )
