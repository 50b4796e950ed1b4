"""Forecasting: from a table to a forecast, and to a measure of what it is worth.

    trained = train(values, columns, Settings(window=48, horizon=12, season=12))
    trained.forecast(values).point          the 12 rows after the last, in units of the data
    print(trained.evaluate(values))         errors beside those of naive forecasts, lag check
    trained.run(values)                     a `study.Run`: every gate at every step
    trained.save(folder); Trained.load(folder)
    print(backtest(values, columns, settings, folds=5))

`metrics` and `lag` need only NumPy, and take the forecasts of any model.
"""

from lstmcore.apps.forecasting.backtest import Backtest, backtest
from lstmcore.apps.forecasting.evaluation import Evaluation, Scores
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.lag import LagCheck, lag_check
from lstmcore.apps.forecasting.metrics import (
    coverage,
    mae,
    mase,
    mase_scale,
    naive,
    rmse,
    seasonal_naive,
    skill,
    smape,
)
from lstmcore.apps.forecasting.predictor import Trained
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.apps.forecasting.training import train

__all__ = [
    "Backtest",
    "Evaluation",
    "Forecast",
    "LagCheck",
    "Scores",
    "Settings",
    "Trained",
    "backtest",
    "coverage",
    "lag_check",
    "mae",
    "mase",
    "mase_scale",
    "naive",
    "rmse",
    "seasonal_naive",
    "skill",
    "smape",
    "train",
]
