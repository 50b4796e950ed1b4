"""The seasons of a series: after how many rows it resembles itself again, and its level then."""

from __future__ import annotations

import numpy as np

from lstmcore import checks
from lstmcore.formatting import count
from lstmcore.series.arrays import as_rows

LEAST = 0.1  # autocorrelation of a season; weaker ones do not help a forecast
LEAST_SMOOTHED = 0.4  # likewise, of smoothed values, in which there is less noise
ENOUGH, ENOUGH_SMOOTHED = 0.7, 0.85  # autocorrelation that is no chance even in few rows
STANDING = 0.5  # of the strongest season's autocorrelation that any other must have
LASTING = 0.7  # of it that must be left after two seasons; a damped oscillation fades sooner
LASTING_OF_TWO = 0.9  # likewise of a season of two rows
DEVIATIONS = 3.0  # standard errors that the autocorrelation of a season must exceed, and
GAIN = 6.0  # those by which a multiple must resemble more: there are many multiples
ALIKE = 0.1  # relative difference of two lags that are the same season, found at two scales
OFF = 0.02  # of a lag, by which it may miss a multiple
SHARED = 0.25  # of the columns that must have a season
SCALES_IN = 3  # smoothed rows that the shortest season found at a scale has
MEDIAN_OF = 5  # seasons, so that two anomalous ones do not change the level
CYCLES = 3  # seasons that must lie in the series
MOST_COLUMNS = 64  # that are looked at; of more, as many at equal distances


def seasons(values, longest: int | None = None, *, pooled: bool = False) -> tuple[int, ...]:
    """Find the seasons of a series by its autocorrelation, the strongest first.

    The season is where the autocorrelation of the differences from row to row (which have no level
    and no linear trend) has a peak that stands out of the noise and that comes again, hardly lower,
    at twice the lag: an oscillation that fades has none. A slow season hides in the noise of single
    rows, so that differences of the means of 2, 4, 8, ... rows are looked at as well. Multiples of
    a season that was found are not listed unless they add to it: of half-hours, a day, 48, and a
    week, 336, if the days of a week differ.

    Source: Box & Jenkins (1970), "Time series analysis: forecasting and control", chapters 2 and 9;
    the standard error of an autocorrelation is Bartlett's (1946).

    Args:
      values: numbers [rows] or [rows, F], in the order of time, without missing values. Of
        several columns, a quarter must have the season; of more than 64, as many are looked at.
      longest: rows of the longest season to look for; None: a third of the rows.
      pooled: whether the columns are many series of one kind: their mean autocorrelation has less
        noise than that of each, as far as they are independent, so it may be a weaker one.

    Returns:
      Numbers of rows, each at least 2; () if there is no season.

    Raises:
      ValueError: values that are not numeric, or missing or infinite.
      TypeError: `longest` is not a whole number.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import series
      >>> rng, rows = np.random.default_rng(0), np.arange(400)
      >>> wave = np.sin(2 * np.pi * rows / 24)
      >>> series.seasons(wave + 0.01 * rows), series.seasons(wave + rng.normal(size=400))
      ((24,), (24,))
      >>> series.seasons(rng.normal(size=400).cumsum())
      ()
    """
    values = as_rows("values", values).astype(float)
    if not np.isfinite(values).all():
        raise ValueError("values must be finite: fill missing ones first, see series.fit_filling")
    most = (len(values) - 1) // CYCLES
    longest = most if longest is None else min(most, checks.check_count("longest", longest))
    if longest < 2 or not values.shape[1]:
        return ()
    values = values[:, :: -(-values.shape[1] // MOST_COLUMNS)]
    groups = [values] if pooled else np.split(values, values.shape[1], axis=1)
    found = [_seasons(group, longest) for group in groups]
    total: dict[int, float] = {}
    for lag, strength in (one for each in found for one in each.items()):
        total[lag] = total.get(lag, 0) + strength
    kept = []
    for lag in _apart(total):
        shared = sum(any(_is_alike(lag, other) for other in each) for each in found)
        if shared >= SHARED * len(found):
            kept.append(lag)
    return tuple(kept)


def _seasons(values: np.ndarray, longest: int) -> dict[int, float]:
    """Return the seasons that columns show together, with their autocorrelation in single rows."""
    largest = np.abs(values).max(axis=0)
    values = values / np.where(largest > 0, largest, 1)  # so that no square overflows
    spread = values.std(axis=0)
    values = values / np.where(spread > 0, spread, 1)  # so that no column counts for more
    columns = _independent(np.diff(values, axis=0))
    scales = [2**power for power in range(longest.bit_length()) if SCALES_IN * 2**power <= longest]
    changes = {scale: _changes(values, scale) for scale in scales or [1]}
    correlations = {scale: _autocorrelation(changes[scale], 2 * longest) for scale in changes}
    strengths: dict[int, float] = {}
    for scale, correlation in correlations.items():
        for lag, strength in _peaks(correlation, scale, len(values), columns).items():
            strengths[lag] = max(strength, strengths.get(lag, 0))
    kept: dict[int, float] = {}
    for lag in sorted(_apart(strengths)):
        divisors = [other for other in kept if _is_multiple(lag, other)]
        if all(_adds(lag, other, changes, columns) for other in divisors):
            kept[lag] = float(correlations[1][lag])
    return kept


def _independent(changes: np.ndarray) -> float:
    """Return how many independent columns would average out as much noise as these [rows, F].

    The autocorrelations of two columns with the correlation r vary together by r^2 (Bartlett 1946).
    """
    changes = changes - changes.mean(axis=0)
    power = np.sqrt((changes**2).sum(axis=0))
    changes = changes[:, power > 0] / power[power > 0]
    if not changes.shape[1]:
        return 1.0
    return float(changes.shape[1] ** 2 / ((changes.T @ changes) ** 2).sum())


def _apart(strengths: dict[int, float]) -> list[int]:
    """Return the lags by strength, of those that are alike the strongest alone."""
    found: list[int] = []
    for lag in sorted(strengths, key=lambda lag: -strengths[lag]):
        if not any(_is_alike(lag, other) for other in found):
            found.append(lag)
    return found


def _is_alike(lag: int, other: int) -> bool:
    return abs(lag - other) <= ALIKE * min(lag, other)


def _changes(values: np.ndarray, scale: int) -> np.ndarray:
    """Return the differences of the means of `scale` rows, side by side."""
    centred = values - values.mean(axis=0)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(centred, axis=0)])
    means = values if scale == 1 else (sums[scale:] - sums[:-scale]) / scale
    return means[scale:] - means[:-scale]


