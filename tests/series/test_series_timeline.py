"""Times beside rows: regular and irregular ones, and the rows that fill gaps."""

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
        r"row 3 \(2024-01-01T03:10\) is 70 minutes after 2024-01-01T02:00, but rows are usually "
        "1 hour apart: resample them with every='1h', or pass consecutive=True",
    ),
    "irregular numbers": (
        [1, 2, 3, 4.5, 5],
        r"row 3 \(4.5\) is 1.5 after 3, but .* usually 1 apart: resample them with every='1'",
    ),
    "an odd day": (
        ["2024-01-01", "2024-02-01", "2024-03-02"],
        "usually 30 days apart: resample them with every='1month'",
    ),
    "words between": (["2024-01-01", "2024-01-02", "soon"], r"row 2 \('soon'\) is not a date"),
    "a hole": (["2024-01-01", "", "2024-01-03"], r"row 1 \(''\) is not a date"),
    "no such day": (["2024-02-29", "2024-02-30"], r"row 1 \('2024-02-30'\) is not a date"),
    "not a time": (np.array(["2024-01-01", "NaT"], "M8[D]"), r"row 1 \('NaT'\) is not a date"),
    "words among numbers": (["1", "2", "three"], r"row 2 \('three'\) is not a number as the rows"),
    "not a number": ([1.0, np.nan, 3.0], r"row 1 \('nan'\) is not a time"),
    "months, then days": (["2024-01", "2024-02-01"], r"row 1 \('2024-02-01'\) is not a date"),
    "with a zone and without": (["2024-01-01T00Z", "2024-01-01T01"], "row 1 .* one has an offset"),
    "day or month": (["01/02/2024", "02/02/2024"], r"row 0 \(01/02/2024\) does not say which"),
    "German": (["1.2.24", "2.2.24"], r"row 0 \(1.2.24\) does not say which number"),
}  # fmt: skip


@pytest.mark.parametrize(("labels", "message"), WRONG.values(), ids=WRONG)
def test_times_that_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        series.check_times(labels)


SESSIONS = [  # half-hours of a market, Thursday to Tuesday, without the Monday, a holiday
    f"{day} {clock}"
    for day in ("2024-01-04", "2024-01-05", "2024-01-09")
    for clock in ("09:30", "10:00", "10:30", "11:00")
]


def test_rows_that_are_taken_as_consecutive():
    with pytest.raises(series.IrregularTimesError, match="take rows as consecutive"):
        series.insert_gaps(np.ones(12), series.check_times(SESSIONS))
    times = series.check_times(SESSIONS, consecutive=True)
    assert (times.gaps, times.positions.tolist()) == (0, list(range(12)))
    assert times.interval == "30 minutes (rows taken as consecutive)"
    assert times.labels_at([0, 4, 11]) == [SESSIONS[0], SESSIONS[4], SESSIONS[11]]
    values, labels = series.insert_gaps(np.arange(12), times)
    assert (values[:, 0].tolist(), list(labels)) == (list(range(12)), SESSIONS)


def test_rows_to_come_of_sessions_go_by_their_hours_and_days():
    times = series.check_times(SESSIONS, consecutive=True)
    assert times.labels_after(5) == [
        "2024-01-10 09:30", "2024-01-10 10:00", "2024-01-10 10:30", "2024-01-10 11:00",
        "2024-01-11 09:30",
    ]  # fmt: skip
    cut = series.check_times(SESSIONS[:6], consecutive=True)  # on Friday at 10:00
    assert cut.labels_after(3) == ["2024-01-05 10:30", "2024-01-05 11:00", "2024-01-08 09:30"]
    whole_week = [f"2024-01-{day:02} {clock}" for day in range(1, 15) for clock in ("8:00", "9:00")]
    every_day = series.check_times(whole_week, consecutive=True)
    assert every_day.labels_after(3) == ["2024-01-15 8:00", "2024-01-15 9:00", "2024-01-16 8:00"]


def test_rows_to_come_of_no_pattern_are_counted():
    ticks = ["2024-01-01 10:00:03", "2024-01-01 10:00:04", "2024-01-03 11:17:00"]
    times = series.check_times(ticks, consecutive=True)
    assert times.labels_after(2) == [f"{ticks[2]} + 1 row", f"{ticks[2]} + 2 rows"]
    numbers = series.check_times([1, 2, 10], consecutive=True)
    assert numbers.labels_at([0, 2, 3]) == ["1", "10", "10 + 1 row"]


