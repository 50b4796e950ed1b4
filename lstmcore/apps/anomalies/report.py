"""The results of `lstmcore anomalies`: scores and events as CSV files, figures, an HTML page.

In this order: the data of a report, its files, the sentences that sum it up, the tables of events
and metrics, the page, and the figures on the page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore.apps import run_folder
from lstmcore.apps.anomalies import metrics, rival_report
from lstmcore.apps.anomalies.comparison import Comparison
from lstmcore.apps.anomalies.detection import Detection, DetectionResult
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.gates import gate_traces
from lstmcore.apps.report import figures, page, series_data
from lstmcore.formatting import count, listed
from lstmcore.series import Table
from lstmcore.series.events import Event
from lstmcore.study import plots
from lstmcore.study.plots.style import COLOURS

EVENTS = ("first", "last", "rows", "peak", "score", "times_threshold", "column", "contribution")
HEADINGS = ("first", "last", "rows", "peak", "score", "times the threshold", "mostly in")
METRICS = ("counted", "precision", "recall", "F1", "")
SHOWN_COLUMNS = 6  # of a wide table, in figures
SHOWN_GATES, SHOWN_ROWS = 6, 400  # events whose gates are drawn, and rows around each
MOST_LISTED = 100  # events in the table
PARTS = {  # of an adaptive score, for readers
    "spike": "single rows",
    "loud": "the mean of a third of a window",
    "change": "the level of a window",
}
DETECTED, LABELLED = COLOURS[1], COLOURS[5]


class ReportData(NamedTuple):
    """The contents of a report.

    Attributes:
      source: name of the table that was scored.
      table: the table.
      detector: from `train`.
      result: from `detect`.
      labels: bool [rows], rows that are known to be anomalous, or None.
      notes: sentences about the table and the result.
      comparison: from `compare`; None without rivals.
    """

    source: str
    table: Table
    detector: Detector
    result: DetectionResult
    labels: np.ndarray | None
    notes: Sequence[str]
    comparison: Comparison | None = None


def write(folder: Path, data: ReportData) -> None:
    """Write scores.csv, events.csv, rivals.csv, the figures and report.html."""
    table, result = data.table, data.result
    outputs = data.detector.outputs(table.values)
    names = [table.label_name, *table.columns, *(f"{name}_model" for name in table.columns)]
    run_folder.write_csv(
        folder / "scores.csv", [*names, "score", "flagged", "event"], _score_rows(data, outputs)
    )
    run_folder.write_csv(folder / "events.csv", EVENTS, event_rows(data))
    if data.comparison is not None:
        rival_report.write(folder, data.comparison, table)
    chosen = drawn_columns(data)
    figure = plots.plot_anomalies(
        table.values[:, chosen],
        result.scores,
        result.threshold,
        result.events,
        data.labels,
        outputs=outputs[:, chosen],
        columns=[table.columns[column] for column in chosen],
        xlabel=table.label_name,
        times=table.labels,
    )
    if len(chosen) < len(table.columns):
        figure.supxlabel(which_columns(data), fontsize="small")
    figure.savefig(folder / "anomalies.png", dpi=120)
    title = f"Anomalies in {Path(data.source).name}"
    page.write(folder / "report.html", title, parts(data, outputs))


def _score_rows(data: ReportData, outputs: np.ndarray) -> Iterator[list]:
    """Yield each row with the model's output, its score and the number of its event, from 1."""
    result = data.result
    numbers = np.zeros(len(result.scores), int)
    for number, event in enumerate(result.events, start=1):
        numbers[event.start : event.stop] = number
    flags = (result.scores > result.threshold.value).astype(int)
    columns = [*data.table.values.T, *outputs.T, result.scores]
    cells = zip(*(column.tolist() for column in columns), strict=True)
    lines = zip(data.table.labels, cells, flags.tolist(), numbers.tolist(), strict=True)
    for label, row, flag, number in lines:
        yield [label, *row, flag, number or ""]


def summary(result: DetectionResult, labels: Sequence) -> str:
    """Return one sentence on the events. labels: names of the rows."""
    events, threshold = result.events, result.threshold
    limit = f"above the threshold {threshold.value:.4g} ({threshold.how})"
    if not events:
        return f"No event {limit}."
    peak = max(events, key=lambda event: event.score)
    times = times_threshold(peak.score, threshold.value)
    which = "It peaks" if len(events) == 1 else "The most anomalous one peaks"
    return f"{count(len(events), 'event')} {limit}. {which} at {labels[peak.peak]}" + (
        f", at {times:.3g} times the threshold." if np.isfinite(times) else "."
    )


