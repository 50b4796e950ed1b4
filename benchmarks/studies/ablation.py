"""The anomaly detector with one part left out or replaced at a time, beside its rivals.

Each variant differs from the defaults of `lc.anomalies` in one thing: training (season, differences
of a drifting series, limits of odd rows, length, clipping, rate, stop, method), score, or
threshold. What a variant leaves out may not have been in use: a series may have no season, and
training may end before the epochs do. Such a variant is the default itself there, and is not
counted as evidence.

The series are made up (`benchmarks.studies.monitored`: seven kinds, each undisturbed and with five
kinds of anomalies), and with `--nab FOLDER` four labelled ones of the Numenta Anomaly Benchmark
(Lavin & Ahmad 2015), whose first half is trained on. The defaults were chosen in sight of these
four, and one of them, when a season is removed, in sight of an earlier run on the made-up ones. The
verdicts are about the latter.

Expected, and refuted otherwise, stated before the runs, of the event-wise F1 of made-up series:

1. Without any one part it is lower: p < 0.05 over pairs of one series and seed (t-test, adjusted
   for the number of parts by Holm's method).
2. With any other score, threshold, method or training (`training_variants`) it is not higher, in
   the mean.
3. The defaults have at least that of the best rival, in the mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from matplotlib.figure import Figure

from benchmarks.studies import monitored, nab, training_variants
from benchmarks.studies.monitored import Monitored
from benchmarks.studies.record import Claim
from benchmarks.studies.spread import holm, p_of_pairs
from lstmcore import anomalies
from lstmcore.apps.anomalies import examples, preprocessing, rivals, training
from lstmcore.apps.anomalies.adaptive import PARTS
from lstmcore.study.plots.style import COLOURS

TITLE = "What each part of the anomaly detector is worth"
SOURCE = "made-up series; realKnownCause of the Numenta Anomaly Benchmark (Lavin & Ahmad 2015)"
HYPOTHESIS = "Every part of the detector's defaults raises the event-wise F1."
SEEDS = 3
GAP = 24  # rows between events that are joined
PROCESSES = 4
FILES = (
    "nyc_taxi",
    "ambient_temperature_system_failure",
    "ec2_request_latency_system_failure",
    "rogue_agent_key_hold",
)
CASES: dict[str, Callable[[int], Monitored]] = {
    name: lambda seed, name=name: monitored.draw(name, seed) for name in monitored.SERIES
}


class Variant(NamedTuple):
    """A difference from the defaults.

    training: fields of `anomalies.Settings`
    detection: arguments of `anomalies.detect`
    part: of the adaptive score, left out
    limited: whether odd training rows are limited
    fit: instead of `apps.training.fit_model`
    """

    training: Mapping[str, Any] = MappingProxyType({})
    detection: Mapping[str, Any] = MappingProxyType({})
    part: str | None = None
    limited: bool = True
    fit: Callable | None = None


DEFAULT = "all defaults"
WITHOUT = {  # parts
    "without season": Variant({"season": 0}),
    "without differences": Variant({"search": False}),
    "odd training rows not limited": Variant(limited=False),
    "10 epochs": Variant({"epochs": 10}),
    "40 epochs, however few steps": Variant({"epochs": 40, "patience": 10}),
    "gradients not clipped": Variant(fit=training_variants.unclipped),
    **{f"score without {part}": Variant(part=part) for part in PARTS},
}
INSTEAD = {  # alternatives
    "threshold maximum": Variant(detection={"threshold": "maximum"}),
    "threshold quantile": Variant(detection={"threshold": "quantile"}),
    "threshold peaks": Variant(detection={"threshold": "peaks"}),
    "score mean": Variant(detection={"score": "mean"}),
    "score largest": Variant(detection={"score": "largest"}),
    "score mahalanobis": Variant(detection={"score": "mahalanobis"}),
    "reconstruction": Variant({"method": "reconstruction"}),
    "learning rate decays": Variant(fit=training_variants.decaying),
    "smoothed validation loss": Variant(fit=training_variants.smoothed),
}
VARIANTS = {DEFAULT: Variant()} | WITHOUT | INSTEAD
RIVALS = (rivals.ZSCORE, rivals.PCA, rivals.FOREST)


def run(quick: bool = False, nab: Path | None = None) -> dict:
    """Run all variants and rivals on all series, with all seeds."""
    files = {} if nab is None else {name: read_file(nab, name) for name in FILES}
    cases = [
        (name, read(seed), seed, quick)
        for seed in range(1 if quick else SEEDS)
        for name, read in CASES.items()
    ]
    cases += [
        (name, case, seed, quick)
        for seed in range(1 if quick else SEEDS)
        for name, case in files.items()
    ]
    runs = []
    for found in map(_of_case, cases) if quick else _in_processes(cases):
        runs += found
        print(f"  {len(runs)} results, {found[0]}", flush=True)
    return {"made_up": list(CASES), "files": list(files), "runs": runs}


def read_file(folder: Path, name: str) -> Monitored:
    """Read a series of the benchmark, the first half of which is trained on."""
    values, labels = nab.read_labelled(folder, "realKnownCause", name)
    half = round(len(values) / 2)
    return Monitored(values[:half], {"labelled": (values[half:], labels[half:])})


def _in_processes(cases: list) -> Iterable[list[dict]]:
    # Those with most rows first, so that none is left alone at the end.
    cases = sorted(cases, key=lambda case: -len(case[1].normal))
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        yield from pool.map(_of_case, cases)


def _of_case(arguments: tuple[str, Monitored, int, bool]) -> list[dict]:
    """Return the results of all variants and rivals on one series with one seed."""
    name, case, seed, quick = arguments
    common = {"seed": seed} | ({"epochs": 1} if quick else {})
    default, spent = _train(case, VARIANTS[DEFAULT], common)
    runs = []
    for title, variant in VARIANTS.items():
        idle = _is_idle(default, case, variant)
        detector, seconds = default, spent
        if not idle and (variant.training or variant.fit or not variant.limited):
            detector, seconds = _train(case, variant, common)
            idle = _is_same(detector, default)
        started = time.process_time()
        detected = {
            part: detect(detector, values, variant) for part, (values, _) in case.parts.items()
        }
        seconds += time.process_time() - started
        found = {"series": name, "seed": seed, "variant": title, "idle": idle}
        runs.append(found | measure(case, detected) | {"seconds": round(seconds, 2)})
    return runs + [{"series": name, "seed": seed} | found for found in _rivals(default, case)]


def _train(case: Monitored, variant: Variant, common: Mapping[str, Any]):
    """Return a detector, and the seconds of processor time of its training."""
    started = time.process_time()
    settings = anomalies.Settings(**variant.training | common)
    with ExitStack() as patches:
        # There is no setting for it: that no row is odd is nothing a user should have to say.
        for module in () if variant.limited else (examples, preprocessing):
            as_they_are = mock.patch.object(module, "limited", lambda table, rows: table)
            patches.enter_context(as_they_are)
        if variant.fit is not None:
            patches.enter_context(mock.patch.object(training, "fit_model", variant.fit))
        detector = anomalies.train(case.normal, settings)
    return detector, time.process_time() - started


def _is_idle(default: anomalies.Detector, case: Monitored, variant: Variant) -> bool:
    """Return whether the detector of the defaults does not use what a variant leaves out."""
    settings, start = default.settings, default.validation_start
    if "season" in variant.training:
        return not settings.season_rows
    if "search" in variant.training:
        return not settings.preprocessing.difference
    if not variant.limited:
        left = preprocessing.without_season(settings, case.normal)
        tables = (case.normal[:start], start), (left, start - (settings.season_rows or 0))
        return all((preprocessing.limited(*each) == each[0]).all() for each in tables)
    return False


def _is_same(detector: anomalies.Detector, default: anomalies.Detector) -> bool:
    """Return whether two detectors differ by rounding at most, such as where nothing is clipped."""
    errors, expected = detector.training_errors, default.training_errors
    rounding = 0.01 * float(np.nanmean(np.abs(expected)))
    return np.allclose(errors, expected, rtol=0, atol=rounding, equal_nan=True)


def detect(detector: anomalies.Detector, values, variant: Variant) -> list[anomalies.Event]:
    """Return the events that a variant finds."""
    if variant.part is None:
        return anomalies.detect(detector, values, gap=GAP, **variant.detection).events
    score = anomalies.fit_adaptive(detector.training_errors, detector.settings.window)
    # In an infinite unit a part is 0, which is never above the threshold.
    kept = np.where(np.array(PARTS) == variant.part, np.inf, score.units)
    scores = replace(score, units=kept)(detector.errors(values))
    return anomalies.events(scores, score.threshold, gap=GAP)


def _rivals(default: anomalies.Detector, case: Monitored) -> list[dict]:
    """Return the results of the rivals, which read what the default detector reads."""
    started = time.process_time()
    detected: dict[str, dict] = {rival: {} for rival in RIVALS}
    for part, (values, _) in case.parts.items():
        result = anomalies.detect(default, values, gap=GAP)
        beside = anomalies.compare(default, case.normal, values, result, gap=GAP)
        for rival in RIVALS:
            detected[rival][part] = beside.methods[rival].events
    seconds = round((time.process_time() - started) / len(RIVALS), 2)
    return [
        {"variant": rival, "idle": False} | measure(case, events) | {"seconds": seconds}
        for rival, events in detected.items()
    ]


def measure(case: Monitored, detected: dict[str, list[anomalies.Event]]) -> dict:
    """Compute F1 by events of each part with anomalies; false events and flags of all parts."""
    f1, false, flagged, rows, normal = {}, 0, 0, 0, 0
    for part, (_, labels) in case.parts.items():
        events = detected[part]
        if labels.any():
            f1[part] = round(anomalies.metrics.eventwise(labels, events).f1, 4)
        false += sum(not labels[event.start : event.stop].any() for event in events)
        flagged += int(anomalies.flags_of(events, len(labels)).sum())
        rows, normal = rows + len(labels), normal + int((~labels).sum())
    return {"f1": f1, "false": false, "flagged": flagged, "rows": rows, "normal": normal}


def detectors_of(measured: dict) -> list[str]:
    """Return the variants and rivals of an outcome, which an earlier one may have fewer of."""
    return list(dict.fromkeys(run["variant"] for run in measured["runs"]))


def scores_of(measured: dict, variant: str, series: Iterable[str], part: str | None = None) -> dict:
    """Return {(series, seed): mean F1 over parts, or that of one}."""
    return {
        (run["series"], run["seed"]): float(
            np.mean(list(run["f1"].values())) if part is None else run["f1"][part]
        )
        for run in measured["runs"]
        if run["variant"] == variant and run["series"] in series
    }


def mean_of(measured: dict, variant: str, series: Iterable[str], part: str | None = None) -> float:
    """Return the mean F1 over series and seeds."""
    return float(np.mean(list(scores_of(measured, variant, series, part).values())))


def by_seed(measured: dict, variant: str, series: Iterable[str]) -> list[float]:
    """Return the mean F1 over series, of each seed."""
    scores = scores_of(measured, variant, series)
    seeds = sorted({seed for _, seed in scores})
    return [float(np.mean([f1 for (_, s), f1 in scores.items() if s == seed])) for seed in seeds]


def losses(measured: dict, variant: str) -> list[float]:
    """Return how much F1 each made-up series and seed loses, where the part was in use."""
    series = measured["made_up"]
    default, other = (scores_of(measured, each, series) for each in (DEFAULT, variant))
    used = [
        (run["series"], run["seed"])
        for run in measured["runs"]
        if run["variant"] == variant and run["series"] in series and not run["idle"]
    ]
    return [default[pair] - other[pair] for pair in used]


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criteria of the docstring of this module."""
    tried = detectors_of(measured)
    lost = {variant: losses(measured, variant) for variant in WITHOUT if variant in tried}
    p = holm(
        {
            variant: p_of_pairs(each, np.zeros(len(each))) if len(each) > 1 else 1.0
            for variant, each in lost.items()
        }
    )
    claims = []
    for variant, each in lost.items():
        words = f"{np.mean(each):+.3f} in {len(each)} pairs" if each else "never in use"
        holds = bool(each) and np.mean(each) > 0 and p[variant] < 0.05
        because = f"F1 lost: {words}, p = {p[variant]:.2g}"
        claims.append(Claim(f"{variant}, F1 is lower", bool(holds), because))
    made_up = measured["made_up"]
    f1 = {name: mean_of(measured, name, made_up) for name in tried}
    for variant in filter(f1.__contains__, INSTEAD):
        because = f"{f1[DEFAULT]:.3f} against {f1[variant]:.3f}"
        claims.append(Claim(f"{variant}: F1 is not higher", f1[DEFAULT] >= f1[variant], because))
    best = max(RIVALS, key=f1.__getitem__)
    return [
        *claims,
        Claim(
            "the defaults are at least as good as the best rival",
            f1[DEFAULT] >= f1[best],
            f"{f1[DEFAULT]:.3f} against {f1[best]:.3f} ({best})",
        ),
    ]


