"""CSV files as people have them: what can be read is read right, what cannot is named by line."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import csv_cells, series, table

numbers = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """read(text or bytes, columns): the Table of a file with this content."""
    path = tmp_path_factory.mktemp("with spaces, é") / "my table.csv"

    def read(content: str | bytes, columns=None, **options) -> table.Table:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return table.read_csv(path, columns, **options)

    return read


# What can be read.


@given(st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=5))
def test_numbers_come_back_bit_for_bit(read, rows):
    text = "".join(",".join(map(repr, row)) + "\n" for row in rows)
    columns, values, *_ = read(text)
    assert columns == ("column_0", "column_1")
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, rows)


READABLE = {
    "comma": "a,b\n1,2\n3,4\n",
    "semicolon": "a;b\n1;2\n3;4\n",
    "tab": "a\tb\n1\t2\n3\t4\n",
    "byte order mark": "\ufeffa,b\n1,2\n3,4\n",
    "quotes": '"a","b"\n"1","2"\n"3",4\n',
    "CRLF": "a,b\r\n1,2\r\n3,4\r\n",
    "old Macintosh": "a,b\r1,2\r3,4\r",
    "no newline at the end": "a,b\n1,2\n3,4",
    "blank lines at the end": "a,b\n1,2\n3,4\n\n  \n,\n\r\n",
    "blank lines at the start": "\n\na,b\n1,2\n3,4\n",
    "spaces": " a , b\n 1 ,  2\n3 , 4 \n",
    "exponents and signs": "a,b\n1e0,+2.\n.3e1,400E-2\n",
    "semicolon and decimal points": "a;b\n1.0;2.0\n3.0;4.0\n",
}


@pytest.mark.parametrize("text", READABLE.values(), ids=READABLE)
def test_readable(text, read):
    columns, values, *_ = read(text)
    assert columns == ("a", "b")
    assert values.tolist() == [[1, 2], [3, 4]]


def test_without_a_header(read):
    columns, values, *_ = read("\ufeff1,2\n3,4\n")
    assert columns == ("column_0", "column_1")
    assert values.tolist() == [[1, 2], [3, 4]]


def test_one_column(read):
    assert read("speed\n1\n2\n").values.tolist() == [[1], [2]]
    assert read("5").values.tolist() == [[5]]


def test_names_may_hold_separators_and_other_letters(read):
    assert read('"speed, m/s",温度 [°C],$x^\n1,2,3\n').columns == ("speed, m/s", "温度 [°C]", "$x^")


DATED = "date,load,note,temp\n2024-01-01,1,ok,10\n2024-01-02,2,,20\n"


def test_columns_of_words_are_left_out(read):
    columns, values, *_ = read(DATED)
    assert columns == ("load", "temp")
    assert values.tolist() == [[1, 10], [2, 20]]


def test_chosen_columns_come_in_the_order_in_which_they_were_chosen(read):
    columns, values, *_ = read("a,b,c\n1,2,3\n4,5,6\n", ["c", "a", "b"])
    assert columns == ("c", "a", "b")
    assert values.tolist() == [[3, 1, 2], [6, 4, 5]]
    assert read(DATED, ["temp"]).values.tolist() == [[10], [20]]
    assert read("1,2\n3,4\n", ["column_1"]).values.tolist() == [[2], [4]]


def test_the_first_column_names_the_rows_if_it_is_not_read(read):
    dated = read(DATED)
    assert (dated.label_name, dated.labels) == ("date", ["2024-01-01", "2024-01-02"])
    plain = read("a,b\n1,2\n3,4\n")
    assert (plain.label_name, list(plain.labels)) == ("row of the table", [0, 1])
    assert table.read_dataset("sunspots").labels[-1] == "2008"


def test_an_empty_column_is_left_out(read):
    """Some programs end each line with a separator."""
    assert read("a,b,\n1,2,\n3,4,\n").columns == ("a", "b")


# What cannot be read.

BAD_CELLS = {
    "empty": ("", "line 3, column 'b': no value"),
    "blank": ("  ", "line 3, column 'b': no value"),
    "NA": ("NA", "line 3, column 'b': no value"),
    "null": ("null", "line 3, column 'b': no value"),
    "NaN": ("NaN", "line 3, column 'b': NaN is not finite"),
    "inf": ("-inf", "line 3, column 'b': -inf is not finite"),
    "too large": ("1e999", "line 3, column 'b': 1e999 is not finite"),
    "word": ("ten", "line 3, column 'b': 'ten' is not a number"),
    "percent": ("5%", "line 3, column 'b': '5%' is not a number"),
}


@pytest.mark.parametrize(("cell", "message"), BAD_CELLS.values(), ids=BAD_CELLS)
@pytest.mark.parametrize("columns", [None, ["b"]])
def test_a_bad_cell_is_named(cell, message, columns, read):
    with pytest.raises(ValueError, match=rf"my table\.csv, {message}"):
        read(f"a,b\n1,2\n3,{cell}\n5,6\n", columns)


def test_lines_are_counted_from_the_first_line_of_the_file(read):
    with pytest.raises(ValueError, match="line 2, column 'column_0': 'x'"):
        read("1,2\nx,4\n")
    with pytest.raises(ValueError, match="line 4, column 'a': 'x'"):
        read('a,"b\n(in m)"\n1,2\nx,4\n')  # the header takes two lines


@pytest.mark.parametrize("cell", ["", "NA"])
def test_a_column_that_starts_with_a_missing_value_is_not_left_out(cell, read):
    """Leaving it out would train on half of the table without a word."""
    with pytest.raises(ValueError, match="line 2, column 'a': no value"):
        read(f"a,b\n{cell},1\n2,3\n")


UNREADABLE = {
    "short line": ("a,b\n1,2\n3\n", None, r"line 3: 1 cells, but there are 2 columns \(a, b\)"),
    "long line": ("a,b\n1,2,3\n", None, r"line 2: 3 cells, but there are 2 columns \(a, b\)"),
    "blank line between": ("a,b\n1,2\n\n3,4\n", None, "line 3: 0 cells"),
    "empty file": ("", None, "is empty"),
    "blank file": ("\n  \n\n", None, "is empty"),
    "header alone": ("a,b\n", None, "has column names but no rows"),
    "no such column": ("a,b\n1,2\n", ["a", "c"], "has no column 'c': its columns are a, b"),
    "column of words": ("a,b\n1,ok\n", ["b"], "line 2, column 'b': 'ok' is not a number"),
    "words alone": ("a,b\nx,y\n", None, "has no numeric column: its columns are a, b"),
    "other separator": ("1 2\n3 4\n", None, "has no numeric column"),
    "two of a name": ("a,b,a\n1,2,3\n", None, "has more than one column 'a'"),
    "decimal commas": ("a;b\n1,5;2,5\n", ["a"], "line 2, column 'a': '1,5' is not a number"),
    "decimal commas alone": ("1,5;2,5\n3,5;4,5\n", None, "not a number|no numeric column"),
    "a quote left open": ('a,b\n1,"2\n3,4\n', None, "line"),
    "a huge cell": ("a,b\n" + 200_000 * "1" + ",2\n", None, "line 2|field larger"),
    "UTF-16": ("a,b\n1,2\n".encode("utf-16"), None, "is not a text file in UTF-8"),
    "Latin 1": ("é,b\n1,2\n".encode("latin-1"), None, "is not a text file in UTF-8"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), None, "is not a text file in UTF-8"),
}


@pytest.mark.parametrize(
    ("content", "columns", "message"), UNREADABLE.values(), ids=list(UNREADABLE)
)
def test_unreadable(content, columns, message, read):
    with pytest.raises(ValueError, match=rf"my table\.csv.*({message})"):
        read(content, columns)


@given(st.binary(max_size=40) | st.text("ab12,;\t\"'\n\r .-e", max_size=40))
def test_any_content_is_a_table_or_a_clear_error(read, content):
    try:
        columns, values, *_ = read(content)
    except ValueError as error:
        message = str(error)
    else:
        assert values.shape[1:] == (len(columns),)
        assert np.isfinite(values).all()
        message = "my table.csv"
    assert "my table.csv" in message


@pytest.mark.parametrize("place", ["nowhere.csv", "."])
def test_no_file(place, tmp_path):
    with pytest.raises(OSError, match=r"[Nn]o (such )?file|is a folder"):
        table.read_csv(tmp_path / place)


# Missing values, where they are asked for.

HOLES = "t,a,b\nx,1,\ny,NA,2\nz,nan,NULL\nw, ,3\n"


def test_missing_values_become_nan(read):
    columns, values, labels, *_ = read(HOLES, missing=True)
    assert (columns, labels) == (("a", "b"), ["x", "y", "z", "w"])
    np.testing.assert_array_equal(values, [[1, np.nan], [np.nan, 2], [np.nan, np.nan], [np.nan, 3]])
    empty = read("a,b,\n1,,\n2,,\n", ["b", "a"], missing=True)  # chosen, it may be empty
    np.testing.assert_array_equal(empty.values, [[np.nan, 1], [np.nan, 2]])
    assert read("a,b\n1,\n2,\n", missing=True).columns == ("a",)
    assert np.isnan(read("a,b\n1,2\n,\n3,4\n", missing=True).values[1]).all()


@pytest.mark.parametrize("cell", ["ten", "5%", "inf", "-", "1e999"])
def test_what_is_not_missing_is_still_an_error(cell, read):
    with pytest.raises(ValueError, match=r"line 3, column 'b': '?" + cell):
        read(f"a,b\n1,2\n3,{cell}\n4,\n", missing=True)


# Times.


@pytest.mark.parametrize("name", ["time", "Date", "datetime", "TIMESTAMP", "year", "ds"])
def test_a_first_column_that_says_it_holds_times_is_no_value(name, read):
    found = read(f"{name},a\n1990,1\n1991,2\n")
    assert (found.columns, found.labels, found.label_name) == (("a",), ["1990", "1991"], name)
    assert found.timed
    assert read(f"{name}\n1990\n").columns == (name,)  # alone, there is nothing else to read
    assert read(f"a,{name}\n1,1990\n").columns == ("a", name)
    assert read(f"{name},a\n1990,1\n", [name, "a"]).values.tolist() == [[1990, 1]]


def test_the_column_of_times_can_be_named(read):
    text = "a,when,b\n1,5.5,2\n3,6.5,4\n"
    found = read(text, time="when")
    assert (found.columns, found.labels, found.label_name) == (("a", "b"), ["5.5", "6.5"], "when")
    assert read(text, ["b", "a"], time="when").values.tolist() == [[2, 1], [4, 3]]
    assert read(text, ["a"], time="a").labels == ["1", "3"]
    with pytest.raises(ValueError, match="no column 'date': its columns are a, when, b"):
        read(text, time="date")
    with pytest.raises(ValueError, match="no numeric column besides that of times, year"):
        read("year,a\n1990,x\n")


def test_a_table_with_gaps_is_made_regular(read):
    found, times = table.regular(read("date,a\n2024-01-01,1\n2024-01-02,2\n2024-01-04,4\n"))
    assert (times.interval, times.gaps) == ("1 day", 1)
    assert found.labels[2] == "2024-01-03"
    np.testing.assert_array_equal(found.values[:, 0], [1, 2, np.nan, 4])
    years, times = table.regular(table.read_dataset("sunspots"))
    assert (times.interval, times.gaps, len(years.values)) == ("1", 0, 309)
    with pytest.raises(ValueError, match=r"row 1 \(2024-01-01\) comes before"):
        table.regular(read("day,a\n2024-01-02,1\n2024-01-01,2\n"))
    with pytest.raises(ValueError, match=r"row 1 \(5\) has the same time as the row"):
        table.regular(read("a,b\n5,1\n5,2\n", time="a"))


@pytest.mark.parametrize(
    ("text", "columns"),
    [("a,b\n9,1\n5,2\n", None), ("name,b\nx,1\ny,2\n", None), ("price,b\n9,1\n5,2\n", ["b"])],
)
def test_a_table_without_times_stays_as_it_is(text, columns, read):
    """Numbers are times only if something says so: prices need not rise."""
    before = read(text, columns)
    after, times = table.regular(before)
    assert times is None
    assert after is before


# Files larger than what is read at a time.


@given(st.lists(st.sampled_from(["1,2", "3,", ",4", ",", "", "x,5", "6", "nan,7"]), max_size=7))
def test_parts_of_a_file_are_read_as_the_whole(read, lines):
    text = "a,b\n" + "".join(line + "\n" for line in lines)

    def outcome(missing):
        try:
            columns, values, labels, *_ = read(text, missing=missing)
        except ValueError as error:
            return str(error)
        return columns, values.tolist().__repr__(), list(labels)

    whole = outcome(False), outcome(True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(csv_cells, "ROWS_AT_ONCE", 2)
        parts = outcome(False), outcome(True)
    for one, other in zip(whole, parts, strict=True):
        if isinstance(one, str):  # of two errors, another may be met first
            assert isinstance(other, str)
        else:
            assert one == other


def test_a_column_may_start_with_missing_values_for_longer_than_a_part(read, monkeypatch):
    monkeypatch.setattr(csv_cells, "ROWS_AT_ONCE", 2)
    columns, values, *_ = read("a,b\n1,\n2,\n3,\n4,9\n", missing=True)
    assert columns == ("a", "b")
    np.testing.assert_array_equal(values[:, 1], [np.nan, np.nan, np.nan, 9])


def test_the_text_of_a_file_is_not_kept(read, monkeypatch):
    monkeypatch.setattr(csv_cells, "ROWS_AT_ONCE", 500)
    text = "a,b,c\n" + "1.25,2.5,3.75\n" * 20_000
    tracemalloc.start()
    values = read(text).values
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * values.nbytes + len(text) + 500_000  # as cells it takes above 5,000,000


# What comes along.


def test_the_tutorial():
    columns, values, *_ = table.read_dataset("tutorial")
    assert columns == ("x", "x_cubed")
    np.testing.assert_array_equal(values, series.tutorial_series())


def test_sunspots():
    """First, largest and last year, as published: 1700, 1957, 2008."""
    columns, values, *_ = table.read_dataset("sunspots")
    assert columns == ("sunspots",)
    assert values.shape == (309, 1)
    assert values[[0, 1957 - 1700, -1], 0].tolist() == [5.0, 190.2, 2.9]
    assert values.argmax() == 1957 - 1700


@pytest.mark.parametrize("name", ["weather", "", "Tutorial"])
def test_an_unknown_dataset(name):
    with pytest.raises(ValueError, match="use one of tutorial, sunspots"):
        table.read_dataset(name)
