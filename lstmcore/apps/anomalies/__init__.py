"""Anomaly detection: a model learns what is normal; what it cannot predict is anomalous.

    detector = anomalies.train(normal, Settings(...))          the model, and errors of normal rows
    result = detect(detector, values, gap=12)                  scores, threshold and events

`detect` puts together what can also be used alone:

    score = fit_adaptive(detector.training_errors, window)     one number per row, of its errors
    limit = score.threshold                                    its value, and how it was computed
    scores = score(detector.errors(values))                    of any series
    found = events(scores, limit, gap=12)                      segments with start, end and peak

`compare` runs simple detectors beside it: is one of them enough? `OnlineDetector` does the same as
the detector for rows that arrive one by one. `metrics` measures how good the result is where labels
are known, and explains how each number can flatter.
"""

from lstmcore.apps.anomalies import metrics, rivals, thresholds
from lstmcore.apps.anomalies.adaptive import AdaptiveScore, fit_adaptive
from lstmcore.apps.anomalies.comparison import Comparison, compare, same_rule
from lstmcore.apps.anomalies.detection import detect
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.gates import gate_traces
from lstmcore.apps.anomalies.online import OnlineDetector
from lstmcore.apps.anomalies.paired import PairedTest, paired_test
from lstmcore.apps.anomalies.results import DetectionResult, SeparateResult
from lstmcore.apps.anomalies.scores import (
    Gaussian,
    contributions,
    fit_gaussian,
    largest,
    mean_absolute,
)
from lstmcore.apps.anomalies.settings import Settings
from lstmcore.apps.anomalies.thresholds import Threshold
from lstmcore.apps.anomalies.training import train
from lstmcore.series.events import Event, events, flags_of

__all__ = [
    "AdaptiveScore",
    "Comparison",
    "DetectionResult",
    "Detector",
    "Event",
    "Gaussian",
    "OnlineDetector",
    "PairedTest",
    "SeparateResult",
    "Settings",
    "Threshold",
    "compare",
    "contributions",
    "detect",
    "events",
    "fit_adaptive",
    "fit_gaussian",
    "flags_of",
    "gate_traces",
    "largest",
    "mean_absolute",
    "metrics",
    "paired_test",
    "rivals",
    "same_rule",
    "thresholds",
    "train",
]
