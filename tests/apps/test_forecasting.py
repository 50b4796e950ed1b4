"""From a table to a forecast: no leakage, units, columns, files, evaluation and backtest."""

import json
import sys
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pytest
from chance import FALSE_ALARMS
from manifests import forge
from scipy import stats
from untrained import no_training

import lstmcore as lc
from lstmcore import forecasting
from lstmcore.apps.forecasting import Settings, Trained, backtest, train
from lstmcore.series import Preprocessing
from lstmcore.series.windowing import MOST_WINDOWS

ROWS, WINDOW, HORIZON = 160, 6, 3
NAMES = ("plan", "load", "wind")  # known in advance, to forecast, only its past
SMALL = Settings(
    window=WINDOW,
    horizon=HORIZON,
    units=4,
    targets=("load",),
    future_covariates=("plan",),
    season=12,
    epochs=2,
    batch_size=64,
)
KINDS = {
    "plain": SMALL,
    "differences": replace(
        SMALL, preprocessing=Preprocessing(difference=(12, 1), scaling="minmax")
    ),
    "filled": replace(SMALL, preprocessing=Preprocessing(missing="forward")),
    "quantiles": replace(SMALL, quantiles=(0.1, 0.5, 0.9)),
    "dropout": replace(SMALL, dropout=0.3, targets=("wind", "load"), linear=False, search=False),
    "recursive": replace(SMALL, mode="recursive", targets=(), dropout=0.3),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def table(rows=ROWS, seed=0):
    """A season, a plan that acts on the load of its own row, and wind."""
    rng = np.random.default_rng(seed)
    plan, wind = rng.normal(size=(2, rows))
    load = 100 + 10 * np.sin(np.arange(rows) * np.pi / 6) + 5 * plan + rng.normal(size=rows)
    return np.stack([plan, load, wind], axis=1)


def table_of(kind):
    values = table()
    if kind == "filled":
        values[[7, 20, 21], [1, 2, 1]] = np.nan
    return values


@cache
def trained(kind):
    """A model of each kind; what its forecasts are made of does not depend on what it learnt."""
    with no_training():
        return train(table_of(kind), NAMES, KINDS[kind])


def shuffled_after(row, seed=9):
    """The table with other rows from `row` on."""
    values = table()
    values[row:] = 50 * table(seed=seed)[row:] + 7
    return values


# No leakage.


QUICK = ("differences", "recursive")


@pytest.mark.parametrize(
    "kind",
    [*QUICK, *(pytest.param(k, marks=pytest.mark.thorough) for k in KINDS if k not in QUICK)],
)
def test_training_does_not_see_the_test_part(kind):
    ours = train(table_of(kind), NAMES, KINDS[kind])
    values = shuffled_after(ours.split.test.start)
    if kind == "filled":
        values[[7, 20, 21], [1, 2, 1]] = np.nan
    other = train(values, NAMES, KINDS[kind])
    jax.tree.map(np.testing.assert_array_equal, ours.params, other.params)
    jax.tree.map(np.testing.assert_array_equal, ours.history, other.history)
    assert ours.preprocessor.to_json() == other.preprocessor.to_json()


def test_the_preprocessing_does_not_see_the_validation_part():
    settings = replace(SMALL, linear=False, search=False)
    ours = train(table(), NAMES, settings)
    other = train(shuffled_after(ours.split.validation.start), NAMES, settings)
    assert ours.preprocessor.to_json() == other.preprocessor.to_json()
    np.testing.assert_array_equal(ours.history["loss"], other.history["loss"])
    assert (ours.history["validation_loss"] != other.history["validation_loss"]).any()


@every_kind
@pytest.mark.parametrize("origin", [40, 100, ROWS - HORIZON])
def test_a_forecast_does_not_see_what_comes_after_its_origin(kind, origin):
    """But for the plan, which is known."""
    model, values = trained(kind), table()
    other = shuffled_after(origin)
    other[:, 0] = values[:, 0]
    found = model.forecast(values, [origin]).point
    np.testing.assert_array_equal(found, model.forecast(other, [origin]).point)
    other[origin:, 0] += 1
    assert (found != model.forecast(other, [origin]).point).any()
    changed = values.copy()
    changed[origin - 1] += 1
    assert (found != model.forecast(changed, [origin]).point).any()


@pytest.mark.parametrize("mode", ["direct", "recursive"])
def test_parts_share_no_row_to_forecast(mode, monkeypatch):
    """The rows of a table that counts are their own names."""
    given = {}

    def no_fit(loss, params, data, *, validation, **options):
        given.update(training=data, validation=validation, options=options)
        return lc.FitResult(params, {"loss": np.zeros(1)})

    monkeypatch.setattr("lstmcore.apps.training.fit", no_fit)
    plain = Preprocessing(scaling="none")
    settings = Settings(
        **vars(SMALL)
        | {"preprocessing": plain, "mode": mode, "targets": (), "future_covariates": ()}
        | {"linear": False, "search": False}
    )
    made = train(np.arange(ROWS), ["row"], settings)
    rows = {
        part: [set(window.astype(int).ravel()) for window in given[part]["target"]]
        for part in ("training", "validation")
    }
    split = made.split
    assert set.union(*rows["training"]) == set(range(WINDOW, split.training.stop))
    first = split.validation.start + (WINDOW if mode == "recursive" else 0)
    assert set.union(*rows["validation"]) == set(range(first, split.validation.stop))
    if mode == "recursive":  # which learns to forecast the rows of x, too
        assert given["validation"]["x"].min() == split.validation.start
    assert split.test == slice(split.validation.stop, ROWS)


# Forecasts.


@every_kind
def test_many_forecasts_are_single_ones(kind, monkeypatch):
    """In batches of any size, the last one filled up."""
    from lstmcore.apps.forecasting import predictor as module

    model, values = trained(kind), table()
    origins = np.arange(30, 43)
    together = model.forecast(values, origins).point
    assert together.shape == (13, HORIZON, len(model.targets))
    monkeypatch.setattr(module, "MOST_AT_ONCE", 4)
    np.testing.assert_allclose(model.forecast(values, origins).point, together, rtol=1e-5)
    single = model.forecast(values, origins[5:6]).point[0]
    np.testing.assert_allclose(single, together[5], rtol=1e-5)


@every_kind
def test_a_forecast_by_hand(kind):
    """Prepare, cut, apply, undo: one origin."""
    model, values, origin = trained(kind), table(), 100
    order = [NAMES.index(name) for name in model.targets]
    order += [i for i in (1, 2) if i not in order] + [0]
    rows, lost = values[:, order], model.preprocessor.dropped_rows
    preprocessor = model.preprocessor.transform(rows).astype(np.float32)
    start = origin - lost
    x = preprocessor[start - model.settings.rows_read : start]
    future = preprocessor[start : start + HORIZON, -1:]
    output, _ = jax.jit(model.model.apply)(model.params, x[None], future[None])
    count = len(model.targets)
    output = np.asarray(output[0], float)
    if model.settings.quantiles:
        output = output[..., 1]
    before = rows[origin - lost : origin, :count] if lost else None
    expected = model.preprocessor.select(range(count)).inverse_transform(output, before)
    np.testing.assert_allclose(model.forecast(values, [origin]).point[0], expected, rtol=1e-5)


@every_kind
def test_beyond_the_end_what_is_known_is_given(kind):
    model, values = trained(kind), table()
    origin = ROWS - HORIZON
    inside = model.forecast(values, [origin])
    outside = model.forecast(values[:origin], future=values[origin:, :1])
    assert outside.origins.tolist() == [origin]
    np.testing.assert_allclose(outside.point, inside.point, rtol=1e-6)
    last = values[origin:, :1]
    over = model.forecast(values[: origin + 1], [origin], future=last[1:]).point
    np.testing.assert_allclose(over, inside.point, rtol=1e-6)
    longer = np.concatenate([values[origin:, :1], [[9.0], [9.0]]])  # than anybody asks for
    more = model.forecast(values[:origin], future=longer).point
    np.testing.assert_array_equal(more, outside.point)


def test_quantiles_and_their_interval():
    model, values = trained("quantiles"), table()
    found = model.forecast(values, np.arange(50, 60))
    assert found.quantiles.shape == (10, HORIZON, 1, 3)
    assert (np.diff(found.quantiles) >= 0).all()
    np.testing.assert_array_equal(found.point, found.quantiles[..., 1])
    low, high = found.interval(0.8)
    np.testing.assert_array_equal(low, found.quantiles[..., 0])
    np.testing.assert_array_equal(high, found.quantiles[..., 2])


def test_samples_of_dropout():
    model, values = trained("dropout"), table()
    found = model.forecast(values, [50, 60], samples=20)
    assert found.samples.shape == (2, HORIZON, 2, 20)
    assert (found.samples.std(axis=-1) > 0).all()
    silent = without_errors(model).forecast(values, [50, 60], samples=20)
    np.testing.assert_allclose(found.point, silent.samples.mean(axis=-1))
    np.testing.assert_array_equal(found.point, silent.point)  # which the errors do not blur
    low, high = found.interval(0.5)
    np.testing.assert_array_equal(low, np.quantile(found.samples, 0.25, axis=-1))
    assert (low < high).all()
    again = model.forecast(values, [50, 60], samples=20)
    np.testing.assert_array_equal(found.samples, again.samples)
    other = model.forecast(values, [50, 60], samples=20, key=jax.random.key(5))
    assert (found.samples != other.samples).all(axis=-1).any()


def without_errors(model):
    return replace(model, errors=model.errors.without())


def test_each_sample_has_one_error_of_the_validation_part_at_random():
    """That of the whole horizon; each is as likely, and independent of which units are dropped."""
    model, values = trained("dropout"), table()
    silent = without_errors(model)
    origins, samples = np.arange(30, 110), 30
    drawn = [one.forecast(values, origins, samples=samples).samples for one in (model, silent)]
    scale = model.preprocessor.select(range(2)).scaler.scale
    added = np.moveaxis(drawn[0] - drawn[1], -1, 1).reshape(-1, HORIZON, 2) / scale
    # As there are few, they are drawn wider than they are, by a factor for each step and target.
    factors = np.abs(added).max(axis=0) / np.abs(model.errors.paths).max(axis=0)
    assert (factors > 1).all()
    apart = np.abs(added[:, None] / factors - model.errors.paths).max(axis=(2, 3))
    assert apart.min(axis=1).max() < 1e-5
    counts = np.bincount(apart.argmin(axis=1), minlength=len(model.errors.paths))
    assert stats.chisquare(counts).pvalue > FALSE_ALARMS
    # A key that draws the errors must not draw what is dropped: the same bits come out for both.
    layer = model.params["lstm_0"]
    strong = model.params | {
        "lstm_0": layer._replace(recurrent_kernel=4 * layer.recurrent_kernel)
    }  # so that it matters what of the state is dropped
    noisy, dropped = (
        replace(one, params=strong).forecast(values, [50], samples=500).samples
        for one in (model, silent)
    )
    both = [each.reshape(-1, 500) for each in (noisy - dropped, dropped)]
    together = np.corrcoef(*both)[: len(both[0]), len(both[0]) :]
    far = stats.norm.isf(FALSE_ALARMS / 2 / together.size)
    assert np.abs(together).max() < far / np.sqrt(500)
    expected = []
    for origin in range(model.split.validation.start, model.split.validation.stop - HORIZON + 1):
        point = model.forecast(values, [origin]).point[0]
        expected.append((values[origin : origin + HORIZON][:, [2, 1]] - point) / scale)
    np.testing.assert_allclose(model.errors.paths, expected, rtol=1e-4, atol=1e-5)


def test_an_interval_of_samples_covers_the_errors_of_the_validation_part():
    """Dropout alone covers a fraction of them."""
    model, values = trained("dropout"), table()
    covered = model.evaluate(values, samples=50).covered
    silent = without_errors(model)
    assert (silent.evaluate(values, samples=50).covered < covered).all()
    assert (covered > 0.6).all()


@pytest.mark.parametrize("kind", ["plain", "recursive"])
def test_a_run_shows_every_gate(kind):
    model, values = trained(kind), table()
    run = model.run(values, [50, 60])
    steps = WINDOW + (HORIZON - 1 if kind == "recursive" else 0)
    assert run["lstm_0", "forget"].shape == (2, steps, 4)
    closed = model.run(values, [50], edits={"lstm_0": lambda gates, t: gates._replace(output=0.0)})
    assert run["lstm_0", "output"].any()
    assert not closed["lstm_0", "output"].any()


@pytest.mark.thorough
def test_what_can_be_learned_is_learned():
    """The season and the plan make the load, but for noise of 1: better than both naive ones."""
    values = table(600)
    settings = replace(SMALL, units=16, epochs=60, batch_size=32, learning_rate=1e-2)
    model = train(values, NAMES, settings)
    found = model.evaluate(values)
    errors = {name: scores.mae[0] for name, scores in found.scores.items()}
    assert errors["model"] < 2.5 < errors["seasonal naive"] < errors["naive"]
    assert [check.verdict for check in found.lag["load"]] == ["beats persistence"] * HORIZON


# Evaluation.


@every_kind
def test_evaluation_by_hand(kind):
    model, values = trained(kind), table()
    found = model.evaluate(values)
    origins = np.arange(model.split.test.start, ROWS - HORIZON + 1)
    targets = values[:, [NAMES.index(name) for name in model.targets]]
    actual = np.stack([targets[origin : origin + HORIZON] for origin in origins])
    np.testing.assert_array_equal(found.actual, actual)
    point = model.forecast(values, origins).point
    scale = np.abs(targets[12:] - targets[:-12])[: model.split.training.stop - 12].mean(axis=0)
    seasonal = np.stack([targets[origin - 12 : origin - 12 + HORIZON] for origin in origins])
    for name, forecast in (("model", point), ("seasonal naive", seasonal)):
        error = np.abs(forecast - actual)
        np.testing.assert_allclose(found.scores[name].mae, error.mean(axis=(0, 1)), rtol=1e-6)
        np.testing.assert_allclose(found.by_step[name].mae, error.mean(axis=0), rtol=1e-6)
        if kind != "filled":
            expected = error.mean(axis=(0, 1)) / scale
            np.testing.assert_allclose(found.scores[name].mase, expected, rtol=1e-6)
    assert found.scores["naive"].mae.shape == (len(model.targets),)
    for place, target in enumerate(model.targets):
        check = found.lag[target][1]
        arrays = actual[:, 1, place], point[:, 1, place], targets[origins - 1, place]
        assert check.verdict == forecasting.lag_check(*arrays, 2).verdict
    if kind == "quantiles":
        low, high = found.forecast.interval(0.8)
        inside = ((low <= actual) & (actual <= high)).mean(axis=(0, 1))
        np.testing.assert_allclose(found.covered, inside)
    assert str(found).startswith(f"{model.targets[0]}: {len(origins)} forecasts of 3 rows")


@every_kind
def test_rivals_run_beside_every_model(kind):
    """They read the rows and columns of the model, and are fitted to its training part."""
    model, values = trained(kind), table()
    found, order = model.evaluate(values), model.table(values)
    assert list(found.baselines) == ["naive", "seasonal naive", "linear map", "Holt-Winters"]
    assert list(found.scores) == ["model", *found.baselines]
    assert found.notes == ()
    targets, training = len(model.targets), model.split.training.stop
    expected = forecasting.linear_map(
        order,
        found.forecast.origins,
        HORIZON,
        training=training,
        window=model.rows_read,
        targets=targets,
        future_covariates=model.model.future_covariates,
    )
    np.testing.assert_array_equal(found.baselines["linear map"], expected)
    smoothed = forecasting.holt_winters(
        order[:, :targets], found.forecast.origins, HORIZON, training=training, season=12
    )
    np.testing.assert_array_equal(found.baselines["Holt-Winters"], smoothed)
    compared = forecasting.compare(
        found.actual, found.forecast.point, found.baselines, model.targets
    )
    assert dict(found.comparisons) == compared


def test_rivals_that_cannot_run_are_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "statsmodels.tsa.holtwinters", None)
    found = trained("plain").evaluate(table())
    assert "Holt-Winters" not in found.scores
    assert str(found).endswith("Holt-Winters is left out: it needs the package statsmodels")


