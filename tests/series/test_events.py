"""Events, compared with a loop over rows, and laws of merging and dropping."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstmcore.apps.anomalies import Event, Threshold, events, flags_of

levels = st.sampled_from([0.0, 1.0, 2.0, 3.0, np.nan])
series = arrays(float, st.integers(0, 30), elements=levels)
counts = st.integers(0, 3)


def by_hand(scores, threshold, gap, minimum):
    """Row by row."""
    found, current = [], None
    for row, score in enumerate(scores):
        if not score > threshold:
            continue
        if current is not None and row - current[-1] - 1 <= gap:
            current.append(row)
        else:
            current = [row]
            found.append(current)
    result = []
    for rows in found:
        if rows[-1] + 1 - rows[0] >= minimum:
            peak = max(rows, key=lambda row: (scores[row], -row))
            result.append(Event(rows[0], rows[-1] + 1, peak, scores[peak]))
    return result


@given(series, counts, counts)
def test_events_are_those_of_a_loop(scores, gap, fewest):
    expected = by_hand(scores, 1.5, gap, fewest + 1)
    assert events(scores, 1.5, gap=gap, minimum=fewest + 1) == expected
    assert events(scores, Threshold(1.5, ""), gap=gap, minimum=fewest + 1) == expected


@given(series)
def test_flags_and_events_tell_the_same(scores):
    flags = scores > 1.5
    found = events(flags)
    np.testing.assert_array_equal(flags_of(found, len(flags)), flags)
    assert [event[:2] for event in found] == [event[:2] for event in events(scores, 1.5)]
    assert {event.score for event in found} <= {1.0}


@given(series, counts)
def test_a_gap_only_joins(scores, gap):
    joined = flags_of(events(scores, 1.5, gap=gap), len(scores))
    assert (joined >= (scores > 1.5)).all()
    assert len(events(scores, 1.5, gap=gap)) <= len(events(scores, 1.5))
    assert len(events(scores, 1.5, gap=len(scores))) <= 1


def test_many_rows_are_fast_enough_to_be_vectorised():
    scores = np.random.default_rng(0).normal(size=1_000_000)
    found = events(scores, 3.0)
    assert sum(event.stop - event.start for event in found) == (scores > 3).sum()
    assert all(type(value) in (int, float) for value in found[0])


def test_flags_of_overlapping_events():
    found = [Event(0, 3, 0, 1.0), Event(2, 4, 2, 1.0)]
    assert flags_of(found, 5).tolist() == [True] * 4 + [False]
    assert flags_of([], 2).tolist() == [False, False]


WRONG = [
    ((np.ones(3),), {}, "scores need a threshold"),
    ((np.ones(3, bool), 1.0), {}, "scores are flags already"),
    ((np.ones((3, 1)), 1.0), {}, r"scores must have 1 axes \[rows\]"),
    ((np.array(["a"]), 1.0), {}, "scores must hold real numbers or bool, got <U1"),
    ((np.ones(3), np.nan), {}, "threshold is NaN, above which nothing would ever be flagged"),
    ((np.ones(3), 1.0), {"gap": -1}, "gap must be at least 0, got -1"),
    ((np.ones(3), 1.0), {"minimum": 0}, "minimum must be at least 1, got 0"),
]


@pytest.mark.parametrize(("arguments", "options", "message"), WRONG)
def test_what_makes_no_events(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        events(*arguments, **options)


def test_no_array_and_no_row():
    with pytest.raises(TypeError, match="scores must be an array"):
        events([1.0, 2.0], 1.5)
    with pytest.raises(ValueError, match="does not lie in a series of 2 rows"):
        flags_of([Event(1, 3, 1, 1.0)], 2)
    with pytest.raises(TypeError, match="threshold must be a number or a Threshold, got 'high'"):
        events(np.ones(3), "high")