def times_threshold(score: float, threshold: float) -> float:
    """Return a score divided by the threshold; infinity if the threshold is 0."""
    return score / threshold if threshold else float("inf")


def caveats(
    result: DetectionResult, settings: Detection, normal: int, trained_on_own: bool
) -> list[str]:
    """Return sentences on the false alarms and the missed events to expect.

    Args:
      result: from `detect`.
      settings: as given to `detect`.
      normal: rows of the training part, validation rows included.
      trained_on_own: whether the training part is the start of the series that is scored.
    """
    has_score = np.isfinite(result.scores)
    tested = int(has_score[normal:].sum()) if trained_on_own else int(has_score.sum())
    notes = []
    if trained_on_own:
        notes.append(
            f"the first {count(normal, 'row')} are taken to be normal: they were trained on and "
            "set the threshold, so "
            + (
                "no event can be found in them, and an anomalous row among them raises the "
                "threshold"
                if settings.threshold == "maximum"
                else "anomalous rows among them are harder to find, and raise the threshold"
            )
            + "; --train names a table of normal rows instead"
        )
    if tested and settings.threshold != "margin":  # of which `calibration` has figures
        expected = settings.false_alarm_rate(normal) * tested
        notes.append(
            f"if all {count(tested, 'row')} {'after them ' * trained_on_own}were normal as well, "
            f"about {expected:.2g} of them would still be flagged (more if the model has "
            "overfitted the training part): a single row just above the threshold means little"
        )
    if not has_score.all():
        notes.append(
            f"{count(int((~has_score).sum()), 'row')} without a score: a value is missing, or too "
            "few rows come before"
        )
    return notes


def calibration(result: DetectionResult) -> list[str]:
    """Return sentences on how many rows are flagged, and how many normal ones would be."""
    scored = np.isfinite(result.scores).sum()
    flagged = (result.scores > result.threshold.value).sum()
    notes = []
    if scored:
        notes.append(
            f"{flagged:,} of {count(int(scored), 'row')} are flagged ({flagged / scored:.2%})"
        )
    held_out = result.held_out
    if held_out.rows:
        rate = f"{held_out.flagged:,} ({held_out.flagged / held_out.rows:.2%})"
        if not held_out.flagged:
            rate = f"none (so few rows say little of rates below {3 / held_out.rows:.2%})"
        notes.append(
            f"false alarms: of the last {count(held_out.rows, 'row')} of the training part, to "
            f"which no weight was fitted, {rate} would be flagged if the rows before them set the "
            "threshold"
        )
    return notes


def threshold_row(result: DetectionResult, labels: Sequence) -> list[str]:
    """Return a sentence on the normal row that sets the threshold, if one alone does.

    labels: names of the rows of the training part
    """
    if result.set_by is None:
        return []
    row, without, part = result.set_by
    limit = result.threshold.value
    if without > 0.995 * limit:
        return []
    of = f" for {PARTS[part]}" if part else ""
    return [
        f"the threshold{of} is set by row {labels[row]} of the training part: without it and its "
        f"neighbours, it would be about {without:.4g} instead of {limit:.4g}"
    ]


def echoes(result: DetectionResult, lags: Sequence[int]) -> list[str]:
    """Return a sentence on the echo that differencing gives an event, if there is any."""
    if not result.events or not lags:
        return []
    after = listed([count(lag, "row") for lag in lags])
    return [
        f"an event may have an echo {after} later, where the rows are compared with those of the "
        "event"
    ]


def close_together(result: DetectionResult, window: int) -> list[str]:
    """Return a sentence on events that may be parts of one, if there are any."""
    events = result.events
    near = sum(later.start - earlier.stop < window for earlier, later in pairwise(events))
    if not near:
        return []
    begin = "begins" if near == 1 else "begin"
    return [
        f"{near} of the {count(len(events), 'event')} {begin} less than a window of "
        f"{count(window, 'row')} after the previous one: --gap {window} joins such events"
    ]


def event_rows(data: ReportData, events: Sequence[Event] | None = None) -> Iterator[list]:
    """Yield a row of `EVENTS` for each event, or for those given."""
    labels, result = data.table.labels, data.result
    for event in result.events if events is None else events:
        contributions = np.nan_to_num(result.contributions[event.peak])
        column = int(contributions.argmax())
        yield [
            labels[event.start],
            labels[event.stop - 1],
            event.stop - event.start,
            labels[event.peak],
            event.score,
            times_threshold(event.score, result.threshold.value),
            data.table.columns[column],
            float(contributions[column]),
        ]


