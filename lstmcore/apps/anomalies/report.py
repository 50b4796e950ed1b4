"""The results of `lstmcore anomalies`: scores and events as CSV files, figures, an HTML page.

In this order: the data of a report, its files, the tables of events and metrics, the page, and the
figures on the page. What is said of the events is in `verdict`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from lstmcore.apps import run_folder
from lstmcore.apps.anomalies import metrics, rival_report, threshold_report
from lstmcore.apps.anomalies.comparison import Comparison
from lstmcore.apps.anomalies.detection import DetectionResult
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.gates import gate_traces
from lstmcore.apps.anomalies.verdict import doubts_of, summary, threshold_row, times_threshold
from lstmcore.apps.report import figures, page, series_data
from lstmcore.formatting import count
from lstmcore.series import Table
from lstmcore.series.events import Event
from lstmcore.study import plots
from lstmcore.study.plots.style import DETECTED, LABELLED, MODEL
from lstmcore.study.record import Run

EVENTS = ("first", "last", "rows", "peak", "score", "times_threshold", "column", "contribution")
HEADINGS = ("first", "last", "rows", "peak", "score", "times the threshold", "mostly in")
METRICS = ("counted", "precision", "recall", "F1", "")
SHOWN_COLUMNS = 6  # of a wide table, in figures
SHOWN_GATES, SHOWN_ROWS = 6, 400  # events whose gates are drawn, and rows around each
MOST_LISTED = 100  # events in the table


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
      training: the table that the detector was trained on, or None if it is not known.
      is_own: whether that is the start of `table`.
      id: name of the series, if it is one of several.
      before: [n, F], rows right before the table, from which the detector went on; or None.
    """

    source: str
    table: Table
    detector: Detector
    result: DetectionResult
    labels: np.ndarray | None
    notes: Sequence[str]
    comparison: Comparison | None = None
    training: Table | None = None
    is_own: bool = True
    id: Any = None
    before: np.ndarray | None = None

    @property
    def first(self) -> int:
        """Return the number of rows before the table."""
        return 0 if self.before is None else len(self.before)

    def read(self) -> np.ndarray:
        """Return all rows that the detector has read, [n + rows, F]."""
        values = self.table.values
        return values if self.before is None else np.concatenate([self.before, values])


def write(folder: Path, data: ReportData) -> None:
    """Write scores.csv, events.csv, rivals.csv, the figures and report.html."""
    table, result = data.table, data.result
    outputs = data.detector.outputs(data.read())[data.first :]
    names = [table.label_name, *table.columns, *(f"{name}_model" for name in table.columns)]
    run_folder.write_csv(
        folder / "scores.csv", [*names, "score", "flagged", "event"], score_rows(data, outputs)
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


def score_rows(data: ReportData, outputs: np.ndarray) -> Iterator[list]:
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


def event_cells(data: ReportData) -> list[list[str]]:
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
    links = dict.fromkeys(_of_threshold(data), threshold_report.ANCHOR)
    html = [
        page.summary(
            [*doubts_of(result), summary(result, table.labels), *verdict], good=not result.events
        ),
        page.listing(data.notes, links),
        page.heading("The series"),
        page.figure(*_series_figure(data, outputs, axis, spans, segments)),
    ]
    if result.events:
        html += [page.heading("Events"), page.grid(HEADINGS, event_cells(data))]
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
    if links and not data.is_own:
        html += _training_parts(data)
    for (event, _), (rows, run) in zip(segments, _gates(data, segments), strict=True):
        layer = run.layers[0]
        panels = _panels(data, outputs, rows)
        figure = figures.gates(run, layer, 0, rows, axis, _inside(spans, rows), panels)
        html += [
            page.heading(f"The gates around {table.labels[event.peak]}"),
            page.figure(figure, _gates_caption(data.detector, layer)),
        ]
    return html


def _gates(
    data: ReportData, segments: Sequence[tuple[Event, tuple[int, int]]]
) -> Iterator[tuple[np.ndarray, Run]]:
    """Yield (rows of the table [T], the run over them) of each segment."""
    places = [(first + data.first, stop + data.first) for _, (first, stop) in segments]
    for rows, run in gate_traces(data.detector, data.read(), places):
        cut = int((rows < data.first).sum())  # a window may reach into the rows before
        own = jax.tree.map(lambda leaf, cut=cut: leaf[:, cut:], run) if cut else run
        yield rows[cut:] - data.first, own


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


def _of_threshold(data: ReportData) -> list[str]:
    """Return the sentence on the training row that sets the threshold, if it can be shown."""
    return [] if data.training is None else threshold_row(data.result, data.training.labels)


def series_figure(data: ReportData, outputs: np.ndarray) -> tuple:
    """Return (figure, caption) of one of several series. outputs: [rows, F], of the detector."""
    axis = series_data.time_axis(data.table.labels, data.table.label_name)
    return _series_figure(data, outputs, axis, _spans(data), _segments(data))


def _series_figure(data: ReportData, outputs, axis, spans, segments) -> tuple:
    """Return (figure, caption) of the series with its scores."""
    table, result = data.table, data.result
    rows = np.arange(len(table.values))
    panels = [*_panels(data, outputs, rows), threshold_report.panel(result.scores, result)]
    if data.comparison is not None:
        panels.append(rival_report.panel(data.comparison))
    is_marked = data.is_own and bool(_of_threshold(data))
    window = data.detector.settings.window
    views, marks = threshold_report.marked(result, window, len(rows)) if is_marked else ([], [])
    detail = [segment for _, segment in segments]
    caption = ["The data and the output of the model; below, the score of each row, with the "
               "threshold as a dashed line. Drag to zoom, double-click to see all."]  # fmt: skip
    if len(table.columns) > SHOWN_COLUMNS:
        caption.append(which_columns(data))
    if len(rows) > series_data.MOST_POINTS:
        around = ", and in full around the most anomalous events" if detail else ""
        caption.append(
            f"The lines are drawn by their lowest and highest points{around}; all rows are in "
            "scores.csv."
        )
    if len(spans) > figures.MOST_SPANS:
        caption.append(f"Of {len(spans):,} events {figures.MOST_SPANS} are marked.")
    figure = figures.series(panels, axis, spans, views=views, detail=detail, marks=marks)
    return figure, " ".join(caption)


def _training_parts(data: ReportData) -> list[str]:
    """Return the row that sets the threshold, where it is in a table of its own."""
    assert data.training is not None  # as there is a sentence on it
    scores = data.result.score(data.detector.training_errors)
    window = data.detector.settings.window
    return threshold_report.parts(data.result, scores, data.training, drawn_columns(data), window)


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
                series_data.Curve("model", rows, outputs[rows, column], MODEL, "dot"),
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
            chosen.append((event, _around(event, rows, data)))
    # In the order of time, so that a model that predicts reads the series once.
    return sorted(chosen)


def _around(event: Event, rows: int, data: ReportData) -> tuple[int, int]:
    """Return an event's rows and those around it; of a long event, those around its peak."""
    settings = data.detector.settings
    margin = max(20, settings.window // 2)
    first, stop = event.start - margin, event.stop + margin
    if stop - first > SHOWN_ROWS:
        first, stop = event.peak - SHOWN_ROWS // 2, event.peak + SHOWN_ROWS // 2
    return max(first, settings.dropped_rows - data.first, 0), min(stop, rows)
