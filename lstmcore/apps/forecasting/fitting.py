"""The fit of a forecaster: its linear path first, then the LSTM, which is kept where it helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from lstmcore.apps.forecasting import linear, selection
from lstmcore.apps.forecasting.ensemble import Ensemble
from lstmcore.apps.forecasting.errors import Errors, cross_fitted
from lstmcore.apps.forecasting.examples import Parts
from lstmcore.apps.forecasting.paired import FEWEST, standardised_mean
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.apps.training import adam, fit_model, initial_params
from lstmcore.models.forecaster import Forecaster
from lstmcore.programs import compiled
from lstmcore.training.fit import FitResult
from lstmcore.types import DenseParams

SURE = 3.0  # standard errors by which the LSTM must lower the validation loss of the linear path


class Fitted(NamedTuple):
    """The result of `fit_parts`.

    Attributes:
      result: FitResult, with the params of the whole model.
      errors: of the forecasts of the mean, see `_errors_of`; none of quantiles.
      losses: [N], of the validation examples; None without these.
    """

    result: FitResult
    errors: Errors
    losses: np.ndarray | None


def fit_parts(
    model: Forecaster,
    settings: Settings,
    parts: Parts,
    maps: Sequence[selection.Candidate],
    earlier: dict | None,
    running: dict,
    judge: Callable[[np.ndarray, int], bool | None] | None = None,
    *,
    known: int | np.ndarray = 0,
) -> Fitted:
    """Train the model.

    A linear path is fitted first, and the LSTM learns what it leaves, so that nothing but the
    window of the LSTM is read in training. With `earlier` params it starts from these, and they
    stay if they are better in the validation part, as far as that lies after the `known` rows that
    they were trained on (of each validation example, [N], or of all). `judge` takes by how much the
    LSTM lowers the loss of each validation example, and the horizon, and returns whether it is
    kept, or None if there are too few to tell, and then the LSTM is not trained; None: as `train`
    does.
    """
    lstm = replace(model, linear_rows=0, lstm_rows=None)
    path = selection.mean_map(maps, parts.before) if model.linear_rows else None
    training = parts.batch(model, parts.training, path)
    validation = None if parts.validation is None else parts.batch(model, parts.validation, path)
    left = Errors.none(model.horizon, model.targets or 0) if path is None else _left(maps, parts)
    silent = partial(_silent, lstm, left, training)
    judge = judge or _judge

    def begin(drawn: dict) -> dict:
        if earlier is not None:
            return {name: part for name, part in earlier.items() if name != "linear"}
        return drawn if path is None else silent(drawn)

    whole = partial(_whole, model, path)
    if path is not None and parts.validation is not None and not _can_tell(judge, parts, model):
        result = _untrained(lstm, settings, lambda drawn: silent(begin(drawn)))
    else:
        result = _trained(lstm, settings, (training, validation), begin, whole, running)
    kept = result.params
    if validation is None or parts.validation is None:
        errors = left if not model.quantiles else left.without()
        return Fitted(result._replace(params=whole(kept)), errors, None)
    losses = _losses(lstm, kept, validation)
    if path is not None:
        without = silent(kept)
        of_path = _losses(lstm, without, validation)
        if not judge(of_path - losses, model.horizon):
            kept, losses = without, of_path
    if earlier is not None:
        before = parts.batch(model, parts.validation, _path_of(model, earlier))
        was = begin(earlier)
        of_earlier = _losses(lstm, was, before)
        is_new = parts.validation >= known
        if is_new.any() and of_earlier[is_new].mean() <= losses[is_new].mean():
            errors = _errors_of(lstm, was, parts, before, left)
            return Fitted(result._replace(params=earlier), errors, of_earlier)
    kept = _calibrated(lstm, kept, validation)
    errors = _errors_of(lstm, kept, parts, validation, left)
    return Fitted(result._replace(params=whole(kept)), errors, losses)


def _trained(
    lstm: Forecaster,
    settings: Settings,
    batches: tuple[dict, dict | None],
    begin: Callable,
    whole: Callable,
    running: dict,
) -> FitResult:
    """Train the LSTM, or several of them, whose params are then joined.

    Args:
      lstm: all units.
      settings: as given to `train`.
      batches: training and validation examples.
      begin: returns the params to start from, given those that were drawn.
      whole: returns params of the whole model, for a callback.
      running: as `lc.fit` takes it.
    """
    ensemble = Ensemble(lstm, settings.ensemble)
    with _beside(lambda params: whole(ensemble.join(params)), running) as running:
        result = fit_model(
            ensemble,
            settings,
            ensemble.loss,
            *batches,
            start=lambda drawn: ensemble.split(begin(ensemble.join(drawn))),
            optimizer=adam(settings.learning_rate, members=settings.ensemble),
            **running,
        )
    return result._replace(params=ensemble.join(result.params))


def _untrained(lstm: Forecaster, settings: Settings, begin: Callable) -> FitResult:
    """Return what the LSTM is before its first epoch, with an empty history."""
    ensemble = Ensemble(lstm, settings.ensemble)
    drawn = ensemble.join(initial_params(ensemble, settings))
    nothing = {"loss": np.zeros(0), "validation_loss": np.zeros(0)}
    return FitResult(begin(drawn), nothing)


def _can_tell(judge: Callable, parts: Parts, model: Forecaster) -> bool:
    """Return whether there are enough validation examples to tell whether the LSTM is any good."""
    assert parts.validation is not None
    return judge(np.zeros(len(parts.validation)), model.horizon) is not None


def _left(maps: Sequence[selection.Candidate], parts: Parts) -> Errors:
    """Return what the linear path leaves of rows that it was not fitted to.

    Those of the validation part, if there are too few rows to fit to some of them alone.
    """
    found = cross_fitted(maps, parts.rows)
    if len(found.paths) or parts.validation is None:
        return found
    path = selection.mean_map(maps, parts.before)
    paths = parts.rows.truth(parts.validation) - linear.outputs_of(
        path, parts.rows, parts.validation
    )
    return Errors.of(paths, parts.series_of(parts.validation))


@contextmanager
def _beside(whole: Callable, running: dict) -> Iterator[dict]:
    """Yield `running` whose callback, as errors do, gets params of the whole model."""
    callback = running["callback"]

    def call(epoch: int, params: dict, losses: dict) -> None:
        callback(epoch, whole(params), losses)

    try:
        yield running | {"callback": call if callable(callback) else callback}
    except BaseException as error:
        result = getattr(error, "result", None)
        if isinstance(result, FitResult):
            error.result = result._replace(params=whole(result.params))  # type: ignore[attr-defined]
        raise


def _whole(model: Forecaster, path: DenseParams | None, params: dict) -> dict:
    """Return params of the LSTM with those of the linear path, once for each quantile."""
    if path is None:
        return params
    repeats = max(1, len(model.quantiles))
    linear_path = (jnp.repeat(jnp.asarray(part, "float32"), repeats, axis=-1) for part in path)
    return params | {"linear": DenseParams(*linear_path)}


def _path_of(model: Forecaster, params: dict) -> DenseParams | None:
    """Return the linear path of `_whole`, or None."""
    if "linear" not in params:
        return None
    step = max(1, len(model.quantiles))
    return DenseParams(*(part[..., ::step] for part in params["linear"]))


def _silent(lstm: Forecaster, left: Errors, training: dict, params: dict) -> dict:
    """Return params whose head leaves the LSTM out.

    What the linear path leaves has the mean 0. To forecast quantiles the head adds those of what it
    leaves of rows that it was not fitted to or, if there are none, of the training part.
    """
    kernel, bias = params["head"]
    bias = jnp.zeros_like(bias)
    if lstm.quantiles:
        if not len(left.paths):
            left = Errors.of(np.asarray(training["target"], float))
        levels = left.quantiles(lstm.quantiles)  # [horizon, targets, Q]
        bias = jnp.asarray(levels.reshape(-1), bias.dtype)
    return params | {"head": DenseParams(jnp.zeros_like(kernel), bias)}


def _is_silent(params: dict) -> bool:
    """Return whether the head leaves the LSTM out."""
    return not np.any(params["head"].kernel)


def _judge(gains: np.ndarray, horizon: int) -> bool | None:
    """Return whether a gain in each validation example is a gain by more than chance.

    A lower mean is not enough, nor are two standard errors: the epoch was chosen by the same rows,
    and such gains were lost again in the test part. None if there are too few examples to tell.
    """
    return standardised_mean(gains, horizon) > SURE if len(gains) >= FEWEST else None


def _losses(model: Forecaster, params: dict, batch: dict) -> np.ndarray:
    """Return the loss of each example, float64 [N]."""
    return np.asarray(_losses_of(model, params, batch), float)


@compiled
def _losses_of(model: Forecaster, params: dict, batch: dict) -> jax.Array:
    forecast = _forecast_of(model, params, batch)
    if not model.quantiles:
        return jnp.mean((forecast - batch["target"]) ** 2, axis=(1, 2))

    def loss(one: jax.Array, target: jax.Array) -> jax.Array:
        return lc.quantile_loss(one[None], target[None], model.quantiles)

    return jax.vmap(loss)(forecast, batch["target"])


def _forecast_of(model: Forecaster, params: dict, batch: dict) -> jax.Array:
    beside = {name: batch.get(name) for name in ("calendar", "static", "series")}
    return model.apply(params, batch["x"], batch.get("future"), **beside)[0]


def _calibrated(lstm: Forecaster, params: dict, validation: dict) -> dict:
    """Return params whose quantiles are those of the validation part, if the LSTM is in them.

    Quantiles that were learnt from the training part lie too close together. Each is moved by its
    own quantile of what the truth is above it (Romano, Patterson & Candès 2019, "Conformalized
    quantile regression").
    """
    if not lstm.quantiles or _is_silent(params):
        return params
    forecast = np.asarray(_forecasts(lstm, params, validation), float)
    above = np.asarray(validation["target"], float)[..., None] - forecast
    moved = [
        Errors.of(above[..., place]).quantiles([level])[..., 0]
        for place, level in enumerate(lstm.quantiles)
    ]
    kernel, bias = params["head"]
    return params | {"head": DenseParams(kernel, bias + np.stack(moved, axis=-1).reshape(-1))}


def _errors_of(
    lstm: Forecaster, params: dict, parts: Parts, validation: dict, left: Errors
) -> Errors:
    """Return the errors of forecasts of the mean in rows that were not trained on.

    Without an LSTM they are what the linear path leaves; with one they are that, times the fraction
    that the LSTM leaves of it in the validation part, step by step. Those of an LSTM alone are the
    errors in the validation part.
    """
    assert parts.validation is not None
    if lstm.quantiles:
        return left.without()
    if len(left.paths) and _is_silent(params):
        return left
    target = np.asarray(validation["target"], float)
    paths = target - np.asarray(_forecasts(lstm, params, validation), float)
    if not len(left.paths):
        return Errors.of(paths, parts.series_of(parts.validation))
    squares = (np.mean(each**2, axis=0) for each in (paths, target))
    after, before = squares
    return left.scaled(np.sqrt(np.divide(after, before, where=before > 0, out=np.ones_like(after))))


@compiled
def _forecasts(model: Forecaster, params: dict, batch: dict) -> jax.Array:
    return _forecast_of(model, params, batch)
