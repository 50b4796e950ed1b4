"""The paired test of two detectors: its laws, and how often it errs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("sklearn")

from chance import FALSE_ALARMS
from scipy import stats

from lstmcore.apps import anomalies
from lstmcore.apps.anomalies import Event, metrics, paired, paired_test

EVENTS, LENGTH = 12, 10  # labelled rows are 4 to 6 of every ten
TRIALS = 300
LABELS = np.isin(np.arange(EVENTS * LENGTH) % LENGTH, [4, 5, 6])
subsets = st.lists(st.booleans(), min_size=EVENTS, max_size=EVENTS)


def at(which, row=5, rows=1):
    """Return events at the given row of each ten that is chosen: 5 is labelled, 0 is not."""
    places = np.flatnonzero(which) * LENGTH + row
    return [Event(place, place + rows, place, 1.0) for place in places.tolist()]


@given(subsets, subsets)
def test_without_false_events_it_is_the_exact_test_of_mcnemar(ours, theirs):
    ours, theirs = np.array(ours), np.array(theirs)
    first, second = (ours & ~theirs).sum(), (theirs & ~ours).sum()
    test = paired_test(LABELS, at(ours), at(theirs))
    assert test.differing == first + second
    expected = stats.binomtest(int(first), int(first + second)).pvalue if first + second else 1
    assert test.p_value == pytest.approx(expected)


@given(subsets, subsets, subsets, subsets)
def test_exchanging_the_detectors_changes_the_sign_alone(ours, theirs, false, other):
    first, second = sorted(at(ours) + at(false, 0)), sorted(at(theirs) + at(other, 1))
    test, exchanged = paired_test(LABELS, first, second), paired_test(LABELS, second, first)
    f1 = [metrics.eventwise(LABELS, found).f1 for found in (first, second)]
    assert test.difference == pytest.approx(f1[0] - f1[1])
    assert exchanged.difference == pytest.approx(-test.difference)
    assert exchanged.differing == test.differing
    assert 0 < test.p_value <= 1
    assert exchanged.p_value == pytest.approx(test.p_value, abs=0.03)  # drawn, if there are many


def test_false_events_that_overlap_are_the_same():
    every, some = np.ones(EVENTS, bool), np.arange(EVENTS) < 3
    ours = sorted(at(every) + at(some, 0, rows=3))
    same = sorted(at(every) + at(some, 1, rows=2))
    other = sorted(at(every) + at(~some, 0))
    assert paired_test(LABELS, ours, same) == (0.0, 1.0, 0)
    assert paired_test(LABELS, ours, other).differing == EVENTS


def test_events_in_pieces_and_events_over_several():
    """As in `eventwise`, each piece is correct, and a long one finds all that it covers."""
    pieces = [Event(4, 5, 4, 1.0), Event(6, 7, 6, 1.0), Event(20, 50, 25, 1.0)]
    none = [Event(1, 2, 1, 1.0)]
    test = paired_test(LABELS, pieces, none)
    assert test.difference == pytest.approx(metrics.eventwise(LABELS, pieces).f1)
    assert test.differing == 5  # four labelled events, one false


def test_fewer_than_six_events_are_never_significant():
    for number in range(EVENTS + 1):
        test = paired_test(LABELS, at(np.arange(EVENTS) < number), [])
        assert test.differing == number
        assert (test.p_value < 0.05) == (number >= paired.FEWEST)


def test_drawn_exchanges_are_those_of_all(monkeypatch):
    ours, theirs = at(np.arange(EVENTS) < 10), sorted(at(np.arange(EVENTS) > 8) + at([1, 1, 1], 0))
    exact = paired_test(LABELS, ours, theirs)
    monkeypatch.setattr(paired, "MOST_ENUMERATED", 0)
    drawn = paired_test(LABELS, ours, theirs)
    assert drawn.p_value == pytest.approx(exact.p_value, abs=0.02)
    assert 0 < drawn.p_value < 1


@pytest.mark.parametrize("rate", [0.3, 0.7])
def test_detectors_of_equal_skill_seldom_differ(rate):
    """At 5 % at most one time in twenty."""
    rng = np.random.default_rng(0)
    wrong = 0
    for _ in range(TRIALS):
        first, second = (
            sorted(at(rng.random(EVENTS) < rate) + at(rng.random(EVENTS) < 0.2, row))
            for row in (0, 1)
        )
        wrong += paired_test(LABELS, first, second).p_value < 0.05
    assert stats.binomtest(wrong, TRIALS, 0.05, "greater").pvalue > FALSE_ALARMS


def test_bad_arguments():
    with pytest.raises(ValueError, match="labels mark no row as anomalous"):
        paired_test(np.zeros(3, bool), [], [])
    with pytest.raises(ValueError, match="does not lie in a series of 3 rows"):
        paired_test(np.ones(3, bool), [Event(0, 9, 0, 1.0)], [])
    assert anomalies.paired_test is paired_test
