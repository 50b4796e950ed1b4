"""The table of a file is taken where a data frame is, and becomes one."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import polars as pl
import pytest
from untrained import no_training

from lstmcore import anomalies, estimators, forecasting, series
from lstmcore.series.filling import check_cells
from lstmcore.series.row_index import RowIndex
from lstmcore.study import plots

ROWS = 60
HOURS = pd.date_range("2024-03-30 12:00", periods=ROWS, freq="h", name="when")
VALUES = np.c_[np.sin(np.arange(ROWS) / 3) + 5, 100 * np.cos(np.arange(ROWS) / 5)]
FRAME = pd.DataFrame(VALUES, columns=["load", "temp"], index=HOURS)


@pytest.fixture(autouse=True, scope="module")
def untrained():
    """Names and times do not depend on what is learnt."""
    with no_training():
        yield


@pytest.fixture
def read(tmp_path):
    def read(frame, **options):
        frame.to_csv(tmp_path / "t.csv")
        return series.read_csv(tmp_path / "t.csv", missing=True, **options)

    return read


def test_the_frame_of_a_table_is_that_of_the_file(read):
    table = read(FRAME)
    pd.testing.assert_frame_equal(table.to_frame(), FRAME, check_freq=False, check_index_type=False)
    polars = table.to_frame("polars")
    assert isinstance(polars, pl.DataFrame)
    assert polars.columns == ["when", "load", "temp"]
    assert polars["when"].to_list() == HOURS.to_pydatetime().tolist()
    assert table.to_frame("pyarrow").column_names == ["when", "load", "temp"]
    first = table.first(3).to_frame()
    pd.testing.assert_frame_equal(first, FRAME[:3], check_freq=False, check_index_type=False)
    with pytest.raises(ValueError, match="library must be 'pandas', 'polars' or 'pyarrow'"):
        table.to_frame("excel")


def test_years_labels_and_numbers_of_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("year,x\n1990,1\n1991,2\n1993,4\n")
    table = series.read_csv(path)
    assert table.to_frame().index.tolist() == [1990, 1991, 1993]
    assert series.regular(table).to_frame().index.tolist() == [1990, 1991, 1992, 1993]
    assert table.to_frame("polars").to_dict(as_series=False) == {
        "year": [1990, 1991, 1993],
        "x": [1, 2, 4],
    }
    path.write_text("place,x\nnorth,1\nsouth,2\n")
    places = series.read_csv(path)
    assert places.to_frame()["x"].to_dict() == {"north": 1, "south": 2}
    assert places.to_frame("polars")["place"].to_list() == ["north", "south"]
    path.write_text("x,y\n1,5\n2,6\n")
    numbered = series.read_csv(path)
    assert numbered.to_frame().index.tolist() == [0, 1]
    assert numbered.to_frame("polars").columns == ["x", "y"]
    clash = places._replace(columns=("place",))
    with pytest.raises(ValueError, match="the labels of the rows need a column 'place'"):
        clash.to_frame("polars")


def test_times_of_a_zone_keep_it(read):
    zoned = FRAME.tz_localize("UTC").tz_convert("Europe/Berlin")  # the clock is put forward
    local = zoned.tz_localize(None)
    table = read(local, time_zone="Europe/Berlin")
    assert (table.to_frame().index == zoned.index).all()
    days = read(local[::24], time_zone="Europe/Berlin")
    assert str(days.to_frame().index.tz) == "Europe/Berlin"
    assert (days.to_frame().index.tz_localize(None) == local.index[::24]).all()


SETTINGS = {"window": 6, "units": 2, "batch_size": 64}


def test_applications_take_a_table_as_they_take_a_frame(read):
    table = read(FRAME)
    trained = forecasting.train(table, settings=forecasting.Settings(horizon=3, **SETTINGS))
    assert trained.columns == ("load", "temp")
    after = trained.forecast(table).to_frame()
    assert after.index.tolist() == [HOURS[-1] + hour * HOURS.freq for hour in (1, 2, 3)]
    np.testing.assert_array_equal(after, trained.forecast(FRAME).to_frame())
    detector = anomalies.train(table, anomalies.Settings(**SETTINGS))
    assert detector.preprocessor.columns == ("load", "temp")
    result = anomalies.detect(detector, table)
    assert (result.to_frame().index == HOURS).all()
    other = table._replace(columns=("load", "wind"))
    with pytest.raises(ValueError, match="it lacks temp and also has wind"):
        detector.errors(other)


def test_gaps_are_refused_until_they_are_filled(read):
    gappy = read(FRAME.drop(HOURS[[20, 21]]))
    settings = forecasting.Settings(horizon=3, **SETTINGS)
    with pytest.raises(
        series.IrregularTimesError,
        match=r"row 20 \(2024-03-31 10:00.*\) comes after a gap: .* 2 rows .* series.regular\(tab",
    ):
        forecasting.train(gappy, settings=settings)
    whole = series.regular(gappy)
    assert (whole.to_frame().index == HOURS).all()
    with pytest.raises(
        ValueError, match="4 missing values, the first in column 'load' at 2024-03-31 08:00"
    ):
        forecasting.train(whole, settings=settings)


def test_sessions_go_on_by_their_own_calendar(read):
    days = pd.bdate_range("2024-01-01", periods=12)
    hours = pd.DatetimeIndex([day + pd.Timedelta(h, "h") for day in days for h in (9, 10, 11)])
    table = read(
        pd.DataFrame({"x": np.sin(np.arange(36.0))}, hours.rename("when")), consecutive=True
    )
    index = RowIndex.of(table)
    assert index.texts(np.array([35, 36, 38, 39])) == [
        "2024-01-16 11:00", "2024-01-17 09:00", "2024-01-17 11:00", "2024-01-18 09:00",
    ]  # fmt: skip
    ticks = pd.DatetimeIndex(["2024-01-01 10:00", "2024-01-01 10:07", "2024-01-03 17:00"])
    odd = read(pd.DataFrame({"x": [1.0, 2, 3]}, ticks.rename("when")), consecutive=True)
    with pytest.raises(ValueError, match="times of the table do not say what comes next"):
        RowIndex.of(odd).texts(np.array([3]))


HOLE = FRAME.copy()
HOLE.iloc[50, 1] = np.nan
PLACES = {
    "an index of times": (HOLE, "column 'temp' at 2024-04-01 14:00"),
    "a column of times": (pl.from_pandas(HOLE.reset_index()), "column 'temp' at 2024-04-01 14:00"),
    "numbers from 0": (HOLE.reset_index(drop=True), r"column 'temp', row 50 \(counted from 0\)"),
    "numbers from 100": (HOLE.set_axis(range(100, 100 + ROWS)), "column 'temp' at 150"),
    "a dict": (dict(HOLE), r"column 'temp', row 50 \(counted from 0\)|'temp' at"),
    "an array": (HOLE.to_numpy(), r"row 50, column 1 \(counted from 0\)"),
    "a table": (
        series.Table(("load", "temp"), HOLE.to_numpy(), [f"day {n}" for n in range(ROWS)], "day"),
        "column 'temp' at day 50",
    ),
}


@pytest.mark.parametrize(("table", "place"), PLACES.values(), ids=PLACES)
def test_a_missing_value_is_named_by_column_and_time(table, place):
    message = f"table has 1 missing value, the first in {place}: fill them with Preprocessing"
    with pytest.raises(ValueError, match=message):
        series.Preprocessing().fit(table)
    with pytest.raises(ValueError, match=message):
        anomalies.train(table, anomalies.Settings(**SETTINGS))
    if "'" in place:
        with pytest.raises(ValueError, match=message):
            forecasting.train(table, settings=forecasting.Settings(horizon=3, test=0, **SETTINGS))


def test_other_values_that_are_refused_are_named_likewise():
    late = FRAME.copy()
    late.iloc[:2, 0] = np.nan
    message = "column 'load' starts with 2 missing values, .*: start at 2024-03-30 14:00, fill"
    with pytest.raises(ValueError, match=message):
        series.Preprocessing(missing="forward").fit(late)
    huge = FRAME.copy()
    huge.iloc[3, 1] = np.inf
    with pytest.raises(ValueError, match="holds inf in column 'temp' at 2024-03-30 15:00: inf"):
        series.Preprocessing().fit(huge)
    check_cells(late, "refuse", rows=0)
    check_cells(late, "mean")


def test_the_report_of_missing_values_names_the_first_time():
    assert str(series.missing(HOLE)) == (
        "temp: 1 of 60 values missing (1.7%), the first at 2024-04-01 14:00, at most 1 consecutive"
    )


def test_without_a_library_of_frames_a_table_is_an_array(monkeypatch, read):
    table = read(FRAME)
    monkeypatch.setattr("lstmcore.series.row_index.installed_library", lambda: None)
    assert RowIndex.of(table) is None
    preprocessor = series.Preprocessing().fit(table)
    assert preprocessor.columns == ("load", "temp")
    assert isinstance(preprocessor.transform(table), np.ndarray)


def test_other_functions_of_tables_take_it_or_say_what_to_pass(read):
    table = read(FRAME)
    assert len(series.stationarity(table)) == len(series.stationarity(dict(FRAME))) == 2
    figure = plots.plot_anomalies(table, np.zeros(ROWS), 1.0, [])
    assert [axes.get_ylabel() for axes in figure.axes] == ["load", "temp", "score"]
    plt.close(figure)
    with pytest.raises(TypeError, match=r"X is a series.Table, .* pass X.to_frame\(\)"):
        estimators.SeriesForecaster(window=3).fit(table)
