"""The adaptive score: row by row as at once, what it finds, odd rows, missing and constant ones."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lstmcore import anomalies
from lstmcore.apps.anomalies import adaptive

ROWS, WINDOW = 1000, 24
NORMAL = np.random.default_rng(0).normal(size=(ROWS, 2))
LATER = np.random.default_rng(1).normal(size=(300, 2))


@pytest.fixture(scope="module")
def score():
    return anomalies.fit_adaptive(NORMAL, WINDOW)


def flagged(score, errors):
    return score(errors) > score.threshold.value


@settings(max_examples=15, deadline=None)
@given(
    st.integers(2, 120),
    st.integers(1, 30),
    st.integers(0, 2**32 - 1),
    st.sampled_from([1e-9, 1.0, 1e9]),
)
def test_row_by_row_is_as_at_once(rows, window, seed, scale):
    rng = np.random.default_rng(seed)
    errors = scale * rng.normal(size=(rows + 40, 2))
    errors[rng.random(errors.shape) < 0.2] = np.nan
    errors[:2] = scale
    score = anomalies.fit_adaptive(errors[:rows], window)
    later = errors[rows:]
    expected, found, running = score(later), [], score.start()
    for row in later:
        value, running = running.step(row)
        found.append(value)
        assert running.memory.size == score.memory.size
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(np.isnan(expected), np.isnan(later).all(axis=1))


def test_a_call_leaves_the_memory_as_it_is(score):
    np.testing.assert_array_equal(score(LATER), score(LATER))
    running = score.start()
    once, twice = (running.step(LATER[0]) for _ in range(2))
    assert once[0] == twice[0] == score(LATER)[0]


def test_what_follows_a_saved_memory_is_scored_as_by_the_whole_series(score):
    running = score.start()
    for row in LATER[:100]:
        _, running = running.step(row)
    resumed = score.remembering(running.memory, running.read)
    np.testing.assert_allclose(resumed(LATER[100:]), score(LATER)[100:], rtol=1e-9)


@pytest.mark.parametrize("phase", range(0, 24, 5))
def test_a_series_need_not_begin_at_the_phase_at_which_training_ended(phase):
    """Errors that swing with the period of the window: its level stays, but not across a jump."""
    swing = 1 + 0.9 * np.sin(np.arange(1000) * 2 * np.pi / WINDOW)[:, None]
    errors = swing * np.random.default_rng(0).uniform(0.9, 1.1, size=(1000, 1))
    score = anomalies.fit_adaptive(errors, WINDOW)
    later = swing[phase:324] * np.random.default_rng(1).uniform(0.9, 1.1, size=(324 - phase, 1))
    assert flagged(score, later)[: 2 * WINDOW].sum() == 0


def test_sums_of_the_last_values():
    values = np.random.default_rng(0).normal(size=53)
    for length in (1, 4, 53, 80):
        expected = [values[max(0, end - length) : end].sum() for end in range(1, 54)]
        (found,) = adaptive._trailing_sums(values[None], length)
        np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_huge_error_is_forgotten(score):
    """Cumulative sums would keep its rounding for good."""
    rows = np.concatenate([LATER, LATER, LATER])
    huge = rows.copy()
    huge[10] = 1e12
    after = 10 + score.long + score.window
    np.testing.assert_allclose(score(huge)[after:], score(rows)[after:], rtol=1e-9)
    assert score(huge)[10] > 3


def test_rows_like_those_of_training_are_not_flagged(score):
    """Which is about the margin and the maximum: one of 15 series has a flagged row or two."""
    rates = []
    for seed in range(15):
        rng = np.random.default_rng(seed)
        rates.append(flagged(score, rng.normal(size=(300, 2))).mean())
    assert np.mean(rates) < 0.01


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("spike", lambda errors: errors + 9 * (np.arange(300) == 150)[:, None]),
        ("loud", lambda errors: np.where(np.arange(300)[:, None] // 12 == 12, 3 * errors, errors)),
        ("quiet", lambda errors: np.where(np.arange(300)[:, None] // 50 == 3, 0.05, 1) * errors),
    ],
)
def test_what_it_finds(kind, change, score):
    flags = flagged(score, change(LATER))
    assert flags[140:205].any()
    assert not flags[:140].any()


def test_it_gets_used_to_more_noise(score):
    """Of a series that is louder for good only the beginning is anomalous."""
    louder = 2 * np.random.default_rng(2).normal(size=(900, 2))
    flags = flagged(score, louder)
    assert flags[:50].any()
    assert flags[-400:].mean() < 0.02


@pytest.mark.parametrize("odd", [10.0, 1000.0])
def test_it_survives_one_odd_row(odd, score):
    errors = NORMAL.copy()
    errors[500] = odd
    other = anomalies.fit_adaptive(errors, WINDOW)
    assert other.set_by.row in range(500, 500 + WINDOW)
    assert other.set_by.without < other.threshold.value
    assert other.set_by.part in adaptive.PARTS
    assert "which counts as 1 instead of" in other.threshold.how
    spike = LATER.copy()
    spike[150] += 15
    assert flagged(score, spike)[150]
    assert flagged(other, spike)[150]


def test_contributions(score):
    errors = LATER.copy()
    errors[100:108, 1] += 9
    errors[200] = np.nan
    found = score.contributions(errors)
    assert found[104].argmax() == 1
    assert found[104, 1] > 0.8
    assert (found >= 0).all()
    np.testing.assert_allclose(np.delete(found, 200, axis=0).sum(axis=1), 1)
    assert (found[200] == 0).all()


@pytest.mark.parametrize("rows", [2, 3, 10, 40])
def test_few_rows(rows):
    score = anomalies.fit_adaptive(NORMAL[:rows], WINDOW)
    scores = score(np.concatenate([LATER, [[30.0, 30.0]]]))
    assert np.isfinite(scores).all()
    assert score.memory.shape == (WINDOW + score.long,)


def test_errors_that_never_change():
    score = anomalies.fit_adaptive(np.zeros((100, 1)), WINDOW)
    assert (score(np.zeros((50, 1))) == 0).all()
    assert flagged(score, np.array([[0.0], [1.0], [0.0]]))[1]


def test_what_is_refused(score):
    with pytest.raises(ValueError, match="errors has 1 row that can be scored: fitting a score"):
        anomalies.fit_adaptive(np.array([[np.nan], [1.0]]), 4)
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        anomalies.fit_adaptive(NORMAL, 0)
    with pytest.raises(ValueError, match="errors must be finite"):
        score(np.full((3, 2), np.inf))
    with pytest.raises(ValueError, match="errors has 1 feature"):
        score(NORMAL[:, :1])
    with pytest.raises(ValueError, match="memory must hold 224 absolute errors, got shape"):
        score.remembering(np.ones(3))
    with pytest.raises(ValueError, match="memory must hold 224 absolute errors"):
        score.remembering(-np.ones(224))


def test_the_threshold_says_of_how_many_rows_it_is():
    errors = np.random.default_rng(0).normal(size=(1272, 1))
    how = anomalies.fit_adaptive(errors, 24).threshold.how
    assert how.startswith("1.1 times the largest score of 1,272 normal rows")