def most_anomalous(data: ReportData, number: int) -> list[Event]:
    """Return the events with the highest peaks, at most `number`, in the order of time."""
    return sorted(_by_peak(data)[:number])


def _by_peak(data: ReportData) -> list[Event]:
    return sorted(data.result.events, key=lambda event: -event.score)


def _event_cells(data: ReportData) -> list[list[str]]:
    cells = []
    for row in event_rows(data, most_anomalous(data, MOST_LISTED)):
        first, last, rows, peak, score, times, column, contribution = row
        where = f"{column} ({contribution:.0%})" if len(data.table.columns) > 1 else str(column)
        cells.append(
            [str(first), str(last), f"{rows:,}", str(peak), f"{score:.4g}", f"{times:.3g}", where]
        )
    return cells


def metric_cells(data: ReportData) -> list[list[str]]:
    """Return the rows of `METRICS`, by events and by rows, and a remark on each.

    They are empty without labels, and where the labels mark no row: recall is then undefined.

    Raises:
      ImportError: scikit-learn is missing.
    """
    labels, result = data.labels, data.result
    if labels is None or not labels.any():
        return []
    flags = result.scores > result.threshold.value
    by_event = metrics.eventwise(labels, result.events)
    counted = f"{by_event.detected:,} detected, {by_event.labelled:,} labelled"
    rows: list[tuple] = [
        ("events", by_event, counted),
        ("rows", metrics.pointwise(labels, flags), "long events count for more"),
    ]
    has_score = np.isfinite(result.scores)
    if labels[has_score].any():
        best = metrics.best_f1(labels[has_score], result.scores[has_score])
        hint = f"threshold {best.threshold:.4g}, by the labels"
        rows.append(("rows, at best", best, hint))
    return [
        [name, f"{good.precision:.3f}", f"{good.recall:.3f}", f"{good.f1:.3f}", hint]
        for name, good, hint in rows
    ]


def parts(data: ReportData, outputs: np.ndarray) -> list[str]:
    """Return the page in parts for `report.page.write`. outputs: [rows, F], of the detector."""
    table, result = data.table, data.result
    axis = series_data.time_axis(table.labels, table.label_name)
    spans, segments = _spans(data), _segments(data)
    verdict = [] if data.comparison is None else [data.comparison.sentence]
    html = [
        page.summary([summary(result, table.labels), *verdict], good=not result.events),
        page.listing(data.notes),
        page.heading("The series"),
        page.figure(*_series_figure(data, outputs, axis, spans, segments)),
    ]
    if result.events:
        html += [page.heading("Events"), page.grid(HEADINGS, _event_cells(data))]
        hidden = len(result.events) - MOST_LISTED
        if hidden > 0:
            text = f"The {MOST_LISTED} most anomalous; {hidden:,} more are in events.csv."
            html.append(page.paragraph(text))
    if cells := metric_cells(data):
        html += [
            page.heading("Compared with the labels"),
            page.grid(METRICS, cells),
            page.paragraph(
                "Precision: the fraction of what was detected that is labelled. Recall: the "
                "fraction of what is labelled that was detected. F1: their harmonic mean. A "
                "labelled event counts as detected if one of its rows is. The threshold of the "
                "last line is the one that suits these labels best, so its result is an upper "
                "bound."
            ),
        ]
    if data.comparison is not None:
        html += rival_report.parts(data.comparison)
    traces = gate_traces(data.detector, table.values, [segment for _, segment in segments])
    for (event, _), (rows, run) in zip(segments, traces, strict=True):
        layer = run.layers[0]
        panels = _panels(data, outputs, rows)
        figure = figures.gates(run, layer, 0, rows, axis, _inside(spans, rows), panels)
        html += [
            page.heading(f"The gates around {table.labels[event.peak]}"),
            page.figure(figure, _gates_caption(data.detector, layer)),
        ]
    return html


def drawn_columns(data: ReportData) -> list[int]:
    """Return the columns that figures show, in the order of the table: all, if they are few.

    Of many, those that contribute most to the score at the peaks of the most anomalous events; if
    these do not fill the figure, the first of the other columns as well.
    """
    columns = range(len(data.table.columns))
    if len(columns) <= SHOWN_COLUMNS:
        return list(columns)
    peaks = [event.peak for event in most_anomalous(data, SHOWN_COLUMNS)]
    chosen = np.nan_to_num(data.result.contributions[peaks]).argmax(axis=1).tolist()
    return sorted(list(dict.fromkeys([*chosen, *columns]))[:SHOWN_COLUMNS])


