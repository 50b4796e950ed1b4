"""The index of a table's rows goes on after the last: zones, clocks, months, periods, numbers."""

import datetime

import dateutil.tz
import numpy as np
import pandas as pd
import polars as pl
import pytest

from lstmcore.series.row_index import RowIndex

INDEXES = {
    "hours before the clock changes": (
        pd.date_range("2024-03-30 22:00", periods=5, freq="h", tz="Europe/Berlin"),
        ["2024-03-31 04:00+02:00", "2024-03-31 05:00+02:00"],
    ),
    "days over a change of the clock": (
        pd.date_range("2024-03-29", periods=5, freq="D", tz="Europe/Berlin", name="day"),
        ["2024-04-03 00:00+02:00", "2024-04-04 00:00+02:00"],
    ),
    "days in a zone before its clock changes": (
        pd.date_range("2024-03-28", periods=3, freq="D", tz="Europe/Berlin"),
        ["2024-03-31 00:00+01:00", "2024-04-01 00:00+02:00"],
    ),
    "days in a zone whose name narwhals does not know": (
        pd.date_range("2024-03-08", periods=2, freq="D", tz="America/New_York"),
        ["2024-03-10 00:00-05:00", "2024-03-11 00:00-04:00"],
    ),
    "hours in such a zone": (
        pd.date_range("2024-03-10 00:00", periods=2, freq="h", tz="America/New_York"),
        ["2024-03-10 03:00-04:00", "2024-03-10 04:00-04:00"],
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
    "days without a weekend, as pandas knows": (
        pd.date_range("2024-01-04", periods=3, freq="B"),
        ["2024-01-09", "2024-01-10"],
    ),
    "last business days of months": (
        pd.date_range("2024-01-31", periods=4, freq="BME"),
        ["2024-05-31", "2024-06-28"],
    ),
}


@pytest.mark.parametrize("name", INDEXES)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_times_that_come_next_in_a_column(name, library):
    index, after = INDEXES[name]
    expected = [index[-1], *map(pd.Timestamp, after)]
    rows, table = len(index), pd.DataFrame({"x": 1.0, "day": index})
    table = table if library == "pandas" else pl.from_pandas(table)
    found = RowIndex.of(table).frame({"x": [1.0, 2.0, 3.0]}, [rows - 1, rows, rows + 1])
    assert found["day"].dtype == table["day"].dtype
    assert [pd.Timestamp(time) for time in found["day"].to_list()] == expected


def test_days_without_a_frequency_go_on_by_the_clock():
    for zone, days, after in (
        ("Europe/Berlin", ["2024-03-29", "2024-03-30"], ["2024-03-31", "2024-04-01"]),
        ("America/New_York", ["2024-03-09", "2024-03-10"], ["2024-03-11", "2024-03-12"]),
    ):
        table = pd.DataFrame({"x": [1.0, 2.0]}, index=pd.DatetimeIndex(days, tz=zone))
        assert table.index.freq is None
        found = RowIndex.of(table).frame({"x": [0.0, 0.0]}, [2, 3])
        pd.testing.assert_index_equal(found.index, pd.DatetimeIndex(after, tz=zone))
    days = pd.DatetimeIndex(["2024-03-29", "2024-03-30"], tz="UTC").tz_convert("Europe/Berlin")
    table = pd.DataFrame({"x": [1.0, 2.0]}, index=days)
    found = RowIndex.of(table).frame({"x": [0.0, 0.0]}, [2, 3])
    assert list(found.index) == [
        pd.Timestamp("2024-03-31", tz="UTC"),
        pd.Timestamp("2024-04-01", tz="UTC"),
    ]


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


def test_a_column_does_not_take_the_place_of_the_times():
    table = pd.DataFrame({"time": np.arange(4.0)}, index=pd.date_range("2024-01-01", periods=4))
    message = "names of the rows need a column 'time', but another one is called so as well: rename"
    with pytest.raises(ValueError, match=message):
        RowIndex.of(table).frame({"time": [0.0]}, [3], "polars")
    assert list(RowIndex.of(table).frame({"time": [0.0]}, [3])["time"]) == [0.0]
    with pytest.raises(ValueError, match="need a column 'row'"):
        RowIndex.numbered(4).frame({"row": [0.0]}, [3], "pyarrow")


def test_a_zone_without_a_name():
    index = pd.date_range("2024-01-01", periods=3, tz=dateutil.tz.gettz("Europe/Berlin"))
    with pytest.raises(ValueError, match=r"zone tzfile.*, which has no name: convert them to one"):
        RowIndex.of(pd.DataFrame({"load": [1.0, 2.0, 3.0]}, index=index))
