from lstmcore.forecasting.lag import LagCheck, lag_check
from lstmcore.forecasting.metrics import (
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