def test_the_report():
    model, values = trained("quantiles"), table()
    text = str(model.evaluate(values))
    for part in ("MAE", "MASE", "skill", "seasonal naive (12)", "the interval of 80% covers"):
        assert part in text
    assert str(model.evaluate(values).comparisons["load"]) in text.splitlines()[1]
    assert "1 ahead: " in text
    assert "3 ahead: " in text
    few = replace(SMALL, test=0.05, epochs=1)
    with no_training():
        few = train(values, NAMES, few)
    assert "no lag check: it needs 20 forecasts" in str(few.evaluate(values))


def test_missing_truth_is_not_scored():
    """Not in errors, not in the scale of MASE, not in the lag check: it is not filled in there."""
    model, values = trained("filled"), table()
    values[[ROWS - 5, 40, 41], 1] = np.nan
    found = model.evaluate(values)
    assert np.isnan(found.actual).sum() == HORIZON  # each of three forecasts has a step there
    load = values[:, 1]
    scale = np.nanmean(np.abs(load[12:] - load[:-12])[: model.split.training.stop - 12])
    scores = found.scores["model"]
    np.testing.assert_allclose(scores.mase, scores.mae / scale)
    check, last = found.lag["load"][0], load[found.forecast.origins - 1]
    assert np.isnan(last).sum() == 1
    last = np.where(np.isnan(last), load[ROWS - 6], last)
    actual, point = found.actual[:, 0, 0], found.forecast.point[:, 0, 0]
    by_hand = 1 - np.nanmean((point - actual) ** 2) / np.nanmean((last - actual) ** 2)
    assert check.skill == pytest.approx(by_hand)
    values[ROWS - 20 :: 2, 1] = np.nan
    assert model.evaluate(values).lag["load"] == ()


