"""Metrics of flags, events and scores against labels that mark the anomalous rows.

Each metric answers a different question, and each can flatter:

- `pointwise` counts rows. An event of 100 rows counts as much as 100 events of one row, and a
  detection that comes in time but is short scores badly.
- `eventwise` counts each event once, however short the segment that overlaps it. One event over the
  whole series would detect everything, so look at the number and the length of detected events too.
- `best_f1` chooses the threshold by the labels: an upper bound on what any threshold could reach,
  not an estimate of what yours will.
- `point_adjust=True` counts all rows of a labelled event as detected if one of them is flagged.
  Much published work does so, and random scores then look good (Kim et al. 2022, "Towards a
  rigorous evaluation of time-series anomaly detection"). It is off by default, and serves only to
  compare with such work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore import checks
from lstmcore.display import displayed
from lstmcore.formatting import count
from lstmcore.series.events import Event, events, flags_of


class Pointwise(NamedTuple):
    """Precision, recall and F1 of rows, between 0 and 1.

    precision: fraction of flagged rows that are labelled; 0 if none is flagged
    recall: fraction of labelled rows that are flagged
    f1: their harmonic mean
    """

    precision: float
    recall: float
    f1: float


@displayed
class Eventwise(NamedTuple):
    """Precision, recall and F1 of events, and delays.

    Attributes:
      precision: fraction of detected events that overlap a labelled one; 0 if none is detected.
      recall: fraction of labelled events that overlap a detected one.
      f1: their harmonic mean; 0 if both are 0.
      labelled, detected: number of events of each kind.
      delays: [labelled], rows from the start of a labelled event to its first flagged row; NaN if
        it was missed.
    """

    precision: float
    recall: float
    f1: float
    labelled: int
    detected: int
    delays: np.ndarray


class BestF1(NamedTuple):
    """The largest F1 over all thresholds, which is chosen by the labels.

    f1, precision, recall: at this threshold
    threshold: in units of the scores; a row is flagged above it
    """

    f1: float
    precision: float
    recall: float
    threshold: float


def pointwise(labels, flags, *, point_adjust: bool = False) -> Pointwise:
    """Compute precision, recall and F1 of rows, by scikit-learn.

    Args:
      labels: bool or 0/1 [rows], which rows are anomalous.
      flags: bool [rows], or a list of events, from `events`.
      point_adjust: see the pitfalls at the head of this module; it flatters.

    Returns:
      Pointwise.

    Raises:
      ValueError: labels that mark no row, or arrays of different lengths or kinds.
      TypeError: arguments that are not arrays.
      ImportError: scikit-learn is missing.

    Examples:
      >>> labels = np.array([0, 1, 1, 1, 1, 0])
      >>> flags = np.array([False, False, False, True, False, True])
      >>> pointwise(labels, flags)  # doctest: +ELLIPSIS
      Pointwise(precision=0.5, recall=0.25, f1=0.333...)
      >>> pointwise(labels, flags, point_adjust=True)  # doctest: +ELLIPSIS
      Pointwise(precision=0.8, recall=1.0, f1=0.888...)
    """
    labels = _labels(labels)
    flags = _as_flags(flags, labels)
    if point_adjust:
        flags = point_adjusted(labels, flags)
    measure = _sklearn().precision_recall_fscore_support
    precision, recall, f1, _ = measure(labels, flags, average="binary", zero_division=0)
    return Pointwise(float(precision), float(recall), float(f1))


def eventwise(labels, found) -> Eventwise:
    """Compute precision and recall of events, and the delay of each detection.

    A labelled event is recalled if a detected one overlaps it, and a detected event is correct if a
    labelled one overlaps it. Each counts once: a labelled event that three detected ones overlap
    is one recalled event, and three correct ones.

    Args:
      labels: bool or 0/1 [rows]; adjacent labelled rows are one event.
      found: bool [rows], or a list of events, from `events`.

    Returns:
      Eventwise.

    Raises:
      ValueError, TypeError: as in `pointwise`.

    Examples:
      >>> labels = np.array([0, 1, 1, 1, 0, 0, 1, 0])
      >>> flags = np.array([0, 0, 1, 1, 0, 1, 0, 0], dtype=bool)
      >>> eventwise(labels, flags)[:5], eventwise(labels, flags).delays.tolist()
      ((0.5, 0.5, 0.5, 2, 2), [1.0, nan])
    """
    labels = _labels(labels)
    flags = _as_flags(found, labels)
    detected = found if isinstance(found, Sequence) else events(flags)
    labelled = events(labels)
    correct = sum(bool(labels[event.start : event.stop].any()) for event in detected)
    first = [np.flatnonzero(flags[event.start : event.stop])[:1] for event in labelled]
    delays = np.array([float(rows[0]) if len(rows) else np.nan for rows in first])
    precision = correct / len(detected) if detected else 0.0
    recall = float(np.mean(~np.isnan(delays)))
    f1 = 2 * precision * recall / (precision + recall) if correct else 0.0
    return Eventwise(precision, recall, f1, len(labelled), len(detected), delays)


def best_f1(labels, scores, *, point_adjust: bool = False) -> BestF1:
    """Compute the largest F1 of rows over all thresholds, by scikit-learn.

    The threshold is chosen by the labels, so the result is an upper bound: good for comparing
    scores, but not an estimate of what a threshold without labels will reach.

    Args:
      labels: bool or 0/1 [rows].
      scores: [rows]; a row without a score (NaN) cannot be flagged.
      point_adjust: see the pitfalls at the head of this module; it flatters.

    Returns:
      BestF1.

    Raises:
      ValueError: infinite scores, or none at all.
      ValueError, TypeError, ImportError: as in `pointwise`.

    Examples:
      >>> best_f1(np.array([0, 0, 1, 1]), np.array([0.1, 0.5, 0.4, 0.9]))[:3]
      (0.8, 0.6666666666666666, 1.0)
    """
    labels = _labels(labels)
    checks.check_array("scores", scores, "rows", "one score for each row")
    checks.check_floating("scores", scores)
    _check_length("scores", scores, labels)
    scores = np.asarray(scores)
    known = ~np.isnan(scores)
    if not known.any() or np.isinf(scores).any():
        raise ValueError("scores must hold finite numbers (NaN where a row has none)")
    lowest = scores[known].min()
    scores = np.where(known, scores, _just_below(lowest))
    if point_adjust:
        scores = point_adjusted(labels, scores)
    curve = _sklearn().precision_recall_curve
    precision, recall, thresholds = curve(labels, scores.astype(float))
    usable = thresholds >= lowest  # lower ones flag what has no score
    precision, recall, thresholds = precision[:-1][usable], recall[:-1][usable], thresholds[usable]
    f1 = 2 * precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    best = int(f1.argmax())
    # Rows with a score equal to it are flagged: below it is the next number of the scores' dtype.
    below = _just_below(scores.dtype.type(thresholds[best]))
    return BestF1(float(f1[best]), float(precision[best]), float(recall[best]), float(below))


def point_adjusted(labels, scores) -> np.ndarray:
    """Return scores or flags with the largest of a labelled event in all its rows: it flatters.

    Args:
      labels: bool or 0/1 [rows].
      scores: [rows], scores or flags; NaN is none, and stays only if a whole event has none.

    Returns:
      [rows], in the dtype of `scores`.

    Raises:
      ValueError, TypeError: as in `pointwise`.
    """
    labels = _labels(labels)
    adjusted = np.array(scores)
    _check_length("scores", adjusted, labels)
    for event in events(labels):
        rows = slice(event.start, event.stop)
        adjusted[rows] = np.fmax.reduce(adjusted[rows])
    return adjusted


def _just_below(number: np.floating) -> np.floating:
    return np.nextafter(number, number.dtype.type(-np.inf))


def _labels(labels) -> np.ndarray:
    """Return labels as bool [rows], at least one of them True."""
    checks.check_array("labels", labels, "rows", "one label for each row")
    labels = np.asarray(labels)
    if labels.dtype.kind not in "biu" or not np.isin(labels, (0, 1)).all():
        raise ValueError(f"labels must be bool, or integers 0 and 1, got {labels.dtype}")
    if not labels.any():
        raise ValueError("labels mark no row as anomalous, so recall is not defined")
    return labels.astype(bool)


def _as_flags(found, labels) -> np.ndarray:
    """Return events or flags as flags [rows]."""
    if isinstance(found, Sequence):
        others = [event for event in found if not isinstance(event, Event)]
        if others:
            raise TypeError(
                "found must be flags, an array bool [rows], or a list of Event, got a "
                f"{type(found).__name__} of {type(others[0]).__name__}: np.asarray(flags)"
            )
        return flags_of(found, len(labels))
    checks.check_array("flags", found, "rows", "one flag for each row")
    found = np.asarray(found)
    if found.dtype != bool:
        raise ValueError(f"flags must be bool, got {found.dtype}: write scores > threshold")
    _check_length("flags", found, labels)
    return found


def _check_length(name, array, labels) -> None:
    if len(array) != len(labels):
        raise ValueError(
            f"{name} has {count(len(array), 'row')} but labels has {len(labels)}: they must be "
            "aligned"
        )


def _sklearn():
    try:
        from sklearn import metrics
    except ImportError as error:
        raise ImportError("these metrics need scikit-learn: pip install scikit-learn") from error
    return metrics
