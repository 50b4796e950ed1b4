"""The events of a detector in words: for the terminal, the page and whoever reads either."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

from lstmcore.apps.anomalies.detection import Detection, DetectionResult
from lstmcore.apps.anomalies.results import HeldOut
from lstmcore.formatting import count, listed

MANY_FLAGGED = 0.2  # of all rows, and
MANY_FALSE = 0.05  # of held-out normal ones: such events are not to be relied on
FEWEST_HELD_OUT = 20  # rows, to know a rate of false alarms
PARTS = {  # of an adaptive score, for readers
    "spike": "single rows",
    "loud": "the mean of a third of a window",
    "change": "the level of a window",
}


def summary(result: DetectionResult, labels: Sequence) -> str:
    """Return one sentence on the events. labels: names of the rows."""
    events, threshold = result.events, result.threshold
    limit = f"above the threshold {threshold.value:.4g} ({threshold.how})"
    if not events:
        return f"No event {limit}."
    peak = max(events, key=lambda event: event.score)
    times = times_threshold(peak.score, threshold.value)
    which = "It peaks" if len(events) == 1 else "The most anomalous one peaks"
    return f"{count(len(events), 'event')} {limit}. {which} at {labels[peak.peak]}" + (
        f", at {times:.3g} times the threshold." if np.isfinite(times) else "."
    )


def counts(results: Iterable[DetectionResult]) -> tuple[int, int, int]:
    """Return how many rows of one or several series are flagged, scored, and without a score."""
    flagged = scored = without = 0
    for result in results:
        has_score = np.isfinite(result.scores)
        flagged += int((result.scores > result.threshold.value).sum())
        scored += int(has_score.sum())
        without += int((~has_score).sum())
    return flagged, scored, without


def doubts(flagged: int, scored: int, held_out: HeldOut) -> list[str]:
    """Return a sentence that warns of the events where far too many rows are flagged, if they are.

    That is more than a fifth of those scored, or a twentieth of normal rows that were held out.
    """
    found = []
    if flagged > MANY_FLAGGED * scored:
        found.append(f"{flagged / scored:.0%} of the rows are flagged")
    if held_out.rows >= FEWEST_HELD_OUT and held_out.flagged > MANY_FALSE * held_out.rows:
        found.append(f"{held_out.flagged / held_out.rows:.0%} of held-out normal rows would be")
    if not found:
        return []
    return [
        f"Do not rely on these events: {' and '.join(found)}. The detector needs more normal rows, "
        "or rows more like this table (--train), or differencing against drift (--difference 1)."
    ]


def doubts_of(result: DetectionResult) -> list[str]:
    """Return `doubts` of one series, of which a short table may be only the end.

    A fifth of a single day may well be anomalous, so the rows before it count as well.
    """
    flagged, scored, _ = counts([result])
    return doubts(flagged + result.before.flagged, scored + result.before.rows, result.held_out)


def times_threshold(score: float, threshold: float) -> float:
    """Return a score divided by the threshold; infinity if the threshold is 0."""
    return score / threshold if threshold else float("inf")


def caveats(
    result: DetectionResult, settings: Detection, normal: int, trained_on_own: bool
) -> list[str]:
    """Return sentences on the false alarms and the missed events to expect.

    Args:
      result: from `detect`.
      settings: as given to `detect`.
      normal: rows of the training part, validation rows included.
      trained_on_own: whether the training part is the start of the series that is scored.
    """
    has_score = np.isfinite(result.scores)
    tested = int(has_score[normal:].sum()) if trained_on_own else int(has_score.sum())
    notes = []
    if trained_on_own:
        notes.append(
            f"the first {count(normal, 'row')} are taken to be normal: they were trained on and "
            "set the threshold, so "
            + (
                "no event can be found in them, and an anomalous row among them raises the "
                "threshold"
                if settings.threshold == "maximum"
                else "anomalous rows among them are harder to find, and raise the threshold"
            )
            + "; --train names a table of normal rows instead"
        )
    # Of the others, of which no such rate is known, `calibration` has figures.
    if tested and settings.threshold != "margin" and settings.score != "adaptive":
        expected = settings.false_alarm_rate(normal) * tested
        notes.append(
            f"if all {count(tested, 'row')} {'after them ' * trained_on_own}were normal as well, "
            f"about {expected:.2g} of them would still be flagged (more if the model has "
            "overfitted the training part): a single row just above the threshold means little"
        )
    return notes + unscored(int((~has_score).sum()))


def unscored(rows: int) -> list[str]:
    """Return a sentence on rows without a score, if there are any."""
    if not rows:
        return []
    return [
        f"{count(rows, 'row')} without a score: a value is missing, or too few rows come before"
    ]


def flagged_rows(flagged: int, scored: int) -> list[str]:
    """Return a sentence on how many of the rows with a score are flagged."""
    if not scored:
        return []
    verb = "is" if flagged == 1 else "are"
    return [f"{flagged:,} of {count(scored, 'row')} {verb} flagged ({flagged / scored:.2%})"]


def calibration(result: DetectionResult) -> list[str]:
    """Return sentences on how many rows are flagged, and how many normal ones would be."""
    flagged, scored, _ = counts([result])
    notes, held_out = flagged_rows(flagged, scored), result.held_out
    if held_out.rows:
        notes.append(
            f"false alarms: of the last {count(held_out.rows, 'row')} of the training part, on "
            f"which the model was not trained, {rate_of(held_out)} would be flagged by the "
            "threshold of the rows before them"
        )
    return notes


def rate_of(held_out: HeldOut) -> str:
    """Return how many of held-out rows, or series, are flagged, with the rate in brackets."""
    if not held_out.flagged:
        # The "rule of three": of so many without an event, the upper 95 % bound of the rate.
        return f"none (the true rate may be as high as {min(1, 3 / held_out.rows):.2%})"
    return f"{held_out.flagged:,} ({held_out.flagged / held_out.rows:.2%})"


def threshold_row(result: DetectionResult, labels: Sequence) -> list[str]:
    """Return a sentence on the normal row that sets the threshold, if one alone does.

    labels: names of the rows of the training part
    """
    if result.set_by is None:
        return []
    row, without, part = result.set_by
    limit = result.threshold.value
    if without > 0.995 * limit:
        return []
    of = f" for {PARTS[part]}" if part else ""
    return [
        f"the threshold{of} is set by row {labels[row]} of the training part: without it and its "
        f"neighbours, it would be about {without:.4g} instead of {limit:.4g}"
    ]


def echoes(events: int, lags: Sequence[int]) -> list[str]:
    """Return a sentence on the echo that differencing gives an event, if there is any."""
    if not events or not lags:
        return []
    after = listed([count(lag, "row") for lag in lags])
    return [
        f"an event may have an echo {after} later, where the rows are compared with those of the "
        "event"
    ]


def close_together(results: Sequence[DetectionResult], window: int) -> list[str]:
    """Return a sentence on events that may be parts of one, if there are any.

    results: of one or several series
    """
    near = sum(
        later.start - earlier.stop < window
        for result in results
        for earlier, later in pairwise(result.events)
    )
    if not near:
        return []
    number = sum(len(result.events) for result in results)
    begin = "begins" if near == 1 else "begin"
    return [
        f"{near} of the {count(number, 'event')} {begin} less than a window of "
        f"{count(window, 'row')} after the previous one: --gap {window} joins such events"
    ]
