"""A series, the scores of its rows, and what was found strange."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstmcore.formatting import count
from lstmcore.series.events import Event, events, limit_of
from lstmcore.study.plots.style import (
    COLOURS,
    panels,
    plain,
    say_what_is_left_out,
    shown_columns,
)
from lstmcore.study.plots.timeline import label_steps, legend_above

DETECTED, LABELLED = COLOURS[1], COLOURS[2]
EXPECTED = COLOURS[4]
LABEL_BAND = (0.0, 0.04)  # of a panel's height, from the bottom


def plot_anomalies(
    values: np.ndarray,
    scores: np.ndarray,
    threshold,
    found: Sequence[Event],
    labels: np.ndarray | None = None,
    *,
    outputs: np.ndarray | None = None,
    columns: Sequence[str] = (),
    xlabel: str = "row",
    times: Sequence = (),
    axes=None,
) -> Figure:
    """Each column of a series, and below them the scores with their threshold.

    Detected events are shaded over the whole height; labelled stretches are bars along the bottom
    of each panel, so that the two stay apart where they lie over one another. An event is drawn at
    least as wide as a line. Rows without a value or a score leave a gap. Of more than 12 columns
    the first 12 are drawn, which is written below them; `axes` may be Axes for all.

    Args:
      values: [rows, F], in units of the data.
      scores: [rows].
      threshold: a number, or a `thresholds.Threshold`.
      found: what `anomalies.events` found.
      labels: bool or 0/1 [rows], rows that are known to be strange; None if nothing is known.
      outputs: [rows, F] of `detector.outputs`, drawn beside the values.
      columns: F names; empty counts them.
      xlabel: of the time axis.
      times: [rows] names of the rows; empty counts from 0.
      axes: F + 1 Axes to draw into, as from `figure.subplots(F + 1)`.

    Raises:
      ValueError: arrays of different lengths, a wrong number of names, a threshold that is NaN, or
        `axes` that are more or fewer than F + 1.
      TypeError: `axes` that are none, or a threshold that is no number.

    Examples:
      >>> figure = plot_anomalies(
      ...     np.ones((4, 1)), np.array([0.0, 3.0, 0.0, 0.0]), 2.0, [Event(1, 2, 1, 3.0)]
      ... )
      >>> [axes.get_ylabel() for axes in figure.axes]
      ['column 0', 'score']
    """
    values, scores = np.asarray(values), np.asarray(scores)
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
    columns = columns or [f"column {column}" for column in range(features)]
    if len(columns) != features:
        raise ValueError(
            f"columns has {count(len(columns), 'name')} but values has {count(features, 'column')}"
        )
    drawn = shown_columns(features, axes)
    figure, grid = panels(
        axes,
        drawn + 1,
        1,
        "one for each column, one for the score",
        figsize=(9, 1.6 + 1.7 * (drawn + 1)),
    )
    *of_values, of_scores = grid[:, 0]
    for column, (panel, name) in enumerate(zip(of_values, columns[:drawn], strict=True)):
        panel.plot(values[:, column], color=COLOURS[0], linewidth=0.9)
        if outputs is not None:
            panel.plot(np.asarray(outputs)[:, column], "--", color=EXPECTED, linewidth=0.9)
        panel.set_ylabel(plain(name))
    of_scores.plot(scores, color=COLOURS[6], linewidth=0.9)
    how = getattr(threshold, "how", "")
    of_scores.axhline(limit_of(threshold), color=DETECTED, linestyle="--", linewidth=1)
    of_scores.set_ylabel("score")
    named: dict[str, dict] = {"series": {"color": COLOURS[0]}}
    if outputs is not None:
        named["model"] = {"color": EXPECTED, "linestyle": "--"}
    named |= {"score": {"color": COLOURS[6]}}
    named |= {"threshold": {"color": DETECTED, "linestyle": "--"}}
    named |= {"detected": {"color": DETECTED, "linewidth": 7, "alpha": 0.35}}
    if labels is not None:
        named["labelled"] = {"color": LABELLED, "linewidth": 5}
    labelled = events(np.asarray(labels).astype(bool)) if labels is not None else []
    for panel in grid[:, 0]:
        _shade(panel, found, (0, 1), color=DETECTED, alpha=0.35, linewidth=1, zorder=0.5)
        _shade(panel, labelled, LABEL_BAND, color=LABELLED, linewidth=0)
        panel.grid(alpha=0.3)
        last = panel is of_scores
        label_steps(panel, xlabel if last else "", times, rows)
        panel.tick_params(labelbottom=last)
    for name, style in named.items():
        grid[0, 0].plot([], [], label=name, **style)
    legend_above(grid[0, 0])
    if how:
        of_scores.set_title(f"threshold: {plain(how)}", loc="left", fontsize="small")
    say_what_is_left_out(figure, drawn, features)
    return figure


def _shade(panel: Axes, stretches: Sequence[Event], heights: tuple[float, float], **style) -> None:
    """All stretches as one artist: thousands of single ones take longer than all else."""
    low, high = heights
    widths = [(event.start - 0.5, event.stop - event.start) for event in stretches]
    across = panel.get_xaxis_transform()  # heights are shares of the panel's
    panel.broken_barh(widths, (low, high - low), transform=across, **style)
