"""Simple forecasts from the same rows, which run beside every model: its rivals.

    naive, seasonal naive   the last value, the last season repeated (`metrics`)
    linear map              a linear function of the window, the same rows and columns that the
                            model reads. Zeng et al. (2023), "Are transformers effective for time
                            series forecasting?", found such maps better than transformers
    Holt-Winters            exponential smoothing of level, damped trend and season (Holt 1957;
                            Winters 1960; Gardner & McKenzie 1985), by statsmodels

Each is fitted to the training part alone, and reads only the rows before its origin.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.apps.forecasting import bounds
from lstmcore.apps.forecasting.linear import Rows, fit_linear, outputs_of
from lstmcore.apps.forecasting.metrics import check_numbers, check_origins, naive, seasonal_naive
from lstmcore.formatting import count, listed

NAIVE, SEASONAL, LINEAR, HOLT_WINTERS = "naive", "seasonal naive", "linear map", "Holt-Winters"
DESCRIPTIONS = {
    NAIVE: "the last value repeated",
    SEASONAL: "the last season repeated",
    LINEAR: "a linear map of the window",
    HOLT_WINTERS: "Holt-Winters smoothing",
}
FEWEST_WINDOWS = 10  # to fit a linear map to
MOST_FITTED = 2_000  # rows that Holt-Winters is fitted to, or SEASONS_FITTED if those are more
SEASONS_FITTED = 4
HEURISTIC = {"initialization_method": "heuristic"}  # of level, trend and season
FITTING = 2_000  # rows that could be smoothed while the parameters of a target are fitted
MOST_SMOOTHED = 2**18  # such rows of all targets, at some 10 microseconds each


class RivalInputs(NamedTuple):
    """The rows that rivals read and are fitted to.

    Attributes:
      values: [rows, F], without missing values, in units of the data; targets first, future
        covariates last. After the last origin only the latter are read.
      training: rows of the training part, which come first.
      window: rows that the linear map reads before each origin.
      targets: names of the first columns, which are forecast.
      future_covariates: number of the last columns, which are known in advance.
      season: rows of a season, or None.
      nonnegative: names of targets that are forecast at 0 or above, as by the model.
      smoothing: whether Holt-Winters runs, which takes longer than all others.
    """

    values: np.ndarray
    training: int
    window: int
    targets: tuple[str, ...]
    future_covariates: int
    season: int | None
    nonnegative: tuple[str, ...] = ()
    smoothing: bool = True


def rival_forecasts(
    inputs: RivalInputs, origins, horizon: int
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Return the forecasts of all rivals, and a sentence on each that had to be left out.

    Args:
      inputs: RivalInputs.
      origins: int [N], the row that each forecast starts with.
      horizon: rows to forecast.

    Returns:
      ({"naive": [N, horizon, targets], ...}, sentences). "seasonal naive" is there if there is a
      season, "linear map" if the training part holds at least 10 windows, and "Holt-Winters" if
      statsmodels is installed and could be fitted to a target; it is NaN for the other targets.

    Raises:
      ValueError, TypeError: as `naive` and `seasonal_naive`.

    Examples:
      >>> import numpy as np
      >>> wave = np.sin(np.arange(60) / 3)[:, None]
      >>> found, notes = rival_forecasts(RivalInputs(wave, 40, 8, ("wave",), 0, None), [50, 51], 3)
      >>> list(found), found["linear map"].shape, notes
      (['naive', 'linear map', 'Holt-Winters'], (2, 3, 1), ())
    """
    targets, season = len(inputs.targets), inputs.season
    values = inputs.values[:, :targets]
    found, notes = {NAIVE: naive(values, origins, horizon)}, []
    if season is not None:
        found[SEASONAL] = seasonal_naive(values, origins, horizon, season)
    is_bounded = [target in inputs.nonnegative for target in inputs.targets]
    lowest = bounds.lowest(values, origins, is_bounded)[:, None]  # naive forecasts are not below
    windows = max(0, inputs.training - inputs.window - horizon + 1)
    if windows >= FEWEST_WINDOWS:
        fitted = linear_map(
            inputs.values,
            origins,
            horizon,
            training=inputs.training,
            window=inputs.window,
            targets=targets,
            future_covariates=inputs.future_covariates,
        )
        found[LINEAR] = np.maximum(fitted, lowest)
    else:
        notes.append(
            f"the linear map is left out: the training part has {count(windows, 'window')}, and it "
            f"needs {FEWEST_WINDOWS}"
        )
    if not inputs.smoothing:
        return found, tuple(notes)
    try:
        smoothed, reasons = _holt_winters(values, origins, horizon, inputs.training, season)
    except ImportError:
        notes.append("Holt-Winters is left out: it needs the package statsmodels")
        return found, tuple(notes)
    if len(reasons) < targets:
        found[HOLT_WINTERS] = np.maximum(smoothed, lowest)
    return found, (*notes, *_left_out(reasons, inputs.targets))


