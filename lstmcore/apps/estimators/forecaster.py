"""Forecasting as an estimator of scikit-learn.

forecaster = SeriesForecaster(window=48, horizon=12).fit(X)
forecaster.predict(X)           the 12 rows after the last row of X
cross_val_score(forecaster, X, cv=TimeSeriesSplit())
"""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from lstmcore.apps.estimators.samples import as_samples, check_samples, names_of, settings_of
from lstmcore.apps.forecasting import metrics
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.apps.forecasting.training import train
from lstmcore.formatting import count


class SeriesForecaster(BaseEstimator):
    """Forecaster of the rows after the last, from the rows before them.

    It is `forecasting.train` and `Trained.forecast` with the interface of scikit-learn. X is
    [rows, F] in the order of time, rows at equal distances; there is no y, since the targets are
    columns of X. It scales X by itself. Nothing is held out for a test: that is what
    `TimeSeriesSplit` does.

    Args:
      mode, window, horizon, targets, future_covariates, season, linear, linear_rows, search,
        units, quantiles, dropout, ensemble, nonnegative: as in `forecasting.Settings`. Columns
        without names are called column_0, column_1, ...
      epochs, batch_size, learning_rate, patience, validation, seed: likewise.
      missing, difference, scaling: as in `series.Preprocessing`.

    Attributes:
      trained_: `forecasting.Trained`, with its intervals, files and gates.
      n_features_in_, feature_names_in_: number of columns, and their names if X was a data frame.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import estimators
      >>> X = np.sin(np.arange(200) / 5)[:, None]
      >>> forecaster = estimators.SeriesForecaster(window=10, horizon=3, units=4, epochs=2).fit(X)
      >>> forecaster.predict(X).shape  # of the 3 rows after the last
      (3, 1)
    """

    def __init__(
        self,
        *,
        mode: str = "direct",
        window: int = 24,
        horizon: int = 1,
        targets: tuple[str, ...] = (),
        future_covariates: tuple[str, ...] = (),
        season: int | str | None = "auto",
        linear: bool = True,
        linear_rows: int | str = "auto",
        search: bool = True,
        units: int | tuple[int, ...] = (32,),
        quantiles: tuple[float, ...] = (),
        dropout: float = 0.0,
        ensemble: int = 1,
        nonnegative: bool = True,
        epochs: int | str = "auto",
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        patience: int | str | None = "auto",
        validation: float = 0.15,
        seed: int = 0,
        missing: str = "refuse",
        difference: tuple[int, ...] = (),
        scaling: str = "standard",
    ):
        self.mode = mode
        self.window = window
        self.horizon = horizon
        self.targets = targets
        self.future_covariates = future_covariates
        self.season = season
        self.linear = linear
        self.linear_rows = linear_rows
        self.search = search
        self.units = units
        self.quantiles = quantiles
        self.dropout = dropout
        self.ensemble = ensemble
        self.nonnegative = nonnegative
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.patience = patience
        self.validation = validation
        self.seed = seed
        self.missing = missing
        self.difference = difference
        self.scaling = scaling

    def fit(self, X, y=None) -> SeriesForecaster:
        """Train on all rows of X; the fraction `validation` of them decides when to stop.

        Args:
          X: [rows, F], in the order of time.
          y: not used.

        Raises:
          ValueError: too few rows, infinite values or NaN (unless `missing` fills it), names that
            are not those of columns, or parameters out of range.
          TypeError: parameters of another type.
          NonFiniteLossError: as in `lc.fit`.
        """
        settings = settings_of(Settings, self, test=0.0)
        table = as_samples(self, X, fitting=True, missing=self.missing)
        validation = settings.span if settings.mode == "recursive" else settings.horizon
        check_samples(
            table,
            settings.preprocessing.dropped_rows
            + settings.span
            + (validation if settings.validation else 0),
            f"training on windows of {settings.window} and a horizon of {settings.horizon}",
            "use more data, a shorter window or validation=0",
        )
        self.trained_ = train(table, names_of(self), settings)
        return self

    def predict(self, X, future=None) -> np.ndarray:
        """Forecast the rows after the last row of X.

        Args:
          X: [rows, F] in the order of time, at least as many as the forecaster
            reads: a window, or more if a linear map looks beyond it (`linear_rows`).
          future: [horizon, covariates], the future covariates of the rows to forecast, in the order
            of `future_covariates` or with names.

        Returns:
          float64 [horizon, targets], in units of X: the mean, or the median if there are quantiles.

        Raises:
          NotFittedError: before `fit`.
          ValueError: other columns than in `fit`, too few rows, infinite values, NaN unless
            `missing` fills it, or `future` missing.
        """
        check_is_fitted(self)
        return self.trained_.forecast(self._table(X), future=future).point[0]

    def score(self, X, y=None) -> float:
        """Return the skill of the forecasts within X against persistence, the last value repeated.

        There is a forecast from each row that has a window before it and a horizon after it within
        X. Skill is 1 - MAE / MAE of persistence: 1 for perfect forecasts, 0 for ones as good as
        persistence. It is averaged over the targets that change in X.

        Args:
          X: [rows, F] in the order of time.
          y: not used.

        Raises:
          NotFittedError: before `fit`.
          ValueError: X as in `predict`, shorter than window and horizon, or without any target that
            changes, against which persistence is perfect.
        """
        check_is_fitted(self)
        horizon = self.trained_.settings.horizon
        table = self._table(X, beyond=horizon)
        origins = np.arange(self._rows_before, len(table) - horizon + 1)
        forecast = self.trained_.forecast(table, origins).point
        rows, width = self.trained_.table(table), forecast.shape[2]
        actual = rows[origins[:, None] + np.arange(horizon), :width]
        filled = self.trained_.preprocessor.filled(rows)[:, :width]
        persistence = metrics.mae(actual, metrics.naive(filled, origins, horizon))
        changes = persistence > 0
        if not changes.any():
            raise ValueError(
                "X has no target that changes, so there is no skill against persistence: score "
                "more rows, or leave such targets out"
            )
        error = metrics.mae(actual, forecast)
        return float(metrics.skill(error[changes], persistence[changes]).mean())

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing != "refuse"
        return tags

    @property
    def _rows_before(self) -> int:
        """Return how many rows there must be before the first one to forecast."""
        settings = self.trained_.settings
        return settings.rows_read + settings.preprocessing.dropped_rows

    def _table(self, X, beyond: int = 0) -> np.ndarray:
        """Return X once it is known to hold a window and `beyond` rows after it."""
        preprocessing = self.trained_.settings.preprocessing
        table = as_samples(self, X, fitting=False, missing=preprocessing.missing)
        why = f"a forecast from {count(self._rows_before, 'row')}"
        check_samples(
            table,
            self._rows_before + beyond,
            why + f" and its comparison with the {beyond} after it" * bool(beyond),
            "pass more rows at once, such as larger folds",
        )
        return table
