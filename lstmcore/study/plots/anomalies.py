"""Draw a series, the scores of its rows, and the anomalies that were detected."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstmcore.arrays import check_known
from lstmcore.series.arguments import check_column_names, column_names
from lstmcore.series.events import Event, events, limit_of
from lstmcore.study.plots.style import (
    DATA,
    DETECTED,
    LABELLED,
    MODEL,
    SCORE,
    THRESHOLD,
    drawn_columns,
    note_omitted_columns,
    panels,
    plain,
)
from lstmcore.study.plots.timeline import label_steps, legend_above, numbers, row_names

LABEL_BAND = (0.0, 0.04)  # of a panel's height, from the bottom


# The data come first, in the order in which they are drawn; what follows is optional.
def plot_anomalies(
    values,
    scores: np.ndarray,
    threshold,
    detected: Sequence[Event],
    labels: np.ndarray | None = None,
    *,
    outputs=None,
    columns: Sequence[str] = (),
    xlabel: str | None = None,
    times: Sequence = (),
    axes=None,
) -> Figure:
    """Draw each column of a series, and below them the scores with their threshold.

    Detected events are shaded over the whole height; labelled segments are bars along the bottom
    of each panel, so that both can be seen where they overlap. An event is drawn at least as wide
    as a line. Rows without a value or a score leave a gap. Of more than 12 columns the first 12 are
    drawn, with a note below them, unless `axes` are given for all.

    Args:
      values: [rows, F], in units of the data: an array or a data frame.
      scores: [rows].
      threshold: a number, or a `thresholds.Threshold`.
      detected: events, as `anomalies.events` returns them.
      labels: bool or 0/1 [rows], rows that are known to be anomalous; None if nothing is known.
      outputs: [rows, F] of `detector.outputs`, drawn with the values.
      columns: F names; if empty, those of a data frame, and columns of an array are numbered.
      xlabel: label of the time axis; None is "time" for the times of a data frame, else "row".
      times: [rows] names of the rows; if empty, those of a data frame, and rows of an array are
        numbered from 0.
      axes: F + 1 Axes to draw into, as from `figure.subplots(F + 1)`.

    Raises:
      ValueError: arrays of different lengths, a wrong number of names, a threshold that is NaN, or
        more or fewer `axes` than F + 1.
      TypeError: `axes` that are not Axes, or a threshold that is not a number.
      TimesError: a data frame whose times do not rise by equal steps.

    Examples:
      >>> figure = plot_anomalies(
      ...     np.ones((4, 1)), np.array([0.0, 3.0, 0.0, 0.0]), 2.0, [Event(1, 2, 1, 3.0)]
      ... )
      >>> [axes.get_ylabel() for axes in figure.axes]
      ['column 0', 'score']
    """
    check_known("values", values)
    check_known("scores", scores)
    if not len(times):
        times, are_times = row_names(values)
        xlabel = "time" if xlabel is None and are_times else xlabel
    columns = columns if len(columns) else column_names(values) or ()
    values, outputs = numbers(values), None if outputs is None else numbers(outputs)
    _check_arrays(values, scores, labels, outputs)
    rows, features = values.shape
    columns = columns or [f"column {column}" for column in range(features)]
    check_column_names(columns, features, "values")
    drawn = drawn_columns(features, axes)
    figure, grid = panels(
        axes,
        drawn + 1,
        1,
        "one for each column, one for the score",
        figsize=(9, 1.6 + 1.7 * (drawn + 1)),
    )
    *of_values, of_scores = grid[:, 0]
    for column, panel in enumerate(of_values):
        output = None if outputs is None else outputs[:, column]
        _draw_column(panel, values[:, column], output, columns[column])
    _draw_scores(of_scores, np.asarray(scores), threshold)
    labelled = events(np.asarray(labels).astype(bool)) if labels is not None else []
    for panel in grid[:, 0]:
        _shade(panel, detected, (0, 1), color=DETECTED, alpha=0.35, linewidth=1, zorder=0.5)
        _shade(panel, labelled, LABEL_BAND, color=LABELLED, linewidth=0)
        panel.grid(alpha=0.3)
        last = panel is of_scores
        label_steps(panel, ("row" if xlabel is None else xlabel) if last else "", times, rows)
        panel.tick_params(labelbottom=last)
    _draw_legend(grid[0, 0], has_outputs=outputs is not None, has_labels=labels is not None)
    note_omitted_columns(figure, drawn, features)
    return figure


def _check_arrays(values: np.ndarray, scores, labels, outputs) -> None:
    if values.ndim != 2:
        raise ValueError(f"values must be [rows, features], got shape {values.shape}")
    if not len(values):
        raise ValueError("values has no rows: there is nothing to draw")
    rows, features = values.shape
    shapes: dict[str, tuple] = {"scores": (scores, (rows,)), "labels": (labels, (rows,))}
    shapes["outputs"] = (outputs, (rows, features))
    for name, (given, shape) in shapes.items():
        if given is not None and np.shape(given) != shape:
            raise ValueError(
                f"{name} has shape {np.shape(given)} but values of shape {values.shape} need "
                f"{shape}"
            )


def _draw_column(panel: Axes, values: np.ndarray, output: np.ndarray | None, name: str) -> None:
    panel.plot(values, color=DATA, linewidth=0.9)
    if output is not None:
        panel.plot(output, "--", color=MODEL, linewidth=0.9)
    panel.set_ylabel(plain(name))


def _draw_scores(panel: Axes, scores: np.ndarray, threshold) -> None:
    panel.plot(scores, color=SCORE, linewidth=0.9)
    panel.axhline(limit_of(threshold), color=THRESHOLD, linestyle="--", linewidth=1)
    panel.set_ylabel("score")
    if how := getattr(threshold, "how", ""):
        panel.set_title(f"threshold: {plain(how)}", loc="left", fontsize="small")


def _draw_legend(panel: Axes, *, has_outputs: bool, has_labels: bool) -> None:
    named: dict[str, dict] = {"series": {"color": DATA}}
    if has_outputs:
        named["model"] = {"color": MODEL, "linestyle": "--"}
    named["score"] = {"color": SCORE}
    named["threshold"] = {"color": THRESHOLD, "linestyle": "--"}
    named["detected"] = {"color": DETECTED, "linewidth": 7, "alpha": 0.35}
    if has_labels:
        named["labelled"] = {"color": LABELLED, "linewidth": 5}
    for name, style in named.items():
        panel.plot([], [], label=name, **style)
    legend_above(panel)


def _shade(panel: Axes, segments: Sequence[Event], heights: tuple[float, float], **style) -> None:
    """Shade events as one artist: thousands of single ones would take longer than all else."""
    low, high = heights
    widths = [(event.start - 0.5, event.stop - event.start) for event in segments]
    across = panel.get_xaxis_transform()  # heights are fractions of the panel's
    panel.broken_barh(widths, (low, high - low), transform=across, **style)
