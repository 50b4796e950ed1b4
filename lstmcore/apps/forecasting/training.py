"""Training of a forecaster on a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from lstmcore import series
from lstmcore.apps.forecasting import linear
from lstmcore.apps.forecasting.bounds import never_negative
from lstmcore.apps.forecasting.paired import FEWEST, standardised_mean
from lstmcore.apps.forecasting.predictor import TOO_LARGE, Trained
from lstmcore.apps.forecasting.selection import select
from lstmcore.apps.forecasting.settings import Settings, arrange, build, names_of
from lstmcore.apps.training import fit_model
from lstmcore.formatting import count, few
from lstmcore.models.forecaster import Forecaster
from lstmcore.programs import compiled
from lstmcore.series.arguments import as_table
from lstmcore.series.preprocessing import as_float32
from lstmcore.series.row_index import check_row_times
from lstmcore.training.fit import FitResult
from lstmcore.types import DenseParams

SURE = 2.0  # standard errors by which the LSTM must lower the validation loss of the linear path


def train(
    values,
    columns: Sequence[str] | None = None,
    settings: Settings | None = None,
    *,
    start: Trained | None = None,
    callback: Callable | None = None,
    progress: bool = False,
    checkpoint=None,
    resume: bool = False,
) -> Trained:
    """Train a forecaster on a table: split, preprocess, cut into windows, fit.

    Season, differences and the penalty of the linear path are chosen first, see `Settings`, on the
    rows before the test part. The preprocessing is fitted to the training part alone. With a linear
    path, the LSTM is kept only if it lowers the loss in the validation part, of 20 windows or more,
    by two standard errors; without a validation part it is kept. `Trained.choices` says what was
    chosen.

    Training reads no row after the validation part. A forecast belongs to the part that holds all
    rows of its horizon, so that no row is forecast in two parts; the window before may reach back
    into an earlier part. (A recursive model is trained to forecast each row of a window, so its
    windows lie within one part.)

    Args:
      values: numbers [rows, F] in the order of time, rows at equal distances; [rows] for a single
        column. An array, a data frame or a dict of columns. Times of a data frame must rise by
        equal steps. `settings.preprocessing` decides what becomes of NaN.
      columns: F names; None takes those of a data frame or a dict, and calls the columns of an
        array column_0, column_1, ...
      settings: None takes `Settings()`, or those of `start`.
      start: an earlier forecaster to continue from, with a table of the same columns, such as its
        own with more rows: its weights, preprocessing, season and differences are kept, and nothing
        is searched for. With a validation part the result is no worse there than `start`.
      callback, progress, checkpoint, resume: as in `lc.fit`.

    Returns:
      Trained, whose `settings` are those that were chosen.

    Raises:
      ValueError: too few rows, unknown names, settings that do not fit together, times at
        irregular steps, values that the preprocessing refuses, or another model or preprocessing
        than that of `start`.
      TypeError: arguments of another kind.
      NonFiniteLossError, KeyboardInterrupt: as `lc.fit`, with the params so far in its `result`.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> wave = np.sin(np.arange(200) / 5)
      >>> settings = forecasting.Settings(window=10, horizon=3, units=4, epochs=2)
      >>> trained = forecasting.train(wave, ["wave"], settings)
      >>> trained.forecast(wave).point.shape  # of the 3 rows after the last
      (1, 3, 1)
      >>> longer = np.sin(np.arange(240) / 5)
      >>> forecasting.train(longer, ["wave"], start=trained).split.test
      slice(204, 240, None)
    """
    settings = settings or (Settings() if start is None else start.settings)
    check_row_times(values, "values")
    names = names_of(values, columns)
    if start is not None:
        settings = _continued(settings, names, start)
    table = as_table(values, names, "values").astype(float)
    table = table[:, arrange(names, settings).order]
    model = build(settings, names)
    split = check_rows(len(table), settings)
    settings, *of_map, candidates = select(table, settings, split, model)
    first = settings.preprocessing.dropped_rows
    preprocessor = (
        settings.preprocessing.fit(table, rows=split.training.stop)
        if start is None
        else start.preprocessor
    )
    seen = as_float32(preprocessor.transform(table[: split.validation.stop]), TOO_LARGE)
    end = split.training.stop - first
    stride = settings.stride_for(end - settings.span + 1, table.shape[1])
    training = linear.examples(model, seen[:end], settings.window, stride)
    validation = _validation(model, seen, end, settings) if settings.validation else None
    running = {
        "callback": callback,
        "progress": progress,
        "checkpoint": checkpoint,
        "resume": resume,
    }
    earlier = None if start is None else start.params
    fitted = _fit(model, settings, training, validation, of_map, earlier, running)
    return Trained(
        settings=settings,
        columns=names,
        model=model,
        params=fitted.params,
        preprocessor=preprocessor,
        history=fitted.history,
        split=split,
        stride=stride,
        noise=_noise(model, fitted.params, validation),
        candidates=candidates,
        nonnegative=_nonnegative(table[: split.validation.stop], names, settings),
    )


def _nonnegative(table: np.ndarray, names: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """Return the targets that are forecast at 0 or above; columns in the order of the model."""
    if not settings.nonnegative:
        return ()
    order, targets, _ = arrange(names, settings)
    is_so = never_negative(table[:, :targets])
    return tuple(names[place] for place, one in zip(order, is_so.tolist(), strict=False) if one)


def _continued(settings: Settings, names: Sequence[str], start: Trained) -> Settings:
    """Return the settings of a training that continues from `start`, once they fit it."""
    if tuple(names) != start.columns:
        raise ValueError(
            f"start was trained on the columns {few(start.columns)}, but values has {few(names)}: "
            "pass a table with the same ones, in the same order"
        )
    steps = [(each.preprocessing, each.season_rows) for each in (settings, start.settings)]
    if build(settings, names) != start.model or steps[0] != steps[1]:
        raise ValueError(
            "settings describe another model or preprocessing than those of start: leave them out, "
            "or change those of the training alone, as in dataclasses.replace(start.settings, "
            "epochs=5)"
        )
    return replace(settings, season=start.settings.season, search=False)


def _fit(
    model: Forecaster,
    settings: Settings,
    training: dict,
    validation: dict | None,
    of_map: Sequence,
    earlier: dict | None,
    running: dict,
) -> FitResult:
    """Train the model; a linear path is fitted first, and the LSTM learns what it leaves.

    With `earlier` params it starts from these, and they stay if they are better in the validation
    part.
    """
    fit = partial(fit_model, model, settings, optimizer=_optimizer(settings.learning_rate))
    if not model.linear_rows:
        begin = lambda drawn: drawn if earlier is None else earlier  # noqa: E731
        result = fit(model.loss, training, validation, start=begin, **running)
        return _better(model, result, earlier, validation)
    penalty, towards = of_map
    (path,) = linear.fit_linear(model, training, [penalty], towards)
    silent = partial(_without_lstm, model, path, training)

    def with_path(drawn: dict) -> dict:
        return silent(drawn) if earlier is None else earlier | {"linear": silent(earlier)["linear"]}

    loss = partial(_loss_beside_path, model)
    result = fit(loss, training, validation, start=with_path, **running)
    if validation is None or _helps(model, silent(result.params), result.params, validation):
        return _better(model, result, earlier, validation)
    return _better(model, result._replace(params=silent(result.params)), earlier, validation)


def _better(
    model: Forecaster, result: FitResult, earlier: dict | None, validation: dict | None
) -> FitResult:
    """Return the result, with earlier params if there are any and they are better."""
    if earlier is None or validation is None:
        return result
    before, now = (_losses(model, p, validation).mean() for p in (earlier, result.params))
    return result if now < before else result._replace(params=earlier)


def _loss_beside_path(model: Forecaster, params: dict, batch: dict, key=None) -> jax.Array:
    """Return the loss of the model, which leaves its linear path as it is."""
    path = jax.lax.stop_gradient(params["linear"])
    return model.loss(params | {"linear": path}, batch, key)


def _without_lstm(model: Forecaster, path: DenseParams, training: dict, params: dict) -> dict:
    """Return params with this linear path, whose head leaves the LSTM out.

    What the path leaves has the mean 0. To forecast quantiles the head adds those of what it
    leaves of the training part.
    """
    kernel, bias = params["head"]
    bias = jnp.zeros_like(bias)
    if model.quantiles:
        left = training["target"] - linear.outputs_of(path, model, training)
        levels = np.quantile(left, model.quantiles, axis=0)  # [Q, horizon, targets]
        bias = jnp.asarray(np.moveaxis(levels, 0, -1).reshape(-1), bias.dtype)
    repeats = max(1, len(model.quantiles))
    kept = DenseParams(*(jnp.repeat(jnp.asarray(p, bias.dtype), repeats, axis=-1) for p in path))
    return params | {"head": DenseParams(jnp.zeros_like(kernel), bias), "linear": kept}


def _helps(model: Forecaster, without: dict, params: dict, validation: dict) -> bool:
    """Return whether the LSTM lowers the loss in the validation part by more than chance.

    A lower mean is not enough: the epoch was chosen by the same rows, and on short series such
    gains were lost again in the test part.
    """
    gains = np.asarray(_losses(model, without, validation) - _losses(model, params, validation))
    return len(gains) >= FEWEST and standardised_mean(gains.astype(float), model.horizon) > SURE


@compiled
def _losses(model: Forecaster, params: dict, batch: dict) -> jax.Array:
    """Return the loss of each example, [N]."""
    forecast, _ = model.apply(params, batch["x"], batch.get("future"))
    if not model.quantiles:
        return jnp.mean((forecast - batch["target"]) ** 2, axis=(1, 2))

    def loss(one: jax.Array, target: jax.Array) -> jax.Array:
        return lc.quantile_loss(one[None], target[None], model.quantiles)

    return jax.vmap(loss)(forecast, batch["target"])


def check_rows(rows: int, settings: Settings) -> series.Split:
    """Return the split of `rows` rows into training, validation and test part.

    Raises:
      ValueError: a part is too short.
    """
    split = series.split(rows, settings.validation, settings.test)
    # Differencing drops the first rows.
    first, span = settings.preprocessing.dropped_rows, settings.span
    if split.training.stop - first < span:
        raise ValueError(
            f"the training part has {split.training.stop} of {count(rows, 'row')}"
            + f", {first} of which differencing drops," * bool(first)
            + f" but one window of {count(settings.window, 'row')} and a horizon of "
            f"{settings.horizon} need {span}: use more data, a shorter window, or smaller parts "
            "for validation and test"
        )
    # Checked here, because `evaluate` would find out only after training.
    season = settings.season_rows
    if settings.test and season is not None and season >= split.training.stop:
        raise ValueError(
            f"season is {count(season, 'row')}, but the training part has "
            f"{split.training.stop}: use a shorter season, or more data"
        )
    validation = split.validation.stop - split.validation.start
    recursive = settings.mode == "recursive"
    if settings.validation and validation < (span if recursive else settings.horizon):
        raise ValueError(
            f"the validation part has {count(validation, 'row')}, but "
            + (
                f"a window of {count(settings.window, 'row')} and a horizon of {settings.horizon} "
                f"need {span} (those of a recursive forecaster lie within one part)"
                if recursive
                else f"the horizon is {settings.horizon}"
            )
            + ": raise validation or use more data; validation=0 leaves the part out"
        )
    return split


def _noise(model: Forecaster, params: dict, validation: dict | None) -> np.ndarray:
    """Return the error in the validation part, [horizon, targets], for samples with dropout.

    The variance of a forecast is that of the model, from dropout, plus that of the data around it,
    estimated on data that were not trained on (Zhu & Laptev 2017, "Deep and Confident
    Prediction for Time Series at Uber", section III-B).
    """
    if validation is None or not model.dropout or model.quantiles:
        return np.zeros((model.horizon, model.targets or 0))
    return np.asarray(_root_mean_square(model, params, validation), float)


@compiled
def _root_mean_square(model: Forecaster, params: dict, batch: dict) -> jax.Array:
    forecast, _ = model.apply(params, batch["x"], batch.get("future"))
    return jnp.sqrt(jnp.mean((forecast - batch["target"]) ** 2, axis=0))


def _validation(model: Forecaster, seen: np.ndarray, end: int, settings: Settings) -> dict:
    """Return the validation windows, whose horizon lies after row `end`."""
    start = end if model.mode == "recursive" else end - settings.window
    rows, span = len(seen) - start, settings.span
    stride = settings.stride_for(rows - span + 1, seen.shape[1])
    return linear.examples(model, seen[start:], settings.window, stride)


@cache  # the same object, so that training again on as many rows compiles nothing
def _optimizer(learning_rate: float):
    import optax

    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(learning_rate))
