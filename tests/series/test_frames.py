"""Data frames in and out: names and times are kept, carried on after the last row, or refused."""

from functools import cache

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from untrained import no_training

import lstmcore as lc
from lstmcore import anomalies, forecasting, series
from lstmcore.series.frames import make_frame
from lstmcore.series.row_index import like

ROWS = 60
VALUES = np.c_[np.sin(np.arange(ROWS) / 3) + 5, 100 * np.cos(np.arange(ROWS) / 5)]
HOURS = pd.date_range("2024-03-30 12:00", periods=ROWS, freq="h", name="hour")
PANDAS = pd.DataFrame(VALUES, columns=["load", "temp"], index=HOURS)
POLARS = pl.from_pandas(PANDAS.reset_index())
ARROW = pa.Table.from_pandas(PANDAS.reset_index(), preserve_index=False)


@pytest.fixture(autouse=True, scope="module")
def untrained():
    """Names and times do not depend on what is learnt."""
    with no_training():
        yield


@cache
def trained(**options):
    settings = forecasting.Settings(window=6, horizon=3, units=2, batch_size=64, **options)
    return forecasting.train(PANDAS, settings=settings)


@cache
def detector(method="prediction"):
    settings = anomalies.Settings(method=method, window=6, units=2, batch_size=64)
    return anomalies.train(PANDAS, settings)


def numbers(frame) -> np.ndarray:
    """The columns of numbers of a frame of any library."""
    return np.column_stack([np.asarray(frame[name]) for name in ("load", "temp")])


WITH_INTERVALS = ["load", "load 0.1", "load 0.9", "temp", "temp 0.1", "temp 0.9"]
DIFFERENCED = series.Preprocessing(difference=(1,)).fit(PANDAS)
ROW_FOR_ROW = {
    "errors": lambda table: detector().errors(table),
    "errors of a reconstruction": lambda table: detector("reconstruction").errors(table),
    "outputs": lambda table: detector().outputs(table),
    "filled": lambda table: DIFFERENCED.filled(table),
    "transform": lambda table: detector().preprocessor.transform(table),
    "inverse_transform": lambda table: detector().preprocessor.inverse_transform(table),
}


@pytest.mark.parametrize("name", ROW_FOR_ROW)
def test_a_frame_comes_back_as_one_with_its_names_and_times(name):
    use = ROW_FOR_ROW[name]
    expected = use(VALUES)
    assert isinstance(expected, np.ndarray)
    found = use(PANDAS)
    pd.testing.assert_index_equal(found.index, HOURS)
    assert list(found.columns) == ["load", "temp"]
    np.testing.assert_array_equal(numbers(found), expected)
    found = use(POLARS)
    assert found.columns == ["hour", "load", "temp"]
    assert found["hour"].equals(POLARS["hour"])
    assert found["hour"].dtype == POLARS["hour"].dtype
    np.testing.assert_array_equal(numbers(found), expected)
    found = use(ARROW)
    assert found.column_names == ["hour", "load", "temp"]
    assert found["hour"].equals(ARROW["hour"])
    assert found["hour"].type == ARROW["hour"].type
    np.testing.assert_array_equal(numbers(found), expected)


def test_rows_that_differencing_drops_are_missing_from_the_index():
    found = DIFFERENCED.transform(PANDAS)
    pd.testing.assert_index_equal(found.index, HOURS[1:])
    np.testing.assert_array_equal(found, DIFFERENCED.transform(VALUES))
    back = DIFFERENCED.inverse_transform(found, before=PANDAS[:1])
    pd.testing.assert_frame_equal(back, PANDAS[1:], check_freq=False)


def test_columns_in_another_order_come_back_in_that_of_training():
    assert list(detector().errors(PANDAS[["temp", "load"]]).columns) == ["load", "temp"]


