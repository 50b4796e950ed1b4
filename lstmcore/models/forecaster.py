"""The forecaster: an LSTM stack that reads the past of a table and forecasts its next rows.

It forecasts several rows in one of two modes (Ben Taieb et al. 2012, "A review and comparison of
strategies for multi-step ahead time series forecasting based on the NN5 forecasting competition"):

    direct      stack -> last h [B, H], beside all future covariates -> head -> every row
    recursive   stack -> h -> head -> the next row, which the stack reads -> head -> the next ...

A direct forecaster may have a linear path beside the stack, from the last rows to every row that is
forecast: what is linear need not go through the gates (the "autoregressive component" of Lai et al.
2018, "Modeling Long- and Short-Term Temporal Patterns with Deep Neural Networks", equation 9; how
much it does alone: Zeng et al. 2023, "Are Transformers Effective for Time Series Forecasting?").

One forecaster may serve many series. Its head then reads, beside the last h, what tells them apart:
static features, and a learned vector of each series (Salinas et al. 2020, "DeepAR: Probabilistic
forecasting with autoregressive recurrent networks", section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import lstmcore as lc
from lstmcore import checks
from lstmcore.display.text import given_fields
from lstmcore.models.recursive import forecast_recursively, teacher_forcing_loss
from lstmcore.models.series_features import check_series, series_features
from lstmcore.models.stack import (
    DropoutMasks,
    Edits,
    LayerDropout,
    activations_of,
    check_activations,
    check_edits,
    check_key,
    not_called,
    run_stack,
    set_plain,
    summary_html,
)
from lstmcore.specs import Layer, check_params, stack
from lstmcore.types import DenseParams, EmbeddingParams, LSTMParams, Trace

if TYPE_CHECKING:
    import jax

    from lstmcore.activations import Activation

__all__ = ["Forecaster"]

FORECASTS = ("direct", "recursive")


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
      linear_rows: rows, the last ones of the past, from all of whose columns a linear map leads
        straight to the forecast, to which the head is added; 0 for no such path. Only for a direct
        forecaster, whose rows must then all be real: it takes no mask.
      lstm_rows: rows, the last ones of the past, that the LSTM reads where the linear map looks
        further back; None: all. Only for a direct forecaster.
      calendar: number of values that say when a forecast begins, such as sines and cosines of the
        time of the week, which the head and the linear path read. Only for a direct forecaster.
      static: number of features that do not change within a series, which the head reads. Only for
        a direct forecaster.
      series, embedding: number of series, and size of the vector that is learned of each and that
        the head reads; 0 for none. Only for a direct forecaster.
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
    linear_rows: int = 0
    lstm_rows: int | None = None
    calendar: int = 0
    static: int = 0
    series: int = 0
    embedding: int = 0
    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None

    causal = False  # nothing comes out before the sequence has ended

    __call__ = not_called
    __repr__ = given_fields
    _repr_html_ = summary_html

    def __post_init__(self) -> None:
        features, units = checks.check_sizes(self.features, self.units)
        known = checks.check_count("future_covariates", self.future_covariates, minimum=0)
        if known >= features:
            raise ValueError(
                f"future_covariates is {known} of {features} features, which leaves none to "
                "forecast: they are the columns whose future is given"
            )
        targets = features - known if self.targets is None else self.targets
        checks.check_rate("dropout", self.dropout)
        set_plain(
            self,
            features=features,
            units=units,
            horizon=checks.check_count("horizon", self.horizon),
            targets=checks.check_count("targets", targets),
            future_covariates=known,
            quantiles=checks.check_quantiles(self.quantiles),
            dropout=float(self.dropout),
            calendar=checks.check_count("calendar", self.calendar, minimum=0),
            linear_rows=checks.check_count("linear_rows", self.linear_rows, minimum=0),
            static=checks.check_count("static", self.static, minimum=0),
            series=checks.check_count("series", self.series, minimum=0),
            embedding=checks.check_count("embedding", self.embedding, minimum=0),
        )
        if self.lstm_rows is not None:
            set_plain(self, lstm_rows=checks.check_count("lstm_rows", self.lstm_rows))
        checks.check_choice("mode", self.mode, FORECASTS)
        if bool(self.series) != bool(self.embedding):
            raise ValueError(
                f"series is {self.series} and embedding {self.embedding}: give the number of "
                "series and the size of their vectors, or neither"
            )
        self._check_columns()
        check_activations(self)

    def _check_columns(self) -> None:
        """Raise unless the columns that are forecast and known are those that the mode needs."""
        targets: Any = self.targets  # a number by now
        taken = targets + self.future_covariates
        if taken > self.features:
            raise ValueError(
                f"{self.targets} targets and {self.future_covariates} future covariates are more "
                f"than the {self.features} features"
            )
        if self.mode == "direct":
            return
        if taken < self.features:
            raise ValueError(
                f"mode='recursive' reads its own forecasts, but nobody forecasts the last "
                f"{self.features - taken} of the {self.features - self.future_covariates} columns "
                "without a known future: use mode='direct', or forecast them too"
            )
        if self.linear_rows:
            raise ValueError(
                "mode='recursive' has no linear path: use mode='direct', or linear_rows=0"
            )
        if self.calendar:
            raise ValueError(
                "mode='recursive' has no head of all rows, which reads the calendar: use "
                "mode='direct', calendar=0, or future covariates"
            )
        if self.lstm_rows is not None:
            raise ValueError(
                "mode='recursive' reads all rows of x: use mode='direct', or lstm_rows=None"
            )
        if self.quantiles:
            raise ValueError(
                "mode='recursive' feeds one number back, and quantiles are several: use "
                "mode='direct', or dropout and samples"
            )
        if self.static or self.series:
            raise ValueError(
                "mode='recursive' reads rows alone: use mode='direct', or leave static, series and "
                "embedding out"
            )

    @property
    def layers(self) -> dict[str, Layer]:
        """Return {name: Layer(kind, features, units)}, in reading order.

        The stack, the embedding "series" if there is one, a head and, with `linear_rows`, the layer
        "linear". The kernel of the head has a row for each unit, each future covariate of each row
        to forecast, each number of the calendar, each static feature and each number of the
        embedding; that of "linear" for each column of each row of the past, the oldest row first,
        and then likewise for each future covariate and each number of the calendar.
        """
        known, outputs = 0, self.targets or 0  # a number by now
        if self.mode == "direct":  # of all rows at once, from their covariates too
            known = self.horizon * self.future_covariates
            outputs *= self.horizon * max(1, len(self.quantiles))
        known += self.calendar
        read = self.units[-1] + known + self.static + self.embedding
        layers = stack("lstm", self.features, self.units)
        if self.series:
            layers["series"] = Layer(EmbeddingParams, self.series, self.embedding)
        layers["head"] = Layer(DenseParams, read, outputs)
        if self.linear_rows:
            read = self.linear_rows * self.features + known
            layers["linear"] = Layer(DenseParams, read, outputs)
        return layers

    def init(self, key: jax.Array, dtype: Any = "float32") -> dict:
        """Return new weights, drawn by `init_lstm` and `init_dense`."""
        return lc.init_layers(key, self.layers, dtype)

    def apply(
        self,
        params: dict,
        x: jax.Array,
        future: jax.Array | None = None,
        *,
        mask: jax.Array | None = None,
        edits: Edits = None,
        calendar: jax.Array | None = None,
        static: jax.Array | None = None,
        series: jax.Array | None = None,
        key: jax.Array | None = None,
        ops: Any = lc.ops,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Read the past and forecast the next rows.

        Args:
          params: what `init` returned, trained or not.
          x: [B, T, F], the rows up to now.
          future: [B, horizon, future_covariates], of the rows to forecast.
          mask: bool [B, T], True = real row.
          edits: for any LSTM layer by name, the `edit` of `lc.lstm`.
          calendar: [B, calendar], of the first row to forecast.
          static: [B, static], the static features of the series of each example.
          series: int [B], the number of that series, from 0; below 0 is a series without a vector
            of its own, which is given the mean of all.
          key: random key for dropout; None for no dropout.
          ops: `lc.ops` to compute by JAX, `lc.reference` by NumPy.

        Returns:
          (forecast [B, horizon, targets], with quantiles [B, horizon, targets, Q] in increasing
          order; Trace of each LSTM layer by name). A recursive forecaster's traces include the
          steps at which it reads its own forecasts: they have T + horizon - 1 steps, which the `t`
          of edits counts too. With `lstm_rows` they have as many steps, the last ones of x.

        Raises:
          ValueError: shapes that do not fit, or an unknown name in `edits`.
          TypeError: arguments of another kind.
        """
        params, x, future = self._checked(ops, params, x, future, edits, key)
        static, series = check_series(self, ops, x.shape[0], static, series)
        if mask is not None:
            if self.linear_rows:
                raise ValueError(
                    "mask was given, but the linear path reads the last rows of x, which must be "
                    "real: leave mask out, or use linear_rows=0"
                )
            mask = checks.check_mask(ops.as_array("mask", mask), x.shape[0], x.shape[1])
        x = ops.np.asarray(x, params["head"].kernel.dtype)
        if future is not None:
            future = ops.np.asarray(future, x.dtype)
        calendar = _checked_calendar(self, ops, calendar, x)
        dropout_masks = _draw_dropout_masks(self, ops, params, key, x.shape[0])
        if self.mode == "recursive":
            return forecast_recursively(self, ops, params, x, future, mask, edits, dropout_masks)
        beside = [] if future is None else [_flat(future)]
        beside += [] if calendar is None else [calendar]
        beside += series_features(ops, params, x.dtype, static, series)
        return _forecast_directly(self, ops, params, x, beside, mask, edits, dropout_masks)

    def loss(self, params: dict, batch: dict, key: jax.Array | None = None) -> jax.Array:
        """Return the loss for `lc.fit`: mean squared error or, with quantiles, `lc.quantile_loss`.

        A recursive forecaster is trained to forecast the next row from each row of `x` and `target`
        but the last, always reading the true rows (teacher forcing).

        Args:
          params: as in `apply`.
          batch: {"x": [B, T, F], "target": [B, horizon, targets]} and, as far as the model reads
            them, "future": [B, horizon, future_covariates], "calendar": [B, calendar], "static":
            [B, static] and "series": int [B].
          key: random key for dropout.

        Returns:
          A scalar.

        Raises:
          ValueError, TypeError: as `apply`.
        """
        x, target, future = batch["x"], batch["target"], batch.get("future")
        params, x, future = self._checked(lc.ops, params, x, future, None, key)
        target = lc.ops.as_array("target", target)
        checks.check_array("target", target, "batch time features")
        expected = (x.shape[0], self.horizon, self.targets)
        if tuple(target.shape) != expected:
            raise ValueError(f"target has shape {tuple(target.shape)} but must be {expected}")
        if self.mode == "recursive":
            dropout_masks = _draw_dropout_masks(self, lc.ops, params, key, x.shape[0])
            return teacher_forcing_loss(self, params, x, target, future, dropout_masks)
        beside = {name: batch.get(name) for name in ("calendar", "static", "series")}
        forecast, _ = self.apply(params, x, future, **beside, key=key)
        if self.quantiles:
            return lc.quantile_loss(forecast, target, self.quantiles)
        return lc.ops.np.mean((forecast - lc.ops.np.asarray(target, forecast.dtype)) ** 2)

    def masks(self, x: jax.Array, *, mask: jax.Array | None = None) -> dict[str, jax.Array | None]:
        """Return where the steps of each LSTM layer are real, bool [B, steps], or None if all are.

        Those of a recursive forecaster include the steps at which it reads its own forecasts.
        """
        if mask is not None and self.mode == "recursive":
            own = lc.ops.np.ones((x.shape[0], self.horizon - 1), bool)
            mask = lc.ops.np.concatenate([mask, own], axis=1)
        mask = _recent(self, mask)
        return dict.fromkeys(stack("lstm", self.features, self.units), mask)

    def summary_rows(self, timesteps: int | None) -> list[tuple[str, str, tuple]]:
        """Return (name, type, output shape) of each layer, for `lc.summary`.

        A recursive forecaster also runs over its own forecasts.
        """
        recursive = self.mode == "recursive"
        steps = timesteps + self.horizon - 1 if recursive and timesteps else timesteps
        if steps and self.lstm_rows is not None:
            steps = min(steps, self.lstm_rows)
        rows: list[tuple] = []
        for name, layer in self.layers.items():
            if layer.kind is LSTMParams:
                rows.append((name, "LSTM", (None, steps, layer.units)))
            elif layer.kind is EmbeddingParams:
                rows.append((name, "Embedding", (None, layer.units)))
            elif recursive:
                rows.append((name, "TimeDistributed(Dense)", (None, self.horizon, self.targets)))
            else:
                rows.append((name, "Dense", (None, layer.units)))
        if not recursive:  # only the final state of the last LSTM layer is read
            last = len(self.units) - 1
            rows[last] = (*rows[last][:2], (None, self.units[-1]))
        return rows

    def _checked(
        self,
        ops: Any,
        params: dict,
        x: jax.Array,
        future: jax.Array | None,
        edits: Edits,
        key: jax.Array | None,
    ) -> tuple[dict, jax.Array, jax.Array | None]:
        """Return params, x and future as arrays; raise unless they fit the model."""
        if key is not None:
            check_key(ops, key)
        params = check_params(params, self.layers)
        check_edits(edits, self.layers)
        x, future = ops.as_array("x", x), ops.as_array("future", future)
        checks.check_input(x, self.features, repeated=False)
        if x.shape[1] == 0:
            raise ValueError("x has no steps: a forecast needs at least one row of the past")
        if x.shape[1] < self.linear_rows:
            raise ValueError(
                f"x has {x.shape[1]} steps, but the linear path reads the last {self.linear_rows} "
                "rows: pass as many, or use a smaller linear_rows"
            )
        if not self.future_covariates:
            if future is not None:
                raise ValueError(
                    "future was given but the model has future_covariates=0: leave it out"
                )
            return params, x, None
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
        return params, x, future


