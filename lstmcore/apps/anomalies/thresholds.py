"""Above which score a row is called strange. Each way returns a number and how it came about.

All look at scores of normal rows alone, never at labels. Scores that are missing (NaN) are left
out.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lstmcore import checks

FEWEST_PEAKS = 10  # that two parameters of a distribution are fitted to


class Threshold(NamedTuple):
    """A row is flagged if its score is greater.

    Attributes:
      value: in units of the scores.
      how: how it came about, in words.
    """

    value: float
    how: str


def maximum(scores) -> Threshold:
    """The largest score of normal rows: nothing that was normal would have been flagged.

    One outlier in the data raises it for good; `quantile` does not have that weakness.

    Args:
      scores: [rows], of normal rows.

    Raises:
      ValueError, TypeError: scores that are no numbers [rows], or of which none is finite.

    Examples:
      >>> maximum(np.array([0.5, np.nan, 2.0]))
      Threshold(value=2.0, how='the largest of 2 scores of normal rows')
    """
    scores = _scores(scores)
    return Threshold(float(scores.max()), f"the largest of {len(scores)} scores of normal rows")


def quantile(scores, q: float = 0.999) -> Threshold:
    """The score that a share `q` of normal rows does not exceed; 1 - q of them are false alarms.

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
        raise ValueError(f"q must be a share from 0 to 1, got {q}")
    value = float(np.quantile(scores, q))
    return Threshold(value, f"the {q:g} quantile of {len(scores)} scores of normal rows")


def gaussian(features: int, probability: float = 1e-4) -> Threshold:
    """What `Gaussian.score` of a normal row exceeds with a given probability.

    It holds if the errors are Gaussian: then the score follows the chi-squared distribution with
    as many degrees of freedom as there are features. Errors of a network often have heavier tails,
    and then there are more alarms; `peaks_over_threshold` fits the tail instead.

    Args:
      features: F, of the errors.
      probability: of a false alarm in one row, between 0 and 1.

    Raises:
      ValueError: numbers outside of their range.
      ImportError: scipy is missing.

    Examples:
      >>> round(gaussian(1, probability=0.05).value, 3)  # 1.96 squared
      3.841
    """
    features = checks.check_count("features", features)
    _check_probability(probability)
    value = float(_stats().chi2.isf(probability, features))
    return Threshold(
        value,
        f"exceeded with probability {probability:g} if the errors of {features} features are "
        "Gaussian",
    )


def peaks_over_threshold(scores, probability: float = 1e-4, *, initial: float = 0.98) -> Threshold:
    """What a normal score exceeds with a given probability, by extreme value theory.

    The excesses over a high quantile t follow a generalised Pareto distribution, whatever the
    scores follow (Pickands, Balkema and de Haan). Its shape γ and scale σ are fitted by maximum
    likelihood; then, with N_t of n scores above t (Siffer et al. 2017, "Anomaly Detection in
    Streams with Extreme Value Theory", equation 1),

        z_q = t + σ / γ ((q n / N_t)^-γ - 1)

    It may lie above every score seen. Scores of neighbouring rows depend on one another, which the
    theory does not know: take the probability as an order of size. And the scores above t must be
    of one kind. If some are of rare normal jumps and the others of noise, the fit bridges the two
    by a heavy tail: a shape of 0.5 or more, and a threshold far above the largest score that
    nothing will ever reach. `how` tells all three. Then raise `initial`, or use `quantile`.

    Few scores hold little about their tail. With 500 of them, ten above t, the threshold for 0.0001
    was exceeded with probability 0.001 to 0.002 in the mean over samples of six distributions; with
    4,000 it was 0.0002 to 0.0003. A shape of -1 or less is a sign of it, or of scores with an upper
    end: the likelihood then has no maximum (Smith 1985), and the threshold is about the largest
    score.

    Args:
      scores: [rows], of normal rows; some thousands, or a lower `initial`.
      probability: q, of a false alarm in one row; below the share of scores above t.
      initial: t as a quantile of the scores, between 0 and 1.

    Raises:
      ValueError: too few or too equal scores above t, or numbers outside of their range.
      ValueError, TypeError: scores as in `maximum`.
      ImportError: scipy is missing.

    Examples:
      >>> scores = np.random.default_rng(0).exponential(size=100_000)
      >>> value = peaks_over_threshold(scores, 1e-6).value
      >>> bool(12 < value < 16)  # -log 1e-6 = 13.8
      True
    """
    scores = _scores(scores)
    _check_probability(probability)
    if not 0 < initial < 1:
        raise ValueError(f"initial must be between 0 and 1, got {initial}")
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
        f"{shape:.3g}, scale {unit * scale:.3g}) fitted to {len(excesses)} of {len(scores)} "
        f"scores, those above {t:.4g}; the largest is {scores.max():.4g}",
    )


def _scores(scores) -> np.ndarray:
    """The scores that are there."""
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


def _check_probability(probability) -> None:
    if not 0 < probability < 1:
        raise ValueError(f"probability must be between 0 and 1, got {probability}")


def _stats():
    try:
        from scipy import stats
    except ImportError as error:
        raise ImportError("this threshold needs scipy: pip install scipy") from error
    return stats
