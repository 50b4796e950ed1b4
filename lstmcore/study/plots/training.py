"""Draw the course of training: the loss, and the output of a model against the actual values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from lstmcore.arrays import check_known
from lstmcore.formatting import shorten
from lstmcore.study.plots.style import (
    COLOURS,
    DASHES,
    DATA,
    LONGEST_NAME,
    MODEL,
    drawn_columns,
    note_omitted_columns,
    panels,
    plain,
)
from lstmcore.study.plots.timeline import label_steps


def plot_loss(history: Mapping, *, axes=None) -> Figure:
    """Draw the loss of each epoch, as `lc.fit` returned it, on a logarithmic axis if none is 0.

    Args:
      history: `FitResult.history`; or, to compare, {label: history}. A label has one colour; the
        loss is solid and the validation loss dashed.
      axes: the Axes to draw into.

    Raises:
      ValueError, TypeError: more than one of `axes`, or not Axes.

    Examples:
      >>> plot_loss({"loss": np.array([1.0, 0.5])}).axes[0].get_ylabel()
      'loss'
    """
    figure, grid = panels(axes, 1, 1, "the loss", figsize=(6.4, 3.6))
    panel = grid[0, 0]
    compared = all(isinstance(value, Mapping) for value in history.values())
    histories = history if compared else {"": history}
    for number, (label, curves) in enumerate(histories.items()):
        for kind, (name, values) in enumerate(curves.items()):
            # A single history has a colour for each kind of loss.
            colour = COLOURS[(number if compared else kind) % len(COLOURS)]
            panel.plot(
                np.arange(1, len(values) + 1),
                values,
                color=colour,
                linestyle=DASHES[kind % len(DASHES)],
                marker="o" if len(values) == 1 else None,  # a single point draws no line
                label=plain(f"{label} {name.replace('_', ' ')}".strip()),
            )
    every = [values for curves in histories.values() for values in curves.values()]
    positive = all((np.asarray(values) > 0).all() for values in every)
    panel.set(xlabel="epoch", ylabel="loss", yscale="log" if positive else "linear")
    panel.legend(frameon=False)
    panel.grid(alpha=0.3)
    return figure


def plot_output(
    actual: np.ndarray,
    output: np.ndarray,
    columns: Sequence[str],
    *,
    breaks: Sequence[int] = (),
    xlabel: str = "time step",
    labels: Sequence = (),
    axes=None,
) -> Figure:
    """Draw the actual values against the output of the model, one panel per column.

    Of more than 12 columns the first 12 are drawn, with a note below them, unless `axes` are given
    for all.

    Args:
      actual, output: [T, F], in units of the data.
      columns: F names.
      breaks: steps at which a new window starts, where lines are interrupted.
      xlabel: label of the time axis.
      labels: [T] names of the steps; if empty, steps are numbered from 0.
      axes: F Axes to draw into, as from `figure.subplots(F)`.

    Raises:
      ValueError: arrays of other shapes, or more or fewer `axes` than F.
      TypeError: `axes` that are not Axes.

    Examples:
      >>> rows = np.arange(6).reshape(3, 2)
      >>> [axes.get_ylabel() for axes in plot_output(rows, rows + 1, ["load", "wind"]).axes]
      ['load', 'wind']
    """
    check_known("actual", actual)
    check_known("output", output)
    shape = (len(actual), len(columns))
    for name, values in (("actual", actual), ("output", output)):
        if np.shape(values) != shape or 0 in shape:
            raise ValueError(
                f"{name} must be [T, F], at least one row and column, F as many as columns has "
                f"names ({len(columns)}), got shape {np.shape(values)}"
            )
    count = drawn_columns(len(columns), axes)
    figure, grid = panels(axes, count, 1, "one for each column", figsize=(8, 1 + 2.2 * count))
    segments = np.split(np.arange(len(actual)), breaks)
    # Windows of a single step would be dots without a line: join those.
    segments = segments if max(map(len, segments)) > 1 else [np.arange(len(actual))]
    curves = (("actual", actual, DATA, "o-"), ("output", output, MODEL, "x--"))
    for column, (panel, name) in enumerate(zip(grid[:, 0], columns[:count], strict=True)):
        for label, values, colour, style in curves:
            for segment in segments:
                panel.plot(segment, values[segment, column], style, color=colour, markersize=4)
            panel.plot([], [], style, color=colour, markersize=4, label=label)
        panel.set_ylabel(shorten(name, LONGEST_NAME), parse_math=False)
        panel.grid(alpha=0.3)
        label_steps(panel, "", labels, len(actual))
        panel.tick_params(labelbottom=panel is grid[-1, 0])
    grid[0, 0].legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    grid[-1, 0].set_xlabel(xlabel, parse_math=False)
    note_omitted_columns(figure, count, len(columns))
    return figure
