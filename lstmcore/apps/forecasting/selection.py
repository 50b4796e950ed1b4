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
from lstmcore.series.windowing import draw_windows
from lstmcore.types import DenseParams

FOLDS = 5
FEWEST_EXAMPLES = 8  # that a map is fitted to
MOST_FORECASTS = 1_000  # that it is judged by, in each fold
MOST_SEASONS = 2  # that are tried, the strongest
NEGLIGIBLE = 0.01  # of the error, for which no more differences are taken


class Candidate(NamedTuple):
    """Differences that were tried.

    Attributes:
      difference: lags, as in `series.Preprocessing`.
      penalty, towards: the best of `linear.PENALTIES` and `linear.TOWARDS` with them.
      error: mean absolute error of the linear map, relative to the mean absolute change from row to
        row, averaged over targets and folds.
    """

    difference: tuple[int, ...]
    penalty: float
    towards: str
    error: float


class Selection(NamedTuple):
    """The result of `select`.

    Attributes:
      settings: those given, with the season and the differences that were chosen.
      penalty, towards: of the linear map.
      candidates: all that were tried, the chosen one first; () if there were too few rows.
    """

    settings: Settings
    penalty: float
    towards: str
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
    if len(tried) == 1 and not model.linear_rows:
        return Selection(settings, linear.USUAL, linear.TOWARDS[0], ())  # there is no choice
    shaped = replace(model, quantiles=(), mode="direct", linear_rows=_rows_read(settings, model))
    stop = split.validation.stop
    candidates: list[Candidate] = []
    for difference in tried if shaped.linear_rows else ():
        preprocessing = replace(settings.preprocessing, difference=difference)
        errors = _errors(table[:stop], replace(settings, preprocessing=preprocessing), shaped)
        if errors is not None:
            kind, penalty = np.unravel_index(np.argmin(errors), errors.shape)
            best = linear.PENALTIES[penalty], linear.TOWARDS[kind], float(errors.min())
            candidates.append(Candidate(difference, *best))
    if not candidates:
        return Selection(settings, linear.USUAL, linear.TOWARDS[0], ())
    # The simplest that is as good as the best: `tried` begins with it.
    enough = min(one.error for one in candidates) * (1 + NEGLIGIBLE)
    chosen = next(one for one in candidates if one.error <= enough)
    others = sorted((one for one in candidates if one is not chosen), key=lambda one: one.error)
    preprocessing = replace(settings.preprocessing, difference=chosen.difference)
    return Selection(
        replace(settings, preprocessing=preprocessing),
        chosen.penalty,
        chosen.towards,
        (chosen, *others),
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
            "the LSTM did not lower the validation error of the linear map of the window by more "
            "than chance, so the forecast is that of the map alone"
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
    """Return the errors [TOWARDS, PENALTIES]; None if there are too few rows."""
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
    known = np.array(errors)  # [folds, TOWARDS, PENALTIES, targets]
    return None if np.isnan(known).all() else np.nanmean(known, axis=(0, 3))


def _errors_of_fold(
    table: np.ndarray, begin: int, settings: Settings, model: Forecaster
) -> np.ndarray:
    """Return the errors of maps that are fitted to the rows before `begin` on those after.

    Returns:
      [TOWARDS, PENALTIES, targets].
    """
    preprocessor = settings.preprocessing.fit(table, rows=begin)
    dropped, window, horizon = preprocessor.dropped_rows, settings.window, settings.horizon
    scaled, filled = preprocessor.transform(table), preprocessor.filled(table)
    windows = begin - dropped - settings.span + 1
    batch = linear.examples(
        model, scaled[: begin - dropped], window, settings.stride_for(windows, model.features)
    )
    later = linear.examples(model, scaled[begin - dropped - window :], window, stride=1)
    some = draw_windows(len(later["x"]), MOST_FORECASTS)
    later, origins = {name: values[some] for name, values in later.items()}, begin + some
    actual = table[origins[:, None] + np.arange(horizon), : model.targets]
    before = filled[origins[:, None] + np.arange(-dropped, 0), : model.targets] if dropped else None
    inverse = preprocessor.select(range(actual.shape[2])).inverse_transform

    def error_of(params: DenseParams) -> np.ndarray:
        forecast = inverse(linear.outputs_of(params, model, later), before)
        return metrics.mae(actual, forecast)

    return np.array(
        [
            [error_of(params) for params in linear.fit_linear(model, batch, linear.PENALTIES, kind)]
            for kind in linear.TOWARDS
        ]
    )
