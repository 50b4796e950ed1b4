"""The linear path of a forecaster, the choice of differences, and when the LSTM is left out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from strategies import seeds

import lstmcore as lc
from lstmcore.apps.forecasting import Settings, Trained, linear, train
from lstmcore.apps.forecasting.settings import build
from lstmcore.series import Preprocessing

SMALL = Settings(window=6, horizon=3, units=3, epochs=3, batch_size=64)


def autoregression(rng, rows=300, noise=1.0):
    """Two columns; the second drives the first with a delay of one row."""
    driver, values = rng.normal(size=rows), np.zeros(rows)
    for row in range(1, rows):
        values[row] = 0.8 * values[row - 1] + driver[row - 1] + noise * rng.normal()
    return np.stack([values, driver], axis=1)


def error(trained, values):
    """The mean absolute error in the test part."""
    return trained.evaluate(values).scores["model"].mae[0]


# The map.


@given(
    seed=seeds,
    covariates=st.sampled_from([0, 1]),
    rows=st.integers(1, 5),
    penalty=st.sampled_from([1e-3, 0.5]),
)
def test_the_map_is_that_of_scikit_learn(seed, covariates, rows, penalty):
    rng = np.random.default_rng(seed)
    model = lc.Forecaster(3, 2, 4, targets=2, future_covariates=covariates, linear_rows=rows)
    batch = linear.examples(model, rng.normal(size=(40, 3)), window=5, stride=1)
    (fitted,) = linear.fit_linear(model, batch, [penalty], "mean")
    inputs, targets = linear.inputs_of(model, batch), batch["target"].reshape(-1, 8)
    assert inputs.shape[1] == model.layers["linear"].features
    unit = inputs.var(axis=0).mean()
    theirs = Ridge(alpha=penalty * unit * len(inputs)).fit(inputs, targets)
    np.testing.assert_allclose(fitted.kernel, theirs.coef_.T, atol=1e-8)
    np.testing.assert_allclose(fitted.bias, theirs.intercept_, atol=1e-8)
    expected = theirs.predict(inputs).reshape(-1, 4, 2)
    np.testing.assert_allclose(linear.outputs_of(fitted, model, batch), expected, atol=1e-8)


@given(seed=seeds, covariates=st.sampled_from([0, 1]), rows=st.integers(1, 5))
def test_a_strong_penalty_leaves_the_last_value_and_a_drift(seed, covariates, rows):
    rng = np.random.default_rng(seed)
    model = lc.Forecaster(3, 2, 4, targets=2, future_covariates=covariates, linear_rows=rows)
    batch = linear.examples(model, rng.normal(size=(40, 3)).cumsum(axis=0), window=5, stride=1)
    (fitted,) = linear.fit_linear(model, batch, [1e9], "last")
    last = batch["x"][:, -1:, :2]
    drift = (batch["target"] - last).mean(axis=0)
    np.testing.assert_allclose(linear.outputs_of(fitted, model, batch), last + drift, atol=1e-5)


def test_without_a_penalty_both_kinds_are_the_same_map():
    rng = np.random.default_rng(0)
    model = lc.Forecaster(2, 2, 3, targets=1, linear_rows=3)
    batch = linear.examples(model, rng.normal(size=(60, 2)), window=3, stride=1)
    maps = [linear.fit_linear(model, batch, [1e-12], kind)[0] for kind in linear.TOWARDS]
    for one, other in zip(*maps, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-8)


def test_a_map_of_inputs_that_never_change_is_the_mean():
    model = lc.Forecaster(1, 2, 2, linear_rows=3)
    batch = linear.examples(model, np.ones((20, 1)), window=3, stride=1)
    (fitted,) = linear.fit_linear(model, batch)
    np.testing.assert_array_equal(linear.outputs_of(fitted, model, batch), batch["target"])


def test_many_columns_leave_fewer_rows_or_none():
    assert linear.linear_rows(24, 8, 0) == 24
    assert linear.linear_rows(24, 100, 100) == 4
    assert linear.linear_rows(24, 2000, 0) == 0
    assert linear.linear_rows(24, 10, 5000) == 0


# The forecaster.


def test_what_is_linear_is_forecast_at_once(rng):
    values = autoregression(rng, noise=0.0)
    settings = replace(SMALL, targets=("0",), epochs=1, horizon=1, search=False)
    errors = {
        on: error(train(values, ["0", "1"], replace(settings, linear=on)), values)
        for on in (True, False)
    }
    assert errors[True] < 0.05 < 0.5 < errors[False]


@pytest.mark.parametrize("quantiles", [(), (0.1, 0.5, 0.9)])
def test_an_lstm_that_does_not_help_is_left_out(rng, quantiles):
    values = autoregression(rng)[:, :1]
    settings = replace(SMALL, quantiles=quantiles, learning_rate=1.0)  # which ruins the LSTM
    trained = train(values, None, settings)
    assert not np.any(trained.params["head"].kernel)
    assert any("the LSTM did not lower the validation error" in one for one in trained.choices())
    forecast = trained.forecast(values, np.arange(100, 290))
    if quantiles:
        actual = values[forecast.origins[:, None] + np.arange(3)]
        below = [(actual <= forecast.quantiles[..., place]).mean() for place in (0, 2)]
        np.testing.assert_allclose(below, [0.1, 0.9], atol=0.06)


def test_an_lstm_that_helps_is_kept(rng):
    """The logistic map in its chaos: no linear map tells the next value from the last."""
    values = np.empty(600)
    values[0] = 0.3
    for row in range(1, len(values)):
        values[row] = 3.9 * values[row - 1] * (1 - values[row - 1])
    settings = Settings(window=4, horizon=1, units=16, epochs=80, learning_rate=0.01)
    trained = train(values, None, settings)
    assert np.any(trained.params["head"].kernel)
    assert not any("LSTM" in one for one in trained.choices())
    alone = replace(trained, params=trained.params | {"head": zeros(trained.params["head"])})
    assert error(trained, values) < 0.5 * error(alone, values)


def zeros(params):
    return lc.DenseParams(*map(np.zeros_like, params))


def test_callbacks_and_errors_have_params_of_the_whole_model(rng):
    values, seen = autoregression(rng), []

    def look(epoch, params, losses):
        seen.append(params)
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught:
        train(values, None, SMALL, callback=look)
    model = build(SMALL, ["column_0", "column_1"])
    for params in (*seen, caught.value.result.params):
        forecast, _ = model.apply(params, np.ones((1, 6, 2), np.float32))
        assert forecast.shape == (1, 3, 2)
    first, second = (params["linear"] for params in seen)
    np.testing.assert_array_equal(first.kernel, second.kernel)  # it is not trained
    assert np.any(seen[1]["head"].kernel)


# What is chosen.


def seasonal(rng, rows=240, season=12, trend=0.0):
    pattern = 10 * rng.normal(size=season)
    values = pattern[np.arange(rows) % season] + trend * np.arange(rows)
    return values + 0.1 * rng.normal(size=rows).cumsum()


def test_season_and_differences_are_found(rng):
    trained = train(seasonal(rng), None, SMALL)
    assert trained.settings.season == 12
    assert 12 in trained.settings.preprocessing.difference
    tried = {candidate.difference for candidate in trained.candidates}
    assert tried == {(), (1,), (12,), (12, 1)}
    errors = [candidate.error for candidate in trained.candidates]
    assert errors[1:] == sorted(errors[1:])
    assert errors[0] <= 1.01 * min(errors)
    assert trained.preprocessor.preprocessing == trained.settings.preprocessing
    said = trained.choices()[0]
    assert all(words in said for words in ("none (", "lag 1 (", "lags 12 and 1 (", ", chosen)"))


def test_nothing_is_chosen_that_was_given(rng):
    values = seasonal(rng)
    given = replace(SMALL, preprocessing=Preprocessing(difference=(2,)), season=0)
    trained = train(values, None, given)
    assert trained.settings == given
    assert trained.settings.season is None
    assert len(trained.candidates) == 1
    off = replace(SMALL, search=False, season=6)
    trained = train(values, None, off)
    assert trained.settings == off
    alone = train(values, None, replace(off, linear=False))
    assert alone.candidates == ()
    assert "linear" not in alone.params


def test_quantiles_take_no_lags_below_the_horizon(rng):
    trained = train(seasonal(rng), None, replace(SMALL, quantiles=(0.1, 0.5, 0.9)))
    assert {candidate.difference for candidate in trained.candidates} == {(), (12,)}


def test_the_choice_does_not_see_the_test_part(rng):
    values = seasonal(rng)
    ours = train(values, None, SMALL)
    start = ours.split.test.start
    values[start:] = rng.permutation(values[start:]) * 3
    other = train(values, None, SMALL)
    assert ours.settings == other.settings
    assert ours.candidates == other.candidates


@pytest.mark.parametrize("rows", [15, 20, 30])
def test_too_few_rows_to_choose(rng, rows):
    settings = replace(SMALL, epochs=1, validation=0.0, test=0.0)
    trained = train(rng.normal(size=rows), None, settings)
    assert trained.settings.preprocessing.difference in {(), (1,)}
    assert np.isfinite(trained.forecast(rng.normal(size=rows)).point).all()


def test_missing_values_in_the_search(rng):
    values = seasonal(rng)
    values[5::7] = np.nan
    settings = replace(SMALL, preprocessing=Preprocessing(missing="forward"))
    trained = train(values, None, settings)
    assert trained.candidates
    assert all(np.isfinite(candidate.error) for candidate in trained.candidates)


def test_a_target_that_never_changes(rng):
    values = np.stack([np.full(120, 3.0), rng.normal(size=120)], axis=1)
    trained = train(values, None, SMALL)
    np.testing.assert_allclose(trained.forecast(values).point[0, :, 0], 3, atol=1e-5)


def test_files_keep_the_choice(rng, tmp_path):
    values = seasonal(rng)
    trained = train(values, None, SMALL)
    trained.save(tmp_path / "model")
    loaded = Trained.load(tmp_path / "model")
    assert loaded.settings == trained.settings
    assert loaded.candidates == trained.candidates
    assert loaded.choices() == trained.choices()
    np.testing.assert_array_equal(loaded.forecast(values).point, trained.forecast(values).point)
