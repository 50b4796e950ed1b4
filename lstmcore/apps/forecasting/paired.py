"""A paired test of two forecasts of the same rows: is one of them better by more than chance?

Sources: Diebold & Mariano (1995), "Comparing predictive accuracy", which divides the mean
difference of two errors by its standard error; Newey & West (1987) for the standard error where
neighbouring differences are correlated; Harvey, Leybourne & Newbold (1997), "Testing the equality
of prediction mean squared errors", which corrects it where forecasts overlap, so that few of them
are independent, and takes Student's distribution instead of the normal one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore.apps.forecasting.metrics import check_pair
from lstmcore.display import displayed

FEWEST = 20  # forecasts to compare


@displayed
class PairedTest(NamedTuple):
    """The result of `paired_test`, [targets] each.

    difference: mean absolute error of the forecast less that of the rival, in units of the data;
      negative where the forecast is better
    statistic: the difference over its standard error, with the correction of Harvey et al.
    p_value: two-sided; NaN where the truth of fewer than 20 forecasts is known
    forecasts: int, number of forecasts whose truth is known, at least in part
    """

    difference: np.ndarray
    statistic: np.ndarray
    p_value: np.ndarray
    forecasts: np.ndarray


def paired_test(actual, forecast, rival) -> PairedTest:
    """Test whether the mean absolute errors of two forecasts differ, target by target.

    The error of one forecast is its mean over the horizon, so that a target has N pairs of errors.
    Origins are taken to be consecutive rows: two forecasts whose origins are closer than the
    horizon share rows, and the standard error takes that into account (`standardised_mean`).

    The correction is not perfect. Equal forecasts of simulated random walks differed "at 5 %" in 4
    to 12 % of 1,000 trials where N was at least ten times the horizon, and in up to 15 % where it
    was four times (tests/apps/test_paired_test.py).

    The p-value holds for a rival that was chosen beforehand. If the rival is the best of several
    on the same rows, it has been lucky as well: a forecast that is better than the best of them is
    better with at least the confidence stated, and one that is worse may be so by chance more often
    (at most p times the number of rivals, by Bonferroni's inequality).

    Args:
      actual, forecast, rival: [N, horizon, targets], in units of the data. Steps whose truth is NaN
        are left out.

    Returns:
      PairedTest.

    Raises:
      ValueError: arrays of unequal shapes or without three axes.
      TypeError: arrays that do not hold real numbers.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import forecasting
      >>> walk = np.random.default_rng(0).normal(size=(200, 1, 1)).cumsum(axis=0)
      >>> last, mean = walk[9:-1], walk[:-10]  # the last value, and that of ten rows before
      >>> test = forecasting.paired_test(walk[10:], last, mean)
      >>> bool(test.difference[0] < 0), bool(test.p_value[0] < 0.001), int(test.forecasts[0])
      (True, True, 190)
    """
    actual, forecast = check_pair(actual, forecast)
    actual, rival = check_pair(actual, rival, "rival")
    known = ~np.isnan(actual)
    counts = known.sum(axis=1)  # [N, targets]
    # Divided by the mean number of known steps, so that the mean over the forecasts is the MAE.
    gaps = np.where(known, np.abs(forecast - actual) - np.abs(rival - actual), 0).sum(axis=1)
    found = []
    for place in range(actual.shape[2]):
        used = counts[:, place] > 0
        values = gaps[used, place] / counts[used, place].mean() if used.any() else gaps[:0, place]
        found.append(_test(values, actual.shape[1]))
    return PairedTest(*(np.array(column) for column in zip(*found, strict=True)))


def _test(gaps: np.ndarray, horizon: int) -> tuple[float, float, float, int]:
    """Return (difference, statistic, p-value, number) of one target."""
    if not len(gaps) or np.isnan(gaps).any():
        return np.nan, np.nan, np.nan, len(gaps)
    # In units of their own, so that squares neither overflow nor vanish.
    statistic = standardised_mean(gaps / (np.abs(gaps).max() or 1.0), horizon)
    p_value = min(1.0, 2 * upper_tail(abs(statistic), len(gaps))) if len(gaps) >= FEWEST else np.nan
    return float(gaps.mean()), statistic, p_value, len(gaps)


def upper_tail(statistic: float, rows: int) -> float:
    """Return the probability that a mean over `rows` rows exceeds `statistic` by chance.

    Student's distribution with `rows` - 1 degrees of freedom, as Harvey et al. recommend.
    """
    from scipy.special import stdtr  # comes with jax; imported here, where it is needed

    return float(stdtr(max(rows - 1, 1), -statistic))


def standardised_mean(values: np.ndarray, step: int) -> float:
    """Return the mean over its standard error, for values that are correlated over some rows.

    Forecasts `step` rows ahead overlap in step - 1 rows. The standard error is too small if few of
    them are independent, and is corrected as in Harvey et al. (1997), equation 9.

    Args:
      values: [N], without NaN, in the order of time.
      step: rows from the last value that is known to the last row of a forecast.

    Returns:
      float; infinite for values that are all equal, 0 if they are 0.

    Examples:
      >>> import numpy as np
      >>> standardised_mean(np.ones(3), step=1), standardised_mean(np.zeros(3), step=1)
      (inf, 0.0)
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
