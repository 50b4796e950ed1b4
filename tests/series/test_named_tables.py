"""Tables with names: columns are matched by name, in every function that takes a table again."""

from functools import cache

import numpy as np
import pandas as pd
import polars
import pyarrow
import pytest
from untrained import no_training

import lstmcore as lc
from lstmcore import anomalies, forecasting, series
from lstmcore.series import arguments

ROWS = 80
LOAD = np.sin(np.arange(ROWS) / 3) + 5
TEMP = 100 * np.cos(np.arange(ROWS) / 5)
FRAME = pd.DataFrame({"load": LOAD, "temp": TEMP})
SWAPPED = FRAME[["temp", "load"]]
DAY = pd.to_datetime(["2024-01-01"])
EXTRA = FRAME.assign(wind=1.0)


# Each holds the two columns in the other order than FRAME does.
OTHERS = {
    "pandas": SWAPPED,
    "dict": {"temp": TEMP, "load": LOAD},
    "polars": polars.from_pandas(SWAPPED),
    "pyarrow": pyarrow.Table.from_pandas(SWAPPED),
}


@pytest.fixture(autouse=True, scope="module")
def untrained():
    """Which column is which does not depend on what is learnt."""
    with no_training():
        yield


SETTINGS = forecasting.Settings(window=6, horizon=2, units=2, epochs=1, batch_size=64)


@cache
def trained():
    return forecasting.train(FRAME, settings=SETTINGS)


@cache
def detector(method="prediction"):
    settings = anomalies.Settings(method=method, window=6, units=2, epochs=1, batch_size=64)
    return anomalies.train(FRAME, settings)


FUNCTIONS = {
    "forecast": lambda table: trained().forecast(table).point,
    "forecast from the middle": lambda table: trained().forecast(table, [40, 50]).point,
    "run": lambda table: trained().run(table, [40]).outputs,
    "evaluate": lambda table: trained().evaluate(table).scores["model"].mae,
    "errors": lambda table: detector().errors(table),
    "outputs": lambda table: detector().outputs(table),
    "detect": lambda table: anomalies.detect(detector(), table).scores,
    "gate_traces": lambda table: (
        next(anomalies.gate_traces(detector(), table, [(20, 30)]))[1].inputs
    ),
    "preprocessor": lambda table: detector().preprocessor.transform(table),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_order_of_named_columns_does_not_matter(name):
    expected = FUNCTIONS[name](FRAME.to_numpy())  # without names
    for table in (FRAME, *OTHERS.values()):
        np.testing.assert_array_equal(FUNCTIONS[name](table), expected)


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (EXTRA, "must have the columns load, temp, but it also has wind: select"),
        (FRAME[["load"]], "must have the columns load, temp, but it lacks temp: select"),
        (FRAME.rename(columns={"temp": "Temp"}), "but it lacks temp and also has Temp"),
        (FRAME["load"], "but it lacks temp: select"),
    ],
)
def test_other_columns_are_refused(name, table, message):
    with pytest.raises(ValueError, match=message):
        FUNCTIONS[name](table)


@pytest.mark.parametrize("kind", OTHERS)
def test_a_table_gives_its_names_in_training(kind):
    table = OTHERS[kind]
    settings = forecasting.Settings(window=6, horizon=2, units=2, epochs=1, targets=("load",))
    found = forecasting.train(table, settings=settings)
    assert found.columns == ("temp", "load")
    assert found.targets == ("load",)
    preprocessor = series.Preprocessing().fit(table)
    assert preprocessor.columns == ("temp", "load")
    assert preprocessor.select([1]).columns == ("load",)
    np.testing.assert_array_equal(
        preprocessor.transform(FRAME), preprocessor.transform(np.c_[TEMP, LOAD])
    )


def test_names_that_are_given_choose_the_order():
    found = forecasting.train(SWAPPED, ["load", "temp"], SETTINGS)
    assert found.columns == ("load", "temp")
    np.testing.assert_array_equal(found.forecast(FRAME).point, trained().forecast(FRAME).point)
    with pytest.raises(ValueError, match="columns load, temp, but it also has wind"):
        forecasting.train(EXTRA, ["load", "temp"], SETTINGS)
    with pytest.raises(ValueError, match="columns load, price, but it lacks price and also has te"):
        forecasting.backtest(FRAME, ["load", "price"], SETTINGS)
    plain = forecasting.train(FRAME.to_numpy(), settings=SETTINGS)
    assert plain.columns == ("column_0", "column_1")
    assert forecasting.train(LOAD, settings=SETTINGS).columns == ("column_0",)


