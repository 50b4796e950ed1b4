"""Judging what was drawn at random: a correct program fails each check once in 10^9 seeds at most.

The seeds are fixed, so a test passes or fails always; the rate is for the day on which a seed, or
the generator of a dependency, changes. Where a verdict is wrong for one series in twenty by its
nature, as that of a test at 5 %, the draws are `FixedNormal`, which never change.
"""

import random

import numpy as np
from scipy import stats

FALSE_ALARMS = 1e-9


def assert_drawn_from(distribution, sample) -> None:
    """`sample` may be independent draws from a continuous `distribution` of scipy.stats.

    By the test of Kolmogorov and Smirnov: of n draws, the distribution function is met within
    3.3 / sqrt(n).
    """
    test = stats.kstest(np.asarray(sample, float).ravel(), distribution.cdf)
    assert test.pvalue > FALSE_ALARMS, test


def assert_share(happened, probability: float) -> None:
    """bool, of independent draws: as many are True as `probability` lets expect."""
    happened = np.asarray(happened)
    assert happened.dtype == bool
    test = stats.binomtest(int(happened.sum()), happened.size, probability)
    assert test.pvalue > FALSE_ALARMS, test


def assert_counts(observed, expected) -> None:
    """Compare how often each of several values was drawn with how often that is expected.

    The chi-squared test needs values that are expected five times or more.
    """
    test = stats.chisquare(observed, expected)
    assert test.pvalue > FALSE_ALARMS, test


def assert_means(draws, expected) -> None:
    """Hundreds of independent draws [n, ...], whose means over n should be `expected` [...].

    By the central limit theorem, with as much room for each mean as keeps the rate for all.
    """
    draws = np.asarray(draws, float)
    means = draws.mean(axis=0)
    sigmas = stats.norm.isf(FALSE_ALARMS / 2 / means.size)  # 6.1 for one
    allowed = sigmas * draws.std(axis=0) / np.sqrt(len(draws))
    far = np.abs(means - np.asarray(expected, float)) > allowed + 1e-6
    assert not far.any(), f"{means} is not within {allowed} of {expected}"


class FixedNormal:
    """Normal draws that are the same with every version of Python, NumPy and SciPy.

    Python promises it of `random.random`, NumPy promises nothing of the kind.
    """

    def __init__(self, seed: int):
        self._uniform = random.Random(seed).random

    def normal(self, size: int) -> np.ndarray:
        return stats.norm.ppf([self._uniform() for _ in range(size)])
