"""Anomaly detection: a model learns what is normal; what it cannot write is strange.

    detector = anomalies.train(normal, Settings(...))          a model, and errors of normal rows
    normal_scores = mean_absolute(detector.training_errors)    one number for each row
    limit = thresholds.maximum(normal_scores)                  its value, and how it came about
    scores = mean_absolute(detector.errors(values))            of any series
    found = events(scores, limit, gap=12)                      stretches with start, end and peak

`Alarm` is the same for rows that arrive one by one. `metrics` says how good it is where labels are
known, and names how each number can flatter.
"""

from lstmcore.anomalies import metrics, thresholds
from lstmcore.anomalies.alarm import Alarm
from lstmcore.anomalies.detector import Detector
from lstmcore.anomalies.event import Event, events, flags_of
from lstmcore.anomalies.looking import look
from lstmcore.anomalies.scores import Gaussian, fit_gaussian, largest, mean_absolute, shares
from lstmcore.anomalies.thresholds import Threshold
from lstmcore.anomalies.training import Settings, train
from lstmcore.anomalies.verdict import Verdict, judge

__all__ = [
    "Alarm",
    "Detector",
    "Event",
    "Gaussian",
    "Settings",
    "Threshold",
    "Verdict",
    "events",
    "fit_gaussian",
    "flags_of",
    "judge",
    "largest",
    "look",
    "mean_absolute",
    "metrics",
    "shares",
    "thresholds",
    "train",
]
