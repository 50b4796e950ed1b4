"""Tables as few programs write them are read as well, or refused with what settles them."""

import os
import sys

import numpy as np
import pytest

from lstmcore import series
from lstmcore.series.tables import text_file

NAN = np.nan


@pytest.fixture
def read(tmp_path):
    """read(text or bytes, columns, options): the Table of a file with this content."""

    def read(content: str | bytes, columns=None, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return series.read_csv(path, columns, **options)

    return read


# Tables in memory.


def test_masked_values_are_missing():
    masked = np.ma.masked_array([[1.0], [2.0], [3.0]], [[False], [True], [False]])
    assert series.missing(masked).counts.tolist() == [1]


@pytest.mark.parametrize(
    ("table", "columns", "message"),
    [
        ([[1, 2], [3]], None, "table must be an array of numbers, each row of it as long"),
        (np.zeros((3, 2)), ["a"], "columns has 1 name but the table has 2 columns"),
    ],
)
def test_a_table_in_memory_that_is_refused(table, columns, message):
    with pytest.raises(ValueError, match=message):
        series.missing(table, columns=columns)


def test_a_series_of_nullable_integers():
    pandas = pytest.importorskip("pandas")
    column = pandas.Series([1, None, 3], name="a", dtype="Int64")
    assert series.missing(column).counts.tolist() == [1]
    with pytest.raises(ValueError, match="column 'a' is of type object: convert it, or leave"):
        series.missing(column.astype(object))


# Numbers.


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("a;b\n1,5;2\n3;4\n", {"decimal": "."}, "line 2, column 'a': '1,5' is not a number with"),
        ("a;b\n1,5;2\n", {"decimal": ",", "thousands": ","}, "--decimal and --thousands are both"),
        ("a;b\n1;2\nx;3\n4;y\n", {"columns": ["b"]}, "line 4, column 'b': 'y' is not a number"),
        ("a,b\n,\n,\n", {}, "has no numeric column"),
        ("a,b\n,1\n,2\n", {"columns": ["a"]}, "line 2, column 'a': no value"),
        ("t,a\n2024-01-01,1\n2024-01-02,2\n", {"resample": "7x"}, "--resample '7x' is not an"),
        ("t,a\n2024-01-01,1\n2024-01-02,2\n", {"resample": "1year"}, "does not fill a single such"),
    ],
)
def test_refused(text, options, message, read):
    with pytest.raises(ValueError, match=message):
        read(text, **options)


def test_points_between_thousands(read):
    table = read("a;b\n1.234.567;2\n2.345.678;4\n")
    assert table.values.tolist() == [[1234567, 2], [2345678, 4]]


def test_rows_at_the_ends_that_fill_no_interval_are_counted(read):
    rows = "".join(f"2024-01-{day:02},{day}\n" for day in range(1, 12))
    notes = read(f"time,a\n{rows}", resample="3d").notes
    assert "2 rows left out at the ends, where they do not fill an interval of 3d" in notes


def test_cells_may_end_in_any_white_space(read):
    assert read("a,b\n1,\x1c2\n3,4\n").values.tolist() == [[1, 2], [3, 4]]


def test_a_comment_with_tabs_names_the_columns(read):
    assert read("#a\tb\n1.5\t2\n3\t4\n").columns == ("a", "b")


def test_a_comment_of_another_length_names_no_columns(read):
    assert read("# of a logger of two\n1.5,2\n3,4\n").columns == ("column_0", "column_1")


def test_without_pandas_the_table_is_the_same(read, monkeypatch):
    text = "".join(f"{row},{row / 7!r},name {row % 3}\n" for row in range(3000))
    fast = read(f"n,a,b\n{text}", ["a", "b"])
    monkeypatch.setitem(sys.modules, "pandas", None)
    plain = read(f"n,a,b\n{text}", ["a", "b"])
    np.testing.assert_array_equal(fast.values, plain.values)
    assert fast.columns == plain.columns


# Columns of times.

FOUND = {
    "two columns are named like times, one holds them": (
        "date,timestamp,a\n2024-01-01,1.5,1\n2024-01-02,7,2\n", "date",
    ),
    "a date and a time of day, neither named": (
        "p,q,a\n2024-01-01,10:00,1\n2024-01-01,11:00,2\n", "p q",
    ),
    "times of day without a day": ("time,a\n10:00,1\n11:00,2\n", "time"),
    "all parts": (
        "year,month,day,hour,minute,second,a\n2024,1,1,0,0,0,1\n2024,1,1,0,0,1,1\n",
        "year month day hour minute second",
    ),
    "parts and a time of day": (
        "year,month,day,time,a\n2024,1,1,10:00,1\n2024,1,1,11:00,2\n", "year month day time",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "name"), FOUND.values(), ids=FOUND)
def test_columns_of_times_are_found(text, name, read):
    assert read(text).label_name == name


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (
            "date,timestamp,a\n2024-01-01,2024-01-01,1\n2024-01-02,2024-01-02,2\n",
            {},
            "2 columns may hold the times of the rows, date and timestamp: say which",
        ),
        ("time,a\nfoo,1\nbar,2\n", {}, "column 'time': 'foo' is not understood as a time"),
        (
            "x,y,z,a\n2024,1,1,1\n2024,1,2,2\n",
            {"time": "x,y,z"},
            "name a column of dates and one of times of day",
        ),
    ],
)
def test_columns_of_times_that_are_refused(text, options, message, read):
    with pytest.raises(ValueError, match=message):
        read(text, **options)


# Files.


@pytest.mark.parametrize("content", [b"a,b\n1,\xff\n2,\x81\n", b"\xe9,b\n1,2\n2,\x81\n"])
def test_text_in_no_common_encoding(content, read):
    with pytest.raises(ValueError, match="nor in Windows-1252: say its encoding with --encoding"):
        read(content)


def test_a_line_without_an_end(read, monkeypatch):
    monkeypatch.setattr(text_file, "LONGEST_RECORD", 1 << 20)
    with pytest.raises(ValueError, match="has a line of more than 1 MiB: it is not a table"):
        read("a,b\n" + "1" * (4 << 20))


def test_a_file_that_may_not_be_read(read, monkeypatch):
    def denied(*_):
        raise PermissionError

    monkeypatch.setattr(text_file, "open", denied, raising=False)
    with pytest.raises(PermissionError, match="may not be read: permission denied"):
        read("a,b\n1,2\n")


def test_a_file_whose_disk_fails():
    if not os.path.exists("/proc/self/mem"):
        pytest.skip("no file is known to fail here")
    with pytest.raises(OSError, match="/proc/self/mem cannot be read: Input/output error"):
        series.read_csv("/proc/self/mem")


def test_words_of_any_length_beside_numbers(read):
    """Names of rows that are short, then long, then quoted: as many are read as there are."""
    names = [f"{'x' * (1 if row < 1000 else 100)}{row % 2}" for row in range(2000)]
    text = "".join(f"{name},{row}.5\n" for row, name in enumerate(names))
    table = read(f"name,a\n{text}", ["a"])
    np.testing.assert_array_equal(table.values[:, 0], np.arange(2000) + 0.5)
    assert list(table.labels) == names
