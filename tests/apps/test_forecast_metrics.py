"""Errors of forecasts: against scikit-learn and by hand; zeros, constants, missing values."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, root_mean_squared_error
from strategies import seeds

from lstmcore import forecasting

metrics = [forecasting.mae, forecasting.rmse, forecasting.smape]
shapes = st.tuples(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3))


def column(*numbers):
    """[1, T, 1]."""
    return np.array(numbers, float)[None, :, None]


@given(seed=seeds, shape=shapes)
def test_scikit_learn_has_the_same_errors(seed, shape):
    actual, forecast = np.random.default_rng(seed).normal(size=(2, *shape))
    for ours, theirs in (
        (forecasting.mae, mean_absolute_error),
        (forecasting.rmse, root_mean_squared_error),
    ):
        flat = [values.reshape(-1, shape[2]) for values in (actual, forecast)]
        expected = theirs(*flat, multioutput="raw_values")
        np.testing.assert_allclose(ours(actual, forecast), expected)
        by_step = [
            theirs(actual[:, step], forecast[:, step], multioutput="raw_values")
            for step in range(shape[1])
        ]
        np.testing.assert_allclose(ours(actual, forecast, axis=0), by_step)


def test_by_hand():
    actual, forecast = column(100, 50, 0, 0, -10), column(110, 50, 0, 5, 10)
    assert forecasting.mae(actual, forecast) == [(10 + 0 + 0 + 5 + 20) / 5]
    assert forecasting.rmse(actual, forecast) == [np.sqrt((100 + 25 + 400) / 5)]
    expected = [200 * 10 / 210, 0, 0, 200, 200]  # 0 / 0 counts as 0
    np.testing.assert_allclose(forecasting.smape(actual, forecast), [np.mean(expected)])
    np.testing.assert_allclose(forecasting.smape(actual, forecast, axis=0)[:, 0], expected)
    assert forecasting.coverage(actual, forecast - 10, forecast) == [4 / 5]


def test_mase_by_hand():
    """Hyndman & Koehler (2006), section 3: of the naive forecast on its training part it is 1."""
    training = np.array([[1, 5], [4, 5], [2, 9], [8, 9.0]])
    scale = forecasting.mase_scale(training)
    np.testing.assert_allclose(scale, [(3 + 2 + 6) / 3, 4 / 3])
    np.testing.assert_allclose(forecasting.mase_scale(training, season=2), [(1 + 4) / 2, 4])
    fitted = forecasting.naive(training, np.arange(1, 4), horizon=1)
    np.testing.assert_allclose(forecasting.mase(training[1:, None], fitted, scale), [1, 1])


def test_mase_after_a_training_part_that_never_changes():
    scale = forecasting.mase_scale(np.ones((4, 2)))
    assert scale.tolist() == [0, 0]
    actual = np.array([[[1.0, 1.0]]])
    found = forecasting.mase(actual, np.array([[[1.0, 2.0]]]), scale)
    assert np.isnan(found[0])
    assert found[1] == np.inf


def test_skill():
    assert forecasting.skill([0.0, 2, 4, 1, 0], [4.0, 4, 4, 0, 0]).tolist()[:4] == [
        1,
        0.5,
        0,
        -np.inf,
    ]
    assert np.isnan(forecasting.skill(0.0, 0.0))


@pytest.mark.parametrize("metric", metrics)
def test_a_missing_truth_is_left_out_and_a_missing_forecast_is_not(metric):
    actual, forecast = column(1, np.nan, 3), column(2, 5, 3)
    np.testing.assert_allclose(metric(actual, forecast), metric(column(1, 3), column(2, 3)))
    assert np.isnan(metric(column(1, 2), column(1, np.nan)))
    assert np.isnan(metric(column(np.nan), column(1)))


def test_missing_values_around_coverage_and_scale():
    assert forecasting.coverage(column(1, np.nan), column(0, 0), column(2, 0)) == [1]
    assert np.isnan(forecasting.coverage(column(1), column(np.nan), column(2)))
    assert forecasting.mase_scale([[1.0], [np.nan], [3.0], [5.0]]) == [2]


# Forecasts that every other must beat.


@given(seed=seeds, horizon=st.integers(1, 5), season=st.integers(1, 4))
def test_naive_forecasts_one_number_at_a_time(seed, horizon, season):
    values = np.random.default_rng(seed).normal(size=(9, 2))
    origins = np.arange(season, 10)
    found = forecasting.seasonal_naive(values, origins, horizon, season)
    for forecast, origin in zip(found, origins, strict=True):
        rows = [*values[:origin]]
        for _ in range(horizon):
            rows.append(rows[-season])
        np.testing.assert_array_equal(forecast, rows[origin:])
    repeated = forecasting.naive(values, origins, horizon)
    np.testing.assert_array_equal(repeated, np.repeat(values[origins - 1, None], horizon, axis=1))


def test_a_season_is_repeated_as_often_as_it_takes():
    found = forecasting.seasonal_naive([[1], [2], [3], [4]], [4], horizon=8, season=3)
    assert found[0, :, 0].tolist() == [2, 3, 4, 2, 3, 4, 2, 3]


@given(seed=seeds)
def test_naive_forecasts_do_not_see_the_future(seed):
    rng = np.random.default_rng(seed)
    values, origin = rng.normal(size=(9, 1)), int(rng.integers(3, 9))
    other = values.copy()
    other[origin:] = np.nan
    for found in (forecasting.naive, forecasting.seasonal_naive):
        season = () if found is forecasting.naive else (3,)
        np.testing.assert_array_equal(
            found(values, [origin], 4, *season), found(other, [origin], 4, *season)
        )


# Errors.

A = np.ones((2, 3, 1))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: forecasting.mae(A, A[:1]), ValueError, r"forecast has shape \(1, 3, 1\) but act"),
        (lambda: forecasting.rmse(A[0], A[0]), ValueError, r"actual must have 3 axes \[forecasts,"),
        (lambda: forecasting.smape(A, A.astype(str)), TypeError, "forecast must be real numbers"),
        (lambda: forecasting.coverage(A, A, A[:, :1]), ValueError, r"high has shape \(2, 1, 1\)"),
        (lambda: forecasting.mase_scale(np.ones(3)), ValueError, "training must have 2 axes"),
        (
            lambda: forecasting.mase_scale(np.ones((3, 1)), 3),
            ValueError,
            "training has 3 rows, but a season of 3 needs more",
        ),
        (lambda: forecasting.mase_scale(np.ones((3, 1)), 0), ValueError, "season must be at least"),
        (
            lambda: forecasting.naive(A[0], [0], 1),
            ValueError,
            "origins holds row 0, but a forecast can start from row 1, .* to row 3",
        ),
        (lambda: forecasting.naive(A[0], [4], 1), ValueError, "origins holds row 4"),
        (lambda: forecasting.naive(A[0], [1.0], 1), TypeError, "origins must be rows, whole numb"),
        (lambda: forecasting.naive(A[0], 1, 1), ValueError, "origins must have 1 axes"),
        (lambda: forecasting.seasonal_naive(A[0], [2], 1, 3), ValueError, "from row 3"),
        (lambda: forecasting.naive(A[0], [1], 0), ValueError, "horizon must be at least 1, got 0"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
