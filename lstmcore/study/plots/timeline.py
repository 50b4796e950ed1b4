"""Parts of all figures over time: the input, masked steps, joined windows, step labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from lstmcore.arrays import check_known, frame_library
from lstmcore.formatting import count
from lstmcore.series.arguments import as_table, check_column_names
from lstmcore.series.arrays import is_table
from lstmcore.series.row_index import RowIndex
from lstmcore.study.names import places
from lstmcore.study.plots import style
from lstmcore.study.record import Run
from lstmcore.types import Gates, Trace

FEW_STEPS = 60  # each is drawn with a dot
LABELS_PER_INCH, LETTERS_PER_INCH = 2.4, 12
STRIDES = [digit * 10**power for power in range(12) for digit in (1, 2, 5)]


class Timeline(NamedTuple):
    """One example of a run, as NumPy arrays.

    Attributes:
      x: [T, F], the input or the target.
      x_real: bool [T], its real steps.
      trace: Trace of [T', H].
      real: bool [T'], its real steps.
      breaks: steps at which a new window starts.
      title: description of x.
    """

    x: np.ndarray
    x_real: np.ndarray
    trace: Trace
    real: np.ndarray
    breaks: Sequence[int]
    title: str

    @classmethod
    def of(cls, run: Run, layer: str, example: int, breaks: Sequence[int]) -> Timeline:
        """Return one example of a run for drawing; masked steps of the trace are NaN.

        Raises:
          ValueError: an unknown layer, or an example that does not exist.
        """
        check_known("run", run)
        trace = run[layer]
        example = one_place("example", example, len(run.inputs))
        real = _real(run.masks[layer], example, trace.h.shape[1])
        inputs, mask, title = run.inputs, run.mask, "input $x$"
        if run.target is not None and layer in run.decoder:
            inputs, mask, title = run.target, run.masks[layer], "target"
        x = np.asarray(inputs[example])
        if x.ndim == 1:  # tokens: one column
            x, title = x[:, None], f"{title}: token id"

        def drawn(leaf):
            return np.where(real[:, None], np.asarray(leaf[example], dtype=float), np.nan)

        gates = Gates(*map(drawn, trace.gates))
        x_real = _real(mask, example, len(x))
        return cls(x, x_real, Trace(drawn(trace.h), drawn(trace.c), gates), real, breaks, title)


def one_place(axis: str, chosen: int, size: int) -> int:
    """Return the single index that `chosen` names on an axis.

    Raises:
      ValueError: it is outside of the axis, or not a single one.
    """
    indices = places(axis, chosen, size)
    if indices is None or len(indices) != 1:
        raise ValueError(f"{axis} must be one number, got {chosen!r}: draw one at a time")
    return int(indices[0])


def _real(mask, example: int, steps: int) -> np.ndarray:
    return np.ones(steps, bool) if mask is None else np.asarray(mask[example])


def draw_input(axes: Axes, line: Timeline, columns: Sequence[str]) -> None:
    """Draw the input of the model: a line for each feature, or if they are many, a heat map."""
    x = np.where(line.x_real[:, None], line.x, np.nan).astype(float)
    if len(columns):
        check_column_names(columns, x.shape[1], "the input")
    if x.shape[1] > len(style.COLOURS):
        style.colour_bar(axes, style.heat_map(axes, x.T, style.signed_scale(x, clip=True)), x)
        style.label_rows(axes, columns if len(columns) else range(x.shape[1]))
        axes.set_ylabel("feature")
    else:
        names = columns if len(columns) > 1 else [""] * x.shape[1]
        for values, colour, name in zip(x.T, style.COLOURS, names, strict=False):
            if np.issubdtype(line.x.dtype, np.integer):  # no line: token ids have no order
                axes.plot(values, ".", color=colour)
            else:
                draw_line(axes, values, line.breaks, color=colour, label=style.plain(name))
        axes.grid(alpha=0.3)
        if len(columns) > 1:
            legend_above(axes)
    hatch(axes, line.x_real)
    axes.set_title(line.title, loc="left", fontsize="medium")


def draw_line(axes: Axes, values, breaks: Sequence[int], *, color: str, label: str = "") -> None:
    """Draw a line over the steps, interrupted between windows and at NaN."""
    marker = "." if len(values) <= FEW_STEPS else None
    for segment in np.split(np.arange(len(values)), breaks):
        axes.plot(segment, values[segment], color=color, marker=marker, linewidth=1.2, label=label)
        label = ""


def legend_above(axes: Axes) -> None:
    """Draw a legend in one row above the panel, where it covers nothing."""
    axes.legend(
        frameon=False, fontsize="small", ncols=9, loc="lower right", bbox_to_anchor=(1, 0.98)
    )


def hatch(axes: Axes, real: np.ndarray) -> None:
    """Hatch the steps that are masked."""
    edges = np.flatnonzero(np.diff(np.concatenate([[True], real, [True]])))
    for start, stop in edges.reshape(-1, 2):
        axes.axvspan(
            start - 0.5, stop - 0.5, facecolor="0.92", edgecolor="0.65", hatch="////", linewidth=0
        )


def label_steps(axes: Axes, xlabel: str, labels: Sequence, steps: int) -> None:
    """Label a time axis of whole steps, with names for some of them if they have names."""
    if len(labels) not in (0, steps):
        raise ValueError(f"labels has {count(len(labels), 'name')} for {count(steps, 'step')}")
    axes.set_xlim(-0.5, steps - 0.5)
    axes.set_xlabel(xlabel, parse_math=False)
    if len(labels):
        inches = axes.bbox.width / axes.figure.dpi  # before layout, which changes it little
        most = max(1.0, LABELS_PER_INCH * inches)
        stride = next(step for step in STRIDES if len(labels) <= most * step)
        labelled = range(0, len(labels), stride)
        names = [style.plain(labels[step]) for step in labelled]
        crowded = sum(map(len, names)) > LETTERS_PER_INCH * inches
        axes.set_xticks(
            labelled, names, rotation=45 if crowded else 0, ha="right" if crowded else "center"
        )
    else:
        axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))


def numbers(table) -> np.ndarray:
    """Return an array as is; of a data frame, a series or a `Table` the numbers, [rows, F]."""
    is_named = is_table(table) or frame_library(table) is not None
    return as_table(table) if is_named else np.asarray(table)


def row_names(table, beyond: int = 0) -> tuple[list[str], bool]:
    """Return the names of the rows of a data frame, and of `beyond` after its last; are they times?

    Times are as short as all of them allow. There are no names of an array, of a frame whose rows
    are numbered from 0, and of rows after one whose name does not say the next.

    Raises:
      TimesError: times that do not rise by equal steps.
    """
    index = RowIndex.of(table)
    if index is None or (index.times is None and index.index is None):
        return [], False
    try:
        texts = index.texts(np.arange(index.rows + beyond))
    except ValueError:  # no next name
        return [], False
    is_numbered = index.times is None and texts == list(map(str, range(len(texts))))
    return ([] if is_numbered else texts), index.times is not None


def share_steps(panels: Iterable[Axes], line: Timeline, xlabel: str, labels: Sequence) -> None:
    """Give panels below one another, the input on top, one time axis, labelled below the last.

    A decoder with more or fewer steps than the input has a time axis of its own.
    """
    top, *between, last = panels
    steps = len(line.real)
    for axes in between:
        label_steps(axes, "", labels, steps)
        axes.tick_params(labelbottom=False)
    label_steps(last, xlabel, labels, steps)
    if len(line.x) == steps:
        label_steps(top, "", labels, steps)
        top.tick_params(labelbottom=False)
    else:
        label_steps(top, "time step of the input", (), len(line.x))
