"""The lag check: does a forecast beat persistence, or does it repeat the last value?

A forecast that repeats the last value (persistence) looks good in a plot: it is the curve of the
truth, a step late. Three measurements tell it from one that anticipates changes:

    skill         1 - its squared error / that of persistence; and the same relative to the best
                  exponential smoothing of the last values, chosen in hindsight
    anticipation  the fraction of each change from the last value to the truth that was forecast: 1
                  for the truth and noise, 0 for the last value and noise. Below one half, the
                  forecast is nearer to the last value than to the truth
    lag           the correlation of the changes of the forecast with those of the truth 0, 1, 2,
                  ... rows before; the forecast fits best at the lag of the largest correlation

"Significant" is meant in the sense of Diebold & Mariano (1995), "Comparing Predictive Accuracy": a
mean over the steps relative to its standard error. The standard error takes into account that
neighbouring steps are correlated (Newey & West 1987), and that forecasts with a long horizon
overlap, so that few of them are independent (Harvey, Leybourne & Newbold 1997, "Testing the
equality of prediction mean squared errors").
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.formatting import count

LAGS = "lags (no better than persistence)"
NO_BETTER = "no better than persistence"
BEATS = "beats persistence"
SMOOTHINGS = np.array([0.02, 0.05, *np.arange(1, 10) / 10])  # 1 would be persistence
FEWEST = 20  # steps to compare on


class LagCheck(NamedTuple):
    """The result of `lag_check`; printed, it is a report.

    Attributes:
      verdict: "lags (no better than persistence)", "no better than persistence" or "beats
        persistence".
      is_lagging: whether it is the first of these.
      step: rows from the last value to the row that is forecast.
      lags: int [K], rows back: 0, 1, ...
      correlation: [K], of the changes of the forecast from row to row with those of the truth at
        each lag. (The values themselves would correlate at all lags in any slow series.) NaN where
        one of them never changes, or no two adjacent rows are known.
      distance: [K], root mean squared difference of the forecast and the truth at each lag.
      best_lag: the lag of the largest correlation; if all are NaN, of the smallest distance; 0 for
        a forecast that never changes.
      skill: 1 - mean squared error / that of persistence; at most 1, negative if it is worse.
      skill_over_smoothing: the same relative to the best smoothing of the last values.
      anticipation: fraction of the true changes that was forecast; NaN if nothing ever changes.
      direction: correlation of forecast change and true change; NaN if one of them never changes.
    """

    verdict: str
    is_lagging: bool
    step: int
    lags: np.ndarray
    correlation: np.ndarray
    distance: np.ndarray
    best_lag: int
    skill: float
    skill_over_smoothing: float
    anticipation: float
    direction: float

    def __repr__(self) -> str:
        return (
            f"{self.step} ahead: {self.verdict}\n  best lag {count(self.best_lag, 'row')}; "
            f"{self.anticipation:.0%} of the changes anticipated, direction {self.direction:.2f}\n "
            f" skill {self.skill:.2f} over persistence, {self.skill_over_smoothing:.2f} over the "
            "best smoothing of the last values"
        )


def lag_check(
    actual, forecast, last, step: int = 1, *, max_lag: int | None = None, level: float = 0.01
) -> LagCheck:
    """Compare a forecast with persistence, the last value repeated.

    It *beats persistence* if its squared error is significantly smaller than those of persistence
    and of the best smoothing of the last values. It *lags* if it does not, anticipates
    significantly less than half of the changes, and correlates with an earlier truth: at the best
    lag, above 0, it is nearer to that truth than the mean of that truth is. Otherwise it is *no
    better than persistence*, as far as these steps show.

    On a random walk persistence is the best forecast there is (and lags).

    Args:
      actual: [N], the truth at consecutive rows; rows where it is NaN are left out.
      forecast: [N], the forecasts for these rows.
      last: [N], the last value that was known to each forecast, `step` rows before.
      step: rows from the last value to the row that is forecast.
      max_lag: K - 1, the largest lag; None: `step` + 10, but no more than N / 4.
      level: of significance, the accepted probability of a false verdict. The true probability is
        some per cent higher where N is less than about ten times `step`.

    Returns:
      LagCheck.

    Raises:
      ValueError: unequal lengths, fewer than 20 steps whose truth is known, or other numbers that
        are not finite.
      TypeError: arguments of another kind.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> walk = np.random.default_rng(0).normal(size=201).cumsum()
      >>> check = forecasting.lag_check(actual=walk[1:], forecast=walk[:-1], last=walk[:-1])
      >>> check.verdict, check.best_lag, check.skill
      ('lags (no better than persistence)', 1, 0.0)
    """
    step = checks.check_count("step", step)
    actual, forecast, last = _checked(actual, forecast, last)
    max_lag = _checked_max_lag(max_lag, step, len(actual))
    if not 0 < level <= 0.5:
        raise ValueError(f"level must be above 0 and at most 0.5, got {level!r}")
    limit = -NormalDist().inv_cdf(level)
    # In units of their own, so that fourth powers neither overflow nor vanish.
    unit, rounding, (actual, forecast, last) = _in_own_units(actual, forecast, last)
    profile = _profile(actual, forecast, max_lag, rounding)

    smoothed = _best_smoothing(actual, last)
    known = ~np.isnan(actual)
    change, expected = (actual - last)[known], (forecast - last)[known]
    error, smoothing_error = ((actual - other)[known] ** 2 for other in (forecast, smoothed))
    power = (change**2).mean()  # the mean squared error of persistence
    beats = all(
        _standardised_mean(baseline - error, step) > limit
        for baseline in (change**2, smoothing_error)
    )
    nearer_to_last = _standardised_mean(error - expected**2, step) > limit
    is_lagging = bool(not beats and nearer_to_last and profile.resembles_past)
    return LagCheck(
        verdict=BEATS if beats else LAGS if is_lagging else NO_BETTER,
        is_lagging=is_lagging,
        step=step,
        lags=np.arange(max_lag + 1),
        correlation=profile.correlation,
        distance=unit * profile.distance,
        best_lag=profile.best_lag,
        skill=_skill(error.mean(), power),
        skill_over_smoothing=_skill(error.mean(), min(power, smoothing_error.mean())),
        anticipation=float((expected * change).mean() / power) if power else np.nan,
        direction=_correlation(expected, change, rounding),
    )


class _Profile(NamedTuple):
    """How well a forecast fits the truth at each lag; see LagCheck.

    resembles_past: at the best lag, above 0, the forecast is nearer to the truth than its mean is
    """

    correlation: np.ndarray
    distance: np.ndarray
    best_lag: int
    resembles_past: bool


def _profile(actual: np.ndarray, forecast: np.ndarray, max_lag: int, rounding: float) -> _Profile:
    """Compare a forecast with the truth 0, 1, ..., `max_lag` rows before."""
    # The same steps at every lag: those with a truth `max_lag` rows before.
    later = forecast[max_lag:]
    earlier = [actual[max_lag - lag : len(actual) - lag] for lag in range(max_lag + 1)]
    distance = np.array([_root_mean_square(later - truth) for truth in earlier])
    correlation = np.array(
        [_correlation(np.diff(later), np.diff(truth), rounding) for truth in earlier]
    )
    if not np.isnan(correlation).all():
        best = int(np.nanargmax(correlation))
    else:  # truth or forecast changes evenly: use the distance; a constant forecast has no lag
        best = int(np.nanargmin(distance)) if np.ptp(later) > rounding else 0
    resembles_past = bool(best > 0 and distance[best] < np.nanstd(earlier[best]))
    return _Profile(correlation, distance, best, resembles_past)


def _best_smoothing(actual: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the exponential smoothing of the last values with the smallest squared error; [N]."""
    level = np.full(len(SMOOTHINGS), last[0])
    smoothed = np.empty((len(last), len(SMOOTHINGS)))
    for row, value in enumerate(last):
        level = level + SMOOTHINGS * (value - level)
        smoothed[row] = level
    errors = np.nanmean((actual[:, None] - smoothed) ** 2, axis=0)
    return smoothed[:, errors.argmin()]


