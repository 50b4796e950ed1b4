"""Draw a sweep: where in a model a change of the gates changes the output."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lstmcore.study.names import check_layer
from lstmcore.study.plots import style
from lstmcore.study.sweeps import Sweep

ORDER = ("gate", "step", "unit")
MANY_COLUMNS = 16  # all are labelled; of more columns, some
LABELS = {"effect": "change of the metric", "recovered": "recovered fraction"}


def plot_sweep(
    sweep: Sweep, layer: str | None = None, *, value: str = "effect", axes=None
) -> Figure:
    """Draw the effect of every place of a sweep on the metric, as heat maps.

    | swept, besides layers | panels |
    |---|---|
    | gate, step, unit | a row for each layer, a panel for each gate: units over steps |
    | step, unit | one for each layer: units over steps |
    | gate, step | one for each layer: gates over steps |
    | gate, unit | one for each layer: gates over units |
    | unit | one for each layer: a bar for each unit |
    | step | one: layers over steps |
    | gate | one: layers over gates |
    | nothing | one: a bar for each layer |

    All panels share one scale. Units are sorted, those with the largest effect first, in the same
    order in all panels of a layer.

    Args:
      sweep: of `study.patch_sweep` or `study.ablation_sweep`, over any subset of its axes.
      layer: the only layer to draw; None draws all.
      value: "effect", the change of the metric, with colours that diverge from 0; or "recovered",
        the fraction of the way from baseline to target, 0 to 1, of a `patch_sweep`.
      axes: as many Axes as the table above has panels, row by row.

    Returns:
      The figure.

    Raises:
      ValueError: an unknown layer or value, "recovered" where there is nothing to recover, or
        another number of `axes`.
      TypeError: `axes` that are not Axes.
    """
    results = _results(sweep, layer, value)
    swept = tuple(axis for axis in ORDER if axis in sweep.over)
    every = np.concatenate([array.ravel() for array in results.values()])
    scale = style.FRACTION if value == "recovered" else style.signed_scale(every)
    layers_are_rows = swept in ((), ("gate",), ("step",))
    columns = sweep.gates if swept == ORDER else ("",)
    figure, grid = style.panels(
        axes,
        1 if layers_are_rows else len(results),
        len(columns),
        "one for all layers" if layers_are_rows else "a row for each layer",
        figsize=_size(swept, len(columns), len(results)),
    )
    if layers_are_rows:
        _draw_layers(grid[0, 0], results, swept, sweep.gates, scale, LABELS[value])
        return figure
    for row, (name, array) in zip(grid, results.items(), strict=True):
        array, order = _sorted_units(array, swept)
        for place, (panel, gate) in enumerate(zip(row, columns, strict=True)):
            image = None
            if swept == ("unit",):
                _draw_bars(panel, array, LABELS[value])
                panel.set_ylim(_around(every))
            else:
                image = style.heat_map(panel, _as_rows(array, place, swept), scale)
            if image and panel is row[-1]:  # the scale is that of all panels
                style.colour_bar(panel, image, every, LABELS[value], 0.06 if gate else 0.025)
            _label(panel, swept, order, sweep.gates, first=panel is row[0])
            title = f"{style.plain(name)}: {style.TITLES[gate]}" if gate else style.plain(name)
            panel.set_title(title, loc="left", fontsize="medium")
    return figure


def _results(sweep: Sweep, layer: str | None, value: str) -> dict[str, np.ndarray]:
    """Return {layer: array with the axes gate, step, unit, as far as they were swept}, checked."""
    if value not in LABELS:
        raise ValueError(f"value must be one of {', '.join(LABELS)}, got {value!r}")
    found = getattr(sweep, value)
    if layer is not None:
        check_layer(layer, found)
        found = {layer: found[layer]}
    present = [axis for axis in sweep.over if axis != "layer"]
    order = [present.index(axis) for axis in ORDER if axis in present]
    return {name: np.asarray(array, float).transpose(order) for name, array in found.items()}


def _as_rows(array: np.ndarray, place: int, swept: tuple) -> np.ndarray:
    """Return the values of one panel: units or gates from top to bottom."""
    if swept == ORDER:
        return array[place].T
    return array.T if swept == ("step", "unit") else array


def _draw_layers(
    panel: Axes, results: dict, swept: tuple, gates: Sequence[str], scale: dict, label: str
) -> None:
    """Draw layers over steps, over gates, or as a bar each."""
    if not swept:
        bars = [float(array) for array in results.values()]
        panel.barh(range(len(bars)), bars, color=style.COLOURS[0])
        panel.axvline(0, color="0.3", linewidth=0.8)
        panel.invert_yaxis()
        panel.xaxis.set_major_locator(MaxNLocator(6))
        panel.set_xlabel(label)
    else:
        widest = max(len(array) for array in results.values())  # a decoder may have its own steps
        rows = [np.pad(a, (0, widest - len(a)), constant_values=np.nan) for a in results.values()]
        values = np.stack(rows)
        style.colour_bar(panel, style.heat_map(panel, values, scale), values, label)
        if swept == ("step",):
            _whole_steps(panel)
        else:
            panel.set_xticks(range(len(gates)), [style.TITLES[gate] for gate in gates])
    panel.set_yticks(range(len(results)), list(map(style.plain, results)))


def _draw_bars(panel: Axes, values: np.ndarray, label: str) -> None:
    # Of a bar that is narrower than a pixel only the edge is visible.
    panel.bar(
        range(len(values)),
        values,
        color=style.COLOURS[0],
        edgecolor=style.COLOURS[0],
        linewidth=0.3,
    )
    panel.axhline(0, color="0.3", linewidth=0.8)
    panel.set_xlim(-0.5, len(values) - 0.5)
    panel.set_ylabel(label)


def _around(values: np.ndarray) -> tuple[float, float]:
    """Return limits that hold all values and 0, with some space."""
    low, high = min(0.0, np.nanmin(values)), max(0.0, np.nanmax(values))
    space = 0.05 * (high - low) or 1.0
    return low - space, high + space


def _label(
    panel: Axes, swept: tuple, order: np.ndarray, gates: Sequence[str], *, first: bool
) -> None:
    """Name rows and columns; the rows beside the first panel alone."""
    if "step" in swept:
        _whole_steps(panel)
    else:
        stride = -(-len(order) // MANY_COLUMNS)
        places = range(0, len(order), stride)
        panel.set_xticks(places, [str(order[place]) for place in places], fontsize="small")
        panel.set_xlabel("unit, largest effect first")
    if "step" in swept and "unit" in swept:
        style.label_rows(panel, order)
        panel.tick_params(labelleft=first)
        panel.set_ylabel("unit, largest effect on top" if first else "")
    elif "gate" in swept:
        panel.set_yticks(range(len(gates)), [style.TITLES[gate] for gate in gates])


def _sorted_units(array: np.ndarray, swept: tuple) -> tuple[np.ndarray, np.ndarray]:
    """Return the array with its last axis sorted by the largest effect anywhere, and that order."""
    if "unit" not in swept:
        return array, np.arange(0)
    sizes = np.abs(np.nan_to_num(array)).reshape(-1, array.shape[-1]).max(axis=0)
    order = np.argsort(-sizes, kind="stable")
    return array[..., order], order


def _whole_steps(panel: Axes) -> None:
    panel.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    panel.set_xlabel("time step")


def _size(swept: tuple, columns: int, layers: int) -> tuple[float, float]:
    """Return the size of the figure in inches."""
    if swept in ((), ("gate",), ("step",)):
        return 7.0, max(2.2, 1 + 0.35 * layers)
    height = 2.8 if "step" in swept and "unit" in swept else 2.0
    return (7.0 if columns == 1 else 1.0 + 2.4 * columns), 0.3 + height * layers
