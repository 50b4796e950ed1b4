"""Tables and small plots for notebooks: HTML without scripts, for light and dark themes.

All text is escaped, nothing is loaded from elsewhere, and lines take the colour of the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from lstmcore.display.arrays import is_array, number_text, range_text, shape_text, values_of
from lstmcore.display.text import leaf_text, named_fields

WIDTH, HEIGHT = 120, 22  # pixels of a small plot
MOST_ROWS = 40  # of a table
MOST_COUNTED = 2**18  # values of a histogram, which is no finer than its pixels
RULE = "1px solid rgba(128, 128, 128, 0.4)"  # visible on white and on black
MARKED = "#d9534f"  # likewise


class Markup(str):
    """HTML that is complete already, so that a table does not escape it."""

    __slots__ = ()


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, words: int, last: Sequence[str] = ()
) -> Markup:
    """Return a table, the first `words` columns flush left, the others right.

    A cell is escaped unless it is Markup. Of many rows the first 40 are shown. `last` is a row
    below a rule.

    Examples:
      >>> "<td" in table(["layer", "params"], [["lstm_0", "352"]], words=1)
      True
    """
    shown, more = rows[:MOST_ROWS], len(rows) - MOST_ROWS
    lines = [_row("th", header, words, f"border-bottom:{RULE}")]
    lines += [_row("td", row, words) for row in shown]
    if more > 0:
        lines.append(_row("td", [f"… {more:,} more", *[""] * (len(header) - 1)], words))
    if last:
        lines.append(_row("td", last, words, f"border-top:{RULE};font-weight:bold"))
    head, body = lines[0], "".join(lines[1:])
    return Markup(
        '<table style="border-collapse:collapse;border:none;margin:0.3em 0">'
        f"<thead>{head}</thead><tbody>{body}</tbody></table>"
    )


def titled(title: str, *parts: str) -> str:
    """Return parts below a title; a text that is not Markup is escaped and becomes a paragraph."""
    paragraphs = (
        part if isinstance(part, Markup) else f'<div style="opacity:0.75">{escape(part)}</div>'
        for part in parts
        if part
    )
    return f"<div><div><b>{escape(title)}</b></div>{''.join(paragraphs)}</div>"


def fields_html(value: Any) -> str:
    """Return a NamedTuple or dataclass of arrays as a table with one row for each array.

    The plot shows arrays [B, T, H] by their mean at each step, arrays of one axis as they are, and
    others by the histogram of their values.
    """
    rows: list[tuple[str, ...]] = []
    kinds: list[str] = []
    for name, leaf in _leaves(value):
        if is_array(leaf) and not isinstance(leaf, np.generic):
            kind, plot = array_plot(leaf)
            kinds += [kind] if kind and kind not in kinds else []
            rows.append((name, shape_text(leaf), str(leaf.dtype), range_text(leaf), plot))
        else:
            rows.append((name, "", "", leaf_text(leaf), ""))
    header = ("", "shape", "dtype", "range", " / ".join(kinds))
    return titled(type(value).__name__, table(header, rows, words=5))


def array_plot(array: Any) -> tuple[str, Markup]:
    """Return (what it shows, plot) of an array; ("", "") if its values are not known."""
    values = values_of(array)
    if values is None or values.size < 2 or not np.isfinite(values).any():
        return "", Markup()
    if values.ndim == 3:
        with np.errstate(invalid="ignore"):  # infinities of both signs
            means = values.mean(axis=(0, 2), dtype=float)
        return "mean by step", sparkline(means, "mean by step")
    if values.ndim == 1:
        return "values", sparkline(values, "values")
    if values.size > MOST_COUNTED:
        drawn = np.random.default_rng(0).integers(values.size, size=MOST_COUNTED)
        values = values.reshape(-1)[drawn]
    return "histogram", histogram(values.astype(float), "histogram")


def sparkline(
    values: Any,
    label: str,
    *,
    width: int = WIDTH,
    height: int = HEIGHT,
    line: float | None = None,
    marked: Sequence[tuple[int, int]] = (),
) -> Markup:
    """Return a line through values as an inline SVG.

    Where there are more values than pixels, each pixel has the lowest and the highest of its own,
    so that no peak is lost. A value that is not finite leaves a gap.

    Args:
      values: [N].
      label: what it shows, for the tooltip and for screen readers.
      width, height: in pixels.
      line: a value at which to draw a dashed line, such as a threshold.
      marked: (start, stop) of segments to shade.
    """
    values = np.asarray(values, float).reshape(-1)
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Markup()
    ends = finite if line is None or not np.isfinite(line) else np.append(finite, line)
    low, high = float(ends.min()), float(ends.max())
    x_of = (width - 4) / max(len(values) - 1, 1)

    def y_of(value: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):  # between the largest floats
            relative = (value - low) / (high - low) if high > low else 0 * value + 0.5
        return height - 3 - relative * (height - 6)

    shapes = [
        f'<rect x="{2 + start * x_of:.1f}" y="0" height="{height}" fill="{MARKED}" '
        f'fill-opacity="0.3" width="{max((stop - start) * x_of, 2):.1f}"/>'
        for start, stop in marked
    ]
    places, heights = _fewer(values, width)
    shapes += _lines(2 + places * x_of, y_of(heights))
    if line is not None and np.isfinite(line):
        y = float(y_of(np.array([line]))[0])
        shapes.append(
            f'<line x1="0" x2="{width}" y1="{y:.1f}" y2="{y:.1f}" stroke="{MARKED}" '
            'stroke-dasharray="4 3"/>'
        )
    spread = f"{number_text(float(finite.min()))} to {number_text(float(finite.max()))}"
    return _svg("".join(shapes), f"{label}: {spread}", width, height)


def histogram(values: np.ndarray, label: str, bins: int = 30) -> Markup:
    """Return the histogram of the finite values as an inline SVG."""
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        if not finite.size or not np.isfinite(finite.max() - finite.min()):
            return Markup()
    counts, _ = np.histogram(finite, bins)
    step = WIDTH / bins
    bars = "".join(
        f'<rect x="{place * step:.1f}" y="{HEIGHT - tall:.1f}" width="{step - 0.8:.1f}" '
        f'height="{tall:.1f}" fill="currentColor" fill-opacity="0.65"/>'
        for place, tall in enumerate((HEIGHT - 1) * counts / counts.max())
        if tall
    )
    spread = f"{number_text(float(finite.min()))} to {number_text(float(finite.max()))}"
    return _svg(bars, f"{label}: {spread}", WIDTH, HEIGHT)


def _row(cell: str, texts: Sequence[str], words: int, style: str = "") -> str:
    cells = (
        f'<{cell} style="text-align:{"left" if place < words else "right"};border:none;'
        f'padding:0.15em 0.7em;white-space:nowrap;{style}">'
        f"{text if isinstance(text, Markup) else escape(str(text))}</{cell}>"
        for place, text in enumerate(texts)
    )
    return f'<tr style="border:none">{"".join(cells)}</tr>'


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield (name, leaf) of all that is not a container itself, such as ("gates.forget", array)."""
    inside: Mapping[Any, Any] | None = named_fields(value)
    if inside is None and isinstance(value, Mapping):
        inside = value
    if inside is None and type(value) is tuple and any(map(named_fields, value)):
        inside = dict(enumerate(value))
    if inside is None:
        yield name, value
        return
    for key, part in inside.items():
        yield from _leaves(part, f"{name}.{key}" if name else str(key))


