"""Times in any common form are read unambiguously or refused, and formatted as they were."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import series

# What stands in two rows, and the moments it names.
FORMS = [
    # ISO 8601
    ("2024-01-08", "2024-01-09", "2024-01-08", "2024-01-09"),
    ("20240108", "20240109", "2024-01-08", "2024-01-09"),
    ("2024-01-08T09:30", "2024-01-08T10:00", "2024-01-08T09:30", "2024-01-08T10:00"),
    ("2024-01-08 09:30:05", "2024-01-08 09:30:06", "2024-01-08T09:30:05", "2024-01-08T09:30:06"),
    ("20240108T0930", "20240108T1000", "2024-01-08T09:30", "2024-01-08T10:00"),
    ("20240108T093005Z", "20240108T093006Z", "2024-01-08T09:30:05", "2024-01-08T09:30:06"),
    ("2024-01-08T09", "2024-01-08T10", "2024-01-08T09", "2024-01-08T10"),
    (
        "2024-01-08T09:30:00.5",
        "2024-01-08T09:30:01.0",
        "2024-01-08T09:30:00.5",
        "2024-01-08T09:30:01",
    ),
    (
        "2024-01-08 09:30:00,250",
        "2024-01-08 09:30:00,500",
        "2024-01-08T09:30:00.25",
        "2024-01-08T09:30:00.5",
    ),
    (
        "2024-01-08T09:30:00.000000000",
        "2024-01-08T09:30:00.000001000",
        "2024-01-08T09:30",
        "2024-01-08T09:30:00.000001",
    ),
    ("2024-01-08T09:30+01:00", "2024-01-08T10:30+01:00", "2024-01-08T09:30", "2024-01-08T10:30"),
    (
        "2024-01-08 09:30:00+0530",
        "2024-01-08 10:30:00+0530",
        "2024-01-08T09:30",
        "2024-01-08T10:30",
    ),
    ("2024-01", "2024-02", "2024-01-01", "2024-02-01"),
    ("2024-W01", "2024-W02", "2024-01-01", "2024-01-08"),
    ("2020-W53", "2021-W01", "2020-12-28", "2021-01-04"),
    ("2024-W02-1", "2024-W02-2", "2024-01-08", "2024-01-09"),
    ("2024W021", "2024W022", "2024-01-08", "2024-01-09"),
    ("2024-008", "2024-009", "2024-01-08", "2024-01-09"),
    ("2024-01-08 23:00", "2024-01-08 24:00", "2024-01-08T23:00", "2024-01-09"),
    ("31.12.2023 24:00", "01.01.2024 01:00", "2024-01-01", "2024-01-01T01:00"),
    ("0001-01-01", "0001-01-02", "0001-01-01", "0001-01-02"),
    ("1-Jan-0999", "2-Jan-0999", "0999-01-01", "0999-01-02"),
    # numbers in another order, and other marks
    ("2024-1-8", "2024-1-9", "2024-01-08", "2024-01-09"),
    ("2024/01/08", "2024/01/09", "2024-01-08", "2024-01-09"),
    ("2024.01.08 09:30", "2024.01.08 10:00", "2024-01-08T09:30", "2024-01-08T10:00"),
    ("2013. 12. 31.", "2014. 01. 01.", "2013-12-31", "2014-01-01"),
    ("2022_01_31", "2022_02_28", "2022-01-31", "2022-02-28"),
    ("31.12.2013", "01.01.2014", "2013-12-31", "2014-01-01"),
    ("31.12.2013", "1.1.2014", "2013-12-31", "2014-01-01"),
    ("31/12/2013 14:05", "31/12/2013 14:10", "2013-12-31T14:05", "2013-12-31T14:10"),
    ("12/31/2013 14:05:00", "12/31/2013 14:10:00", "2013-12-31T14:05", "2013-12-31T14:10"),
    ("12/31/2013 11:00 PM", "1/1/2014 12:00 AM", "2013-12-31T23:00", "2014-01-01"),
    ("31-12-1999", "01-01-2000", "1999-12-31", "2000-01-01"),
    ("31.12.99", "01.01.00", "1999-12-31", "2000-01-01"),
    ("01.01.2024", "02.02.2024", "2024-01-01", "2024-02-02"),
    # names of months
    ("1 Jan 2024 01:00 PM", "1 Jan 2024 02:00 PM", "2024-01-01T13:00", "2024-01-01T14:00"),
    ("Jan 05, 2024", "Jan 06, 2024", "2024-01-05", "2024-01-06"),
    ("January 5, 2024", "January 16, 2024", "2024-01-05", "2024-01-16"),
    ("05-Jan-2024", "06-Jan-2024", "2024-01-05", "2024-01-06"),
    ("05-JAN-98", "06-JAN-98", "1998-01-05", "1998-01-06"),
    ("05jan2024 10:00", "05jan2024 11:00", "2024-01-05T10", "2024-01-05T11"),
    ("2024-Jan-05", "2024-Jan-06", "2024-01-05", "2024-01-06"),
    ("Friday, January 5 2024", "Saturday, January 6 2024", "2024-01-05", "2024-01-06"),
    ("Fri Jan 05 09:00:00 2024", "Fri Jan 05 10:00:00 2024", "2024-01-05T09", "2024-01-05T10"),
    (
        "Fri, 05 Jan 2024 09:00:00 +0000",
        "Fri, 05 Jan 2024 10:00:00 +0000",
        "2024-01-05T09",
        "2024-01-05T10",
    ),
    ("05/Jan/2024:14:00:00 +0100", "05/Jan/2024:15:00:00 +0100", "2024-01-05T14", "2024-01-05T15"),
    ("5 May 2024", "6 May 2024", "2024-05-05", "2024-05-06"),
    # offsets
    ("2024-01-05 10:00 UTC", "2024-01-05 11:00 UTC", "2024-01-05T10", "2024-01-05T11"),
    ("2024-01-05 10:00 GMT", "2024-01-05 11:00 GMT", "2024-01-05T10", "2024-01-05T11"),
    ("05.01.2024 10:00 Z", "15.01.2024 10:00 Z", "2024-01-05T10", "2024-01-15T10"),
    ("2024-01-05 10:00 +0100", "2024-01-05 11:00 +0100", "2024-01-05T10", "2024-01-05T11"),
    ("2024-01-05 10:00 UTC+1", "2024-01-05 11:00 UTC+1", "2024-01-05T10", "2024-01-05T11"),
    ("2024-01-05 UTC", "2024-01-06 UTC", "2024-01-05", "2024-01-06"),
    (
        "2024-01-05T10:00+01:00[Europe/Berlin]",
        "2024-01-05T11:00+01:00[Europe/Berlin]",
        "2024-01-05T10",
        "2024-01-05T11",
    ),
    # periods
    ("01/2024", "02/2024", "2024-01-01", "2024-02-01"),
    ("01.2024", "12.2024", "2024-01-01", "2024-12-01"),
    ("Jan 2024", "Feb 2024", "2024-01-01", "2024-02-01"),
    ("jan-2024", "feb-2024", "2024-01-01", "2024-02-01"),
    ("2024M01", "2024M02", "2024-01-01", "2024-02-01"),
    ("2022_01", "2022_02", "2022-01-01", "2022-02-01"),
    ("2023.01", "2023.02", "2023-01-01", "2023-02-01"),
    ("2024Q1", "2024Q2", "2024-01-01", "2024-04-01"),
    ("2024-Q3", "2024-Q4", "2024-07-01", "2024-10-01"),
    ("Q4 2023", "Q1 2024", "2023-10-01", "2024-01-01"),
    ("1Q24", "2Q24", "2024-01-01", "2024-04-01"),
    ("2024H1", "2024H2", "2024-01-01", "2024-07-01"),
    # compact times, and numbers of seconds and days
    ("202312", "202401", "2023-12-01", "2024-01-01"),
    ("2024010823", "2024010900", "2024-01-08T23", "2024-01-09T00"),
    ("202401080930", "202401081000", "2024-01-08T09:30", "2024-01-08T10:00"),
    ("20240108093005", "20240108093006", "2024-01-08T09:30:05", "2024-01-08T09:30:06"),
    ("202312.0", "202401.0", "2023-12-01", "2024-01-01"),
    ("20231231.0", "20240101.0", "2023-12-31", "2024-01-01"),
    ("1704067200.0", "1704070800.0", "2024-01-01T00", "2024-01-01T01"),
    ("1704067200", "1704070800", "2024-01-01T00", "2024-01-01T01"),
    ("1704067200000", "1704067200500", "2024-01-01T00", "2024-01-01T00:00:00.5"),
    ("1704067200000000", "1704067200000001", "2024-01-01T00", "2024-01-01T00:00:00.000001"),
    ("1704067200000000000", "1704067201000000000", "2024-01-01T00", "2024-01-01T00:00:01"),
    ("1704067200.25", "1704067200.50", "2024-01-01T00:00:00.25", "2024-01-01T00:00:00.5"),
    # times of one day
    ("9:00", "10:00", "1970-01-01T09", "1970-01-01T10"),
    ("09:00 AM", "01:00 PM", "1970-01-01T09", "1970-01-01T13"),
]


@pytest.mark.parametrize(("first", "second", "start", "end"), FORMS, ids=[row[0] for row in FORMS])
def test_every_form_is_read_and_written_back(first, second, start, end):
    column = series.read_times([first, second])
    np.testing.assert_array_equal(column.times, np.array([start, end], "M8[us]"))
    assert column.form.write(column.times) == [first, second]
    assert list(column.labels) == [first, second]


DESCRIBED = {
    "31.12.2013": "day.month.year",
    "12/31/2013 11:00 PM": "month/day/year hour:minute AM/PM",
    "5 Jan 2024": "day month year",
    "2024-01-08T09:30:00.5Z": "year-month-day hour:minute:second.fractionZ",
    "20240108": "year month day",
    "2024Q1": "year quarter",
    "Q1 2024": "quarter year",
    "2024-W02-1": "year-week-weekday",
    "1704067200": "s since 1970",
    "17": "numbers",
}


@pytest.mark.parametrize(("text", "words"), DESCRIBED.items(), ids=DESCRIBED)
def test_a_format_says_what_was_understood(text, words):
    assert str(series.read_times([text]).form) == words
    zone = series.read_times([text], time_zone="Europe/Berlin").form.time_zone
    assert zone is None or str(series.read_times([text], time_zone=zone).form).endswith(
        f" in {zone}"
    )


EQUIVALENT = {  # also read, though written in a rounder form
    " 2024-01-08 ": "2024-01-08",
    "2024-01-08T24:00": "2024-01-09",
    "2016-12-31 23:59:60": "2017-01-01",
    "Monday, January 5 2024": "2024-01-05",  # it was a Friday
    "January 2nd, 2024": "2024-01-02",
    "3 Sept 2024": "2024-09-03",
    "2024-01-08 9:5": "2024-01-08T09:05",
    "2024-01-08 1:30 p.m.": "2024-01-08T13:30",
    "2024-01-08 12:30 am": "2024-01-08T00:30",
    "2024-01-08 12:30 pm": "2024-01-08T12:30",
    "2024-01-08 12:30:15:250": "2024-01-08T12:30:15.25",
    "2024\u201101\u201108": None,  # a hyphen that is none
    "2024-01-08T10:00\u221201:00": "2024-01-08T10:00",  # a real minus
    "2024-01-08 1:30\u202fPM": "2024-01-08T13:30",  # the blank of newer browsers
}


@pytest.mark.parametrize(("text", "moment"), EQUIVALENT.items(), ids=map(ascii, EQUIVALENT))
def test_what_else_is_read(text, moment):
    column = series.read_times([text])
    if moment is None:
        assert column is None
    else:
        assert column.times[0] == np.datetime64(moment)


@pytest.mark.parametrize(
    "labels",
    [
        ["x", "y"], ["1.2.3", "1.2.4"], ["1_0", "1_1"], ["nan", "1"], ["inf", "1"], ["0x10", "0x1"],
        ["\u0661", "\u0662"], ["5 apples", "6 apples"], ["10.0.0.1", "10.0.0.2"], ["A" * 100, "B"],
        ["Mayday", "May"], ["May", "June"], ["Mon", "Tue"], ["12:30:15.5.5"], ["1:2:3:4:5"], ["-"],
        ["2024-01-08 at noon"],
    ],
)  # fmt: skip
def test_words_are_no_times(labels):
    assert series.read_times(labels) is None


REFUSED = {
    # kind, row, part of the message
    ("02-01-2024", "01-01-2024"): (
        "ambiguous",
        0,
        "2 January 2024 as day.month.year, or 1 February "
        "2024 as month/day/year; pass day_first=True or day_first=False",
    ),
    ("01/01/2024", "01/02/2024"): ("ambiguous", 1, "day_first"),
    ("31.12.13", "01.01.14"): ("ambiguous", 0, "31 December 2013 as .* 13 December 2031 as year-"),
    ("13/01/2024", "01/13/2024"): ("mixed", 1, "in some rows the first number can only be the day"),
    ("13/13/2024", "01/13/2024"): ("impossible", 0, "no such day"),
    ("Jan-24", "Feb-24"): ("ambiguous", 0, "January of the year 24 or day 24 of January"),
    ("2024-01-05 10:00 CET", "2024-01-05 11:00 CET"): ("ambiguous", 0, "name of a time zone"),
    ("2024-02-29", "2024-02-30"): ("impossible", 1, "February 2024 has 29 days"),
    ("2023-02-29", "2023-03-01"): ("impossible", 0, "February 2023 has 28 days"),
    ("2024-00-01", "2024-01-01"): ("impossible", 0, "months are 1 to 12"),
    ("0000-01-01", "0001-01-01"): ("impossible", 0, "years are 1 to 9999"),
    ("2021-W52", "2021-W53"): ("impossible", 1, "no such week"),
    ("9999-W52-5", "9999-W52-6"): ("impossible", 1, "before the year 10000"),
    ("2023-365", "2023-366"): ("impossible", 1, "no such day"),
    ("2024-01-01 23:00", "2024-01-01 25:00"): ("impossible", 1, "hours are 0 to 23"),
    ("2024-01-01 24:01", "2024-01-02 00:00"): ("impossible", 0, "hours are 0 to 23"),
    ("2024-01-01 00:59", "2024-01-01 00:60"): ("impossible", 1, "minutes are 0 to 59"),
    ("2024-01-01 00:00:59", "2024-01-01 00:00:60"): ("impossible", 1, "seconds are 0 to 59"),
    ("2024-01-01 1:00 PM", "2024-01-01 13:00 PM"): ("impossible", 1, "hours before AM or PM"),
    ("2024-01-01T00+01:00", "2024-01-01T00+25:00"): ("impossible", 1, "offset from UTC"),
    ("0001-01-01T00:00+01:00", "0001-01-02T01:00+02:00"): ("impossible", 0, "years are 1 to 9999"),
    ("2024-01-01 12:30:00", "2024-01-01 12:30+01"): (
        "mixed",
        1,
        "one has an offset from UTC, the other",
    ),
    ("2024-01-01 12:30:00", "2024-01-01 12:3O:00"): ("mixed", 1, "write all times in one format"),
    ("2024-01-01", "2024-01/1"): ("mixed", 1, "write all times in one format"),
    ("2024-01-01", "soon"): (
        "mixed",
        1,
        r"\('soon'\) is not a date or time in the format .* 2024-01",
    ),
    ("2024-01-01", ""): ("mixed", 1, r"row 1 \(''\) is not a date"),
    ("", "2024-01-01"): ("mixed", 0, r"row 0 \(''\) is empty"),
    ("2024-01", "2024-02-01"): ("mixed", 1, "write all times in one format"),
    ("2024-01-01", "02.01.2024"): ("mixed", 1, "write all times in one format"),
    ("2024-01-01", "5"): ("mixed", 1, "write all times in one format"),
    ("5", "2024-01-01"): ("mixed", 1, "is not a number as the rows before it are"),
    ("1", "1_0"): ("mixed", 1, "is not a number"),
    ("1", "\u0662"): ("mixed", 1, "format of the rows before it"),
    ("1", "nan"): ("impossible", 1, "is not a time"),
    ("1", "1e400"): ("impossible", 1, "too large a number"),
    ("23:00", "00:00"): ("ambiguous", 1, "without a date, after 23:00: join it with"),
    ("0900", "0930"): ("ambiguous", 0, "may be a time of day"),
    ("202320", "202321"): ("ambiguous", 0, "time_format='%G%V' or 'number'"),
    ("202301", "202313"): ("impossible", 1, "time_format='%G%V' of .* 'number'"),
    ("240131", "240201"): ("ambiguous", 0, "time_format='%y%m%d' or 'number'"),
    ("2024031", "2024032"): ("ambiguous", 0, "time_format='%Y%j' or 'number'"),
    ("20241301", "20241101", "20241201"): ("impossible", 0, "as the other rows are"),
    ("20240131", "20240132"): ("impossible", 1, "time_format='number'"),
    ("20240131", "2024021"): ("impossible", 1, "time_format='number' if it only counts"),
    ("2023.09", "2023.1"): ("ambiguous", 1, "may be October, its last zero lost, or January"),
    ("2023.01",) * 10 + ("2023.13",): ("impossible", 10, "time_format='number'"),
    ("45292", "45293", "45294", "45295", "45296", "45299", "45300", "45302"): (
        "ambiguous",
        0,
        "1 business day from one row to the next",
    ),
    ("2023.8", "2023.9"): ("ambiguous", 0, "a month of a year, or a plain number"),
    ("1.2024", "2.2024"): ("ambiguous", 0, "time_format='%m.%Y' or 'number'"),
    ("45292", "45323", "45352"): ("ambiguous", 0, "1 month from one row to the next.*'excel'"),
}


@pytest.mark.parametrize(("labels", "fault"), REFUSED.items(), ids=map(ascii, REFUSED))
def test_what_is_refused(labels, fault):
    kind, row, message = fault
    with pytest.raises(series.TimesError, match=message) as caught:
        series.read_times(labels)
    assert (caught.value.kind, caught.value.row, caught.value.text) == (kind, row, labels[row])
    assert caught.value.reason in str(caught.value)
    assert len(str(caught.value)) < 500


FORMATS = {
    "%K": "has the directive '%K'",
    "%": "has the directive '%'",
    "%d.%m.": "has '%d' but not '%Y'",
    "%G": "has '%G' but not '%V'",
    "%Y %I": "has '%I' but not '%p'",
    "%Y:%M": "has '%M' but not '%H'",
    "%Z": "shows neither a date nor a time of day",
    "": "shows neither a date nor a time of day",
    "no": "shows neither a date nor a time of day",
}


@pytest.mark.parametrize(("time_format", "message"), FORMATS.items(), ids=FORMATS)
def test_formats_that_make_no_time(time_format, message):
    with pytest.raises(ValueError, match=f"time_format={time_format!r} {message}"):
        series.read_times(["2024-01-01"], time_format=time_format)


def test_a_format_that_is_asked_for_is_kept_to():
    column = series.read_times(["03/4/5", "13/4/5"], time_format="%y/%m/%d")
    assert column.times[1] == np.datetime64("2013-04-05")
    with pytest.raises(series.MixedTimesError, match=r"row 0 .* in the requested format"):
        series.read_times(["2024-01-01"], time_format="%d.%m.%Y")
    labels = ["Mon, 05 Jan 2024 09:00:00 +0000", "Tue, 05 Jan 2024 10:00:00 +0000"]
    assert list(series.read_times(labels).labels) == labels  # wrong weekdays are not mended


def test_a_machine_without_time_zones_is_told_what_to_install(monkeypatch):
    def missing(name):
        raise ZoneInfoNotFoundError(name)

    monkeypatch.setattr("zoneinfo.ZoneInfo", missing)
    monkeypatch.setattr("zoneinfo.available_timezones", set)
    with pytest.raises(ValueError, match=r"no database of time zones; .* pip install tzdata"):
        series.read_times(["2024-01-01 10:00"], time_zone="Europe/Berlin")


def test_long_texts_are_shortened_in_messages():
    with pytest.raises(series.MixedTimesError, match=r"'xxx.*[.]{3}'") as caught:
        series.read_times(["2024-01-01", "x" * 10_000])
    assert len(str(caught.value)) < 300


def test_the_order_of_day_and_month_is_as_asked_for():
    for labels in (["02-01-2024", "03-01-2024"], ["02.01.24", "03.01.24"]):
        january = series.read_times(labels, day_first=True).times
        np.testing.assert_array_equal(january, np.array(["2024-01-02", "2024-01-03"], "M8[us]"))
        firsts = series.read_times(labels, day_first=False).times
        np.testing.assert_array_equal(firsts, np.array(["2024-02-01", "2024-03-01"], "M8[us]"))
    assert series.read_times(["24-01-31"], day_first=False).times[0] == np.datetime64("2024-01-31")
    for labels, day_first in ((["01/31/2024"], True), (["31/01/2024"], False)):
        with pytest.raises(series.ImpossibleTimesError, match=f"day_first={day_first} asks for"):
            series.read_times(labels, day_first=day_first)


def test_the_side_of_a_year_of_two_digits_may_follow_from_the_order_of_the_rows():
    days = [datetime(2013, 12, 20) + timedelta(days=day) for day in range(40)]
    for form, day_first in (("%d.%m.%y", True), ("%y-%m-%d", False)):
        texts = [day.strftime(form) for day in days]
        for order in (texts, texts[::-1]):
            expected = np.array([datetime.strptime(text, form) for text in order], "M8[us]")
            np.testing.assert_array_equal(series.read_times(order).times, expected)
        shuffled = [texts[row] for row in np.random.default_rng(0).permutation(40)]
        with pytest.raises(series.AmbiguousTimesError):
            series.read_times(shuffled)
        asked = series.read_times(shuffled, day_first=day_first)
        np.testing.assert_array_equal(np.sort(asked.times), np.array(days, "M8[us]"))
    firsts = [f"01-05-{year}" for year in range(13, 30)]  # of May 2013, or days of May 2001
    with pytest.raises(series.AmbiguousTimesError):
        series.read_times(firsts)


@given(
    st.lists(st.datetimes(datetime(1970, 1, 1), datetime(2068, 1, 1)), min_size=1, max_size=9),
    st.sampled_from(["%d/%m/%Y", "%m-%d-%Y", "%d.%m.%Y %H:%M", "%m/%d/%Y %I:%M:%S %p"]),
)
def test_days_and_months_are_told_apart_just_where_a_day_is_above_12(moments, form):
    texts = [moment.strftime(form) for moment in moments]
    expected = np.array([datetime.strptime(text, form) for text in texts], "M8[us]")
    if any(moment.day > 12 for moment in moments) or all(m.day == m.month for m in moments):
        np.testing.assert_array_equal(series.read_times(texts).times, expected)
    else:
        with pytest.raises(series.AmbiguousTimesError):
            series.read_times(texts)
    asked = series.read_times(texts, day_first=form.startswith("%d"))
    np.testing.assert_array_equal(asked.times, expected)


WRITTEN = {  # directives of strptime, and the step that they can show
    "%Y-%m-%d %H:%M:%S.%f": timedelta(milliseconds=250),
    "%Y-%m-%dT%H:%M:%S": timedelta(seconds=30),
    "%d.%m.%Y %H:%M": timedelta(minutes=15),
    "%d %B %Y %I:%M %p": timedelta(minutes=30),
    "%A, %b %d, %Y %H:%M": timedelta(hours=3),
    "%Y%m%d%H": timedelta(hours=1),
    "%Y%m%d%H%M%S": timedelta(seconds=1),
    "%b %d %Y": timedelta(days=1),
    "%m/%d/%Y": timedelta(days=9),
    "%d-%b-%y": timedelta(days=2),
    "%G-W%V": timedelta(weeks=1),
    "%G-W%V-%u": timedelta(days=1),
    "%Y-%j": timedelta(days=1),
}


@given(
    st.sampled_from(sorted(WRITTEN)),
    st.datetimes(datetime(1970, 1, 1), datetime(2060, 1, 1)),
    st.integers(5, 30),
    st.integers(1, 40),
    st.booleans(),
)
def test_regular_times_go_on_in_their_own_format(form, start, rows, ahead, is_asked):
    start = start.replace(hour=start.hour // 3 * 3, minute=0, second=0, microsecond=0)
    every = [start + WRITTEN[form] * step for step in range(rows + ahead)]
    texts = [moment.strftime(form) for moment in every]
    asked = {"time_format": form} if is_asked else {"day_first": form.startswith("%d")}
    times = series.check_times(texts[:rows], **asked)
    assert times.gaps == 0
    assert times.labels_after(ahead) == texts[rows:]
    assert list(times.labels) == texts[:rows]
    assert series.check_times(texts, **asked).gaps == 0


@given(st.sampled_from(sorted(WRITTEN)), st.permutations(range(9)))
def test_times_in_another_order_are_unsorted(form, order):
    moments = [datetime(2024, 1, 16) + WRITTEN[form] * step for step in order]
    texts = [moment.strftime(form) for moment in moments]
    if order == sorted(order):
        assert series.check_times(texts).gaps == 0
        return
    row = next(row for row in range(1, 9) if order[row] < order[row - 1])
    with pytest.raises(series.UnsortedTimesError, match="sort the rows by time") as caught:
        series.check_times(texts)
    assert (caught.value.kind, caught.value.row) == ("unsorted", row)
    column, values = series.sort_rows(series.read_times(texts), order)
    assert values[:, 0].tolist() == list(range(9))
    assert series.check_times(column).gaps == 0


ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]


@given(
    st.sampled_from(ZONES),
    st.datetimes(datetime(1996, 1, 1), datetime(2037, 1, 1)),
    st.sampled_from([10, 30, 60, 180]),
    st.sampled_from([0, *range(-200, 200, 20)]),
    st.booleans(),
)
def test_local_clock_times_are_counted_in_utc(zone, start, minutes, hours, newest_first):
    """A year of hours around a clock change: each row is where it was, and so are those to come."""
    start = _changes(zone, start.year) + timedelta(hours=hours)
    every = [start + timedelta(minutes=minutes) * step for step in range(600)]
    local = [moment.astimezone(ZoneInfo(zone)) for moment in every]
    texts = [moment.strftime("%d.%m.%Y %H:%M") for moment in local]
    utc = np.array([moment.replace(tzinfo=None) for moment in every], "M8[us]")
    order = slice(None, None, -1) if newest_first else slice(None)
    column = series.read_times(texts[:500][order], day_first=True, time_zone=zone)
    np.testing.assert_array_equal(column.times, utc[:500][order])
    assert list(column.labels) == texts[:500][order]
    if not newest_first:
        times = series.check_times(column)
        assert times.gaps == 0
        assert times.labels_after(100) == texts[500:]


def _changes(zone: str, year: int) -> datetime:
    """The last clock change of a year, or its start."""
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(366 * 24)]
    offsets = [moment.astimezone(ZoneInfo(zone)).utcoffset() for moment in hours]
    changed = [place for place in range(1, len(hours)) if offsets[place] != offsets[place - 1]]
    return hours[changed[-1] if changed else 0]


SERIAL = {  # days as spreadsheets count them: minutes between rows, decimals
    "hours": (60, 6),
    "quarters of an hour": (15, 9),
    "minutes": (1, 10),
    "half days": (720, 1),
    "days": (1440, 0),
}


@pytest.mark.parametrize(("minutes", "decimals"), SERIAL.values(), ids=SERIAL)
def test_serial_days_of_spreadsheets(minutes, decimals):
    start, step = datetime(2024, 1, 1), timedelta(minutes=minutes)
    moments = [start + step * row for row in range(60)]
    days = [(moment - datetime(1899, 12, 30)) / timedelta(days=1) for moment in moments]
    texts = [f"{day:.{decimals}f}" for day in days]
    times = series.check_times(texts[:50], time_format="excel")
    np.testing.assert_array_equal(times.times, np.array(moments[:50], "M8[us]"))
    assert times.gaps == 0
    to_come = series.read_times(times.labels_after(10), time_format="excel").times
    np.testing.assert_array_equal(to_come, np.array(moments[50:], "M8[us]"))
    if minutes < 720:
        with pytest.raises(series.AmbiguousTimesError, match="time_format='excel' or 'number'"):
            series.read_times(texts)
    else:
        assert float(series.check_times(texts).labels_after(1)[0]) == days[-1] + minutes / 1440
    assert series.read_times(texts, time_format="number").times.tolist() == list(map(float, texts))


def test_serial_days_that_there_are_not():
    for text in ("60", "0", "-5", "2958466"):
        with pytest.raises(series.ImpossibleTimesError, match="is not a serial day of Excel"):
            series.read_times([text], time_format="excel")


def test_counts_since_1970_are_known_whatever_the_width_of_their_cells():
    seconds = [1_700_000_000 + 3600 * row for row in range(5)]
    for wide in ("S10", "S24"):
        times = series.read_times(np.array([str(second) for second in seconds], wide))
        assert times.times.astype("M8[s]").astype(np.int64).tolist() == seconds


@given(
    unit=st.sampled_from(["s", "ms", "us"]),
    seconds=st.lists(st.integers(0, 4_000_000_000), min_size=1, max_size=5),
    ending=st.sampled_from(["", ".0", ".5"]),
)
def test_counts_since_1970_are_exact_and_written_as_they_were(unit, seconds, ending):
    """Those of equally many digits take a shorter way than others."""
    size = {"s": 1_000_000, "ms": 1_000, "us": 1}[unit]
    texts = [f"{second * 1_000_000 // size}{ending}" for second in seconds]
    times = series.read_times(texts, time_format=unit)
    microseconds = [second * 1_000_000 + (ending == ".5") * size // 2 for second in seconds]
    assert times.times.astype(np.int64).tolist() == microseconds
    assert list(times.labels) == texts
