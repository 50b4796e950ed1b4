"""The simple forecasts beside every model: what they read and find, and when they are left out."""

import sys
import time
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.tools.sm_exceptions import ConvergenceWarning
from statsmodels.tsa.holtwinters import ExponentialSmoothing
from strategies import seeds

from lstmcore import forecasting
from lstmcore.apps.forecasting.rivals import RivalInputs

ROWS, TRAINING, WINDOW = 120, 80, 8


def seasonal(seed=0, rows=ROWS, columns=1, season=6):
    rng = np.random.default_rng(seed)
    wave = 3 * np.sin(np.arange(rows) * 2 * np.pi / season)[:, None]
    return 10 + wave + 0.1 * rng.normal(size=(rows, columns)).cumsum(axis=0)


def linear(values, origins, horizon=3, **options):
    return forecasting.linear_map(
        values, origins, horizon, training=TRAINING, window=WINDOW, **options
    )


def smoothing(values, origins, horizon=3, season=6):
    return forecasting.holt_winters(values, origins, horizon, training=TRAINING, season=season)


METHODS = pytest.mark.parametrize("method", [linear, smoothing])


# Laws of both.


@METHODS
@given(seed=seeds)
def test_a_rival_does_not_see_what_comes_after_its_origin(method, seed):
    values = seasonal(seed, columns=2)
    origin = int(np.random.default_rng(seed).integers(TRAINING, ROWS))
    other = values.copy()
    other[origin:] = np.nan
    found = method(values, [origin])
    np.testing.assert_array_equal(found, method(other, [origin]))
    other[origin - 1] += 1
    assert (found != method(other, [origin])).any()


@METHODS
@given(seed=seeds)
def test_a_rival_is_fitted_to_the_training_part_alone(method, seed):
    """What comes after it changes no parameter. A linear map reads nothing before its window."""
    values = seasonal(seed)
    other = values.copy()
    other[TRAINING : ROWS - WINDOW] += 5
    if method is linear:
        np.testing.assert_array_equal(method(values, [ROWS]), method(other, [ROWS]))
    np.testing.assert_array_equal(method(values, [TRAINING]), method(other, [TRAINING]))


@METHODS
@given(seed=seeds, horizon=st.integers(1, 9))
def test_many_origins_are_single_ones(method, seed, horizon):
    values, origins = seasonal(seed, columns=2), np.arange(TRAINING, ROWS + 1, 7)
    together = method(values, origins, horizon)
    assert together.shape == (len(origins), horizon, 2)
    alone = [method(values, [origin], horizon)[0] for origin in origins]
    np.testing.assert_allclose(together, alone, rtol=1e-9)


@METHODS
@given(seed=seeds, scale=st.floats(1e-3, 1e3), offset=st.floats(-100, 100))
def test_units_do_not_matter(method, seed, scale, offset):
    values = seasonal(seed)
    found = offset + scale * method(values, [100])
    np.testing.assert_allclose(method(offset + scale * values, [100]), found, rtol=1e-3)


# The linear map.


@given(seed=seeds, waves=st.integers(1, 3), horizon=st.integers(1, 6))
def test_what_is_linear_in_its_past_is_found(seed, waves, horizon):
    """A sum of k sines follows a linear recurrence of order 2 k."""
    rng = np.random.default_rng(seed)
    speeds, phases = rng.uniform(0.5, 2.5, waves), rng.uniform(0, 6, waves)
    values = np.sin(np.arange(ROWS)[:, None] * speeds + phases).sum(axis=1, keepdims=True)
    found = linear(values, [100], horizon)
    np.testing.assert_allclose(found[0], values[100 : 100 + horizon], atol=0.02)


def test_with_much_data_it_is_the_least_squares_fit():
    rng = np.random.default_rng(0)
    values = np.zeros((6000, 2))
    for t in range(2, len(values)):
        values[t, 0] = 1.2 * values[t - 1, 0] - 0.6 * values[t - 2, 0] + 0.5 * values[t - 1, 1]
        values[t] += rng.normal(size=2)
    origins = np.arange(5000, 5990)
    found = forecasting.linear_map(values, origins, 2, training=5000, window=4, targets=1)
    starts = np.arange(4, 4999)
    x = values[starts[:, None] + np.arange(-4, 0)].reshape(len(starts), -1)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    y = values[starts[:, None] + np.arange(2), 0]
    weights = np.linalg.lstsq(x, y, rcond=None)[0]
    new = values[origins[:, None] + np.arange(-4, 0)].reshape(len(origins), -1)
    expected = np.concatenate([new, np.ones((len(new), 1))], axis=1) @ weights
    np.testing.assert_allclose(found[:, :, 0], expected, atol=0.03)


