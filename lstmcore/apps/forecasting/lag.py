"""The lag check: does a forecast beat persistence, or does it repeat the last value?

A forecast that repeats the last value (persistence) looks good in a plot: it is the curve of the
truth, a step late. Three measurements tell it from one that anticipates changes:

    skill         1 - its squared error / that of persistence; and the same relative to the best
                  smoothing of the last values, chosen in hindsight
    anticipation  the fraction of each change from the last value to the truth that was forecast: 1
                  for the truth and noise, 0 for the last value and noise. Below one half, the
                  forecast is nearer to the last value than to the truth
    lag           the correlation of the changes of the forecast with those of the truth 0, 1, 2,
                  ... rows before; the forecast fits best at the lag of the largest correlation

The verdict is one of three:

    beats persistence       its squared error is significantly smaller than those of persistence and
                            of the best smoothing of the last values
    lags                    it is not significantly better than persistence, not even at 5 %, its
                            changes are significantly nearer to none than to the true ones, and it
                            fits an earlier truth best
    no better than a        everything else: better than persistence but not than a smoothing, or
    smoothing               not shown to be better than either, without a sign that it lags

So a forecast that is significantly better than persistence is never said to lag. "Significant" is
meant in the sense of Diebold & Mariano (1995), at 1 % where nothing else is said: see `paired`,
whose standard error is used here. docs/forecast.md has a table of how often each verdict is given
where the truth is known; the test tests/apps/test_lag_check_rates.py measures it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.apps.forecasting.paired import FEWEST, standardised_mean, upper_tail
from lstmcore.formatting import count

LAGS = "lags (no better than persistence)"
NO_BETTER = "no better than a smoothing of the last values"
BEATS = "beats persistence"
SMOOTHINGS = np.array([0.02, 0.05, *np.arange(1, 10) / 10])  # 1 would be persistence
LENIENT = 0.05  # level of significance at which a forecast that is better does not lag


class LagCheck(NamedTuple):
    """The result of `lag_check`; printed, it is a report.

    Attributes:
      verdict: "beats persistence", "no better than a smoothing of the last values" or "lags (no
        better than persistence)"; `lag_check` defines them.
      is_lagging: whether it is the last of these.
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
    and of the best smoothing of the last values, chosen in hindsight: exponential smoothings with
    weights from 0.02 to 0.9, and the mean of all.

    It *lags (no better than persistence)* if its squared error is not significantly smaller than
    that of persistence, not even at 5 %, it anticipates significantly less than half of the
    changes, and it correlates with an earlier truth: at the best lag, above 0, it is nearer to that
    truth than the mean of that truth is.

    Otherwise it is *no better than a smoothing of the last values*, as far as these steps show.
    (Persistence is a smoothing, too: one that forgets at once.)

    On a random walk persistence is the best forecast there is, and lags.

    Args:
      actual: [N], the truth at consecutive rows; rows where it is NaN are left out.
      forecast: [N], the forecasts for these rows.
      last: [N], the last value that was known to each forecast, `step` rows before.
      step: rows from the last value to the row that is forecast.
      max_lag: K - 1, the largest lag; None: `step` + 10, but no more than N / 4.
      level: of significance, the accepted probability of a false "beats persistence". The true
        probability is some per cent higher where N is less than about ten times `step`. A forecast
        that is better by less than N steps can show may still be said to lag.

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
    # In units of their own, so that fourth powers neither overflow nor vanish.
    unit, rounding, (actual, forecast, last) = _in_own_units(actual, forecast, last)
    profile = _profile(actual, forecast, max_lag, rounding)

    smoothed = _best_smoothing(actual, last)
    known = ~np.isnan(actual)
    change, expected = (actual - last)[known], (forecast - last)[known]
    error, smoothing_error = ((actual - other)[known] ** 2 for other in (forecast, smoothed))
    power = (change**2).mean()  # the mean squared error of persistence
    better, better_than_smoothing, nearer_to_last = (  # p-values
        upper_tail(standardised_mean(gain, step), len(gain))
        for gain in (change**2 - error, smoothing_error - error, error - expected**2)
    )
    beats = max(better, better_than_smoothing) < level
    repeats = nearer_to_last < level and profile.resembles_past
    is_lagging = bool(better >= max(level, LENIENT) and repeats)
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
    """Return the smoothing of the last values with the smallest squared error; [N].

    The last of them is the mean of all, the limit of a weight of 0: without it, the mean of white
    noise would beat every smoothing, each of which still follows the noise a little.
    """
    level = np.full(len(SMOOTHINGS), last[0])
    smoothed = np.empty((len(last), len(SMOOTHINGS) + 1))
    smoothed[:, -1] = last.mean()
    for row, value in enumerate(last):
        level = level + SMOOTHINGS * (value - level)
        smoothed[row, :-1] = level
    errors = np.nanmean((actual[:, None] - smoothed) ** 2, axis=0)
    return smoothed[:, errors.argmin()]


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
