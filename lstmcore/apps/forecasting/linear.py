"""The linear path of a forecaster, fitted in closed form; the LSTM learns what it leaves.

    target = linear(last rows, future covariates)  +  head(LSTM(window), future covariates)
             ridge regression, one solution           trained on target - linear(...)

A linear map of the window alone is hard to beat (Zeng et al. 2023, "Are Transformers Effective for
Time Series Forecasting?"), and a network that must find it by gradient descent seldom does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore import series
from lstmcore.models.forecaster import Forecaster
from lstmcore.series.windowing import draw_windows
from lstmcore.types import DenseParams

PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)  # of the mean variance of the inputs
TOWARDS = ("last", "mean")  # what a strong penalty leaves
USUAL = 0.1  # of the penalties, where there are too few rows to choose
MOST_INPUTS = 500  # of the map; the time to solve it grows with their cube
MOST_EXAMPLES = 5_000  # that it is fitted to


def linear_rows(window: int, features: int, known: int) -> int:
    """Return how many rows of a window the linear path reads.

    Args:
      window: rows of the window.
      features: columns of a row.
      known: future covariates of all rows to forecast, which it reads as well.
    """
    return min(window, max(0, (MOST_INPUTS - known) // features))


def examples(model: Forecaster, rows: np.ndarray, window: int, stride: int) -> dict:
    """Return windows of preprocessed rows [rows, F], as the loss of the model takes them."""
    x, following = series.windows(rows, window, model.horizon, stride)
    first = model.features - model.future_covariates
    batch = {"x": x, "target": following[:, :, : model.targets]}
    return batch | ({"future": following[:, :, first:]} if model.future_covariates else {})


def inputs_of(model: Forecaster, batch: dict) -> np.ndarray:
    """Return what the linear path of the model reads of each example, float64 [N, inputs]."""
    past = batch["x"][:, batch["x"].shape[1] - model.linear_rows :]
    parts = [past, batch["future"]] if "future" in batch else [past]
    return np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1).astype(float)


def outputs_of(params: DenseParams, model: Forecaster, batch: dict) -> np.ndarray:
    """Return the forecast of the linear path alone, float64 [N, horizon, targets]."""
    flat = inputs_of(model, batch) @ params.kernel + params.bias
    return flat.reshape(len(flat), model.horizon, -1)


def fit_linear(
    model: Forecaster, batch: dict, penalties: Sequence[float] = (USUAL,), towards: str = "last"
) -> list[DenseParams]:
    """Fit the linear path by ridge regression, for each penalty.

    The penalty is a fraction of the mean variance of the inputs, λ = penalty tr(C) / D, with the
    covariance C [D, D] of the inputs, and the kernel (C + λ I)^-1 cov(inputs, targets) (Hoerl &
    Kennard 1970, "Ridge Regression"). The bias is not penalised.

    What a strong penalty leaves is the mean of the targets, or the last value and a drift. For the
    latter, rows and targets are taken relative to the last row; the result is a map of the rows
    themselves again.

    Args:
      model: with `linear_rows`.
      batch: from `examples`; of more than `MOST_EXAMPLES`, that many are drawn at random.
      penalties: above 0.
      towards: "mean" or "last".

    Returns:
      DenseParams of float64 (kernel [inputs, horizon targets], bias) for each penalty.
    """
    some = draw_windows(len(batch["x"]), MOST_EXAMPLES)
    batch = {name: values[some] for name, values in batch.items()}
    x, targets = batch["x"].astype(float), batch["target"].astype(float)
    if towards == "last":
        targets = targets - x[:, -1:, : model.targets]
        x = np.concatenate([x[:, :-1] - x[:, -1:], x[:, -1:]], axis=1)
    fitted = _ridge(inputs_of(model, batch | {"x": x}), targets.reshape(len(x), -1), penalties)
    return [_of_rows(model, params) for params in fitted] if towards == "last" else fitted


def _ridge(inputs: np.ndarray, targets: np.ndarray, penalties: Sequence[float]) -> list:
    """Return the DenseParams of each penalty; see `fit_linear`."""
    means = inputs.mean(axis=0), targets.mean(axis=0)
    inputs, targets = inputs - means[0], targets - means[1]
    variances, directions = np.linalg.eigh(inputs.T @ inputs / len(inputs))
    variances = np.maximum(variances, 0)
    along = directions.T @ (inputs.T @ targets / len(inputs))
    unit = variances.mean() or 1.0
    fitted = []
    for penalty in penalties:
        kernel = directions @ (along / (variances + penalty * unit)[:, None])
        fitted.append(DenseParams(kernel, means[1] - means[0] @ kernel))
    return fitted


def _of_rows(model: Forecaster, params: DenseParams) -> DenseParams:
    """Return the map of the rows that equals a map of rows relative to the last one."""
    targets = model.targets or 0  # a number by now
    kernel = params.kernel.copy()
    past = kernel[: model.linear_rows * model.features]  # views
    rows = past.reshape(model.linear_rows, model.features, model.horizon, targets)
    rows[-1] -= rows[:-1].sum(axis=0)
    for target in range(targets):
        rows[-1, target, :, target] += 1
    return DenseParams(kernel, params.bias)
