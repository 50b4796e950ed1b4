"""The linear path of a forecaster, the choice of differences, and when the LSTM is left out."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from strategies import seeds

import lstmcore as lc
from lstmcore.apps.forecasting import Settings, Trained, linear, ridge, train
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


def table_of(seed, covariates=0, rows=60, walks=False):
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    values = 5 + 2 * (values.cumsum(axis=0) if walks else values)
    return linear.Rows(values, horizon=4, targets=2, future_covariates=covariates)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=5), st.integers(0, 8))
def test_of_several_tables_no_example_reaches_from_one_into_another(lengths, read):
    several = linear.stacked(
        [
            linear.Rows(np.full((rows, 3), place), horizon=4, targets=2, future_covariates=1)
            for place, rows in enumerate(lengths)
        ]
    )
    origins = several.origins(read)
    place = several.past(origins, read + 1)[:, -1, :1] if read else several.truth(origins)[:, 0, :1]
    assert np.bincount(place[:, 0].astype(int), minlength=len(lengths)).tolist() == [
        max(0, rows - read - 4 + 1) for rows in lengths
    ]
    for values in (several.past(origins, read), several.truth(origins), several.future(origins)):
        np.testing.assert_array_equal(values, np.broadcast_to(place[:, None], values.shape))


some_maps = given(
    seed=seeds,
    covariates=st.sampled_from([0, 1]),
    length=st.integers(1, 5),
    lags=st.sampled_from([(), (1,), (3,), (7, 1)]),
    towards=st.sampled_from(linear.TOWARDS),
)


def by_scikit_learn(inputs, targets, penalty):
    theirs = Ridge(alpha=penalty * len(inputs), solver="svd").fit(inputs, targets)
    return theirs.coef_.T, theirs.intercept_


@given(seed=seeds, width=st.integers(1, 30), noise=st.sampled_from([0.1, 1.0, 10.0]))
def test_the_penalty_is_that_of_generalised_cross_validation(seed, width, noise):
    """Of the residual sum of squares over the squared degrees of freedom that are left."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(60, width))
    targets = inputs[:, :1] + noise * rng.normal(size=(60, 2))
    kernel, bias = ridge.ridge(inputs, targets, groups=2)
    centred = inputs - inputs.mean(axis=0)
    largest = np.linalg.svd(centred, compute_uv=False)[0] ** 2 / 60
    for target in range(2):
        scores, maps = [], []
        for penalty in ridge.PENALTIES * largest:
            theirs = by_scikit_learn(inputs, targets[:, target], penalty)
            damped = centred.T @ centred + penalty * 60 * np.eye(width)
            free = 60 - 1 - np.trace(np.linalg.solve(damped, centred.T @ centred))
            left = targets[:, target] - inputs @ theirs[0] - theirs[1]
            scores.append((left @ left) / free**2)
            maps.append(theirs)
        expected = maps[int(np.argmin(scores))]
        np.testing.assert_allclose(kernel[:, target], expected[0], atol=1e-6)
        np.testing.assert_allclose(bias[target], expected[1], atol=1e-6)


def test_more_columns_than_rows_give_the_same_map(rng, monkeypatch):
    """By the products of examples, where those of inputs would be many more."""
    inputs, targets = rng.normal(size=(12, 40)), rng.normal(size=(12, 3))
    monkeypatch.setattr(ridge, "PENALTIES", np.array([0.1]))
    kernel, bias = ridge.ridge(inputs, targets, groups=1)
    largest = np.linalg.svd(inputs - inputs.mean(axis=0), compute_uv=False)[0] ** 2 / 12
    theirs = by_scikit_learn(inputs, targets, 0.1 * largest)
    np.testing.assert_allclose(kernel, theirs[0], atol=1e-8)
    np.testing.assert_allclose(bias, theirs[1], atol=1e-8)


