"""Figures for a report, as plotly.js draws them: series with marked segments, and gates.

A figure is a dict for JSON:

    data, layout  of plotly.js (https://plotly.com/javascript/reference)
    legend        names of lines and segments, with the traces and shapes of each
    views         segments of the time axis, for the buttons above the figure

`page.figure` writes it into a page, with the legend and the views as buttons of HTML.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from lstmcore.apps.report.series_data import Axis, Curve, Mark, Panel, Span, View, limits, points
from lstmcore.formatting import printable
from lstmcore.study.plots.style import FRACTION, THRESHOLD, colour_scale, signed_scale
from lstmcore.study.record import Run
from lstmcore.study.statistics import time_scale

MOST_SPANS = 300  # a browser draws each as an element of its own, in every panel
GATES = {
    "input": "input gate i",
    "forget": "forget gate f",
    "output": "output gate o",
    "c": "cell state c",
}
TITLE = 34  # pixels above each panel, for its title
EDGES = {"l": 10, "r": 10, "t": TITLE, "b": 40}  # pixels around all; labels of axes add to them


def series(
    panels: Sequence[Panel],
    axis: Axis,
    spans: Sequence[Span] = (),
    *,
    views: Sequence[View] = (),
    detail: Sequence[tuple[int, int]] = (),
    marks: Sequence[Mark] = (),
    height: int = 220,
) -> dict[str, Any]:
    """Draw panels below one another, over a common time axis.

    Args:
      panels: the panels.
      axis: from `time_axis`.
      spans: segments to mark in every panel.
      views: segments that the reader can choose; the figure opens on the first. Without any, it
        shows all rows.
      detail: pairs (first row, row after the last): more segments in which lines of many points are
        drawn in more detail, as in all views.
      marks: single rows to mark in every panel.
      height: of each panel, in pixels.
    """
    figure = _stacked([panel.title for panel in panels], height, axis)
    detail = [*detail, *((view.first, view.stop) for view in views)]
    for place, panel in enumerate(panels, start=1):
        _draw(figure, panel, place, axis.places, detail)
    figure["views"] = [_view(view, panels, axis.places) for view in views]
    if views:
        figure["layout"] |= {  # a copy of each axis, with its range
            name: figure["layout"][name] | {"range": ends, "autorange": ends is None}
            for name, ends in figure["views"][0]["ranges"].items()
        }
    _shade(figure, axis.places, spans)
    _mark(figure, axis.places, marks)
    figure["legend"].sort(key=lambda entry: entry["style"] == "area")  # lines come first
    return figure


def gates(
    run: Run,
    layer: str,
    example: int,
    rows: np.ndarray,
    axis: Axis,
    spans: Sequence[Span] = (),
    above: Sequence[Panel] = (),
) -> dict[str, Any]:
    """Draw the gates and the cell state of a layer over time, a line for each unit.

    Units are ordered by `study.time_scale`, the longest memory on top.

    Args:
      run: from `study.run`.
      layer, example: which layer and example of the run.
      rows: [T], the rows of the table that the example holds.
      axis, spans: as in `series`.
      above: panels to draw above the gates, such as the inputs of the layer.
    """
    order = np.argsort(-np.asarray(time_scale(run[layer]).half_life), kind="stable")
    titles = [panel.title for panel in above] + [f"{name} of {layer}" for name in GATES.values()]
    figure = _stacked(titles, 150, axis)
    for place, panel in enumerate(above, start=1):
        _draw(figure, panel, place, axis.places)
    for place, name in enumerate(GATES, start=1 + len(above)):
        vertical = figure["layout"][_axis("yaxis", place)]
        vertical |= {"autorange": "reversed", "showticklabels": False, "ticks": ""}
        low, high = vertical["domain"]
        values = np.asarray(run[layer, name][example], np.float32).T[order]
        figure["data"].append(
            {
                "type": "heatmap",
                "x": _at(axis.places, rows),
                "y": [f"unit {unit}" for unit in order],
                "z": [_numbers(row, 3) for row in values],
                "yaxis": _axis("y", place),
                "colorbar": {
                    "len": high - low,
                    "y": (high + low) / 2,
                    "thickness": 10,
                    "outlinewidth": 0,
                },
                "name": "",
                **_scale(name, values),
            }
        )
    _shade(figure, axis.places, spans, filled=False)
    return figure


def _scale(name: str, values: np.ndarray) -> dict[str, Any]:
    """Return the colours of a gate or of the cell state, those of `study.plots`."""
    scale = signed_scale(values) if name == "c" else FRACTION
    colours = colour_scale(scale["cmap"])
    places = np.linspace(0, 1, len(colours)).tolist()
    return {
        "colorscale": [list(pair) for pair in zip(places, colours, strict=True)],
        "zmin": scale["vmin"],
        "zmax": scale["vmax"],
    }


def _stacked(titles: Sequence[str], height: int, axis: Axis) -> dict[str, Any]:
    """Return a figure of empty panels, the first on top, each with its title above it."""
    inside = height * len(titles) + TITLE * (len(titles) - 1)
    layout: dict[str, Any] = {
        "height": inside + EDGES["t"] + EDGES["b"],
        "margin": EDGES,
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "showlegend": False,
        "xaxis": {
            "anchor": _axis("y", len(titles)),
            "title": {"text": _plain(axis.title)},
            "exponentformat": "none",
            "automargin": True,
        },
        "annotations": [],
        "shapes": [],
    }
    for place, title in enumerate(titles, start=1):
        top = 1 - (place - 1) * (height + TITLE) / inside
        layout[_axis("yaxis", place)] = {
            "anchor": "x",
            "domain": [max(0.0, top - height / inside), top],
            "automargin": True,
        }
        layout["annotations"].append(
            {
                "text": _plain(title),
                "x": 0,
                "y": top,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
    return {"data": [], "layout": layout, "legend": [], "views": []}


def _axis(kind: str, place: int) -> str:
    """Return the name of a vertical axis: "yaxis", "yaxis2", ..., or "y", "y2", ..."""
    return kind if place == 1 else f"{kind}{place}"


def _view(view: View, panels: Sequence[Panel], places: Sequence) -> dict[str, Any]:
    """Return the range of each axis; None for that of all rows, and where there is no number."""
    whole = view.first <= 0 and view.stop >= len(places)
    ranges: dict[str, Any] = {
        "xaxis": None if whole else [places[view.first], places[view.stop - 1]]
    }
    for place, panel in enumerate(panels, start=1):
        ranges[_axis("yaxis", place)] = None if whole else limits(panel, view.first, view.stop)
    return {"name": view.name, "anchor": view.anchor, "ranges": ranges}


def _draw(figure: dict, panel: Panel, place: int, places: Sequence, detail=()) -> None:
    """Draw a panel in row `place` of the figure."""
    if not panel.has_scale:
        figure["layout"][_axis("yaxis", place)]["showticklabels"] = False
    for band in panel.bands:
        style = {
            "type": "scatter",
            "mode": "lines",
            "line": {"width": 0},
            "hoverinfo": "skip",
            "x": _at(places, band.rows),
            "yaxis": _axis("y", place),
            "name": _plain(band.name),
        }
        fill = {"fill": "tonexty", "fillcolor": _transparent(band.colour, 0.2)}
        entry = _entry(figure, band.name, band.colour, "area")
        for values, extra in ((band.high, {}), (band.low, fill)):
            entry["traces"].append(len(figure["data"]))
            figure["data"].append({**style, "y": _numbers(values), **extra})
    for curve in panel.curves:
        entry = _entry(figure, curve.name, curve.colour, curve.dash, shown=curve.shown)
        entry["shown"] = entry["shown"] or curve.shown
        entry["traces"].append(len(figure["data"]))
        figure["data"].append(_line(curve, places, detail) | {"yaxis": _axis("y", place)})
    if panel.level is not None:
        line = {"color": THRESHOLD, "dash": "dash", "width": 1.4}
        ends = {"xref": "paper", "x0": 0, "x1": 1, "y0": panel.level, "y1": panel.level}
        shape = {"type": "line", "yref": _axis("y", place), "line": line, **ends}
        figure["layout"]["shapes"].append(shape)
    for entry in figure["legend"]:  # a line that is shown in one panel is shown in all
        for trace in entry["traces"]:
            figure["data"][trace]["visible"] = entry["shown"]


def _line(curve: Curve, places: Sequence, detail) -> dict[str, Any]:
    chosen = points(curve, detail)
    return {
        "type": "scatter",
        "mode": "lines+markers" if len(curve.rows) == 1 else "lines",
        "x": _at(places, curve.rows[chosen]),
        "y": _numbers(np.asarray(curve.values)[chosen]),
        "name": _plain(curve.name),
        "line": {"color": curve.colour, "width": curve.width, "dash": curve.dash},
        "opacity": curve.opacity,
    }


def _shade(figure: dict, places: Sequence, spans: Sequence[Span], *, filled: bool = True) -> None:
    """Shade the spans over every panel, and name their colours in the legend."""
    for span in spans[:MOST_SPANS]:
        shape = {
            "type": "rect",
            "xref": "x",
            "yref": "paper",
            "x0": places[span.first],
            "x1": places[span.last],
            "y0": 0,
            "y1": 1,
            "fillcolor": _transparent(span.colour, 0.25 if filled else 0),
            "line": {"color": span.colour, "width": 1},
            "layer": "below" if filled else "above",
        }
        _add_shape(figure, shape, span.name, span.colour, "area")


def _mark(figure: dict, places: Sequence, marks: Sequence[Mark]) -> None:
    """Draw a vertical line over every panel at each mark, named in the legend."""
    for mark in marks:
        place = places[mark.row]
        shape = {"type": "line", "xref": "x", "yref": "paper", "x0": place, "x1": place}
        shape |= {"y0": 0, "y1": 1, "line": {"color": mark.colour, "width": 2, "dash": "dot"}}
        _add_shape(figure, shape, mark.name, mark.colour, "dot")


def _add_shape(figure: dict, shape: dict, name: str, colour: str, style: str) -> None:
    shapes = figure["layout"]["shapes"]
    _entry(figure, name, colour, style)["shapes"].append(len(shapes))
    shapes.append(shape)


def _entry(figure: dict, name: str, colour: str, style: str, *, shown: bool = True) -> dict:
    """Return the entry of a name in the legend, which has each name once."""
    for entry in figure["legend"]:
        if entry["name"] == name:
            return entry
    entry = {"name": name, "colour": colour, "style": style, "shown": shown}
    figure["legend"].append(entry | {"traces": [], "shapes": []})
    return figure["legend"][-1]


def _at(places: Sequence, rows) -> list:
    return [places[row] for row in np.asarray(rows).tolist()]


def _numbers(values, decimals: int | None = None) -> list[float | None]:
    """Return numbers for JSON, which has no NaN: of 32 bits, or with so many decimals."""
    rounded = np.asarray(values, float)
    if decimals is not None:
        rounded = np.round(rounded, decimals)
    return [
        (value if decimals is not None else float(f"{value:.8g}")) if finite else None
        for value, finite in zip(rounded.tolist(), np.isfinite(rounded).tolist(), strict=True)
    ]


def _transparent(colour: str, opacity: float) -> str:
    """Return a colour like "#D55E00" with its opacity as two more digits."""
    return f"{colour}{round(255 * opacity):02x}"


def _plain(text: str) -> str:
    """Return text that plotly shows as is: it reads some HTML as markup, and $...$ as a formula.

    Plotly decodes what is escaped here but not all of HTML: `&quot;` would be shown as is.
    """
    return html.escape(printable(text), quote=False).replace("$", "&#36;")
