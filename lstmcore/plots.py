"""Pictures: a loss curve, input against output, and the gates of a layer over time.

Each function returns a matplotlib Figure that belongs to no window and no global state; write it
with `figure.savefig(path)`. Needs matplotlib (`lstmcore[plot]`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lstmcore.types import Trace

__all__ = ["plot_gates", "plot_loss", "plot_output"]

# Okabe & Ito (2008): told apart by colour-blind readers
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INPUT, OUTPUT = COLOURS[:2]
SYMBOLS = {"input": "i", "forget": "f", "candidate": "g", "output": "o"}
GATE_COLOURS, SIGNED_COLOURS = "viridis", "RdBu_r"


def plot_loss(history: dict[str, np.ndarray]) -> Figure:
    """The loss of each epoch, as `lc.fit` returned it, on a logarithmic axis if none is 0."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for (name, values), colour in zip(history.items(), (INPUT, OUTPUT), strict=False):
        epochs = np.arange(1, len(values) + 1)
        marker = "o" if len(values) == 1 else None  # a single point draws no line
        axes.plot(epochs, values, color=colour, marker=marker, label=name.replace("_", " "))
    positive = all((values > 0).all() for values in history.values())
    axes.set(xlabel="epoch", ylabel="loss", yscale="log" if positive else "linear")
    axes.legend(frameon=False)
    axes.grid(alpha=0.3)
    return figure


def plot_output(
    actual: np.ndarray,
    output: np.ndarray,
    columns: Sequence[str],
    *,
    breaks: Sequence[int] = (),
    xlabel: str = "time step",
    labels: Sequence = (),
) -> Figure:
    """What was to be written against what the model wrote, one panel per column.

    Args:
      actual, output: [T, F], in units of the data.
      columns: F names.
      breaks: steps at which a new window starts; lines are interrupted there.
      xlabel: of the time axis.
      labels: [T] names of the steps; empty counts from 0.
    """
    figure = Figure(figsize=(8, 1 + 2.2 * len(columns)), layout="constrained")
    panels = figure.subplots(len(columns), squeeze=False, sharex=True)[:, 0]
    stretches = np.split(np.arange(len(actual)), breaks)
    # Windows of a single step would be dots without a line: join those.
    stretches = stretches if max(map(len, stretches)) > 1 else [np.arange(len(actual))]
    curves = (("actual", actual, INPUT, "o-"), ("output", output, OUTPUT, "x--"))
    for column, (axes, name) in enumerate(zip(panels, columns, strict=True)):
        for label, values, colour, style in curves:
            for stretch in stretches:
                axes.plot(stretch, values[stretch, column], style, color=colour, markersize=4)
            axes.plot([], [], style, color=colour, markersize=4, label=label)
        axes.set_ylabel(name, parse_math=False)  # a column may be called "$"
        axes.grid(alpha=0.3)
    panels[0].legend(frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 1))
    _label_steps(panels[-1], xlabel, labels)
    return figure


def plot_gates(
    trace: Trace,
    x: np.ndarray,
    *,
    title: str = "",
    columns: Sequence[str] = (),
    breaks: Sequence[int] = (),
    xlabel: str = "time step",
    labels: Sequence = (),
) -> Figure:
    """Heat maps of the four gates over time, below the input they react to.

    Units are sorted by their mean forget gate: those with the longest memory on top. The three
    gates share one colour scale from 0 to 1, so small changes look small; the candidate's is
    centred on 0.

    Args:
      trace: Trace of one example, [T, H] each.
      x: [T, F], the input of the layer or of the model, as it was read (scaled, that is).
      columns: F names of the input, for a legend.
      breaks: steps at which a new window starts; marked by lines.
      xlabel: of the time axis. labels: [T] names of the steps; empty counts from 0.
    """
    gates = trace.gates._asdict()
    order = np.argsort(-np.asarray(gates["forget"]).mean(axis=0))
    figure = Figure(figsize=(8, 9), layout="constrained")
    panels = figure.subplots(5, sharex=True, height_ratios=[0.6, 1, 1, 1, 1])
    for stretch in np.split(np.arange(len(x)), breaks):
        panels[0].set_prop_cycle(color=COLOURS)
        lines = panels[0].plot(stretch, np.asarray(x)[stretch], marker=".", linewidth=1)
    panels[0].set(ylabel="input", title=title)
    if len(columns) > 1:
        names = [str(name).replace("$", r"\$") for name in columns]
        panels[0].legend(lines, names, frameon=False, fontsize="small", loc="upper left")
    for axes, (name, values) in zip(panels[1:], gates.items(), strict=True):
        values = np.asarray(values)[:, order].T
        if name == "candidate":
            limit = max(float(np.abs(values).max()), 1e-9)
            scale = {"cmap": SIGNED_COLOURS, "vmin": -limit, "vmax": limit}
        else:
            scale = {"cmap": GATE_COLOURS, "vmin": 0, "vmax": 1}
        image = axes.imshow(values, aspect="auto", interpolation="nearest", **scale)
        axes.set(ylabel=f"{name} {SYMBOLS[name]}\nunit, by mean f")
        figure.colorbar(image, ax=axes, pad=0.01)
        for step in breaks:
            axes.axvline(step - 0.5, color="black", linewidth=0.8)
    _label_steps(panels[-1], xlabel, labels)
    return figure


def _label_steps(axes, xlabel: str, labels: Sequence) -> None:
    axes.set_xlabel(xlabel, parse_math=False)
    if len(labels):
        stride = next(step for step in STRIDES if len(labels) <= 15 * step)
        shown = range(0, len(labels), stride)
        names = [str(labels[step]).replace("$", r"\$") for step in shown]
        crowded = sum(map(len, names)) > 80
        axes.set_xticks(
            shown, names, rotation=45 if crowded else 0, ha="right" if crowded else "center"
        )


STRIDES = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]