@some_maps
def test_a_map_of_differences_is_a_map_of_the_rows(seed, covariates, length, lags, towards):
    """Differences, scaling, the map, and both of them undone: in one product."""
    rows = table_of(seed, covariates, walks=True)
    fitted = linear.fit_linear(rows, length, lags, towards)
    read = length + sum(lags)
    assert linear.rows_read(fitted, rows) == read
    steps = Preprocessing(difference=lags).fit(rows.values)
    changes = rows._replace(values=steps.transform(rows.values))
    in_steps = linear.fit_linear(changes, length, (), towards)
    origins = rows.origins(read)
    outputs = linear.outputs_of(in_steps, changes, origins - sum(lags))
    before = rows.past(origins, sum(lags))[:, :, :2] if lags else None
    expected = steps.select(range(2)).inverse_transform(outputs, before)
    np.testing.assert_allclose(linear.outputs_of(fitted, rows, origins), expected, atol=1e-6)


@pytest.mark.parametrize("towards", linear.TOWARDS)
def test_a_strong_penalty_leaves_the_last_value_or_the_mean(towards, monkeypatch):
    """The mean of the targets, or the last value and the mean change."""
    monkeypatch.setattr(ridge, "PENALTIES", np.array([1e9]))
    rows = table_of(0, walks=True)
    fitted = linear.fit_linear(rows, 3, (), towards)
    origins = rows.origins(3)
    last = rows.past(origins, 1)[:, :, :2] if towards == "last" else 0.0
    expected = last + (rows.truth(origins) - last).mean(axis=0)
    forecast = linear.outputs_of(fitted, rows, origins)
    np.testing.assert_allclose(forecast, np.broadcast_to(expected, forecast.shape), atol=1e-5)


@given(seed=seeds, covariates=st.sampled_from([0, 1]))
def test_the_mean_of_maps_forecasts_the_mean(seed, covariates):
    rows = table_of(seed, covariates)
    maps = [
        linear.fit_linear(rows, length, lags) for length, lags in ((2, ()), (4, (3, 1)), (1, (1,)))
    ]
    origins, weights = rows.origins(8), [0.5, 0.3, 0.2]
    each = [linear.outputs_of(one, rows, origins) for one in maps]
    together = linear.outputs_of(linear.mean_map(maps, weights), rows, origins)
    expected = np.average(each, axis=0, weights=weights)
    np.testing.assert_allclose(together, expected, atol=1e-8)


def test_a_map_of_inputs_that_never_change_is_the_mean():
    rows = linear.Rows(np.ones((20, 1)), horizon=2, targets=1)
    fitted = linear.fit_linear(rows, 3)
    np.testing.assert_allclose(linear.outputs_of(fitted, rows, rows.origins(3)), 1, atol=1e-12)


def test_many_columns_leave_fewer_rows_or_none():
    assert linear.most_rows(8, 0) == 62
    assert linear.most_rows(100, 100) == 4
    assert linear.most_rows(2000, 0) == 0
    assert linear.most_rows(10, 5000) == 0


def test_a_map_of_long_differences_of_many_columns_is_too_large():
    rows = linear.Rows(np.zeros((10, 50)), horizon=24, targets=50)
    assert linear.is_small(rows, 10, ())
    assert linear.is_small(rows, 10, (24,))
    assert not linear.is_small(rows, 10, (336,))


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
    assert not trained.uses_lstm
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
        train(values, None, replace(SMALL, linear_rows=8), callback=look)
    model = build(replace(SMALL, linear_rows=8), ["column_0", "column_1"])
    for params in (*seen, caught.value.result.params):
        forecast, _ = model.apply(params, np.ones((1, 8, 2), np.float32))
        assert forecast.shape == (1, 3, 2)
    first, second = (params["linear"] for params in seen)
    np.testing.assert_array_equal(first.kernel, second.kernel)  # it is not trained
    assert np.any(seen[1]["head"].kernel)


# What is chosen.