@pytest.mark.parametrize(
    "index",
    [
        pd.RangeIndex(10, 10 + 2 * ROWS, 2),
        pd.Index([f"row {number}" for number in range(ROWS)], name="label"),
        pd.MultiIndex.from_arrays([np.arange(ROWS) // 10, np.arange(ROWS) % 10]),
        pd.period_range("1990-01", periods=ROWS, freq="M"),
        pd.date_range("2024-03-01", periods=ROWS, freq="D", tz="Europe/Berlin"),
    ],
    ids=["numbers", "texts", "two levels", "months", "days with a change of the clock"],
)
def test_any_index_of_pandas_is_kept(index):
    found = detector().errors(PANDAS.set_axis(index))
    pd.testing.assert_index_equal(found.index, index)
    np.testing.assert_array_equal(found, detector().errors(VALUES))


def test_frames_without_times():
    without = POLARS.drop("hour")
    found = detector().errors(without)
    assert found.columns == ["load", "temp"]
    np.testing.assert_array_equal(found, detector().errors(VALUES))
    unnamed = pd.DataFrame(VALUES)
    plain = series.Preprocessing().fit(unnamed)
    assert plain.columns is None
    assert list(plain.transform(unnamed).columns) == ["column_0", "column_1"]
    one = series.Preprocessing().fit(PANDAS["load"])
    assert list(one.transform(PANDAS["load"]).columns) == ["load"]
    pd.testing.assert_index_equal(one.transform(PANDAS["load"]).index, HOURS)


# Detections.


def test_a_detection_as_a_frame():
    strange = PANDAS.copy()
    strange.iloc[40:43, 1] += 900
    result = anomalies.detect(detector(), strange)
    found = result.to_frame()
    pd.testing.assert_index_equal(found.index, HOURS)
    assert list(found.columns) == [
        "score",
        "is_anomalous",
        "contribution of load",
        "contribution of temp",
    ]
    np.testing.assert_array_equal(found["score"], result.scores)
    np.testing.assert_array_equal(found["is_anomalous"], result.scores > result.threshold.value)
    np.testing.assert_array_equal(found.iloc[:, 2:], result.contributions)
    events = result.events_to_frame()
    first = result.events[0]
    assert list(events.columns) == ["first", "last", "peak", "rows", "score"]
    assert len(events) == len(result.events)
    row = events.iloc[0]
    assert (row["first"], row["last"]) == (HOURS[first.start], HOURS[first.stop - 1])
    assert (row["peak"], row["rows"]) == (HOURS[first.peak], first.stop - first.start)
    assert row["score"] == first.score
    assert result.to_frame("polars").columns[0] == "hour"
    from_array = anomalies.detect(detector(), strange.to_numpy())
    assert from_array.to_frame().index.tolist() == list(range(ROWS))
    assert from_array.to_frame("polars")["row"].to_list() == list(range(ROWS))
    assert from_array.events_to_frame()["first"].tolist() == [e.start for e in result.events]


def test_a_detection_without_events_has_a_frame_of_none():
    events = anomalies.detect(detector(), PANDAS).events_to_frame("polars")
    assert events.shape == (0, 5)


# Forecasts.


def test_a_forecast_goes_on_where_the_table_ends():
    after = pd.date_range(HOURS[-1], periods=4, freq="h", name="hour")[1:]
    forecast = trained().forecast(PANDAS)
    found = forecast.to_frame()
    assert found.index.equals(after)
    assert found.index.name == "hour"
    np.testing.assert_array_equal(found[["load", "temp"]], forecast.point[0])
    found = trained().forecast(POLARS).to_frame()
    assert found["hour"].dtype == POLARS["hour"].dtype
    assert found["hour"].to_list() == after.to_pydatetime().tolist()
    np.testing.assert_array_equal(numbers(found), forecast.point[0])
    assert trained().forecast(ARROW).to_frame().column_names == ["hour", *WITH_INTERVALS]
    assert list(trained().forecast(VALUES).to_frame().index) == [ROWS, ROWS + 1, ROWS + 2]
    assert trained().forecast(VALUES).to_frame("polars")["row"].to_list() == [60, 61, 62]
    with pytest.raises(ValueError, match="library must be 'pandas', 'polars' or 'pyarrow', got 'x"):
        forecast.to_frame("xlsx")


def test_several_forecasts_are_numbered_by_their_steps():
    found = trained().forecast(PANDAS, [30, 58]).to_frame()
    assert list(found.columns) == ["step", *WITH_INTERVALS]
    assert found["step"].tolist() == [1, 2, 3, 1, 2, 3]
    assert list(found.index[:3]) == list(HOURS[30:33])
    assert list(found.index[3:5]) == list(HOURS[58:])
    assert found.index[5] == HOURS[-1] + pd.Timedelta("1h")


def test_quantiles_and_samples_are_columns():
    quantiles = trained(quantiles=(0.1, 0.5, 0.9))
    forecast = quantiles.forecast(PANDAS)
    found = forecast.to_frame()
    assert list(found.columns) == WITH_INTERVALS
    np.testing.assert_array_equal(found["temp 0.9"], forecast.quantiles[0, :, 1, 2])
    forecast = trained(dropout=0.2).forecast(PANDAS, samples=4)
    found = forecast.to_frame(level=0.5)
    assert list(found.columns)[:3] == ["load", "load 0.25", "load 0.75"]
    low, high = forecast.interval(0.5)
    np.testing.assert_array_equal(
        found[["load 0.25", "load 0.75"]], np.c_[low[0, :, 0], high[0, :, 0]]
    )


def test_a_column_of_times_leaves_the_index_of_pandas_as_it_is():
    """By it pandas aligns what is added to the table, whatever the times say."""
    table = PANDAS.reset_index().set_axis(np.arange(100, 100 + ROWS))
    changes = DIFFERENCED.transform(table)
    pd.testing.assert_index_equal(changes.index, table.index[1:])
    assert (table["hour"][changes.index] == changes["hour"]).all()
    assert list(trained().forecast(table).to_frame().index) == [160, 161, 162]
    named = table.set_axis([f"row {number}" for number in range(ROWS)])
    pd.testing.assert_index_equal(detector().errors(named).index, named.index)
    found = trained().forecast(named).to_frame()  # which have times, but no labels
    assert list(found["hour"]) == list(pd.date_range(HOURS[-1], periods=4, freq="h")[1:])


def test_a_target_does_not_take_the_place_of_the_steps():
    forecast = trained().forecast(PANDAS, [50, 51])._replace(targets=("step", "temp"))
    with pytest.raises(
        ValueError, match="two columns 'step', since a target has this name: rename"
    ):
        forecast.to_frame()


def test_labels_that_say_no_next_one_are_refused():
    named = PANDAS.set_axis([f"row {number}" for number in range(ROWS)])
    forecast = trained().forecast(named)
    assert forecast.point.shape == (1, 3, 2)
    with pytest.raises(ValueError, match="'row 59', and its index does not say what comes next"):
        forecast.to_frame()
    assert list(trained().forecast(named, [50]).to_frame().index) == ["row 50", "row 51", "row 52"]
    with pytest.raises(ValueError, match=r"is .*0.*, and its index does not say what comes next"):
        trained().forecast(PANDAS.set_axis([0] * ROWS)).to_frame()


def test_future_covariates_go_on_where_the_table_ends():
    settings = forecasting.Settings(
        window=6, horizon=3, units=2, targets=("load",), future_covariates=("temp",)
    )
    model = forecasting.train(PANDAS, settings=settings)
    after = pd.date_range(HOURS[-1], periods=4, freq="h")[1:]
    future = pd.DataFrame({"temp": [1.0, 2.0, 3.0]}, index=after)
    found = model.forecast(PANDAS, future=future)
    np.testing.assert_array_equal(
        found.point, model.forecast(VALUES, future=future[["temp"]].to_numpy()).point
    )
    daily = PANDAS.set_axis(pd.period_range(end=HOURS[-1], periods=ROWS, freq="D"))
    midnights = pd.date_range(HOURS[-1].normalize(), periods=4)[1:]
    dates = pl.DataFrame({"day": list(midnights.date), "temp": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(  # one day, whatever its type
        model.forecast(daily, future=dates).point, found.point
    )
    shifted = future.set_axis(after + pd.Timedelta("1h"))
    with pytest.raises(ValueError, match="its row 0 is of 2024-04-02 01:00:00, but 2024-04-02 00"):
        model.forecast(PANDAS, future=shifted)
    numbered = PANDAS.reset_index(drop=True)
    for numbers in ([0, 1, 2], [60, 61, 62]):  # those of a new frame, and those that come next
        again = model.forecast(numbered, future=future.set_axis(numbers))
        np.testing.assert_array_equal(again.point, found.point)
    with pytest.raises(ValueError, match="its row 0 is of 7, but 60 comes next"):
        model.forecast(numbered, future=future.set_axis([7, 8, 9]))


# What is refused.


def at(*labels: str | None) -> pd.DataFrame:
    times = pd.to_datetime(pd.Series(labels), format="mixed")
    return pd.DataFrame({"load": np.arange(len(labels)) * 1.0}, index=pd.DatetimeIndex(times))


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (
            at("2024-01-01", "2024-01-03", "2024-01-02"),
            series.UnsortedTimesError,
            r"row 2 \(2024-01-02\) comes before 2024-01-03, the row above it: sort",
        ),
        (
            at("2024-01-01", "2024-01-02", "2024-01-02"),
            series.DuplicateTimesError,
            r"row 2 \(2024-01-02\) has the same time as the row before it",
        ),
        (
            at("2024-01-01", "2024-01-02", "2024-01-04"),
            series.IrregularTimesError,
            r"row 2 .* comes after a gap: at steps of 1 day, 1 row of the table is left out",
        ),
        (
            at("2024-01-01 00:00", "2024-01-01 00:07", "2024-01-01 00:09"),
            series.IrregularTimesError,
            r"is 7 minutes after 2024-01-01T00:00, but rows are usually 2 minutes apart: resample",
        ),
        (
            at("2024-01-01", None, "2024-01-03"),
            series.MixedTimesError,
            r"row 1 .* has no time: remove the row, or write its time",
        ),
    ],
    ids=["unsorted", "duplicate", "gap", "irregular", "missing"],
)
def test_times_that_are_no_regular_steps(table, error, message):
    frames = [table, pl.from_pandas(table.reset_index(names="day"))]
    for frame in frames:
        for use in (
            series.Preprocessing().fit,
            anomalies.train,
            lambda frame: forecasting.train(frame),
            lambda frame: forecasting.backtest(frame),
        ):
            with pytest.raises(error, match=message):
                use(frame)


def test_times_are_checked_wherever_a_table_is_read_again():
    shuffled = PANDAS.iloc[::-1]
    for use in [*ROW_FOR_ROW.values(), trained().forecast, trained().run, trained().evaluate]:
        with pytest.raises(series.UnsortedTimesError, match="sort the rows by time"):
            use(shuffled)
    with pytest.raises(series.UnsortedTimesError, match="sort the rows by time"):
        next(anomalies.gate_traces(detector(), shuffled, [(10, 20)]))


@pytest.mark.parametrize("table", [PANDAS, POLARS, ARROW, PANDAS["load"], POLARS["load"]])
@pytest.mark.parametrize(
    "use",
    [
        lambda table: lc.windows(table, 3),
        lambda table: series.difference(table, (1,)),
        lambda table: series.undifference(table, np.zeros((1, 2)), (1,)),
        lambda table: series.fit_scaler(table, "standard"),
        lambda table: series.fit_filling(table, "mean"),
        lambda table: series.unwindow(table),
        lambda table: series.temporalize(table, range(ROWS), 3),
        lambda table: series.insert_gaps(table, series.check_times(HOURS.to_numpy())),
    ],
    ids=[
        "windows",
        "difference",
        "undifference",
        "fit_scaler",
        "fit_filling",
        "unwindow",
        "temporalize",
        "insert_gaps",
    ],
)
def test_arrays_cannot_hold_names(table, use):
    message = r"whose names would be lost here: pass (\w+\.to_numpy|np\.asarray)\("
    with pytest.raises(TypeError, match=message):
        use(table)


def test_names_that_do_not_tell_columns_apart():
    with pytest.raises(ValueError, match="table has more than one column '1': rename them"):
        series.Preprocessing().fit(PANDAS.set_axis([1, "1"], axis=1))


def test_numbered_columns_in_another_order():
    """As those of an array they would be taken by their place."""
    numbered = pd.DataFrame(VALUES)
    fitted = series.Preprocessing().fit(numbered)
    assert fitted.columns is None
    message = r"has the columns 1, 0, numbered but not in order: sort them \(sort_index\(axis=1\)"
    with pytest.raises(ValueError, match=message):
        fitted.transform(numbered[[1, 0]])


def test_a_lazy_frame_holds_no_rows():
    for use in (anomalies.train, lambda table: forecasting.train(table)):
        with pytest.raises(TypeError, match=r"a LazyFrame of polars, which .* by collect"):
            use(POLARS.lazy())


def test_an_array_function_refuses_the_table_of_a_file():
    table = series.Table(("load", "temp"), VALUES, range(ROWS))
    with pytest.raises(
        TypeError, match=r"series.Table, whose names would be lost here: pass .*values"
    ):
        series.fit_scaler(table, "standard")


def test_without_narwhals_it_says_what_to_install(monkeypatch):
    import sys

    trained = detector()
    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError, match="need the package narwhals: pip install narwhals"):
        trained.errors(PANDAS)
    assert trained.errors(VALUES).shape == VALUES.shape


def test_frames_of_libraries_that_are_not_there():
    with pytest.raises(ImportError, match="a frame of modin needs that package: pip install modin"):
        make_frame({"x": [1]}, "modin")
    with pytest.raises(
        ValueError, match="library must be 'pandas', 'polars' or 'pyarrow', got 'no"
    ):
        make_frame({"x": [1]}, "none")


def test_like_gives_any_other_table_its_numbers():
    assert like(VALUES.tolist(), VALUES) is VALUES
    assert like({"load": [1.0]}, VALUES) is VALUES


def test_statistics_know_the_names():
    gone = PANDAS.copy()
    gone.iloc[3, 1] = np.nan
    assert str(series.missing(gone)).startswith("temp: 1 of 60 values missing")
    assert str(series.missing(pl.from_pandas(gone))).startswith("no missing") is False
