"""The place of times in the day, the week and the year."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore.series.times.cycles import (
    Cycle,
    cycles_of,
    harmonics_of,
    parse_cycles,
    place_in,
    width,
)

MINUTE, DAY = np.timedelta64(1, "m"), np.timedelta64(1, "D")
moments = st.integers(-30_000_000, 60_000_000).map(lambda n: np.datetime64(n, "m").astype("M8[us]"))


def times(*texts):
    return np.array(texts, "M8[us]")


def every(step, rows, first="2021-01-04"):
    return np.datetime64(first, "us") + np.arange(rows) * np.timedelta64(step, "m")


@given(moment=moments, name=st.sampled_from(["day", "week"]), turns=st.integers(-500, 500))
def test_days_and_weeks_recur(moment, name, turns):
    length = {"day": DAY, "week": 7 * DAY}[name]
    both = harmonics_of(np.array([moment, moment + turns * length]), [Cycle(name, 3)])
    np.testing.assert_allclose(both[0], both[1], atol=1e-9)


@given(moment=moments, name=st.sampled_from(["day", "week", "year"]), steps=st.integers(0, 200))
def test_places_rise_but_where_a_cycle_begins_anew(moment, name, steps):
    places = place_in(name, moment + np.arange(steps + 1) * 6 * np.timedelta64(1, "h"))
    assert ((places >= 0) & (places < 1)).all()
    changes = np.diff(places)
    begins = changes < 0
    assert (changes[~begins] > 0).all()
    assert np.count_nonzero(begins) <= {"day": steps / 4, "week": steps / 28, "year": 1}[name] + 1


@pytest.mark.parametrize("year", [1900, 1999, 2000, 2023, 2024])
def test_a_date_has_the_same_place_in_leap_years(year):
    dates = times(f"{year}-03-01", f"{year}-12-25T12:00", f"{year}-01-01")
    expected = [2 / 12, (11 + 24.5 / 31) / 12, 0]
    np.testing.assert_allclose(place_in("year", dates), expected, atol=1e-12)


def test_known_dates():
    assert place_in("year", times("2024-02-29"))[0] == pytest.approx((1 + 28 / 29) / 12)
    assert place_in("week", times("2024-01-01", "2024-01-07T12:00")).tolist() == [0, 6.5 / 7]
    assert place_in("day", times("1969-12-31T18:00")).tolist() == [0.75]


@pytest.mark.parametrize(
    ("step", "rows", "expected"),
    [
        (30, 10_000, {"week": 45}),
        (60, 60, {"day": 6}),
        (60, 18_000, {"week": 45, "year": 6}),
        (720, 60, {"week": 7}),
        (1440, 100, {"week": 3}),
        (1440, 731, {"week": 3, "year": 6}),
        (7 * 1440, 110, {"year": 6}),
        (1440, 10, {}),
        (60, 40, {}),
        (2 * 365 * 1440, 30, {}),
    ],
)
def test_the_interval_says_which_cycles_there_are(step, rows, expected):
    assert dict(cycles_of(every(step, rows))) == expected


def test_months_quarters_and_business_days():
    months = np.arange("2000-01", "2003-01", dtype="M8[M]")
    assert dict(cycles_of(months.astype("M8[us]"))) == {"year": 6}
    assert dict(cycles_of(months[::3].astype("M8[us]"))) == {"year": 2}
    assert cycles_of(months[::12].astype("M8[us]")) == ()
    days = every(1440, 60)
    weekdays = days[np.is_busday(days.astype("M8[D]"))]
    assert dict(cycles_of(weekdays)) == {"week": 3}
    assert cycles_of(weekdays[:1]) == ()


@given(step=st.sampled_from([15, 60, 180, 1440]), rows=st.integers(2, 2000))
def test_harmonics_tell_rows_of_a_cycle_apart_and_have_their_width(step, rows):
    cycles = cycles_of(every(step, rows))
    harmonics = harmonics_of(every(step, 7), cycles)
    assert harmonics.shape == (7, width(cycles))
    assert np.abs(harmonics).max(initial=0) <= 1
    if cycles:
        assert len(np.unique(harmonics.round(9), axis=0)) == 7


def test_harmonics_of_a_row_say_those_of_later_rows():
    """Moved on in time, they are a linear map of what they were."""
    hours, cycles = every(60, 400), (Cycle("week", 10),)
    now, later = harmonics_of(hours[:200], cycles), harmonics_of(hours[7:207], cycles)
    turned = np.linalg.lstsq(now, later, rcond=None)[0]
    np.testing.assert_allclose(now @ turned, later, atol=1e-9)


def test_stored_cycles_are_checked():
    assert parse_cycles([["week", 3], ["year", 6]]) == (Cycle("week", 3), Cycle("year", 6))
    for stored in ([["moon", 2]], [["day", 0]], [["day", 99]]):
        with pytest.raises(ValueError, match="no calendar has"):
            parse_cycles(stored)
