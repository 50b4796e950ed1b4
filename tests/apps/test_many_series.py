"""One forecaster of many series: what is shared, what is each one's own, and what is refused."""

import json
import re
from dataclasses import replace
from functools import cache

import jax
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from manifests import forge
from strategies import weights
from untrained import no_training

from lstmcore import forecasting, series
from lstmcore.apps.forecasting import linear
from lstmcore.series import Preprocessing

WINDOW, HORIZON = 8, 3
SMALL = forecasting.Settings(
    window=WINDOW, horizon=HORIZON, units=3, epochs=2, season=None, search=False, nonnegative=False
)
SIZES = {"north": 1.0, "south": 30.0, "east": 200.0}


def wave(rows, seed=0, size=1.0):
    rng = np.random.default_rng(seed)
    return size * (20 + 4 * np.sin(np.arange(rows) / 2) + rng.normal(size=rows))


def shops():
    """Series of different lengths and sizes, {name: [rows]}."""
    return {
        name: wave(90 + 10 * place, place, size) for place, (name, size) in enumerate(SIZES.items())
    }


def long_frame(tables, interleaved=False, **static):
    """The same as one data frame with the columns shop, day, sales, and static ones by name."""
    parts = []
    for place, (name, values) in enumerate(tables.items()):
        days = pd.date_range("2024-01-01", periods=len(values))
        columns = {"shop": name, "day": days, "sales": values}
        parts.append(pd.DataFrame(columns | {key: cells[place] for key, cells in static.items()}))
    frame = pd.concat(parts, ignore_index=True)
    return frame.sort_values("day", kind="stable", ignore_index=True) if interleaved else frame


def trained_on(given, settings=SMALL, **options):
    with no_training():
        return forecasting.train_many(given, settings=settings, **options)


@cache
def trained() -> forecasting.TrainedMany:
    frame = long_frame(shops(), region=["n", "s", "n"], area=[10.0, 20.0, 60.0])
    return trained_on(frame, id="shop")


@cache
def with_vectors() -> forecasting.TrainedMany:
    """With random weights, also of static features and of vectors."""
    model = replace(trained().model, series=3, embedding=2)
    return replace(trained(), model=model, params=weights(model), embedding=2)


@cache
def with_static() -> forecasting.TrainedMany:
    """With random weights, so that static features have a part."""
    return replace(trained(), params=weights(trained().model))


def static_of(name):
    return dict(zip(SIZES, [("n", 10.0), ("s", 20.0), ("n", 60.0)], strict=True))[name]


def static_values():
    return {name: dict(zip(("region", "area"), static_of(name), strict=True)) for name in SIZES}


# What is given.


@pytest.mark.parametrize("interleaved", [False, True])
def test_a_long_frame_is_the_same_as_tables_by_name(interleaved):
    of_frame = trained_on(long_frame(shops(), interleaved), id="shop")
    by_name = trained_on(shops(), columns=["sales"])
    frame = of_frame.forecast(long_frame(shops(), interleaved))
    mapping = by_name.forecast(shops())
    assert list(of_frame) == list(by_name) == list(SIZES)
    for name in SIZES:
        np.testing.assert_array_equal(frame[name].point, mapping[name].point)


def test_the_series_of_a_file_are_the_same_as_a_long_frame(tmp_path):
    frame = long_frame(shops(), region=["n", "s", "n"], area=[10.0, 20.0, 60.0])
    path = tmp_path / "shops.csv"
    frame.to_csv(path, index=False)
    read = series.read_many(path, "shop")
    found = trained_on(read)
    assert (found.id, found.columns) == (("shop",), ("sales",))
    assert found.encoder == trained().encoder
    again = trained().forecast(read)
    expected = trained().forecast(frame)
    for name in SIZES:
        np.testing.assert_allclose(again[name].point, expected[name].point, rtol=1e-5)


def test_a_dict_of_columns_and_polars_are_the_same_as_pandas():
    import polars

    frame = long_frame(shops())
    expected = trained_on(frame, id="shop").forecast(frame)
    without_times = {"shop": frame["shop"].tolist(), "sales": frame["sales"].to_numpy()}
    for same in (without_times, polars.from_pandas(frame)):
        found = trained_on(same, id="shop").forecast(same)
        for name in SIZES:
            np.testing.assert_array_equal(found[name].point, expected[name].point)


