"""Colours, symbols, panels and heat maps that all figures use, those of HTML pages included."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine

from lstmcore.formatting import shorten
from lstmcore.study.plots.fonts import AnyScriptFigure

# Of Okabe & Ito (2008), which colour-blind readers can tell apart; on dark pages they are paler.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
DARK = dict(
    zip(
        COLOURS,
        ("#4C9BE8", "#FF8A4C", "#2BC79A", "#E39AC3", "#F0B733", "#8AD4FF", "#E3E6EA"),
        strict=True,
    )
)
# One thing has one colour, in files and on pages.
DATA = SCORE = COLOURS[6]  # each in panels of its own
MODEL = COLOURS[0]
DETECTED = THRESHOLD = COLOURS[1]
LABELLED = COLOURS[2]
RIVALS = (COLOURS[3], COLOURS[5], COLOURS[4], COLOURS[2])
DASHES = ("-", "--", ":", "-.")
TITLES = {
    "input": "input gate $i$",
    "forget": "forget gate $f$",
    "candidate": "candidate $g$",
    "output": "output gate $o$",
    "c": "cell state $c$",
    "h": "hidden state $h$",
}
GATE_COLOURS = {"input": COLOURS[0], "forget": COLOURS[1], "output": COLOURS[2]}
FRACTION: dict[str, Any] = {"cmap": "viridis", "vmin": 0.0, "vmax": 1.0}
SIGNED = "RdBu_r"  # its colour map; `signed_scale` has the range
MOST_PANELS = 12  # one for each column of a table; of more columns, the first are drawn
LONGEST_NAME = 60  # letters
MANY_ROWS = 8  # all are labelled; of more rows, some
FEW_CELLS = 64  # in a row or column of a heat map; with more, cells may be smaller than a pixel
FINE = 1024  # least number of cells into which such a heat map is divided
MOST_CELLS = 8192  # in a row or column, far below a pixel each; with more, neighbours are averaged


def panels(
    axes, rows: int, columns: int, meaning: str, *, figsize: tuple[float, float], **grid
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its Axes [rows, columns] to draw into: new ones, or the caller's.

    Raises:
      TypeError: `axes` holds something other than Axes.
      ValueError: too few or too many `axes`; the message says what each is for (`meaning`).
    """
    if axes is None:
        # With some room for the colour bars beside panels.
        figure = AnyScriptFigure(figsize=figsize, layout=ConstrainedLayoutEngine(wspace=0.04))
        return figure, figure.subplots(rows, columns, squeeze=False, **grid)
    given = np.array(axes, dtype=object).ravel()
    for panel in given:
        if not isinstance(panel, Axes):
            raise TypeError(
                f"axes must be matplotlib Axes, got {type(panel).__name__}: "
                "make them with figure.subplots(rows, columns)"
            )
    if len(given) != rows * columns:
        raise ValueError(
            f"axes must be {rows * columns} Axes ({meaning}), got {len(given)}: "
            f"figure.subplots({rows}, {columns}) makes them"
        )
    return given[0].get_figure(root=True), given.reshape(rows, columns)


def colour_scale(name: str, steps: int = 11) -> list[str]:
    """Return colours of a map of matplotlib at equal distances, as pages need them.

    Examples:
      >>> colour_scale("viridis", 3)
      ['#440154', '#21918c', '#fde725']
    """
    return [to_hex(colour) for colour in colormaps[name](np.linspace(0, 1, steps))]


def signed_scale(values: np.ndarray, *, clip: bool = False) -> dict:
    """Return colours that diverge from 0, up to the largest magnitude.

    With `clip`, a few numbers more than twice as large as all others do not make those pale: the
    largest 0.5 % of all numbers then lie beyond the scale.
    """
    sizes = np.abs(values[np.isfinite(values)])
    largest, usual = np.quantile(sizes, [1, 0.995], method="higher") if sizes.size else (0, 0)
    limit = float(usual if clip and largest > 2 * usual > 0 else largest) or 1.0
    return {"cmap": SIGNED, "vmin": -limit, "vmax": limit}


def heat_map(axes: Axes, values: np.ndarray, scale: dict) -> AxesImage:
    """Draw rows from top to bottom over columns; NaN stays blank.

    Where cells are smaller than pixels, a pixel shows the mean of its cells: sampling would skip
    some, and blending colours would show colours that are not on the scale.
    """
    rows, columns = values.shape
    extent = (-0.5, columns - 0.5, rows - 0.5, -0.5)
    values = _thinned(_thinned(values).T).T
    size = values.shape
    interpolation = "nearest"
    if max(rows, columns) > FEW_CELLS:
        # Divided, large cells along the other axis are not blurred by the filter.
        values = np.repeat(values, -(-FINE // size[0]), axis=0)
        values = np.repeat(values, -(-FINE // size[1]), axis=1)
        interpolation = "hanning"
    axes.set_facecolor("0.9")
    return axes.imshow(
        values,
        aspect="auto",
        extent=extent,
        interpolation=interpolation,
        interpolation_stage="data",
        **scale,
    )


def _thinned(values: np.ndarray) -> np.ndarray:
    """Return at most MOST_CELLS means of neighbouring rows; NaN where all of them are."""
    size = -(-len(values) // MOST_CELLS)
    if size <= 1:
        return values
    starts = np.arange(0, len(values), size)
    known = ~np.isnan(values)
    counts = np.add.reduceat(known.astype(float), starts)
    sums = np.add.reduceat(np.where(known, values, 0.0), starts)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def colour_bar(
    axes: Axes, image: AxesImage, values: np.ndarray, label: str = "", width: float = 0.025
) -> None:
    """Draw a colour bar beside a panel, with arrows if some of `values` lie beyond its ends.

    It takes no space from the panel, so that the time axes of panels below one another stay aligned
    in any layout.
    """
    low, high = image.get_clim()
    below, above = bool((values < low).any()), bool((values > high).any())
    extend = ("both" if above else "min") if below else ("max" if above else "neither")
    beside = axes.inset_axes((1 + 0.6 * width, 0, width, 1))
    bar = axes.figure.colorbar(image, cax=beside, extend=extend)
    bar.set_label(label, fontsize="small")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize="small", length=2)


def label_rows(axes: Axes, names: Sequence | np.ndarray) -> None:
    """Name the rows of a heat map, or if they are many, some at equal distances."""
    stride = -(-len(names) // MANY_ROWS)
    rows = range(0, len(names), stride)
    axes.set_yticks(rows, [plain(names[row]) for row in rows], fontsize="small")


def drawn_columns(columns: int, axes) -> int:
    """Return how many of the columns are drawn: all of them if `axes` are given."""
    return columns if axes is not None else min(columns, MOST_PANELS)


def note_omitted_columns(figure: Figure, drawn: int, columns: int) -> None:
    """Write below a figure how many of the columns of the table it shows, if not all."""
    if drawn < columns:
        figure.supxlabel(
            f"the first {drawn} of {columns:,} columns", fontsize="small", x=0.99, ha="right"
        )


def plain(name) -> str:
    """Return a name as is, shortened if it is long; dollar signs make no formula of it."""
    return shorten(name, LONGEST_NAME).replace("$", r"\$")