def test_columns_known_in_advance_are_matched_by_name():
    settings = forecasting.Settings(
        window=6,
        horizon=2,
        units=2,
        epochs=1,
        targets=("load",),
        future_covariates=("temp", "wind"),
    )
    found = forecasting.train(EXTRA, settings=settings)
    future = pd.DataFrame({"wind": [1.0, 1.0], "temp": [3.0, 4.0]})
    expected = found.forecast(EXTRA, future=[[3.0, 1.0], [4.0, 1.0]]).point
    np.testing.assert_array_equal(found.forecast(EXTRA, future=future).point, expected)
    with pytest.raises(ValueError, match="future must have the columns temp, wind, but it lacks w"):
        found.forecast(EXTRA, future=future[["temp"]])


def test_rows_of_an_alarm_are_matched_by_name():
    alarm = anomalies.OnlineDetector.of(detector(), 1.0)
    rows = {
        "dict": {"temp": TEMP[0], "load": LOAD[0]},
        "row of a frame": SWAPPED.iloc[0],
        "named tuple": next(SWAPPED.itertuples(index=False)),
        "array": np.array([LOAD[0], TEMP[0]]),
    }
    for row in rows.values():
        np.testing.assert_array_equal(alarm.step(row)[1].recent, [[LOAD[0], TEMP[0]]])
    with pytest.raises(ValueError, match="row must have the columns load, temp, but it lacks temp"):
        alarm.step({"load": 1.0})
    with pytest.raises(ValueError, match="but it also has Index"):
        alarm.step(next(SWAPPED.itertuples()))


def test_a_saved_detector_knows_its_columns(tmp_path):
    detector().save(tmp_path)
    loaded = anomalies.Detector.load(tmp_path)
    np.testing.assert_array_equal(loaded.errors(SWAPPED), detector().errors(FRAME))
    with pytest.raises(ValueError, match="but it lacks temp"):
        loaded.errors({"load": LOAD})


def test_a_preparation_without_names_is_read_as_before():
    stored = series.Preprocessing().fit(FRAME.to_numpy()).to_json()
    del stored["columns"]  # as versions wrote it that knew no names
    assert series.Preprocessor.from_json(stored).columns is None
    with pytest.raises(ValueError, match="it names 1 of 2 columns"):
        series.Preprocessor.from_json(stored | {"columns": ["load"]})


def test_features_for_scikit_learn_refuse_another_order():
    from lstmcore.apps.estimators import LatentFeatures

    features = LatentFeatures(lc.DenseAutoencoder(2, (1,)), epochs=1).fit(FRAME)
    assert list(features.feature_names_in_) == ["load", "temp"]
    with pytest.raises(ValueError, match="same order"):
        features.transform(SWAPPED)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (pd.DataFrame({"a": [1, 2], "b": pd.array([1, None], "Int64")}), [[1, 1], [2, np.nan]]),
        (pd.DataFrame({"a": [1.5, None], "b": [1, 2]}), [[1.5, 1], [np.nan, 2]]),
        (pd.DataFrame(np.eye(2)), [[1, 0], [0, 1]]),
        (pd.Series([1, 2], name="a"), [[1], [2]]),
        ([3, 4], [[3], [4]]),
    ],
)
def test_what_a_table_may_be(table, expected):
    np.testing.assert_array_equal(arguments.as_table(table), expected)
    assert arguments.column_names(pd.DataFrame(np.eye(2))) is None
    assert arguments.column_names(pd.Series([1.0])) is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"a": ["x"], "b": [1]}, "table must hold real numbers, but its column 'a' is of type <U1"),
        (pd.DataFrame({"a": [1], "b": [True]}), "its column 'b' is of type bool: convert it"),
        (
            pd.DataFrame({"a": [1], "t": DAY, "u": DAY}),
            "'t' is of type datetime64.us.: convert it, or leave it out",
        ),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "more than one column 'a': rename them"),
        ({"a": [1, 2], "b": [1]}, r"columns of unequal lengths: \[1, 2\]"),
        ({"a": np.ones((2, 2))}, r"one number in each cell, but its column 'a' has shape \(2, 2\)"),
        (np.zeros((2, 2, 2)), r"table must be \[rows\] or \[rows, features\], got shape"),
    ],
)
def test_what_no_table_is(table, message):
    with pytest.raises(ValueError, match=message):
        arguments.as_table(table)


def test_errors_stay_short_for_many_columns():
    wide = {f"{'sensor' * 50}_{number}": [1.0] for number in range(5000)}
    with pytest.raises(ValueError, match="and 4,994 more") as error:
        arguments.as_table(wide, ("a",))
    assert len(str(error.value)) < 500
