"""An HTML page from its parts; each part is a string of HTML, returned by a function here.

page.write("report.html", "Load of May", [
    page.summary(["No event above the threshold."], good=True),
    page.grid(["", "MAE"], [["model", "1.2"], ["naive", "2.3"]]),
    page.figure(drawn, "the series"),
])
"""

from __future__ import annotations

import base64
import gzip
import html
import io
import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

from lstmcore._version import __version__
from lstmcore.display.theme import THEME
from lstmcore.formatting import numeric, printable
from lstmcore.io import plotlyjs
from lstmcore.io.atomic import atomic_path
from lstmcore.io.content_policy import content_policy
from lstmcore.study.plots.style import COLOURS, DARK


def write(path: str | os.PathLike, title: str, parts: Sequence[str]) -> Path:
    """Write a page; an existing file is replaced once the new one is complete.

    The page contains plotly.js, about 0.7 MB, and needs no network. It is light or dark as the
    reader's system is, and light when printed.

    Raises:
      OSError: the file cannot be written.
    """
    draw = _file("draw.js")
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{content_policy([plotlyjs.source(), draw])}\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<link rel="icon" href="data:,">\n'
        f"<title>{_escaped(title)}</title>\n<style>\n{THEME}{_palette()}{_file('page.css')}</style>\n"
        "</head>\n<body>\n<main>\n"
        f"<h1>{_escaped(title)}</h1>\n"
        "<noscript><p>The figures need JavaScript; all else is here.</p></noscript>\n"
        + "\n".join(parts)
        + f"\n</main>\n<footer>lstmcore {_escaped(__version__)}</footer>\n"
        f'<script type="application/json" id="dark">{json.dumps(DARK)}</script>\n'
        f'<script type="application/gzip" id="plotly">{_plotly()}</script>\n'
        f"<script>{draw}</script>\n</body>\n</html>\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def heading(text: str) -> str:
    """Return a heading."""
    return f"<h2>{_escaped(text)}</h2>"


def paragraph(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{_escaped(text)}</p>"


def summary(sentences: Sequence[str], *, good: bool) -> str:
    """Return a highlighted box of sentences, a paragraph each, coloured by `good`."""
    text = "".join(f"<p>{_escaped(sentence)}</p>" for sentence in sentences)
    return f'<div class="summary {"good" if good else "bad"}">{text}</div>'


def listing(items: Sequence[str], links: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return a bulleted list. links: {item: the `View.anchor` that it leads to}."""
    if not items:
        return ""

    def line(item: str) -> str:
        link = f' <a href="#{links[item]}">Show it.</a>' if item in links else ""
        return f"<li>{_escaped(item)}{link}</li>"

    return f"<ul>{''.join(map(line, items))}</ul>"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; columns of numbers are flush right."""
    kinds = ["number" if right else "word" for right in numeric(header, rows)]

    def cells(tag: str, row: Sequence[str], scope: str = "") -> str:
        pairs = zip(kinds, row, strict=True)
        return "".join(f'<{tag} class="{k}"{scope}>{_escaped(cell)}</{tag}>' for k, cell in pairs)

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = cells("th", header, ' scope="col"')
    # One that is wider than the screen is scrolled, by keys too.
    return (
        f'<div class="wide" tabindex="0"><table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def figure(drawn: Mapping[str, Any], caption: str) -> str:
    """Return a figure from `figures` with its views, its legend and a caption."""
    text = _escaped(caption)
    # A view or a line is known to the script by its place.
    views = "".join(
        f'<button type="button" aria-pressed="{"true" if place == 0 else "false"}"'
        + (f' id="{view["anchor"]}"' if view["anchor"] else "")
        + f">{_escaped(view['name'])}</button>"
        for place, view in enumerate(drawn["views"])
    )
    legend = "".join(
        f'<button type="button" aria-pressed="{"true" if entry["shown"] else "false"}">'
        f'<span class="swatch {entry["style"]}" style="--swatch: {_css(entry["colour"])}"></span>'
        f"{_escaped(entry['name'])}</button>"
        for entry in drawn["legend"]
    )
    height = drawn["layout"]["height"]
    return (
        "<figure>"
        + f'<div class="views" role="group" aria-label="Show">{views}</div>' * bool(views)
        + f'<div class="legend" role="group" aria-label="Lines">{legend}</div>' * bool(legend)
        + f'<div class="plot" role="img" aria-label="{text}" style="height: {height}px"></div>'
        f'<script type="application/gzip">{_packed(json.dumps(drawn, allow_nan=False))}</script>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def image(drawn: Figure, caption: str) -> str:
    """Return a figure of matplotlib, as an image with a caption."""
    file = io.BytesIO()
    drawn.savefig(file, format="png", dpi=110)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    text = _escaped(caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _escaped(text: str) -> str:
    """Return text escaped for HTML, with control characters made visible."""
    return html.escape(printable(text))


def _file(name: str) -> str:
    return (resources.files(__name__.rpartition(".")[0]) / name).read_text(encoding="utf-8")


def _palette() -> str:
    """Return the colours of figures as variables of CSS, by their place in `COLOURS`."""
    lines = (
        f"--colour-{place}: light-dark({colour}, {DARK[colour]});"
        for place, colour in enumerate(COLOURS)
    )
    return ":root { " + " ".join(lines) + " }\n"


def _css(colour: str) -> str:
    return f"var(--colour-{COLOURS.index(colour)})" if colour in COLOURS else colour


def _packed(text: str) -> str:
    """Return text for a browser to decompress: gzip, as base64, the same for the same text."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode("ascii")


@cache
def _plotly() -> str:
    return _packed(plotlyjs.source())