def test_future_covariates_and_other_columns_are_read():
    rng = np.random.default_rng(1)
    past, plan = rng.normal(size=(2, ROWS))
    load = 2 * np.roll(past, 1) + 3 * plan  # of the row before, and of its own row
    values = np.stack([load, past, plan], axis=1)
    origins = np.arange(TRAINING, ROWS - 2)
    found = linear(values, origins, 2, targets=1, future_covariates=1)
    np.testing.assert_allclose(found[:, 0, 0], load[origins], atol=0.15)  # past and plan
    blind = linear(values[:, :2], origins, 2, targets=1)
    errors = [np.abs(one[:, 1, 0] - load[origins + 1]).mean() for one in (found, blind)]
    assert errors[0] < 0.8 * errors[1]  # plan alone, two rows ahead


def test_more_columns_than_windows_do_not_overfit():
    """Without a penalty, the map would fit 70 windows of 240 numbers exactly."""
    rng = np.random.default_rng(2)
    values = rng.normal(size=(ROWS, 30))
    origins = np.arange(TRAINING, ROWS - 1)
    error = np.abs(linear(values, origins, 1)[:, 0] - values[origins]).mean()
    assert error < np.abs(values[origins - 1] - values[origins]).mean()


def test_of_many_windows_some_are_drawn_over_all_phases(monkeypatch):
    """Every 12th window, say, would see two hours of a day."""
    values = seasonal(rows=3000, season=24)
    origins = np.arange(2000, 2900)
    whole = forecasting.linear_map(values, origins, 4, training=2000, window=30)
    monkeypatch.setattr("lstmcore.apps.forecasting.linear.MOST_NUMBERS", 150 * 30)
    some = forecasting.linear_map(values, origins, 4, training=2000, window=30)
    truth = values[origins[:, None] + np.arange(4)]
    assert forecasting.mae(truth, some)[0] < 1.5 * forecasting.mae(truth, whole)[0]
    again = forecasting.linear_map(values, origins, 4, training=2000, window=30)
    np.testing.assert_array_equal(some, again)


def test_a_constant_column_stays_where_it_is():
    np.testing.assert_array_equal(linear(np.full((ROWS, 1), 7.0), [100]), np.full((1, 3, 1), 7.0))


# Holt-Winters.


@pytest.mark.parametrize("season", [None, 6])
@pytest.mark.parametrize("origin", [TRAINING, 97])
def test_it_is_the_forecast_of_statsmodels(season, origin):
    """Fitted to the training part, and with these parameters at any later row."""
    values = seasonal()
    column = values[:, 0]
    seasons = {"seasonal": "add", "seasonal_periods": season} if season else {}
    fitted = ExponentialSmoothing(
        (column[:TRAINING] - column[:TRAINING].mean()) / column[:TRAINING].std(),
        trend="add", damped_trend=True, initialization_method="heuristic", **seasons,
    ).fit()  # fmt: skip
    scaled = (column[:origin] - column[:TRAINING].mean()) / column[:TRAINING].std()
    known = {"initial_seasonal": fitted.params["initial_seasons"]} if season else {}
    parts = ("level", "trend", "seasonal") if season else ("level", "trend")
    later = ExponentialSmoothing(
        scaled, trend="add", damped_trend=True, initialization_method="known",
        initial_level=fitted.params["initial_level"], initial_trend=fitted.params["initial_trend"],
        **known, **seasons,
    ).fit(
        optimized=False, damping_trend=fitted.params["damping_trend"],
        **{f"smoothing_{part}": fitted.params[f"smoothing_{part}"] for part in parts},
    )  # fmt: skip
    # Of a whole season ahead statsmodels takes the season before the last, so one row less.
    expected = column[:TRAINING].mean() + column[:TRAINING].std() * later.forecast(5)
    found = smoothing(values, [origin], 5, season)
    np.testing.assert_allclose(found[0, :, 0], expected, rtol=1e-9)


def test_a_season_and_a_trend_are_continued():
    rows = np.arange(ROWS)
    values = (0.2 * rows + 3 * np.sin(rows * np.pi / 3))[:, None]
    found = smoothing(values, np.arange(TRAINING, ROWS - 8), 8)
    truth = values[np.arange(TRAINING, ROWS - 8)[:, None] + np.arange(8)]
    assert np.abs(found - truth).max() < 0.6  # the trend is damped


def test_only_the_end_of_a_long_training_part_is_fitted():
    values = seasonal(rows=2600)
    other = values.copy()
    other[:500] = 1e6
    found = [
        forecasting.holt_winters(one, [2550], 3, training=2500, season=6) for one in (values, other)
    ]
    np.testing.assert_array_equal(*found)


@pytest.mark.thorough
def test_forty_thousand_rows_take_seconds():
    values = seasonal(rows=40_000, season=24)
    inputs = RivalInputs(values, 28_000, 168, ("load",), 0, 24)
    start = time.process_time()
    found, notes = forecasting.rival_forecasts(inputs, np.arange(34_000, 39_976), 24)
    assert time.process_time() - start < 20  # 1 s when it was written
    assert (len(found), notes) == (4, ())


