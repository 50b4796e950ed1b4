"""The page of a verdict, from the sentence on top to the gates around the strangest events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore.anomalies import metrics
from lstmcore.anomalies.detector import Detector
from lstmcore.anomalies.event import Event
from lstmcore.anomalies.looking import look
from lstmcore.anomalies.report import (
    METRICS,
    SHOWN_COLUMNS,
    Found,
    drawn_columns,
    event_rows,
    metric_cells,
    strangest,
    which_columns,
)
from lstmcore.anomalies.sentences import sentence
from lstmcore.report import curves, figures, page
from lstmcore.study.plots.style import COLOURS
from lstmcore.text import count

MOST_EVENTS, MOST_ROWS = 6, 400  # whose gates are drawn, those of the highest peaks
MOST_LISTED = 100  # events in the table
DETECTED, LABELLED = COLOURS[1], COLOURS[5]
EVENTS = ("first", "last", "rows", "peak", "score", "times the threshold", "mostly in")


def parts(found: Found, outputs: np.ndarray) -> list[str]:
    """The page in parts for `report.page.write`. outputs: [rows, F], of the detector."""
    data, verdict = found.data, found.verdict
    axis = curves.time_axis(data.labels, data.label_name)
    spans = _spans(found)
    stretches = _stretches(found)
    good = not verdict.events
    written = [
        page.verdict([sentence(verdict, data.labels)], good=good),
        page.listing(found.notes),
        page.heading("The series"),
        page.picture(*_series(found, outputs, axis, spans, stretches)),
    ]
    if verdict.events:
        written += [page.heading("Events"), page.grid(EVENTS, _event_cells(found))]
        hidden = len(verdict.events) - MOST_LISTED
        if hidden > 0:
            words = f"The {MOST_LISTED} strangest; {hidden:,} more are in events.csv."
            written.append(page.paragraph(words))
    if cells := metric_cells(found):
        written += [
            page.heading("Compared with the labels"),
            page.grid(METRICS, cells),
            page.paragraph(
                "Precision: which share of what was found is labelled. Recall: which share of "
                "what is labelled was found. F1: their harmonic mean. A labelled event counts as "
                "found if one of its rows is. The threshold of the last line is the one that "
                "suits these labels best: what it reaches is an upper bound."
            ),
        ]
    looked = look(found.detector, data.values, [stretch for _, stretch in stretches])
    for (event, _), (rows, run) in zip(stretches, looked, strict=True):
        layer = run.layers[0]
        inside = _inside(spans, rows)
        panels = _panels(found, outputs, rows)
        drawn = figures.gates(run, layer, 0, rows, axis, inside, panels)
        written += [
            page.heading(f"The gates around {data.labels[event.peak]}"),
            page.picture(drawn, _what_was_read(found.detector, layer)),
        ]
    return written


def _series(found: Found, outputs, axis, spans, stretches) -> tuple:
    """(figure, caption)"""
    data, verdict = found.data, found.verdict
    rows = np.arange(len(data.values))
    scores = curves.Curve("score", rows, verdict.scores, COLOURS[6])
    panels = [
        *_panels(found, outputs, rows),
        curves.Panel("score and threshold", [scores], level=verdict.threshold.value),
    ]
    detail = [stretch for _, stretch in stretches]
    said = ["What was there and what the model wrote; below, the score of each row, and dashed "
            "the threshold. Drag to zoom, double-click to see all."]  # fmt: skip
    if len(data.columns) > SHOWN_COLUMNS:
        said.append(which_columns(found))
    if len(rows) > curves.MOST_POINTS:
        said.append(
            "The lines are drawn by their lowest and highest points, and in full around the events "
            "whose gates are below; all rows are in scores.csv."
        )
    if len(spans) > figures.MOST_SPANS:
        said.append(f"Of {len(spans):,} stretches {figures.MOST_SPANS} are marked.")
    return figures.series(panels, axis, spans, detail=detail), " ".join(said)


def _event_cells(found: Found) -> list[list[str]]:
    cells = []
    for row in event_rows(found, strangest(found, MOST_LISTED)):
        first, last, rows, peak, score, times, column, share = row
        shared = f"{column} ({share:.0%})" if len(found.data.columns) > 1 else str(column)
        cells.append(
            [str(first), str(last), f"{rows:,}", str(peak), f"{score:.4g}", f"{times:.3g}", shared]
        )
    return cells


def _what_was_read(detector: Detector, layer: str) -> str:
    said = f"A line for each unit of {layer}, the longest memory on top, while it read these rows."
    if detector.settings.method == "prediction":
        return said
    window = detector.settings.window
    return (
        f"{said} It reads windows of {count(window, 'row')}, which stand one after the other here: "
        f"its memory is empty at the start of each, so what repeats every {window} rows is that."
    )


def _panels(found: Found, outputs: np.ndarray, rows: np.ndarray) -> list[curves.Panel]:
    return [
        curves.Panel(
            found.data.columns[column],
            [
                curves.Curve("data", rows, found.data.values[rows, column]),
                curves.Curve("model", rows, outputs[rows, column], COLOURS[4], "dot"),
            ],
        )
        for column in drawn_columns(found)
    ]


def _spans(found: Found) -> list[curves.Span]:
    """Labelled events and the detected ones, the strangest first: a figure marks so many."""
    events = sorted(found.verdict.events, key=lambda event: -event.score)
    spans = [curves.Span(e.start, e.stop - 1, "detected", DETECTED) for e in events]
    if found.labels is not None:
        known = metrics.events(found.labels)
        labelled = [curves.Span(e.start, e.stop - 1, "labelled", LABELLED) for e in known]
        spans = labelled[: figures.MOST_SPANS // 2] + spans
    return spans


def _inside(spans: Sequence[curves.Span], rows: np.ndarray) -> list[curves.Span]:
    """The spans as far as they lie among `rows`."""
    first, last = int(rows[0]), int(rows[-1])
    return [
        span._replace(first=max(span.first, first), last=min(span.last, last))
        for span in spans
        if span.first <= last and span.last >= first
    ]


def _stretches(found: Found) -> list[tuple[Event, tuple[int, int]]]:
    """The strangest events and the rows around each, in the order of time.

    An event that lies in the stretch of a stranger one is seen there.
    """
    rows = len(found.data.values)
    chosen: list[tuple[Event, tuple[int, int]]] = []
    for event in sorted(found.verdict.events, key=lambda event: -event.score):
        if len(chosen) == MOST_EVENTS:
            break
        if not any(first <= event.peak < stop for _, (first, stop) in chosen):
            chosen.append((event, _around(event, rows, found.detector)))
    # In the order of time, so that a model that predicts reads the series once.
    return sorted(chosen)


def _around(event: Event, rows: int, detector: Detector) -> tuple[int, int]:
    """An event with what comes before and after it; of a long one, what lies around its peak."""
    beside = max(20, detector.settings.window // 2)
    first, stop = event.start - beside, event.stop + beside
    if stop - first > MOST_ROWS:
        first, stop = event.peak - MOST_ROWS // 2, event.peak + MOST_ROWS // 2
    return max(first, detector.prepared.lost), min(stop, rows)
