"""Rows sorted, merged and resampled by their times, without loss and without later rows."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstmcore import series
from lstmcore.series.times.calendar import find_calendar, usual_interval

AGGREGATES = ["mean", "sum", "first", "last", "min", "max"]
MOMENTS = st.lists(
    st.integers(0, 40_000).map(lambda n: datetime(2024, 2, 28, 22) + timedelta(seconds=n)),
    min_size=2,
    max_size=40,
)


def table(rows: int, seed: int = 0) -> np.ndarray:
    values = np.random.default_rng(seed).normal(size=(rows, 2))
    values[np.random.default_rng(seed + 1).random((rows, 2)) < 0.2] = np.nan
    return values


@given(MOMENTS, st.sampled_from(AGGREGATES), st.integers(0, 99))
def test_double_times_become_one_row_as_in_pandas(moments, how, seed):
    moments = [moment.replace(second=0) for moment in moments]
    values = table(len(moments), seed)
    column, ordered = series.sort_rows(series.read_times(moments), values)
    merged, rows = series.merge_duplicates(column, ordered, how)
    frame = pd.DataFrame(ordered, index=pd.DatetimeIndex(column.times))
    expected = frame.groupby(level=0).agg(how, **({"min_count": 1} if how == "sum" else {}))
    np.testing.assert_array_equal(merged.times, expected.index.to_numpy())
    np.testing.assert_allclose(rows, expected.to_numpy(), rtol=1e-12)
    assert len(merged.labels) == len(merged.times)


@given(MOMENTS, st.sampled_from(AGGREGATES), st.sampled_from(["10min", "1h", "7 s"]))
def test_a_row_holds_what_came_up_to_its_time_as_in_pandas(moments, how, every):
    moments = sorted(moments)
    values = table(len(moments))
    frame = pd.DataFrame(values, index=pd.DatetimeIndex(moments))
    rule = every.replace(" ", "")
    binned = frame.resample(rule, closed="right", label="right", origin="epoch")
    expected = binned.agg(how, **({"min_count": 1} if how == "sum" else {}))
    expected = expected[binned.size() > 0]
    column = series.read_times([str(moment) for moment in moments])
    try:
        result = series.resample(column, values, every, how)
    except ValueError:  # both ends, and nothing between them
        assert len(expected) <= 2
        return
    found = expected.index.get_indexer(result.column.times)
    assert (found >= 0).all()
    np.testing.assert_allclose(result.values, expected.to_numpy()[found], rtol=1e-12)
    # Only the ends are left out, and each of their rows is counted.
    assert len(expected) - len(found) <= 2
    lost = expected.index.difference(result.column.times)
    assert result.left_out == int(binned.size()[lost].sum())


CALENDAR = {
    # every: the first rows, how many rows, rows of the ends that are left out
    "day": (["2023-12-28 00:00", "2023-12-29 00:00"], 96, 0),
    "2 days": (["2023-12-28 00:00", "2023-12-30 00:00"], 48, 0),
    "week": (["2024-01-01 00:00", "2024-01-08 00:00"], 13, (4 + 1) * 24),
    "month": (["2024-01-01 00:00", "2024-02-01 00:00"], 3, (4 + 1) * 24),
    "quarter": (["2024-01-01 00:00"], 1, (4 + 1) * 24),
    "MS": (["2024-01-01 00:00", "2024-02-01 00:00"], 3, (4 + 1) * 24),
    "3h": (["2023-12-28 03:00", "2023-12-28 06:00"], 96 * 8 - 1, 1 + 2),
}


@pytest.mark.parametrize(("every", "expected"), CALENDAR.items(), ids=CALENDAR)
def test_days_and_months_are_those_of_the_calendar(every, expected):
    hours = [datetime(2023, 12, 28) + timedelta(hours=hour) for hour in range(96 * 24)]
    texts = [f"{hour:%Y-%m-%d %H:%M}" for hour in hours]
    result = series.resample(series.read_times(texts), np.ones(len(texts)), every, "sum")
    first, rows, left_out = expected
    assert list(result.column.labels[: len(first)]) == first
    assert (len(result.values), result.left_out) == (rows, left_out)
    assert result.values.sum() == len(texts) - left_out
    assert series.check_times(result.column) is None or series.check_times(result.column).gaps == 0


def test_days_of_a_time_zone_are_its_own():
    local = [f"2024-03-{day:02} {hour:02}:00" for day in (30, 31) for hour in range(24)]
    local.remove("2024-03-31 02:00")
    column = series.read_times(local, time_zone="Europe/Berlin")
    days = series.resample(column, np.ones(47), "day", "sum")
    assert list(days.column.labels) == ["2024-03-30 00:00", "2024-03-31 00:00"]
    assert days.values[:, 0].tolist() == [24, 23]
    hours = series.resample(column, np.ones(47), "2h", "sum")
    assert series.check_times(hours.column).gaps == 0
    assert set(hours.values[:, 0]) == {2}


def test_months_and_numbers_are_resampled_too():
    months = series.read_times([f"2023{month:02}" for month in range(1, 13)])
    quarters = series.resample(months, np.arange(12), "quarter", "last")
    assert list(quarters.column.labels) == ["202301", "202304", "202307", "202310"]
    assert quarters.values[:, 0].tolist() == [2, 5, 8, 11]
    cut = series.resample(months.take(slice(0, 11)), np.arange(11), "quarter", "last")
    assert (list(cut.column.labels), cut.left_out) == (["202301", "202304", "202307"], 2)
    numbers = series.resample(series.read_times(range(1, 10)), np.arange(1, 10), "3", "max")
    assert list(numbers.column.labels) == ["3", "6", "9"]
    assert numbers.values[:, 0].tolist() == [3, 6, 9]


def test_each_column_has_its_own_aggregate():
    column = series.read_times(["2024-01-01", "2024-01-01", "2024-01-02"])
    _, values = series.merge_duplicates(column, [[1, 1], [3, 3], [5, 5]], ["sum", "max"])
    assert values.tolist() == [[4, 3], [5, 5]]


COLUMN = series.read_times(["2024-01-01", "2024-01-02", "2024-01-03"])
START = np.datetime64("2024-01-01", "us")
INTERVALS = {  # times in their units after the start, and the interval that is usual
    "one of five is off": ("m", [0, 5, 10, 15, 20, 84], "5min"),
    "a lost row and a late one": ("h", [0, 1, 2, 4, 5.5], "1h"),
    "two hours": ("h", [0, 2, 4, 6, 7], "2h"),
    "seconds of jitter": ("s", [0, 597, 1203, 1801, 2398, 3004], "10min"),
    "weeks": ("D", [0, 7, 14, 22, 29, 36], "7d"),
    "months": ("D", [0, 31, 60, 92, 121], "1month"),
    "of no usual step": ("m", [0, 1, 3, 10, 14, 20], "10min"),
    "years apart": ("D", [0, 300, 1300], "1y"),
}


@pytest.mark.parametrize(("unit", "after", "interval"), INTERVALS.values(), ids=INTERVALS)
def test_the_interval_to_resample_irregular_times_at(unit, after, interval):
    seconds = np.array(after) * np.timedelta64(1, unit).astype("m8[s]").astype(int)
    times = START + seconds.astype(int).astype("m8[s]")
    assert usual_interval(times) == interval


@given(st.integers(0, 2**32 - 1))
def test_the_usual_interval_can_be_resampled_at(seed):
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, 10 ** rng.integers(2, 8), 60)
    times = START + np.concatenate([[0], np.cumsum(steps)]).astype("m8[s]")
    assume(find_calendar(times) is None)
    column = series.read_times(times)
    assume((times[-1] - times[0]) > 4 * np.diff(times).max())  # or no interval is filled
    resampled = series.resample(column, np.ones(len(times)), usual_interval(times))
    assert len(resampled.values) <= len(times)
    assert series.check_times(resampled.column) or len(resampled.values) < 2


@pytest.mark.parametrize(
    ("numbers", "interval"),
    [([0, 1, 2, 3.5, 4.5], "1"), ([0, 0.1, 0.2, 0.3, 0.33, 0.45], "0.1"), ([0, 1, 4, 9], "5")],
)
def test_the_interval_of_plain_numbers(numbers, interval):
    assert usual_interval(np.array(numbers, float)) == interval


WRONG = {
    "another length": (lambda: series.sort_rows(COLUMN, [1]), "values has 1 rows? but there are 3"),
    "aggregate": (
        lambda: series.resample(COLUMN, [1, 2, 3], "day", "mode"),
        "how='mode' must be one",
    ),
    "aggregates": (
        lambda: series.merge_duplicates(COLUMN, [1, 2, 3], ["mean"] * 2),
        "the 1 column",
    ),
    "interval": (
        lambda: series.resample(COLUMN, [1, 2, 3], "5 apples"),
        "'5 apples' is not an inter",
    ),
    "no interval": (lambda: series.resample(COLUMN, [1, 2, 3], "0h"), "'0h' is not an interval"),
    "minutes or months": (
        lambda: series.resample(COLUMN, [1, 2, 3], "5m"),
        "'5m' is not an interval",
    ),
    "too many": (lambda: series.resample(COLUMN, [1, 2, 3], "9" * 99 + "h"), "is not an interval"),
    "half a day": (lambda: series.resample(COLUMN, [1, 2, 3], "0.5 day"), "give a whole number"),
    "without a unit": (lambda: series.resample(COLUMN, [1, 2, 3], "5"), "dates: give a unit"),
    "numbers": (
        lambda: series.resample(series.read_times([1, 2, 3]), [1, 2, 3], "5min"),
        "the times are plain numbers: give a number",
    ),
    "too long": (lambda: series.resample(COLUMN, [1, 2, 3], "year"), "does not fill a single such"),
    "unsorted": (
        lambda: series.resample(COLUMN.take([1, 0, 2]), [1, 2, 3], "day"),
        r"row 1 \(2024-01-01\) comes before 2024-01-02, the row above it: sort the rows by time",
    ),
}


@pytest.mark.parametrize(("call", "message"), WRONG.values(), ids=WRONG)
def test_what_is_refused(call, message):
    with pytest.raises(ValueError, match=message) as caught:
        call()
    assert len(str(caught.value)) < 500