def test_two_columns_may_name_a_series():
    frame = long_frame(shops()).assign(item=7)
    assert list(trained_on(frame, id=("shop", "item"))) == ["north/7", "south/7", "east/7"]


# What is each series' own.


def test_each_series_is_scaled_by_its_own_training_part():
    for name, values in shops().items():
        own = Preprocessing().fit(values[:, None], rows=trained()[name].split.training.stop)
        assert trained()[name].preprocessor.to_json() == own.to_json()
        assert trained()[name].split == series.split(len(values), 0.15, 0.15)


def test_the_linear_path_is_fitted_to_the_training_parts_of_all_series():
    tables = []
    for name, values in shops().items():
        one = trained()[name]
        scaled = one.preprocessor.transform(values[: one.split.training.stop, None])
        tables.append(linear.Rows(scaled.astype("f"), HORIZON, 1))
    rows = linear.stacked(tables)
    (chosen,) = trained().candidates
    path = linear.fit_linear(rows, WINDOW, (), chosen.towards)
    assert jax.tree.all(
        jax.tree.map(
            lambda one, other: np.allclose(one, other, atol=1e-5), trained().params["linear"], path
        )
    )


@pytest.mark.parametrize("part", ["test", "validation"])
def test_the_test_part_of_no_series_is_read(part):
    settings = replace(SMALL, season="auto", search=True)
    later = {
        name: np.where(np.arange(len(v)) < trained()[name].split._asdict()[part].start, v, 1e3)
        for name, v in shops().items()
    }
    one, other = (trained_on(given, settings, columns=["sales"]) for given in (shops(), later))
    assert (one.candidates == other.candidates) == (part == "test")
    if part == "test":
        jax.tree.map(np.testing.assert_array_equal, one.params, other.params)


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
def test_a_new_series_is_forecast_in_its_own_units(scale, shift):
    values = wave(40, seed=9)
    model = trained_on(shops(), columns=["sales"])
    found = model.forecast({"as is": values, "scaled": scale * values + shift})
    expected = scale * found["as is"].point + shift
    tolerance = 1e-4 * scale * 4 + 1e-9 * abs(shift)
    np.testing.assert_allclose(found["scaled"].point, expected, atol=tolerance)


@pytest.mark.parametrize("name", [*SIZES, "new"])
def test_a_series_alone_is_what_the_model_forecasts_of_it(name):
    """The features and the vector of a series become a bias; a new one has the mean vector."""
    model = with_vectors()
    values = shops().get(name, wave(50, 7))
    static = {"region": "s", "area": 30.0}
    if name in SIZES:
        one, place = model[name], list(SIZES).index(name)
        static = static_values()[name]
    else:
        preprocessor = Preprocessing().fit(values[:, None])
        one, place = replace(model["north"], preprocessor=preprocessor), -1
    x = one.preprocessor.transform(values[:, None])[None, -WINDOW:].astype("f")
    features = model.encoder.transform(static)[None]
    output, _ = model.model.apply(model.params, x, static=features, series=np.array([place]))
    expected = one.preprocessor.inverse_transform(np.asarray(output, float))
    found = model.forecast({name: values}, static={name: static})
    np.testing.assert_allclose(found[name].point, expected, rtol=1e-5)


def test_one_series_has_all_that_a_trained_forecaster_has(tmp_path):
    one = with_vectors()["south"]
    values = shops()["south"]
    run = one.run(values)
    assert run["lstm_0", "forget"].shape == (1, WINDOW, 3)
    one.save(tmp_path)
    same = forecasting.Trained.load(tmp_path).forecast(values)
    np.testing.assert_array_equal(same.point, one.forecast(values).point)


