"""Confidence intervals and tests for few runs."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats


class Mean(NamedTuple):
    """A mean with its 95 % confidence interval (Student's t) over `runs` runs."""

    mean: float
    low: float
    high: float
    runs: int

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}]"


def mean(values) -> Mean:
    """Return the mean of at least two runs, with its interval.

    Raises:
      ValueError: fewer than two values, or one that is not finite.
    """
    values = np.asarray(values, float)
    if values.size < 2 or not np.isfinite(values).all():
        raise ValueError(f"a mean with an interval needs two finite values or more, got {values}")
    half = stats.t.ppf(0.975, values.size - 1) * stats.sem(values)
    centre = values.mean()
    return Mean(float(centre), float(centre - half), float(centre + half), values.size)


def p_greater(values, others) -> float:
    """Compute p of Welch's one-sided t-test that the mean of `values` is greater.

    1 or 0 if nothing varies at all and the test is not defined.
    """
    values, others = np.asarray(values, float), np.asarray(others, float)
    if np.ptp(values) == 0 and np.ptp(others) == 0:
        return float(values[0] <= others[0])
    # From means and deviations: from the values, SciPy warns where one of the two is constant.
    known = [f(sample) for sample in (values, others) for f in (np.mean, _deviation, np.size)]
    test = stats.ttest_ind_from_stats(*known, equal_var=False, alternative="greater")
    return float(test.pvalue)


def holm(p_values: dict[str, float]) -> dict[str, float]:
    """Adjust p-values for their number (Holm 1979)."""
    ordered = sorted(p_values, key=p_values.__getitem__)
    adjusted, largest = {}, 0.0
    for place, name in enumerate(ordered):
        largest = max(largest, min(1.0, (len(ordered) - place) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def p_of_pairs(values, others) -> float:
    """Compute p of the one-sided t-test of pairs that the mean of `values - others` is positive.

    1 or 0 if the differences do not vary and the test is not defined.

    Raises:
      ValueError: fewer than two pairs.
    """
    differences = np.asarray(values, float) - np.asarray(others, float)
    if differences.size < 2:
        raise ValueError(f"a test of pairs needs two of them or more, got {differences.size}")
    if np.ptp(differences) == 0:
        return float(differences[0] <= 0)
    t = differences.mean() / (_deviation(differences) / differences.size**0.5)
    return float(stats.t.sf(t, differences.size - 1))


def _deviation(sample):
    return np.std(sample, ddof=1)
