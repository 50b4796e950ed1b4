"""Does a forecast merely follow the last value? The question that a good-looking plot hides.

A forecast that repeats the last value looks good beside the truth: the same curve, a step late.
Three measurements tell it from one that knows what comes:

    skill         how much smaller its squared error is than that of the last value repeated, and
                  than that of the best exponential smoothing of the last values, chosen afterwards
    anticipation  of each change from the last value to the truth, the share that was forecast: 1
                  for the truth and noise, 0 for the last value and noise. Below one half, the
                  forecast lies nearer to the last value than to the truth
    lag           the changes of the forecast are correlated with those of the truth 0, 1, 2, ...
                  rows before: where the correlation is largest, the forecast fits best

"Significantly" is in the sense of Diebold & Mariano (1995), "Comparing Predictive Accuracy": a mean
over the steps against its standard error, which takes into account that neighbouring steps are
alike (Newey & West 1987), and that forecasts far ahead overlap, so that few of them are independent
(Harvey, Leybourne & Newbold 1997, "Testing the equality of prediction mean squared errors").
"""

from __future__ import annotations

from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from lstmcore import checks

__all__ = ["LagCheck", "lag_check"]

FOLLOWS = "follows the last value"
NO_BETTER = "no better than the last value"
AHEAD = "ahead of the last value"
SMOOTHINGS = np.array([0.02, 0.05, *np.arange(1, 10) / 10])  # 1 would be the last value itself
FEWEST = 20  # steps to compare on


class LagCheck(NamedTuple):
    """What `lag_check` found; `str()` of it is a report to read.

    Attributes:
      verdict: "follows the last value", "no better than the last value" or "ahead of the last
        value".
      follows: whether it is the first of these.
      step: rows between the last value and what is forecast.
      lags: int [K], rows back: 0, 1, ...
      correlation: [K], of the forecast's changes from row to row with those of the truth so many
        rows before. (The numbers themselves would correlate at all lags in any slow series.) NaN
        where one of them never changes, or there is no pair of rows to take the change of.
      distance: [K], root mean squared difference of the forecast to the truth so many rows before.
      best_lag: the lag of the largest correlation; of the smallest distance, if there is none; 0 of
        a forecast that never changes.
      skill: 1 - mean squared error / that of the last value; at most 1, below 0 if it is worse.
      skill_over_smoothing: the same against the best smoothing of the last values.
      anticipation: share of the true changes that was forecast; NaN if nothing ever changes.
      direction: correlation of forecast change and true change; NaN if one of them never changes.
    """

    verdict: str
    follows: bool
    step: int
    lags: np.ndarray
    correlation: np.ndarray
    distance: np.ndarray
    best_lag: int
    skill: float
    skill_over_smoothing: float
    anticipation: float
    direction: float

    def __str__(self) -> str:
        rows = "row" if self.best_lag == 1 else "rows"
        fits = f"the truth of {self.best_lag} {rows} before" if self.best_lag else "its own truth"
        return (
            f"{self.step} ahead: {self.verdict}\n"
            f"  fits {fits} best; {self.anticipation:.0%} of the changes anticipated, "
            f"direction {self.direction:.2f}\n"
            f"  skill {self.skill:.2f} over the last value, {self.skill_over_smoothing:.2f} over "
            "the best smoothing of the last values"
        )


