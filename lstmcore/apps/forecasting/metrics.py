"""Errors of forecasts, and the two naive forecasts that others should beat. NumPy, float64.

Arrays are [N, horizon, targets]: N forecasts, one for each origin. An error is averaged over
`axis`, by default over forecasts and steps, which leaves [targets]; axis=0 leaves [horizon,
targets]. Steps whose truth is NaN are left out; a forecast that is NaN makes the error NaN.

Sources: Hyndman & Koehler (2006), "Another look at measures of forecast accuracy"; Hyndman &
Athanasopoulos (2021), "Forecasting: principles and practice", third edition, chapter 5.
"""

from __future__ import annotations

import numpy as np

from lstmcore import checks
from lstmcore.formatting import count

Axis = int | tuple[int, ...]


def mae(actual, forecast, *, axis: Axis = (0, 1)) -> np.ndarray:
    """Compute the mean absolute error, in units of the data.

    Args:
      actual, forecast: [N, horizon, targets].
      axis: to average over.

    Returns:
      float64 [targets], or the axes that `axis` leaves.

    Raises:
      ValueError: arrays of unequal shapes or without three axes.
      TypeError: arrays that do not hold real numbers.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> actual, forecast = np.array([[[1.0], [2.0]]]), np.array([[[1.0], [5.0]]])
      >>> forecasting.mae(actual, forecast).tolist()
      [1.5]
      >>> forecasting.mae(actual, forecast, axis=0).tolist()
      [[0.0], [3.0]]
    """
    actual, forecast = check_pair(actual, forecast)
    return _mean(np.abs(forecast - actual), actual, axis)


def rmse(actual, forecast, *, axis: Axis = (0, 1)) -> np.ndarray:
    """Compute the root mean squared error, in units of the data. Arguments, errors as in `mae`."""
    actual, forecast = check_pair(actual, forecast)
    return np.sqrt(_mean((forecast - actual) ** 2, actual, axis))


def smape(actual, forecast, *, axis: Axis = (0, 1)) -> np.ndarray:
    """Compute the symmetric mean absolute percentage error, from 0 to 200.

    It is the mean of 200 |f - y| / (|y| + |f|), as in the M4 competition (Makridakis et al. 2020).
    Other definitions leave out the absolute values in the denominator, which may make it negative,
    or have 100 in place of 200. Where y and f are both 0 the error counts as 0; where one of them
    is, it is 200 however small the other. It means little for data that can be 0 or negative.
    Arguments and errors as in `mae`.
    """
    actual, forecast = check_pair(actual, forecast)
    size = np.abs(actual) + np.abs(forecast)
    error = 200 * np.abs(forecast - actual) / np.where(size == 0, 1, size)  # 0 / 0 counts as 0
    return _mean(error, actual, axis)


def mase(actual, forecast, scale, *, axis: Axis = (0, 1)) -> np.ndarray:
    """Compute the mean absolute scaled error: `mae` / `mase_scale` of the training part.

    Below 1, the forecast is better than the (seasonal) naive one-step forecast was on the training
    part. If the training part never changes, the scale is 0 and the result infinite, or NaN for an
    error of 0.

    Args:
      actual, forecast, axis: as in `mae`.
      scale: [targets], from `mase_scale`.

    Returns, Raises: as `mae`.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> scale = forecasting.mase_scale([[1.0], [3.0], [2.0]])  # (2 + 1) / 2
      >>> forecasting.mase(np.array([[[4.0]]]), np.array([[[7.0]]]), scale).tolist()
      [2.0]
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return mae(actual, forecast, axis=axis) / np.asarray(scale, float)


def mase_scale(training, season: int = 1) -> np.ndarray:
    """Compute the mean absolute difference of each row to that `season` rows before, for `mase`.

    Args:
      training: [rows, targets], the rows trained on, and no others.
      season: rows of a season; 1 for a series without.

    Returns:
      float64 [targets], in units of the data; pairs with NaN do not count.

    Raises:
      ValueError: not two axes, or no more rows than a season has.
      TypeError: values that are not real numbers, or a season that is not a whole number.
    """
    training, season = check_numbers("training", training), checks.check_count("season", season)
    checks.check_array("training", training, "rows targets")
    if len(training) <= season:
        raise ValueError(
            f"training has {count(len(training), 'row')}, but a season of {season} needs more: "
            "use a shorter season or more data"
        )
    changes = np.abs(training[season:] - training[:-season])
    return _mean(changes, changes, 0)


def coverage(actual, low, high, *, axis: Axis = (0, 1)) -> np.ndarray:
    """Compute the fraction of the truth that lies within an interval, ends included.

    Args:
      actual, low, high: [N, horizon, targets].
      axis: to average over.

    Returns:
      As `mae`, from 0 to 1. An interval of 80 % should cover about 0.8.

    Raises:
      ValueError, TypeError: as `mae`.
    """
    actual, low = check_pair(actual, low, "low")
    actual, high = check_pair(actual, high, "high")
    inside = ((low <= actual) & (actual <= high)).astype(float)
    inside[np.isnan(low) | np.isnan(high)] = np.nan
    return _mean(inside, actual, axis)


def skill(error, baseline) -> np.ndarray:
    """Compute 1 - error / baseline: 1 for a perfect forecast, 0 for one as good as the baseline.

    Args:
      error, baseline: of one kind and shape, such as two results of `mae`.

    Returns:
      float64; -inf where only the baseline is 0, NaN where both are.

    Examples:
      >>> from lstmcore import forecasting
      >>> float(forecasting.skill(3.0, 4.0))
      0.25
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1 - np.asarray(error, float) / np.asarray(baseline, float)