def _peaks(correlation: np.ndarray, scale: int, rows: int, columns: float) -> dict[int, float]:
    """Return the lags of an autocorrelation that may be seasons, with their strengths."""
    shortest = 2 if scale == 1 else SCALES_IN * scale
    longest = (len(correlation) - 1) // 2
    lags = np.arange(shortest, longest + 1)
    if not len(lags):
        return {}
    here, twice = correlation[lags], correlation[2 * lags]
    is_peak = (here >= correlation[lags - 1]) & (here >= correlation[lags + 1])
    # Bartlett's standard error, of an autocorrelation beyond lags that are correlated.
    before = np.cumsum(correlation[1:longest] ** 2)[shortest - 2 :]
    noise = np.sqrt((1 + 2 * before) / (rows - lags) / columns)
    # A season correlates with itself, and of a few cycles that alone would hide it.
    low, enough = (LEAST, ENOUGH) if scale == 1 else (LEAST_SMOOTHED, ENOUGH_SMOOTHED)
    least = np.maximum(low, np.minimum(DEVIATIONS * noise, enough))
    # A value above and one below in turn are mostly an oscillation that fades.
    lasting = np.where(lags == 2, LASTING_OF_TWO, LASTING)
    is_season = is_peak & (here > least) & (twice > lasting * here)
    is_season &= here >= STANDING * here.max(where=is_season, initial=0)
    return dict(zip(lags[is_season].tolist(), here[is_season].tolist(), strict=True))


def _is_multiple(lag: int, divisor: int) -> bool:
    """Return whether a lag is about twice, three times, ... another one."""
    times = round(lag / divisor)  # the divisor may be off by a little, times as often
    return times > 1 and abs(lag - times * divisor) <= max(ALIKE * divisor, OFF * lag)


def _adds(lag: int, divisor: int, changes: dict[int, np.ndarray], columns: float) -> bool:
    """Return whether a multiple is a season of its own, and not the divisor's once more.

    It is if, at some scale, rows are significantly nearer to those a lag before than to those a
    divisor before. The logarithm of a variance of n numbers has a variance of 2 / n, or about 3 / n
    of changes, which are correlated; `scale` rows count as one.
    """
    for scale, values in changes.items():
        rows = len(values) - lag
        if SCALES_IN * scale > divisor or rows < 1:
            continue
        far, near = (
            np.mean((values[lag:] - values[lag - back : len(values) - back]) ** 2)
            for back in (divisor, lag)
        )
        if far > near * np.exp(GAIN * np.sqrt(6 * scale / rows / columns)):
            return True
    return False


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
    """Return the mean autocorrelation of [rows, F] at the lags 0 ... `longest`, if there are rows.

    Each sum of products is divided by the number of its products, so that it does not shrink with
    the lag. 0 for a series that never changes.
    """
    rows = len(values)
    longest = min(longest, rows - 1)
    values = values - values.mean(axis=0)
    largest = np.abs(values).max(axis=0)
    values = values / np.where(largest > 0, largest, 1)
    size = 1 << (rows + longest).bit_length()  # so that nothing wraps around
    power = np.abs(np.fft.rfft(values, size, axis=0)) ** 2
    pairs = rows - np.arange(longest + 1)
    covariance = np.fft.irfft(power, axis=0)[: longest + 1] / pairs[:, None]
    return (covariance / np.where(covariance[0] > 0, covariance[0], 1)).mean(axis=1)
