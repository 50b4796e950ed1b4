"""What `lstmcore anomalies` leaves in its folder: scores, events, pictures, a page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstmcore import results
from lstmcore.anomalies import metrics
from lstmcore.anomalies.detector import Detector
from lstmcore.anomalies.looking import look
from lstmcore.anomalies.verdict import Verdict
from lstmcore.report import figures, page
from lstmcore.study import plots
from lstmcore.study.plots.style import COLOURS
from lstmcore.table import Table

FILES = (
    "model.safetensors", "errors.safetensors", "detector.json", "settings.json", "history.csv",
    "scores.csv", "events.csv", "anomalies.png", "loss.png", "report.html", results.CHECKPOINT,
)  # fmt: skip
MOST_EVENTS, MOST_ROWS = 6, 400  # whose gates are drawn, those of the highest peaks
SHOWN_COLUMNS = 6  # of a wide table
DETECTED, LABELLED = COLOURS[1], COLOURS[5]


class Found(NamedTuple):
    """All that a report is about.

    Attributes:
      source: name of the table that was judged.
      data: the table.
      detector, verdict: of `train` and `judge`.
      labels: bool [rows], rows that are known to be strange, or None.
      notes: sentences about the data.
    """

    source: str
    data: Table
    detector: Detector
    verdict: Verdict
    labels: np.ndarray | None
    notes: Sequence[str]

    @property
    def sentence(self) -> str:
        """What a reader in a hurry should know."""
        events, threshold = self.verdict.events, self.verdict.threshold
        count = {0: "No event", 1: "1 event"}.get(len(events), f"{len(events):,} events")
        limit = f"above the threshold {threshold.value:.4g} ({threshold.how})"
        if not events:
            return f"{count} {limit}."
        first = max(events, key=lambda event: event.score)
        return (
            f"{count} {limit}. The strangest peaks at {self.data.labels[first.peak]} with "
            f"{first.score / threshold.value:.2g} times the threshold."
        )


def header() -> list[str]:
    """Names of the columns of `event_rows`."""
    return ["first", "last", "rows", "peak", "score", "× threshold", "mostly in"]


def event_rows(found: Found) -> list[list[str]]:
    """The events as text, in the order of time."""
    labels, verdict = found.data.labels, found.verdict
    rows = []
    for event in verdict.events:
        column = int(np.nanargmax(verdict.shares[event.peak]))
        share = verdict.shares[event.peak, column]
        rows.append(
            [
                str(labels[event.start]),
                str(labels[event.stop - 1]),
                f"{event.stop - event.start:,}",
                str(labels[event.peak]),
                f"{event.score:.4g}",
                f"{event.score / verdict.threshold.value:.2f}",
                f"{found.data.columns[column]} ({share:.0%})",
            ]
        )
    return rows


def metric_rows(found: Found) -> list[list[str]]:
    """How good it is, as text: what is measured, precision, recall, F1, and what to keep in mind.

    Raises:
      ValueError: there are no labels.
      ImportError: scikit-learn is missing.
    """
    if found.labels is None:
        raise ValueError("there are no labels to compare with")
    verdict = found.verdict
    flags = verdict.scores > verdict.threshold.value
    by_event = metrics.eventwise(found.labels, verdict.events)
    rows: list[tuple[str, Any, str]] = [
        (
            "events",
            by_event,
            f"{by_event.detected:,} detected, {by_event.labelled:,} labelled",
        ),
        ("rows", metrics.pointwise(found.labels, flags), "long events count for more"),
    ]
    known = np.isfinite(verdict.scores)
    if found.labels[known].any():
        best = metrics.best_f1(found.labels[known], verdict.scores[known])
        hint = f"at {best.threshold:.4g}, which only the labels tell"
        rows.append(("rows, at best", best, hint))
    return [
        [name, f"{good.precision:.3f}", f"{good.recall:.3f}", f"{good.f1:.3f}", hint]
        for name, good, hint in rows
    ]


def write_model(folder: Path, detector: Detector, described: dict) -> None:
    """What must not be lost: the detector, how it was trained, and on what."""
    detector.save(folder)
    results.write_json(folder / "settings.json", results.versions() | described)
    results.write_history(folder / "history.csv", detector.history)


def write(folder: Path, found: Found) -> None:
    """Scores and events as CSV, pictures, and the page."""
    data, verdict = found.data, found.verdict
    outputs = found.detector.outputs(data.values)
    flags = verdict.scores > verdict.threshold.value
    names = [data.label_name, *data.columns, *(f"{name}_model" for name in data.columns)]
    columns = (data.values.T, outputs.T, verdict.scores[None])
    rows = zip(*(part.tolist() for block in columns for part in block), strict=True)
    flagged = zip(map(str, data.labels), rows, flags.tolist(), strict=True)
    results.write_csv(
        folder / "scores.csv",
        [*names, "score", "flagged"],
        ((label, *map(_cell, numbers), int(flag)) for label, numbers, flag in flagged),
    )
    results.write_csv(folder / "events.csv", header(), event_rows(found))
    plots.plot_loss(found.detector.history).savefig(folder / "loss.png", dpi=120)
    chosen = range(min(len(data.columns), SHOWN_COLUMNS))
    plots.plot_anomalies(
        data.values[:, chosen],
        verdict.scores,
        verdict.threshold,
        verdict.events,
        found.labels,
        outputs=outputs[:, chosen],
        columns=[data.columns[column] for column in chosen],
        xlabel=data.label_name,
        times=data.labels,
    ).savefig(folder / "anomalies.png", dpi=120)
    page.write(folder / "report.html", f"Anomalies in {found.source}", _parts(found, outputs))


def _parts(found: Found, outputs: np.ndarray) -> list[str]:
    """The page, from the verdict to the gates around the strangest events."""
    data, verdict = found.data, found.verdict
    spans = _spans(found)
    parts = [page.verdict(found.sentence, good=not verdict.events), page.listing(found.notes)]
    if verdict.events:
        parts += [page.heading("Events"), page.grid(header(), event_rows(found))]
    if found.labels is not None:
        names = ["compared with the labels", "precision", "recall", "F1", ""]
        parts += [page.heading("How good it is"), page.grid(names, metric_rows(found))]
    scores = figures.Curve("score", np.arange(len(verdict.scores)), verdict.scores, "#000000")
    panels = [
        *_panels(data, outputs, np.arange(len(data.values))),
        figures.Panel("score and threshold", [scores], level=verdict.threshold.value),
    ]
    caption = (
        "What was there and what the model wrote; below, the score of each row and the threshold. "
        "Drag to zoom, double-click to zoom out."
    )
    parts += [
        page.heading("The series"),
        page.picture(figures.series(panels, data.labels, spans), caption),
    ]
    strangest = sorted(verdict.events, key=lambda event: -event.score)[:MOST_EVENTS]
    # In the order of time, so that a model that predicts reads the series once.
    strangest.sort()
    stretches = [_around(event, len(data.values), found.detector) for event in strangest]
    looked = look(found.detector, data.values, stretches)
    for event, (rows, run) in zip(strangest, looked, strict=True):
        layer = run.layers[0]
        drawn = figures.gates(
            run, layer, 0, rows, data.labels, _inside(spans, rows), _panels(data, outputs, rows)
        )
        parts += [
            page.heading(f"The gates around {data.labels[event.peak]}"),
            page.picture(
                drawn,
                f"Units of {layer}, the longest memory on top, while it read these rows.",
            ),
        ]
    return parts


def _panels(data: Table, outputs: np.ndarray, rows: np.ndarray) -> list[figures.Panel]:
    return [
        figures.Panel(
            name,
            [
                figures.Curve("data", rows, data.values[rows, column]),
                figures.Curve("model", rows, outputs[rows, column], COLOURS[4], "dot"),
            ],
        )
        for column, name in enumerate(data.columns[:SHOWN_COLUMNS])
    ]


def _spans(found: Found) -> list[figures.Span]:
    spans = [
        figures.Span(event.start, event.stop - 1, "detected", DETECTED)
        for event in found.verdict.events
    ]
    if found.labels is not None:
        known = metrics.events(found.labels)
        spans += [figures.Span(e.start, e.stop - 1, "labelled", LABELLED) for e in known]
    return spans


def _inside(spans: Sequence[figures.Span], rows: np.ndarray) -> list[figures.Span]:
    """The spans as far as they lie among `rows`."""
    first, last = int(rows[0]), int(rows[-1])
    return [
        span._replace(first=max(span.first, first), last=min(span.last, last))
        for span in spans
        if span.first <= last and span.last >= first
    ]


def _around(event, rows: int, detector: Detector) -> tuple[int, int]:
    """An event with what comes before and after it; of a long one, what lies around its peak."""
    beside = max(20, detector.settings.window // 2)
    first, last = event.start - beside, event.stop + beside
    if last - first > MOST_ROWS:
        first, last = event.peak - MOST_ROWS // 2, event.peak + MOST_ROWS // 2
    first = max(first, detector.prepared.lost)
    return first, max(min(last, rows), first + 1)


def _cell(number: float):
    return "" if number != number else number
