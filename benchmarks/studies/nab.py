"""Detect anomalies in two artificial series of the Numenta Anomaly Benchmark.

    python -m benchmarks nab FOLDER [--seeds 3] [--figure FILE]

FOLDER holds art_daily_small_noise.csv for training, art_daily_jumpsup.csv, in which one day is
raised, and combined_windows.json with the labelled window (Lavin & Ahmad 2015; the files are at
github.com/numenta/NAB, in data/artificialNoAnomaly, data/artificialWithAnomaly and labels).

The threshold is the largest training error, as in the Keras example "Timeseries anomaly detection
using an autoencoder" (Vijay 2020), which trains on the same file: a convolutional autoencoder of
windows of 288 rows, best validation loss .0223, threshold .1233. Its errors are means over windows
of a day, ours are those of single rows, so that the two thresholds are not comparable; its
validation windows overlap the training windows, ours are of other days.

Limits of the result: windows, units and the shortest event were chosen with knowledge of both
series, so this shows that the method works there, and estimates nothing for other data. The moment
at which a day jumps cannot be predicted from a window, so the largest error of either series is
that of one row at a jump, and which of the two is larger is chance. Hence events of fewer than
three rows are dropped; the column "of 1 row" counts, without that rule, the events outside of the
label.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore import anomalies

NORMAL, RAISED, LABELS = "art_daily_small_noise", "art_daily_jumpsup", "combined_windows.json"
SETTINGS = {
    "reconstruction": anomalies.Settings(method="reconstruction", season=0),
    "prediction": anomalies.Settings(method="prediction", season=0, window=48, units=(32,)),
}
GAP, MINIMUM = 12, 3  # rows of five minutes: joined across an hour, dropped below a quarter of one


class Data(NamedTuple):
    """The two series.

    normal: [rows, 1] to train on
    values: [rows, 1] in which anomalies are detected
    labels: bool [rows], the labelled rows of `values`
    """

    normal: np.ndarray
    values: np.ndarray
    labels: np.ndarray


class Result(NamedTuple):
    """The result of one run."""

    detector: anomalies.Detector
    scores: np.ndarray
    threshold: anomalies.Threshold
    events: list[anomalies.Event]
    seconds: float


def read(folder: Path) -> Data:
    """Read the two series and the labelled window."""
    _, normal = _series(folder / f"{NORMAL}.csv")
    return Data(normal, *read_labelled(folder, "artificialWithAnomaly", RAISED))


def read_labelled(folder: Path, group: str, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Read (values [rows, 1], labels bool [rows]) of a series of a group of the benchmark."""
    times, values = _series(folder / f"{name}.csv")
    windows = json.loads((folder / LABELS).read_text(encoding="utf-8"))[f"{group}/{name}.csv"]
    inside = [
        (times >= np.datetime64(start)) & (times <= np.datetime64(stop)) for start, stop in windows
    ]
    return values, np.any(inside, axis=0)


def detect(data: Data, settings: anomalies.Settings, minimum: int = MINIMUM) -> Result:
    """Train on the normal series and detect anomalies in the other."""
    started = time.perf_counter()
    detector = anomalies.train(data.normal, settings)
    threshold = anomalies.thresholds.maximum(anomalies.mean_absolute(detector.training_errors))
    scores = anomalies.mean_absolute(detector.errors(data.values))
    events = anomalies.events(scores, threshold, gap=GAP, minimum=minimum)
    return Result(detector, scores, threshold, events, time.perf_counter() - started)


def line(method: str, seed: int, data: Data, found: Result) -> str:
    """Return one row of the table."""
    flags = anomalies.events(found.scores, found.threshold)
    right = anomalies.metrics.eventwise(data.labels, found.events)
    outside = np.where(data.labels, 0, np.nan_to_num(found.scores)).max()
    history = found.detector.history
    return (
        f"{method:14} {seed:4} {history['validation_loss'].min():10.4f} "
        f"{found.threshold.value:9.3f} {outside:8.3f} {np.nanmax(found.scores):7.3f} "
        f"{right.recall * right.labelled:5.0f} of {right.labelled} "
        f"{right.detected - round(right.precision * right.detected):6} "
        f"{len([e for e in flags if not data.labels[e.start : e.stop].any()]):9} "
        f"{anomalies.metrics.best_f1(data.labels, found.scores).f1:8.3f} {found.seconds:7.1f}"
    )


HEAD = (
    "method         seed  val. loss threshold  outside  inside  found  false  of 1 row  best F1 "
    "seconds"
)


def main(arguments: list[str] | None = None) -> None:
    """Run each method with each seed and print a table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks nab",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--figure", type=Path, help="of the last run", metavar="FILE")
    options = parser.parse_args(arguments)
    data = read(options.folder)
    print(HEAD)
    for method, settings in SETTINGS.items():
        for seed in range(options.seeds):
            found = detect(data, replace(settings, seed=seed))
            print(line(method, seed, data, found), flush=True)
    if options.figure:
        from lstmcore.study import plots

        plots.plot_anomalies(
            data.values, found.scores, found.threshold, found.events, data.labels
        ).savefig(options.figure, dpi=100)


def _series(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read (times [rows], values [rows, 1]) from a file of NAB."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = np.array([row["timestamp"] for row in rows], "datetime64[s]")
    return times, np.array([[float(row["value"])] for row in rows])
