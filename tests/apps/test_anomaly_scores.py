"""One number per row from its errors, as laws, and beside scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.distance import mahalanobis

from lstmcore import anomalies

numbers = st.integers(-(10**4), 10**4).map(lambda number: number / 100)
tables = arrays(float, st.tuples(st.integers(2, 12), st.integers(1, 3)), elements=numbers)
BY_SIZE = [anomalies.mean_absolute, anomalies.largest]


@given(tables)
def test_scores_by_size_are_those_of_numpy(errors):
    np.testing.assert_allclose(anomalies.mean_absolute(errors), np.abs(errors).mean(axis=1))
    np.testing.assert_array_equal(anomalies.largest(errors), np.abs(errors).max(axis=1))


@given(tables)
def test_contributions_add_up_and_name_the_largest(errors):
    contributions = anomalies.contributions(errors)
    some = np.abs(errors).sum(axis=1) > 0
    np.testing.assert_allclose(contributions.sum(axis=1), some)
    own = np.take_along_axis(np.abs(errors), contributions.argmax(axis=1)[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(own, anomalies.largest(errors))


@pytest.mark.parametrize("score", BY_SIZE)
def test_a_missing_error_is_left_out(score):
    errors = np.array([[3.0, np.nan], [np.nan, np.nan], [1.0, -1.0]])
    np.testing.assert_array_equal(score(errors), [3.0, np.nan, 1.0])
    np.testing.assert_array_equal(anomalies.contributions(errors), [[1, 0], [0, 0], [0.5, 0.5]])


@given(st.integers(1, 3), st.integers(0, 5))
def test_mahalanobis_is_scipys(features, seed):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(features, features)) + 2 * np.eye(features)
    errors = rng.normal(size=(50, features)) @ mixing + 3
    gaussian = anomalies.fit_gaussian(errors, regularisation=1e-12)
    np.testing.assert_allclose(gaussian.mean, errors.mean(axis=0))
    expected_covariance = np.cov(errors.T, bias=True).reshape(features, features)
    np.testing.assert_allclose(gaussian.covariance, expected_covariance, rtol=1e-6)
    precision = np.linalg.inv(expected_covariance)
    expected = [mahalanobis(row, errors.mean(axis=0), precision) ** 2 for row in errors]
    np.testing.assert_allclose(gaussian.score(errors), expected, rtol=1e-5)
    np.testing.assert_allclose(gaussian.contributions(errors).sum(axis=1), 1)
    # Over the rows that it was fitted to, the mean score is F, whatever their distribution.
    np.testing.assert_allclose(gaussian.score(errors).mean(), features)


def test_errors_that_belong_together_are_not_anomalous_together():
    rng = np.random.default_rng(0)
    common = rng.normal(size=(500, 1))
    gaussian = anomalies.fit_gaussian(np.hstack([common, common + 0.1 * rng.normal(size=(500, 1))]))
    both, one = gaussian.score(np.array([[2.0, 2.0], [2.0, 0.0]]))
    assert both < 10 < 100 < one
    sizes = anomalies.mean_absolute(np.array([[2.0, 2.0], [2.0, 0.0]]))
    assert sizes[0] > sizes[1]  # which sizes alone cannot see


def test_a_column_that_never_changed_is_watched_all_the_more():
    rng = np.random.default_rng(0)
    errors = np.hstack([rng.normal(size=(100, 1)), np.zeros((100, 1))])
    gaussian = anomalies.fit_gaussian(errors)
    assert np.isfinite(gaussian.precision).all()
    assert (gaussian.score(errors) < 20).all()
    anomalous = np.array([[0.0, 0.1]])
    assert gaussian.score(anomalous) > 1000
    assert gaussian.contributions(anomalous)[0, 1] > 0.99
    still = anomalies.fit_gaussian(np.zeros((5, 2)))
    np.testing.assert_array_equal(still.score(np.zeros((1, 2))), 0)
    np.testing.assert_array_equal(still.contributions(np.zeros((1, 2))), 0)


def test_incomplete_rows():
    errors = np.array([[0.0, 1.0], [1.0, np.nan], [2.0, 3.0], [np.nan, np.nan], [1.0, 1.0]])
    gaussian = anomalies.fit_gaussian(errors)
    complete = anomalies.fit_gaussian(errors[[0, 2, 4]])
    for got, expected in zip(gaussian, complete, strict=True):
        np.testing.assert_array_equal(got, expected)
    assert np.isnan(gaussian.score(errors)).tolist() == [False, True, False, True, False]
    assert np.isnan(gaussian.contributions(errors)[1]).all()


@pytest.mark.parametrize(
    "use", [*BY_SIZE, anomalies.contributions, anomalies.fit_gaussian], ids=lambda use: use.__name__
)
def test_what_is_no_errors(use):
    with pytest.raises(TypeError, match="errors must be an array"):
        use([[1.0]])
    with pytest.raises(ValueError, match=r"errors must have 2 axes \[rows, features\]"):
        use(np.ones(3))
    with pytest.raises(ValueError, match="errors must be floating point, got int64"):
        use(np.ones((3, 2), int))
    with pytest.raises(ValueError, match=r"errors must be finite, or NaN .* got an infinite one"):
        use(np.array([[1.0], [-np.inf], [2.0]]))


def test_what_fits_no_gaussian():
    with pytest.raises(ValueError, match="errors has 1 row without a missing value"):
        anomalies.fit_gaussian(np.array([[1.0], [np.nan]]))
    with pytest.raises(ValueError, match="regularisation must be a number above 0, got 0"):
        anomalies.fit_gaussian(np.ones((3, 1)), regularisation=0)
    gaussian = anomalies.fit_gaussian(np.ones((3, 2)))
    with pytest.raises(ValueError, match="errors has 1 feature but this Gaussian expects 2"):
        gaussian.score(np.ones((3, 1)))
