"""From a detector to a verdict: its parts put together, and what is said about them."""

import numpy as np
import pytest

from lstmcore import anomalies
from lstmcore.apps.anomalies import Event, fit_gaussian, thresholds
from lstmcore.apps.anomalies.detection import DetectionResult
from lstmcore.apps.anomalies.report import close_together, echoes, promises, sentence
from lstmcore.apps.anomalies.thresholds import Threshold

ROWS = 300
VALUES = np.sin(np.arange(ROWS) / 4)[:, None] + np.random.default_rng(0).normal(
    0, [0.1, 0.3], (ROWS, 2)
)
STRANGE = VALUES.copy()
STRANGE[200:203, 1] += 9


@pytest.fixture(scope="module")
def detector():
    settings = anomalies.Settings(window=8, units=3, epochs=2, batch_size=256, validation=0.3)
    return anomalies.train(VALUES, settings)


@pytest.mark.parametrize("score", ["mean", "largest", "mahalanobis"])
def test_a_verdict_is_its_parts_put_together(score, detector):
    verdict = anomalies.detect(detector, STRANGE, score=score)
    errors = detector.errors(STRANGE)
    if score == "mahalanobis":  # fitted to what no weight was
        gaussian = fit_gaussian(detector.training_errors[detector.validation_start :])
        rate, shares = gaussian.score, gaussian.shares(errors)
    else:
        rate = {
            "mean": lambda e: np.abs(e).mean(axis=1),
            "largest": lambda e: np.abs(e).max(axis=1),
        }[score]
        shares = np.abs(errors) / np.abs(errors).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(verdict.scores, rate(errors))
    np.testing.assert_allclose(verdict.shares, shares)
    np.testing.assert_allclose(verdict.score(errors), verdict.scores)
    assert verdict.threshold.value == pytest.approx(rate(detector.training_errors).max())
    assert verdict.events == anomalies.events(verdict.scores, verdict.threshold)
    peak = max(verdict.events, key=lambda event: event.score).peak
    assert 200 <= peak < 203
    assert verdict.shares[peak].argmax() == 1


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
    verdict = anomalies.detect(detector, STRANGE, **options)
    assert verdict.threshold == expected(verdict.score(detector.training_errors))


def test_events_are_joined_and_left_out(detector):
    common = {"threshold": "quantile", "level": 0.5}
    found = anomalies.detect(detector, STRANGE, **common, gap=3, minimum=4)
    assert found.events == anomalies.events(found.scores, found.threshold, gap=3, minimum=4)
    assert found.events != anomalies.detect(detector, STRANGE, **common).events


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"score": "median"}, "score must be one of"),
        ({"threshold": "median"}, "threshold must be one of"),
        ({"threshold": "gaussian"}, "is one of the score 'mahalanobis', got score 'mean'"),
        ({"level": 0.5}, "level is for a quantile or a probability: the maximum has none"),
        ({"threshold": "quantile", "level": 1.0}, r"level must be between 0 and 1, got 1\.0"),
        ({"threshold": "peaks", "level": np.nan}, "level must be between 0 and 1, got nan"),
        ({"gap": -1}, "gap must be at least 0"),
        ({"minimum": 0}, "minimum must be at least 1"),
    ],
)
def test_what_is_refused(options, message):
    """Before anything is looked at: there is no detector."""
    with pytest.raises(ValueError, match=message):
        anomalies.detect(None, STRANGE, **options)


def verdict(scores, events, limit=2.0):
    scores = np.array(scores, float)
    return DetectionResult(
        scores, np.ones((len(scores), 1)), Threshold(limit, "why"), events, np.abs
    )


def test_the_sentence():
    labels = ["Mon", "Tue", "Wed", "Thu"]
    scores = [1, 3, 1, 5]
    one, two = Event(1, 2, 1, 3.0), Event(3, 4, 3, 5.0)
    assert sentence(verdict(scores, []), labels) == "No event above the threshold 2 (why)."
    assert sentence(verdict(scores, [one]), labels) == (
        "1 event above the threshold 2 (why). It peaks at Tue, with 1.5 times the threshold."
    )
    assert sentence(verdict(scores, [one, two]), labels) == (
        "2 events above the threshold 2 (why). The strangest peaks at Thu, with 2.5 times the "
        "threshold."
    )
    assert sentence(verdict(scores, [one], limit=0.0), labels) == (
        "1 event above the threshold 0 (why). It peaks at Tue."
    )


def test_what_the_threshold_promises():
    """1 of n + 1 rows that come in any order is the largest; a quantile is what it says."""
    scores = np.ones(1000)
    scores[:10] = np.nan
    of = verdict(scores, [])
    own = promises(of, "maximum", None, normal=400, trained_on_own=True)
    assert own[0].startswith("the first 400 rows are taken to be normal")
    assert "no event can be found in them" in own[0]
    assert own[1].startswith(f"were all 600 rows after them normal, too, about {600 / 401:.2g} of")
    assert own[2] == "10 rows without a score: missing, or without rows before"
    other = promises(of, "quantile", 0.9, normal=400, trained_on_own=False)
    assert other[0].startswith("were all 990 rows normal, too, about 99 of them")
    assert len(other) == 2
    own = promises(of, "peaks", None, normal=400, trained_on_own=True)
    assert "found less easily" in own[0]
    assert "about 0.06 of them" in own[1]
    assert len(promises(of, "maximum", None, normal=1000, trained_on_own=True)) == 2


def test_events_that_may_be_one():
    scores = np.zeros(40)
    apart, near = [Event(0, 1, 0, 3.0), Event(30, 31, 30, 3.0)], Event(33, 34, 33, 3.0)
    assert close_together(verdict(scores, apart), window=8) == []
    assert close_together(verdict(scores, []), window=8) == []
    (told,) = close_together(verdict(scores, [*apart, near]), window=8)
    assert told.startswith("1 of the 3 events begin less than a window of 8 rows after")
    (told,) = echoes(verdict(scores, apart), (24, 1))
    assert "an echo 24 rows and 1 row after it" in told
    assert echoes(verdict(scores, []), (24,)) == echoes(verdict(scores, apart), ()) == []
