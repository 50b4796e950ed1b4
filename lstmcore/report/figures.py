"""Figures of plotly for a report: series over time, stretches of them marked, and gates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from lstmcore.study.plots.style import COLOURS
from lstmcore.study.run import Run
from lstmcore.study.statistics import time_scale

MOST_POINTS = 4000  # of a line; of more, the lowest and highest of each stretch are drawn
MOST_SPANS = 300  # a browser draws each as an element of its own
GATES = {
    "input": "input gate i",
    "forget": "forget gate f",
    "output": "output gate o",
    "c": "cell state c",
}


class Curve(NamedTuple):
    """A line. values: [n], NaN leaves a gap; rows: [n], places on the time axis."""

    name: str
    rows: np.ndarray
    values: np.ndarray
    colour: str = COLOURS[0]
    dash: str = "solid"


class Band(NamedTuple):
    """The room between two lines, such as an interval; low, high: [n]."""

    name: str
    rows: np.ndarray
    low: np.ndarray
    high: np.ndarray
    colour: str = COLOURS[0]


class Panel(NamedTuple):
    """One of several plots over the same time. level: a horizontal line, such as a threshold."""

    title: str
    curves: Sequence[Curve]
    bands: Sequence[Band] = ()
    level: float | None = None


class Span(NamedTuple):
    """A stretch of rows, first to last, both included."""

    first: int
    last: int
    name: str
    colour: str


def series(
    panels: Sequence[Panel], labels: Sequence, spans: Sequence[Span] = (), height: int = 220
):
    """Panels below one another, over one time axis that zooms all of them.

    Args:
      panels: what to draw.
      labels: names of the rows, such as dates.
      spans: stretches to mark in every panel.
      height: of each panel, in pixels.
    """
    figure = _subplots([panel.title for panel in panels], height)
    for place, panel in enumerate(panels, start=1):
        _draw(figure, panel, place, labels)
    _mark(figure, labels, spans)
    return figure


def gates(
    run: Run,
    layer: str,
    example: int,
    rows: np.ndarray,
    labels: Sequence,
    spans: Sequence[Span] = (),
    above: Sequence[Panel] = (),
):
    """Input, forget and output gates and the cell of a layer over time, a line for each unit.

    Units are ordered by `study.time_scale`, the longest memory on top.

    Args:
      run: of `study.run`.
      layer, example: what of it.
      rows: [T], the rows of the table that the example was.
      labels, spans: as in `series`.
      above: panels to draw above the gates, such as what the layer read.
    """
    order = np.argsort(-np.asarray(time_scale(run[layer]).half_life), kind="stable")
    x = [_label(labels, row) for row in rows]
    titles = [panel.title for panel in above] + [f"{words} of {layer}" for words in GATES.values()]
    figure = _subplots(titles, 150)
    for place, panel in enumerate(above, start=1):
        _draw(figure, panel, place, labels)
    for place, name in enumerate(GATES, start=1 + len(above)):
        values = np.asarray(run[layer, name][example], np.float32).T[order]
        limit = float(np.abs(values).max()) or 1.0
        scale = (
            {"colorscale": "RdBu_r", "zmin": -limit, "zmax": limit}
            if name == "c"
            else {"colorscale": "Viridis", "zmin": 0, "zmax": 1}
        )
        bar = {"len": 0.8 / len(titles), "y": 1 - (place - 0.5) / len(titles), "thickness": 12}
        figure.add_heatmap(
            x=x,
            y=[f"unit {unit}" for unit in order],
            z=np.round(values, 3),
            colorbar=bar,
            row=place,
            col=1,
            **scale,
        )
        figure.update_yaxes(autorange="reversed", showticklabels=False, row=place, col=1)
    _mark(figure, labels, spans, filled=False)
    return figure


def thin(values: np.ndarray, most: int = MOST_POINTS) -> np.ndarray:
    """Indices of `values` [n] that show the same line: all, or the extremes of each stretch.

    Examples:
      >>> thin(np.array([0, 5, 1, 0, -7, 2, 0, 1]), most=4).tolist()
      [0, 1, 4, 5]
    """
    values = np.asarray(values, float)
    if len(values) <= most:
        return np.arange(len(values))
    length = -(-len(values) // (most // 2))
    padded = np.full(-(-len(values) // length) * length, np.nan)
    padded[: len(values)] = values
    stretches = padded.reshape(-1, length)
    low = np.where(np.isnan(stretches), np.inf, stretches).argmin(axis=1)
    high = np.where(np.isnan(stretches), -np.inf, stretches).argmax(axis=1)
    first = np.arange(len(stretches)) * length
    chosen = np.unique(np.concatenate([first + low, first + high]))
    return chosen[chosen < len(values)]


def _subplots(titles: Sequence[str], height: int):
    from plotly.subplots import make_subplots

    total = height * len(titles) + 90
    figure = make_subplots(
        len(titles),
        1,
        shared_xaxes=True,
        vertical_spacing=min(0.2, 34 / total),
        subplot_titles=titles,
    )
    figure.update_layout(
        template="plotly_white",
        height=total,
        margin={"l": 60, "r": 20, "t": 60, "b": 30},
        hovermode="x unified",
        legend={"orientation": "h", "y": 1 + 30 / total, "x": 1, "xanchor": "right"},
    )
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    return figure


def _draw(figure, panel: Panel, place: int, labels: Sequence) -> None:
    """A panel, in row `place` of the figure."""
    known = {trace.name for trace in figure.data}  # a name stands in the legend once
    for band in panel.bands:
        x = [_label(labels, row) for row in band.rows]
        style = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", "row": place, "col": 1}
        figure.add_scatter(x=x, y=band.high, showlegend=False, **style)
        figure.add_scatter(
            x=x,
            y=band.low,
            name=band.name,
            fill="tonexty",
            fillcolor=_transparent(band.colour, 0.2),
            showlegend=band.name not in known,
            **style,
        )
    for curve in panel.curves:
        chosen = thin(curve.values)
        figure.add_scatter(
            x=[_label(labels, row) for row in curve.rows[chosen]],
            y=np.asarray(curve.values, np.float32)[chosen],
            name=curve.name,
            mode="lines+markers" if len(curve.rows) == 1 else "lines",
            line={"color": curve.colour, "width": 1.4, "dash": curve.dash},
            legendgroup=curve.name,
            showlegend=curve.name not in known,
            row=place,
            col=1,
        )
    if panel.level is not None:
        figure.add_hline(panel.level, line={"color": "#000", "dash": "dash"}, row=place, col=1)


def _mark(figure, labels, spans: Sequence[Span], *, filled: bool = True) -> None:
    """Shade the spans over every panel, and name their colours in the legend."""
    ways: dict[str, Any] = {}
    for span in spans[:MOST_SPANS]:
        colour = _transparent(span.colour, 0.25 if filled else 0)
        figure.add_shape(
            type="rect",
            xref="x",
            yref="paper",
            x0=_label(labels, span.first),
            x1=_label(labels, span.last),
            y0=0,
            y1=1,
            fillcolor=colour,
            line={"color": span.colour, "width": 1},
            layer="below" if filled else "above",
        )
        ways[span.name] = span.colour
    for name, colour in ways.items():
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"symbol": "square", "size": 12, "color": _transparent(colour, 0.5)},
            name=name,
        )


def _label(labels: Sequence, row: int):
    return labels[int(row)]


def _transparent(colour: str, share: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {share})"
