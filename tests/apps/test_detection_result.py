"""From a detector to a DetectionResult: its parts put together, and the sentences on it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from untrained import no_training

from lstmcore import anomalies
from lstmcore.apps.anomalies import Event, fit_gaussian, thresholds
from lstmcore.apps.anomalies.detection import Detection, DetectionResult, HeldOut
from lstmcore.apps.anomalies.thresholds import SetBy, Threshold
from lstmcore.apps.anomalies.verdict import (
    calibration,
    caveats,
    close_together,
    counts,
    doubts,
    echoes,
    summary,
    threshold_row,
)

ROWS = 300
VALUES = np.sin(np.arange(ROWS) / 4)[:, None] + np.random.default_rng(0).normal(
    0, [0.1, 0.3], (ROWS, 2)
)
ANOMALOUS = VALUES.copy()
ANOMALOUS[200:203, 1] += 9


@pytest.fixture(scope="module")
def detector():
    settings = anomalies.Settings(
        method="reconstruction",
        season=0,
        window=8,
        units=3,
        epochs=2,
        batch_size=256,
        validation=0.3,
    )
    with no_training():
        return anomalies.train(VALUES, settings)


@pytest.mark.parametrize("score", ["mean", "largest", "mahalanobis"])
def test_a_result_is_its_parts_put_together(score, detector):
    result = anomalies.detect(detector, ANOMALOUS, score=score, threshold="maximum")
    errors = detector.errors(ANOMALOUS)
    if score == "mahalanobis":  # fitted to what no weight was
        gaussian = fit_gaussian(detector.training_errors[detector.validation_start :])
        rate, contributions = gaussian.score, gaussian.contributions(errors)
    else:
        rate = {
            "mean": lambda e: np.abs(e).mean(axis=1),
            "largest": lambda e: np.abs(e).max(axis=1),
        }[score]
        contributions = np.abs(errors) / np.abs(errors).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(result.scores, rate(errors))
    np.testing.assert_allclose(result.contributions, contributions)
    np.testing.assert_allclose(result.score(errors), result.scores)
    assert result.threshold.value == pytest.approx(rate(detector.training_errors).max())
    assert result.events == anomalies.events(result.scores, result.threshold)
    peak = max(result.events, key=lambda event: event.score).peak
    assert 200 <= peak < 203
    assert result.contributions[peak].argmax() == 1


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"threshold": "quantile"}, lambda scores: thresholds.quantile(scores, 0.999)),
        ({"threshold": "quantile", "level": 0.5}, lambda scores: thresholds.quantile(scores, 0.5)),
        (
            {"threshold": "gaussian", "score": "mahalanobis"},
            lambda _: thresholds.gaussian(2, 1e-4),
        ),
        (
            {"threshold": "gaussian", "score": "mahalanobis", "level": 0.01},
            lambda _: thresholds.gaussian(2, 0.01),
        ),
    ],
)
def test_thresholds(options, expected, detector):
    result = anomalies.detect(detector, ANOMALOUS, **options)
    assert result.threshold == expected(result.score(detector.training_errors))


@pytest.mark.parametrize("score", ["adaptive", "mean", "largest"])
@pytest.mark.parametrize("threshold", ["margin", "maximum"])
def test_the_row_that_sets_the_threshold(score, threshold, detector):
    """Without its peak, the threshold is what is said, in units of the score."""
    result = anomalies.detect(detector, ANOMALOUS, score=score, threshold=threshold)
    row, without, _ = result.set_by
    assert 0 <= row < ROWS
    assert without <= result.threshold.value
    if score != "adaptive":
        normal = result.score(detector.training_errors)
        assert normal[row] == np.nanmax(normal)
        normal[max(0, row - 8) : row + 9] = np.nan
        rule = {"margin": partial(thresholds.margin, apart=8), "maximum": thresholds.maximum}
        assert without == pytest.approx(rule[threshold](normal).value)
    quantile = anomalies.detect(detector, ANOMALOUS, score=score, threshold="quantile")
    assert quantile.set_by is None


def test_without_one_of_two_odd_rows_the_other_is_limited(detector):
    errors = detector.training_errors.copy()
    errors[[100, 200]] = [[90.0], [50.0]]
    others = errors.copy()
    others[92:109] = np.nan
    odd, rest = (
        anomalies.detect(replace(detector, training_errors=each), ANOMALOUS, score="mean")
        for each in (errors, others)
    )
    assert odd.set_by.row == 100
    assert odd.set_by.without == pytest.approx(rest.threshold.value)
    assert rest.threshold.value < 50


@pytest.mark.parametrize("score", ["adaptive", "mean", "mahalanobis"])
def test_false_alarms_in_validation_rows(score, detector):
    """Score and threshold are those of the rows before."""
    result = anomalies.detect(detector, ANOMALOUS, score=score)
    start, errors = detector.validation_start, detector.training_errors
    before = replace(detector, training_errors=errors[:start])
    fitted = anomalies.detect(before, ANOMALOUS, score=score)
    above = fitted.score(errors[start:]) > fitted.threshold.value
    assert result.held_out == (above.sum(), ROWS - start)
    none = replace(detector, validation_start=ROWS)
    assert anomalies.detect(none, ANOMALOUS, score=score).held_out == (0, 0)


@pytest.mark.parametrize(
    ("flagged", "held_out", "words"),
    [
        (20, HeldOut(5, 100), None),
        (21, HeldOut(0, 0), "21% of the rows are flagged. The detector"),
        (1, HeldOut(6, 100), ": 6% of held-out normal rows would be. The"),
        (1, HeldOut(2, 19), None),  # too few to know
        (50, HeldOut(50, 100), "50% of the rows are flagged and 50% of held-out normal rows"),
    ],
)
def test_the_reader_is_warned_where_far_too_much_is_flagged(flagged, held_out, words):
    scores = np.repeat([9.0, 0.0], [flagged, 100 - flagged])
    assert counts([result_of(scores, [])] * 2) == (2 * flagged, 200, 0)
    said = doubts(flagged, 100, held_out)
    if words is None:
        assert said == []
    else:
        assert said[0].startswith("Do not rely on these events: ")
        assert words in said[0]


def test_sentences_on_false_alarms_and_the_row():
    scores = np.array([np.nan, 1.0, 3.0, 1.0, 5.0])
    result = result_of(scores, [])
    assert calibration(result) == ["2 of 4 rows are flagged (50.00%)"]
    assert calibration(result_of(scores[:3], [])) == ["1 of 2 rows is flagged (50.00%)"]
    assert threshold_row(result, "abcde") == []
    result = result._replace(held_out=HeldOut(0, 300), set_by=SetBy(2, 1.5))
    assert "of the last 300 rows of the training part" in calibration(result)[1]
    assert "none (the true rate may be as high as 1.00%) would" in calibration(result)[1]
    result = result._replace(held_out=HeldOut(6, 300))
    assert "6 (2.00%) would be flagged by the threshold of the rows" in calibration(result)[1]
    (sentence,) = threshold_row(result, "abcde")
    assert sentence == (
        "the threshold is set by row c of the training part: without it and its neighbours, it "
        "would be about 1.5 instead of 2"
    )
    assert threshold_row(result._replace(set_by=SetBy(2, 2.0)), "abcde") == []  # another sets it


def test_events_are_joined_and_left_out(detector):
    common = {"threshold": "quantile", "level": 0.5}
    found = anomalies.detect(detector, ANOMALOUS, **common, gap=3, minimum=4)
    assert found.events == anomalies.events(found.scores, found.threshold, gap=3, minimum=4)
    assert found.events != anomalies.detect(detector, ANOMALOUS, **common).events


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "median"}, "score must be one of"),
        ({"threshold": "median"}, "threshold must be one of"),
        ({"threshold": "gaussian"}, "needs the score 'mahalanobis', got score 'adaptive'"),
        ({"level": 0.5}, "level is a quantile or a probability: the margin has none"),
        ({"threshold": "quantile", "level": 1.0}, r"level must be between 0 and 1, got 1\.0"),
        ({"threshold": "peaks", "level": np.nan}, "level must be between 0 and 1, got nan"),
        ({"gap": -1}, "gap must be at least 0"),
        ({"minimum": 0}, "minimum must be at least 1"),
    ],
)
def test_what_is_refused(options, message):
    """Before anything is looked at: there is no detector."""
    with pytest.raises(ValueError, match=message):
        anomalies.detect(None, ANOMALOUS, **options)


def result_of(scores, events, limit=2.0):
    scores = np.array(scores, float)
    return DetectionResult(
        scores, np.ones((len(scores), 1)), Threshold(limit, "why"), events, np.abs
    )


def test_the_summary():
    labels = ["Mon", "Tue", "Wed", "Thu"]
    scores = [1, 3, 1, 5]
    one, two = Event(1, 2, 1, 3.0), Event(3, 4, 3, 5.0)
    assert summary(result_of(scores, []), labels) == "No event above the threshold 2 (why)."
    assert summary(result_of(scores, [one]), labels) == (
        "1 event above the threshold 2 (why). It peaks at Tue, at 1.5 times the threshold."
    )
    assert summary(result_of(scores, [one, two]), labels) == (
        "2 events above the threshold 2 (why). The most anomalous one peaks at Thu, at 2.5 times "
        "the threshold."
    )
    assert summary(result_of(scores, [one], limit=0.0), labels) == (
        "1 event above the threshold 0 (why). It peaks at Tue."
    )


def test_caveats():
    """1 of n + 1 rows that come in any order is the largest; a quantile is what it says."""
    scores = np.ones(1000)
    scores[:10] = np.nan
    of = result_of(scores, [])
    maximum = Detection(score="mean", threshold="maximum")
    own = caveats(of, maximum, normal=400, trained_on_own=True)
    assert own[0].startswith("the first 400 rows are taken to be normal")
    assert "no event can be found in them" in own[0]
    expected = f"about {600 / 401:.2g} of them would still be flagged"
    assert own[1].startswith(f"if all 600 rows after them were normal as well, {expected}")
    assert own[2] == ("10 rows without a score: a value is missing, or too few rows come before")
    other = caveats(
        of,
        Detection(score="mean", threshold="quantile", level=0.9),
        normal=400,
        trained_on_own=False,
    )
    assert other[0].startswith("if all 990 rows were normal as well, about 99 of them")
    assert len(other) == 2
    own = caveats(of, Detection(score="mean", threshold="peaks"), normal=400, trained_on_own=True)
    assert "harder to find" in own[0]
    assert "about 0.06 of them" in own[1]
    assert len(caveats(of, maximum, normal=1000, trained_on_own=True)) == 2
    assert len(caveats(of, Detection(), normal=400, trained_on_own=True)) == 2
    for threshold in ("maximum", "quantile", "peaks"):  # its scores are not independent
        adaptive = caveats(of, Detection(threshold=threshold), normal=400, trained_on_own=True)
        assert not any("would still be flagged" in sentence for sentence in adaptive)


def test_events_that_may_be_one():
    scores = np.zeros(40)
    distant, near = [Event(0, 1, 0, 3.0), Event(30, 31, 30, 3.0)], Event(33, 34, 33, 3.0)
    few, none = result_of(scores, distant), result_of(scores, [])
    assert close_together([few], window=8) == []
    assert close_together([none], window=8) == []
    assert close_together([few, few], window=8) == []  # of two series
    (sentence,) = close_together([few, result_of(scores, [*distant, near])], window=8)
    assert sentence.startswith("1 of the 5 events begins less than a window of 8 rows after")
    (sentence,) = echoes(2, (24, 1))
    assert "an echo 24 rows and 1 row later" in sentence
    assert echoes(0, (24,)) == echoes(2, ()) == []
