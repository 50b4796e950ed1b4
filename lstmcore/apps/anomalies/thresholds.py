"""Thresholds: the score above which a row is anomalous, and a sentence on how it was computed.

All are computed from the scores of normal rows alone, never from labels. Missing scores (NaN) are
left out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.formatting import count

FEWEST_PEAKS = 10  # that two parameters of a distribution are fitted to
MARGIN = 1.1  # times the largest score of normal rows; half as many false events as without it
SET_BY_ONE = ("maximum", "margin")  # thresholds that the largest score sets
FURTHEST = 1.5  # times as far from the median as the second peak: a peak beyond counts as this


class Threshold(NamedTuple):
    """A score above which a row is flagged.

    Attributes:
      value: in units of the scores.
      how: how it was computed, for the reader of a report.
    """

    value: float
    how: str


class SetBy(NamedTuple):
    """The normal row that sets a threshold.

    Attributes:
      row: its number.
      without: what the threshold would be without it and the rows whose scores go with it.
      part: the part of an `AdaptiveScore` that this is about, such as "spike"; "" of other scores.
    """

    row: int
    without: float
    part: str = ""


class Peak(NamedTuple):
    """The largest score of normal rows.

    row: where it is
    value: the score there
    limited: the same, but at most 1.5 times as far from the median as the second peak
    second: the largest score of rows that do not belong to this peak; `value`, if there are none
    """

    row: int
    value: float
    limited: float
    second: float


def highest_peak(scores, apart: int = 0) -> Peak:
    """Find the largest score, and the largest without it.

    Args:
      scores: [rows], of normal rows; NaN is left out.
      apart: rows before and after the largest one that belong to its peak.

    Raises:
      ValueError, TypeError: scores as in `maximum`.

    Examples:
      >>> highest_peak(np.array([0.0, 1.0, 9.0, 8.0, 0.0, 2.0, 0.0]), apart=1)
      Peak(row=2, value=9.0, limited=2.5, second=2.0)
    """
    known = _scores(scores)
    scores = np.asarray(scores, float)
    row = int(np.nanargmax(scores))
    others = without_peak(scores, row, apart)
    others = others[~np.isnan(others)]
    value, median = known.max(), np.median(known)
    second = others.max() if len(others) else value
    limited = min(value, median + FURTHEST * max(second - median, 0))
    return Peak(row, float(value), float(limited), float(second))


def without_peak(scores: np.ndarray, row: int, apart: int = 0) -> np.ndarray:
    """Return scores that are NaN at a row, and at `apart` rows before and after it."""
    return np.where(np.abs(np.arange(len(scores)) - row) > apart, scores, np.nan)


def margin(scores, apart: int = 0) -> Threshold:
    """Return 1.1 times the largest score of normal rows, one odd row among them limited.

    The largest score of as many new normal rows exceeds that of the old ones every other time, but
    seldom by a tenth. If the largest one is more than 1.5 times as far from the median as the
    second, it counts as that: one odd row does not make the others' anomalies invisible.

    Args:
      scores: [rows], of normal rows, at least 0.
      apart: rows before and after the largest one that belong to the same peak, because errors of
        neighbouring rows depend on one another.

    Raises:
      ValueError, TypeError: scores as in `maximum`.

    Examples:
      >>> round(margin(np.array([1.0, 1.2, 1.4, 1.5, 1.6, 99.0])).value, 3)  # 1.45 + 1.5 * 0.15
      1.843
    """
    peak = highest_peak(scores, apart)
    of = f"the largest of {count(int(np.isfinite(scores).sum()), 'score')} of normal rows"
    if peak.limited < peak.value:
        of += f", which counts as {peak.limited:.4g} instead of {peak.value:.4g}"
    return Threshold(MARGIN * peak.limited, f"{MARGIN:g} times {of}")


def maximum(scores) -> Threshold:
    """Return the largest score of normal rows, so that none of them is flagged.

    A single outlier among them raises it; `margin` and `quantile` do not have that weakness.

    Args:
      scores: [rows], of normal rows.

    Raises:
      ValueError, TypeError: scores that are not numbers [rows], or none of which is finite.

    Examples:
      >>> maximum(np.array([0.5, np.nan, 2.0]))
      Threshold(value=2.0, how='the largest of 2 scores of normal rows')
    """
    scores = _scores(scores)
    return Threshold(
        float(scores.max()), f"the largest of {count(len(scores), 'score')} of normal rows"
    )


def prediction_limit(scores, reads: int, probability: float = 1e-3) -> Threshold:
    """Return the value that the next normal score exceeds with a given probability, if Gaussian.

    That is the upper end of a prediction interval: mean + t s sqrt(1 + 1/m), with the quantile t of
    Student's distribution of m - 1 degrees of freedom (Hahn & Meeker 1991, "Statistical Intervals",
    section 4.7). Of scores that each depend on many rows, few are independent: m is their number
    divided by `reads`. If all are alike, the largest of m independent scores is exceeded by the
    next one with a probability of 1 / (m + 1), however many rows there are.

    Args:
      scores: [rows], of normal rows.
      reads: rows that a score depends on, side by side; at most half as many as there are scores.
      probability: between 0 and 1.

    Raises:
      ValueError: fewer than two independent scores, or a probability that is out of range.
      ValueError, TypeError: scores as in `maximum`.
      ImportError: scipy is missing.

    Examples:
      >>> scores = np.random.default_rng(0).normal(size=1000)
      >>> [round(prediction_limit(scores, reads).value, 1) for reads in (1, 100)]
      [3.0, 4.4]
    """
    scores = _scores(scores)
    check_probability("probability", probability)
    independent = len(scores) // checks.check_count("reads", reads)
    if independent < 2:
        raise ValueError(
            f"{count(len(scores), 'score')} of {count(reads, 'row')} each hold no two independent "
            "ones: give more rows"
        )
    t = _stats().t.isf(probability, independent - 1)
    away = t * scores.std(ddof=1) * np.sqrt(1 + 1 / independent)
    return Threshold(
        float(scores.mean() + away),
        f"exceeded with probability {probability:g} if scores are Gaussian, of which "
        f"{count(len(scores), 'score')} hold {independent:,} independent ones",
    )


def quantile(scores, q: float = 0.999) -> Threshold:
    """Return the score that a fraction `q` of normal rows does not exceed.

    The others, a fraction 1 - q, are false alarms.

    Args:
      scores: [rows], of normal rows.
      q: between 0 and 1.

    Raises:
      ValueError, TypeError: `q` outside of [0, 1], or scores as in `maximum`.

    Examples:
      >>> quantile(np.arange(101.0), 0.99).value
      99.0
    """
    scores = _scores(scores)
    if not 0 <= q <= 1:
        raise ValueError(f"q must be a fraction from 0 to 1, got {q}")
    value = float(np.quantile(scores, q))
    return Threshold(value, f"the {q:g} quantile of {count(len(scores), 'score')} of normal rows")


def gaussian(features: int, probability: float = 1e-4) -> Threshold:
    """Return the value that `Gaussian.score` of a normal row exceeds with a given probability.

    If the errors are Gaussian, the score follows the chi-squared distribution with as many degrees
    of freedom as there are features. Errors of a network often have heavier tails, which means more
    false alarms; `peaks_over_threshold` fits the tail instead.

    Args:
      features: F, of the errors.
      probability: of a false alarm in one row, between 0 and 1.

    Raises:
      ValueError: numbers out of range.
      ImportError: scipy is missing.

    Examples:
      >>> round(gaussian(1, probability=0.05).value, 3)  # 1.96 squared
      3.841
    """
    features = checks.check_count("features", features)
    check_probability("probability", probability)
    value = float(_stats().chi2.isf(probability, features))
    return Threshold(
        value,
        f"exceeded with probability {probability:g} if the errors of {features} features are "
        "Gaussian",
    )


def peaks_over_threshold(scores, probability: float = 1e-4, *, initial: float = 0.98) -> Threshold:
    """Return the value that a normal score exceeds with a given probability (extreme values).

    The excesses over a high quantile t follow a generalised Pareto distribution, whatever the
    scores follow (Pickands, Balkema and de Haan). Its shape γ and scale σ are fitted by maximum
    likelihood; then, with N_t of n scores above t (Siffer et al. 2017, "Anomaly Detection in
    Streams with Extreme Value Theory", equation 1),

        z_q = t + σ / γ ((q n / N_t)^-γ - 1)

    The result may lie above every score seen. The theory assumes independent scores, but those of
    neighbouring rows depend on one another: take the probability as an order of magnitude. The
    scores above t must also be of one kind. If some come from rare normal jumps and the others from
    noise, the fit covers both with a heavy tail: a shape of 0.5 or more, and a threshold far above
    the largest score, which nothing will ever reach. `how` names all three numbers. In that case
    raise `initial`, or use `quantile`.

    Few scores say little about their tail. With 500 scores, ten of them above t, the threshold for
    0.0001 was exceeded with probability 0.001 to 0.002, averaged over samples of six distributions;
    with 4,000 scores it was 0.0002 to 0.0003. A shape of -1 or less is a sign of too few scores, or
    of scores with an upper bound: the likelihood then has no maximum (Smith 1985), and the
    threshold is about the largest score.

    Args:
      scores: [rows], of normal rows; some thousands, or a lower `initial`.
      probability: q, of a false alarm in one row; below the fraction of scores above t.
      initial: t as a quantile of the scores, between 0 and 1.

    Raises:
      ValueError: too few or too equal scores above t, or numbers out of range.
      ValueError, TypeError: scores as in `maximum`.
      ImportError: scipy is missing.

    Examples:
      >>> scores = np.random.default_rng(0).exponential(size=100_000)
      >>> value = peaks_over_threshold(scores, 1e-6).value
      >>> bool(12 < value < 16)  # -log 1e-6 = 13.8
      True
    """
    scores = _scores(scores)
    check_probability("probability", probability)
    check_probability("initial", initial)
    t = float(np.quantile(scores, initial))
    excesses = scores[scores > t] - t
    if len(excesses) < FEWEST_PEAKS:
        raise ValueError(
            f"only {len(excesses)} of {len(scores)} scores lie above their {initial:g} quantile "
            f"{t:.4g}, but the fit of a tail needs {FEWEST_PEAKS}: give more scores, a lower "
            "initial, or use thresholds.quantile"
        )
    ratio = probability * len(scores) / len(excesses)
    if ratio >= 1:
        raise ValueError(
            f"probability {probability:g} is not rarer than the {len(excesses)} of {len(scores)} "
            "scores above the initial quantile: use thresholds.quantile for it, or a lower initial"
        )
    if np.ptp(excesses) <= 1e-9 * abs(excesses.max()):
        raise ValueError(
            f"all {len(excesses)} scores above {t:.4g} are equal, so that they have no tail to "
            "fit: use thresholds.quantile"
        )
    unit = excesses.mean()  # the fit starts from a scale of 1
    shape, _, scale = _stats().genpareto.fit(excesses / unit, floc=0)
    # (r^-γ - 1) / γ, which is -log r where γ is 0
    beyond = -np.log(ratio) if abs(shape) < 1e-8 else np.expm1(-shape * np.log(ratio)) / shape
    return Threshold(
        float(t + unit * scale * beyond),
        f"exceeded with probability {probability:g} by a generalised Pareto tail (shape "
        f"{shape:.3g}, scale {unit * scale:.3g}) fitted to {len(excesses):,} of "
        f"{count(len(scores), 'score')}, those above {t:.4g}; the largest is {scores.max():.4g}",
    )


def _scores(scores) -> np.ndarray:
    """Return the scores that are not missing."""
    checks.check_array("scores", scores, "rows", "thresholds are of one score per row")
    scores = np.asarray(scores)
    if scores.dtype.kind not in "iuf":
        raise ValueError(f"scores must hold real numbers, got {scores.dtype}")
    scores = scores[~np.isnan(scores)].astype(float)
    if not len(scores) or not np.isfinite(scores).all():
        raise ValueError(
            "scores must hold finite numbers, got "
            + ("an infinite one" if len(scores) else "none: is every row missing, or unscored?")
        )
    return scores


def check_probability(name: str, value) -> float:
    """Return a number between 0 and 1, both excluded."""
    number = checks.check_number(name, value)
    if not 0 < number < 1:
        raise ValueError(f"{name} must be between 0 and 1, got {number}")
    return number


def _stats():
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError("this threshold needs scipy: pip install scipy") from error
    return stats
