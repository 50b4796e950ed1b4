"""The choice of season, differences and penalty, on the rows before the test part alone.

Each candidate for the differences is judged by the linear map of a forecaster, which is fitted in
milliseconds, where an LSTM takes seconds: rolling origins (Tashman 2000, "Out-of-sample tests of
forecasting accuracy"), the map fitted anew on all rows before each segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from lstmcore import series
from lstmcore.apps.forecasting import linear, metrics
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.formatting import listed
from lstmcore.models.forecaster import Forecaster

FOLDS = 5
FEWEST_EXAMPLES = 8  # that a map is fitted to
MOST_FORECASTS = 1_000  # that it is judged by, in each fold
MOST_SEASONS = 2  # that are tried, the strongest


class Candidate(NamedTuple):
    """Differences that were tried.

    Attributes:
      difference: lags, as in `series.Preprocessing`.
      penalty: the best of `linear.PENALTIES` with them.
      error: mean absolute error of the linear map, relative to the mean absolute change from row to
        row, averaged over targets and folds.
    """

    difference: tuple[int, ...]
    penalty: float
    error: float


class Selection(NamedTuple):
    """The result of `select`.

    Attributes:
      settings: those given, with the season and the differences that were chosen.
      penalty: of the linear map.
      candidates: all that were tried, the best first; () if there were too few rows.
    """

    settings: Settings
    penalty: float
    candidates: tuple[Candidate, ...]


def select(
    table: np.ndarray, settings: Settings, split: series.Split, model: Forecaster
) -> Selection:
    """Choose the season, the differences and the penalty of the linear map.

    A season is looked for if it is "auto". Differences are chosen if `settings.search` is on and
    none are given: none, those of lag 1, of each season, and of both.

    Args:
      table: [rows, F], targets first, future covariates last.
      settings: as given to `train`.
      split: of its rows; the test part is not read.
      model: the forecaster of these settings.
    """
    found = _seasons(table, settings, split, model)
    if settings.season == "auto":
        settings = replace(settings, season=found[0] if found else None)
    given = settings.preprocessing.difference
    tried = _differences(settings, found) if settings.search and not given else [given]
    shaped = replace(model, quantiles=(), mode="direct", linear_rows=_rows_read(settings, model))
    stop = split.validation.stop
    candidates = []
    if shaped.linear_rows:
        for difference in tried:
            preprocessing = replace(settings.preprocessing, difference=difference)
            errors = _errors(table[:stop], replace(settings, preprocessing=preprocessing), shaped)
            if errors is not None:
                best = int(np.argmin(errors))
                candidates.append(
                    Candidate(difference, linear.PENALTIES[best], float(errors[best]))
                )
    candidates.sort(key=lambda one: one.error)
    if not candidates:
        return Selection(settings, linear.USUAL, ())
    chosen = candidates[0]
    preprocessing = replace(settings.preprocessing, difference=chosen.difference)
    return Selection(
        replace(settings, preprocessing=preprocessing), chosen.penalty, tuple(candidates)
    )


def sentences(candidates: Sequence[Candidate], is_silent: bool) -> list[str]:
    """Return sentences for the reader of a report on what was chosen.

    Args:
      candidates: from `select`.
      is_silent: whether the LSTM was left out.
    """
    said = []
    if len(candidates) > 1:
        tried = [
            f"{_lags(one.difference)} ({one.error:.3g}{', chosen' * (one is candidates[0])})"
            for one in candidates
        ]
        said.append(
            "differences tried, with the error of a linear map of the window in rolling origins "
            f"before the test part, in mean changes from row to row: {', '.join(tried)}"
        )
    if is_silent:
        said.append(
            "the LSTM did not lower the validation error of the linear map of the window, so the "
            "forecast is that of the map alone"
        )
    return said


def _lags(difference: tuple[int, ...]) -> str:
    if not difference:
        return "none"
    return f"lag{'s' * (len(difference) > 1)} {listed([str(lag) for lag in difference])}"


def _rows_read(settings: Settings, model: Forecaster) -> int:
    known = settings.horizon * model.future_covariates
    return linear.linear_rows(settings.window, model.features, known)


def _seasons(
    table: np.ndarray, settings: Settings, split: series.Split, model: Forecaster
) -> tuple[int, ...]:
    """Return the seasons to try: the one given, or those of the targets in the training part."""
    if settings.season != "auto":
        return () if settings.season_rows is None else (settings.season_rows,)
    training = table[: split.training.stop, : model.targets]
    filled = series.fit_filling(training, settings.preprocessing.missing).transform(training)
    return series.seasons(filled)[:MOST_SEASONS]


def _differences(settings: Settings, seasons: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the lags of the differences to try."""
    tried = [(), (1,), *((season,) for season in seasons), *((s, 1) for s in seasons)]
    if settings.quantiles:  # those of sums are not sums of quantiles
        tried = [lags for lags in tried if all(lag >= settings.horizon for lag in lags)]
    return tried


def _errors(table: np.ndarray, settings: Settings, model: Forecaster) -> np.ndarray | None:
    """Return the error for each penalty, [penalties]; None if there are too few rows."""
    rows, horizon = len(table), settings.horizon
    start = max(rows // 2, settings.preprocessing.dropped_rows + settings.span + FEWEST_EXAMPLES)
    folds = min(FOLDS, (rows - start) // horizon)
    if folds < 1:
        return None
    edges = np.linspace(start, rows, folds + 1).astype(int).tolist()
    scale = metrics.mase_scale(table[:start, : model.targets])
    scale = np.where(scale > 0, scale, 1)
    errors = [
        _errors_of_fold(table[:end], begin, settings, model) / scale
        for begin, end in pairwise(edges)
    ]
    known = np.array(errors)  # [folds, penalties, targets]
    if np.isnan(known).all(axis=(0, 2)).any():
        return None
    return np.nanmean(known, axis=(0, 2))


def _errors_of_fold(
    table: np.ndarray, begin: int, settings: Settings, model: Forecaster
) -> np.ndarray:
    """Return the errors of maps fitted to the rows before `begin` on those after, [P, targets]."""
    preprocessor = settings.preprocessing.fit(table, rows=begin)
    dropped, window, horizon = preprocessor.dropped_rows, settings.window, settings.horizon
    scaled, filled = preprocessor.transform(table), preprocessor.filled(table)
    windows = begin - dropped - settings.span + 1
    batch = linear.examples(
        model, scaled[: begin - dropped], window, settings.stride_for(windows, model.features)
    )
    stride = -(-(len(table) - begin) // MOST_FORECASTS)
    later = linear.examples(model, scaled[begin - dropped - window :], window, stride)
    origins = begin + stride * np.arange(len(later["x"]))
    actual = table[origins[:, None] + np.arange(horizon), : model.targets]
    before = filled[origins[:, None] + np.arange(-dropped, 0), : model.targets] if dropped else None
    inverse = preprocessor.select(range(actual.shape[2])).inverse_transform
    forecasts = (
        inverse(linear.outputs_of(params, model, later), before)
        for params in linear.fit_linear(model, batch, linear.PENALTIES)
    )
    return np.array([metrics.mae(actual, forecast) for forecast in forecasts])
