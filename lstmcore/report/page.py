"""A page of HTML from its parts; each part is a string of HTML, made by one of the functions here.

page.write("report.html", "Load of May", [
    page.verdict(["No event above the threshold."], good=True),
    page.grid(["", "MAE"], [["model", "1.2"], ["naive", "2.3"]]),
    page.picture(figure, "the series"),
])
"""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from matplotlib.figure import Figure

from lstmcore import __version__
from lstmcore.io.atomic import atomic_path
from lstmcore.text import numeric


def write(path: str | os.PathLike, title: str, parts: Sequence[str]) -> Path:
    """Write the page; an existing file is replaced once the new one is complete.

    plotly's JavaScript becomes part of it, about 5 MB.

    Raises:
      OSError: it cannot be written.
      ImportError: plotly is missing.
    """
    css = (resources.files(__name__.rpartition(".")[0]) / "page.css").read_text(encoding="utf-8")
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(title)}</title>\n<style>\n{css}</style>\n"
        f"<script>{_plotlyjs()}</script>\n</head>\n<body>\n<main>\n"
        f"<h1>{html.escape(title)}</h1>\n"
        + "\n".join(parts)
        + f"\n<footer>lstmcore {html.escape(__version__)}</footer>\n</main>\n</body>\n</html>\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
    return Path(path)


def heading(text: str) -> str:
    """The title of what follows."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str) -> str:
    """A sentence or several."""
    return f"<p>{html.escape(text)}</p>"


def verdict(sentences: Sequence[str], *, good: bool) -> str:
    """What a reader in a hurry should know, a paragraph each."""
    text = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    return f'<div class="verdict {"good" if good else "bad"}">{text}</div>'


def listing(items: Sequence[str]) -> str:
    """A list of sentences."""
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; columns of numbers are flush right."""
    kinds = ["number" if right else "word" for right in numeric(header, rows)]

    def cells(tag: str, row: Sequence[str]) -> str:
        pairs = zip(kinds, row, strict=True)
        return "".join(f'<{tag} class="{k}">{html.escape(cell)}</{tag}>' for k, cell in pairs)

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{cells("th", header)}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def picture(figure, caption: str) -> str:
    """A figure of plotly, with a caption."""
    drawn = figure.to_html(
        full_html=False,
        include_plotlyjs=False,
        # A double click shows all, also of a figure that opens on a part.
        config={"displaylogo": False, "responsive": True, "doubleClick": "autosize"},
    )
    return f"<figure>{drawn}<figcaption>{html.escape(caption)}</figcaption></figure>"


def image(figure: Figure, caption: str) -> str:
    """A figure of matplotlib, with a caption."""
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    data = base64.b64encode(drawn.getvalue()).decode("ascii")
    text = html.escape(caption)
    return (
        f'<figure><img src="data:image/png;base64,{data}" alt="{text}">'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _plotlyjs() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError("a report needs the package plotly: pip install plotly") from error
    return get_plotlyjs()
