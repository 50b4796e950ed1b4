"""The results of `lstmcore anomalies --id`: as those of one series, in long form, and a summary."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstmcore.apps import run_folder
from lstmcore.apps.anomalies import report, verdict
from lstmcore.apps.anomalies.detector import Detector
from lstmcore.apps.anomalies.report import EVENTS, HEADINGS, ReportData
from lstmcore.apps.anomalies.results import SeparateResult
from lstmcore.apps.report import page
from lstmcore.formatting import count
from lstmcore.series import Table
from lstmcore.series.events import flags_of
from lstmcore.study import plots

SERIES = ("score", "flagged", "events", "rows", "flagged_rows")
MOST_DRAWN = 12  # series with events, on the page
FEWEST_HELD_OUT = 5  # of which a rate of false alarms says anything
MOST_LISTED = 200  # series in the table of the page


class SeparateData(NamedTuple):
    """The contents of a report on separate series.

    Attributes:
      source: name of the table that was scored.
      id_name: its column of ids.
      tables: {id: table}.
      detector: from `train`.
      result: from `detect`, of these tables.
      notes: sentences about the tables and the result.
    """

    source: str
    id_name: str
    tables: Mapping[Any, Table]
    detector: Detector
    result: SeparateResult
    notes: Sequence[str]

    def of(self, id: Any) -> ReportData:
        """Return the data of the report on one of the series."""
        return ReportData(
            self.source, self.tables[id], self.detector, self.result[id], None, (), id=id
        )

    def ordered(self) -> list[Any]:
        """Return the ids, those with the most anomalous event first, then by their own score."""
        ids = list(self.tables)
        peaks = [
            max((event.score for event in self.result[id].events), default=-np.inf) for id in ids
        ]
        own = np.nan_to_num(self.result.scores, nan=-np.inf)
        return [ids[place] for place in np.lexsort((-own, -np.array(peaks)))]


def write(folder: Path, data: SeparateData) -> None:
    """Write scores.csv, events.csv, series.csv, a figure and report.html."""
    first = next(iter(data.tables.values()))
    outputs = {id: data.detector.outputs(table.values, id) for id, table in data.tables.items()}
    names = [first.label_name, *first.columns, *(f"{name}_model" for name in first.columns)]
    run_folder.write_csv(
        folder / "scores.csv",
        [data.id_name, *names, "score", "flagged", "event"],
        ([id, *row] for id in data.tables for row in report.score_rows(data.of(id), outputs[id])),
    )
    run_folder.write_csv(folder / "events.csv", [data.id_name, *EVENTS], event_rows(data))
    run_folder.write_csv(folder / "series.csv", [data.id_name, *SERIES], series_rows(data))
    shown = data.of(data.ordered()[0])
    chosen = report.drawn_columns(shown)
    figure = plots.plot_anomalies(
        shown.table.values[:, chosen],
        shown.result.scores,
        shown.result.threshold,
        shown.result.events,
        None,
        outputs=outputs[shown.id][:, chosen],
        columns=[shown.table.columns[column] for column in chosen],
        xlabel=shown.table.label_name,
        times=shown.table.labels,
    )
    figure.suptitle(f"{data.id_name} {shown.id}", fontsize="small")
    figure.savefig(folder / "anomalies.png", dpi=120)
    title = f"Anomalies in {Path(data.source).name}, by {data.id_name}"
    page.write(folder / "report.html", title, parts(data, outputs))


def event_rows(data: SeparateData) -> Iterator[list]:
    """Yield a row of `EVENTS` for each event, after the id of its series."""
    for id in data.tables:
        for row in report.event_rows(data.of(id)):
            yield [id, *row]


def series_rows(data: SeparateData) -> Iterator[list]:
    """Yield a row of `SERIES` for each series, after its id; "flagged" is "" without a verdict."""
    found = zip(data.tables, data.result.scores, data.result.flags, strict=True)
    judged = data.result.has_verdict
    for id, score, flag in found:
        result = data.result[id]
        inside = flags_of(result.events, len(result.scores))
        yield [
            id,
            float(score),
            int(flag) if judged else "",
            len(result.events),
            len(result.scores),
            int(inside.sum()),
        ]


def summary(data: SeparateData) -> str:
    """Return one sentence on the events, and on series that are odd as a whole."""
    result = data.result
    number = sum(len(found.events) for found in result.series.values())
    holding = sum(bool(found.events) for found in result.series.values())
    limit = next(iter(result.series.values())).threshold
    where = f"{count(number, 'event')} in {holding} of {len(result)} series"
    by = result.threshold.how
    if result.has_verdict:
        by = f"mean error above {result.threshold.value:.4g}: {by}"
    return f"{where}, above the threshold {limit.value:.4g} ({limit.how}); {result.verdict} ({by})."


def doubts(data: SeparateData) -> list[str]:
    """Return a sentence that warns of the events, as `verdict.doubts`."""
    results = list(data.result.series.values())
    flagged, scored, _ = verdict.counts(results)
    return verdict.doubts(flagged, scored, results[0].held_out)


def remarks(data: SeparateData) -> list[str]:
    """Return the sentences on the result that stand above its events, as of a single series."""
    results, settings = list(data.result.series.values()), data.detector.settings
    notes = []
    if season := settings.season_rows:
        notes.append(
            f"a season of {count(season, 'row')} is removed: the first of each series has no score"
        )
    notes += verdict.unscored(verdict.counts(results)[2])
    notes += calibration(data)
    events = sum(len(found.events) for found in results)
    notes += verdict.echoes(events, settings.preprocessing.difference)
    return notes + verdict.close_together(results, settings.window)


def calibration(data: SeparateData) -> list[str]:
    """Return sentences on how many are flagged, and how many normal ones would be."""
    results = list(data.result.series.values())
    flagged, scored, _ = verdict.counts(results)
    notes = verdict.flagged_rows(flagged, scored)
    kinds = (("row", results[0].held_out), ("series", data.result.held_out))
    for word, held_out in kinds:
        if held_out.rows < FEWEST_HELD_OUT:
            continue
        of = count(held_out.rows, word) if word == "row" else f"{held_out.rows} series"
        notes.append(
            f"false alarms: of {of} of the training part, on which the model was not trained, "
            f"{verdict.rate_of(held_out)} would be flagged if others set the threshold"
        )
    return notes


def parts(data: SeparateData, outputs: Mapping[Any, np.ndarray]) -> list[str]:
    """Return the page in parts for `report.page.write`. outputs: of the detector, by id."""
    ids = data.ordered()
    rows = {row[0]: row for row in series_rows(data)}
    cells = []
    for id in ids[:MOST_LISTED]:
        _, score, flag, events, number, flagged = rows[id]
        cells.append(
            [
                str(id),
                f"{events:,}",
                f"{flagged:,}",
                f"{number:,}",
                f"{score:.4g}",
                "odd" if flag else "",
            ]
        )
    html = [
        page.summary(
            [*doubts(data), summary(data)],
            good=not any(rows[id][3] or rows[id][2] for id in ids),
        ),
        page.listing(data.notes),
        page.heading("The series"),
        page.grid([data.id_name, "events", "rows in them", "rows", "score", "as a whole"], cells),
    ]
    if len(ids) > MOST_LISTED:
        html.append(page.paragraph(f"{len(ids) - MOST_LISTED:,} more are in series.csv."))
    drawn = [id for id in ids if data.result[id].events]
    for id in drawn[:MOST_DRAWN]:
        html += [
            page.heading(f"{data.id_name} {id}"),
            page.figure(*report.series_figure(data.of(id), outputs[id])),
            page.grid(HEADINGS, report.event_cells(data.of(id))),
        ]
    if len(drawn) > MOST_DRAWN:
        others = len(drawn) - MOST_DRAWN
        html.append(page.paragraph(f"{others:,} more series with events are in events.csv."))
    return html
