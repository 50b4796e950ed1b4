"""Rows that are named by a time, as in a slice of pandas, or by a number."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore.cli import when
from lstmcore.series import Table, check_times, regular
from lstmcore.series.tables.options import ReadOptions

HOURS = np.datetime64("2024-01-30", "h") + np.arange(100)


def table(labels, **given):
    times = check_times(labels, **given)
    values = np.arange(float(len(labels)))[:, None]
    plain = Table(("x",), values, times.labels if times else labels, "time", times)
    return regular(plain._replace(options=ReadOptions(**given)))


def rows(text, data):
    return when.first_row("--from", text, data), when.last_row("--until", text, data)


@given(st.integers(0, 99), st.sampled_from(["M", "D", "h", "m"]))
def test_a_time_stands_for_what_it_leaves_open_as_in_pandas(row, unit):
    text = str(HOURS[row].astype(f"M8[{unit}]")).replace("T", " ")
    if unit == "h":  # no time of day without minutes
        text += ":00"
    frame = pd.Series(np.arange(100), pd.DatetimeIndex(HOURS))
    data = table([str(moment) for moment in HOURS.astype("M8[m]")])
    assert rows(text, data) == (frame.loc[text:].iloc[0], frame.loc[:text].iloc[-1])


@pytest.mark.parametrize(
    ("labels", "given", "text", "expected"),
    [
        (["2024-01-31", "2024-02-29", "2024-04-30"], {}, "2024-02", (1, 1)),
        (["2024-01-31", "2024-02-29", "2024-04-30"], {}, "2024-03", (2, 2)),  # filled
        (["01.02.2024", "02.02.2024", "13.02.2024"], {"consecutive": True}, "02.02.2024", (1, 1)),
        (["02/01/2024", "02/02/2024", "02/03/2024"], {"day_first": False}, "02/03/2024", (2, 2)),
        (["02/01/2024", "02/02/2024", "02/03/2024"], {"day_first": False}, "2024-02-03", (2, 2)),
        (["20240101", "20240102", "20240103"], {}, "20240102", (1, 1)),
        (["20240101", "20240102", "20240103"], {}, "2", (2, 2)),
        (["2024Q1", "2024Q2", "2024Q3"], {}, "2024Q2", (1, 1)),
        (["2024-01-01", "2024-02-01", "2024-03-01", "2024-04-01"], {}, "2024Q1", (0, 2)),
        (["2023-12-01", "2024-01-01", "2024-02-01"], {}, "2024", (1, 2)),  # a year of the table
        (["2023-12-01", "2024-01-01", "2024-02-01"], {}, "1", (1, 1)),
        (["1990", "1991", "1992"], {}, "1991", (1, 1)),  # numbers
        (["1990", "1991", "1992"], {}, "1990.5", (1, 0)),
        (["north", "south", "west"], {}, "south", (1, 1)),  # words
        (["north", "south", "west"], {}, "0", (0, 0)),
        (
            ["2024-03-31 00:00", "2024-03-31 01:00", "2024-03-31 03:00", "2024-03-31 04:00"],
            {"time_zone": "Europe/Berlin"},
            "2024-03-31 03:00",
            (2, 2),
        ),
        (
            ["2024-03-30 23:00", "2024-03-31 00:00"],
            {"time_zone": "Europe/Berlin"},
            "2024-03-31",
            (1, 1),
        ),
        (["01.02.24", "02.02.24", "03.02.24"], {"time_format": "%d.%m.%y"}, "02.02.24", (1, 1)),
    ],
)  # fmt: skip
def test_forms_of_times(labels, given, text, expected):
    assert rows(text, table(labels, **given)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2025", "not a time of the table, nor the number of one of 100 rows"),
        ("2025-01-01", "--from 2025-01-01 is after the rows .* to 2024-02-03"),
        ("2023-12-31", "--from 2023-12-31 is before the rows of the table"),
        ("100", "nor the number of one of 100 rows, counted from 0"),
        ("-1", "'-1' is neither a time as in the table, such as 2024-02-01T02:00, nor the number"),
        ("soon", "'soon' is neither a time as in the table"),
        ("2024-02-31", "is neither a time"),
        ("", "is neither a time"),
    ],
)  # fmt: skip
def test_what_is_outside_of_the_table(text, message):
    data = table([str(moment) for moment in HOURS.astype("M8[m]")])
    with pytest.raises(ValueError, match=message):
        when.first_row("--from", text, data)


@pytest.mark.parametrize("labels", [["2024-01-01", "2024-01-02", "2024-01-04"], ["5", "6", "8"]])
def test_a_moment_is_found_again_in_another_table(labels):
    data = table(labels)  # of four rows, the third of which is filled
    moments = [when.moment_of(data.times, row) for row in range(4)]
    assert [when.rows_until(data.times, moment) for moment in moments] == [1, 2, 2, 4]
    later = table([str(np.datetime64("2030-01-01") + np.timedelta64(day, "D")) for day in range(3)])
    assert when.rows_until(later.times, moments[0]) in (0, None)
    assert when.text_of(data.times, moments[3]) == labels[2]


def test_a_table_without_times_has_no_moments():
    assert when.moment_of(None, 3) is None
    assert when.rows_until(None, "2024-01-01") is None
    assert when.text_of(None, "2024-01-01") == ""