def _standardised_mean(values: np.ndarray, step: int) -> float:
    """Return the mean over its standard error, for values that are correlated over some rows.

    Forecasts `step` rows ahead overlap in step - 1 rows. The standard error is too small if few of
    them are independent, and is corrected as in Harvey et al. (1997), equation 9.
    """
    rows, mean = len(values), values.mean()
    step = min(step, rows)
    correction = (rows + 1 - 2 * step + step * (step - 1) / rows) / rows
    deviations = values - mean
    reach = min(max(2 * (step - 1), round(4 * (rows / 100) ** (2 / 9))), rows // 3)
    variance = deviations @ deviations
    for lag in range(1, reach + 1):
        variance += 2 * (1 - lag / (reach + 1)) * (deviations[lag:] @ deviations[:-lag])
    # Equal values that differ by rounding have no spread.
    rounding = np.finfo(float).eps * np.abs(values).max()
    if variance <= rows * rounding**2:
        return float(np.sign(mean) * np.inf) if abs(mean) > rounding else 0.0
    return float(mean * rows * np.sqrt(correction / variance))


def _correlation(a: np.ndarray, b: np.ndarray, rounding: float) -> float:
    """Return the correlation where both are known; NaN if one changes by rounding only."""
    known = ~(np.isnan(a) | np.isnan(b))
    if not known.any():
        return np.nan
    a, b = (values[known] - values[known].mean() for values in (a, b))
    if min(np.abs(a).max(), np.abs(b).max()) <= rounding:
        return np.nan
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


def _root_mean_square(values: np.ndarray) -> float:
    known = values[~np.isnan(values)]
    return float(np.sqrt((known**2).mean())) if len(known) else np.nan


def _in_own_units(*series: np.ndarray) -> tuple[float, float, list[np.ndarray]]:
    """Return (unit, rounding error of a change, the series scaled to [-1, 1] by the unit)."""
    offset = series[-1][0]
    moved = [values - offset for values in series]
    unit = max(float(np.nanmax(np.abs(values))) for values in moved) or 1.0
    largest = max(float(np.nanmax(np.abs(values))) for values in series)
    return unit, 4 * np.finfo(float).eps * largest / unit, [values / unit for values in moved]


def _skill(error: float, baseline: float) -> float:
    if baseline == 0:
        return np.nan if error == 0 else -np.inf
    return float(1 - error / baseline)


def _checked_max_lag(max_lag: int | None, step: int, steps: int) -> int:
    if max_lag is None:
        max_lag = min(step + 10, steps // 4)
    if (max_lag := checks.check_count("max_lag", max_lag)) > steps - 2:
        raise ValueError(f"max_lag is {max_lag}, but there are only {steps} steps")
    return max_lag


def _checked(actual, forecast, last) -> tuple[np.ndarray, ...]:
    arrays = {}
    for name, given in (("actual", actual), ("forecast", forecast), ("last", last)):
        values = np.asarray(given)
        if values.dtype.kind not in "iuf":
            raise TypeError(f"{name} must be real numbers, got {values.dtype}")
        checks.check_array(name, values, "steps", "one column and one step at a time")
        if not (np.isfinite(values) | (np.isnan(values) & (name == "actual"))).all():
            raise ValueError(
                f"{name} holds infinity, or NaN (which only actual may): leave out such rows first"
            )
        arrays[name] = values.astype(float)
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        described = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"actual, forecast and last must have equally many steps, got {described}")
    if (known := int(np.isfinite(arrays["actual"]).sum())) < FEWEST:
        raise ValueError(
            f"a lag check needs at least {FEWEST} steps whose truth is known, got {known}: test on "
            "more rows"
        )
    return tuple(arrays.values())
