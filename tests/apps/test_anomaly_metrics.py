"""Metrics on cases that are counted by hand, and the ways in which they flatter."""

import numpy as np
import pytest

from lstmcore.apps.anomalies import Event, events, metrics

LABELS = np.array([0, 1, 1, 1, 1, 0, 0, 0, 1, 0])
FLAGS = np.array([0, 0, 0, 1, 0, 1, 0, 0, 0, 1], bool)


def test_pointwise_by_hand():
    assert metrics.pointwise(LABELS, FLAGS) == pytest.approx((1 / 3, 1 / 5, 1 / 4))
    assert metrics.pointwise(LABELS, events(FLAGS)) == metrics.pointwise(LABELS, FLAGS)
    assert metrics.pointwise(LABELS, LABELS.astype(bool)) == (1, 1, 1)
    assert metrics.pointwise(LABELS, np.zeros(10, bool)) == (0, 0, 0)


def test_point_adjustment_is_off_unless_asked_for():
    adjusted = metrics.pointwise(LABELS, FLAGS, point_adjust=True)
    assert adjusted == pytest.approx((4 / 6, 4 / 5, 8 / 11))
    assert adjusted.f1 > metrics.pointwise(LABELS, FLAGS).f1


def test_eventwise_by_hand():
    found = metrics.eventwise(LABELS, FLAGS)
    assert found[:5] == pytest.approx((1 / 3, 1 / 2, 2 / 5, 2, 3))
    np.testing.assert_array_equal(found.delays, [2, np.nan])
    nothing = metrics.eventwise(LABELS, np.zeros(10, bool))
    assert nothing[:5] == (0, 0, 0, 2, 0)


def test_each_event_counts_once():
    """Three detections in one labelled event: one recalled, three correct."""
    labels, flags = np.zeros(20, bool), np.zeros(20, bool)
    labels[2:12] = True
    flags[[3, 6, 9]] = True
    assert metrics.eventwise(labels, flags)[:5] == (1, 1, 1, 1, 3)
    # One detection over two labelled events: both recalled, one correct.
    labels[15:17] = True
    assert metrics.eventwise(labels, [Event(1, 20, 5, 1.0)])[:5] == (1, 1, 1, 2, 1)
    assert metrics.eventwise(labels, [Event(1, 20, 5, 1.0)]).delays.tolist() == [0, 0]


def test_a_gap_inside_of_an_event_is_part_of_it():
    scores = np.array([0.0, 2.0, 0.0, 2.0, 0.0])
    labels = np.array([0, 0, 1, 0, 0])
    assert metrics.eventwise(labels, scores > 1).recall == 0
    assert metrics.eventwise(labels, events(scores, 1.0, gap=1)).recall == 1


def f1_at(labels, flags):
    return metrics.pointwise(labels, flags).f1


def test_best_f1_is_that_of_all_thresholds():
    rng = np.random.default_rng(0)
    labels = rng.random(60) < 0.3
    scores = (labels * rng.random(60) + rng.random(60)).round(1)  # with ties
    best = metrics.best_f1(labels, scores)
    below = [-1.0, *np.unique(scores)[:-1]]
    assert best.f1 == pytest.approx(max(f1_at(labels, scores > threshold) for threshold in below))
    at_best = metrics.pointwise(labels, scores > best.threshold)
    assert at_best == pytest.approx((best.precision, best.recall, best.f1))


def test_rows_without_a_score_cannot_be_flagged():
    labels = np.array([1, 1, 0, 0])
    best = metrics.best_f1(labels, np.array([np.nan, 0.5, 0.2, np.nan]))
    assert best[:3] == pytest.approx((2 / 3, 1, 1 / 2))
    # Were all rows flagged, F1 would be the same 2/3; of one such row it would be more.
    best = metrics.best_f1(np.array([1, 1, 1, 0]), np.array([np.nan, np.nan, 0.5, 0.2]))
    assert best[:3] == pytest.approx((1 / 2, 1, 1 / 3))


def test_random_scores_look_good_with_point_adjustment():
    """Kim et al. (2022): why it is off."""
    rng = np.random.default_rng(0)
    labels = np.zeros(5000, bool)
    for start in range(500, 5000, 1000):
        labels[start : start + 200] = True
    scores = rng.random(5000)
    honest, adjusted = (
        metrics.best_f1(labels, scores, point_adjust=adjust).f1 for adjust in (False, True)
    )
    assert honest < 0.4  # flagging every row gives 1/3
    assert adjusted > 0.9


