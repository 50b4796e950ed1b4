"""Intervals of forecasts: from errors in rows that were not fitted to. And an LSTM never judged."""

import json
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import forge

from lstmcore import forecasting
from lstmcore.apps.forecasting import linear
from lstmcore.apps.forecasting.errors import Errors, cross_fitted
from lstmcore.apps.forecasting.report import ReportData, write
from lstmcore.apps.forecasting.selection import Candidate, mean_map, select
from lstmcore.apps.forecasting.settings import build
from lstmcore.apps.forecasting.training import check_rows
from lstmcore.apps.forecasting.verdict import verdict
from lstmcore.series import Preprocessing, Table, undifference

ROWS, HORIZON, SEEDS = 160, 6, 12  # 24 rows to validate with: 19 forecasts, too few for an LSTM
SHORT = forecasting.Settings(horizon=HORIZON, units=2, season=0)


def simulated(kind, rows, seed):
    rng = np.random.default_rng([seed, rows, sum(map(ord, kind))])
    shocks = rng.normal(size=rows + 100)
    if kind == "heavy":
        shocks = rng.standard_t(3, rows + 100)
    if kind == "season":
        time = np.arange(rows)
        return 3 * np.sin(2 * np.pi * time / 12) + 0.01 * time + shocks[100:]
    if kind == "walk":
        return shocks.cumsum()[100:]
    for row in range(1, len(shocks)):
        shocks[row] += 0.8 * shocks[row - 1]
    return shocks[100:]


KINDS = ("ar1", "season", "walk", "heavy")


@cache
def short(seed=0, **changes):
    return forecasting.train(
        simulated("ar1", ROWS, seed), ["load"], replace(SHORT, **dict(changes))
    )


# Coverage.


@pytest.mark.parametrize("kind", KINDS)
def test_an_interval_of_80_percent_covers_about_as_much(kind):
    """Residuals of the training part cover less."""
    covered, fitted = [], []
    for seed in range(SEEDS):
        values = simulated(kind, ROWS, seed)
        model = forecasting.train(values, ["load"], SHORT)
        tested = model.evaluate(values)
        covered.append(tested.covered[0])
        origins = np.arange(model.rows_read, model.split.training.stop - HORIZON)
        rows = values[origins[:, None] + np.arange(HORIZON)]
        left = rows - model.forecast(values, origins).point[..., 0]
        low, high = np.quantile(left, [0.1, 0.9], axis=0)
        missed = tested.actual[..., 0] - tested.forecast.point[..., 0]
        fitted.append(np.mean((low <= missed) & (missed <= high)))
    assert 0.73 <= np.mean(covered) <= 0.87  # 2 standard errors, as of 12 series of 24 rows
    assert np.mean(covered) > np.mean(fitted)


SIZES = ((120, 4), (160, 1), (160, 6), (160, 12), (400, 12))  # rows, horizon


def measured(kind, rows, horizon, seed):
    """Yield (coverage, score) of the cross-fitted interval, and of that from residuals."""
    values = simulated(kind, rows + horizon - 1, seed)[:, None]
    given_settings = forecasting.Settings(horizon=horizon)
    split, model = check_rows(rows, given_settings), build(given_settings, ("load",))
    found = select([values[:rows]], given_settings, [split], model)
    fitted = given_settings.preprocessing.fit(values, rows=split.training.stop)
    every = linear.rows_of(model, fitted.transform(values))
    training = every.first(split.training.stop)
    path = mean_map(found.candidates, training)

    def left(of, origins):
        return of.truth(origins) - linear.outputs_of(path, of, origins)

    missed = left(every, np.arange(split.validation.stop, len(values) - horizon + 1))
    crossed = cross_fitted(found.candidates, every.first(split.validation.stop))
    residuals = left(training, training.origins(found.settings.rows_read))
    fitted_ends = np.quantile(residuals, (0.1, 0.9), axis=0)
    for low, high in (np.moveaxis(crossed.quantiles((0.1, 0.9)), -1, 0), fitted_ends):
        below, above = np.maximum(low - missed, 0), np.maximum(missed - high, 0)
        yield (
            np.mean((low <= missed) & (missed <= high)),
            np.mean(high - low + 10 * (below + above)),
        )


@pytest.mark.thorough
def test_coverage_and_interval_score_of_twenty_kinds_of_series():
    """24 series of each; printed with -s. The score: Gneiting & Raftery (2007), equation 43."""
    table = []
    for kind, (rows, horizon) in product(KINDS, SIZES):
        found = np.array([list(measured(kind, rows, horizon, seed)) for seed in range(24)])
        (ours, _), (theirs, _) = found.mean(axis=0)
        table.append((ours, theirs, np.mean(found[:, 0, 1] / found[:, 1, 1])))
        print(kind, rows, horizon, np.round(table[-1], 3))
    ours, theirs, ratio = np.transpose(table)
    assert ours.min() > 0.75
    assert ours.max() < 0.84
    assert (ours > theirs).all()
    assert ratio.mean() < 1


