"""What `lstmcore anomalies` leaves in its folder: scores, events, pictures, a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore import results
from lstmcore.anomalies import folder as storage
from lstmcore.anomalies import metrics
from lstmcore.anomalies.detector import Detector
from lstmcore.anomalies.event import Event
from lstmcore.anomalies.sentences import times_threshold
from lstmcore.anomalies.verdict import Verdict
from lstmcore.series import Table
from lstmcore.study import plots

SHOWN_COLUMNS = 6  # of a wide table, in pictures
EVENTS = ("first", "last", "rows", "peak", "score", "times_threshold", "column", "share")
METRICS = ("counted", "precision", "recall", "F1", "")


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
    results.write_json(folder / "settings.json", results.versions() | described)
    results.write_history(folder / "history.csv", detector.history)


def write(folder: Path, found: Found) -> None:
    """Scores and events as CSV, pictures, and the page."""
    from lstmcore.anomalies.report_page import parts
    from lstmcore.report import page

    data, verdict = found.data, found.verdict
    outputs = found.detector.outputs(data.values)
    names = [data.label_name, *data.columns, *(f"{name}_model" for name in data.columns)]
    results.write_csv(
        folder / "scores.csv", [*names, "score", "flagged", "event"], _score_rows(found, outputs)
    )
    results.write_csv(folder / "events.csv", EVENTS, event_rows(found))
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