def lag_check(
    actual, forecast, last, step: int = 1, *, max_lag: int | None = None, level: float = 0.01
) -> LagCheck:
    """Whether a forecast merely follows the last value.

    It is *ahead* if its squared error is significantly smaller than those of the last value and of
    the best smoothing of the last values. It *follows* if it is not, anticipates significantly less
    than half of the changes, and goes with an earlier truth: at the best lag, which is above 0, it
    lies nearer to that truth than the truth's own mean does. Else it is *no better*: for all that
    these steps tell, the last value would have done.

    On a random walk the last value is the best forecast there is (and follows).

    Args:
      actual: [N], the truth at consecutive rows; where it is NaN nothing is compared.
      forecast: [N], what was forecast for them.
      last: [N], the last value that was known when each was forecast, `step` rows before it.
      step: rows between the last value and what is forecast.
      max_lag: K - 1, the largest lag looked at; None: `step` + 10, but no more than N / 4.
      level: of significance, the chance to be wrong that is accepted. It is some per cent higher
        where the rows make less than about ten stretches of `step`.

    Returns:
      LagCheck.

    Raises:
      ValueError: unequal lengths, fewer than 20 steps with a truth, or other numbers that are not
        finite.
      TypeError: arguments of another kind.

    Examples:
      >>> import numpy as np
      >>> from lstmcore.forecasting import lag_check
      >>> walk = np.random.default_rng(0).normal(size=201).cumsum()
      >>> check = lag_check(actual=walk[1:], forecast=walk[:-1], last=walk[:-1])
      >>> check.verdict, check.best_lag, check.skill
      ('follows the last value', 1, 0.0)
    """
    step = checks.check_count("step", step)
    actual, forecast, last = _checked(actual, forecast, last)
    count = len(actual)
    if max_lag is None:
        max_lag = min(step + 10, count // 4)
    if (max_lag := checks.check_count("max_lag", max_lag)) > count - 2:
        raise ValueError(f"max_lag is {max_lag}, but there are only {count} steps")
    if not 0 < level <= 0.5:
        raise ValueError(f"level must be above 0 and at most 0.5, got {level!r}")
    limit = -NormalDist().inv_cdf(level)
    # Units do not matter, so that squares of squares neither overflow nor vanish.
    unit, rounding, (actual, forecast, last) = _in_own_units(actual, forecast, last)
    lags = np.arange(max_lag + 1)
    # The same steps for every lag: those that have a truth so many rows before.
    later = forecast[max_lag:]
    earlier = [actual[max_lag - lag : count - lag] for lag in lags]
    distance = np.array([_root_mean_square(later - truth) for truth in earlier])
    correlation = np.array(
        [_correlation(np.diff(later), np.diff(truth), rounding) for truth in earlier]
    )
    if not np.isnan(correlation).all():
        best = int(np.nanargmax(correlation))
    else:  # something changes evenly, and the distance must do; what never changes has no lag
        best = int(np.nanargmin(distance)) if np.ptp(later) > rounding else 0
    resembles = best > 0 and distance[best] < np.nanstd(earlier[best])

    smoothed = _best_smoothing(actual, last)
    known = ~np.isnan(actual)
    change, expected = (actual - last)[known], (forecast - last)[known]
    error, missed = ((actual - other)[known] ** 2 for other in (forecast, smoothed))
    power = (change**2).mean()
    ahead = all(_mean_over_its_error(other - error, step) > limit for other in (change**2, missed))
    nearer_to_last = _mean_over_its_error(error - expected**2, step) > limit
    follows = bool(not ahead and nearer_to_last and resembles)
    return LagCheck(
        verdict=AHEAD if ahead else FOLLOWS if follows else NO_BETTER,
        follows=follows,
        step=step,
        lags=lags,
        correlation=correlation,
        distance=unit * distance,
        best_lag=best,
        skill=_skill(error.mean(), power),
        skill_over_smoothing=_skill(error.mean(), min(power, missed.mean())),
        anticipation=float((expected * change).mean() / power) if power else np.nan,
        direction=_correlation(expected, change, rounding),
    )


def _best_smoothing(actual: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The exponential smoothing of the last values that has the smallest squared error; [N]."""
    level = np.full(len(SMOOTHINGS), last[0])
    smoothed = np.empty((len(last), len(SMOOTHINGS)))
    for row, value in enumerate(last):
        level = level + SMOOTHINGS * (value - level)
        smoothed[row] = level
    errors = np.nanmean((actual[:, None] - smoothed) ** 2, axis=0)
    return smoothed[:, errors.argmin()]


def _mean_over_its_error(values: np.ndarray, step: int) -> float:
    """The mean in standard errors of it, for values that are correlated over some rows.

    Errors of forecasts `step` rows ahead overlap in step - 1 rows. The standard error of few such
    stretches is too small; what it is corrected by is that of Harvey et al. (1997), equation 9.
    """
    count, mean = len(values), values.mean()
    step = min(step, count)
    correction = (count + 1 - 2 * step + step * (step - 1) / count) / count
    deviations = values - mean
    reach = min(max(2 * (step - 1), round(4 * (count / 100) ** (2 / 9))), count // 3)
    variance = deviations @ deviations
    for lag in range(1, reach + 1):
        variance += 2 * (1 - lag / (reach + 1)) * (deviations[lag:] @ deviations[:-lag])
    # What rounding leaves of equal values is no spread.
    rounding = np.finfo(float).eps * np.abs(values).max()
    if variance <= count * rounding**2:
        return float(np.sign(mean) * np.inf) if abs(mean) > rounding else 0.0
    return float(mean * count * np.sqrt(correction / variance))


def _correlation(a: np.ndarray, b: np.ndarray, rounding: float) -> float:
    """Where both are known; NaN if one of them never changes, but for rounding."""
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
    """(unit, how far apart equal changes may come out, the series from -1 to 1 in this unit)."""
    offset = series[-1][0]
    moved = [values - offset for values in series]
    unit = max(float(np.nanmax(np.abs(values))) for values in moved) or 1.0
    largest = max(float(np.nanmax(np.abs(values))) for values in series)
    return unit, 4 * np.finfo(float).eps * largest / unit, [values / unit for values in moved]


def _skill(error: float, baseline: float) -> float:
    if baseline == 0:
        return np.nan if error == 0 else -np.inf
    return float(1 - error / baseline)


def _checked(actual, forecast, last) -> tuple[np.ndarray, ...]:
    arrays = {}
    for name, given in (("actual", actual), ("forecast", forecast), ("last", last)):
        values = np.asarray(given)
        if values.dtype.kind not in "iuf":
            raise TypeError(f"{name} must be real numbers, got {values.dtype}")
        checks.check_array(name, values, "steps", "one column and one step ahead at a time")
        if not (np.isfinite(values) | (np.isnan(values) & (name == "actual"))).all():
            raise ValueError(
                f"{name} holds infinity, or NaN, which only actual may: leave out such rows first"
            )
        arrays[name] = values.astype(float)
    lengths = {name: len(values) for name, values in arrays.items()}
    if len(set(lengths.values())) > 1:
        described = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise ValueError(f"actual, forecast and last must have equally many steps, got {described}")
    if (known := int(np.isfinite(arrays["actual"]).sum())) < FEWEST:
        raise ValueError(
            f"a lag check needs at least {FEWEST} steps with a truth, got {known}: test on more "
            "rows"
        )
    return tuple(arrays.values())