def test_quantiles_and_samples_cover_as_much():
    values = simulated("ar1", ROWS, 0)
    plain, quantiles = short(), short(quantiles=(0.1, 0.5, 0.9))
    ends = plain.forecast(values).interval()
    np.testing.assert_allclose(quantiles.forecast(values).interval(), ends, rtol=1e-3, atol=1e-4)
    drawn = short(dropout=0.3).forecast(values, samples=4000).interval()
    np.testing.assert_allclose(drawn, ends, atol=0.25)  # of values that spread by 1.6
    # The point does not change with the interval: the mean stays the mean.
    np.testing.assert_allclose(
        short(dropout=0.3).forecast(values).point, plain.forecast(values).point
    )


def test_a_map_that_fits_noise_has_the_errors_of_new_rows():
    """Thirty rows are read to forecast noise, of which too little is left where they are fitted."""
    values = np.random.default_rng(0).normal(size=(100, 1))
    rows, one = linear.Rows(values, 1, 1), Candidate(30, (), "mean", 1.0, 1.0)
    origins = rows.origins(30)
    left = rows.truth(origins) - linear.outputs_of(one.fit(rows), rows, origins)
    errors = cross_fitted([one], rows).paths
    assert errors.shape == left.shape == (70, 1, 1)
    assert left.std() < values[30:].std() < errors.std()


@pytest.mark.parametrize("lags", [(), (1,), (4,)])
def test_a_row_is_forecast_by_maps_that_do_not_know_it(lags):
    """A row that changes leaves its own forecast alone, and changes those of other blocks."""
    values = simulated("ar1", 120, 0)[:, None]
    changed = values.copy()
    changed[-1] += 100
    tried = [Candidate(5, lags, "last", 1.0, 0.5), Candidate(9, lags, "mean", 1.0, 0.5)]
    one, other = (cross_fitted(tried, linear.Rows(rows, 1, 1)).paths for rows in (values, changed))
    own, others = other[-1] - one[-1], np.abs(other[:-1] - one[:-1])
    np.testing.assert_allclose(own, 100)  # its forecast is the same
    last_block = len(one) // 5 - 1
    assert np.abs(others[-last_block:]).max() < 1e-9  # which were forecast by the same maps
    assert others[:-last_block].max() > 1e-3


def test_rows_too_few_to_fit_to_without_a_block_leave_no_errors():
    tried = [Candidate(5, (), "last", 1.0, 1.0)]
    assert not len(cross_fitted(tried, linear.Rows(np.arange(12.0)[:, None], 2, 1)).paths)


@given(
    st.lists(st.integers(1, 4), max_size=2),
    st.integers(1, 5),
    st.integers(1, 2),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=25)
def test_quantiles_of_differences_add_up_to_those_of_the_rows(lags, horizon, targets, seed):
    rng, lags = np.random.default_rng(seed), tuple(lags)
    paths = rng.normal(size=(40, horizon, targets))
    found = Errors(paths, 1e9, np.zeros(40, int)).quantiles((0.1, 0.5, 0.9), lags)
    before = np.zeros((1, sum(lags), targets))
    summed = undifference(np.moveaxis(found, -1, 0), before, lags)
    expected = np.quantile(undifference(paths, before, lags), (0.1, 0.5, 0.9), axis=0)
    np.testing.assert_allclose(summed, expected, atol=1e-9)


@given(st.integers(1, 60), st.floats(0.55, 0.99))
@settings(max_examples=25)
def test_few_errors_make_an_interval_wider_but_not_beyond_the_largest(number, level):
    paths = np.random.default_rng(number).normal(size=(number, 1, 1))
    low, middle, high = Errors(paths, float(number), np.zeros(number, int)).quantiles(
        (1 - level, 0.5, level)
    )[0, 0]
    assert paths.min() <= low <= np.quantile(paths, 1 - level)
    assert np.quantile(paths, level) <= high <= paths.max()
    assert middle == pytest.approx(np.median(paths))


def test_the_interval_of_differences_is_in_units_of_the_table():
    """Of a random walk that is forecast by differences it widens with the root of the step."""
    values = 50 * simulated("walk", 400, 0)
    given_settings = replace(
        SHORT, preprocessing=Preprocessing(difference=(1,)), window=2, epochs=1
    )
    model = forecasting.train(values, ["load"], given_settings)
    low, high = model.forecast(values).interval()
    width = (high - low)[0, :, 0] / (2 * 1.2816 * 50)
    np.testing.assert_allclose(width, np.sqrt(np.arange(1, HORIZON + 1)), rtol=0.25)


