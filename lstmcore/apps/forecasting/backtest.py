"""Backtesting: forecasts from origins that roll forward, each from its past alone.

Sources: Tashman (2000), "Out-of-sample tests of forecasting accuracy: an analysis and review";
Hyndman & Athanasopoulos (2021), "Forecasting: principles and practice", section 5.10.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from lstmcore import checks, series
from lstmcore.apps.forecasting import evaluation
from lstmcore.apps.forecasting.metrics import mase_scale
from lstmcore.apps.forecasting.predictor import Trained
from lstmcore.apps.forecasting.rivals import rival_forecasts
from lstmcore.apps.forecasting.settings import Settings, names_of
from lstmcore.apps.forecasting.training import check_rows, train
from lstmcore.display.html import titled
from lstmcore.formatting import count, shorten, text_table
from lstmcore.series.arguments import as_table
from lstmcore.series.frames import make_frame
from lstmcore.series.row_index import check_row_times, first_rows


class Backtest(NamedTuple):
    """The result of `backtest`; printed, it is a report.

    Attributes:
      origins: int [folds], the row that each forecast starts with.
      targets: names of the columns that are forecast.
      actual: [folds, horizon, targets], in units of the data.
      forecasts: {"model": [folds, horizon, targets]}, likewise its rivals: "naive", "seasonal
        naive", "linear map" and "Holt-Winters". A rival that is missing in a fold is left out.
      by_fold: Scores [folds, targets] of each forecast; MASE with the scale of the fold's past.
      scores: Scores [targets] over all folds; MASE is the mean over the folds.
      season: rows of a season, or None.
      trained: the Trained of the last fold.
    """

    origins: np.ndarray
    targets: tuple[str, ...]
    actual: np.ndarray
    forecasts: dict[str, np.ndarray]
    by_fold: dict[str, evaluation.Scores]
    scores: dict[str, evaluation.Scores]
    season: int | None
    trained: Trained

    def to_frame(self, library: str = "pandas") -> Any:
        """Return the scores of each fold as a data frame, one row for each target and forecast.

        Its columns are origin (the first row of the fold), target, forecast ("model", "naive",
        ...), mae, rmse, smape and mase.

        Args:
          library: "pandas", "polars", "pyarrow", or another one that narwhals knows.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: narwhals does not know the library.
        """
        columns: dict[str, list] = {"origin": []}
        for fold, origin in enumerate(self.origins.tolist()):
            of_fold = {
                name: evaluation.Scores(*(error[fold] for error in errors))
                for name, errors in self.by_fold.items()
            }
            scores = evaluation.score_columns(self.targets, of_fold)
            columns["origin"] += [origin] * len(scores["target"])
            for name, values in scores.items():
                columns.setdefault(name, []).extend(values)
        return make_frame(columns, library)

    def _repr_html_(self) -> str:
        folds, horizon, _ = self.actual.shape
        title = f"Backtest of {count(folds, 'fold')}, horizon {horizon}"
        return titled(title, evaluation.scores_html(self.targets, self.scores))

    def __repr__(self) -> str:
        folds, horizon, _ = self.actual.shape
        lines = []
        for place, target in enumerate(self.targets[: evaluation.MOST_PRINTED]):
            lines.append(f"{shorten(target)}: {count(folds, 'fold')}, horizon {horizon}")
            lines.append(evaluation.score_table(self.scores, self.season, place))
            rows = [
                [
                    f"{origin:,}",
                    *(evaluation.error_text(scores.mae[fold, place]) for scores in by_fold),
                ]
                for fold, origin in enumerate(self.origins)
                for by_fold in [self.by_fold.values()]
            ]
            lines += ["MAE by fold", text_table(["first row", *self.by_fold], rows, words=1), ""]
        return "\n".join([*lines[:-1], *evaluation.more_targets(self.targets)])


def backtest(
    values,
    columns: Sequence[str] | None = None,
    settings: Settings | None = None,
    folds: int = 5,
    *,
    refit: bool = True,
    minimum: int | None = None,
) -> Backtest:
    """Forecast the last `folds` segments of `horizon` rows, one after the other.

    Nothing after an origin reaches its forecast except future covariates: the model, the
    preprocessing and the scale of MASE come from the rows before.

    Args:
      values: [rows, F], in the order of time.
      columns: F names, or None, as in `train`.
      settings: as in `train`; `test` is not used, since the folds are the test part.
      folds: number of forecasts, non-overlapping; the last ends with the last row.
      refit: train anew for each fold on all rows before it (an expanding window); False trains
        once, on the rows before the first fold.
      minimum: fewest rows before the first origin; None: as many as one window needs.

    Returns:
      Backtest, to be printed.

    Raises:
      ValueError: too few rows, or as `train`.
      TypeError: as `train`.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> wave = np.sin(np.arange(120) / 5)
      >>> settings = forecasting.Settings(window=10, horizon=3, units=4, epochs=1)
      >>> result = forecasting.backtest(wave, ["wave"], settings, folds=2, refit=False)
      >>> result.origins.tolist(), result.by_fold["model"].mae.shape
      ([114, 117], (2, 1))
    """
    settings = replace(Settings() if settings is None else settings, test=0.0)
    check_row_times(values, "values")
    columns = names_of(values, columns)
    table = as_table(values, columns, "values").astype(float)
    horizon = settings.horizon
    origins = origins_of(len(table), settings, folds, minimum)
    covariates = [columns.index(name) for name in settings.future_covariates]
    actuals, forecasts, by_fold = [], [], []
    trained = train(first_rows(values, int(origins[0])), columns, settings)
    width, season = len(trained.targets), trained.settings.season_rows
    rivals: dict[str, np.ndarray] = {}
    for fold, origin in enumerate(origins.tolist()):
        past = first_rows(values, origin)
        if refit and fold:
            trained = train(past, columns, settings)
        future = table[origin : origin + horizon, covariates] if covariates else None
        if refit or not fold:
            rivals = _rivals(trained, table, origins[fold : fold + 1] if refit else origins)
        place = slice(0, 1) if refit else slice(fold, fold + 1)
        of_fold = {
            evaluation.MODEL: trained.forecast(past, future=future).point,
            **{name: one[place] for name, one in rivals.items()},
        }
        truth = trained.table(table)[:, :width]
        actual = truth[None, origin : origin + horizon]
        scale = mase_scale(truth[:origin], season or 1)
        actuals.append(actual)
        forecasts.append(of_fold)
        by_fold.append(
            {name: evaluation.scores_of(actual, one, scale) for name, one in of_fold.items()}
        )
    actual = np.concatenate(actuals)
    everywhere = [name for name in forecasts[0] if all(name in fold for fold in forecasts)]
    joined = {name: np.concatenate([fold[name] for fold in forecasts]) for name in everywhere}
    each = {
        name: evaluation.Scores(*map(np.stack, zip(*(fold[name] for fold in by_fold), strict=True)))
        for name in joined
    }
    pooled = {
        name: evaluation.scores_of(actual, one, 1.0)._replace(mase=each[name].mase.mean(axis=0))
        for name, one in joined.items()
    }
    return Backtest(origins, trained.targets, actual, joined, each, pooled, season, trained)


def _rivals(trained: Trained, table: np.ndarray, origins: np.ndarray) -> dict[str, np.ndarray]:
    """Return the forecasts of the rivals, from the rows before each origin."""
    last, horizon = int(origins[-1]), trained.settings.horizon
    ordered = trained.table(table)
    known = trained.preprocessor.filled(ordered[:last])
    if trained.model.future_covariates:
        known = np.concatenate([known, ordered[last : last + horizon]])  # its covariates are read
    return rival_forecasts(trained.rival_inputs(known), origins, horizon)[0]


def origins_of(rows: int, settings: Settings, folds: int, minimum: int | None = None) -> np.ndarray:
    """Return the origins of a backtest on `rows` rows; arguments and errors as in `backtest`."""
    if minimum is None:
        minimum = settings.window + settings.horizon + settings.preprocessing.dropped_rows
    season = settings.season_rows or 0
    minimum = max(checks.check_count("minimum", minimum), season + 1)  # for MASE
    folds = checks.check_count("folds", folds)
    origins = series.rolling_origins(rows, folds, settings.horizon, minimum)
    check_rows(int(origins[0]), replace(settings, test=0.0))
    return origins
