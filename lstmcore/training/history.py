"""The losses of the epochs, as one line of text, as plots and as the columns of a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from lstmcore.display.arrays import number_text
from lstmcore.display.html import Markup, sparkline, table, titled
from lstmcore.formatting import count

__all__ = ["history_columns", "history_html", "history_text", "params_text"]


def history_text(history: Mapping[str, Any]) -> str:
    """Return the number of epochs, and of each loss the first value and the last.

    Examples:
      >>> history_text({"loss": np.array([0.5, 0.25, 0.125])})
      '3 epochs: loss 0.5 to 0.125'
    """
    losses = [
        f"{name} {number_text(float(values[0]))} to {number_text(float(values[-1]))}"
        for name, values in history.items()
        if len(values)
    ]
    return f"{count(epochs_of(history), 'epoch')}{': ' if losses else ''}{', '.join(losses)}"


def history_html(title: str, history: Mapping[str, Any], *notes: str) -> str:
    """Return notes, then the curve of each loss with its first, its lowest and its last value."""
    rows = []
    for name, values in history.items():
        if len(values):
            best = int(np.nanargmin(values)) if np.isfinite(values).any() else 0
            figures = [number_text(float(values[place])) for place in (0, best, -1)]
            plot = sparkline(values, name, width=240, height=36)
            rows.append([name, plot, *figures, f"{best + 1:,}"])
    header = ["", "by epoch", "first", "lowest", "last", "lowest in epoch"]
    losses = table(header, rows, words=2) if rows else Markup()
    return titled(title, *notes, count(epochs_of(history), "epoch"), losses)


def history_columns(history: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns "epoch", from 1, and each loss."""
    return {"epoch": np.arange(1, epochs_of(history) + 1), **history}


def epochs_of(history: Mapping[str, Any]) -> int:
    """Return the number of epochs."""
    return max(map(len, history.values()), default=0)


def params_text(params: Any) -> str:
    """Return the number of params, such as "12,345 params"."""
    return count(sum(np.size(leaf) for leaf in jax.tree.leaves(params)), "param")
