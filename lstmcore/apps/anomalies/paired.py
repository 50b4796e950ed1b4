"""A paired test of two detectors on the same labels: is one better by more than chance?

Sources: Yeh (2000), "More accurate tests for the statistical significance of result differences",
which tests a difference of F1 by exchanging the results of two methods at random; Fisher (1935),
"The design of experiments", for the test itself. With a single kind of result it is the sign test,
or McNemar's test (1947) in its exact form.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lstmcore.apps.anomalies.metrics import eventwise
from lstmcore.series.events import Event, events, flags_of

FEWEST = 6  # events that two detectors must differ in: 2 / 2^5 is above 5 %, 2 / 2^6 is not
MOST_ENUMERATED = 12  # such events, whose 2^12 exchanges are all tried
EXCHANGES = 10_000  # of more events, at random


class PairedTest(NamedTuple):
    """The result of `paired_test`.

    difference: F1 by events of the first detector less that of the second
    p_value: two-sided
    differing: number of events in which the two differ: labelled ones that one of them finds, and
      false ones that one of them raises
    """

    difference: float
    p_value: float
    differing: int


def paired_test(labels, found: Sequence[Event], rival: Sequence[Event]) -> PairedTest:
    """Test whether the F1 by events of two detectors differs by more than chance.

    If both are equally good, then for each event, labelled or false, the two results could as well
    be exchanged. The p-value is the fraction of all such exchanges (of 10,000 at random, if the
    two differ in more than 12 events) after which the two F1 differ at least as much as they do.
    With fewer than 6 events that they differ in, nothing is significant at 5 %.

    Events are taken to be independent of one another. False events that overlap are the same one.

    Args:
      labels: bool or 0/1 [rows]; adjacent labelled rows are one event.
      found, rival: the events of two detectors in these rows, from `events`.

    Returns:
      PairedTest.

    Raises:
      ValueError, TypeError: as `metrics.eventwise`.

    Examples:
      >>> import numpy as np
      >>> from lstmcore import anomalies
      >>> labels = np.arange(100) % 10 == 5  # ten events
      >>> every, some = anomalies.events(labels), anomalies.events(labels & (np.arange(100) > 70))
      >>> anomalies.paired_test(labels, every, some)  # doctest: +ELLIPSIS
      PairedTest(difference=0.53846..., p_value=0.015625, differing=7)
    """
    difference = eventwise(labels, found).f1 - eventwise(labels, rival).f1  # checks them
    labels = np.asarray(labels, bool)
    labelled = events(labels)
    false = events(flags_of([*_false(labels, found), *_false(labels, rival)], len(labels)))
    ours, theirs = (_counts(some, labelled, false) for some in (found, rival))
    differs = (ours != theirs).any(axis=1)
    number = int(differs.sum())
    change = ours[differs] - theirs[differs]
    if number <= MOST_ENUMERATED:
        exchanged = (np.arange(2**number)[:, None] >> np.arange(number)) % 2
    else:
        exchanged = np.random.default_rng(0).integers(0, 2, (EXCHANGES, number))
    moved = exchanged @ change
    differences = _f1(ours.sum(axis=0) - moved, len(labelled)) - _f1(
        theirs.sum(axis=0) + moved, len(labelled)
    )
    as_large = np.abs(differences) >= abs(difference) - 1e-9
    # One at random more: the events as they are.
    p_value = (
        as_large.mean() if number <= MOST_ENUMERATED else (as_large.sum() + 1) / (EXCHANGES + 1)
    )
    return PairedTest(difference, float(p_value), number)


def _false(labels: np.ndarray, found: Sequence[Event]) -> list[Event]:
    return [event for event in found if not labels[event.start : event.stop].any()]


def _counts(
    found: Sequence[Event], labelled: Sequence[Event], false: Sequence[Event]
) -> np.ndarray:
    """Count what a detector found, by event.

    Returns:
      int [labelled + false, 3]: whether the event was found, correct events in it, false ones.
    """
    counts = np.zeros((len(labelled) + len(false), 3), int)
    starts, stops = (np.array([event[end] for event in labelled]) for end in (0, 1))
    false_stops = np.array([event.stop for event in false])
    for event in found:
        first, end = (
            np.searchsorted(stops, event.start, "right"),
            np.searchsorted(starts, event.stop),
        )
        if first < end:
            counts[first:end, 0] = 1
            counts[first, 1] += 1  # one that overlaps several labelled events is correct once
        else:
            counts[len(labelled) + np.searchsorted(false_stops, event.start, "right"), 2] += 1
    return counts


def _f1(totals: np.ndarray, labelled: int) -> np.ndarray:
    """Return F1 of totals [N, 3] of `_counts`."""
    recalled, correct, false = totals.T
    detected = correct + false
    precision = np.divide(correct, detected, out=np.zeros(len(totals)), where=detected > 0)
    recall = recalled / labelled
    total = precision + recall
    return np.divide(2 * precision * recall, total, out=np.zeros(len(totals)), where=total > 0)
