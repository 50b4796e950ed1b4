"""Two tables that one model reads: it takes the rows of both to be equally far apart in time."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from lstmcore.formatting import count
from lstmcore.series import Times


def check_intervals(
    learnt_from: str | Path, learnt: str | None, source: str | Path, interval: str | None
) -> None:
    """Compare the interval that a model was trained at with that of a table that it is to read.

    Args:
      learnt_from: name of the table that was trained on.
      learnt: interval of its rows, such as "1 hour"; None if nothing is known of it.
      source: name of the other table.
      interval: of its rows, likewise.

    Raises:
      ValueError: both are known, and they differ.
    """
    if learnt is not None and interval is not None and learnt != interval:
        raise ValueError(
            f"{source} has a row every {_each(interval)}, but {learnt_from}, which is trained on, "
            f"one every {_each(learnt)}: a model knows rows, not times, so bring both tables to "
            "the same interval first"
        )


def shared_rows(train: str | Path, learnt: Times | None, judged: Times | None) -> list[str]:
    """A sentence about the times that are in the training table and in the judged one, if any."""
    if learnt is None or judged is None or learnt.times.dtype.kind != judged.times.dtype.kind:
        return []
    shared = int(np.isin(judged.times, learnt.times).sum())
    if not shared:
        return []
    return [
        f"{count(shared, 'row')} of {len(judged.times):,} are at times that {train} holds, too: if "
        "these are the same rows, they were trained on, so nothing in them is found easily"
    ]


def _each(interval: str) -> str:
    """The interval after the word "every": "5 minutes", but "hour" rather than "1 hour"."""
    return interval.removeprefix("1 ")
