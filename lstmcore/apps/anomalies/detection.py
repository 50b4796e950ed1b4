"""From a detector and a series to a verdict: the score of each row, a threshold, events."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.apps.anomalies import thresholds
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.scores import fit_gaussian, largest, mean_absolute, shares
from lstmcore.apps.anomalies.thresholds import Threshold
from lstmcore.series.events import Event, events

SCORES = ("mean", "largest", "mahalanobis")
THRESHOLDS = ("maximum", "quantile", "gaussian", "peaks")
LEVELS = {"quantile": 0.999, "gaussian": 1e-4, "peaks": 1e-4}


class DetectionResult(NamedTuple):
    """What is strange in a series.

    Attributes:
      scores: [rows]; NaN where a row cannot be scored.
      shares: [rows, F], how much of the score comes from each feature.
      threshold: a row above it is flagged.
      events: stretches of flagged rows, in the order of time.
      score: from errors [rows, F] to scores [rows], for `OnlineDetector.of`.
    """

    scores: np.ndarray
    shares: np.ndarray
    threshold: Threshold
    events: list[Event]
    score: Callable[[np.ndarray], np.ndarray]


def detect(
    detector: Detector,
    values,
    *,
    score: str = "mean",
    threshold: str = "maximum",
    level: float | None = None,
    gap: int = 0,
    minimum: int = 1,
) -> DetectionResult:
    """Score a series, and find the events in it.

    Args:
      detector: of `train`. Its training errors, which are taken to be normal, give the threshold.
      values: numbers [rows, F] or [rows], in the order of time.
      score: "mean" of the absolute errors of a row, the "largest" of them, or "mahalanobis", the
        distance from the errors of normal rows (Malhotra et al. 2016); these are the held-out ones
        where there are some.
      threshold: "maximum", "quantile", "gaussian" (for "mahalanobis" alone) or "peaks"; see
        `thresholds`.
      level: of the quantile (None: 0.999), or the probability of a false alarm in one row (None:
        0.0001).
      gap, minimum: of `events`.

    Returns:
      DetectionResult.

    Raises:
      ValueError: an unknown choice, a level for the maximum or outside of its range, or what the
        parts refuse.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(300) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> strange = values.copy()
      >>> strange[200:203] = 5
      >>> verdict = anomalies.detect(detector, strange)
      >>> any(event.start <= 201 < event.stop for event in verdict.events)
      True
    """
    check_choices(score, threshold, level, gap, minimum)
    normal = detector.training_errors
    rate, share = (mean_absolute if score == "mean" else largest), shares
    if score == "mahalanobis":
        held_out = detector.validation_errors
        known = np.isfinite(held_out).all(axis=1).sum() > held_out.shape[1]
        gaussian = fit_gaussian(held_out if known else normal)
        rate, share = gaussian.score, gaussian.shares
    errors = detector.errors(values)
    scores = rate(errors)
    limit = _threshold(threshold, rate(normal), errors.shape[1], level)
    found = events(scores, limit, gap=gap, minimum=minimum)
    return DetectionResult(scores, share(errors), limit, found, rate)


def check_choices(
    score: str, threshold: str, level: float | None, gap: int = 0, minimum: int = 1
) -> None:
    """What `detect` refuses before it looks at a series; to be asked before training.

    Raises:
      ValueError, TypeError: as `detect`.
    """
    checks.check_choice("score", score, SCORES)
    checks.check_choice("threshold", threshold, THRESHOLDS)
    if threshold == "gaussian" and score != "mahalanobis":
        raise ValueError(
            f"a gaussian threshold is one of the score 'mahalanobis', got score {score!r}: choose "
            "that, or another threshold"
        )
    if threshold == "maximum" and level is not None:
        raise ValueError("level is for a quantile or a probability: the maximum has none")
    if level is not None and not 0 < checks.check_number("level", level) < 1:
        raise ValueError(
            f"level must be between 0 and 1, got {checks.check_number('level', level)}"
        )
    checks.check_count("gap", gap, minimum=0)
    checks.check_count("minimum", minimum)


def _threshold(kind: str, normal: np.ndarray, features: int, level: float | None) -> Threshold:
    if kind == "maximum":
        return thresholds.maximum(normal)
    level = LEVELS[kind] if level is None else level
    if kind == "quantile":
        return thresholds.quantile(normal, level)
    if kind == "gaussian":
        return thresholds.gaussian(features, level)
    return thresholds.peaks_over_threshold(normal, level)
