"""What a verdict says, and what its threshold promises, in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from lstmcore.anomalies.verdict import LEVELS, Verdict
from lstmcore.text import count, listed


def sentence(verdict: Verdict, labels: Sequence) -> str:
    """What a reader in a hurry should know. labels: names of the rows."""
    events, threshold = verdict.events, verdict.threshold
    limit = f"above the threshold {threshold.value:.4g} ({threshold.how})"
    if not events:
        return f"No event {limit}."
    peak = max(events, key=lambda event: event.score)
    said = f"{count(len(events), 'event')} {limit}."
    times = times_threshold(peak.score, threshold.value)
    which = "It peaks" if len(events) == 1 else "The strangest peaks"
    return f"{said} {which} at {labels[peak.peak]}" + (
        f", with {times:.3g} times the threshold." if np.isfinite(times) else "."
    )


def times_threshold(score: float, threshold: float) -> float:
    """How many times the threshold a score is; infinitely many of a threshold of 0."""
    return score / threshold if threshold else float("inf")


def promises(
    verdict: Verdict, kind: str, level: float | None, normal: int, trained_on_own: bool
) -> list[str]:
    """What is to be kept in mind about false alarms and missed events.

    Args:
      verdict: of `judge`.
      kind: of threshold.
      level: as given to `judge`.
      normal: rows of the training part, held-out ones among them.
      trained_on_own: whether the training part is the start of the series that is judged.
    """
    scored = np.isfinite(verdict.scores)
    judged = int(scored[normal:].sum()) if trained_on_own else int(scored.sum())
    said = []
    if trained_on_own:
        said.append(
            f"the first {count(normal, 'row')} are taken to be normal: they were trained on and "
            "set the threshold, so that "
            + (
                "no event can be found in them, and a strange row among them raises the threshold"
                if kind == "maximum"
                else "strange rows among them are found less easily, and raise the threshold"
            )
            + "; --train names a table without any"
        )
    chance = 1 / (normal + 1) if kind == "maximum" else _chance(kind, level)
    if judged:
        expected = chance * judged
        said.append(
            f"were all {count(judged, 'row')} {'after them ' * trained_on_own}normal, too, about "
            f"{expected:.2g} of them would still be flagged (and more if the model has learnt the "
            "training part by heart): a single row just above the threshold means little"
        )
    unscored = int((~scored).sum())
    if unscored:
        said.append(f"{count(unscored, 'row')} without a score: missing, or without rows before")
    return said


def echoes(verdict: Verdict, lags: Sequence[int]) -> list[str]:
    """What differences do to events."""
    if not verdict.events or not lags:
        return []
    after = listed([count(lag, "row") for lag in lags])
    return [
        f"an event may have an echo {after} after it, where the rows are compared with those of "
        "the event"
    ]


def close_together(verdict: Verdict, window: int) -> list[str]:
    """Whether events may be parts of one."""
    found = verdict.events
    near = sum(later.start - earlier.stop < window for earlier, later in pairwise(found))
    if not near:
        return []
    return [
        f"{near} of the {count(len(found), 'event')} begin less than a window of "
        f"{count(window, 'row')} "
        f"after the one before: --gap {window} joins such events"
    ]


def _chance(kind: str, level: float | None) -> float:
    level = LEVELS[kind] if level is None else level
    return 1 - level if kind == "quantile" else level