# Backtest.


@pytest.mark.thorough
def test_backtest():
    values, settings = table(), replace(KINDS["differences"], epochs=1)
    found = backtest(values, NAMES, settings, folds=2)
    assert found.origins.tolist() == [ROWS - 2 * HORIZON, ROWS - HORIZON]
    load = values[:, 1:2]
    np.testing.assert_array_equal(found.actual, [load[-6:-3], load[-3:]])
    for fold, origin in enumerate(found.origins):
        past = values[:origin]
        alone = train(past, NAMES, replace(settings, test=0.0))
        expected = alone.forecast(past, future=values[origin : origin + HORIZON, :1]).point[0]
        np.testing.assert_array_equal(found.forecasts["model"][fold], expected)
        error = np.abs(expected - found.actual[fold]).mean()
        assert found.by_fold["model"].mae[fold] == pytest.approx(error)
        scale = np.abs(load[12:origin] - load[: origin - 12]).mean()
        assert found.by_fold["model"].mase[fold] == pytest.approx(error / scale)
    np.testing.assert_allclose(found.scores["naive"].mae, found.by_fold["naive"].mae.mean(axis=0))
    text = str(found)
    assert text.startswith("load: 2 folds, horizon 3")
    assert "seasonal naive (12)" in text
    # What comes after an origin changes no forecast from it.
    other = shuffled_after(found.origins[1])
    other[:, 0] = values[:, 0]
    again = backtest(other, NAMES, settings, folds=2)
    for name, forecasts in found.forecasts.items():
        np.testing.assert_array_equal(forecasts, again.forecasts[name])