def which_columns(data: ReportData) -> str:
    """Return a sentence on the columns of a figure that shows only some of them."""
    return (
        f"Of {len(data.table.columns):,} columns {SHOWN_COLUMNS} are drawn: those that the "
        "most anomalous events are mostly in, then the first."
    )


def _series_figure(data: ReportData, outputs, axis, spans, segments) -> tuple:
    """Return (figure, caption) of the series with its scores."""
    table, result = data.table, data.result
    rows = np.arange(len(table.values))
    scores = series_data.Curve("score", rows, result.scores, COLOURS[6])
    panels = [
        *_panels(data, outputs, rows),
        series_data.Panel("score and threshold", [scores], level=result.threshold.value),
    ]
    if data.comparison is not None:
        panels.append(rival_report.panel(data.comparison))
    detail = [segment for _, segment in segments]
    caption = ["The data and the output of the model; below, the score of each row, with the "
               "threshold as a dashed line. Drag to zoom, double-click to see all."]  # fmt: skip
    if len(table.columns) > SHOWN_COLUMNS:
        caption.append(which_columns(data))
    if len(rows) > series_data.MOST_POINTS:
        caption.append(
            "The lines are drawn by their lowest and highest points, and in full around the events "
            "whose gates are below; all rows are in scores.csv."
        )
    if len(spans) > figures.MOST_SPANS:
        caption.append(f"Of {len(spans):,} events {figures.MOST_SPANS} are marked.")
    return figures.series(panels, axis, spans, detail=detail), " ".join(caption)


def _gates_caption(detector: Detector, layer: str) -> str:
    caption = f"A line for each unit of {layer}, the longest memory on top, over these rows."
    if detector.settings.method == "prediction":
        return caption
    window = detector.settings.window
    return (
        f"{caption} The model reads windows of {count(window, 'row')}, shown one after the other: "
        f"its state is zero at the start of each, and a pattern that repeats every {window} rows "
        "comes from that."
    )


def _panels(data: ReportData, outputs: np.ndarray, rows: np.ndarray) -> list[series_data.Panel]:
    return [
        series_data.Panel(
            data.table.columns[column],
            [
                series_data.Curve("data", rows, data.table.values[rows, column]),
                series_data.Curve("model", rows, outputs[rows, column], COLOURS[4], "dot"),
            ],
        )
        for column in drawn_columns(data)
    ]


def _spans(data: ReportData) -> list[series_data.Span]:
    """Return labelled and detected events, the most anomalous first.

    A figure marks only the first of them.
    """
    spans = [
        series_data.Span(event.start, event.stop - 1, "detected", DETECTED)
        for event in _by_peak(data)
    ]
    if data.labels is not None:
        labelled = [
            series_data.Span(event.start, event.stop - 1, "labelled", LABELLED)
            for event in metrics.events(data.labels)
        ]
        spans = labelled[: figures.MOST_SPANS // 2] + spans
    return spans


def _inside(spans: Sequence[series_data.Span], rows: np.ndarray) -> list[series_data.Span]:
    """Return the spans that overlap `rows`, cut to them."""
    first, last = int(rows[0]), int(rows[-1])
    return [
        span._replace(first=max(span.first, first), last=min(span.last, last))
        for span in spans
        if span.first <= last and span.last >= first
    ]


def _segments(data: ReportData) -> list[tuple[Event, tuple[int, int]]]:
    """Return the most anomalous events and the rows around each, in the order of time.

    An event that lies in the segment of a more anomalous one is shown there.
    """
    rows = len(data.table.values)
    chosen: list[tuple[Event, tuple[int, int]]] = []
    for event in _by_peak(data):
        if len(chosen) == SHOWN_GATES:
            break
        if not any(first <= event.peak < stop for _, (first, stop) in chosen):
            chosen.append((event, _around(event, rows, data.detector)))
    # In the order of time, so that a model that predicts reads the series once.
    return sorted(chosen)


def _around(event: Event, rows: int, detector: Detector) -> tuple[int, int]:
    """Return an event's rows and those around it; of a long event, those around its peak."""
    margin = max(20, detector.settings.window // 2)
    first, stop = event.start - margin, event.stop + margin
    if stop - first > SHOWN_ROWS:
        first, stop = event.peak - SHOWN_ROWS // 2, event.peak + SHOWN_ROWS // 2
    return max(first, detector.settings.dropped_rows), min(stop, rows)