def test_consecutive_rows_are_still_in_order():
    with pytest.raises(series.UnsortedTimesError):
        series.check_times(SESSIONS[::-1], consecutive=True)
    with pytest.raises(series.DuplicateTimesError):
        series.check_times([SESSIONS[0], *SESSIONS])
    twice = series.check_times([SESSIONS[0], *SESSIONS], consecutive=True)
    assert (twice.gaps, twice.interval) == (0, "30 minutes (rows taken as consecutive)")


def test_sessions_of_a_time_zone_keep_the_hours_of_its_clock():
    days = ["2024-03-07", "2024-03-08", "2024-03-11"]  # clocks are put forward on the 10th
    labels = [f"{day} {clock}" for day in days for clock in ("09:30", "10:00")]
    times = series.check_times(labels, time_zone="America/New_York", consecutive=True)
    assert times.labels_after(2) == ["2024-03-12 09:30", "2024-03-12 10:00"]
    assert times.labels_at(range(6)) == labels


def test_compact_times_are_never_counted_as_numbers():
    months = [f"2023{month:02}" for month in range(5, 13)] + ["202401"]
    for labels in (months, list(map(int, months)), np.array(months, int)):
        times = series.check_times(labels)
        assert (times.interval, times.gaps) == ("1 month", 0)
    years = [f"{year}{month:02}" for year in range(2010, 2020) for month in range(1, 13)]
    values, labels = series.insert_gaps(np.ones(120), series.check_times(years))
    assert (len(values), list(labels)) == (120, years)
    weeks = [f"{year}{week:02}" for year in (2022, 2023) for week in range(1, 53)][20:]
    with pytest.raises(series.AmbiguousTimesError):
        series.check_times(weeks)
    times = series.check_times(weeks, time_format="%G%V")
    assert (times.interval, times.gaps) == ("7 days", 0)
    counted = series.check_times(range(202320, 202330), time_format="number")
    assert (counted.interval, counted.labels_after(1)) == ("1", ["202330"])


def test_more_rows_are_not_invented_than_there_are():
    days = [datetime(2024, 1, 1) + timedelta(days=day) for day in (*range(9), *range(18, 20))]
    assert len(series.insert_gaps(np.ones(11), series.check_times(days))[0]) == 20
    later = [*days[:9], *(day + timedelta(days=3) for day in days[9:])]
    with pytest.raises(
        series.IrregularTimesError, match="12 rows are missing, but only 11 are there"
    ) as caught:
        series.insert_gaps(np.ones(11), series.check_times(later))
    assert (caught.value.kind, caught.value.row) == ("irregular", 9)


def test_clock_changes_of_a_named_zone():
    autumn = ["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00"]
    with pytest.raises(series.DuplicateTimesError, match="time_zone='Europe/Berlin'"):
        series.check_times(autumn)
    halves = ["2024-10-27 02:00", "2024-10-27 02:30", "2024-10-27 02:00", "2024-10-27 02:30"]
    with pytest.raises(series.UnsortedTimesError, match="time_zone='Europe/Berlin'"):
        series.check_times(halves)
    times = series.check_times(autumn, time_zone="Europe/Berlin")
    assert (times.interval, times.gaps) == ("1 hour", 0)
    spring = ["2024-03-31 00:00", "2024-03-31 01:00", "2024-03-31 03:00"]
    assert series.check_times(spring, time_zone="Europe/Berlin").gaps == 0
    assert series.check_times(spring).gaps == 1
    before = series.check_times(spring[:2], time_zone="Europe/Berlin")
    assert before.labels_after(2) == ["2024-03-31 03:00", "2024-03-31 04:00"]
    offsets = ["2024-03-31 00:00+0100", "2024-03-31 01:00+0100"]
    before = series.check_times(offsets, time_zone="Europe/Berlin")
    assert before.labels_after(1) == ["2024-03-31 03:00+0200"]
    midnights = ["2024-03-30T00:00+01:00", "2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00"]
    days = series.check_times(midnights, time_zone="Europe/Berlin")
    assert (days.interval, days.labels_after(1)) == ("1 day", ["2024-04-02T00:00+02:00"])