@pytest.mark.thorough
def test_a_backtest_with_holes():
    """The scale of MASE is that of the known rows of the past, and not of what stands in."""
    values = table()
    values[[30, 31, ROWS - 9, ROWS - 2], 1] = np.nan
    settings = replace(KINDS["filled"], epochs=1)
    found = backtest(values, NAMES, settings, folds=2)
    load = values[:, 1]
    for fold, origin in enumerate(found.origins):
        scale = np.nanmean(np.abs(load[12:origin] - load[: origin - 12]))
        scores = found.by_fold["naive"]
        assert scores.mase[fold] == pytest.approx(scores.mae[fold] / scale)


@pytest.mark.thorough
def test_a_backtest_with_hardly_a_season():
    """The naive forecast takes a season before the first origin, the scale of MASE a row more."""
    settings = replace(SMALL, season=ROWS - 7, epochs=1, validation=0.0)
    with pytest.raises(ValueError, match=f"after at least {ROWS - 5} rows need {ROWS + 1}"):
        backtest(table(), NAMES, replace(settings, season=ROWS - 6), folds=2)
    found = backtest(table(), NAMES, settings, folds=2)
    assert np.isfinite(found.scores["seasonal naive"].mase).all()


def test_backtest_without_refitting():
    values, settings = table(), replace(SMALL, epochs=1)
    found = backtest(values, NAMES, settings, folds=3, refit=False)
    alone = train(values[: found.origins[0]], NAMES, replace(settings, test=0.0))
    expected = alone.forecast(values, found.origins).point
    np.testing.assert_allclose(found.forecasts["model"], expected, rtol=1e-5)
    fitted = {
        "training": alone.split.training.stop,
        "window": alone.rows_read,
        "future_covariates": 1,
    }
    mapped = forecasting.linear_map(
        alone.table(values), found.origins, HORIZON, targets=1, **fitted
    )
    np.testing.assert_array_equal(found.forecasts["linear map"], mapped)


