"""Anomaly detection on two labelled public series, beside two simple detectors.

The series ship with the Python package aeon: an artificial electrocardiogram with three anomalous
beats (of the TimeEval collection, Wenig, Schmidl & Papenbrock 2022), and the blood pressure of a
patient with one (UCR anomaly archive 135, "InternalBleeding16", Wu & Keogh 2021). Each has a part
without anomalies to learn from.

The detectors: an LSTM that predicts, an LSTM autoencoder; a moving z-score, the distance of a value
from the mean of the window before it in standard deviations of that window; and the isolation
forest of scikit-learn (Liu, Ting & Zhou 2008) on windows of the same length. All learn from the
same rows, and the threshold of each is its largest score of these rows. Flagged rows less than half
a window apart are one event.

Expected, and refuted otherwise, stated before the runs:

1. On each series the better LSTM has at least the event-wise F1 of the better simple detector, in
   the mean over seeds.
2. With the best threshold, chosen with knowledge of the labels, the row-wise F1, likewise.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from benchmarks.studies.record import Claim
from lstmcore import anomalies, series
from lstmcore.study.plots.style import COLOURS

TITLE = "Anomalies in an electrocardiogram and a blood pressure"
SOURCE = "labelled series of the package aeon (BSD 3-Clause), from TimeEval and the UCR archive"
HYPOTHESIS = "An LSTM detects the labelled beats at least as well as two simple detectors do."
SEEDS = 3
LSTMS, SIMPLE = ("LSTM, prediction", "LSTM autoencoder"), ("moving z-score", "isolation forest")
NUMBERS = ("precision", "recall", "f1")


class Case(NamedTuple):
    """A series.

    window: rows, about a beat
    read: () -> (normal [rows], values [rows], labels [rows])
    """

    window: int
    read: Callable[[], tuple[np.ndarray, ...]]


def electrocardiogram() -> tuple[np.ndarray, ...]:
    """Read the electrocardiogram."""
    from aeon.datasets import load_ecg_diff_count_3

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it will leave aeon with version 1.7
        values, labels, normal, _ = load_ecg_diff_count_3("semi-supervised")
    return _flat(normal, values, labels)


def blood_pressure() -> tuple[np.ndarray, ...]:
    """Read the blood pressure."""
    from aeon.datasets import load_kdd_tsad_135

    return _flat(load_kdd_tsad_135("train")[0], *load_kdd_tsad_135("test"))


def _flat(normal, values, labels) -> tuple[np.ndarray, ...]:
    return np.ravel(normal).astype(float), np.ravel(values).astype(float), np.ravel(labels) != 0


CASES = {
    "electrocardiogram": Case(100, electrocardiogram),
    "blood pressure": Case(150, blood_pressure),
}


def run(quick: bool = False) -> dict:
    """Run all detectors on all series, with all seeds unless they are deterministic."""
    runs = []
    for name, case in CASES.items():
        normal, values, labels = case.read()
        for detector, score in _detectors(case.window, quick).items():
            random = detector != "moving z-score"
            for seed in range(1 if quick or not random else SEEDS):
                learned, scores = score(normal, values, seed)
                found = {"series": name, "detector": detector, "seed": seed}
                found |= measure(labels, learned, scores, case.window // 2)
                print(f"  {found}", flush=True)
                runs.append(found)
    return {"windows": {name: case.window for name, case in CASES.items()}, "runs": runs}


def measure(labels, learned, scores, gap: int) -> dict:
    """Compute event-wise and row-wise metrics, with the threshold from the `learned` scores."""
    threshold = anomalies.thresholds.maximum(learned)
    found = anomalies.events(scores, threshold, gap=gap)
    by_event = anomalies.metrics.eventwise(labels, found)
    by_row = anomalies.metrics.pointwise(labels, scores > threshold.value)
    best = anomalies.metrics.best_f1(labels, scores)  # a row without a score cannot be found
    return {
        "events": {name: round(getattr(by_event, name), 4) for name in NUMBERS},
        "labelled": by_event.labelled,
        "detected": by_event.detected,
        "rows": {name: round(getattr(by_row, name), 4) for name in NUMBERS},
        "best_f1": round(best.f1, 4),
    }


def _detectors(window: int, quick: bool) -> dict[str, Callable]:
    """Return {name: (normal, values, seed) -> (scores of the normal rows, of the values)}."""
    epochs = {"epochs": 1} if quick else {}

    def lstm(settings: anomalies.Settings) -> Callable:
        def score(normal, values, seed):
            detector = anomalies.train(normal, replace(settings, seed=seed))
            learned = anomalies.mean_absolute(detector.training_errors)
            return learned, anomalies.mean_absolute(detector.errors(values))

        return score

    return {
        LSTMS[0]: lstm(
            anomalies.Settings(method="prediction", season=0, window=window, units=(32,), **epochs)
        ),
        LSTMS[1]: lstm(
            anomalies.Settings(method="reconstruction", season=0, window=window, **epochs)
        ),
        SIMPLE[0]: lambda normal, values, _: (z_scores(normal, window), z_scores(values, window)),
        SIMPLE[1]: lambda normal, values, seed: forest(normal, values, window, seed),
    }


def z_scores(values: np.ndarray, window: int) -> np.ndarray:
    """Compute moving z-scores [rows]: NaN in the first window, and after a constant window."""
    before = series.windows(values, window)[:-1, :, 0]
    spread = before.std(axis=1)
    scores = np.full(len(values), np.nan)
    away = np.abs(values[window:] - before.mean(axis=1))
    scores[window:] = np.where(spread > 0, away / np.where(spread > 0, spread, 1), np.nan)
    return scores


def forest(normal: np.ndarray, values: np.ndarray, window: int, seed: int):
    """Compute scores of the normal rows and of the values: means over all windows with a row."""
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(random_state=seed).fit(series.windows(normal, window)[:, :, 0])

    def score(rows):
        each = -model.score_samples(series.windows(rows, window)[:, :, 0])
        return series.unwindow(np.repeat(each[:, None], window, axis=1))

    return score(normal), score(values)


def mean_of(measured: dict, name: str, detector: str, read: Callable[[dict], float]) -> float:
    """Return the mean over seeds."""
    runs = [
        run for run in measured["runs"] if run["series"] == name and run["detector"] == detector
    ]
    return float(np.mean([read(run) for run in runs]))


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criteria of the docstring of this module."""
    metrics: dict[str, Callable[[dict], float]] = {
        "event-wise F1 at the threshold of the largest training score": lambda run: run["events"][
            "f1"
        ],
        "best F1 by rows, threshold chosen in sight of the labels": lambda run: run["best_f1"],
    }
    claims = []
    for words, read in metrics.items():
        for name in CASES:
            scores = {
                detector: mean_of(measured, name, detector, read) for detector in LSTMS + SIMPLE
            }
            ours, theirs = (max(group, key=scores.__getitem__) for group in (LSTMS, SIMPLE))
            claims.append(
                Claim(
                    f"{name}: the better LSTM is at least as good, {words}",
                    scores[ours] >= scores[theirs],
                    f"{ours} {scores[ours]:.3f}, {theirs} {scores[theirs]:.3f}",
                )
            )
    return claims