# All together, and what is left out.


def inputs(values, season=6, training=TRAINING, targets=None):
    names = tuple("abcdefgh"[: values.shape[1]]) if targets is None else targets
    return RivalInputs(values, training, WINDOW, names, 0, season)


def test_all_rivals():
    values, origins = seasonal(columns=2), [90, 100]
    found, notes = forecasting.rival_forecasts(inputs(values), origins, 3)
    assert list(found) == ["naive", "seasonal naive", "linear map", "Holt-Winters"]
    np.testing.assert_array_equal(found["naive"], forecasting.naive(values, origins, 3))
    expected = forecasting.seasonal_naive(values, origins, 3, 6)
    np.testing.assert_array_equal(found["seasonal naive"], expected)
    np.testing.assert_array_equal(found["linear map"], linear(values, origins))
    np.testing.assert_array_equal(found["Holt-Winters"], smoothing(values, origins))
    assert notes == ()
    without, _ = forecasting.rival_forecasts(inputs(values, season=None), origins, 3)
    assert list(without) == ["naive", "linear map", "Holt-Winters"]


def left_out(values, **options):
    found, notes = forecasting.rival_forecasts(inputs(values, **options), [100], 3)
    return list(found), " / ".join(notes), found


def test_without_statsmodels(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.holtwinters", None)
    names, notes, _ = left_out(seasonal())
    assert names == ["naive", "seasonal naive", "linear map"]
    assert notes == "Holt-Winters is left out: it needs the package statsmodels"
    with pytest.raises(ImportError, match="Holt-Winters needs statsmodels: pip install statsmod"):
        smoothing(seasonal(), [100])


def test_too_few_rows():
    names, notes, _ = left_out(seasonal(), training=19, season=10)
    assert names == ["naive", "seasonal naive"]
    assert "the linear map is left out: the training part has 9 windows, and it needs 10" in notes
    assert "Holt-Winters is left out: the training part has 19 rows, and it needs 21" in notes


def test_a_target_that_never_changes_has_no_smoothing():
    values = seasonal(columns=3)
    values[:, 1] = 5
    names, notes, found = left_out(values)
    assert "Holt-Winters" in names
    assert notes == "Holt-Winters is left out for b: nothing changes in the training part"
    assert np.isnan(found["Holt-Winters"]).any(axis=(0, 1)).tolist() == [False, True, False]


def test_too_many_targets_take_too_long(monkeypatch):
    monkeypatch.setattr("lstmcore.apps.forecasting.rivals.MOST_SMOOTHED", 250)
    names, notes, _ = left_out(seasonal(columns=3))
    assert "Holt-Winters" not in names
    assert notes == "Holt-Winters is left out: 3 targets of 100 rows take too long"


def warns(result):
    warnings.warn("it did not", ConvergenceWarning, stacklevel=1)
    return result


def raises(_):
    raise ValueError("no")


@pytest.mark.parametrize(
    ("happens", "note"),
    [(warns, "the search for its parameters did not converge"), (raises, "could not fit it")],
)
def test_failures_leave_it_out_without_a_warning(happens, note, monkeypatch):
    fit = ExponentialSmoothing.fit
    monkeypatch.setattr(ExponentialSmoothing, "fit", lambda *a, **k: happens(fit(*a, **k)))
    names, notes, _ = left_out(seasonal())
    assert "Holt-Winters" not in names
    assert note in notes


V = seasonal()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: linear(V, [WINDOW - 1]), ValueError, "row 7, but a forecast can start from row 8"),
        (lambda: linear(V, [ROWS + 1]), ValueError, "to row 120, the one after the last"),
        (lambda: linear(V, [ROWS], future_covariates=1, targets=1), ValueError, "to row 117"),
        (
            lambda: forecasting.linear_map(V, [90], 3, training=19, window=8),
            ValueError,
            "training is 19 rows, which hold 9 windows of 8 rows with 3 after it: a linear map "
            "needs 10; use",
        ),
        (lambda: linear(V + np.nan, [90]), ValueError, "values holds NaN or infinity in the train"),
        (lambda: linear(V[:, 0], [90]), ValueError, r"values must have 2 axes \[rows, columns\]"),
        (lambda: linear(V.astype(str), [90]), TypeError, "values must be real numbers, got <U"),
        (lambda: linear(V, [90], 0), ValueError, "horizon must be at least 1, got 0"),
        (lambda: smoothing(V, [70]), ValueError, "row 70, but a forecast can start from row 80"),
        (lambda: smoothing(V, [90], season=0), ValueError, "season must be at least 1, got 0"),
        (lambda: smoothing(V[:, 0], [90]), ValueError, r"values must have 2 axes \[rows, targets"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