def test_each_series_has_errors_of_its_own_size():
    """Both are scaled to a spread of 1, but one is nearly all season and the other all noise."""
    rng, rows = np.random.default_rng(0), 200
    wave = np.sin(np.arange(rows) * 2 * np.pi / 8)
    tables = {
        "calm": wave + 0.05 * rng.normal(size=rows),
        "wild": 0.05 * wave + rng.normal(size=rows),
    }
    given_settings = replace(SHORT, window=16, epochs=1)
    many = forecasting.train_many(tables, ["load"], given_settings, embedding=0)
    tested = many.evaluate(tables)
    for name in tables:
        assert tested[name].covered[0] >= 0.6
    calm, wild = (np.ptp(many.forecast(tables)[name].interval(), axis=0) for name in tables)
    assert calm.max() < 0.5 * wild.min()


# Files.


def test_errors_are_saved(tmp_path):
    short().save(tmp_path)
    loaded, values = forecasting.Trained.load(tmp_path), simulated("ar1", ROWS, 0)
    np.testing.assert_array_equal(loaded.errors.paths, short().errors.paths)
    for one, other in zip(*(m.forecast(values).interval() for m in (loaded, short())), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("errors", "message"),
    [
        ({"paths": [[[1.0] * HORIZON]], "independent": 1}, "errors are not one number per step"),
        ({"paths": [[[np.inf]] * HORIZON], "independent": 1}, "errors are not one number per step"),
        ({"paths": [[[1.0]] * HORIZON], "independent": -7}, "-7.0 errors are independent"),
    ],
)
def test_damaged_errors_are_refused(errors, message):
    with pytest.raises(ValueError, match=message):
        Errors.from_json({"errors": errors}, HORIZON, 1)


def test_an_interval_contains_the_forecast():
    """Of a column of zeros and few ones most errors have one sign."""
    column = (np.arange(200) % 20 == 3).astype(float)
    settings = forecasting.Settings(window=6, horizon=2, units=2, epochs=1, season=0, search=False)
    model = forecasting.train(column, ["holiday"], settings)
    forecast = model.forecast(column, np.arange(60, 190))
    low, high = forecast.interval()
    assert (low <= forecast.point).all()
    assert (forecast.point <= high).all()


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_a_folder_of_an_earlier_version_has_normal_errors(noise, tmp_path):
    short().save(tmp_path)
    path = tmp_path / "forecast.json"
    stored = json.loads(path.read_text(encoding="utf-8"))
    del stored["errors"]
    path.write_text(json.dumps(stored | {"noise": [[noise]] * HORIZON}), encoding="utf-8")
    forge(tmp_path)
    errors = forecasting.Trained.load(tmp_path).errors
    if noise:
        assert errors.paths.std() == pytest.approx(noise, rel=0.02)
    else:
        assert not len(errors.paths)
    path.write_text(json.dumps(stored | {"noise": [[-1.0]] * HORIZON}), encoding="utf-8")
    forge(tmp_path)
    with pytest.raises(ValueError, match=r"forecast.json is damaged: noise is not one number"):
        forecasting.Trained.load(tmp_path)


# An LSTM that cannot be judged.


def test_an_lstm_that_cannot_be_judged_is_not_trained(tmp_path):
    called, values = [], simulated("ar1", ROWS, 0)
    told = {"callback": lambda *epoch: called.append(epoch), "checkpoint": tmp_path / "c"}
    model = forecasting.train(values, ["load"], SHORT, **told)
    assert (called, list(tmp_path.iterdir())) == ([], [])
    assert not model.is_lstm_trained
    assert not model.uses_lstm
    assert {name: losses.size for name, losses in model.history.items()} == {
        "loss": 0,
        "validation_loss": 0,
    }
    assert "0 epochs" in model._repr_html_()
    (said,) = verdict(None, model)
    assert "was not trained: the validation part holds fewer than the 20 forecasts" in said


def test_its_report_has_no_figure_of_the_loss(tmp_path):
    values, model = simulated("ar1", ROWS, 0), short()
    table = Table(("load",), values[:, None], tuple(map(str, range(ROWS))), "row")
    labels = [str(ROWS + step) for step in range(HORIZON)]
    write(
        tmp_path,
        ReportData(
            "a.csv", table, model, model.evaluate(values), None, model.forecast(values),
            np.zeros((0, 0)), labels, [],
        ),
    )  # fmt: skip
    assert "loss.png" not in {path.name for path in tmp_path.iterdir()}
    assert "and was not trained" in (tmp_path / "report.html").read_text(encoding="utf-8")
    header = (tmp_path / "test.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    assert header[4:9] == ["actual", "forecast", "low", "high", "naive"]


@pytest.mark.parametrize(
    "changes", [{"validation": 25 / ROWS}, {"validation": 0}, {"linear": False}]
)
def test_others_are_trained(changes):
    model = forecasting.train(
        simulated("ar1", ROWS, 0), ["load"], replace(SHORT, epochs=1, window=4, **changes)
    )
    assert model.is_lstm_trained
    assert len(model.errors.paths)