def tables(measured: dict) -> str:
    """Return a row for each series and detector, means over seeds."""
    rows = [
        "| series | detector | events: precision | recall | F1 | rows: precision | recall | F1 | "
        "best F1 of rows |",
        "|---|---|" + "---:|" * 7,
    ]
    for name in CASES:
        for detector in LSTMS + SIMPLE:
            numbers = [
                mean_of(measured, name, detector, lambda run, k=kind, n=number: run[k][n])
                for kind in ("events", "rows")
                for number in NUMBERS
            ]
            numbers.append(mean_of(measured, name, detector, lambda run: run["best_f1"]))
            cells = " | ".join(f"{number:.2f}" for number in numbers)
            rows.append(f"| {name} | {detector} | {cells} |")
    return "\n".join(rows)


def draw(measured: dict) -> Figure:
    """Plot event-wise F1 of each detector, each seed a dot."""
    figure = Figure(figsize=(9, 3.2), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    metrics = {
        "events, threshold from training": lambda run: run["events"]["f1"],
        "rows, best threshold": lambda run: run["best_f1"],
    }
    for panel, (title, read) in zip(panels, metrics.items(), strict=True):
        for place, name in enumerate(CASES):
            for number, detector in enumerate(LSTMS + SIMPLE):
                runs = [
                    read(run)
                    for run in measured["runs"]
                    if run["series"] == name and run["detector"] == detector
                ]
                x = place + (number - 1.5) * 0.16 + np.linspace(-0.03, 0.03, len(runs))
                label = None if place else detector
                panel.plot(x, runs, "o", color=COLOURS[number], label=label)
        panel.set(title=title, ylim=(-0.03, 1.03))
        panel.set_xticks(range(len(CASES)), list(CASES))
        panel.grid(axis="y", alpha=0.3)
    panels[0].set_ylabel("F1")
    panels[1].legend(frameon=False, fontsize="small")
    return figure
