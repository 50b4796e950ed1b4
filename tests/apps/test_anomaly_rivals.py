"""Simple detectors: what their scores are, and rows that they cannot be fitted to."""

import sys
import tracemalloc

import numpy as np
import pytest

pytest.importorskip("sklearn")

from hypothesis import given
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest

from lstmcore import series
from lstmcore.apps.anomalies import rivals, thresholds
from lstmcore.apps.anomalies.rivals import isolation_forest, pca_of_windows, robust_z_score

RNG = np.random.default_rng(0)
ROWS = 200
NORMAL = np.sin(np.arange(ROWS) / 3)[:, None] * [1, 2] + RNG.normal(0, 0.2, (ROWS, 2))
VALUES = NORMAL.copy()
VALUES[120:123, 1] += 5
WINDOWED = pytest.mark.parametrize("rival", [pca_of_windows, isolation_forest])


def test_a_robust_z_score_by_hand():
    normal, other = robust_z_score([[0.0, 5], [2, 5], [4, 5], [4, 5], [10, 5]], [[10.0, 5], [4, 6]])
    spread = 1.4826 * 2  # the median of 4, 2, 0, 0, 6
    np.testing.assert_allclose(normal, np.array([4, 2, 0, 0, 6]) / spread)
    # The second column never changes: a step of 1 counts 1.
    np.testing.assert_allclose(other, [6 / spread, 1])


def test_a_column_that_seldom_changes_is_measured_by_its_mean_deviation():
    normal, _ = robust_z_score([0.0, 0, 0, 0, 0, 0, 0, 0, 1, 1], [0.0])
    np.testing.assert_allclose(normal[-1], 1 / (1.2533 * 0.2))


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_a_robust_z_score_does_not_depend_on_units(scale, shift):
    expected = robust_z_score(NORMAL, VALUES)
    found = robust_z_score(NORMAL * scale + shift, VALUES * scale + shift)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_a_pca_is_the_likelihood_of_probabilistic_pca():
    mixed = RNG.normal(size=(ROWS, 6)) * [5, 4, 3, 0.5, 0.4, 0.3] @ RNG.normal(size=(6, 6))
    normal, other = pca_of_windows(mixed, 2 * mixed, window=1)
    fitted = PCA(0.9).fit(mixed)
    assert fitted.n_components_ < 6
    assert len(normal) == ROWS
    constant = other**2 + 2 * fitted.score_samples(2 * mixed)
    np.testing.assert_allclose(constant, constant[0])


def test_rows_have_the_mean_score_of_the_windows_that_hold_them(monkeypatch):
    window = 7
    windows = series.windows(VALUES, window).reshape(-1, window * 2)
    model = IsolationForest(random_state=0)
    model.fit(series.windows(NORMAL, window).reshape(-1, window * 2))
    each = -model.score_samples(windows)
    expected = series.unwindow(np.repeat(each[:, None], window, axis=1))
    np.testing.assert_allclose(isolation_forest(NORMAL, VALUES, window)[1], expected)
    monkeypatch.setattr(rivals, "NUMBERS_AT_ONCE", 100)  # in several pieces
    np.testing.assert_allclose(isolation_forest(NORMAL, VALUES, window)[1], expected)


@WINDOWED
def test_windows_find_a_jump_and_give_the_same_result_again(rival):
    normal, other = rival(NORMAL, VALUES, 8)
    assert len(normal) == len(other) == ROWS
    assert 115 <= other.argmax() < 128
    assert other.max() > np.quantile(normal, 0.95)
    np.testing.assert_array_equal(rival(NORMAL, VALUES, 8), (normal, other))