def naive(values, origins, horizon: int) -> np.ndarray:
    """Return the last value before each origin for all steps, the forecast of a random walk.

    Args:
      values: [rows, targets], in the order of time.
      origins: int [N], the row that each forecast starts with; its values are not used.
      horizon: rows to forecast.

    Returns:
      float64 [N, horizon, targets].

    Raises:
      ValueError: origins without a row before them, or beyond the end of `values`.
      TypeError: values that are not real numbers, or origins that are not whole numbers.

    Examples:
      >>> from lstmcore import forecasting
      >>> forecasting.naive([[1.0], [2.0], [3.0]], origins=[1, 3], horizon=2)[:, :, 0].tolist()
      [[1.0, 1.0], [3.0, 3.0]]
    """
    return seasonal_naive(values, origins, horizon, season=1)


def seasonal_naive(values, origins, horizon: int, season: int) -> np.ndarray:
    """Return for each step the last known value that is a whole number of seasons before.

    Arguments, results and errors as in `naive`; there must be a season before each origin.

    Examples:
      >>> from lstmcore import forecasting
      >>> forecasting.seasonal_naive([[1], [2], [3]], [3], horizon=3, season=2)[0, :, 0].tolist()
      [2.0, 3.0, 2.0]
    """
    values = check_numbers("values", values)
    checks.check_array("values", values, "rows targets")
    horizon, season = checks.check_count("horizon", horizon), checks.check_count("season", season)
    origins = check_origins(origins, first=season, last=len(values))
    return values[origins[:, None] - season + np.arange(horizon) % season]


def check_origins(origins, first: int, last: int) -> np.ndarray:
    """Return origins as int [N].

    Raises:
      ValueError: one is not a row from `first` to `last`.
      TypeError: they are not whole numbers.
    """
    origins = np.asarray(origins)
    if not origins.size:
        raise ValueError("origins is empty: name at least one row to start from")
    if origins.dtype.kind not in "iu":
        raise TypeError(f"origins must be rows, whole numbers, got {origins.dtype}")
    checks.check_array("origins", origins, "forecasts")
    outside = origins[(origins < first) | (origins > last)]
    if outside.size:
        raise ValueError(
            f"origins holds row {outside[0]}, but a forecast can start from row {first}, which has "
            f"enough rows before it, to row {last}, the one after the last"
        )
    return origins


def _mean(errors: np.ndarray, actual: np.ndarray, axis: Axis) -> np.ndarray:
    """Return the mean over `axis` where the truth is known; NaN where it never is."""
    known = ~np.isnan(actual)
    with np.errstate(invalid="ignore"):
        return np.where(known, errors, 0).sum(axis=axis) / known.sum(axis=axis)


def check_pair(actual, forecast, name: str = "forecast") -> tuple[np.ndarray, np.ndarray]:
    """Return both as float64 [N, horizon, targets]; `name` is that of the second in errors.

    Raises:
      ValueError: unequal shapes, or not three axes.
      TypeError: they do not hold real numbers.
    """
    actual, forecast = check_numbers("actual", actual), check_numbers(name, forecast)
    checks.check_array("actual", actual, "forecasts steps targets")
    if forecast.shape != actual.shape:
        raise ValueError(
            f"{name} has shape {forecast.shape} but actual {actual.shape}: they must agree"
        )
    return actual, forecast


def check_numbers(name: str, given) -> np.ndarray:
    """Return real numbers as float64.

    Raises:
      TypeError: they are not real numbers.
    """
    values = np.asarray(given)
    if values.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be real numbers, got {values.dtype}")
    return values.astype(float)