def _forecast_directly(
    model: Forecaster,
    ops: Any,
    params: dict,
    x: jax.Array,
    beside: list[jax.Array],
    mask: jax.Array | None,
    edits: Edits,
    dropout_masks: DropoutMasks,
) -> tuple[jax.Array, dict[str, Trace]]:
    """Return (forecast [B, horizon, targets] or [B, horizon, targets, Q], traces)."""
    options = {
        "mask": _recent(model, mask),
        "edits": edits,
        "dropout_masks": dropout_masks,
        **activations_of(model),
    }
    finals, _, traces = run_stack(ops, params, "lstm", _recent(model, x), **options)
    code = finals[-1].h if dropout_masks is None else finals[-1].h * dropout_masks["head"].x
    forecast = ops.dense(params["head"], ops.np.concatenate([code, *beside], axis=1))
    if model.linear_rows:  # which reads nothing of what tells series apart
        known = beside[: bool(model.future_covariates) + bool(model.calendar)]
        past = [_flat(x[:, -model.linear_rows :]), *known]
        forecast = forecast + ops.dense(params["linear"], ops.np.concatenate(past, axis=1))
    shape = (model.horizon, model.targets, *(len(model.quantiles),) * bool(model.quantiles))
    forecast = forecast.reshape(x.shape[0], *shape)
    if model.quantiles:
        # Quantiles that are trained one by one may cross. In order they are never further from
        # the truth (Chernozhukov, Fernández-Val & Galichon 2010).
        forecast = ops.np.sort(forecast, axis=-1)
    return forecast, traces