def test_future_covariates_of_each_series():
    settings = replace(SMALL, targets=("sales",), future_covariates=("price",))
    frame = long_frame(shops())
    frame["price"] = np.sin(np.arange(len(frame)))
    model = trained_on(frame, settings, id="shop")
    later = {name: [[0.1 * place]] * HORIZON for place, name in enumerate(SIZES)}
    rows = [{"shop": name, "price": one[0]} for name, those in later.items() for one in those]
    by_name = model.forecast(frame, future=later)
    in_frame = model.forecast(frame, future=pd.DataFrame(rows))
    for name in SIZES:
        np.testing.assert_array_equal(by_name[name].point, in_frame[name].point)
        own = model[name].forecast(
            frame[frame["shop"] == name].drop(columns="shop"), future=later[name]
        )
        np.testing.assert_array_equal(by_name[name].point, own.point)
    with pytest.raises(ValueError, match=r"series 'north': future is missing"):
        model.forecast(frame)


# What is chosen for all.


def test_series_show_a_season_together_that_none_shows_alone():
    rng = np.random.default_rng(0)
    season = np.tile(rng.normal(size=12), 8)
    noisy = {f"{n}": season + 0.8 * rng.normal(size=96) for n in range(40)}
    assert sum(12 in series.seasons(values[:68]) for values in noisy.values()) < 10
    model = trained_on(noisy, replace(SMALL, season="auto", search=True))
    assert model.settings.season == 12


def test_differences_are_chosen_by_the_error_in_changes_of_each_series():
    """Random walks, which differences suit, beside noise a million times as large."""
    rng = np.random.default_rng(0)
    walks = {f"walk {n}": rng.normal(size=80).cumsum() for n in range(12)}
    loud = {"noise": 1e6 * rng.normal(size=80)}
    settings = replace(SMALL, search=True, linear=True)
    quiet, beside = (trained_on(given, settings) for given in (walks, walks | loud))
    for name in (1,), ():
        errors = [
            next(one.error for one in model.candidates if one.difference == name)
            for model in (quiet, beside)
        ]
        assert abs(errors[0] - errors[1]) < 0.2 * errors[0]


def drifting(number=16, rows=120, slopes=True):
    """Walks that each drift by a slope of their own, or none."""
    rng = np.random.default_rng(1)
    steps = rng.normal(size=(number, rows))
    drift = np.linspace(-1.5, 1.5, number)[:, None] if slopes else 0
    return {f"{n}": values for n, values in enumerate((steps + drift).cumsum(axis=1))}


LEARNING = replace(
    SMALL,
    epochs=20,
    units=2,
    batch_size=128,
    learning_rate=3e-2,
    preprocessing=Preprocessing(difference=(1,), scaling="none"),
)


def test_a_vector_of_each_series_is_learned_where_it_helps():
    model = forecasting.train_many(drifting(), settings=LEARNING)
    assert model.embedding
    assert model.model.series == 16
    assert any("learned vector of each series" in said for said in model.choices())


def test_each_progress_bar_says_what_it_shows(capsys):
    settings = replace(LEARNING, epochs=1)
    for embedding, names in (
        (2, ["training without vectors", "training with a vector of each series"]),
        (0, ["training "]),
    ):
        forecasting.train_many(drifting(), None, settings, embedding=embedding, progress=True)
        shown = capsys.readouterr().err
        assert all(name in shown for name in names)
        assert ("vector" in shown) == bool(embedding)


def test_a_vector_of_each_series_is_left_out_where_it_does_not_help():
    model = forecasting.train_many(drifting(slopes=False), settings=LEARNING)
    assert not model.embedding
    assert not model.model.series


# Series that are too short, or do not change.


def test_a_series_too_short_to_train_on_can_be_forecast():
    short = {"short": wave(WINDOW + 1, 5), "shorter": wave(WINDOW - 1, 6)}
    model = trained_on(shops() | short, columns=["sales"])
    assert list(model) == list(SIZES)
    assert "the training part has" in model.left_out["short"]
    found = model.forecast(shops() | short)
    assert found["short"].point.shape == (1, HORIZON, 1)
    assert found.left_out == {"shorter": "it has 7 rows, and the model reads 8"}
    assert repr(found) == "ForecastOfMany(4 series, 1 left out)"
    with pytest.raises(KeyError, match="shorter was not forecast: it has 7 rows"):
        found["shorter"]
    with pytest.raises(KeyError, match="short was not trained on: the training part has"):
        model["short"]
    with pytest.raises(ValueError, match="no series can be forecast: of 'shorter', it has 7 rows"):
        model.forecast({"shorter": short["shorter"]})


