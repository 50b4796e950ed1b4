"""The seasons of a series: after how many rows it resembles itself again, and its level then."""

from __future__ import annotations

import numpy as np

from lstmcore import checks
from lstmcore.formatting import count
from lstmcore.series.arrays import as_rows

LEAST = 0.1  # autocorrelation of a season; weaker ones do not help a forecast
STANDING = 0.5  # of the strongest season's autocorrelation that any other must have
LASTING = 0.7  # of it that must be left after two seasons; a damped oscillation fades sooner
DEVIATIONS = 3.0  # standard errors that the autocorrelation of a season must exceed, and
GAIN = 4.0  # that of a multiple the one of its divisor: there are many multiples
MEDIAN_OF = 5  # seasons, so that two anomalous ones do not change the level
CYCLES = 3  # seasons that must lie in the series


def seasons(values, longest: int | None = None) -> tuple[int, ...]:
    """Find the seasons of a series by its autocorrelation, the strongest first.

    The season is where the autocorrelation of the differences from row to row (which have no level
    and no linear trend) has a peak that stands out of the noise and that comes again, hardly lower,
    at twice the lag: an oscillation that fades has none. Multiples of a season that was found are
    not listed, but its divisors are, if they have a peak of their own: a week of half-hours, 336,
    and then a day, 48.

    Source: Box & Jenkins (1970), "Time series analysis: forecasting and control", chapters 2 and 9;
    the standard error of an autocorrelation is Bartlett's (1946).

    Args:
      values: numbers [rows] or [rows, F], in the order of time, without missing values; the
        autocorrelations of several columns are averaged.
      longest: rows of the longest season to look for; None: a third of the rows.

    Returns:
      Numbers of rows, each at least 2; () if there is no season.

    Raises:
      ValueError: values that are not numeric, or missing or infinite.
      TypeError: `longest` is not a whole number.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import series
      >>> rows = np.arange(400)
      >>> series.seasons(np.sin(2 * np.pi * rows / 24) + 0.01 * rows)
      (24,)
      >>> series.seasons(np.random.default_rng(0).normal(size=400).cumsum())
      ()
    """
    values = as_rows("values", values).astype(float)
    if not np.isfinite(values).all():
        raise ValueError("values must be finite: fill missing ones first, see series.fit_filling")
    most = (len(values) - 1) // CYCLES
    longest = most if longest is None else min(most, checks.check_count("longest", longest))
    if longest < 2:
        return ()
    correlation = _autocorrelation(np.diff(values, axis=0), 2 * longest)
    lags = np.arange(2, longest + 1)
    here, twice = correlation[lags], correlation[2 * lags]
    is_peak = (here >= correlation[lags - 1]) & (here >= correlation[lags + 1])
    # Bartlett's standard error, of an autocorrelation beyond lags that are correlated.
    before = np.cumsum(correlation[1:longest] ** 2)
    noise = np.sqrt((1 + 2 * before) / (len(values) - lags))
    is_season = is_peak & (here > np.maximum(LEAST, DEVIATIONS * noise)) & (twice > LASTING * here)
    if not is_season.any():
        return ()
    is_season &= here >= STANDING * here[is_season].max()
    strength = dict(zip(lags[is_season].tolist(), here[is_season].tolist(), strict=True))

    def adds(lag: int, divisor: int) -> bool:
        """Return whether a multiple is a season of its own, and not the divisor's once more."""
        return strength[lag] - strength[divisor] > GAIN * np.sqrt(2 / (len(values) - lag))

    found = [
        lag
        for lag in strength
        if all(lag % other or adds(lag, other) for other in strength if other < lag)
    ]
    return tuple(sorted(found, key=lambda lag: -strength[lag]))


def seasonal_level(values, season: int) -> np.ndarray:
    """Return what each row is to be compared with: the rows whole seasons before it.

    It is the median of the last five of these rows, or of as many as there are, so it follows a
    level that changes, and neither an anomaly nor its end leaves an echo in later seasons, unless
    it lasts for half of them. It needs no row after, and not the phase of the first one.

    Args:
      values: numbers [rows] or [rows, F], in the order of time; NaN is missing, and left out.
      season: rows.

    Returns:
      float64 [rows - season, F]: its row r belongs to row r + season. NaN where all are missing.

    Raises:
      ValueError: values that are not numeric, or not more of them than a season has.
      TypeError: a season that is not a whole number.

    Examples:
      >>> from lstmcore import series
      >>> series.seasonal_level([1, 5, 1, 6, 3, 7], season=2)[:, 0].tolist()
      [1.0, 5.0, 1.0, 5.5]
    """
    values = as_rows("values", values).astype(float)
    season = checks.check_count("season", season)
    rows = len(values) - season
    if rows < 1:
        raise ValueError(
            f"a season of {count(season, 'row')} needs more of them, but values has {len(values)}: "
            "use more data or a shorter season"
        )
    before = np.full((MEDIAN_OF, rows, values.shape[1]), np.nan)
    for number in range(min(MEDIAN_OF, -(-rows // season))):
        known = rows - number * season
        before[number, rows - known :] = values[:known]
    before.sort(axis=0)  # missing values last
    known = np.isfinite(before).sum(axis=0)
    middle = np.stack([np.maximum(known - 1, 0) // 2, known // 2 * (known > 0)])
    return np.take_along_axis(before, middle, axis=0).mean(axis=0)


def _autocorrelation(values: np.ndarray, longest: int) -> np.ndarray:
    """Return the autocorrelation of [rows, F] at the lags 0 ... `longest`, averaged over columns.

    Each sum of products is divided by the number of its products, so that it does not shrink with
    the lag. 0 for a series that never changes.
    """
    rows = len(values)
    products = rows - np.arange(longest + 1)
    total = np.zeros(longest + 1)
    for column in values.T:  # one at a time: a table may have thousands
        column = column - column.mean()
        column = column / (np.abs(column).max() or 1.0)
        power = np.abs(np.fft.rfft(column, 2 * rows)) ** 2
        covariance = np.fft.irfft(power)[: longest + 1] / products
        total += covariance / (covariance[0] or 1.0)
    return total / values.shape[1]
