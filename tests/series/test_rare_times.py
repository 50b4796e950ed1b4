"""Times as few programs write them are read, or refused with what settles them."""

import numpy as np
import pytest

from lstmcore.series import ImpossibleTimesError, MixedTimesError, read_times

BERLIN = "Europe/Berlin"


# Numbers.

NUMBERS = {  # numbers that only resemble times, such as months, days or seconds since 1970
    "a month of three digits": ["2024.01", "2024.123"],
    "a year of five digits": ["01.2024", "1.20245"],
    "few are months": ["2024.01", "2024.77", "2024.88"],
    "seconds of unequal lengths": ["1700000000.5", "170000000.55"],
    "seconds before 2001": ["1700000000", "0700000000"],
    "seconds after the year 2100": ["1700000000", "4200000000"],
    "days that do not exist": ["2024400", "2024401"],
    "neither months nor weeks": ["202499", "202598"],
    "serial days that do not rise": ["45000", "45001", "45000"],
    "serial days without a step": ["45000", "45001.3", "45007.77"],
    "signs": ["+1", "2"],
    "exponents": ["1e3", "2e3"],
}


@pytest.mark.parametrize("texts", NUMBERS.values(), ids=NUMBERS)
def test_numbers_that_only_resemble_times(texts):
    assert read_times(texts).times.tolist() == [float(text) for text in texts]


@pytest.mark.parametrize(
    ("texts", "time_format", "message"),
    [
        (["1", "2", "300000000000"], "s", "row 2 .* is not a time before the year 10000"),
        (["20240101", "10240101"], None, "row 1 .* is not a time as the other rows are"),
        (["2024.01", "2024.02", "2024.13"], None, "row 2 .* is not a month as the other rows are"),
    ],
)
def test_numbers_that_are_no_times(texts, time_format, message):
    with pytest.raises(ImpossibleTimesError, match=message):
        read_times(texts, time_format=time_format)


def test_a_month_before_texts():
    with pytest.raises(MixedTimesError, match=r"row 1 .* is not a number as the rows before it"):
        read_times(["2024.01", "2024.1.1"])


@pytest.mark.parametrize("first", ["+1700000000", "01700000000"])
def test_seconds_with_signs_or_zeros(first):
    times = read_times([first, "1700000001"], time_format="s").times
    np.testing.assert_array_equal(np.diff(times).astype(int), [1_000_000])


def test_serial_days_with_more_decimals_than_any_unit():
    times = read_times(["45000.1234567", "45001.1234568"], time_format="excel").times
    assert times[0] == np.datetime64("2023-03-15T02:57:46.659")


# Arrays of times.


@pytest.mark.parametrize(
    ("unit", "labels"),
    [
        ("Y", ["2020", "2021"]),
        ("M", ["2020-01", "2020-02"]),
        ("ms", ["2020-01-01T00:00:00.250", "2020-01-01T00:00:00.500"]),
    ],
)
def test_arrays_of_any_unit(unit, labels):
    found = read_times(np.array(labels, f"M8[{unit}]")).labels
    assert found == labels
    assert found != 3


def test_an_array_without_times():
    assert read_times(np.array([], "M8[D]")) is None


# Texts.


@pytest.mark.parametrize(
    ("texts", "later"),
    [
        (["1st January 2024", "2nd January 2024"], ["3rd January 2024", "11th January 2024"]),
        (["January 1st, 2024", "January 2nd, 2024"], ["January 3rd, 2024", "January 11th, 2024"]),
    ],
)
def test_days_with_endings_are_written_as_they_were_read(texts, later):
    times = np.array(["2024-01-03", "2024-01-11"], "M8[us]")
    assert list(read_times(texts).form.write(times)) == later


def test_offsets_of_whole_hours_are_written_as_they_were_read():
    form = read_times(["2024-03-30 22:00+01", "2024-04-01 00:00+02"], time_zone=BERLIN).form
    times = np.array(["2024-03-22", "2024-08-01"], "M8[us]")
    assert list(form.write(times)) == ["2024-03-22 01:00+01", "2024-08-01 02:00+02"]


def test_a_format_may_ask_for_numbers_without_zeros():
    times = read_times(["1/2/2024", "11/2/2024"], time_format="%-d/%-m/%Y").times
    assert times.astype("M8[D]").astype(str).tolist() == ["2024-02-01", "2024-02-11"]


def test_rows_of_a_column_whose_texts_are_kept():
    column = read_times(["2024-01-01 00:00+01", "2024-07-01 00:00+02", "2024-07-02 00:00+02"])
    assert list(column.take(slice(1, 3)).labels) == ["2024-07-01 00:00+02", "2024-07-02 00:00+02"]


def test_the_hour_that_comes_twice_in_falling_order():
    clock = ["03:00", "02:30", "02:00", "02:30", "02:00", "01:30"]
    times = read_times([f"2024-10-27 {time}" for time in clock], time_zone=BERLIN).times
    assert (np.diff(times).astype(int) == -30 * 60 * 1_000_000).all()
