"""Draw a layer over time, unit by unit: its gates, candidate, cell and hidden state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstmcore.study.plots import style
from lstmcore.study.plots.timeline import Timeline, draw_input, hatch, share_steps
from lstmcore.study.record import Run
from lstmcore.study.statistics import time_scale

# c = f * c_before + i * g and h = o * tanh(c): each gate is drawn beside what it gates.
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
    """Draw heat maps of a layer over time, below the input of the model.

    On the left are the three gates, on one colour scale from 0 to 1, so that small changes look
    small. On the right is what each acts on: the candidate that the input gate lets in, the cell
    that the forget gate keeps, and the hidden state that the output gate lets out, with colours
    that diverge from 0.

    Each row is the same unit in all six panels, except in h where that is a projection, whose
    numbers belong to no unit. Rows are sorted by time scale, the longest memory on top: the
    half-life beside them is that of `time_scale` over all real steps of the run. Masked steps are
    hatched.

    Args:
      run: a `Run`.
      layer: one of `run.layers`.
      example: index into the batch.
      columns: F names of the input, for a legend.
      breaks: steps at which a new window starts, where windows were joined.
      xlabel: label of the time axis.
      labels: [T] names of the steps; if empty, steps are numbered from 0.
      axes: 8 Axes to draw into, as from `figure.subplots(4, 2)`.

    Returns:
      The figure.

    Raises:
      ValueError: an unknown layer, an example that does not exist, or not 8 `axes`.
      TypeError: `axes` that are not Axes.
    """
    line = Timeline.of(run, layer, example, breaks)
    half_life = np.asarray(time_scale(run[layer], run.masks[layer]).half_life)
    order = np.argsort(-half_life, kind="stable")
    figure, grid = style.panels(
        axes,
        4,
        2,
        "the input twice, then i and g, f and c, o and h",
        figsize=(10, 8),
        height_ratios=[0.6, 1, 1, 1],
    )
    if axes is None:
        figure.suptitle(style.plain(layer))
    for top in grid[0]:
        draw_input(top, line, columns)
    drawn = line.trace.gates._asdict() | {"c": line.trace.c, "h": line.trace.h}
    for (left, right), (gate, quantity) in zip(grid[1:], ROWS, strict=True):
        _draw_quantity(left, gate, drawn[gate][:, order], line)
        style.label_rows(left, order)
        left.set_ylabel("unit")
        _draw_gated(right, quantity, drawn[quantity], line, half_life)
    for column in grid.T:
        share_steps(column, line, xlabel, labels)
    return figure


def _draw_gated(
    panel: Axes, name: str, values: np.ndarray, line: Timeline, half_life: np.ndarray
) -> None:
    """Draw what a gate acts on, with the half-lives of the units; a projection has no units."""
    order = np.argsort(-half_life, kind="stable")
    if values.shape[1] != len(order):
        _draw_quantity(panel, name, values, line)
        style.label_rows(panel, range(values.shape[1]))
        panel.set_ylabel("projection")
    else:
        _draw_quantity(panel, name, values[:, order], line)
        style.label_rows(panel, [_number(half_life[unit]) for unit in order])
        panel.set_ylabel("half-life (steps)")


def _draw_quantity(panel: Axes, name: str, values: np.ndarray, line: Timeline) -> None:
    """Draw [T, H] as a heat map, units from top to bottom over steps."""
    scale = (
        style.FRACTION if name in style.GATE_COLOURS else style.signed_scale(values.T, clip=True)
    )
    style.colour_bar(panel, style.heat_map(panel, values.T, scale), values)
    hatch(panel, line.real)
    for step in line.breaks:
        panel.axvline(step - 0.5, color="black", linewidth=0.8)
    panel.set_title(style.TITLES[name], loc="left", fontsize="medium")


def _number(value: float) -> str:
    if np.isinf(value):
        return "∞"
    return f"{value:.0f}" if 1e3 <= value < 1e5 else f"{value:.3g}"
