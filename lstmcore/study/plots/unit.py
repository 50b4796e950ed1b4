"""One unit over time: every number that decides what it remembers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lstmcore.study.plots.style import (
    COLOURS,
    GATE_COLOURS,
    TITLES,
    colour_bar,
    heat_map,
    label_rows,
    panels,
    plain,
    signed_scale,
)
from lstmcore.study.plots.timeline import (
    draw_input,
    draw_line,
    hatch,
    legend_above,
    one_place,
    share_steps,
    timeline,
)
from lstmcore.study.run import Run


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
    """The story of one unit, in five panels over one time axis.

    From top to bottom: the input of the model; the three gates; the candidate g and, as bars, what
    of it is written, i g; the cell c and, as bars, what it kept from the step before, f c; the
    hidden state h. The cell is the sum of the bars. Masked steps are hatched. Where h is a
    projection, no number of it belongs to the unit: the last panel is a heat map of them all.

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
      ValueError: unknown layer, a unit or an example that is not there, or not 5 `axes`.
      TypeError: `axes` that are none.
    """
    line = timeline(run, layer, example, breaks)
    unit = one_place("unit", unit, line.trace.c.shape[1])
    figure, grid = panels(
        axes,
        5,
        1,
        "input, gates, candidate, cell, hidden state",
        figsize=(8, 8),
        height_ratios=[0.7, 1, 0.8, 0.8, 0.8],
    )
    top, gates, candidate, cell, hidden = grid[:, 0]
    if axes is None:
        figure.suptitle(f"{plain(layer)}, unit {unit}")

    draw_input(top, line, columns)
    i, f, g, o = (gate[:, unit] for gate in line.trace.gates)
    for name, values in (("input", i), ("forget", f), ("output", o)):
        draw_line(gates, values, breaks, color=GATE_COLOURS[name], label=f"${name[0]}$")
    gates.set_ylim(-0.04, 1.04)
    gates.set_title("gates", loc="left", fontsize="medium")

    c = line.trace.c[:, unit]
    written = i * g
    candidate.bar(range(len(g)), written, width=1, color=COLOURS[5], label="written, $i\\,g$")
    draw_line(candidate, g, breaks, color=COLOURS[3], label="candidate $g$")
    cell.bar(range(len(c)), c - written, width=1, color="0.75", label="kept, $f\\,c_{t-1}$")
    draw_line(cell, c, breaks, color=COLOURS[6], label="cell $c$")
    if line.trace.h.shape[1] != line.trace.c.shape[1]:
        h = np.asarray(line.trace.h).T
        colour_bar(hidden, heat_map(hidden, h, signed_scale(h, clip=True)), h)
        label_rows(hidden, range(len(h)))
        hidden.set_ylabel("projection")
        of_lines = [gates, candidate, cell]
    else:
        draw_line(hidden, line.trace.h[:, unit], breaks, color=COLOURS[6])
        of_lines = [gates, candidate, cell, hidden]
    for panel, name in ((candidate, "candidate"), (cell, "c"), (hidden, "h")):
        panel.set_title(TITLES[name], loc="left", fontsize="medium")
        hatch(panel, line.real)
    hatch(gates, line.real)
    for panel in (gates, candidate, cell):
        legend_above(panel)
    for panel in of_lines:
        if panel is not gates:
            panel.axhline(0, color="0.5", linewidth=0.8)
        panel.set_axisbelow(True)
        panel.grid(alpha=0.3)
    share_steps(grid[:, 0], line, xlabel, labels)
    return figure
