"""Two tests of stationarity, on series with a known answer."""

import sys

import numpy as np
import pytest
from chance import FixedNormal

from lstmcore import series

pytest.importorskip("statsmodels")


def test_noise_is_stationary_and_a_random_walk_is_not():
    noise = FixedNormal(0).normal(300)[:, None]
    walk = noise.cumsum(axis=0)
    results = series.stationarity(np.hstack([noise, walk, np.diff(walk, axis=0, prepend=0)]))
    assert [result.verdict for result in results] == [
        "stationary",
        "not stationary: take differences",
        "stationary",
    ]
    assert results[0].adf < 0.01 < results[0].kpss
    assert results[1].kpss < 0.05 < results[1].adf
    assert str(series.stationarity(noise[:, 0])) == str(results[0])


def test_the_numbers_are_those_of_statsmodels(rng):
    """The warnings of their tables' ends, and of changes to come, are kept away."""
    from statsmodels.tsa import stattools

    column = rng.normal(size=120).cumsum() * 1e6
    result = series.stationarity(column)
    with pytest.warns(), np.errstate(all="ignore"):
        expected = stattools.adfuller(column)[1], stattools.kpss(column)[1]
    np.testing.assert_allclose([result.adf, result.kpss], expected, rtol=1e-6)
    assert result.rows == 120


@pytest.mark.parametrize(
    "column",
    [np.arange(50.0), np.arange(50) % 2, np.eye(1, 50)[0], 1e149 * np.sin(np.arange(50))],
    ids=["line", "alternating", "one peak", "huge"],
)
def test_series_without_noise_have_a_verdict(column):
    result = series.stationarity(column)
    assert 0 <= result.adf <= 1
    assert 0 <= result.kpss <= 1


def test_a_constant_series():
    result = series.stationarity(np.full(30, 0.1))
    assert result.verdict == "constant"
    assert str(result) == "constant (ADF p = nan, KPSS p = nan)"


def test_of_a_long_series_the_last_rows_are_tested():
    column = np.concatenate([np.arange(3000.0), FixedNormal(0).normal(2000)])
    result = series.stationarity(column)
    assert (result.rows, result.verdict) == (2000, "stationary")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.ones(19), "values has 19 rows: tests of stationarity need at least 20"),
        ([*range(20), np.nan], "values has missing values: fill them first"),
        ([*range(20), np.inf], "table holds inf in row 20"),
    ],
)
def test_what_cannot_be_tested(values, message):
    with pytest.raises(ValueError, match=message):
        series.stationarity(values)


def test_without_statsmodels(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.stattools", None)
    with pytest.raises(ImportError, match="pip install statsmodels"):
        series.stationarity(np.arange(30.0))