def test_memory_grows_with_the_rows_not_with_their_square():
    rows = 20_000
    wave = np.sin(np.arange(rows) / 3)[:, None]
    tracemalloc.start()
    pca_of_windows(wave, wave, 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1000 * rows  # bytes; a number for each fold's row and each window is 32,000 each


@WINDOWED
def test_of_many_windows_some_are_fitted_to(rival, monkeypatch):
    monkeypatch.setattr(rivals, "MOST_WINDOWS", 50)
    normal, other = rival(NORMAL, VALUES, 8)
    assert len(normal) == ROWS
    assert other[120:123].min() > np.quantile(normal, 0.9)


def test_a_pca_finds_what_breaks_a_perfect_pattern():
    wave = np.sin(np.arange(ROWS) / 3)
    normal, other = pca_of_windows(wave, np.where(np.arange(ROWS) == 90, 0.2, wave), window=12)
    assert other.argmax() == 90
    assert other.max() > 3 * normal.max()


def test_the_window_of_a_wide_table_is_shortened():
    wide = RNG.normal(size=(60, 150))
    normal, _ = pca_of_windows(wide, wide, window=24)  # of 3 rows
    np.testing.assert_array_equal(normal, pca_of_windows(wide, wide, window=3)[0])


def test_all_rivals_at_once():
    found, notes = rivals.rival_scores(NORMAL, VALUES, window=8)
    assert (list(found), notes) == (list(rivals.DESCRIPTIONS), ())
    alone = (
        robust_z_score(NORMAL, VALUES),
        *(rival(NORMAL, VALUES, 8) for rival in (pca_of_windows, isolation_forest)),
    )
    for (normal, scores), raw in zip(found.values(), alone, strict=True):
        usual = np.median(raw[0])
        assert np.median(normal) == pytest.approx(0, abs=1e-12)
        np.testing.assert_allclose(normal + usual, raw[0])
        np.testing.assert_allclose(scores + usual, raw[1])


LEFT_OUT = {
    "short": (
        NORMAL[:159],
        8,
        {rivals.ZSCORE},
        "with 159 training rows and a window of 8 rows it would flag many normal rows; it needs "
        "160",
    ),
    "wide": (RNG.normal(size=(40, 1100)), 2, {rivals.ZSCORE, rivals.FOREST}, "1,100 columns are"),
    "constant": (np.ones((160, 2)), 8, {rivals.ZSCORE}, "no column changes"),
}


@pytest.mark.parametrize(("training", "window", "left", "note"), LEFT_OUT.values(), ids=LEFT_OUT)
def test_a_rival_that_cannot_be_fitted_is_left_out(training, window, left, note):
    found, notes = rivals.rival_scores(training, training, window)
    assert set(found) == left
    assert note in notes[0]
    assert len(notes) == 3 - len(left)
    assert all(np.isfinite(scores).all() for pair in found.values() for scores in pair)


BAD = {
    "missing": ([1.0, np.nan], [1.0], "training has missing or infinite values"),
    "infinite": ([1.0], [np.inf], "values has missing or infinite values"),
    "none": ([], [1.0], "training has no rows"),
    "columns": ([[1.0, 2.0]], [1.0], "values has 1 feature but training expects 2"),
}


@pytest.mark.parametrize(("training", "values", "message"), BAD.values(), ids=BAD)
def test_bad_rows(training, values, message):
    with pytest.raises(ValueError, match=message):
        robust_z_score(training, values)


@WINDOWED
def test_bad_windows(rival):
    with pytest.raises(ValueError, match="hold 3 windows of 8 rows, and it needs 10"):
        rival(NORMAL[:10], VALUES, 8)
    with pytest.raises(ValueError, match="a window of 8 rows does not fit into a table of 3 rows"):
        rival(NORMAL, VALUES[:3], 8)
    with pytest.raises(ValueError, match="window must be at least 1, got 0"):
        rival(NORMAL, VALUES, 0)


@WINDOWED
def test_without_scikit_learn(rival, monkeypatch):
    for module in ("decomposition", "ensemble"):
        monkeypatch.setitem(sys.modules, f"sklearn.{module}", None)
    with pytest.raises(ImportError, match="this rival needs scikit-learn: pip install"):
        rival(NORMAL, VALUES, 8)


@WINDOWED
def test_the_threshold_is_of_windows_that_a_rival_was_not_fitted_to(rival):
    """By those that it was fitted to, far more of the normal rows after them would be flagged."""
    rates = []
    for seed in range(4):
        table = np.random.default_rng(seed).normal(size=(352, 1))
        table[:, 0] += 2 * np.sin(np.arange(352) * 2 * np.pi / 12)
        training, later = table[:176], rival(table[:176], table[176:], 24)[1]
        for normal in rival(training, training, 24):
            usual = np.median(normal)
            limit = thresholds.margin(normal - usual, 24).value
            rates.append((later - usual > limit).mean())
    held_out, fitted = np.mean(rates[::2]), np.mean(rates[1::2])
    assert held_out < 0.15
    assert held_out < 0.7 * fitted


@WINDOWED
def test_too_few_rows_to_hold_some_out(rival):
    message = "with a fifth of the training rows held out for the threshold, the others hold"
    with pytest.raises(ValueError, match=message):
        rival(NORMAL[:40], VALUES, 20)


def test_few_normal_rows_are_flagged_after_a_short_training_part():
    """By the largest of the few independent scores alone, one in forty would be."""
    window, rows, rates = 12, 20 * 12, []
    for seed in range(12):
        noise = np.random.default_rng(seed).normal(size=rows + 2000)
        normal, later = pca_of_windows(noise[:rows], noise[rows:], window)
        usual = np.median(normal)
        limits = [
            thresholds.margin(normal - usual, window).value,
            thresholds.prediction_limit(normal - usual, 2 * window - 1).value,
        ]
        rates.append([(later - usual > limit).mean() for limit in (limits[0], max(limits))])
    by_largest, raised = np.mean(rates, axis=0)
    assert by_largest > 0.005
    assert raised < 0.002
