"""A layer over time: what it writes, keeps and shows, unit by unit."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lstmcore.study.plots.style import (
    FRACTION,
    TITLES,
    colour_bar,
    heat_map,
    label_rows,
    panels,
    plain,
    signed_scale,
)
from lstmcore.study.plots.timeline import draw_input, hatch, share_steps, timeline
from lstmcore.study.run import Run
from lstmcore.study.statistics import time_scale

# c = f * c_before + i * g and h = o * tanh(c): each gate stands beside what it gates.
ROWS = (("input", "candidate"), ("forget", "c"), ("output", "h"))


def plot_gates(
    run: Run,
    layer: str,
    example: int = 0,
    *,
    columns: Sequence[str] = (),
    breaks: Sequence[int] = (),
    xlabel: str = "time step",
    labels: Sequence = (),
    axes=None,
) -> Figure:
    """Heat maps of a layer over time, below the input of the model.

    On the left the three gates, which share one colour scale from 0 to 1, so that small changes
    look small. On the right what they act on: the candidate that the input gate writes, the cell
    that the forget gate keeps, and the hidden state that the output gate shows, with colours that
    diverge from 0.

    Each row is the same unit in all six (but in h where that is a projection, whose numbers belong
    to no unit and keep their order). Rows are sorted by time scale, the longest memory on top:
    the half-life written beside them is that of `time_scale` over all real steps of the run.
    Masked steps are hatched.

    Args:
      run: a `Run`.
      layer: one of `run.layers`.
      example: index into the batch.
      columns: F names of the input, for a legend.
      breaks: steps at which a new window starts, where windows were laid end to end.
      xlabel: of the time axis. labels: [T] names of the steps; empty counts from 0.
      axes: 8 Axes to draw into, as from `figure.subplots(4, 2)`.

    Returns:
      The figure.

    Raises:
      ValueError: unknown layer, an example that is not there, or not 8 `axes`.
      TypeError: `axes` that are none.
    """
    line = timeline(run, layer, example, breaks)
    half_life = np.asarray(time_scale(run[layer], run.masks[layer]).half_life)
    order = np.argsort(-half_life, kind="stable")
    figure, grid = panels(
        axes,
        4,
        2,
        "the input twice, then i and g, f and c, o and h",
        figsize=(10, 8),
        height_ratios=[0.6, 1, 1, 1],
    )
    if axes is None:
        figure.suptitle(plain(layer))
    for top in grid[0]:
        draw_input(top, line, columns)
    drawn = line.trace.gates._asdict() | {"c": line.trace.c, "h": line.trace.h}
    for row, names in zip(grid[1:], ROWS, strict=True):
        for panel, name in zip(row, names, strict=True):
            is_projected = drawn[name].shape[1] != len(order)
            values = (drawn[name] if is_projected else drawn[name][:, order]).T
            scale = FRACTION if panel is row[0] else signed_scale(values, clip=True)
            colour_bar(panel, heat_map(panel, values, scale), values)
            hatch(panel, line.real)
            for step in breaks:
                panel.axvline(step - 0.5, color="black", linewidth=0.8)
            panel.set_title(TITLES[name], loc="left", fontsize="medium")
        label_rows(row[0], order)
        row[0].set_ylabel("unit")
        if is_projected:
            label_rows(row[1], range(len(values)))
            row[1].set_ylabel("projection")
        else:
            label_rows(row[1], [_number(half_life[unit]) for unit in order])
            row[1].set_ylabel("half-life (steps)")
    for column in grid.T:
        share_steps(column, line, xlabel, labels)
    return figure


def _number(value: float) -> str:
    if np.isinf(value):
        return "∞"
    return f"{value:.0f}" if 1e3 <= value < 1e5 else f"{value:.3g}"
