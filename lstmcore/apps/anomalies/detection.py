"""Detection: the score of each row of a series, a threshold, and the events above it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.apps.anomalies import thresholds
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.scores import contributions, fit_gaussian, largest, mean_absolute
from lstmcore.apps.anomalies.thresholds import Threshold
from lstmcore.series.events import Event, events

SCORES = ("mean", "largest", "mahalanobis")
THRESHOLDS = ("maximum", "quantile", "gaussian", "peaks")
LEVELS = {"quantile": 0.999, "gaussian": 1e-4, "peaks": 1e-4}


class DetectionResult(NamedTuple):
    """The anomalies of a series.

    Attributes:
      scores: [rows]; NaN where a row cannot be scored.
      contributions: [rows, F], the fraction of the score that comes from each feature.
      threshold: a row above it is flagged.
      events: segments of flagged rows, in the order of time.
      score: the function from errors [rows, F] to scores [rows], for `OnlineDetector.of`.
    """

    scores: np.ndarray
    contributions: np.ndarray
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
    """Score a series and return the events in it.

    Args:
      detector: from `train`. The threshold is set by its training errors, taken to be normal.
      values: numbers [rows, F] or [rows], in the order of time.
      score: "mean" of the absolute errors of a row, the "largest" of them, or "mahalanobis", the
        distance from the errors of normal rows (Malhotra et al. 2016): of the validation rows if
        there are enough, else of all training rows.
      threshold: "maximum", "quantile", "gaussian" (for "mahalanobis" alone) or "peaks"; see
        `thresholds`.
      level: of the quantile (None: 0.999), or the probability of a false alarm in one row (None:
        0.0001).
      gap, minimum: of `events`.

    Returns:
      DetectionResult.

    Raises:
      ValueError: an unknown choice, a level that is out of range or given for the maximum, or
        values that the detector, the score or the threshold refuses.

    Examples:
      >>> from lstmcore import anomalies
      >>> values = np.sin(np.arange(300) / 4)
      >>> detector = anomalies.train(values, anomalies.Settings(window=8, units=4, epochs=2))
      >>> anomalous = values.copy()
      >>> anomalous[200:203] = 5
      >>> result = anomalies.detect(detector, anomalous)
      >>> any(event.start <= 201 < event.stop for event in result.events)
      True
    """
    check_choices(score, threshold, level, gap, minimum)
    normal = detector.training_errors
    score_of, contributions_of = (mean_absolute if score == "mean" else largest), contributions
    if score == "mahalanobis":
        validation = detector.validation_errors
        is_enough = np.isfinite(validation).all(axis=1).sum() > validation.shape[1]
        gaussian = fit_gaussian(validation if is_enough else normal)
        score_of, contributions_of = gaussian.score, gaussian.contributions
    errors = detector.errors(values)
    scores = score_of(errors)
    limit = _threshold(threshold, score_of(normal), errors.shape[1], level)
    found = events(scores, limit, gap=gap, minimum=minimum)
    return DetectionResult(scores, contributions_of(errors), limit, found, score_of)


def check_choices(
    score: str, threshold: str, level: float | None, gap: int = 0, minimum: int = 1
) -> None:
    """Raise an error for options that `detect` refuses, before a detector is trained.

    Raises:
      ValueError, TypeError: as `detect`.
    """
    checks.check_choice("score", score, SCORES)
    checks.check_choice("threshold", threshold, THRESHOLDS)
    if threshold == "gaussian" and score != "mahalanobis":
        raise ValueError(
            f"a gaussian threshold needs the score 'mahalanobis', got score {score!r}: choose "
            "that, or another threshold"
        )
    if threshold == "maximum" and level is not None:
        raise ValueError("level is a quantile or a probability: the maximum has none")
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