def test_the_rivals_of_a_fold_do_not_see_what_comes_after_its_origin():
    values = table()
    other = shuffled_after(ROWS - 2 * HORIZON)
    other[:, 0] = values[:, 0]  # the plan is known
    with no_training():
        found, again = (backtest(each, NAMES, SMALL, folds=2) for each in (values, other))
    assert found.origins[0] == ROWS - 2 * HORIZON
    assert list(found.forecasts)[1:] == ["naive", "seasonal naive", "linear map", "Holt-Winters"]
    for name, forecasts in found.forecasts.items():
        np.testing.assert_array_equal(forecasts[0], again.forecasts[name][0])


# Files.


@every_kind
def test_round_trip(kind, tmp_path):
    model, values = trained(kind), table()
    model.save(tmp_path / "new" / "folder")
    names = {file.name for file in (tmp_path / "new" / "folder").iterdir()}
    assert names == {"model.safetensors", "forecast.json", "manifest.json"}
    loaded = Trained.load(tmp_path / "new" / "folder")
    assert (loaded.settings, loaded.columns, loaded.model) == (
        model.settings,
        model.columns,
        model.model,
    )
    assert (loaded.split, loaded.stride, loaded.targets) == (
        model.split,
        model.stride,
        model.targets,
    )
    jax.tree.map(np.testing.assert_array_equal, loaded.history, model.history)
    np.testing.assert_array_equal(
        loaded.forecast(values, [50]).point, model.forecast(values, [50]).point
    )


