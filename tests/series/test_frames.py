"""Data frames in and out: names and times are kept, carried on after the last row, or refused."""

import datetime
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
from lstmcore.series.row_index import RowIndex, like

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
    assert trained().forecast(ARROW).to_frame().column_names == ["hour", "load", "temp"]
    assert list(trained().forecast(VALUES).to_frame().index) == [ROWS, ROWS + 1, ROWS + 2]
    assert trained().forecast(VALUES).to_frame("polars")["row"].to_list() == [60, 61, 62]
    with pytest.raises(ValueError, match="library must be 'pandas', 'polars' or 'pyarrow', got 'x"):
        forecast.to_frame("xlsx")


def test_several_forecasts_are_numbered_by_their_steps():
    found = trained().forecast(PANDAS, [30, 58]).to_frame()
    assert list(found.columns) == ["step", "load", "temp"]
    assert found["step"].tolist() == [1, 2, 3, 1, 2, 3]
    assert list(found.index[:3]) == list(HOURS[30:33])
    assert list(found.index[3:5]) == list(HOURS[58:])
    assert found.index[5] == HOURS[-1] + pd.Timedelta("1h")


def test_quantiles_and_samples_are_columns():
    quantiles = trained(quantiles=(0.1, 0.5, 0.9))
    forecast = quantiles.forecast(PANDAS)
    found = forecast.to_frame()
    assert list(found.columns) == ["load", "load 0.1", "load 0.9", "temp", "temp 0.1", "temp 0.9"]
    np.testing.assert_array_equal(found["temp 0.9"], forecast.quantiles[0, :, 1, 2])
    forecast = trained(dropout=0.2).forecast(PANDAS, samples=4)
    found = forecast.to_frame(level=0.5)
    assert list(found.columns)[:3] == ["load", "load 0.25", "load 0.75"]
    low, high = forecast.interval(0.5)
    np.testing.assert_array_equal(
        found[["load 0.25", "load 0.75"]], np.c_[low[0, :, 0], high[0, :, 0]]
    )


INDEXES = {
    "hours before the clock changes": (
        pd.date_range("2024-03-30 22:00", periods=5, freq="h", tz="Europe/Berlin"),
        ["2024-03-31 04:00+02:00", "2024-03-31 05:00+02:00"],
    ),
    "days over a change of the clock": (
        pd.date_range("2024-03-29", periods=5, freq="D", tz="Europe/Berlin", name="day"),
        ["2024-04-03 00:00+02:00", "2024-04-04 00:00+02:00"],
    ),
    "ends of months": (
        pd.date_range("2024-01-31", periods=5, freq="ME"),
        ["2024-06-30", "2024-07-31"],
    ),
    "business days": (
        pd.date_range("2024-01-01", periods=10, freq="B"),
        ["2024-01-15", "2024-01-16"],
    ),
}
OF_PANDAS = {  # polars has no zones without a name, and no frequencies
    "months at an offset": (
        pd.date_range("2024-01-01", periods=5, freq="MS", tz="+01:00"),
        ["2024-06-01 00:00+01:00", "2024-07-01 00:00+01:00"],
    ),
    "a week of business days, as pandas knows": (
        pd.date_range("2024-01-01", periods=5, freq="B"),
        ["2024-01-08", "2024-01-09"],
    ),
}


@pytest.mark.parametrize("name", INDEXES)
def test_times_that_come_next_in_a_column(name):
    index, after = INDEXES[name]
    expected = [index[-1], *map(pd.Timestamp, after)]
    rows, table = len(index), pl.from_pandas(pd.DataFrame({"x": 1.0, "day": index}))
    found = RowIndex.of(table).frame({"x": [1.0, 2.0, 3.0]}, [rows - 1, rows, rows + 1])
    assert found["day"].dtype == table["day"].dtype
    assert [pd.Timestamp(time) for time in found["day"].to_list()] == expected


@pytest.mark.parametrize("name", INDEXES | OF_PANDAS)
def test_times_that_come_next_in_an_index(name):
    index, after = (INDEXES | OF_PANDAS)[name]
    rows, table = len(index), pd.DataFrame({"load": 1.0}, index=index)
    found = RowIndex.of(table).frame({"x": [1.0, 2.0, 3.0]}, [rows - 1, rows, rows + 1])
    assert list(found.index) == [index[-1], *map(pd.Timestamp, after)]
    assert found.index.dtype == index.dtype
    assert found.index.name == index.name
    assert found.index.freq == index.freq
    apart = RowIndex.of(table).frame({"x": [1.0, 2.0]}, [0, rows + 1]).index
    assert apart.freq is None


def test_what_comes_after_dates_periods_and_numbers():
    days = pl.DataFrame({"day": [datetime.date(2024, 2, 27 + n) for n in range(3)], "x": [1, 2, 3]})
    found = RowIndex.of(days).frame({"x": [0.0, 0.0]}, [2, 3])
    assert found["day"].to_list() == [datetime.date(2024, 2, 29), datetime.date(2024, 3, 1)]
    quarters = pd.period_range("2024Q3", periods=3, freq="Q", name="quarter")
    found = RowIndex.of(pd.Series([1.0, 2.0, 3.0], quarters)).frame({"x": [0.0]}, [3])
    pd.testing.assert_index_equal(
        found.index, pd.period_range("2025Q2", periods=1, freq="Q", name="quarter")
    )
    found = RowIndex.of(pd.Series([1.0, 2.0], pd.Index([3, 5], name="k"))).frame({"x": [0.0]}, [2])
    pd.testing.assert_index_equal(found.index, pd.Index([7], name="k"))


def test_labels_that_say_no_next_one_are_refused():
    named = PANDAS.set_axis([f"row {number}" for number in range(ROWS)])
    forecast = trained().forecast(named)
    assert forecast.point.shape == (1, 3, 2)
    with pytest.raises(ValueError, match="'row 59', and its index does not say what comes next"):
        forecast.to_frame()
    assert list(trained().forecast(named, [50]).to_frame().index) == ["row 50", "row 51", "row 52"]


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
    shifted = future.set_axis(after + pd.Timedelta("1h"))
    with pytest.raises(ValueError, match="its row 0 is of 2024-04-02 01:00:00, but 2024-04-02 00"):
        model.forecast(PANDAS, future=shifted)


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
            r"is 7 minutes after 2024-01-01T00:00, but most rows are 2 minutes apart: resample",
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


def test_a_lazy_frame_holds_no_rows():
    for use in (anomalies.train, lambda table: forecasting.train(table)):
        with pytest.raises(TypeError, match=r"a LazyFrame of polars, which .* by collect"):
            use(POLARS.lazy())


def test_a_table_of_a_file_is_not_a_frame():
    table = series.Table(("load", "temp"), VALUES, list(range(ROWS)))
    with pytest.raises(
        TypeError, match=r"series.Table, whose names would be lost here: pass .*values"
    ):
        anomalies.train(table)


def test_without_narwhals_it_says_what_to_install(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "narwhals", None)
    with pytest.raises(ImportError, match="need the package narwhals: pip install narwhals"):
        detector().errors(PANDAS)
    assert detector().errors(VALUES).shape == VALUES.shape


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
