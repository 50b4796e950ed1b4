"""Seasons found by their autocorrelation: what has one, what has none, and what changes nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

from lstmcore import series


def pattern(rng, season, rows):
    """Noise that repeats, with a clear peak so that it has no shorter season."""
    once = 0.3 * rng.normal(size=season)
    once[0] += 5
    return once[np.arange(rows) % season]


@given(
    seed=seeds,
    season=st.integers(3, 30),
    slope=st.floats(-0.1, 0.1),
    factor=st.sampled_from([1e-8, 1.0, 1e12]),
)
def test_a_season_is_found_whatever_trend_and_unit(seed, season, slope, factor):
    rng = np.random.default_rng(seed)
    values = pattern(rng, season, 12 * season + 60)
    values = values + slope * np.arange(len(values)) + 0.1 * rng.normal(size=len(values))
    assert series.seasons(factor * values)[:1] == (season,)


def test_a_week_and_a_day():
    """The day has no multiples of its own; the week, which adds to it, does."""
    rng = np.random.default_rng(0)
    values = pattern(rng, 12, 1000) + 2 * pattern(rng, 84, 1000)
    assert set(series.seasons(values)) == {84, 12}
    assert series.seasons(values, longest=80) == (12,)


@pytest.mark.parametrize("rows", [60, 600])
def test_noise_and_wandering_have_none(rows):
    """Of 400 series in all, one at most."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(100):
        noise = rng.normal(size=rows)
        found += sum(map(bool, map(series.seasons, (noise, noise.cumsum()))))
    assert found <= 1


def test_columns_are_averaged():
    rng = np.random.default_rng(0)
    values = np.stack([pattern(rng, 7, 200), np.zeros(200)], axis=1)  # one never changes
    assert series.seasons(values) == (7,)


@pytest.mark.parametrize("rows", range(1, 8))
def test_too_few_rows_have_none(rows):
    assert series.seasons(np.arange(rows) % 2) == ()


@pytest.mark.parametrize(
    ("values", "longest", "error", "message"),
    [
        ([1.0, np.nan], None, ValueError, "values must be finite: fill missing ones first"),
        ([1.0, np.inf], None, ValueError, "values must be finite"),
        (["a"], None, ValueError, "values"),
        (np.zeros(9), 0, ValueError, "longest must be at least 1, got 0"),
        (np.zeros(9), 2.5, TypeError, "longest must be"),
    ],
)
def test_errors(values, longest, error, message):
    with pytest.raises(error, match=message):
        series.seasons(values, longest)


@given(seed=seeds, season=st.integers(1, 9), rows=st.integers(1, 60))
def test_the_level_is_a_median_of_earlier_seasons(seed, season, rows):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(season + rows, 2))
    values[rng.random(values.shape) < 0.2] = np.nan
    level = series.seasonal_level(values, season)
    assert level.shape == (rows, 2)
    for row in range(season, season + rows):
        before = values[[row - k * season for k in range(1, 6) if row >= k * season]]
        for found, column in zip(level[row - season], before.T, strict=True):
            known = column[~np.isnan(column)]
            expected = np.median(known) if len(known) else np.nan
            np.testing.assert_array_equal(found, expected)


def test_two_anomalous_seasons_leave_no_echo():
    values = np.tile([1.0, 5.0, 2.0], 12)
    values[[9, 12]] = 99  # twice at the same phase
    np.testing.assert_array_equal(series.seasonal_level(values, 3)[21:, 0], np.tile([1, 5, 2], 4))


def test_a_level_that_is_refused():
    with pytest.raises(ValueError, match="a season of 4 rows needs more of them, but values has 4"):
        series.seasonal_level(np.zeros(4), 4)
    with pytest.raises(ValueError, match="season must be at least 1, got 0"):
        series.seasonal_level(np.zeros(4), 0)
    with pytest.raises(TypeError, match="season must be a whole number"):
        series.seasonal_level(np.zeros(4), 1.5)
