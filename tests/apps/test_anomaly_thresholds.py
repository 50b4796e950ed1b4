"""Thresholds against what is known of the distributions that scores are drawn from."""

import numpy as np
import pytest
from chance import assert_share
from scipy import stats

from lstmcore.apps.anomalies import fit_gaussian, thresholds

SCORES = np.random.default_rng(0).exponential(size=20_000)
ALL = [
    thresholds.margin,
    thresholds.maximum,
    thresholds.quantile,
    thresholds.peaks_over_threshold,
    lambda scores: thresholds.prediction_limit(scores, 1),
]


def test_maximum_and_quantile():
    scores = np.array([1.0, np.nan, 5.0, 2.0, 3.0, 4.0])
    assert thresholds.maximum(scores) == (5.0, "the largest of 5 scores of normal rows")
    assert thresholds.quantile(scores, 0.5).value == 3.0
    assert thresholds.quantile(scores, 0.5).how == "the 0.5 quantile of 5 scores of normal rows"
    assert thresholds.quantile(scores, 1) == (5.0, "the 1 quantile of 5 scores of normal rows")
    assert (thresholds.quantile(SCORES, 0.99).value < SCORES).mean() == pytest.approx(0.01)


def test_a_margin_above_the_maximum():
    scores = np.array([0.0, 1.0, np.nan, 5.0, 2.0, 4.0])
    threshold = thresholds.margin(scores)
    assert threshold.value == pytest.approx(5.5)
    assert threshold.how == "1.1 times the largest of 5 scores of normal rows"
    many = np.arange(1200.0)
    assert thresholds.maximum(many).how == "the largest of 1,200 scores of normal rows"
    assert thresholds.highest_peak(scores) == (3, 5.0, 5.0, 4.0)
    assert thresholds.highest_peak(scores, apart=1) == (3, 5.0, 5.0, 4.0)
    assert thresholds.highest_peak(scores, apart=2).second == 0.0
    assert thresholds.highest_peak(scores, apart=9).limited == 5.0  # there is no other


@pytest.mark.parametrize("odd", [2.0, 50.0, 1e9])
def test_one_odd_row_moves_the_margin_little(odd):
    """The maximum goes with it."""
    scores = np.random.default_rng(0).exponential(size=2000)
    changed = scores.copy()
    changed[700:703] = odd * scores.max()
    usual = thresholds.margin(scores, apart=5).value
    threshold = thresholds.margin(changed, apart=5)
    assert threshold.value <= 1.5 * usual
    assert thresholds.maximum(changed).value == pytest.approx(odd * scores.max())
    assert (odd < 1.5) or "which counts as" in threshold.how


@pytest.mark.parametrize("features", [1, 3])
def test_gaussian_errors_exceed_it_as_often_as_promised(features):
    errors = np.random.default_rng(1).normal(size=(50_000, features)) * [3.0, 1.0, 0.1][:features]
    threshold = thresholds.gaussian(features, probability=0.01)
    alarms = fit_gaussian(errors).score(errors) > threshold.value
    assert_share(alarms, 0.01)
    assert f"probability 0.01 if the errors of {features} features are Gaussian" in threshold.how


@pytest.mark.parametrize(
    "law",
    [stats.expon(), stats.norm(5, 2), stats.t(4), stats.uniform(0, 3)],
    ids=["exponential", "normal", "heavy tail", "bounded"],
)
def test_peaks_find_rare_quantiles(law):
    """Within a quarter of a tail's length, which is 7 standard deviations for the heaviest tail."""
    scores = law.rvs(400_000, random_state=3)
    threshold = thresholds.peaks_over_threshold(scores, 1e-4)
    t, expected = law.isf(0.02), law.isf(1e-4)
    assert threshold.value == pytest.approx(expected, abs=0.25 * (expected - t))
    assert "fitted to 8,000 of 400,000 scores" in threshold.how


