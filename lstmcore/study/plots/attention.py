"""Draw the attention weights of a decoder, target by source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from lstmcore.arrays import check_known
from lstmcore.formatting import count
from lstmcore.study.plots.style import FRACTION, colour_bar, heat_map, panels, plain
from lstmcore.study.plots.timeline import one_place
from lstmcore.study.record import Run

CELL = 0.28  # inches
MOST_CELLS = 80  # of this size; more are smaller, and some of them are labelled


def plot_attention(
    run: Run, example: int = 0, *, source: Sequence[str] = (), target: Sequence[str] = (), axes=None
) -> Figure:
    """Draw attention weights, one row for each target token and one column for each source token.

    As in Bahdanau et al. (2015), a row sums to 1: the weights with which the decoder attended to
    the source before it produced that token. Padding is left out, on both sides.

    Args:
      run: of a model with attention: `study.run(model, params, source, target=target)`.
      example: index into the batch.
      source, target: names of the steps, such as `vocabulary.labels(ids)`, with or without names
        of the padding at the end; if empty, steps are numbered from 0.
      axes: the Axes to draw into.

    Returns:
      The figure.

    Raises:
      ValueError: a run without attention, an example that does not exist, too few names, or more
        than one of `axes`.
      TypeError: `axes` that are not Axes.
    """
    check_known("run", run)
    if run.attention is None:
        raise ValueError(
            "run has no attention to draw: use a model such as "
            "lc.Seq2Seq(..., attention='general'), run with target="
        )
    example = one_place("example", example, len(run.inputs))
    weights = np.asarray(run.attention[example], dtype=float)
    masks = run.masks[run.decoder[0]] if run.decoder else None, run.mask
    kept = [
        np.arange(size) if mask is None else np.flatnonzero(mask[example])
        for mask, size in zip(masks, weights.shape, strict=True)
    ]
    weights = weights[np.ix_(*kept)]
    rows, columns = weights.shape
    width, height = (min(max(cells, 4), MOST_CELLS) * CELL for cells in (columns, rows))
    size = (2 + width, 1.2 + height)
    figure, grid = panels(axes, 1, 1, "the weights", figsize=size)
    panel = grid[0, 0]
    if weights.size:
        colour_bar(panel, heat_map(panel, weights, FRACTION), weights, label="weight")
    names = _names("target", target, kept[0]), _names("source", source, kept[1])
    places = [range(0, cells, -(-cells // MOST_CELLS) or 1) for cells in (rows, columns)]
    of_rows, of_columns = (
        [some[place] for place in chosen] for some, chosen in zip(names, places, strict=True)
    )
    panel.set_yticks(places[0], of_rows)
    crowded = max(map(len, of_columns), default=0) > 2
    panel.set_xticks(
        places[1], of_columns, rotation=60 if crowded else 0, ha="right" if crowded else "center"
    )
    panel.set(xlabel="source", ylabel="target")
    return figure


def _names(argument: str, given: Sequence[str], kept: np.ndarray) -> list[str]:
    if not len(given):
        return [str(step) for step in kept]
    needed = max(kept, default=-1) + 1
    if len(given) < needed:
        raise ValueError(
            f"{argument} has {count(len(given), 'name')} but the last step drawn is number "
            f"{needed}: it must have a name for each step up to there"
        )
    return [plain(given[step]) for step in kept]