ZONE_FAULTS = {
    "skipped": (["2024-03-31 01:00", "2024-03-31 02:00"], "put forward past it; if the file keeps"),
    "once": (
        [f"2024-10-27 0{hour}:00" for hour in range(6)],
        r"row 2 \(2024-10-27 02:00\) was on the clock twice .* 2024-10-27 00:00 or 2024-",
    ),
    "no order": (
        ["2024-10-27 02:00", "2024-10-29 02:00", "2024-10-26 02:30"],
        "only the order of the rows tells which is which",
    ),
}


@pytest.mark.parametrize(("labels", "message"), ZONE_FAULTS.values(), ids=ZONE_FAULTS)
def test_clock_times_that_are_refused(labels, message):
    with pytest.raises(series.TimesError, match=message):
        series.read_times(labels, time_zone="Europe/Berlin")


@pytest.mark.parametrize("name", ["Europe/Berln", "", "../../etc/passwd", "CEST", "a\0b"])
def test_unknown_time_zones(name):
    with pytest.raises(ValueError, match=r"there is no time zone .* such as 'Europe/Berlin'"):
        series.read_times(["2024-01-01 10:00"], time_zone=name)


def test_labels_are_written_when_they_are_asked_for():
    texts = [f"{day}.1.2024 9:00" for day in range(1, 32)]
    labels = series.check_times(texts).labels
    assert (len(labels), labels[0], labels[-1], labels[np.int64(4)]) == (31, *texts[::30], texts[4])
    assert labels == texts
    assert labels[3:9] == texts[3:9]
    assert list(labels) == texts
    assert labels != texts[:-1]
    assert labels != [*texts[:-1], "32.1.2024 9:00"]
    assert "9.1.2024 9:00" in labels
    assert repr(labels[:1]) == "TimeLabels(['1.1.2024 9:00'], rows=1)"
    with pytest.raises(IndexError):
        labels[31]


def test_texts_that_are_not_all_written_alike_are_kept():
    texts = ["2024-01-01", "2024-01-01 12:00", "2024-01-02"]
    assert series.check_times(texts).labels == texts
    assert series.check_times(texts).labels_after(1) == ["2024-01-02 12:00"]


LAST = {
    "a day": ["9999-12-29", "9999-12-30"],
    "a week": ["9999-W50", "9999-W51"],
    "a day of a week": ["9999-W52-3", "9999-W52-4"],
    "a day of the year": ["9999-363", "9999-364"],
    "a quarter": ["9999Q2", "9999Q3"],
}


@pytest.mark.parametrize("labels", LAST.values(), ids=LAST)
def test_times_end_with_the_year_9999(labels):
    times = series.check_times(labels)
    assert len(times.labels_after(1)) == 1
    with pytest.raises(ValueError, match="beyond the years 1 to 9999 cannot be written"):
        times.labels_after(9)


DATES_AND_CLOCKS = {
    "9:00 10:30": "09:00 10:30",
    "0 24": "00:00 24:00",
    "930 1000": "09:30 10:00",
    "0000 0030": "00:00 00:30",
    "93015 235959": "09:30:15 23:59:59",
    "1:00 13:00": "01:00 13:00",
}


@pytest.mark.parametrize(("clocks", "expected"), DATES_AND_CLOCKS.items(), ids=DATES_AND_CLOCKS)
def test_dates_and_times_of_day_are_joined(clocks, expected):
    days = ["31.12.2013", "31.12.2013"]
    times = series.read_times(series.join_columns(days, clocks.split())).times
    joined = [f"2013-12-31 {clock}" for clock in expected.split()]
    np.testing.assert_array_equal(times, series.read_times(joined).times)


def test_dates_and_times_of_day_that_cannot_be_joined():
    with pytest.raises(ValueError, match="there are 2 dates but 1 times of day"):
        series.join_columns(["2024-01-01"] * 2, ["9:00"])
    for clock in ("2500", "1260", "1234567", "995999"):
        with pytest.raises(series.ImpossibleTimesError, match="is not a time of day") as caught:
            series.join_columns(["2024-01-01"] * 2, ["0100", clock])
        assert caught.value.row in (0, 1)


def test_what_gaps_cannot_be_put_into():
    times = series.check_times(["2024-01-01T00:00:00", "2024-01-01T00:00:01", "2024-01-02"])
    with pytest.raises(ValueError, match=r"of 1 second, 86,398 rows are missing, .* resample to a"):
        series.insert_gaps(np.ones((3, 1)), times)
    with pytest.raises(ValueError, match="values has 2 rows but there are 3 times"):
        series.insert_gaps([1, 2], times)
