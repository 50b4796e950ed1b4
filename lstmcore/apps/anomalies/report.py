"""What `lstmcore anomalies` leaves in its folder: scores, events, pictures, a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore.apps import run_folder
from lstmcore.apps.anomalies import detector as storage
from lstmcore.apps.anomalies import metrics
from lstmcore.apps.anomalies.detection import LEVELS, DetectionResult
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.gates import gate_traces
from lstmcore.apps.report import figures, page, series_data
from lstmcore.formatting import count, listed
from lstmcore.series import Table
from lstmcore.series.events import Event
from lstmcore.study import plots
from lstmcore.study.plots.style import COLOURS


def sentence(verdict: DetectionResult, labels: Sequence) -> str:
    """What a reader in a hurry should know. labels: names of the rows."""
    events, threshold = verdict.events, verdict.threshold
    limit = f"above the threshold {threshold.value:.4g} ({threshold.how})"
    if not events:
        return f"No event {limit}."
    peak = max(events, key=lambda event: event.score)
    said = f"{count(len(events), 'event')} {limit}."
    times = times_threshold(peak.score, threshold.value)
    which = "It peaks" if len(events) == 1 else "The strangest peaks"
    return f"{said} {which} at {labels[peak.peak]}" + (
        f", with {times:.3g} times the threshold." if np.isfinite(times) else "."
    )


def times_threshold(score: float, threshold: float) -> float:
    """How many times the threshold a score is; infinitely many of a threshold of 0."""
    return score / threshold if threshold else float("inf")


def promises(
    verdict: DetectionResult, kind: str, level: float | None, normal: int, trained_on_own: bool
) -> list[str]:
    """What is to be kept in mind about false alarms and missed events.

    Args:
      verdict: of `detect`.
      kind: of threshold.
      level: as given to `detect`.
      normal: rows of the training part, held-out ones among them.
      trained_on_own: whether the training part is the start of the series that is judged.
    """
    scored = np.isfinite(verdict.scores)
    judged = int(scored[normal:].sum()) if trained_on_own else int(scored.sum())
    said = []
    if trained_on_own:
        said.append(
            f"the first {count(normal, 'row')} are taken to be normal: they were trained on and "
            "set the threshold, so that "
            + (
                "no event can be found in them, and a strange row among them raises the threshold"
                if kind == "maximum"
                else "strange rows among them are found less easily, and raise the threshold"
            )
            + "; --train names a table without any"
        )
    chance = 1 / (normal + 1) if kind == "maximum" else _chance(kind, level)
    if judged:
        expected = chance * judged
        said.append(
            f"were all {count(judged, 'row')} {'after them ' * trained_on_own}normal, too, about "
            f"{expected:.2g} of them would still be flagged (and more if the model has learnt the "
            "training part by heart): a single row just above the threshold means little"
        )
    unscored = int((~scored).sum())
    if unscored:
        said.append(f"{count(unscored, 'row')} without a score: missing, or without rows before")
    return said


def echoes(verdict: DetectionResult, lags: Sequence[int]) -> list[str]:
    """What differences do to events."""
    if not verdict.events or not lags:
        return []
    after = listed([count(lag, "row") for lag in lags])
    return [
        f"an event may have an echo {after} after it, where the rows are compared with those of "
        "the event"
    ]


def close_together(verdict: DetectionResult, window: int) -> list[str]:
    """Whether events may be parts of one."""
    found = verdict.events
    near = sum(later.start - earlier.stop < window for earlier, later in pairwise(found))
    if not near:
        return []
    return [
        f"{near} of the {count(len(found), 'event')} begin less than a window of "
        f"{count(window, 'row')} "
        f"after the one before: --gap {window} joins such events"
    ]


def _chance(kind: str, level: float | None) -> float:
    level = LEVELS[kind] if level is None else level
    return 1 - level if kind == "quantile" else level


SHOWN_COLUMNS = 6  # of a wide table, in pictures
EVENTS = ("first", "last", "rows", "peak", "score", "times_threshold", "column", "share")
METRICS = ("counted", "precision", "recall", "F1", "")


class Found(NamedTuple):
    """All that a report is about.

    Attributes:
      source: name of the table that was judged.
      data: the table.
      detector, verdict: of `train` and `detect`.
      labels: bool [rows], rows that are known to be strange, or None.
      notes: sentences about the data.
    """

    source: str
    data: Table
    detector: Detector
    verdict: DetectionResult
    labels: np.ndarray | None
    notes: Sequence[str]


def event_rows(found: Found, events: Sequence[Event] | None = None) -> Iterator[list]:
    """A row of `EVENTS` for each event, or for each of some of them."""
    labels, verdict = found.data.labels, found.verdict
    for event in verdict.events if events is None else events:
        shares = np.nan_to_num(verdict.shares[event.peak])
        column = int(shares.argmax())
        yield [
            labels[event.start],
            labels[event.stop - 1],
            event.stop - event.start,
            labels[event.peak],
            event.score,
            times_threshold(event.score, verdict.threshold.value),
            found.data.columns[column],
            float(shares[column]),
        ]


def strangest(found: Found, most: int) -> list[Event]:
    """The events with the highest peaks, in the order of time."""
    return sorted(sorted(found.verdict.events, key=lambda event: -event.score)[:most])


def drawn_columns(found: Found) -> list[int]:
    """The columns that pictures show, in the order of the table: all, if they are few.

    Of many, those from which most of the score comes at the peaks of the strangest events; where
    these are fewer than a picture has room for, the first of the others, too.
    """
    columns = range(len(found.data.columns))
    if len(columns) <= SHOWN_COLUMNS:
        return list(columns)
    peaks = [event.peak for event in strangest(found, SHOWN_COLUMNS)]
    chosen = np.nan_to_num(found.verdict.shares[peaks]).argmax(axis=1).tolist()
    return sorted(list(dict.fromkeys([*chosen, *columns]))[:SHOWN_COLUMNS])


def which_columns(found: Found) -> str:
    """A sentence on the columns of a picture that shows some of them."""
    return (
        f"Of {len(found.data.columns):,} columns {SHOWN_COLUMNS} are drawn: those that the "
        "strangest events are mostly in, then the first."
    )


def metric_cells(found: Found) -> list[list[str]]:
    """How good it is, to read: what is measured, precision, recall, F1, what to keep in mind.

    Empty without labels, and where they mark no row: then recall is not defined.

    Raises:
      ImportError: scikit-learn is missing.
    """
    labels, verdict = found.labels, found.verdict
    if labels is None or not labels.any():
        return []
    flags = verdict.scores > verdict.threshold.value
    by_event = metrics.eventwise(labels, verdict.events)
    counted = f"{by_event.detected:,} found, {by_event.labelled:,} labelled"
    rows: list[tuple] = [
        ("events", by_event, counted),
        ("rows", metrics.pointwise(labels, flags), "long events weigh more"),
    ]
    known = np.isfinite(verdict.scores)
    if labels[known].any():
        best = metrics.best_f1(labels[known], verdict.scores[known])
        hint = f"threshold {best.threshold:.4g}, by the labels"
        rows.append(("rows, at best", best, hint))
    return [
        [name, f"{good.precision:.3f}", f"{good.recall:.3f}", f"{good.f1:.3f}", hint]
        for name, good, hint in rows
    ]


def write_model(folder: Path, detector: Detector, described: dict) -> None:
    """What must not be lost: the detector, how it was trained, and on what."""
    storage.write_parts(folder, detector)
    run_folder.write_json(folder / "settings.json", run_folder.versions() | described)
    run_folder.write_history(folder / "history.csv", detector.history)


def write(folder: Path, found: Found) -> None:
    """Scores and events as CSV, pictures, and the page."""
    data, verdict = found.data, found.verdict
    outputs = found.detector.outputs(data.values)
    names = [data.label_name, *data.columns, *(f"{name}_model" for name in data.columns)]
    run_folder.write_csv(
        folder / "scores.csv", [*names, "score", "flagged", "event"], _score_rows(found, outputs)
    )
    run_folder.write_csv(folder / "events.csv", EVENTS, event_rows(found))
    plots.plot_loss(found.detector.history).savefig(folder / "loss.png", dpi=120)
    chosen = drawn_columns(found)
    figure = plots.plot_anomalies(
        data.values[:, chosen],
        verdict.scores,
        verdict.threshold,
        verdict.events,
        found.labels,
        outputs=outputs[:, chosen],
        columns=[data.columns[column] for column in chosen],
        xlabel=data.label_name,
        times=data.labels,
    )
    if len(chosen) < len(data.columns):
        figure.supxlabel(which_columns(found), fontsize="small")
    figure.savefig(folder / "anomalies.png", dpi=120)
    title = f"Anomalies in {Path(found.source).name}"
    page.write(folder / "report.html", title, parts(found, outputs))


def _score_rows(found: Found, outputs: np.ndarray) -> Iterator[list]:
    """Each row with what the model wrote, its score, and the number of its event, from 1."""
    verdict = found.verdict
    numbers = np.zeros(len(verdict.scores), int)
    for number, event in enumerate(verdict.events, start=1):
        numbers[event.start : event.stop] = number
    flags = (verdict.scores > verdict.threshold.value).astype(int)
    columns = [*found.data.values.T, *outputs.T, verdict.scores]
    cells = zip(*(column.tolist() for column in columns), strict=True)
    every = zip(found.data.labels, cells, flags.tolist(), numbers.tolist(), strict=True)
    for label, row, flag, number in every:
        yield [label, *("" if cell != cell else cell for cell in row), flag, number or ""]


MOST_EVENTS, MOST_ROWS = 6, 400  # whose gates are drawn, those of the highest peaks
MOST_LISTED = 100  # events in the table
DETECTED, LABELLED = COLOURS[1], COLOURS[5]
HEADINGS = ("first", "last", "rows", "peak", "score", "times the threshold", "mostly in")


def parts(found: Found, outputs: np.ndarray) -> list[str]:
    """The page in parts for `report.page.write`. outputs: [rows, F], of the detector."""
    data, verdict = found.data, found.verdict
    axis = series_data.time_axis(data.labels, data.label_name)
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
        written += [page.heading("Events"), page.grid(HEADINGS, _event_cells(found))]
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
    looked = gate_traces(found.detector, data.values, [stretch for _, stretch in stretches])
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
    scores = series_data.Curve("score", rows, verdict.scores, COLOURS[6])
    panels = [
        *_panels(found, outputs, rows),
        series_data.Panel("score and threshold", [scores], level=verdict.threshold.value),
    ]
    detail = [stretch for _, stretch in stretches]
    said = ["What was there and what the model wrote; below, the score of each row, and dashed "
            "the threshold. Drag to zoom, double-click to see all."]  # fmt: skip
    if len(data.columns) > SHOWN_COLUMNS:
        said.append(which_columns(found))
    if len(rows) > series_data.MOST_POINTS:
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


def _panels(found: Found, outputs: np.ndarray, rows: np.ndarray) -> list[series_data.Panel]:
    return [
        series_data.Panel(
            found.data.columns[column],
            [
                series_data.Curve("data", rows, found.data.values[rows, column]),
                series_data.Curve("model", rows, outputs[rows, column], COLOURS[4], "dot"),
            ],
        )
        for column in drawn_columns(found)
    ]


def _spans(found: Found) -> list[series_data.Span]:
    """Labelled events and the detected ones, the strangest first: a figure marks so many."""
    events = sorted(found.verdict.events, key=lambda event: -event.score)
    spans = [series_data.Span(e.start, e.stop - 1, "detected", DETECTED) for e in events]
    if found.labels is not None:
        known = metrics.events(found.labels)
        labelled = [series_data.Span(e.start, e.stop - 1, "labelled", LABELLED) for e in known]
        spans = labelled[: figures.MOST_SPANS // 2] + spans
    return spans


def _inside(spans: Sequence[series_data.Span], rows: np.ndarray) -> list[series_data.Span]:
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
    return max(first, detector.preprocessor.dropped_rows), min(stop, rows)