def test_damaged_folders(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no forecast.json in .*name the folder"):
        Trained.load(tmp_path)
    trained("plain").save(tmp_path)
    description = tmp_path / "forecast.json"
    sound = json.loads(description.read_text())
    for change in (
        {"format": 2},
        {"columns": ["plan", "load"]},
        {"settings": sound["settings"] | {"window": 0}},
        {"preprocessor": {}},
        {"split": {"training": [0, 1]}},
        {"stride": 0},
        {"history": None},
        {"history": {"loss": [1, 2], "validation_loss": [1]}},
        {"preprocessor": sound["preprocessor"] | {"scale": [-1.0] * 2}},
        {"preprocessor": sound["preprocessor"] | {"offset": [1.0]}},
        {"settings": sound["settings"] | {"preprocessing": PREPARED_OTHERWISE}},
        {"errors": {"paths": [[[0.0]] * 4], "independent": 1.0}},
        {"errors": {"paths": [[[np.nan]] * 3], "independent": 1.0}},
        {"errors": {}},
    ):
        description.write_text(json.dumps(sound | change))
        assert_not_written(tmp_path, "forecast.json")
        forge(tmp_path)
        with pytest.raises(ValueError, match=r"forecast.json is damaged"):
            Trained.load(tmp_path)
    description.write_text(json.dumps(sound)[:-9])
    forge(tmp_path)
    with pytest.raises(ValueError, match=r"forecast.json is damaged"):
        Trained.load(tmp_path)
    for setting, value in (("units", [9]), ("dropout", 0.5)):
        settings = sound["settings"] | {setting: value}
        description.write_text(json.dumps(sound | {"settings": settings}))
        forge(tmp_path)
        with pytest.raises(ValueError, match=rf"not belong to forecast.json .*: {setting} is"):
            Trained.load(tmp_path)
    # One number that only the digest can notice.
    other = sound["preprocessor"] | {"offset": [x + 1 for x in sound["preprocessor"]["offset"]]}
    description.write_text(json.dumps(sound | {"preprocessor": other}))
    assert_not_written(tmp_path, "forecast.json")
    description.write_text(json.dumps(sound))
    forge(tmp_path)
    changed = jax.tree.map(lambda leaf: leaf + 1, trained("plain").params)
    lc.save(tmp_path / "model.safetensors", trained("plain").model, changed)
    assert_not_written(tmp_path, "model.safetensors")


PREPARED_OTHERWISE = {"missing": "forward", "difference": [], "scaling": "standard"}


def assert_not_written(folder, name):
    with pytest.raises(ValueError, match=rf"{name} is not the file that was written with manifest"):
        Trained.load(folder)


# Large tables, settings, errors.


def test_windows_to_train_on_are_bounded():
    settings = Settings(window=288, horizon=24)
    stride = settings.stride_for(100_000, features=10)
    windows = -(-100_000 // stride)
    assert windows <= MOST_WINDOWS
    assert windows * (288 + 24) * 10 * 4 <= 2**28  # bytes
    assert Settings().stride_for(MOST_WINDOWS, features=1) == 1
    assert Settings(stride=7).stride_for(10**6, features=1) == 7
    assert Settings(window=10**6).stride_for(1000, features=100) == 1000


def test_numbers_of_numpy_are_plain_ones():
    plain = Settings(seed=3, dropout=0.5, learning_rate=0.25, validation=0.125, test=0.25)
    given = {
        name: getattr(plain, name) for name in ("dropout", "learning_rate", "validation", "test")
    }
    found = Settings(seed=np.int64(3), **{name: np.float32(value) for name, value in given.items()})
    assert found == plain
    assert json.dumps(found.to_json()) == json.dumps(plain.to_json())


def test_settings_come_back_from_json():
    for settings in KINDS.values():
        text = json.dumps(settings.to_json())
        assert Settings.from_json(json.loads(text)) == settings


def test_training_goes_on_from_its_checkpoint(tmp_path):
    seen = []
    keeps = {"checkpoint": tmp_path / "run.safetensors", "resume": True}
    train(table(), NAMES, replace(SMALL, epochs=1, patience=None), **keeps)
    settings = replace(SMALL, epochs=2, patience=None)
    resumed = train(table(), NAMES, settings, callback=lambda *told: seen.append(told[0]), **keeps)
    assert seen == [2]
    whole = train(table(), NAMES, settings)
    np.testing.assert_array_equal(resumed.history["loss"], whole.history["loss"])
    jax.tree.map(np.testing.assert_array_equal, resumed.params, whole.params)


VALUES = table()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: Settings(window=0), ValueError, "window must be at least 1, got 0"),
        (lambda: Settings(season=-1), ValueError, "at least 1, got -1: give .auto., a number"),
        (lambda: Settings(season="weekly"), TypeError, "season must be .*: give .auto., a number"),
        (lambda: Settings(linear_rows=0), ValueError, "linear_rows must be at least 1, got 0"),
        (lambda: Settings(linear_rows="all"), TypeError, "linear_rows must be"),
        (lambda: Settings(stride="all"), ValueError, "stride must be a number of rows or 'auto'"),
        (lambda: Settings(seed=-1), ValueError, "seed must be at least 0"),
        (
            lambda: Settings(seed=2**63),
            ValueError,
            "seed must be at most 9,223,372,036,854,775,807",
        ),
        (lambda: Settings(learning_rate=0), ValueError, "learning_rate must be a positive number"),
        (
            lambda: Settings(test=1.5),
            ValueError,
            "test must be a fraction of the rows, .*, got 1.5",
        ),
        (lambda: Settings(targets="load"), TypeError, r"targets must be names such as \('load'"),
        (
            lambda: Settings(future_covariates=("a", "a")),
            ValueError,
            "future_covariates holds a name twice: a, a",
        ),
        (lambda: Settings(mode="both"), ValueError, "mode must be one of 'direct', 'recursive'"),
        (lambda: Settings(quantiles=(0.1, 0.9)), ValueError, "quantiles must hold 0.5, the point"),
        (
            lambda: Settings(mode="recursive", quantiles=(0.5,)),
            ValueError,
            "use mode='direct', or dropout and samples",
        ),
        (
            lambda: Settings(
                horizon=2, quantiles=(0.5,), preprocessing=Preprocessing(difference=(1,))
            ),
            ValueError,
            "differences of lag 1 are added up to forecast 2 rows, .*or dropout and samples",
        ),
        (
            lambda: Settings(preprocessing="none"),
            TypeError,
            "preprocessing must be Preprocessing, got",
        ),
        (
            lambda: train(VALUES, NAMES, Settings(targets=("sun",))),
            ValueError,
            "targets names 'sun' but the columns are plan, load, wind",
        ),
        (
            lambda: train(VALUES, NAMES, Settings(targets=("load",), future_covariates=("load",))),
            ValueError,
            "'load' is among targets and future_covariates",
        ),
        (
            lambda: train(VALUES, NAMES, Settings(future_covariates=NAMES)),
            ValueError,
            "all columns are future covariates",
        ),
        (
            lambda: train(VALUES, NAMES, Settings(targets=("load",), mode="recursive")),
            ValueError,
            "nobody forecasts the last 2 .* use mode='direct'",
        ),
        (lambda: train(VALUES, NAMES[:2]), ValueError, "values has 3 columns but columns names 2"),
        (lambda: train(VALUES, ("a", "a", "b")), ValueError, "columns holds a name twice"),
        (lambda: train(VALUES.astype(str), NAMES), ValueError, "values must hold real numbers"),
        (
            lambda: train(VALUES[:30], NAMES, Settings(window=24)),
            ValueError,
            "the training part has 22 of 30 rows but one window of 24 rows and a horizon of 1 need",
        ),
        (
            lambda: train(VALUES, NAMES, Settings(horizon=9, validation=0.05)),
            ValueError,
            "the validation part has 8 rows, but the horizon is 9: raise validation or use more",
        ),
        (
            lambda: train(VALUES, NAMES, Settings(mode="recursive", window=24)),
            ValueError,
            "the validation part has 24 rows, but a window of 24 rows and a horizon of 1 need 25",
        ),
        (
            lambda: train(np.where(VALUES > 100, np.nan, VALUES), NAMES, SMALL),
            ValueError,
            "missing values, the first in column 'load', row 0",
        ),
        (lambda: trained("plain").forecast(VALUES, [5]), ValueError, "origins holds row 5, but a"),
        (lambda: trained("plain").forecast(VALUES, [161]), ValueError, "origins holds row 161"),
        (
            lambda: trained("plain").forecast(VALUES, np.array([], int)),
            ValueError,
            "origins is empty: name at least one row",
        ),
        (lambda: trained("plain").forecast(VALUES, []), ValueError, "origins is empty"),
        (
            lambda: trained("plain").forecast(np.where(VALUES > 100, 1e60, VALUES), [50]),
            ValueError,
            "some preprocessed values do not fit into float32: .* hardly changes in the training",
        ),
        (
            lambda: train(VALUES, NAMES, replace(SMALL, season=112)),
            ValueError,
            "season is 112 rows, but the training part has 112: use a shorter season, or more data",
        ),
        (lambda: Settings(learning_rate="a"), TypeError, "learning_rate must be a number, got 'a'"),
        (lambda: Settings(dropout="a"), TypeError, "dropout must be a number, got 'a'"),
        (
            lambda: trained("plain").forecast(VALUES),
            ValueError,
            r"future is missing: .* 3 rows beyond the end of values, and plan must .*\[3, 1\]",
        ),
        (
            lambda: trained("plain").forecast(VALUES, future=VALUES[:2, :1]),
            ValueError,
            "future has 2 rows but the forecast needs 3",
        ),
        (
            lambda: trained("plain").forecast(VALUES, future=np.full((3, 1), np.nan)),
            ValueError,
            "future holds NaN or infinity: all of its values must be known",
        ),
        (
            lambda: without_errors(trained("plain")).forecast(VALUES, [50], samples=5),
            ValueError,
            "samples need errors in rows that were not trained on, or dropout: train an LSTM alone",
        ),
        (
            lambda: without_errors(trained("plain")).forecast(VALUES, [50]).interval(),
            ValueError,
            "this forecast has no interval: the LSTM forecasts alone, and its errors .* validation",
        ),
        (
            lambda: trained("quantiles").forecast(VALUES, [50]).interval(0.5),
            ValueError,
            "interval of 50% lies between the quantiles 0.25 and 0.75, but .* has 0.1, 0.5, 0.9: ",
        ),
        (
            lambda: trained("plain").evaluate(VALUES[:-1]),
            ValueError,
            "values has 159 rows, but 160 were there in training",
        ),
        (
            lambda: train(VALUES, NAMES, replace(SMALL, test=0, epochs=1)).evaluate(VALUES),
            ValueError,
            "there is no test part: train with test above 0, or use backtest",
        ),
        (
            lambda: train(VALUES, NAMES, replace(SMALL, test=0.01, epochs=1)).evaluate(VALUES),
            ValueError,
            "the test part has 2 rows, but the horizon is 3: raise test",
        ),
        (
            lambda: backtest(VALUES, NAMES, SMALL, folds=60),
            ValueError,
            "60 forecasts of 3 rows after at least 13 rows need 193 rows",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.thorough
def test_a_constant_column_is_no_trouble():
    values = VALUES.copy()
    values[:, 2] = 7.0
    model = train(values, NAMES, replace(SMALL, targets=("load", "wind"), epochs=1))
    found = model.evaluate(values)
    assert np.isfinite(found.scores["model"].mae).all()
    assert found.scores["naive"].mae[1] == 0
    assert not np.isfinite(found.scores["model"].mase[1])
    assert "wind" in str(found)