def test_a_threshold_chosen_in_sight_of_the_labels_flatters():
    """The same random scores, with a threshold that was chosen on other labels."""
    rng = np.random.default_rng(1)
    gains = []
    for _ in range(20):
        labels, others = rng.random((2, 30)) < 0.2
        scores, other_scores = rng.random((2, 30))
        if labels.any() and others.any():
            honest = f1_at(labels, scores > metrics.best_f1(others, other_scores).threshold)
            gains.append(metrics.best_f1(labels, scores).f1 - honest)
    assert min(gains) >= 0
    assert np.mean(gains) > 0.1


@pytest.mark.parametrize(
    "use",
    [
        lambda labels: metrics.pointwise(labels, FLAGS),
        lambda labels: metrics.eventwise(labels, FLAGS),
        lambda labels: metrics.best_f1(labels, np.arange(10.0)),
        lambda labels: metrics.point_adjusted(labels, FLAGS),
    ],
    ids=["pointwise", "eventwise", "best_f1", "point_adjusted"],
)
def test_what_is_no_labels(use):
    with pytest.raises(TypeError, match="labels must be an array"):
        use([0, 1])
    with pytest.raises(ValueError, match="labels must be bool, or integers 0 and 1, got float64"):
        use(np.zeros(10))
    with pytest.raises(ValueError, match="labels must be bool, or integers 0 and 1, got int64"):
        use(np.arange(10))
    with pytest.raises(ValueError, match="labels mark no row as anomalous"):
        use(np.zeros(10, bool))
    with pytest.raises(ValueError, match="has 10 rows but labels has 3: they must be aligned"):
        use(np.ones(3, bool))


def test_what_is_no_flags():
    with pytest.raises(ValueError, match="flags must be bool, got float64: write scores > thresh"):
        metrics.pointwise(LABELS, np.zeros(10))
    with pytest.raises(TypeError, match="a list of Event, got a list of int"):
        metrics.eventwise(LABELS, [0, 1])
    with pytest.raises(ValueError, match="does not lie in a series of 10 rows"):
        metrics.eventwise(LABELS, [Event(9, 11, 9, 1.0)])
    with pytest.raises(ValueError, match="scores must hold finite numbers"):
        metrics.best_f1(LABELS, np.full(10, np.nan))
    with pytest.raises(ValueError, match="scores must hold finite numbers"):
        metrics.best_f1(LABELS, np.full(10, np.inf))
    with pytest.raises(ValueError, match="scores must be floating point, got bool"):
        metrics.best_f1(LABELS, FLAGS)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_best_threshold_flags_what_it_says_in_the_dtype_of_the_scores(dtype):
    """One in float64 that is just below a score in float32 is that score, once they compare."""
    scores = np.array([0.1, 0.5, 0.4, 0.9, 0.3], dtype)
    labels = np.array([0, 0, 1, 1, 0])
    best = metrics.best_f1(labels, scores)
    at_best = metrics.pointwise(labels, scores > best.threshold)
    assert at_best == pytest.approx((best.precision, best.recall, best.f1))
    found = metrics.pointwise(labels, events(scores, best.threshold))
    assert found == at_best


def test_large_scores_and_missing_ones():
    """1e17 - 1 is 1e17."""
    best = metrics.best_f1(np.array([1, 1, 0, 1]), np.array([np.nan, np.nan, 2e17, 1e17]))
    assert best[:3] == pytest.approx((2 / 5, 1 / 2, 1 / 3))


def test_point_adjustment_passes_over_missing_scores():
    scores = np.array([1.0, np.nan, 3.0, np.nan, 2.0])
    labels = np.array([0, 1, 1, 0, 1])
    np.testing.assert_array_equal(metrics.point_adjusted(labels, scores), [1, 3, 3, np.nan, 2])


@pytest.mark.parametrize("labels", [[1, 0, 0, 1], [1, 1, 1, 1], [0, 0, 0, 1]])
def test_events_at_both_ends_and_everything_flagged(labels):
    labels = np.array(labels)
    fraction, count = labels.mean(), len(events(labels == 1))
    every = np.ones(4, bool)
    assert metrics.pointwise(labels, every)[:2] == (fraction, 1)
    assert metrics.eventwise(labels, every)[:5] == (1, 1, 1, count, 1)
    constant = metrics.best_f1(labels, np.full(4, 7.0))
    assert constant[:3] == pytest.approx((2 * fraction / (1 + fraction), fraction, 1))
    assert constant.threshold < 7
