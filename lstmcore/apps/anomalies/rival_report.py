"""The rivals of a detector in its report: rivals.csv, a table and a panel of the figure."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lstmcore.apps import run_folder
from lstmcore.apps.anomalies.comparison import Comparison
from lstmcore.apps.anomalies.rivals import DESCRIPTIONS
from lstmcore.apps.report import page, series_data
from lstmcore.series import Table
from lstmcore.series.events import flags_of
from lstmcore.study.plots.style import RIVALS

FILE = "rivals.csv"
METHODS = (
    "Simple methods are fitted to the same training rows, with thresholds by the same rule. Robust "
    "z-score: the distance of a row to the median, in units of the spread, largest over the "
    "columns. PCA of windows: how far the rows of a window are from their mean along its principal "
    "components, and how badly these reconstruct it. Isolation forest: how few random cuts "
    "separate a window from the others. Their scores count from the median of the training rows; "
    f"all are in {FILE}."
)
TESTED = (
    "Precision, recall and F1 are those of events. Whether two F1 differ by more than chance is "
    "decided by a paired test, which exchanges what the two methods found, event by event (Yeh "
    "2000): significant means a p-value below 5%. The best simple method is chosen in hindsight, "
    "in its favour."
)
OVERLAP = (
    "Shared: events of the LSTM that a method finds as well. Others: events that it finds without "
    "the LSTM. Which method is right is not known without labels."
)
HIGH = 0.8  # how far a line rises within the height of 1 that each has
COLOURS = dict(zip(DESCRIPTIONS, RIVALS, strict=False))


def write(folder: Path, comparison: Comparison, table: Table) -> None:
    """Write the score of each method, and whether the row is in one of its events."""
    header, columns = [table.label_name], []
    for name, method in comparison.methods.items():
        header += [name, f"{name} event"]
        flags = flags_of(method.events, len(method.scores)).astype(int)
        columns += [method.scores.tolist(), flags.tolist()]
    cells = zip(*columns, strict=True)
    rows = ([label, *row] for label, row in zip(table.labels, cells, strict=True))
    run_folder.write_csv(folder / FILE, header, rows)


def parts(comparison: Comparison) -> list[str]:
    """Return the methods side by side, in parts for `report.page.write`."""
    return [
        page.heading("Is a simple method enough?"),
        page.grid(*comparison.cells()),
        page.paragraph(f"{METHODS} {TESTED if comparison.tests else OVERLAP}"),
        *([page.listing(comparison.notes)] if comparison.notes else []),
    ]


def panel(comparison: Comparison) -> series_data.Panel:
    """Return a line for each rival, which is raised in its events."""
    curves = []
    for place, (name, rival) in enumerate(comparison.rivals.items()):
        rows = np.arange(len(rival.scores))
        heights = place + HIGH * flags_of(rival.events, len(rows))
        curves.append(series_data.Curve(name, rows, heights, COLOURS[name]))
    return series_data.Panel("simple methods, raised in their events", curves, has_scale=False)