def test_a_series_that_does_not_change_is_not_trained_on():
    flat = {"flat": np.r_[np.full(70, 3.0), np.full(30, 1e9)]}
    model = trained_on(shops() | flat, columns=["sales"])
    expected = trained_on(shops(), columns=["sales"])
    assert model.left_out == {"flat": "nothing changes in the training part"}
    same = jax.tree.map(lambda a, b: bool((a == b).all()), model.params, expected.params)
    assert jax.tree.all(same)
    with pytest.raises(ValueError, match=r"no series can be trained on: nothing changes"):
        trained_on({"flat": np.ones(100), "other": np.zeros(100)})


HOLES = {
    "void": np.full(90, np.nan),
    "late": np.r_[np.full(80, np.nan), wave(10)],
    "begins": np.r_[np.nan, wave(89)],
    "huge": wave(90) * 1e300,
    "far": np.r_[1, 1 + 1e-12, np.ones(65), np.full(23, 1e9)],
    "empty": np.zeros(0),
}


def test_series_whose_values_cannot_be_used_are_left_out_and_named():
    settings = replace(SMALL, preprocessing=Preprocessing(missing="forward"))
    model = trained_on(HOLES | shops(), settings, columns=["sales"])
    assert list(model) == list(SIZES)
    reasons = {
        "void": "in its training part, sales has no value",
        "late": "in its training part, sales has no value",
        "begins": "in its training part, column 'sales' starts with 1 missing value",
        "huge": "in its training part, table holds .* too large",
        "far": "its validation part is too far from its training part",
        "empty": "rows must be at least 1, got 0",
    }
    assert reasons.keys() == model.left_out.keys()
    for name, reason in reasons.items():
        assert re.match(reason, model.left_out[name])
    alone = trained_on(shops(), settings, columns=["sales"])
    same = jax.tree.map(lambda a, b: bool((a == b).all()), model.params, alone.params)
    assert jax.tree.all(same)
    found = model.forecast(shops() | HOLES)
    assert list(found.forecasts) == [*SIZES, "far"]
    assert found.left_out["void"] == "sales has no value"
    assert model.evaluate(shops() | HOLES).left_out == model.left_out
    with pytest.raises(ValueError, match="no series can be trained on; of 'void', in its training"):
        trained_on({name: HOLES[name] for name in ("void", "late")}, settings)
    with pytest.raises(ValueError, match="no series can be forecast: of 'void', sales has no"):
        model.forecast({"void": HOLES["void"]})


@pytest.mark.parametrize("missing", ["refuse", "mean"])
def test_a_series_without_a_value_where_it_is_trained_on_is_left_out(missing):
    settings = replace(SMALL, preprocessing=Preprocessing(missing=missing), search=True)
    few = {"void": HOLES["void"]}
    if missing == "mean":  # nor may the folds of the search read it
        few |= {"late": HOLES["late"], "half": np.r_[np.full(45, np.nan), wave(45)]}
    model = trained_on(few | shops(), settings, columns=["sales"])
    assert set(model.left_out) == set(few) - {"half"}


def test_training_continues_with_more_rows_and_series():
    less = {name: values[:-20] for name, values in shops().items()}
    settings = replace(SMALL, epochs=1)
    model = replace(with_vectors(), settings=settings)
    longer = {"new": wave(90, 7)} | shops()
    del longer["south"]
    for options in ({}, {"settings": replace(settings, epochs=2)}):
        found = forecasting.train_many(longer, ["sales"], start=model, static=NEW, **options)
        assert list(found) == ["new", "north", "east"]
        assert (found.id, found.encoder, found.candidates) == (
            model.id, model.encoder, model.candidates
        )  # fmt: skip
        assert found.model == model.model  # of as many series
        for name in ("north", "east"):
            assert found.members[name].preprocessor is model.members[name].preprocessor
            assert found.members[name].split.test.stop == len(longer[name])
        assert found.forecast(longer)["new"].point.shape == (1, HORIZON, 1)
    vectors = model.params["series"].table
    rows = model.params_for(["new", "east", "north"])["series"].table
    np.testing.assert_allclose(rows, [vectors.mean(axis=0), vectors[2], vectors[0]])
    for tables, more, message in (
        (
            less,
            {"settings": replace(settings, window=9), "columns": ["sales"]},
            "another model or preprocessing",
        ),
        ({"north": {"visits": wave(90)}}, {}, "start was trained on the columns sales, but series"),
        (less, {"id": "shop"}, "id is that of start"),
    ):
        with pytest.raises(ValueError, match=message):
            forecasting.train_many(tables, start=model, **more)