def tables(measured: dict) -> str:
    """Return a table of all variants, and one of F1 by series and by kind of anomaly."""
    groups = {"made-up": measured["made_up"]}
    if measured["files"]:
        groups["four files"] = measured["files"]
    heads = ("in use", "F1 ± over seeds", "false per 1,000", "flagged", "seconds")
    columns = [f"{group}: {heads[0]}" for group in groups]
    header = " | ".join(" | ".join([first, *heads[1:]]) for first in columns)
    rows = [f"| detector | {header} |", "|---|" + "---:|" * (len(groups) * len(heads))]
    for variant in detectors_of(measured):
        cells = [cell for series in groups.values() for cell in _cells(measured, variant, series)]
        rows.append(f"| {variant} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", *_by_series(measured)])


def _cells(measured: dict, variant: str, series: list[str]) -> list[str]:
    runs = [
        run for run in measured["runs"] if run["variant"] == variant and run["series"] in series
    ]
    false, normal, flagged, rows, seconds = (
        sum(run[name] for run in runs) for name in ("false", "normal", "flagged", "rows", "seconds")
    )
    f1 = by_seed(measured, variant, series)
    return [
        f"{sum(not run['idle'] for run in runs)} of {len(runs)}",
        f"{np.mean(f1):.2f} ± {np.std(f1):.2f}",
        f"{1000 * false / normal:.2f}",
        f"{100 * flagged / rows:.1f} %",
        f"{seconds / len(runs):.1f}",
    ]


