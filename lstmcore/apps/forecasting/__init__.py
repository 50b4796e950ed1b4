"""Forecasting: from a table to a forecast, and to a measure of what it is worth.

    trained = train(values, columns, Settings(window=48, horizon=12, season=12))
    trained.forecast(values).point          the 12 rows after the last, in units of the data
    print(trained.evaluate(values))         errors beside those of simple rivals, lag check
    trained.run(values)                     a `study.Run`: every gate at every step
    trained.save(folder); Trained.load(folder)
    print(backtest(values, columns, settings, folds=5))

    trained = train_many(frame, id="store")    one forecaster of many series, see `many`

`metrics`, `paired`, `rivals` and `lag` need no JAX, and take the forecasts of any model.
"""

from lstmcore.apps.forecasting.backtest import Backtest, backtest
from lstmcore.apps.forecasting.comparison import Comparison, compare
from lstmcore.apps.forecasting.evaluation import Evaluation, Scores
from lstmcore.apps.forecasting.forecast import Forecast
from lstmcore.apps.forecasting.lag import LagCheck, lag_check
from lstmcore.apps.forecasting.many.evaluation import EvaluationOfMany
from lstmcore.apps.forecasting.many.forecast import ForecastOfMany
from lstmcore.apps.forecasting.many.predictor import TrainedMany
from lstmcore.apps.forecasting.many.training import train_many
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
from lstmcore.apps.forecasting.paired import PairedTest, paired_test
from lstmcore.apps.forecasting.predictor import Trained
from lstmcore.apps.forecasting.rivals import (
    RivalInputs,
    holt_winters,
    linear_map,
    rival_forecasts,
)
from lstmcore.apps.forecasting.settings import Settings
from lstmcore.apps.forecasting.training import train

__all__ = [
    "Backtest",
    "Comparison",
    "Evaluation",
    "EvaluationOfMany",
    "Forecast",
    "ForecastOfMany",
    "LagCheck",
    "PairedTest",
    "RivalInputs",
    "Scores",
    "Settings",
    "Trained",
    "TrainedMany",
    "backtest",
    "compare",
    "coverage",
    "holt_winters",
    "lag_check",
    "linear_map",
    "mae",
    "mase",
    "mase_scale",
    "naive",
    "paired_test",
    "rival_forecasts",
    "rmse",
    "seasonal_naive",
    "skill",
    "smape",
    "train",
    "train_many",
]
