"""Draw one unit over time: the input, its gates, candidate, cell and hidden state."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lstmcore.study.plots import style, timeline
from lstmcore.study.record import Run


# The first four select the unit; the others, all optional, are those of `plot_gates`.
def plot_unit(
    run: Run,
    layer: str,
    unit: int,
    example: int = 0,
    *,
    columns: Sequence[str] = (),
    breaks: Sequence[int] = (),
    xlabel: str = "time step",
    labels: Sequence = (),
    axes=None,
) -> Figure:
    """Draw one unit over time, in five panels over one time axis.

    From top to bottom: the input of the model; the three gates; the candidate g and, as bars, the
    part of it that is added to the cell, i g; the cell c and, as bars, the part that it kept from
    the step before, f c; the hidden state h. The cell is the sum of the bars. Masked steps are
    hatched. Where h is a projection, none of its numbers belongs to the unit: the last panel is a
    heat map of them all.

    Args:
      run: a `Run`.
      layer: one of `run.layers`.
      unit: index into its units.
      example: index into the batch.
      columns, breaks, xlabel, labels: as in `plot_gates`.
      axes: 5 Axes to draw into, as from `figure.subplots(5)`.

    Returns:
      The figure.

    Raises:
      ValueError: an unknown layer, a unit or an example that does not exist, or not 5 `axes`.
      TypeError: `axes` that are not Axes.
    """
    line = timeline.Timeline.of(run, layer, example, breaks)
    unit = timeline.one_place("unit", unit, line.trace.c.shape[1])
    figure, grid = style.panels(
        axes,
        5,
        1,
        "input, gates, candidate, cell, hidden state",
        figsize=(8, 8),
        height_ratios=[0.7, 1, 0.8, 0.8, 0.8],
    )
    top, gates, candidate, cell, hidden = grid[:, 0]
    if axes is None:
        figure.suptitle(f"{style.plain(layer)}, unit {unit}")

    timeline.draw_input(top, line, columns)
    _draw_gates(gates, line, unit)
    _draw_memory(candidate, cell, line, unit)
    _draw_hidden(hidden, line, unit)
    for panel in (gates, candidate, cell):
        timeline.legend_above(panel)
    for panel in (gates, candidate, cell, hidden):
        timeline.hatch(panel, line.real)
    timeline.share_steps(grid[:, 0], line, xlabel, labels)
    return figure


def _finish(panel: Axes, title: str, *, has_zero: bool = True) -> None:
    """Give a panel of lines its title, a grid, and a line at zero."""
    panel.set_title(title, loc="left", fontsize="medium")
    if has_zero:
        panel.axhline(0, color="0.5", linewidth=0.8)
    panel.set_axisbelow(True)
    panel.grid(alpha=0.3)


def _draw_gates(panel: Axes, line: timeline.Timeline, unit: int) -> None:
    for name, colour in style.GATE_COLOURS.items():
        values = getattr(line.trace.gates, name)[:, unit]
        timeline.draw_line(panel, values, line.breaks, color=colour, label=f"${name[0]}$")
    panel.set_ylim(-0.04, 1.04)
    _finish(panel, "gates", has_zero=False)


def _draw_memory(candidate: Axes, cell: Axes, line: timeline.Timeline, unit: int) -> None:
    """Draw the candidate with the part of it that is added, and the cell with the part it kept."""
    g, c = line.trace.gates.candidate[:, unit], line.trace.c[:, unit]
    added = line.trace.gates.input[:, unit] * g
    candidate.bar(range(len(g)), added, width=1, color=style.COLOURS[5], label="added, $i\\,g$")
    timeline.draw_line(candidate, g, line.breaks, color=style.COLOURS[3], label="candidate $g$")
    _finish(candidate, style.TITLES["candidate"])
    cell.bar(range(len(c)), c - added, width=1, color="0.75", label="kept, $f\\,c_{t-1}$")
    timeline.draw_line(cell, c, line.breaks, color=style.COLOURS[6], label="cell $c$")
    _finish(cell, style.TITLES["c"])


def _draw_hidden(panel: Axes, line: timeline.Timeline, unit: int) -> None:
    """Draw the hidden state of the unit, or all of it if it is a projection."""
    if line.trace.h.shape[1] == line.trace.c.shape[1]:
        timeline.draw_line(panel, line.trace.h[:, unit], line.breaks, color=style.COLOURS[6])
        _finish(panel, style.TITLES["h"])
        return
    h = np.asarray(line.trace.h).T
    style.colour_bar(panel, style.heat_map(panel, h, style.signed_scale(h, clip=True)), h)
    style.label_rows(panel, range(len(h)))
    panel.set(ylabel="projection")
    panel.set_title(style.TITLES["h"], loc="left", fontsize="medium")
