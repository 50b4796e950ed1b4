"""Figures of plotly for a report: series over time with marked segments, and gates."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import numpy as np

from lstmcore.apps.report.series_data import Axis, Panel, Span, limits, points
from lstmcore.formatting import printable
from lstmcore.study.record import Run
from lstmcore.study.statistics import time_scale

MOST_SPANS = 300  # a browser draws each as an element of its own, in every panel
GATES = {
    "input": "input gate i",
    "forget": "forget gate f",
    "output": "output gate o",
    "c": "cell state c",
}


def series(
    panels: Sequence[Panel],
    axis: Axis,
    spans: Sequence[Span] = (),
    *,
    shown: tuple[int, int] | None = None,
    detail: Sequence[tuple[int, int]] = (),
    height: int = 220,
):
    """Draw panels below one another, over a common time axis.

    Args:
      panels: the panels.
      axis: from `time_axis`.
      spans: segments to mark in every panel.
      shown: (first row, row after the last) that the figure opens on; None for all.
      detail: pairs like `shown`: segments in which lines of many points are drawn in more detail.
      height: of each panel, in pixels.
    """
    figure = _subplots([panel.title for panel in panels], height, axis.title)
    detail = [*detail, *([shown] if shown else [])]
    for place, panel in enumerate(panels, start=1):
        _draw(figure, panel, place, axis.places, detail)
        if shown:
            figure.update_yaxes(range=limits(panel, *shown), row=place, col=1)
    if shown:
        figure.update_xaxes(range=[axis.places[shown[0]], axis.places[shown[1] - 1]])
    _mark(figure, axis.places, spans)
    return figure


def gates(
    run: Run,
    layer: str,
    example: int,
    rows: np.ndarray,
    axis: Axis,
    spans: Sequence[Span] = (),
    above: Sequence[Panel] = (),
):
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
    figure = _subplots(titles, 150, axis.title)
    for place, panel in enumerate(above, start=1):
        _draw(figure, panel, place, axis.places)
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
            x=_at(axis.places, rows),
            y=[f"unit {unit}" for unit in order],
            z=np.round(values, 3),
            colorbar=bar,
            row=place,
            col=1,
            **scale,
        )
        figure.update_yaxes(autorange="reversed", showticklabels=False, row=place, col=1)
    _mark(figure, axis.places, spans, filled=False)
    return figure


def _subplots(titles: Sequence[str], height: int, xtitle: str):
    from plotly.subplots import make_subplots

    total = height * len(titles) + 110
    figure = make_subplots(
        len(titles),
        1,
        shared_xaxes=True,
        vertical_spacing=min(0.2, 34 / total),
        subplot_titles=[_plain(title) for title in titles],
    )
    figure.update_layout(
        template="plotly_white",
        height=total,
        margin={"l": 60, "r": 20, "t": 60, "b": 50},
        hovermode="x unified",
        legend={"orientation": "h", "y": 1 + 30 / total, "x": 1, "xanchor": "right"},
    )
    figure.update_annotations(x=0, xanchor="left", font_size=13)
    figure.update_xaxes(exponentformat="none")
    figure.update_xaxes(title_text=_plain(xtitle), row=len(titles), col=1)
    return figure


def _draw(figure, panel: Panel, place: int, places: Sequence, detail=()) -> None:
    """Draw a panel in row `place` of the figure."""
    known = {trace.name for trace in figure.data}  # each name is in the legend once
    for band in panel.bands:
        name = _plain(band.name)
        style = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", "row": place, "col": 1}
        style |= {"x": _at(places, band.rows), "legendgroup": name}
        figure.add_scatter(y=band.high, showlegend=False, **style)
        figure.add_scatter(
            y=band.low,
            name=name,
            fill="tonexty",
            fillcolor=_transparent(band.colour, 0.2),
            showlegend=name not in known,
            **style,
        )
    for curve in panel.curves:
        name = _plain(curve.name)
        chosen = points(curve, detail)
        figure.add_scatter(
            x=_at(places, curve.rows[chosen]),
            y=np.asarray(curve.values, np.float32)[chosen],
            name=name,
            mode="lines+markers" if len(curve.rows) == 1 else "lines",
            line={"color": curve.colour, "width": 1.4, "dash": curve.dash},
            legendgroup=name,
            showlegend=name not in known,
            row=place,
            col=1,
        )
    if panel.level is not None:
        figure.add_hline(panel.level, line={"color": "#000", "dash": "dash"}, row=place, col=1)


def _mark(figure, places: Sequence, spans: Sequence[Span], *, filled: bool = True) -> None:
    """Shade the spans over every panel, and name their colours in the legend."""
    colours: dict[str, Any] = {}
    shapes = []
    for span in spans[:MOST_SPANS]:
        shapes.append(
            {
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
        )
        colours[span.name] = span.colour
    figure.update_layout(shapes=[*figure.layout.shapes, *shapes])  # one by one takes seconds
    for name, colour in colours.items():
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            marker={"symbol": "square", "size": 12, "color": _transparent(colour, 0.5)},
            name=_plain(name),
        )


def _at(places: Sequence, rows) -> list:
    return [places[row] for row in np.asarray(rows).tolist()]


def _transparent(colour: str, opacity: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {opacity})"


def _plain(text: str) -> str:
    """Return text that plotly shows as is: it reads some HTML as markup, and $...$ as a formula.

    Plotly decodes what is escaped here but not all of HTML: `&quot;` would be shown as is.
    """
    return html.escape(printable(text), quote=False).replace("$", "&#36;")