def _fewer(values: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (places, values) of at most two values for each pixel, its lowest and highest."""
    if len(values) <= 2 * width:
        return np.arange(len(values)), values
    edges = np.linspace(0, len(values), width + 1).astype(int)[:-1]
    finite = np.isfinite(values)
    low = np.minimum.reduceat(np.where(finite, values, np.inf), edges)
    high = np.maximum.reduceat(np.where(finite, values, -np.inf), edges)
    return np.repeat(edges, 2), np.stack([low, high], axis=1).reshape(-1)


def _lines(x: np.ndarray, y: np.ndarray) -> list[str]:
    """Return a line through each run of finite points; a point of its own as a dot."""
    shapes = []
    known = np.flatnonzero(np.isfinite(y))
    for run in np.split(known, np.flatnonzero(np.diff(known) > 1) + 1):
        points = [f"{x[place]:.1f},{y[place]:.1f}" for place in run]
        if len(points) == 1:
            shapes.append(
                f'<circle cx="{x[run[0]]:.1f}" cy="{y[run[0]]:.1f}" r="1.5" fill="currentColor"/>'
            )
        else:
            shapes.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="currentColor" '
                'stroke-width="1.3" stroke-linejoin="round"/>'
            )
    return shapes


def _svg(shapes: str, label: str, width: int, height: int) -> Markup:
    label = escape(label)
    return Markup(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img" '
        f'viewBox="0 0 {width} {height}" aria-label="{label}" style="vertical-align:middle">'
        f"<title>{label}</title>{shapes}</svg>"
    )
