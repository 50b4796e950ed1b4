"""An HTML page from its parts; each part is a string of HTML, returned by a function here.

page.write("report.html", "Load of May", [
    page.summary(["No event above the threshold."], good=True),
    page.grid(["", "MAE"], [["model", "1.2"], ["naive", "2.3"]]),
    page.figure(drawn, "the series"),
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

from lstmcore._version import __version__
from lstmcore.formatting import numeric, printable
from lstmcore.io.atomic import atomic_path
from lstmcore.io.content_policy import content_policy


def write(path: str | os.PathLike, title: str, parts: Sequence[str]) -> Path:
    """Write a page; an existing file is replaced once the new one is complete.

    The page contains the JavaScript of plotly, about 5 MB.

    Raises:
      OSError: the file cannot be written.
      ImportError: plotly is missing.
    """
    plotly, draw = _plotlyjs(), _file("draw.js")
    text = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"{content_policy([plotly, draw])}\n"
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_escaped(title)}</title>\n<style>\n{_file('page.css')}</style>\n"
        f"<script>{plotly}</script>\n</head>\n<body>\n<main>\n"
        f"<h1>{_escaped(title)}</h1>\n"
        + "\n".join(parts)
        + f"\n<footer>lstmcore {_escaped(__version__)}</footer>\n</main>\n"
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


def listing(items: Sequence[str]) -> str:
    """Return a bulleted list."""
    return "<ul>" + "".join(f"<li>{_escaped(item)}</li>" for item in items) + "</ul>"


def grid(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; columns of numbers are flush right."""
    kinds = ["number" if right else "word" for right in numeric(header, rows)]

    def cells(tag: str, row: Sequence[str]) -> str:
        pairs = zip(kinds, row, strict=True)
        return "".join(f'<{tag} class="{k}">{_escaped(cell)}</{tag}>' for k, cell in pairs)

    body = "\n".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead><tr>{cells("th", header)}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def figure(drawn, caption: str) -> str:
    """Return a figure of plotly with a caption."""
    # "</script>" would end the script, even within a string.
    data = drawn.to_json().replace("<", "\\u003c")
    return (
        '<figure><div class="plotly-graph-div"></div>'
        f'<script type="application/json">{data}</script>'
        f"<figcaption>{_escaped(caption)}</figcaption></figure>"
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


def _plotlyjs() -> str:
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise ImportError("a report needs the package plotly: pip install plotly") from error
    return get_plotlyjs()