def _by_series(measured: dict) -> list[str]:
    made_up, files = measured["made_up"], measured["files"]
    kinds = list(next(run["f1"] for run in measured["runs"] if run["series"] in made_up))
    names = [*made_up, *kinds, *(name.partition("_")[0] for name in files)]
    rows = [f"| F1 | {' | '.join(names)} |", "|---|" + "---:|" * len(names)]
    for variant in detectors_of(measured):
        numbers = [mean_of(measured, variant, [name]) for name in made_up]
        numbers += [mean_of(measured, variant, made_up, kind) for kind in kinds]
        numbers += [mean_of(measured, variant, [name]) for name in files]
        rows.append(f"| {variant} | {' | '.join(f'{number:.2f}' for number in numbers)} |")
    return rows


def draw(measured: dict) -> Figure:
    """Plot F1 of each detector, each seed a dot."""
    groups = {"made-up series": measured["made_up"], "four files": measured["files"]}
    groups = {title: series for title, series in groups.items() if series}
    figure = Figure(figsize=(9, 5), layout="constrained")
    panels = figure.subplots(1, len(groups), sharey=True, squeeze=False)[0]
    names = detectors_of(measured)
    for panel, (title, series) in zip(panels, groups.items(), strict=True):
        for place, name in enumerate(names):
            colour = COLOURS[1 if name in RIVALS else 2 if name == DEFAULT else 0]
            f1 = by_seed(measured, name, series)
            panel.plot(f1, [place] * len(f1), "o", color=colour, alpha=0.7)
        panel.axvline(mean_of(measured, DEFAULT, series), color=COLOURS[2], linewidth=0.8)
        panel.set(title=title, xlabel="F1 by events", xlim=(-0.02, 1.02))
        panel.grid(axis="x", alpha=0.3)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    return figure