def test_where_the_test_part_of_a_series_begins():
    model = trained_on(shops(), columns=["sales"], test_from={"north": 60, "south": 500})
    splits = {name: model.members[name].split.test for name in model}
    usual = trained_on(shops(), columns=["sales"]).members["east"].split.test
    assert splits == {"north": slice(60, 90), "south": slice(100, 100), "east": usual}
    found = model.evaluate(shops())
    assert "there is no test part" in found.left_out["south"]
    assert found["north"].forecast.origins[0] == 60
    for test_from, message in (
        ({"west": 1}, "test_from names the series west, but series holds north, south, east"),
        ({"north": -1}, "test_from must be at least 0"),
    ):
        with pytest.raises(ValueError, match=message):
            trained_on(shops(), columns=["sales"], test_from=test_from)


NEW = {"new": {"region": "s", "area": 30.0}}

# Static columns.


def test_static_columns_are_found_and_become_features():
    columns = [(one.name, one.levels) for one in trained().encoder.columns]
    assert columns == [("region", ("n", "s")), ("area", ())]
    assert trained().model.static == 3
    found = [trained().encoder.transform(one).tolist() for one in static_values().values()]
    assert [one[:2] for one in found] == [[1, 0], [0, 1], [1, 0]]
    area = np.array([one[2] for one in found])
    np.testing.assert_allclose([area.mean(), area.std()], [0, 1], atol=1e-6)


def test_static_columns_by_name_are_the_same():
    model = trained_on(shops(), columns=["sales"], static=static_values())
    assert model.encoder == trained().encoder
    assert model.members["east"].static == trained().members["east"].static


def test_static_values_that_are_new_or_missing():
    encode = trained().encoder.transform
    assert encode({"region": "west", "area": None}).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="the static columns area are missing"):
        encode({"region": "n"})
    with pytest.raises(ValueError, match="column 'area' held numbers in training, but now 'big'"):
        encode({"region": "n", "area": "big"})


def test_static_values_are_needed_of_new_series_alone():
    new = {"new": wave(30, 3)}
    static = {"new": {"region": "s", "area": 30.0}}
    found = with_static().forecast(shops() | new, static=static)
    known = with_static().forecast(shops())
    np.testing.assert_array_equal(found["east"].point, known["east"].point)
    with pytest.raises(ValueError, match="series 'new': the static columns region, area are missi"):
        with_static().forecast(shops() | new)


def test_static_columns_that_are_known_or_not_read_are_not_needed():
    frame = long_frame(shops())
    whole = long_frame(shops(), region=["n", "s", "n"], area=[10.0, 20.0, 60.0])
    expected = with_static().forecast(whole)
    for same in (frame, whole.drop(columns="area")):
        found = with_static().forecast(same)
        for name in SIZES:
            np.testing.assert_array_equal(found[name].point, expected[name].point)
    new = pd.concat([frame, frame[frame["shop"] == "east"].assign(shop="new")])
    with pytest.raises(ValueError, match="series 'new': the static columns region, area are missi"):
        with_static().forecast(new)
    assert not trained().reads_static  # an LSTM that was not trained has no part
    assert trained().forecast(new)["new"].point.shape == (1, HORIZON, 1)


def test_a_series_may_be_called_like_the_column_of_names(tmp_path):
    named = {"series": wave(90), "sales": wave(90, 1), "north": wave(90, 2)}
    model = trained_on(named, columns=["units"])
    assert list(model.forecast(named).forecasts) == list(named)
    assert model.evaluate({"series": named["series"]})["series"].forecast.targets == ("units",)
    by_column = trained_on(long_frame({"shop": wave(90), **shops()}), id="shop")
    found = by_column.forecast({"shop": pd.DataFrame({"sales": wave(30)})})
    assert list(found.forecasts) == ["shop"]


