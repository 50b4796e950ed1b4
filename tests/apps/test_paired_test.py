"""The paired test of two forecasts: by hand, as laws, and how often it errs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from strategies import seeds

from lstmcore import forecasting

shapes = st.tuples(st.integers(20, 60), st.integers(1, 5), st.integers(1, 3))


def drawn(seed, shape, missing=0.0):
    rng = np.random.default_rng(seed)
    actual, first, second = rng.normal(size=(3, *shape))
    actual[rng.random(shape) < missing] = np.nan
    return actual, first, second


@given(seed=seeds, shape=shapes, missing=st.sampled_from([0.0, 0.3]))
def test_the_difference_is_that_of_the_mean_absolute_errors(seed, shape, missing):
    actual, first, second = drawn(seed, shape, missing)
    found = forecasting.paired_test(actual, first, second)
    errors = [forecasting.mae(actual, one) for one in (first, second)]
    np.testing.assert_allclose(found.difference, errors[0] - errors[1], atol=1e-12)
    np.testing.assert_array_equal(found.forecasts, (~np.isnan(actual)).any(axis=1).sum(axis=0))


@given(seed=seeds, shape=shapes, scale=st.floats(1e-150, 1e150), offset=st.floats(-10, 10))
def test_neither_order_nor_units_matter(seed, shape, scale, offset):
    actual, first, second = drawn(seed, shape)
    found = forecasting.paired_test(actual, first, second)
    swapped = forecasting.paired_test(actual, second, first)
    np.testing.assert_allclose(swapped.statistic, -found.statistic, rtol=1e-9)
    np.testing.assert_allclose(swapped.p_value, found.p_value, rtol=1e-9)
    moved = forecasting.paired_test(*(scale * (offset + one) for one in (actual, first, second)))
    np.testing.assert_allclose(moved.p_value, found.p_value, rtol=1e-6)


@given(seed=seeds, shape=shapes)
def test_targets_are_tested_one_by_one(seed, shape):
    arrays = drawn(seed, shape)
    found = forecasting.paired_test(*arrays)
    for place in range(shape[2]):
        alone = forecasting.paired_test(*(one[:, :, place : place + 1] for one in arrays))
        np.testing.assert_allclose(alone.p_value, found.p_value[place])


@pytest.mark.parametrize("horizon", [1, 2, 4])
def test_by_hand(horizon):
    """Diebold & Mariano (1995) with Bartlett weights; Harvey et al. (1997), equation 9."""
    actual, first, second = drawn(0, (50, horizon, 1))
    gaps = (np.abs(first - actual) - np.abs(second - actual)).mean(axis=(1, 2))
    rows, centred = len(gaps), gaps - gaps.mean()
    reach = max(2 * (horizon - 1), 3)
    covariance = [(centred[lag:] * centred[: rows - lag]).sum() / rows for lag in range(reach + 1)]
    variance = covariance[0] + 2 * sum(
        (1 - lag / (reach + 1)) * covariance[lag] for lag in range(1, reach + 1)
    )
    correction = (rows + 1 - 2 * horizon + horizon * (horizon - 1) / rows) / rows
    statistic = gaps.mean() / np.sqrt(variance / rows) * np.sqrt(correction)
    found = forecasting.paired_test(actual, first, second)
    assert found.statistic[0] == pytest.approx(statistic)
    assert found.p_value[0] == pytest.approx(2 * stats.t.sf(abs(statistic), rows - 1))


# At 5 %; more where few forecasts are independent, measured over 1,000 trials.
SIZES = [(60, 1, 0.08), (200, 1, 0.052), (60, 5, 0.121), (200, 5, 0.087), (100, 24, 0.152)]


@pytest.mark.parametrize(("rows", "horizon", "rate"), SIZES)
def test_equal_forecasts_seldom_differ(rows, horizon, rate):
    wrong, number = 0, 300
    for seed in range(number):
        rng = np.random.default_rng([seed, rows, horizon])
        walk = rng.normal(size=rows + horizon).cumsum()
        origins = np.arange(1, rows)
        actual = walk[origins[:, None] + np.arange(horizon)][:, :, None]
        last = np.repeat(walk[origins - 1][:, None, None], horizon, axis=1)
        drift = 0.3 * rng.choice([-1, 1])
        ahead = drift * np.arange(1, horizon + 1)[:, None]
        wrong += forecasting.paired_test(actual, last + ahead, last - ahead).p_value[0] < 0.05
    assert stats.binom.sf(wrong - 1, number, rate) > 1e-9


def test_what_differs_is_found():
    for seed in range(20):
        actual, noise, other = drawn(seed, (200, 3, 1))
        found = forecasting.paired_test(actual, actual + 0.5 * noise, actual + other)
        assert found.difference[0] < 0
        assert found.p_value[0] < 1e-3


def test_ties_and_constant_differences():
    actual, first, _ = drawn(0, (30, 2, 1))
    same = forecasting.paired_test(actual, first, first)
    assert (same.difference[0], same.statistic[0], same.p_value[0]) == (0, 0, 1)
    always = forecasting.paired_test(actual, actual + 1, actual + 2)
    assert (always.statistic[0], always.p_value[0]) == (-np.inf, 0)


def test_few_forecasts_have_no_p_value():
    actual, first, second = drawn(0, (25, 2, 2))
    actual[:6, :, 0] = np.nan
    found = forecasting.paired_test(actual, first, second)
    assert found.forecasts.tolist() == [19, 25]
    assert np.isnan(found.p_value).tolist() == [True, False]
    assert np.isfinite(found.statistic).all()
    nothing = forecasting.paired_test(actual + np.nan, first, second)
    assert nothing.forecasts.tolist() == [0, 0]
    assert np.isnan(nothing.difference).all()


A = np.ones((30, 2, 1))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((A, A[:1], A), ValueError, r"forecast has shape \(1, 2, 1\) but actual \(30, 2, 1\)"),
        ((A, A, A[:, :1]), ValueError, r"rival has shape \(30, 1, 1\) but actual"),
        ((A[0], A[0], A[0]), ValueError, r"actual must have 3 axes \[forecasts,"),
        ((A, A, A.astype(str)), TypeError, "rival must be real numbers, got <U"),
    ],
)
def test_errors(arguments, error, message):
    with pytest.raises(error, match=message):
        forecasting.paired_test(*arguments)