def seasonal(rng, rows=240, season=12, trend=0.0):
    pattern = 10 * rng.normal(size=season)
    values = pattern[np.arange(rows) % season] + trend * np.arange(rows)
    return values + 0.1 * rng.normal(size=rows).cumsum()


def test_season_lengths_and_differences_are_found(rng):
    trained = train(seasonal(rng), None, SMALL)
    assert trained.settings.season == 12
    tried = {(one.rows, one.difference) for one in trained.candidates}
    lags = [(), (1,), (12,), (12, 1)]
    assert tried == {(rows, one) for rows in (1, 3, 6) for one in lags} | {(18, ())}
    errors = [candidate.error for candidate in trained.candidates]
    assert errors == sorted(errors)
    weights = [candidate.weight for candidate in trained.candidates]
    assert np.isclose(sum(weights), 1)
    used = [one for one in trained.candidates if one.weight]
    assert used[0] == trained.candidates[0]
    assert all(12 in one.difference or one.rows == 18 for one in used)  # others are far worse
    read = max(one.rows_read for one in used)
    assert trained.settings.linear_rows == trained.model.linear_rows == read > 6
    assert trained.model.lstm_rows == 6
    said = trained.choices()[1]
    assert f"the model's own linear map is a mean of {len(used)} of 13 maps that were tried" in said


def test_a_mean_that_is_hardly_better_than_one_map_is_not_taken(rng):
    """Every map of white noise forecasts the mean; the map of the window is the rival, too."""
    values = rng.normal(size=400)
    trained = train(values, None, SMALL)
    (chosen,) = (one for one in trained.candidates if one.weight)
    assert (chosen.rows, chosen.difference, chosen.weight) == (6, (), 1)
    assert "linear map is one of 6 maps that were tried" in trained.choices()[1]


def test_the_map_looks_beyond_the_window(rng):
    """The season is longer than the window of the LSTM, which reads the last rows alone."""
    values = seasonal(rng, season=30, rows=400)
    trained = train(values, None, SMALL)
    assert error(trained, values) < 1
    assert trained.settings.rows_read == trained.model.linear_rows >= 30
    run = trained.run(values)
    assert run.inputs.shape == (1, 6, 1)
    assert run.traces["lstm_0"].h.shape == (1, 6, 3)
    with pytest.raises(
        ValueError, match=f"a forecast reads the {trained.settings.rows_read} before"
    ):
        trained.forecast(values[:20])


def test_an_lstm_alone_reads_the_differences_of_the_best_map(rng):
    alone = replace(SMALL, linear=False)
    trained = train(seasonal(rng), None, alone)
    assert trained.settings.preprocessing.difference == trained.candidates[0].difference
    assert 12 in trained.candidates[0].difference
    assert {one.difference for one in trained.candidates} == {(), (1,), (12,), (12, 1)}
    assert {one.rows for one in trained.candidates} == {6}
    assert "the LSTM reads differences of lag" in trained.choices()[1]
    levels = replace(alone, quantiles=(0.1, 0.5, 0.9))  # those of sums are not sums of quantiles
    trained = train(seasonal(rng), None, levels)
    assert {one.difference for one in trained.candidates} == {(), (12,)}


def test_nothing_is_chosen_that_was_given(rng):
    values = seasonal(rng)
    given = replace(SMALL, preprocessing=Preprocessing(difference=(2,)), season=0)
    trained = train(values, None, given)
    assert trained.settings == replace(given, linear_rows=6)
    assert trained.settings.season is None
    assert len(trained.candidates) == 1
    off = replace(SMALL, search=False, season=6)
    trained = train(values, None, off)
    assert trained.settings == replace(off, linear_rows=6)
    trained = train(values, None, replace(SMALL, linear_rows=4))
    assert trained.settings.linear_rows == trained.model.linear_rows == 4
    assert len(trained.candidates) == 1
    alone = train(values, None, replace(off, linear=False))
    assert alone.candidates == ()
    assert "linear" not in alone.params


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
    assert trained.settings.preprocessing.difference == ()
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