def test_rare_texts_share_no_feature():
    static = {f"{n}": {"code": f"c{min(n, 30)}"} for n in range(40)}
    model = trained_on({name: wave(60, int(name)) for name in static}, static=static)
    assert model.model.static == 20
    assert model.encoder.columns[0].levels[0] == "c30"


def test_targets_are_no_static_columns():
    frame = long_frame(shops(), price=[1.0, 2.0, 3.0])
    settings = replace(SMALL, targets=("sales",), future_covariates=("price",))
    assert trained_on(frame, settings, id="shop").encoder.columns == ()
    assert trained_on(frame, SMALL, id="shop", static=()).targets == ("sales", "price")


def test_a_recursive_forecaster_reads_no_static_columns(tmp_path):
    frame = long_frame(shops(), region=["n", "s", "n"])
    model = trained_on(frame, replace(SMALL, mode="recursive"), id="shop")
    assert model.model.static == 0
    model.save(tmp_path)
    loaded = forecasting.TrainedMany.load(tmp_path)
    one, other = (m.forecast(frame)["south"].point for m in (model, loaded))
    np.testing.assert_allclose(one, other, rtol=1e-6)


# Results.


def test_the_long_frame_of_forecasts():
    frame = long_frame(shops(), region=["n", "s", "n"], area=[10.0, 20.0, 60.0])
    found = trained().forecast(frame).to_frame()
    assert list(found.columns) == ["shop", "day", "sales", "sales 0.1", "sales 0.9"]
    assert found["shop"].tolist() == [name for name in SIZES for _ in range(HORIZON)]
    last = frame.groupby("shop")["day"].max()
    first = found.groupby("shop")["day"].min()
    assert ((first - last).dt.days == 1).all()
    assert found.loc[3, "sales"] == trained()["south"].forecast(shops()["south"]).point[0, 0, 0]
    numbered = trained_on(shops()).forecast(shops()).to_frame("polars")
    assert numbered.columns == ["series", "row", "column_0", "column_0 0.1", "column_0 0.9"]
    assert numbered["row"].to_list()[:3] == [90, 91, 92]


def test_quantiles_and_samples():
    settings = replace(SMALL, quantiles=(0.1, 0.5, 0.9))
    frame = trained_on(shops(), settings, columns=["sales"]).forecast(shops()).to_frame()
    assert list(frame.columns) == ["series", "row", "sales", "sales 0.1", "sales 0.9"]
    model = trained_on(shops(), replace(SMALL, dropout=0.3), columns=["sales"])
    found = model.forecast(shops(), samples=4)
    assert found["east"].samples.shape == (1, HORIZON, 1, 4)
    assert model.errors.paths.std(axis=0).all()


TWELVE = {f"shop {n}": wave(60, n, n + 1) for n in range(12)} | {"new": wave(12)}


@cache
def of_twelve() -> forecasting.TrainedMany:
    return trained_on(TWELVE, columns=["sales"])


@cache
def evaluated() -> forecasting.EvaluationOfMany:
    return of_twelve().evaluate(TWELVE)


def test_errors_are_those_of_each_series():
    alone = of_twelve()["shop 3"].evaluate(TWELVE["shop 3"])
    many = evaluated()
    assert many["shop 3"].scores["model"].mase == alone.scores["model"].mase
    every = many.mase("sales")
    assert every["naive"][3] == alone.scores["naive"].mase[0]
    lines = {line.name: line for line in many.lines("sales")}
    assert lines["model"].mean == pytest.approx(every["model"].mean())
    naive = lines["naive"]
    assert naive.wins == (every["model"] < every["naive"]).sum()
    assert naive.wins + naive.losses <= naive.series == 12
    order = many.ranked("sales")
    assert every["model"][int(order[0].split()[1])] == every["model"].min()


