"""Two tables for one model: their rows must be at the same interval of time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lstmcore.formatting import count
from lstmcore.series import Times


def check_intervals(
    train: str | Path, trained: str | None, source: str | Path, interval: str | None
) -> None:
    """Check that the interval of a table is that of the training table.

    Args:
      train: name of the training table.
      trained: interval of its rows, such as "1 hour"; None if it is unknown.
      source: name of the other table.
      interval: of its rows, likewise.

    Raises:
      ValueError: both are known, and they differ.
    """
    if trained is not None and interval is not None and trained != interval:
        raise ValueError(
            f"{source} has a row every {every(interval)}, but {train}, the training table, "
            f"one every {every(trained)}: a model knows rows, not times, so bring both tables to "
            "the same interval first"
        )


def shared_rows(train: str | Path, trained: Times | None, scored: Times | None) -> list[str]:
    """Return a sentence on the times that both the training and the scored table have, if any."""
    if trained is None or scored is None or trained.times.dtype.kind != scored.times.dtype.kind:
        return []
    shared = int(np.isin(scored.times, trained.times).sum())
    if not shared:
        return []
    return [
        f"{count(shared, 'row')} of {len(scored.times):,} are at times that are also in {train}: "
        "if these are the same rows, they were trained on, and anomalies in them are hard to find"
    ]


def every(interval: str) -> str:
    """Return the interval as it follows "every": "5 minutes", and "hour" for "1 hour"."""
    return interval.removeprefix("1 ")
