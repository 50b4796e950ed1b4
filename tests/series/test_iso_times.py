"""Times in the forms of ISO 8601 are found in a file, whatever their column is called."""

from datetime import datetime, timedelta

import numpy as np
import pytest

from lstmcore import series

HOURS = [datetime(2026, 3, 1) + timedelta(hours=hour) for hour in range(30)]
DAYS = [datetime(2025, 12, 20) + timedelta(days=day) for day in range(30)]
FORMS = {  # of strftime, with the times that they can tell
    "%Y-%m-%dT%H": HOURS,
    "%Y-%m-%d %H:%M": HOURS,
    "%Y-%m-%dT%H:%M": HOURS,
    "%Y-%m-%dT%H:%M:%S": HOURS,
    "%Y-%m-%dT%HZ": HOURS,
    "%Y-%m-%dT%H+01": HOURS,
    "%Y-%m-%dT%H:%M:%S.500Z": HOURS,
    "%Y-%m-%dT%H%M": HOURS,
    "%Y%m%dT%H": HOURS,
    "%Y%m%dT%HZ": HOURS,
    "%Y%m%dT%H%M": HOURS,
    "%Y%m%dT%H:%M": HOURS,
    "%Y%m%dT%H%M%SZ": HOURS,
    "%Y-%m-%d": DAYS,
    "%G-W%V-%u": DAYS,
    "%GW%V%u": DAYS,
    "%G-W%V-%uT%H:%M": HOURS,
    "%GW%V%uT%H": HOURS,
    "%Y-%j": DAYS,
    "%Y-%jT%H": HOURS,
    "%Y-%j %H:%M": HOURS,
    "%Y%jT%H%M": HOURS,
}


def read(texts, name, folder):
    path = folder / "table.csv"
    rows = [f"{text},{number % 7}" for number, text in enumerate(texts)]
    path.write_text("\n".join([f"{name},load", *rows]))
    return series.read_csv(path)


@pytest.mark.parametrize("name", ["t", "", "time", "when"])
@pytest.mark.parametrize("form", FORMS)
def test_a_column_of_any_name(form, name, tmp_path):
    moments = FORMS[form]
    texts = [moment.strftime(form) for moment in moments]
    table = read(texts, name, tmp_path)
    assert table.columns == ("load",)
    assert table.times.interval == ("1 hour" if moments is HOURS else "1 day")
    expected = np.array(moments, "M8[us]") + np.timedelta64(500 * (".500" in form), "ms")
    np.testing.assert_array_equal(table.times.times, expected)
    assert list(table.labels) == texts
    later = moments[-1] + (moments[-1] - moments[-2])
    assert table.times.labels_after(1) == [later.strftime(form)]


def test_a_year_and_its_day_without_a_mark_may_be_a_number(tmp_path):
    texts = [day.strftime("%Y%j") for day in DAYS]
    with pytest.raises(ValueError, match=r"a year and a day of it or a plain number: pass --time-"):
        read(texts, "t", tmp_path)
    assert series.read_times(texts, time_format="%Y%j").times[0] == np.datetime64(DAYS[0])


@pytest.mark.parametrize(
    "words", [["12345678T", "12345679T"], ["1-2-3X", "1-2-4X"], ["T00", "T01"]]
)
def test_codes_are_no_times(words, tmp_path):
    assert read(words, "code", tmp_path).times is None