def test_the_comparison_is_a_paired_test_over_series():
    from scipy import stats

    many = evaluated()
    compared = many.comparison("sales")
    every = many.mase("sales")
    best = min((name for name in every if name != "model"), key=lambda n: every[n].mean())
    assert (compared.rival, compared.forecasts) == (best, 12)
    expected = stats.ttest_rel(every["model"], every[best]).pvalue
    assert compared.p_value == pytest.approx(expected)
    assert "12 series, mean MASE" in str(many)
    assert many.left_out["new"].startswith("the training")
    few = forecasting.EvaluationOfMany(dict(list(many.evaluations.items())[:3]), {}, many.id)
    assert few.comparison("sales").verdict == "undecided: too few series"
    assert "3 series are too few for a test" in str(few)


def test_holt_winters_is_run_for_some_of_very_many_series(monkeypatch):
    model, given = of_twelve(), {f"shop {n}": wave(80, n) for n in range(12)}
    whole = model.evaluate(given)
    monkeypatch.setattr("lstmcore.apps.forecasting.many.predictor.MOST_SMOOTHED", 5)
    some = model.evaluate(given)
    assert some.smoothed is not None
    assert len(some.smoothed) == 5
    for name in some.evaluations:
        assert ("Holt-Winters" in some[name].scores) == (name in some.smoothed)
        assert some[name].scores["linear map"] == whole[name].scores["linear map"]
    assert "Holt-Winters was run for 5 of the 12 series, drawn at random" in str(some)
    assert [line.series for line in some.lines("sales")] == [12, 12, 12, 5]
    compared, mase = some.comparison("sales"), some.mase("sales")
    known = ~np.isnan(mase["Holt-Winters"])
    means = {name: errors[known].mean() for name, errors in mase.items() if name != "model"}
    if min(means, key=means.get) != "Holt-Winters":
        assert compared.forecasts == 12
        assert compared.error == pytest.approx(mase["model"].mean())
    # Where it is the best, the model is compared with it over the series that it was run for.
    best = {name: replace_mase(one, "Holt-Winters", 0.01) for name, one in some.evaluations.items()}
    favoured = forecasting.EvaluationOfMany(best, {}, some.id, some.smoothed).comparison("sales")
    assert (favoured.rival, favoured.forecasts, favoured.rivals) == ("Holt-Winters", 5, 3)


def replace_mase(evaluation, name, mase):
    scores = dict(evaluation.scores)
    if name in scores:
        scores[name] = scores[name]._replace(mase=np.array([mase]))
    return evaluation._replace(scores=scores)


def test_the_frame_of_errors_and_the_printed_ones():
    many = evaluated()
    frame = many.to_frame()
    assert list(frame.columns) == ["series", "target", "forecast", "mae", "rmse", "smape", "mase"]
    assert len(frame) == 12 * len(many["shop 0"].scores)
    text = str(many)
    assert all(word in text for word in ("mean MASE", "best", "worst", many.ranked("sales")[-1]))
    assert "Evaluation of 12 series" in many._repr_html_()


def test_new_series_are_evaluated_from_a_row_on():
    model = trained_on(shops(), columns=["sales"])
    found = model.evaluate({"new": wave(60, 8)}, start=40)
    assert found["new"].forecast.origins[0] == 40
    later = np.r_[wave(60, 8)[:40], np.full(20, 1e6)]  # is not read by the scaling
    other = model.evaluate({"new": later}, start={"new": 40})
    np.testing.assert_array_equal(found["new"].forecast.point[0], other["new"].forecast.point[0])
    with pytest.raises(ValueError, match=r"no series can be evaluated: of 'new', it was not"):
        model.evaluate({"new": wave(60, 8)})
    with pytest.raises(ValueError, match=r"start names the series other, but series holds new"):
        model.evaluate({"new": wave(60, 8)}, start={"other": 40})


def test_series_may_be_called_by_numbers():
    tables = {1: wave(90), 2: wave(100, 1)}
    model = trained_on(tables, columns=["sales"])
    evaluated = model.evaluate(tables, start={1: 40, 2: 50})
    assert evaluated["1"].forecast.origins[0] == evaluated[1].forecast.origins[0] == 40
    with pytest.raises(KeyError, match="3 was not evaluated: evaluated are 1, 2"):
        evaluated[3]
    assert len(model.forecast(tables)[1].point) == 1
    assert model[2].columns == ("sales",)
    with pytest.raises(KeyError, match="3 was not forecast: the forecasts are of 1, 2"):
        model.forecast(tables)[3]


