"""The figure of a run: the time of each peer divided by that of lstmcore, for each layer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from benchmarks.report.tables import REFERENCES, by_sizes, cells_of, peers_of, ratios, select
from benchmarks.speed.peers import PEERS
from benchmarks.speed.processes import WHERE
from benchmarks.speed.results import Results

# Okabe & Ito (2008), distinct with every kind of colour vision; the shapes differ as well.
COLOURS = ["#D55E00", "#0072B2", "#56B4E9", "#CC79A7", "#009E73", "#E69F00", "#000000"]
MARKERS = ["o", "s", "D", "P", "^", "v", "X", "*", "<"]
LABELS = {"train": "training step", "forward_all": "forward, all h", "forward": "forward, last h"}


def draw(results: Results, path: Path) -> None:
    """Write a PNG: a row of panels per case, a column per mode; of random sizes if no others exist.

    Raises:
      ValueError: there is no layer to draw.
    """
    records = [record for record in results.records if record.case in LABELS]
    if not peers_of(records):
        raise ValueError("no peer was measured on a layer: there is nothing to draw")
    _, records = by_sizes(results, records)[0]
    cases = [case for case in LABELS if any(record.case == case for record in records)][:2]
    modes = [mode for mode in WHERE if any(record.cores == mode for record in records)]
    figure = Figure(figsize=(2.6 + 6.4 * len(modes), 0.6 + 3.4 * len(cases)), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(len(cases), len(modes), squeeze=False, sharey=True)
    for row, case in zip(panels, cases, strict=True):
        for panel, mode in zip(row, modes, strict=True):
            _panel(panel, select(records, case, mode))
            panel.set_title(f"{LABELS[case]}, {WHERE[mode]}", loc="left", fontsize=11)
        row[0].set_ylabel("time of peer / time of lstmcore")
    for panel in panels[-1]:
        panel.set_xlabel("layer: batch, time, features, units")
    handles = {}
    for panel in panels.flat:
        handles |= dict(zip(*panel.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(handles.values(), handles.keys(), loc="outside right upper", frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _panel(panel, records) -> None:
    cells = cells_of(records)
    places = {cell: place for place, cell in enumerate(cells)}
    names = [name for name in PEERS if PEERS[name].module and name not in REFERENCES]
    peers = peers_of(records)
    for number, peer in enumerate(peers):
        found = ratios(records, peer)
        shift = 0.6 * ((number + 0.5) / len(peers) - 0.5)  # so that no marker hides another
        style = names.index(peer)
        panel.plot(
            [places[cell] + shift for cell in found],
            list(found.values()),
            linestyle="none",
            marker=MARKERS[style % len(MARKERS)],
            color=COLOURS[style % len(COLOURS)],
            markersize=7,
            label=PEERS[peer].title,
        )
    limit = ratios(records, "matmul")
    if limit:
        middles = np.array([places[cell] for cell in limit])
        panel.hlines(
            list(limit.values()),
            middles - 0.4,
            middles + 0.4,
            color="0.45",
            linewidth=2,
            label="the matrix products alone",
        )
    control = [record.ratio for record in records if record.peer == "control"]
    if control:
        panel.axhspan(
            min(sample.low for sample in control),
            max(sample.high for sample in control),
            color="0.9",
            zorder=0,
            label="lstmcore against itself (noise)",
        )
    panel.axhline(1, color="0.2", linewidth=1)
    panel.set_yscale("log")
    panel.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    panel.yaxis.set_minor_formatter(NullFormatter())
    panel.grid(axis="y", color="0.85", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.set_xticks(range(len(cells)), [",".join(map(str, cell)) for cell in cells])
    panel.tick_params(axis="x", labelrotation=35, labelsize=8)
    for label in panel.get_xticklabels():
        label.set_horizontalalignment("right")
    panel.spines[["top", "right"]].set_visible(False)
