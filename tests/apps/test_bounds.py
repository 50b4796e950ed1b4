"""A column that is never negative is not forecast below 0, unless it was below 0 before."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests import forge

from lstmcore import forecasting
from lstmcore.apps.forecasting import bounds
from lstmcore.apps.forecasting.verdict import bounded
from lstmcore.series import Preprocessing

ROWS = 150
SETTINGS = forecasting.Settings(
    window=4,
    horizon=3,
    units=2,
    epochs=1,
    search=False,
    season=0,
    dropout=0.3,
    test=30,
    preprocessing=Preprocessing(difference=(1,)),
)


def falling(seed=0):
    """A column that falls to 0 and stays there, and one that is around 0."""
    rng = np.random.default_rng(seed)
    slope = np.maximum(0, np.linspace(30, -10, ROWS) + rng.normal(size=ROWS))
    return np.stack([slope, rng.normal(size=ROWS)], axis=1)


@cache
def trained(nonnegative=True):
    settings = replace(SETTINGS, nonnegative=nonnegative)
    return forecasting.train(falling(), ["sales", "balance"], settings)


def test_only_columns_that_are_never_negative_have_a_bound():
    assert trained().nonnegative == ("sales",)
    assert trained(False).nonnegative == ()


def test_the_reader_hears_of_a_bound_that_had_an_effect():
    origins = np.array([ROWS])
    at_end, early = (trained().forecast(falling(), one) for one in (origins, origins - 140))
    (said,) = bounded(at_end, trained().nonnegative)
    assert said.startswith("sales has never been negative, so the forecast does not go below 0")
    assert bounded(early, trained().nonnegative) == []  # far above it
    assert bounded(at_end, ()) == bounded(None, ("sales",)) == []


def test_no_forecast_sample_or_end_of_an_interval_is_below_the_bound():
    origins = np.arange(10, ROWS)
    bounded, free = (
        one.forecast(falling(), origins, samples=20) for one in (trained(), trained(False))
    )
    assert free.point[..., 0].min() < 0
    np.testing.assert_array_equal(bounded.point[..., 0], np.maximum(free.point[..., 0], 0))
    np.testing.assert_array_equal(bounded.samples[:, :, 0], np.maximum(free.samples[:, :, 0], 0))
    np.testing.assert_array_equal(bounded.point[..., 1], free.point[..., 1])
    assert bounded.interval()[0][..., 0].min() == 0


def test_a_value_below_the_bound_lifts_it_from_there_on():
    values = falling()
    values[140, 0] = -5
    origins = np.array([140, 141])
    before, after = trained().forecast(values, origins).point[..., 0]
    free = trained(False).forecast(values, origins).point[..., 0]
    np.testing.assert_array_equal(before, np.maximum(free[0], 0))
    np.testing.assert_array_equal(after, free[1])
    assert after.min() < 0


def test_the_errors_are_those_of_bounded_forecasts_of_model_and_rivals():
    bounded, free = (one.evaluate(falling()) for one in (trained(), trained(False)))
    assert bounded.scores["model"].mae[0] < free.scores["model"].mae[0]
    for name, forecast in bounded.baselines.items():
        np.testing.assert_array_equal(
            forecast[..., 0], np.maximum(free.baselines[name][..., 0], 0), err_msg=name
        )
        np.testing.assert_array_equal(forecast[..., 1], free.baselines[name][..., 1])


def test_the_bound_is_saved(tmp_path):
    trained().save(tmp_path / "model")
    loaded = forecasting.Trained.load(tmp_path / "model")
    assert loaded.nonnegative == ("sales",)
    forecast = loaded.forecast(falling(), np.arange(100, ROWS))
    np.testing.assert_array_equal(
        forecast.point, trained().forecast(falling(), np.arange(100, ROWS)).point
    )


def test_maps_that_an_earlier_version_tried_are_left_out(tmp_path):
    """Its files say less of each: (lags, penalty, towards, error)."""
    trained().save(tmp_path / "model")
    path = tmp_path / "model" / "forecast.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    stored["candidates"] = [[[1], 0.1, "last", 0.9], [[], 0.1, "mean", 1.2]]
    path.write_text(json.dumps(stored), encoding="utf-8")
    forge(tmp_path / "model")
    loaded = forecasting.Trained.load(tmp_path / "model")
    assert loaded.candidates == ()
    np.testing.assert_array_equal(
        loaded.forecast(falling()).point, trained().forecast(falling()).point
    )


@given(st.lists(st.integers(-2, 9), min_size=2, max_size=12), st.data())
def test_the_bound_depends_on_the_rows_before_alone(column, data):
    values = np.array(column, float)[:, None]
    origin = data.draw(st.integers(1, len(column)))
    (lowest,) = bounds.lowest(values, [origin], [True])[0]
    assert lowest == (0 if min(column[:origin]) >= 0 else -np.inf)
    assert bounds.lowest(values, [origin], [False])[0, 0] == -np.inf


@pytest.mark.parametrize(("start", "message"), [(4, "at row 5 or later"), (148, "by row 147")])
def test_a_test_part_of_another_table_needs_rows_before_and_after(start, message):
    with pytest.raises(ValueError, match=rf"start is {start}, but .* must begin .*{message}"):
        trained().evaluate(falling(), start=start)


def test_a_test_part_begins_where_it_is_asked_for():
    """With the rows before it as the training part of the rivals."""
    own = trained()
    whole = own.evaluate(falling(), start=own.split.training.stop)
    found = own.evaluate(falling(), start=ROWS - 30)
    np.testing.assert_array_equal(found.forecast.origins, np.arange(ROWS - 30, ROWS - 2))
    np.testing.assert_array_equal(found.forecast.point, own.evaluate(falling()).forecast.point)
    np.testing.assert_allclose(
        whole.baselines["linear map"][-28:], own.evaluate(falling()).baselines["linear map"]
    )