def _left_out(reasons: dict[int, str], targets: tuple[str, ...]) -> list[str]:
    """Return a sentence for each reason why Holt-Winters has no forecast of some targets."""
    sentences = []
    for reason in dict.fromkeys(reasons.values()):
        names = [targets[place] for place, one in reasons.items() if one == reason]
        of = "" if len(names) == len(targets) else f" for {listed(names)}"
        sentences.append(f"Holt-Winters is left out{of}: {reason}")
    return sentences


def linear_map(
    values,
    origins,
    horizon: int,
    *,
    training: int,
    window: int,
    targets: int | None = None,
    future_covariates: int = 0,
) -> np.ndarray:
    """Forecast by a linear map of the window, fitted to the windows of the training part.

    Each step of each target is a linear function of all columns of the window and of the future
    covariates of the horizon. It is fitted by ridge regression (Hoerl & Kennard 1970) to what is
    above the last value, so that a strong penalty leaves the forecast of a random walk with drift.
    The penalty is chosen for each target by generalised cross-validation (Golub, Heath & Wahba
    1979) within the training part. Of more than 10,000 windows, or 4 million numbers in them, that
    many are drawn at random, always the same ones.

    Args:
      values: [rows, F], in units of the data; targets first, future covariates last.
      origins: int [N], the row that each forecast starts with. With future covariates, their
        `horizon` rows from there on must be in `values`.
      horizon: rows to forecast.
      training: rows of the training part, which come first.
      window: rows to read before each origin.
      targets: number of columns to forecast; None: all but the future covariates.
      future_covariates: number of columns known in advance, C.

    Returns:
      float64 [N, horizon, targets], in units of the data.

    Raises:
      ValueError: fewer than 10 windows in the training part, missing values in it, or origins
        without a window before them.
      TypeError: values that are not real numbers, or arguments of another kind.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> wave = np.sin(np.arange(80) / 3)[:, None]
      >>> found = forecasting.linear_map(wave, [60], horizon=3, training=50, window=8)
      >>> bool(np.allclose(found[0], wave[60:63], atol=1e-3))  # a sine is linear in its past
      True
    """
    values = check_numbers("values", values)
    checks.check_array("values", values, "rows columns")
    horizon, window = checks.check_count("horizon", horizon), checks.check_count("window", window)
    covariates = checks.check_count("future_covariates", future_covariates, minimum=0)
    if targets is None:
        targets = values.shape[1] - covariates
    targets = checks.check_count("targets", targets)
    training = checks.check_count("training", training)
    ahead = horizon if covariates else 0
    origins = check_origins(origins, first=window, last=len(values) - ahead)
    windows = max(0, training - window - horizon + 1)
    if windows < FEWEST_WINDOWS:
        raise ValueError(
            f"training is {count(training, 'row')}, which hold {count(windows, 'window')} "
            f"of {window} rows with {horizon} after it: a linear map needs {FEWEST_WINDOWS}; use "
            "more rows or a shorter window"
        )
    if not np.isfinite(values[:training]).all():
        raise ValueError("values holds NaN or infinity in the training part: fill it first")
    rows = Rows(values, horizon, targets, covariates)
    fitted = fit_linear(rows._replace(values=rows.values[:training]), window)
    return outputs_of(fitted, rows, origins)


def holt_winters(
    values, origins, horizon: int, *, training: int, season: int | None = None
) -> np.ndarray:
    """Forecast by exponential smoothing with a damped trend and, if there is one, a season.

    statsmodels fits the smoothing parameters to the end of the training part: its last 2,000 rows,
    or four seasons if those are more. With these parameters level, trend and season are updated row
    by row to the last origin, from each of which the forecast is read off. It takes a second or two
    for 40,000 rows.

    Args:
      values: [rows, targets], in units of the data.
      origins: int [N], the row that each forecast starts with, from the training part's end on.
      horizon: rows to forecast.
      training: rows of the training part, which come first.
      season: rows of a season; None, or 1, if there is none.

    Returns:
      float64 [N, horizon, targets], in units of the data; NaN for a target to which it could not be
      fitted, because there are too few rows, too many rows and targets, or the optimizer failed.

    Raises:
      ImportError: statsmodels is not installed.
      ValueError: origins before the end of the training part, or beyond that of `values`.
      TypeError: values that are not real numbers, or arguments of another kind.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> rows = np.arange(120)
      >>> sales = (rows / 10 + np.tile([5.0, 1, 2, 3], 30))[:, None]
      >>> found = forecasting.holt_winters(sales, [100], 4, training=80, season=4)
      >>> bool(np.abs(found[0] - sales[100:104]).max() < 0.2)
      True
    """
    return _holt_winters(values, origins, horizon, training, season)[0]