def test_the_same_word_in_all_series_is_no_value():
    """A part of a table may hold a single region."""
    frame = long_frame(shops(), region=["n", "n", "n"])
    model = trained_on(frame, id="shop")
    assert model.columns == ("sales",)
    assert len(model.forecast(frame).forecasts) == 3


# Files.


@pytest.mark.parametrize("model", [trained, with_vectors], ids=["plain", "vectors"])
def test_files(model, tmp_path):
    model().save(tmp_path)
    loaded = forecasting.TrainedMany.load(tmp_path)
    given = shops() | {"new": wave(30)}
    static = static_values() | {"new": {"region": "s", "area": 5.0}}
    one, other = (m.forecast(given, static=static) for m in (model(), loaded))
    for name in given:
        np.testing.assert_allclose(one[name].point, other[name].point, rtol=1e-6)
    assert loaded.settings == model().settings
    assert loaded.left_out == model().left_out
    assert list(loaded) == list(SIZES)
    assert loaded.encoder == model().encoder


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": []}, "members are none"),
        ({"embedding": 2}, "series is 0 in the one, 3 by the other"),
        ({"errors": {"paths": [[[1.0]]], "independent": 1.0}}, "is damaged"),
        ({"static": []}, "other static features than 0 numbers"),
        ({"static": [["region"]]}, "is damaged"),
    ],
)
def test_files_that_were_changed(change, message, tmp_path):
    trained().save(tmp_path)
    place = tmp_path / "forecast_many.json"
    stored = json.loads(place.read_text())
    place.write_text(json.dumps(stored | change))
    forge(tmp_path)
    with pytest.raises(ValueError, match=message):
        forecasting.TrainedMany.load(tmp_path)


# Errors.


def test_errors_of_what_is_given():
    frame = long_frame(shops())
    holes = frame.assign(shop=frame["shop"].where(frame.index != 5))
    changing = frame.assign(kind=np.where(frame.index % 2, "a", "b"))
    cases = [
        (wave(90), {}, TypeError, r"series must be \{name: table\}, a list of tables"),
        ({}, {}, TypeError, r"series must be \{name: table\}, .*, got none"),
        (wave(90), {"id": "shop"}, TypeError, "a data frame or a dict of columns to have a column"),
        (frame, {"id": "store"}, ValueError, "series has no column 'store' of ids: it has shop"),
        (holes, {"id": "shop"}, ValueError, "series has no id in column 'shop' of row 5"),
        (changing, {"id": "shop"}, ValueError, "'north' must hold real numbers, .* 'kind'"),
        (
            changing,
            {"id": "shop", "static": ["kind"]},
            ValueError,
            "static names 'kind', which changes within the series 'north', from b to a",
        ),
        (frame, {"id": "shop", "static": ["size"]}, ValueError, "static names 'size' but the"),
        (
            frame.drop(columns="sales"),
            {"id": "shop"},
            ValueError,
            "no column that changes within a series, besides shop",
        ),
        ({1: wave(90), "1": wave(90)}, {}, ValueError, "two tables of the same name"),
        (shops(), {"static": {"north": {"a": 1}}}, ValueError, "nothing of the series south, east"),
        (shops(), {"static": ["area"]}, TypeError, r"static must be \{name of a series"),
        ({"a": wave(9), "b": wave(8)}, {}, ValueError, "of the longest, 'a', the training part"),
        (
            {"a": {"x": wave(90)}, "b": {"y": wave(90)}},
            {},
            ValueError,
            "the table of series 'b' must have the columns x, but it lacks x",
        ),
        (
            {"a": wave(90), "b": np.r_[wave(40), np.nan, wave(40)]},
            {},
            ValueError,
            "series 'b': table has 1 missing value, .*: fill them",
        ),
        (frame.iloc[::-1], {"id": "shop"}, ValueError, "series 'east': row 1 .* comes before"),
        (shops(), {"embedding": -1}, ValueError, "embedding must be at least 0"),
        (
            frame,
            {"id": "shop", "settings": replace(SMALL, calendar="on")},
            ValueError,
            "calendar='on' is for one series, not for many",
        ),
    ]
    for tables, options, kind, message in cases:
        with pytest.raises(kind, match=message):
            trained_on(tables, **options)
