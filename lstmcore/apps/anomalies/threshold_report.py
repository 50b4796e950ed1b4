"""The threshold of a detector in its report: the scores beside it, and the row that sets it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lstmcore.apps.anomalies.detection import DetectionResult
from lstmcore.apps.report import figures, page, series_data
from lstmcore.series import Table
from lstmcore.study.plots.style import SCORE, THRESHOLD

ANCHOR = "threshold-row"  # for links to the view of the row
NAME = "the row that sets the threshold"


def panel(scores: np.ndarray, result: DetectionResult) -> series_data.Panel:
    """Return scores [rows], of the series or of the training rows, with the threshold."""
    curve = series_data.Curve("score", np.arange(len(scores)), scores, SCORE)
    return series_data.Panel("score and threshold", [curve], level=result.threshold.value)


def marked(
    result: DetectionResult, window: int, rows: int
) -> tuple[list[series_data.View], list[series_data.Mark]]:
    """Return the views of a figure of `rows` rows, and the mark of the row behind the threshold."""
    assert result.set_by is not None  # as `verdict.threshold_row` has a sentence
    row, margin = result.set_by.row, max(20, window)
    around = max(0, row - margin), min(rows, row + margin + 1)
    views = [series_data.View("all rows", 0, rows), series_data.View(NAME, *around, ANCHOR)]
    return views, [series_data.Mark(row, NAME, THRESHOLD)]


def parts(
    result: DetectionResult,
    scores: np.ndarray,
    training: Table,
    columns: Sequence[int],
    window: int,
) -> list[str]:
    """Return the training rows around the one behind the threshold, in parts of the page.

    Args:
      result: from `detect`.
      scores: [rows], those of the training rows.
      training: the table that the detector was trained on.
      columns: those to draw.
      window: rows that the model reads.
    """
    rows = np.arange(len(training.values))
    panels = [
        series_data.Panel(
            training.columns[column],
            [series_data.Curve("data", rows, training.values[:, column])],
        )
        for column in columns
    ]
    views, marks = marked(result, window, len(rows))
    axis = series_data.time_axis(training.labels, training.label_name)
    drawn = figures.series([*panels, panel(scores, result)], axis, views=views[::-1], marks=marks)
    caption = "The table that the detector was trained on, and the scores of its rows."
    return [page.heading("The training row behind the threshold"), page.figure(drawn, caption)]