def _holt_winters(values, origins, horizon: int, training: int, season: int | None):
    """Return (forecasts, {place of a target: reason why it has none})."""
    try:
        import statsmodels.tsa.holtwinters  # noqa: F401
    except ImportError as error:
        raise ImportError("Holt-Winters needs statsmodels: pip install statsmodels") from error
    values = check_numbers("values", values)
    checks.check_array("values", values, "rows targets")
    horizon, training = (
        checks.check_count(name, number)
        for name, number in (("horizon", horizon), ("training", training))
    )
    season = 1 if season is None else checks.check_count("season", season)
    origins = check_origins(origins, first=training, last=len(values))
    start = max(0, training - max(MOST_FITTED, SEASONS_FITTED * season))
    end, targets = int(origins.max()), values.shape[1]
    forecast, reasons = np.full((len(origins), horizon, targets), np.nan), {}
    for place in range(targets):
        try:
            if (end - start + FITTING) * targets > MOST_SMOOTHED:
                raise _NotFittedError(f"{targets:,} targets of {end - start:,} rows take too long")
            states = _states(values[start:end, place], training - start, season)
        except _NotFittedError as error:
            reasons[place] = str(error)
        else:
            forecast[:, :, place] = states.forecast(origins - start, horizon)
    return forecast, reasons


class _NotFittedError(Exception):
    """Holt-Winters cannot be fitted to a target; the text says why."""


class _States(NamedTuple):
    """Level, trend and season [rows] after each row; the trend fades by `damping` at each row."""

    level: np.ndarray
    trend: np.ndarray
    seasonal: np.ndarray
    season: int
    damping: float

    def forecast(self, origins: np.ndarray, horizon: int) -> np.ndarray:
        """Return [N, horizon] (Hyndman & Athanasopoulos 2021, section 8.3)."""
        level, trend = self.level[origins - 1, None], self.trend[origins - 1, None]
        forecast = level + np.cumsum(self.damping ** np.arange(1, horizon + 1)) * trend
        if self.season > 1:
            repeated = seasonal_naive(self.seasonal[:, None], origins, horizon, self.season)
            forecast += repeated[:, :, 0]
        return forecast


def _states(column: np.ndarray, training: int, season: int) -> _States:
    """Fit to the first `training` values of a column, and smooth all of it.

    Raises:
      _NotFittedError: too few rows, or the optimizer failed.
    """
    needed = max(10 + 2 * (season // 2), 2 * season + 1)
    if training < needed:
        raise _NotFittedError(
            f"the training part has {count(training, 'row')}, and it needs {needed}"
        )
    offset, scale = column[:training].mean(), column[:training].std()
    if not (np.isfinite(scale) and scale > 0):
        raise _NotFittedError("nothing changes in the training part")
    scaled = (column - offset) / scale
    fitted = _smoothed(scaled[:training], season)
    parameters = fitted.params
    start = {f"initial_{part}": parameters[f"initial_{part}"] for part in ("level", "trend")}
    if season > 1:
        start["initial_seasonal"] = parameters["initial_seasons"]
    known = {
        f"smoothing_{part}": parameters[f"smoothing_{part}"]
        for part in ("level", "trend", *(["seasonal"] if season > 1 else []))
    }
    damping = float(parameters["damping_trend"])
    whole = _smoothed(scaled, season, start, {**known, "damping_trend": damping})
    level, trend = offset + scale * whole.level, scale * whole.trend
    seasonal = scale * whole.season if season > 1 else np.zeros(0)
    if not (np.isfinite(level).all() and np.isfinite(trend).all()):
        raise _NotFittedError("its level grows beyond all bounds")
    return _States(level, trend, seasonal, season, damping)


def _smoothed(
    column: np.ndarray, season: int, start: dict | None = None, known: dict | None = None
):
    """Return the result of statsmodels, with fitted parameters or, from `start`, with known ones.

    Raises:
      _NotFittedError: the optimizer failed.
    """
    from statsmodels.tools.sm_exceptions import ConvergenceWarning
    from statsmodels.tsa.holtwinters import ExponentialSmoothing

    seasonal = {"seasonal": "add", "seasonal_periods": season} if season > 1 else {}
    first = {"initialization_method": "known", **start} if start else HEURISTIC
    # It warns of deprecations and of numbers out of range on the way; only one warning matters.
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        try:
            model = ExponentialSmoothing(
                column, trend="add", damped_trend=True, **seasonal, **first
            )
            # From the best point of a grid: a descent from statsmodels' own start may end in a
            # minimum that is not the lowest, of the airline passengers with three times the error.
            result = model.fit(optimized=known is None, **(known or {}))
        except (ValueError, FloatingPointError, np.linalg.LinAlgError) as error:
            raise _NotFittedError("statsmodels could not fit it") from error
    if any(issubclass(one.category, ConvergenceWarning) for one in caught):
        raise _NotFittedError("the search for its parameters did not converge")
    return result
