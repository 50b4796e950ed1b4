"""Times beside the rows: what is regular is told from what is not, and gaps are put in."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import series

START = np.datetime64("2023-11-29T22:30")
STEPS = {
    "1 minute": np.timedelta64(1, "m"),
    "5 minutes": np.timedelta64(5, "m"),
    "1 hour": np.timedelta64(1, "h"),
    "1 day": np.timedelta64(1, "D"),
    "7 days": np.timedelta64(7, "D"),
    "500 milliseconds": np.timedelta64(500, "ms"),
}
REGULAR = {
    "1 day": ["2024-02-28", "2024-02-29", "2024-03-01", "2024-03-02"],
    "1 month": ["2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31"],  # the last day of each
    "1 month ": ["2024-01-30", "2024-02-29", "2024-03-30", "2024-04-30"],
    "1 month  ": ["2023-12", "2024-01", "2024-02", "2024-03"],
    "3 months": ["2023-06-30", "2023-09-30", "2023-12-31", "2024-03-31"],
    "1 year": ["2019-02-28", "2020-02-29", "2021-02-28", "2022-02-28"],
    "10 years": ["1990-01-01", "2000-01-01", "2010-01-01", "2020-01-01"],
    "1 business day": np.arange("2024-01-04", "2024-01-19", dtype="M8[D]").astype(str)[
        np.is_busday(np.arange("2024-01-04", "2024-01-19", dtype="M8[D]"))
    ],
    "1 hour": ["2024-01-01T00", "2024-01-01T01", "2024-01-01T02", "2024-01-01T03"],
    "1 day ": ["20240131", "20240201", "20240202", "20240203"],
    "30 minutes": ["20240131T1200", "20240131T1230", "20240131T1300", "20240131T1330"],
    "30 seconds": ["20240131 120000Z", "20240131 120030Z", "20240131 120100Z", "20240131 120130Z"],
    "7 days ": ["2024-W51", "2024-W52", "2025-W01", "2025-W02"],
    "1 day  ": ["2024W525", "2024W526", "2024W527", "2025W011"],
    "1 day   ": ["2024-W52-5", "2024-W52-6", "2024-W52-7", "2025-W01-1"],
    "1 second": [1712011200 * 10**9 + second * 10**9 for second in range(4)],
    "1 hour ": [1712011200000 + 3600000 * hour for hour in range(4)],
    "1": [1999, 2000, 2001, 2002],
    "0.1": [0.1, 0.2, 0.3, 0.4],
    "0.333333": ["0.333", "0.667", "1.0", "1.333"],
}


@given(
    st.sampled_from(sorted(STEPS)),
    st.lists(st.integers(1, 15), min_size=1, max_size=6),
    st.sampled_from(["T", " "]),
    st.sampled_from(["", "Z", "+01:00", "-0530"]),
)
def test_equal_steps_but_for_rows_that_are_left_out(interval, steps, separator, zone):
    positions = np.cumsum([0, 1, 1, 1, 1, 1, 1, 1, *steps])
    text = np.datetime_as_string(START + positions * STEPS[interval], unit="ms")
    labels = [label.replace("T", separator) + zone for label in text]
    times = series.check_times(labels)
    assert times.interval == interval
    assert times.positions.tolist() == positions.tolist()
    assert times.gaps == positions[-1] + 1 - len(positions)
    assert times.labels_at(positions) == labels
    np.testing.assert_array_equal(times.times, START + positions * STEPS[interval])


@pytest.mark.parametrize(("interval", "labels"), REGULAR.items(), ids=REGULAR)
def test_what_is_regular(interval, labels):
    times = series.check_times(labels)
    assert (times.interval, times.gaps) == (interval.strip(), 0)
    assert len(times.times) == len(labels)
    # A row that is left out is found, named as it was, and those to come are named like it.
    some = [*labels[:1], *labels[2:]] if len(labels) > 4 else labels
    found = series.check_times(some)
    assert found.gaps == len(labels) - len(some)
    rounded = interval == "0.333333"
    if not rounded:
        assert found.labels_at(range(len(labels))) == list(map(str, labels))
        assert series.check_times([*labels, *times.labels_after(9)]).gaps == 0


def test_the_last_days_of_months_go_on_as_last_days():
    quarters = series.check_times(["2024-06-30", "2024-09-30"])
    assert quarters.labels_after(3) == ["2024-12-31", "2025-03-31", "2025-06-30"]
    months = series.check_times(["2024-01-30", "2024-02-29", "2024-03-30"])
    assert months.labels_after(2) == ["2024-04-30", "2024-05-30"]


def test_gaps_of_months():
    months = series.check_times(["2023-10-31", "2023-11-30", "2024-02-29", "2024-03-31"])
    values, labels = series.insert_gaps([1, 2, 3, 4], months)
    assert labels == [
        "2023-10-31", "2023-11-30", "2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31",
    ]  # fmt: skip
    np.testing.assert_array_equal(values[:, 0], [1, 2, np.nan, np.nan, 3, 4])


@given(st.integers(0, 2**32 - 1))
def test_gaps_become_rows_of_missing_values(seed):
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(30, 2))
    labels = [str(date(2024, 2, 1) + timedelta(days=day)) for day in range(30)]
    kept = np.flatnonzero(rng.random(30) < 0.8)
    times = series.check_times([labels[row] for row in kept])
    values, names = series.insert_gaps(table[kept], times)
    first, last = kept[0], kept[-1] + 1
    assert names == labels[first:last]
    assert len(values) == len(kept) + times.gaps
    expected = np.full((30, 2), np.nan)
    expected[kept] = table[kept]
    np.testing.assert_array_equal(values, expected[first:last])


def test_every_kind_of_label():
    moments = [datetime(2024, 1, 1) + timedelta(hours=hour) for hour in range(4)]
    expected = np.array(moments, "M8[us]")
    for labels in (moments, expected, expected.astype("M8[h]"), list(map(str, moments))):
        times = series.check_times(labels)
        assert times.interval == "1 hour"
        np.testing.assert_array_equal(times.times, expected)
    for labels in (range(4), np.arange(4), np.arange(4.0), [" 0", "1 ", "2", "3.0"]):
        assert series.check_times(labels).times.tolist() == [0, 1, 2, 3]


def test_changing_clocks_are_taken_to_utc():
    labels = [
        "2024-10-27T01:00+02:00", "2024-10-27T02:00+02:00",
        "2024-10-27T02:00+01:00", "2024-10-27T04:00+01:00",
    ]  # fmt: skip
    times = series.check_times(labels)
    assert (times.interval, times.gaps) == ("1 hour", 1)
    assert times.times[0] == np.datetime64("2024-10-26T23:00")
    assert times.labels_after(1) == ["2024-10-27T04:00+00:00"]
    assert series.insert_gaps(range(4), times)[1][2:4] == [labels[2], "2024-10-27T02:00+00:00"]


def test_days_where_clocks_change_are_days():
    """Midnight in Berlin: 23 hours from one to the next, but one day."""
    labels = [
        "2024-03-30T00:00+01:00", "2024-03-31T00:00+01:00",
        "2024-04-01T00:00+02:00", "2024-04-03T00:00+02:00",
    ]  # fmt: skip
    times = series.check_times(labels)
    assert (times.interval, times.gaps) == ("1 day", 1)
    assert times.labels_after(1) == ["2024-04-04T00:00"]  # nobody says which offset it has
    assert series.insert_gaps(range(4), times)[1][2:4] == [labels[2], "2024-04-02T00:00"]
    months = series.check_times(["2024-03-01 06:00+01:00", "2024-04-01 06:00+02:00"])
    assert months.interval == "1 month"


@pytest.mark.parametrize(
    "labels",
    [
        [],
        ["2024-01-01"],
        [5],
        ["a", "b"],
        ["", ""],
        ["in Jan 2024", "in Feb 2024"],
        ["day 1", "2024-01-01"],
        [True, False],
    ],
)
def test_what_are_no_times(labels):
    assert series.check_times(labels) is None


HOURS = [f"2024-01-01T{hour:02}:00" for hour in range(24)]
WRONG = {
    "unsorted": (["2024-01-03", "2024-01-04", "2024-01-02"], r"row 2 \(2024-01-02\) comes before "
        r"2024-01-04, the row above it: sort the rows by time$"),
    "newest first": ([2002, 2001, 2000], r"row 1 \(2001\) comes before 2002.* the newest row "
        "is first"),
    "twice": ([*HOURS[:9], *HOURS[8:]], r"row 9 \(2024-01-01T08:00\) has the same time as .*mean$"),
    "clocks put back": (["2024-10-27T01", "2024-10-27T02", "2024-10-27T02"], r"row 2 .*same .*; "
        "if the clock was put back there, name its zone, such as time_zone='Europe/Berlin'"),
    "irregular": (
        [*HOURS[:3], "2024-01-01T03:10", "2024-01-01T04:00"],
        r"row 3 \(2024-01-01T03:10\) is 70 minutes after 2024-01-01T02:00, but most rows are 1 "
        "hour apart: resample them, or take rows as consecutive",
    ),
    "irregular numbers": ([1, 2, 3, 4.5, 5], r"row 3 \(4.5\) is 1.5 after 3, but most .* 1 apart"),
    "an odd day": (["2024-01-01", "2024-02-01", "2024-03-02"], "most rows are 30 days apart"),
    "words between": (["2024-01-01", "2024-01-02", "soon"], r"row 2 \('soon'\) is not a date"),
    "a hole": (["2024-01-01", "", "2024-01-03"], r"row 1 \(''\) is not a date"),
    "no such day": (["2024-02-29", "2024-02-30"], r"row 1 \('2024-02-30'\) is not a date"),
    "not a time": (np.array(["2024-01-01", "NaT"], "M8[D]"), r"row 1 \('NaT'\) is not a date"),
    "words among numbers": (["1", "2", "three"], r"row 2 \('three'\) is not a number as the rows"),
    "not a number": ([1.0, np.nan, 3.0], r"row 1 \('nan'\) is no time"),
    "months, then days": (["2024-01", "2024-02-01"], r"row 1 \('2024-02-01'\) is not a date"),
    "with a zone and without": (["2024-01-01T00Z", "2024-01-01T01"], "row 1 .* one has an offset"),
    "day or month": (["01/02/2024", "02/02/2024"], r"row 0 \(01/02/2024\) does not say which"),
    "German": (["1.2.24", "2.2.24"], r"row 0 \(1.2.24\) does not say which number"),
}  # fmt: skip


@pytest.mark.parametrize(("labels", "message"), WRONG.values(), ids=WRONG)
def test_times_that_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        series.check_times(labels)


def test_what_gaps_cannot_be_put_into():
    times = series.check_times(["2024-01-01T00:00:00", "2024-01-01T00:00:01", "2024-01-02"])
    with pytest.raises(ValueError, match=r"of 1 second, 86,398 rows are missing, .* resample to a"):
        series.insert_gaps(np.ones((3, 1)), times)
    with pytest.raises(ValueError, match="values has 2 rows but there are 3 times"):
        series.insert_gaps([1, 2], times)
