"""Anomaly detection: a model learns what is normal; what it cannot write is strange.

    detector = anomalies.train(normal, Settings(...))          a model, and errors of normal rows
    normal_scores = mean_absolute(detector.training_errors)    one number for each row
    limit = thresholds.maximum(normal_scores)                  its value, and how it came about
    scores = mean_absolute(detector.errors(values))            of any series
    found = events(scores, limit, gap=12)                      stretches with start, end and peak

`OnlineDetector` is the same for rows that arrive one by one. `metrics` says how good it is where
labels are known, and names how each number can flatter.
"""

from lstmcore.apps.anomalies import metrics, thresholds
from lstmcore.apps.anomalies.detection import DetectionResult, detect
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.gates import gate_traces
from lstmcore.apps.anomalies.online import OnlineDetector
from lstmcore.apps.anomalies.scores import Gaussian, fit_gaussian, largest, mean_absolute, shares
from lstmcore.apps.anomalies.settings import Settings
from lstmcore.apps.anomalies.thresholds import Threshold
from lstmcore.apps.anomalies.training import train
from lstmcore.series.events import Event, events, flags_of

__all__ = [
    "DetectionResult",
    "Detector",
    "Event",
    "Gaussian",
    "OnlineDetector",
    "Settings",
    "Threshold",
    "detect",
    "events",
    "fit_gaussian",
    "flags_of",
    "gate_traces",
    "largest",
    "mean_absolute",
    "metrics",
    "shares",
    "thresholds",
    "train",
]
