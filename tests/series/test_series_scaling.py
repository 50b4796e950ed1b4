"""Scaling and differences can be inverted, and are fitted on known values."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lstmcore import series

# Three decimals: differences far below that are of no interest, and near 0 they underflow.
measured = st.integers(-(10**6), 10**6).map(lambda number: number / 1000)
measurements = arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=measured)
kinds = st.sampled_from(["standard", "minmax", "none"])
lags = st.lists(st.integers(1, 4), max_size=3).map(tuple)


# Scaling.


@given(measurements, kinds)
def test_scaling_can_be_undone(table, kind):
    scaler = series.fit_scaler(table, kind)
    np.testing.assert_allclose(
        scaler.inverse_transform(scaler.transform(table)), table, rtol=1e-12, atol=1e-9
    )
    np.testing.assert_allclose(
        scaler.transform(scaler.inverse_transform(table)), table, rtol=1e-9, atol=1e-9
    )


@given(measurements)
def test_standard_scaling(table):
    scaled = series.fit_scaler(table, "standard").transform(table)
    changes = np.ptp(table, axis=0) > 0
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(scaled.std(axis=0)[changes], 1)


@given(measurements)
def test_minmax_scaling(table):
    scaled = series.fit_scaler(table, "minmax").transform(table)
    changes = np.ptp(table, axis=0) > 0
    np.testing.assert_array_equal(scaled.min(axis=0), 0)
    np.testing.assert_allclose(scaled.max(axis=0)[changes], 1)


@given(measurements)
def test_no_scaling(table):
    np.testing.assert_array_equal(series.fit_scaler(table, "none").transform(table), table)


@given(measured, st.integers(1, 12), st.sampled_from(["standard", "minmax"]))
@example(0.1, 3, "standard")  # whose mean is not 0.1 in floating point
def test_a_constant_column_is_shifted_but_not_stretched(value, rows, kind):
    scaler = series.fit_scaler(np.full(rows, value), kind)
    assert scaler.scale == 1
    np.testing.assert_allclose(scaler.transform([[value], [value + 2]]), [[0], [2]], atol=1e-9)


def test_scaling_leaves_the_table_alone():
    table = np.array([[1, 2], [3, 4]])
    series.fit_scaler(table, "standard").transform(table)
    assert table.tolist() == [[1, 2], [3, 4]]


def test_an_unknown_scaling():
    with pytest.raises(ValueError, match="scaling 'log' is not known: use 'standard'"):
        series.fit_scaler([1.0], "log")


@given(measurements, kinds, st.integers(1, 3))
def test_missing_values_are_left_out_of_a_scaling(table, kind, gone):
    holes = np.vstack([table, np.full((gone, table.shape[1]), np.nan)])
    for learnt, expected in zip(
        series.fit_scaler(holes, kind), series.fit_scaler(table, kind), strict=True
    ):
        np.testing.assert_allclose(learnt, expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            [[1, np.nan], [2, np.nan]],
            r"column 1 of the table .* holds no number in 2 rows",
        ),
        ([[1, 2], [3, np.inf]], r"table holds inf in row 1, column 1 .* replace or remove it"),
        ([[1, 2], [-1e200, 3]], r"table holds -1e\+200 in row 1, column 0 .* too large to scale"),
    ],
)
def test_what_cannot_be_scaled(table, message):
    with pytest.raises(ValueError, match=message):
        series.fit_scaler(table, "standard")


# Differences.


@given(st.integers(0, 2**32 - 1), lags, st.integers(1, 9), st.sampled_from([(), (2,), (2, 3)]))
def test_differences_can_be_undone(seed, lags, rows, batch):
    rng, lost = np.random.default_rng(seed), sum(lags)
    whole = rng.normal(size=(*batch, lost + rows, 2))
    tables = whole.reshape(-1, lost + rows, 2)
    changes = np.array([series.difference(table, lags) for table in tables])
    changes = changes.reshape(*batch, rows, 2)
    back = series.undifference(changes, whole[..., :lost, :], lags)
    np.testing.assert_allclose(back, whole[..., lost:, :], rtol=1e-12, atol=1e-12)


@given(st.integers(0, 2**32 - 1), lags, st.integers(1, 9))
def test_whole_numbers_come_back_exactly(seed, lags, rows):
    table = np.random.default_rng(seed).integers(-(2**40), 2**40, (sum(lags) + rows, 2))
    changes = series.difference(table, lags)
    back = series.undifference(changes, table[: sum(lags)], lags)
    np.testing.assert_array_equal(back, table[sum(lags) :])


@given(st.integers(0, 2**32 - 1), lags, st.integers(1, 5))
def test_a_stretch_anywhere_goes_on_from_the_rows_before_it(seed, lags, start):
    """As a forecast does, many of them at once."""
    table, lost = np.random.default_rng(seed).normal(size=(30, 1)), sum(lags)
    changes = series.difference(table, lags)
    starts = lost + start + np.arange(4)
    stretches = np.array([changes[first - lost : first - lost + 5] for first in starts])
    before = np.array([table[first - lost : first] for first in starts])
    back = series.undifference(stretches, before, lags)
    expected = np.array([table[first : first + 5] for first in starts])
    np.testing.assert_allclose(back, expected, rtol=1e-12, atol=1e-12)
    shared = series.undifference(stretches[:, None], before[:1], lags)  # before is broadcast
    assert shared.shape == (4, 1, 5, 1)


def test_differences_one_by_one():
    table = np.arange(10.0) ** 2
    assert series.difference(table, (3,))[:, 0].tolist() == [9, 15, 21, 27, 33, 39, 45]
    assert series.difference(table, (3, 1))[:, 0].tolist() == [6] * 6
    assert series.difference(np.array([3, 1], np.uint8), (1,)).tolist() == [[-2]]
    np.testing.assert_array_equal(series.difference(table, ()), table[:, None])


@pytest.mark.parametrize(
    ("lags", "kind", "message"),
    [
        (1, TypeError, r"lags must be a tuple of whole numbers, such as \(1,\) or \(12, 1\): 1"),
        ([1], TypeError, "lags must be a tuple"),
        ((1.0,), TypeError, "lags must be a tuple"),
        ((True,), TypeError, "lags must be a tuple"),
        ((0,), ValueError, r"lags must be at least 1, got \(0,\)"),
        ((2, 2), ValueError, r"lags \(2, 2\) need more than 4 rows, but the table has 4"),
    ],
)
def test_what_makes_no_difference(lags, kind, message):
    with pytest.raises(kind, match=message):
        series.difference([1.0, 2.0, 3.0, 4.0], lags)
    with pytest.raises(kind, match="lags"):
        series.undifference(np.ones((4, 1)), np.ones((3, 1)), lags)


@pytest.mark.parametrize(
    ("changes", "before", "message"),
    [
        (
            np.ones(3),
            np.ones((2, 1)),
            r"must be \[..., rows, features\], got shape \(3,\)",
        ),
        (
            np.ones((3, 1)),
            np.ones((1, 1)),
            r"before has shape \(1, 1\) .* need \(2, 1\): the",
        ),
        (np.ones((3, 2)), np.ones((2, 1)), r"need \(2, 2\)"),
        (np.ones((4, 3, 2)), np.ones((3, 2, 2)), r"need \(4, 2, 2\)"),
        (np.ones((3, 2)), np.ones((4, 2, 2)), r"need \(2, 2\)"),
        (np.ones((3, 1)), [["a"]], "before must hold real numbers"),
    ],
)
def test_rows_before_that_do_not_fit(changes, before, message):
    with pytest.raises(ValueError, match=message):
        series.undifference(changes, before, (2,))
