"""The inspector: an interactive HTML page of a run, which opens in a browser without a network.

`payload.py` selects the content of the page and `encoding.py` encodes its numbers; `page.html` and
`page.css` lay it out; three scripts run it: `data.js` (numbers, colours, search), `panels.js`
(plots, by plotly.js) and `controls.js` (mouse, keys, text).
"""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from lstmcore._version import __version__
from lstmcore.arrays import check_known
from lstmcore.display.theme import THEME
from lstmcore.formatting import printable
from lstmcore.io import plotlyjs
from lstmcore.io.atomic import atomic_path
from lstmcore.io.content_policy import content_policy
from lstmcore.study.inspector.payload import MAX_BYTES, payload
from lstmcore.study.record import Run

__all__ = ["inspect"]

GENERATOR = '<meta name="generator" content="lstmcore inspector">'
SCRIPTS = ("data", "panels", "controls")


# All but the first two are optional, and each is a separate part of the page.
def inspect(
    run: Run,
    path: str | os.PathLike,
    *,
    title: str = "",
    text: Sequence | None = None,
    labels: Sequence | None = None,
    columns: Sequence[str] | None = None,
    xlabel: str = "time step",
    layers: Sequence[str] | None = None,
    max_bytes: int = MAX_BYTES,
) -> Path:
    """Write a page that shows a run: every gate of every unit at every step.

    It has a heat map of a layer, plots of a unit over time, a search for units that stay above a
    threshold over a span (after LSTMVis, Strobelt et al. 2018), and text coloured by a unit; all
    follow one cursor. It needs matplotlib (`lstmcore[inspect]`) for its colours. plotly.js,
    1.5 MB, becomes part of the page.

    Gates, h and c are stored in 16 bits, evenly over the range of each unit, with an error of at
    most range / 131,068. Units are ordered by `study.time_scale`, the longest memory on top.

    Args:
      run: from `study.run`.
      path: of the page; an existing file is replaced once the new one is complete.
      title: heading of the page.
      text: for text models, the input: for each example a string of T characters or a list of T
        tokens. Masked steps at the end need none.
      labels: names of the steps, such as dates: T for all examples, or a list of T for each. Steps
        of decoders with another number of steps are numbered from 0.
      columns: F names of the input's columns; an output with as many columns has the same names.
      xlabel: label of the time axis.
      layers: names of the layers to show; None for all.
      max_bytes: most bytes of numbers in the page. What does not fit is left out, with a note in
        the page: examples from the last, then layers from the last.

    Returns:
      path, as a Path.

    Raises:
      TypeError: not a Run.
      ValueError: an unknown layer; text, labels or columns of another length than the run; or a
        budget below one example of one layer.
      OSError: a path that is a folder, or in a folder that does not exist.
      ImportError: matplotlib is missing.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc, tempfile
      >>> from lstmcore import study
      >>> model = lc.Autoencoder(features=2, units=(8, 4))
      >>> run = study.run(model, model.init(jax.random.key(0)), jnp.ones((5, 3, 2)))
      >>> study.inspect(run, tempfile.mkdtemp() + "/page.html", columns=["x", "y"]).name
      'page.html'
    """
    check_known("run", run)
    path = Path(path)
    _check_place(path)
    colours = _colours()
    contents = payload(
        run, text=text, labels=labels, columns=columns, layers=layers, max_bytes=max_bytes
    )
    contents |= {"xlabel": xlabel, "colours": colours}
    # In a script, "</script>" would end it even within a string.
    data = json.dumps(contents, allow_nan=False).replace("<", "\\u003c")
    scripts = {"plotly": plotlyjs.source(), **{name: _file(f"{name}.js") for name in SCRIPTS}}
    parts = {
        "generator": GENERATOR,
        "policy": content_policy(list(scripts.values())),
        "title": html.escape(printable(title) or "Inspector of an LSTM"),
        "version": __version__,
        "run": data,
        "css": THEME + _file("page.css"),
        **scripts,
    }
    # All at once, so that a part which looks like the name of another is not replaced.
    page = re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], _file("page.html"))
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return path


def is_page(path: str | os.PathLike) -> bool:
    """Return whether a file is a page that `inspect` wrote, by its head.

    Raises:
      OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return GENERATOR.encode() in file.read(1000)


def _check_place(path: Path) -> None:
    if path.is_dir():
        raise IsADirectoryError(f"path {path} is a folder: name a file in it, such as inspect.html")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"path {path}: there is no folder {path.parent}; make it first")


def _file(name: str) -> str:
    return (resources.files(__name__) / name).read_text(encoding="utf-8")


def _colours() -> dict[str, list[str]]:
    """Return the colour scales of gates and of signed values, those of `study.plots`."""
    try:
        from lstmcore.study.plots import style
    except ModuleNotFoundError as error:
        raise ImportError(
            "the inspector needs the package matplotlib: pip install matplotlib"
        ) from error
    maps = {"gates": style.FRACTION["cmap"], "signed": style.SIGNED}
    return {
        kind: [f"rgb{tuple(bytes.fromhex(colour[1:]))}" for colour in style.colour_scale(name)]
        for kind, name in maps.items()
    }