def _checked_calendar(model: Forecaster, ops: Any, calendar: Any, x: jax.Array) -> Any:
    """Return the calendar [B, calendar] as the other inputs are; None of a model without one."""
    if not model.calendar:
        if calendar is not None:
            raise ValueError("calendar was given but the model has calendar=0: leave it out")
        return None
    expected = (x.shape[0], model.calendar)
    if calendar is None:
        raise ValueError(f"calendar is missing: pass that of the first row to forecast, {expected}")
    calendar = ops.as_array("calendar", calendar)
    checks.check_floating("calendar", calendar)
    if tuple(calendar.shape) != expected:
        raise ValueError(f"calendar has shape {tuple(calendar.shape)} but must be {expected}")
    return ops.np.asarray(calendar, x.dtype)


def _recent(model: Forecaster, rows: Any) -> Any:
    """Return the rows [B, T, ...] that the LSTM reads; None stays None."""
    return rows if rows is None or model.lstm_rows is None else rows[:, -model.lstm_rows :]


def _flat(rows: jax.Array) -> jax.Array:
    """Return [B, T, F] as [B, T F], the columns of a row side by side."""
    return rows.reshape(rows.shape[0], rows.shape[1] * rows.shape[2])


def _draw_dropout_masks(
    model: Forecaster, ops: Any, params: dict, key: jax.Array | None, batch: int
) -> DropoutMasks:
    """Return the dropout masks of each LSTM layer and the head, by name; None without dropout."""
    if key is None or not model.dropout:
        return None
    dtype = params["head"].kernel.dtype
    draw: Callable = partial(ops.dropout_mask, rate=model.dropout, dtype=dtype)
    names = [name for name, layer in model.layers.items() if layer.kind is LSTMParams]
    keys = iter(ops.random.split(key, 2 * len(names)))
    dropout_masks = {}
    below = ops.np.ones((batch, model.features), dtype)
    for name in names:
        shape = batch, model.layers[name].units
        dropout_masks[name] = LayerDropout(x=below, h=draw(next(keys), shape))
        below = draw(next(keys), shape)
    return dropout_masks | {"head": LayerDropout(x=below, h=None)}