def test_scores_of_two_kinds_are_told_by_the_shape():
    """The pitfall that the docstring names: noise, and thirty normal jumps far above it."""
    scores = np.concatenate([0.1 * SCORES[:4000], np.linspace(9, 10, 30)])
    bridged = thresholds.peaks_over_threshold(scores, 1e-4)
    assert bridged.value > 20
    assert "(shape 1." in bridged.how or "(shape 2." in bridged.how
    assert bridged.how.endswith("the largest is 10")
    assert thresholds.peaks_over_threshold(scores, 1e-4, initial=0.995).value < 11


def test_peaks_scale_with_the_scores():
    small = thresholds.peaks_over_threshold(SCORES * 1e-6, 1e-5).value
    assert small == pytest.approx(
        1e-6 * thresholds.peaks_over_threshold(SCORES, 1e-5).value, rel=1e-3
    )
    shifted = thresholds.peaks_over_threshold(SCORES - 100, 1e-5).value
    assert shifted + 100 == pytest.approx(
        thresholds.peaks_over_threshold(SCORES, 1e-5).value, rel=1e-3
    )


def test_rarer_is_higher():
    values = [thresholds.peaks_over_threshold(SCORES, q).value for q in (1e-2, 1e-3, 1e-6)]
    assert values == sorted(values)
    assert values[-1] > SCORES.max()  # none was seen that high


@pytest.mark.parametrize("use", ALL, ids=lambda use: use.__name__)
def test_what_is_no_scores(use):
    with pytest.raises(TypeError, match="scores must be an array"):
        use([1.0])
    with pytest.raises(ValueError, match=r"scores must have 1 axes \[rows\], got shape \(3, 1\)"):
        use(np.ones((3, 1)))
    with pytest.raises(ValueError, match="scores must hold real numbers, got bool"):
        use(np.array([True]))
    with pytest.raises(ValueError, match="got none: is every row missing"):
        use(np.array([np.nan]))
    with pytest.raises(ValueError, match="got an infinite one"):
        use(np.array([np.inf, 1.0]))


def test_numbers_outside_of_their_range():
    with pytest.raises(ValueError, match=r"q must be a fraction from 0 to 1, got 99"):
        thresholds.quantile(SCORES, 99)
    with pytest.raises(ValueError, match="probability must be between 0 and 1, got 0"):
        thresholds.gaussian(2, 0)
    with pytest.raises(ValueError, match="features must be at least 1, got 0"):
        thresholds.gaussian(0)
    with pytest.raises(ValueError, match="initial must be between 0 and 1, got 1"):
        thresholds.peaks_over_threshold(SCORES, initial=1)
    with pytest.raises(ValueError, match=r"probability 0.05 is not rarer than the 400 of 20000"):
        thresholds.peaks_over_threshold(SCORES, 0.05)


def test_too_few_peaks():
    with pytest.raises(ValueError, match=r"only 4 of 200 scores lie above.*needs 10"):
        thresholds.peaks_over_threshold(SCORES[:200])
    assert thresholds.peaks_over_threshold(SCORES[:200], 1e-2, initial=0.9).value > 0
    with pytest.raises(ValueError, match="only 0 of 500 scores"):
        thresholds.peaks_over_threshold(np.ones(500))
    with pytest.raises(ValueError, match=r"all 12 scores above .* are equal"):
        thresholds.peaks_over_threshold(np.repeat([0.0, 1.0], [988, 12]), 1e-3)


def test_a_prediction_limit_holds_for_scores_that_overlap():
    """The next one exceeds it as often as it says, over many samples of few."""
    rng, reads = np.random.default_rng(0), 9
    means = rng.normal(size=(4000, 21, reads)).mean(axis=2)
    above = []
    for sample in means:
        limit = thresholds.prediction_limit(np.repeat(sample[:20], reads), reads, 0.05)
        above.append(sample[20] > limit.value)
    assert_share(above, 0.05)
    assert "of which 180 scores hold 20 independent ones" in limit.how
    with pytest.raises(ValueError, match="17 scores of 9 rows each hold no two independent ones"):
        thresholds.prediction_limit(SCORES[:17], 9)
    with pytest.raises(ValueError, match="reads must be at least 1, got 0"):
        thresholds.prediction_limit(SCORES, 0)
