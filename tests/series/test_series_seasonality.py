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


@given(seed=seeds, season=st.integers(12, 60))
def test_a_slow_season_is_found_in_the_noise_of_single_rows(seed, season):
    """The changes from row to row are nearly all noise: of a season of 60, 98 % of their power."""
    rng, rows = np.random.default_rng(seed), np.arange(40 * season)
    values = np.sin(2 * np.pi * rows / season) + 0.5 * rng.normal(size=len(rows))
    assert len(series.seasons(values)) == 1
    assert abs(series.seasons(values)[0] - season) <= 1


@given(seed=seeds, trend=st.sampled_from([0.0, 0.03]))
def test_a_season_that_is_no_whole_number_is_not_found_thrice_as_long(seed, trend):
    """Of weeks, a year has 52.18; three years are nearer to a whole number."""
    rng, rows = np.random.default_rng(seed), np.arange(20 * 52)
    values = np.sin(2 * np.pi * rows / 52.18) + trend * rows + 0.3 * rng.normal(size=len(rows))
    (found,) = series.seasons(values)
    assert abs(found - 52) <= 1


@pytest.mark.parametrize("period", [4, 7, 12, 24])
def test_four_cycles_are_enough_for_a_clear_season(period):
    rows = np.arange(4 * period + 1)
    assert series.seasons(np.sin(2 * np.pi * rows / period)) == (period,)


def test_five_years_of_months_in_noise():
    rng, rows = np.random.default_rng(0), np.arange(60)
    wave = np.sin(2 * np.pi * rows / 12)
    found = [series.seasons(wave + 0.3 * rng.normal(size=60)) for _ in range(30)]
    assert found.count((12,)) >= 28


def test_a_season_of_two_rows():
    rng = np.random.default_rng(0)
    two = np.tile([0.0, 1.0], 100)
    assert series.seasons(two) == (2,)
    assert series.seasons(two + 0.2 * rng.normal(size=200)) == (2,)
    values, found = np.zeros(200), 0
    for _ in range(50):  # it swings from row to row, but forgets
        for row in range(1, 200):
            values[row] = -0.8 * values[row - 1] + rng.normal()
        found += bool(series.seasons(values))
    assert found <= 10


@pytest.mark.parametrize("rows", [200, 1000])
def test_what_is_alike_for_a_while_has_none(rows):
    """Of 100 autoregressions that forget within 20 rows, two at most."""
    rng, found = np.random.default_rng(0), 0
    for _ in range(100):
        values = np.zeros(rows)
        for row in range(1, rows):
            values[row] = 0.95 * values[row - 1] + rng.normal()
        found += bool(series.seasons(values))
    assert found <= 2


def test_a_quarter_of_the_columns_must_have_it():
    rng = np.random.default_rng(0)
    one = pattern(rng, 7, 300)
    noise = rng.normal(size=(300, 3))
    assert series.seasons(np.stack([one, np.zeros(300)], axis=1)) == (7,)  # one never changes
    assert series.seasons(np.column_stack([noise, one])) == (7,)
    assert series.seasons(np.column_stack([noise, noise, one])) == ()


def test_of_many_columns_some_are_looked_at():
    rng = np.random.default_rng(0)
    values = pattern(rng, 7, 200)[:, None] + 0.1 * rng.normal(size=(200, 1000))
    assert series.seasons(values) == (7,)


@pytest.mark.parametrize("rows", range(1, 7))
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


def test_series_of_one_kind_show_their_season_together():
    """Each is too noisy alone, and so is their mean if they all have the same noise."""
    rng = np.random.default_rng(0)
    season = np.tile(rng.normal(size=12), 8)[:, None]
    values = season + 1.2 * rng.normal(size=(96, 40))
    assert series.seasons(values) == ()
    assert series.seasons(values, pooled=True) == (12,)
    for column in values.T[:10]:
        same = np.repeat(column[:, None], 40, axis=1)
        assert series.seasons(same, pooled=True) == series.seasons(column)


def test_noise_of_many_series_has_no_season():
    rng = np.random.default_rng(0)
    found = [
        series.seasons(rng.normal(size=(90, 30)).cumsum(axis=0), pooled=True) for _ in range(40)
    ]
    assert sum(map(bool, found)) <= 2
    assert series.seasons(np.ones((40, 3)), pooled=True) == ()


def test_huge_values_and_no_columns():
    assert series.seasons(1e200 * np.tile([0.0, 1.0, 5.0], 40)) == (3,)
    assert series.seasons(np.zeros((10, 0))) == ()
