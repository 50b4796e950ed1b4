"""Tables of any common form are read as a person would, or refused with what settles it."""

import bz2
import gzip
import lzma
import os
import re
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import any_table, hostile_table

from lstmcore import series
from lstmcore.series import ReadOptions, Table
from lstmcore.series.tables import plain_text, text_file

NAN = np.nan
CASES = 6_000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 200
numbers = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """read(text or bytes, columns, options): the Table of a file with this content."""
    path = tmp_path_factory.mktemp("with spaces, é") / "my table.csv"

    def read(content: str | bytes, columns=None, **options) -> Table:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return series.read_csv(path, columns, **options)

    return read


# Cells, separators and encodings: all of these are the same table.

SAME = {
    "comma": "a,b\n1.5,2\n3,4\n",
    "semicolon": "a;b\n1.5;2\n3;4\n",
    "tab": "a\tb\n1.5\t2\n3\t4\n",
    "bar": "a|b\n1.5|2\n3|4\n",
    "spaces": "a   b\n1.5 2\n  3  4  \n",
    "decimal commas": "a;b\n1,5;2\n3;4\n",
    "decimal commas in quotes": 'a,b\n"1,5",2\n3,4\n',
    "decimal commas between tabs": "a\tb\n1,5\t2,0\n3\t4\n",
    "separator told as Excel does": "sep=;\na;b\n1,5;2\n3;4\n",
    "byte order mark": "\ufeffa,b\n1.5,2\n3,4\n",
    "UTF-16": "a,b\n1.5,2\n3,4\n".encode("utf-16"),
    "UTF-16, big-endian": b"\xfe\xff" + "a,b\n1.5,2\n3,4\n".encode("utf-16-be"),
    "UTF-32": "a,b\n1.5,2\n3,4\n".encode("utf-32"),
    "a separator at the end of rows": "a,b\n1.5,2,\n3,4,\n",
    "rows that R has numbered": '"a" "b"\n"1" 1.5 2\n"2" 3 4\n',
    "quotes": '"a","b"\n"1.5","2"\n"3",4\n',
    "CRLF": "a,b\r\n1.5,2\r\n3,4\r\n",
    "old Macintosh": "a,b\r1.5,2\r3,4\r",
    "no newline at the end": "a,b\n1.5,2\n3,4",
    "blank lines at the end": "a,b\n1.5,2\n3,4\n\n  \n,\n\r\n",
    "blank lines at the start": "\n\na,b\n1.5,2\n3,4\n",
    "spaces around cells": " a , b\n 1.5 ,  2\n3 , 4 \n",
    "exponents and signs": "a,b\n15e-1,+2.\n.3e1,400E-2\n",
    "units under the names": "a,b\nkW,°C\n1.5,2\n3,4\n",
    "comments": "# from a logger\na,b\n# begins\n1.5,2\n3,4\n# ends",
    "names in a comment, as NumPy writes them": "# a b\n1.5 2\n3 4\n",
    "gzip": gzip.compress(b"a,b\n1.5,2\n3,4\n"),
    "bzip2": bz2.compress(b"a,b\n1.5,2\n3,4\n"),
    "xz": lzma.compress(b"a,b\n1.5,2\n3,4\n"),
    "index of pandas": ",a,b\n0,1.5,2\n1,3,4\n",
    "a column without values": "a,b,\n1.5,2,\n3,4,\n",
    "rows without values": "a,b\n,\n1.5,2\n3,4\n,\n,\n",
}


@pytest.mark.parametrize("content", SAME.values(), ids=SAME)
def test_the_same_table(content, read):
    table = read(content)
    assert table.columns == ("a", "b")
    assert table.values.tolist() == [[1.5, 2], [3, 4]]


CELLS = {  # of one column, what is read of it
    "thousands of several groups": (["1,234,567", "2"], [1234567, 2]),
    "thousands and a decimal point": (["1,234.5", "6,789"], [1234.5, 6789]),
    "thousands with points": (["1.234,5", "6.789"], [1234.5, 6789]),
    "thousands with spaces": (["1 234,5", "1\u202f234\u202f567,25"], [1234.5, 1234567.25]),
    "thousands as in Switzerland": (["1'234.5", "1’000"], [1234.5, 1000]),
    "0,123 is no thousand": (["0,123", "1,234"], [0.123, 1.234]),
    "minus of typographers": (["−5", "-6"], [-5, -6]),
    "percent": (["5%", "6.5 %"], [5, 6.5]),
    "percent with commas": (["5,5%", "6,25%"], [5.5, 6.25]),
    "missing": (["1", "NA", "N/A", "#N/A", "?", "-", "null", "NaN", "nan", "2"],
                [1, *[NAN] * 8, 2]),
    "many digits": (["0.1", "12345678901234567890", "1e-320"], [0.1, 12345678901234567890, 1e-320]),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "expected"), CELLS.values(), ids=CELLS)
def test_cells(cells, expected, read):
    quoted = "".join(f'"{cell}",7\n' for cell in cells)
    np.testing.assert_array_equal(
        read(f"a,b\n{quoted}", missing=True).values[:, 0], np.array(expected)
    )


@given(st.lists(st.lists(numbers, min_size=2, max_size=2), min_size=1, max_size=5))
def test_numbers_come_back_bit_for_bit(read, rows):
    text = "".join(",".join(map(repr, row)) + "\n" for row in rows)
    columns, values, *_ = read(text)
    assert columns == ("column_0", "column_1")
    assert values.dtype == np.float64
    np.testing.assert_array_equal(values, rows)


# What may mean two things is refused with the option that settles it.

OPEN = {
    "1,234 alone": (
        'a,b\n"1,234",1\n"2,345",2\n', "line 2, column 'a': '1,234' may be 1234 or 1.234: .*--dec",
        {"decimal": "."}, [[1234, 1], [2345, 2]],
    ),
    "1,234 alone, as a decimal": (
        "a;b\n1,234;1\n2,345;2\n", "line 2, column 'a': '1,234' may be 1234 or 1.234: .*--decimal",
        {"decimal": ","}, [[1.234, 1], [2.345, 2]],
    ),
    "1.234 and 1,234": (
        'a,b\n1.234,1\n"2,345",2\n', "line 3, column 'a': '2,345' may be 2345 or 2.345",
        {"decimal": ","}, [[1234, 1], [2.345, 2]],
    ),
    "1.234 between semicolons": (
        "a;b\n1.234;1\n2.345;2\n", "line 2, column 'a': '1.234' may be 1.234 or 1234",
        {"thousands": "."}, [[1234, 1], [2345, 2]],
    ),
    "names or values": (
        "0,5\n1,6\n2,7\n3,8\n", None, {}, [[0, 5], [1, 6], [2, 7], [3, 8]],
    ),
    "numbers that count on": (
        "0,1\n1,5\n2,6\n", "line 1: 0, 1 may be column names .* --header or --no-header",
        {"header": False}, [[0, 1], [1, 5], [2, 6]],
    ),
    "words and numbers": (
        "Paris,5,6\nRome,7,8\n", "line 1: Paris, 5, 6 may be column names .* --header",
        {"header": False}, [[5, 6], [7, 8]],
    ),
    "-9999": ("a,b\n1,2\n-9999,4\n3,5\n", None, {"na": ("-9999",), "missing": True},
              [[1, 2], [NAN, 4], [3, 5]]),
    "a word for no value": (
        "a,b\n1,2\noff,4\n3,5\n", "line 3, column 'a': 'off' is not a number: .*--na off",
        {"na": ("off",), "missing": True}, [[1, 2], [NAN, 4], [3, 5]],
    ),
    "lines above": (
        "device 7\nserial 8\na,b\n1,2\n", "line 3: 2 cells, but there is 1 column .*--skip-lines",
        {"skip_lines": 2}, [[1, 2]],
    ),
    "one number or two": (
        "load kW\n1 234\n5 678\n", "may be one number or several: .*--separator",
        {"separator": ";"}, [[1234], [5678]],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "refusal", "options", "expected"), OPEN.values(), ids=OPEN)
def test_what_is_open_is_settled_by_an_option(text, refusal, options, expected, read):
    if refusal is not None:
        with pytest.raises(ValueError, match=refusal) as caught:
            read(text)
        assert len(str(caught.value)) < 500
    np.testing.assert_array_equal(read(text, **options).values, expected)


WRONG_OPTIONS = {
    "decimal": ({"decimal": "x"}, "--decimal must be one of '.' ','"),
    "both": ({"decimal": ",", "thousands": ","}, "are both ','"),
    "separator": ({"separator": "ab"}, "--separator must be tab, space, or one character"),
    "duplicates": ({"duplicates": "drop"}, "--duplicates must be refuse, mean, first or last"),
    "encoding": ({"encoding": "klingon"}, "there is no encoding 'klingon'"),
    "lines": ({"skip_lines": -1}, "--skip-lines must be at least 0"),
}


@pytest.mark.parametrize(("options", "message"), WRONG_OPTIONS.values(), ids=WRONG_OPTIONS)
def test_wrong_options(options, message, read):
    with pytest.raises(ValueError, match=re.escape(message)):
        read("a,b\n1,2\n", **options)


def test_options_come_back_from_json():
    options = ReadOptions(time="when", na=("-1", "x"), decimal=",", sort=True, day_first=False)
    assert ReadOptions.from_json(options.to_json()) == options
    for damaged in ({"time": 5}, {"na": [1]}, {"sort": "yes"}, {"other": 1}, {"skip_lines": "1"}):
        with pytest.raises(ValueError, match="option"):
            ReadOptions.from_json(damaged)


# Columns: which are values.


def test_without_a_header(read):
    columns, values, *_ = read("\ufeff1,2\n3,4\n")
    assert columns == ("column_0", "column_1")
    assert values.tolist() == [[1, 2], [3, 4]]
    dated = read("2024-01-01,5\n2024-01-02,6\n")
    assert (dated.columns, list(dated.labels)) == (("column_1",), ["2024-01-01", "2024-01-02"])


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("0,1\n10,20\n11,21\n", ("0", "1")),
        ("2001,2002\n5,6\n7,8\n", ("2001", "2002")),
        ("1995,2005\n5,6\n7,8\n", ("1995", "2005")),
        ("1995,2005\n1996,2004\n1999,1998\n", ("column_0", "column_1")),
        (",0,1\n0,10,20\n1,11,21\n", ("0", "1")),
        ("city,2001,2002\nParis,5,6\nRome,7,8\n", ("2001", "2002")),
        (",2024-01-01,2024-01-02\nx,5,6\ny,7,8\n", ("2024-01-01", "2024-01-02")),
        ("1,2,3\n0.5,1.5,2.5\n", ("1", "2", "3")),
    ],
)
def test_names_may_be_numbers_and_dates(text, columns, read):
    assert read(text).columns == columns


def test_one_column(read):
    assert read("speed\n1\n2\n").values.tolist() == [[1], [2]]
    assert read("5").values.tolist() == [[5]]


def test_names_may_hold_separators_and_other_letters(read):
    assert read('"speed, m/s",温度 [°C],$x^\n1,2,3\n').columns == ("speed, m/s", "温度 [°C]", "$x^")
    assert read('time;"speed; m/s";x,y\n1;1;2\n2;2;3\n').columns == ("speed; m/s", "x,y")


DATED = "date,load,note,temp\n2024-01-01,1,ok,10\n2024-01-02,2,,20\n"


def test_columns_of_words_are_left_out_and_named(read):
    table = read(DATED)
    assert table.columns == ("load", "temp")
    assert table.values.tolist() == [[1, 10], [2, 20]]
    assert "1 column without numbers left out: note ('ok')" in " ".join(table.notes)


def test_a_column_is_judged_by_all_of_its_cells(read):
    text = "date;load;n\n2024-01-01;1,5;3\n2024-01-02;1,7;4\n"
    assert read(text).columns == ("load", "n")
    with pytest.raises(ValueError, match="line 2, column 'a': 'off' is not a number"):
        read("a,b\noff,1\n5,2\n6,3\n")
    with pytest.raises(ValueError, match="line 4, column 'a': 'x' is not a number"):
        read("a,b\n5,1\n6,2\nx,3\n")
    assert read("a,b\nx,1\ny,2\n5,3\n").columns == ("b",)


def test_chosen_columns_come_in_the_order_in_which_they_were_chosen(read):
    columns, values, *_ = read("a,b,c\n1,2,3\n4,5,6\n", ["c", "a", "b"])
    assert columns == ("c", "a", "b")
    assert values.tolist() == [[3, 1, 2], [6, 4, 5]]
    assert read(DATED, ["temp"]).values.tolist() == [[10], [20]]
    assert read("1,2\n3,4\n", ["column_1"]).values.tolist() == [[2], [4]]


def test_words_that_are_asked_for_become_categories(read):
    text = "date,a,sky,on\n2024-01-01,5,dry,True\n2024-01-02,6,wet,False\n2024-01-03,7,dry,\n"
    table = read(text, ["sky", "on"], missing=True)
    assert table.columns == ("sky=dry", "sky=wet", "on")
    np.testing.assert_array_equal(table.values, [[1, 0, 1], [0, 1, 0], [1, 0, NAN]])
    again = read(text, table.columns, missing=True)
    assert again.columns == table.columns
    np.testing.assert_array_equal(again.values, table.values)
    with pytest.raises(ValueError, match="5 different texts in 5 rows are too many for categories"):
        read("a,b\n" + "".join(f"name {i},{i}\n" for i in range(5)), ["a"])


def test_columns_that_count_the_rows_are_left_out_and_named(read):
    for text in (",a\n0,5\n1,6\n", "No,a\n1,5\n2,6\n3,7\n", "Unnamed: 0,a\n7,5\n8,6\n"):
        table = read(text)
        assert table.columns == ("a",)
        assert "it only counts the rows" in " ".join(table.notes)
    assert read("No,a\n1,5\n2,6\n3,7\n", ["No"]).columns == ("No",)
    assert read("time,RECORD,a\n2024-01-01,0,5\n2024-01-02,1,6\n2024-01-03,2,7\n").columns == ("a",)
    assert read("a,b\n1,5\n2,6\n3,8\n").columns == ("a", "b")


@pytest.mark.parametrize(
    "cells", [[202311, 202312], [202311, 202305, 202312], [202311, 202312, 202313], [10, 11, 12]]
)
def test_numbers_that_only_resemble_times_are_values(cells, read):
    text = "x,a\n" + "".join(f"{cell},{cell % 7}\n" for cell in cells)
    assert read(text).columns == ("x", "a")


@pytest.mark.parametrize("cells", [[202311, 202312, 202313], [10, 11, 12], [2, 2, 3]])
def test_a_month_may_be_a_number(cells, read):
    text = "month,a\n" + "".join(f"{cell},{cell % 7}\n" for cell in cells)
    assert read(text).columns == ("month", "a")


@pytest.mark.parametrize("separator", [",", " ", ";", "\t"])
def test_names_of_rows_need_no_name_of_their_own(separator, read):
    table = read('"a","b"\n"x",1.5,2\n"y",3,4\n'.replace(",", separator))
    assert (table.columns, table.values.tolist()) == (("a", "b"), [[1.5, 2], [3, 4]])
    assert list(table.labels) == ["x", "y"]
    assert "line 1 has 2 names for 3 columns: the first column was read as row names" in table.notes


@pytest.mark.parametrize(
    "text",
    [
        "Datum,Last\n01.01.2024,1,5\n02.01.2024,2,7\n03.01.2024,3,9\n",
        "n,level\n1,1,5\n2,2,7\n3,3,9\n",
        "city,temp\nParis,France,21\nLyon,France,22\n",
        "a;b\nx;1;5\ny;2;5\n",
        "time temp\n01.01.2024 1 5\n02.01.2024 2 5\n03.01.2024 4 5\n",
        '"station","level"\n"north",1,5\n"south",2,7\n',  # 1.5 and 2.7, it may be
        '"time" "temp"\n"01.01.2024" 1 5\n"02.01.2024" 2 5\n',
    ],
)
def test_rows_that_are_too_long_are_not_shifted(text, read):
    with pytest.raises(ValueError, match=r"line 2: 3 cells, but there are 2 columns"):
        read(text)


def test_a_separator_at_the_end_of_rows_makes_no_column(read):
    rows = "".join(f"2024-01-{day:02},{day}.5,\n" for day in range(1, 20))
    table = read("date,a\n" + rows)
    assert (table.columns, len(table.notes), len(table.values)) == (("a",), 1, 19)
    assert read(",a\n" + "".join(f"{row},{row}.5,\n" for row in range(9))).columns == ("a",)
    with pytest.raises(ValueError, match=r"line 21: 3 cells, but there are 2 columns \(date, a\)"):
        read("date,a\n" + rows + "2024-01-20,7,8\n")


def test_what_stands_above_a_table_is_left_out(read):
    assert read("sep=;\n\na;b\n1;2\n").columns == ("a", "b")
    assert read("TOA5,TOA6\n1.5,2\n3,4.5\n").columns == ("TOA5", "TOA6")
    for text in ("sep=;\n", "sep=;\n\n\n", "\nsep=;\n \n"):
        with pytest.raises(ValueError, match="is empty: expected lines of numbers"):
            read(text)


def test_words_for_missing_values_are_known_wherever_they_stand(read):
    for word in ("nan", "-nan", "-nan(ind)", "NA", "+NaN"):
        rows = [f"{row},1.5" for row in range(30)]
        rows[2] = rows[25] = f"{word},1.5"
        assert np.isnan(read("\n".join(["a,b", *rows]), missing=True).values[[2, 25], 0]).all()


def test_series_are_found_by_the_words_of_any_column_that_may_tell_them_apart(read):
    text = "".join(f"{row},{'NS'[row // 4]},{'ABAB'[row // 2]},{row}.5\n" for row in range(8))
    text = "day,region,store,sales\n" + text
    assert any(note.startswith("region, store may tell series apart") for note in read(text).notes)
    assert read(text, series="S").values[:, -1].tolist() == [4.5, 5.5, 6.5, 7.5]
    assert read(text, series="B").values[:, -1].tolist() == [2.5, 3.5, 6.5, 7.5]


def test_a_large_key_is_not_rounded(read):
    keys = ("9007199254740992", "9007199254740993")
    rows = "".join(f"2024-01-0{1 + row // 2},{keys[row % 2]},{row}\n" for row in range(8))
    table = read("date,station_no,sales\n" + rows, series=keys[1])
    assert table.values[:, -1].tolist() == [1, 3, 5, 7]


@pytest.mark.parametrize("rows", ["1,5,2\n2,5,3\n7,5,3\n", "1,5,2\n,5,3\n", "x,5,2\ny,5,3,4\n"])
def test_a_cell_more_in_each_row_is_not_always_a_name(rows, read):
    with pytest.raises(ValueError, match=r"line [23]: [34] cells, but there are [23] col"):
        read("a,b\n" + rows)


def test_the_head_of_a_campbell_logger(read):
    table = read(
        '"TOA5","CR1000","CR1000","1234"\n"TIMESTAMP","RECORD","Batt","Air"\n'
        '"TS","RN","Volts","Deg C"\n"","","Min","Avg"\n'
        '"2024-01-01 00:00:00",7,12.1,3.2\n"2024-01-01 00:10:00",8,12.2,3.1\n'
    )
    assert table.columns == ("RECORD", "Batt", "Air")
    assert table.values[:, 1:].tolist() == [[12.1, 3.2], [12.2, 3.1]]
    assert table.times.interval == "10 minutes"
    assert "line 4 holds units, not values: Min, Avg" in table.notes


def test_numbers_that_lose_something_are_pointed_out(read):
    zeros = "part: 01234 on line 3 read as a number, without its leading zeros"
    assert zeros in read("part,y\n98765,1.5\n01234,2\n55555,3\n").notes
    for plain in ("0.25", "00", "01"):
        assert len(read(f"part,y\n98765,1.5\n{plain},2\n55555,3\n").notes) == 1
    large = "id: numbers from 9,007,199,254,740,992 on, the first on line 3, are kept to 16 digits"
    for number in ("9007199254740993", "-9007199254740993", "99999999999999999992"):
        assert any(large in note for note in read(f"id,y\n5,1\n{number},2\n7,4\n").notes)
    assert len(read("amount,y\n5,1\n9007199254740991,2\n1e300,4\n").notes) == 1


def test_names_that_look_alike_are_alike(read):
    table = read("Ka\u0308lte,b\n1.5,2\n3,4\n", ["K\u00e4lte"])
    assert (table.columns, table.values.tolist()) == (("K\u00e4lte",), [[1.5], [3]])
    assert read("K\u00e4lte,b\n1.5,2\n3,4\n", ["Ka\u0308lte"]).columns == ("K\u00e4lte",)


def test_what_repeats_the_times_is_pointed_out(read):
    notes = read("time,hour,x\n2024-01-01 00:00,0,5\n2024-01-01 01:00,1,6\n").notes
    assert "hour may repeat what the times say" in " ".join(notes)


def test_one_sentence_says_what_was_understood(read):
    text = "Datum;Uhrzeit;Last\n30.12.2013;09:00;1,5\n30.12.2013;10:00;1,75\n"
    assert read(text).notes == (
        "cells separated by semicolons, decimal commas, times as day.month.year hour:minute in "
        "columns 'Datum' and 'Uhrzeit'",
    )
    assert read("Größe,b\n1,2\n".encode("latin-1")).notes == (
        "cells separated by commas",
        "the file is not in UTF-8, so it was read as Windows-1252: the first cell that is not "
        "ASCII is 'Größe'; --encoding names another",
    )


# Rows: their names and their times.


def test_the_first_column_names_the_rows_if_it_is_not_read(read):
    dated = read(DATED)
    assert (dated.label_name, list(dated.labels)) == ("date", ["2024-01-01", "2024-01-02"])
    plain = read("a,b\n1,2\n3,4\n")
    assert (plain.label_name, list(plain.labels)) == ("row of the table", [0, 1])
    named = read("place,a\nnorth,1\nsouth,2\n")
    assert (named.label_name, named.labels) == ("place", ["north", "south"])
    assert read("a,place\n1,north\n2,south\n").labels == range(2)


TIMES = {  # where the times are, and what they are called
    "first": ("time,a\n2024-01-01,1\n2024-01-02,2\n", "time"),
    "with a unit": ("a,Timestamp (UTC)\n1,2024-01-01\n2,2024-01-02\n", "Timestamp (UTC)"),
    "last": ("a,date\n1,2024-01-01\n2,2024-01-02\n", "date"),
    "behind the number of the row": (",date,a\n0,2024-01-01,1\n1,2024-01-02,2\n", "date"),
    "the index of pandas": (",a\n2024-01-01,1\n2024-01-02,2\n", "column_0"),
    "by their looks": ("a,when\n1,2024-01-01\n2,2024-01-02\n", "when"),
    "years": ("year,a\n1990,1\n1991,2\n", "year"),
    "years behind": ("a,year\n1,1990\n2,1991\n", "year"),
    "compact": ("ds,a\n202311,1\n202312,2\n202401,3\n", "ds"),
    "epoch": ("timestamp,a\n1704067200,1\n1704070800,2\n", "timestamp"),
    "date and time of day": ("Date,Time,a\n31.12.2013,09:00,1\n31.12.2013,10:00,2\n", "Date Time"),
    "date and hour": ("date,hour,a\n2013-12-31,0,1\n2013-12-31,1,2\n", "date hour"),
    "parts": ("year,month,day,hour,a\n2010,1,31,23,1\n2010,2,1,0,2\n", "year month day hour"),
    "date and time with points": (
        "Date;Time;a\n13/03/2004;18.00.00;1\n13/03/2004;19.00.00;2\n", "Date Time"
    ),
    "under names of two levels": (
        "Price,a\nTicker,X\nDate,\n2024-01-02,1\n2024-01-03,2\n", "Date"
    ),
    "year and month": ("year,month,a\n2010,12,1\n2011,1,2\n", "year month"),
    "months in a column month": ("a,month\n1,202311\n2,202312\n", "month"),
    "months with points": ("month,a\n2023.09,1\n2023.10,2\n2023.11,3\n", "month"),
    "months with underscores": ("month,a\n2023_11,1\n2023_12,2\n2024_01,3\n", "month"),
    "compact, by their looks": ("a,x\n1,202311\n2,202312\n3,202401\n", "x"),
    "epoch, by its looks": ("a,x\n1,1700000000.2\n2,1700000000.4\n3,1700000000.6\n", "x"),
    "compact hours": ("x,a\n2024010122,1\n2024010123,2\n2024010200,3\n", "x"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "name"), TIMES.values(), ids=TIMES)
def test_times_are_found(text, name, read):
    table = read(text)
    assert table.label_name == name
    assert table.values[:, table.columns.index("a")].tolist()[:2] == [1, 2]
    assert table.times is not None
    assert table.times.gaps == 0


def test_the_column_of_times_can_be_named(read):
    text = "a,when,b\n1,5.5,2\n3,6.5,4\n"
    found = read(text, time="when")
    assert (found.columns, list(found.labels)) == (("a", "b"), ["5.5", "6.5"])
    assert found.label_name == found.options.time == "when"
    assert read(text, ["b", "a"], time="when").values.tolist() == [[2, 1], [4, 3]]
    assert list(read(text, ["a"], time="a").labels) == ["1", "3"]
    with pytest.raises(ValueError, match="no column 'date': its columns are a, when, b"):
        read(text, time="date")
    with pytest.raises(ValueError, match="no numeric column besides year"):
        read("year,a\n1990,x\n")
    assert read("year,a\n1990,1\n1991,2\n", ["year", "a"]).values[0].tolist() == [1990, 1]
    assert read("time\n1990\n").columns == ("time",)  # alone, there is nothing else to read


BAD_TIMES = {
    "words": ("date,a\nfirst,1\nsecond,2\n", "line 2, column 'date': 'first' is not understood"),
    "no such day": ("date,a\n2024-02-28,1\n2024-02-30,2\n", "line 3, column 'date': 2024-02-30"),
    "which is the month": ("date,a\n02-01-2024,1\n01-01-2024,2\n", "--day-first"),
    "mixed": ("date,a\n2024-01-01,1\nsoon,2\n", "line 3, column 'date': soon"),
    "missing": ("date,a\n2024-01-01,1\n,2\n2024-01-03,3\n", "line 3, column 'date': an empty cell"),
    "newest first": ("date,a\n2024-01-02,1\n2024-01-01,2\n", r"line 3, .* --sort"),
    "twice": ("date,a\n2024-01-02,1\n2024-01-02,2\n", r"line 3, .*: --duplicates first or last"),
    "irregular": (
        "t,a\n2024-01-01 01:00,1\n2024-01-01 02:00,2\n2024-01-01 03:00,3\n2024-01-01 04:11,4\n",
        r"line 5, column 't': .* --resample 1h makes the steps equal, --consecutive",
    ),
    "months in no order": ("month,a\n202311,1\n202305,2\n", r"line 3, .* --sort"),
    "a sum below": ("t,a\n2024-01-01,1\n2024-01-02,2\nTotal,3\n", "line 4, column 't': Total"),
    "two columns": ("start,end,a\n2024-01-01,2024-01-02,1\n", "start and end: say which, --time"),
    "month 13": ("year,month,a\n2010,13,1\n", r"line 2, .* 2010-13"),
    "a month of words": ("year,month,a\n2010,soon,1\n", "'soon' is not the month of a time"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_TIMES.values(), ids=BAD_TIMES)
def test_times_that_are_not_understood(text, message, read):
    with pytest.raises(ValueError, match=message) as caught:
        read(text)
    assert "my table.csv" in str(caught.value)
    assert len(str(caught.value)) < 500


def test_rows_are_put_in_order_if_asked_for(read):
    text = "date,a\n2024-01-03,3\n2024-01-01,1\n2024-01-02,2\n2024-01-02,4\n"
    table = read(text, sort=True, duplicates="mean")
    assert list(table.labels) == ["2024-01-01", "2024-01-02", "2024-01-03"]
    assert table.values.tolist() == [[1], [3], [3]]
    assert read(text, sort=True, duplicates="last").values.tolist() == [[1], [4], [3]]
    uneven = "date,rain,level\n" + "".join(
        f"2024-01-01 0{minute // 60}:{minute % 60:02},1,{minute}\n" for minute in range(1, 61, 3)
    )
    table = read(uneven, resample="30min", aggregate="rain=sum,level=last")
    assert table.values.tolist() == [[10, 28], [10, 58]]
    assert table.times.interval == "30 minutes"
    with pytest.raises(ValueError, match=r"--aggregate .* is not one of mean, sum"):
        read(uneven, resample="30min", aggregate="snow=sum")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"sort": True}, "--sort"),
        ({"resample": "1h"}, "--resample"),
        ({"duplicates": "mean"}, "--duplicates"),
        ({"day_first": False}, "--month-first"),
    ],
)
def test_options_of_times_need_times(options, name, read):
    with pytest.raises(
        ValueError, match=f"no column of times, which {name} needs: --time names it"
    ):
        read("a,b\n1,2\n3,4\n", **options)
    with pytest.raises(ValueError, match="--aggregate sum needs --resample"):
        read("a,b\n1,2\n3,4\n", aggregate="sum")


def test_rows_may_be_taken_as_consecutive(read):
    text = "date,a\n2024-01-05 16:00,1\n2024-01-05 17:00,2\n2024-01-08 09:30,3\n"
    table = read(text, consecutive=True)
    assert (table.times.gaps, len(table.values)) == (0, 3)
    assert read("date,a\nfirst,1\nsecond,2\n", consecutive=True).labels == ["first", "second"]


def test_a_table_with_gaps_is_made_regular(read):
    table = series.regular(read("date,a\n2024-01-01,1\n2024-01-02,2\n2024-01-04,4\n"))
    assert (table.times.interval, table.times.gaps) == ("1 day", 1)
    assert table.labels[2] == "2024-01-03"
    np.testing.assert_array_equal(table.values[:, 0], [1, 2, NAN, 4])


@pytest.mark.parametrize(
    ("text", "columns"),
    [("a,b\n9,1\n5,2\n", None), ("name,b\nx,1\ny,2\n", None), ("price,b\n9,1\n5,2\n", ["b"])],
)
def test_a_table_without_times_stays_as_it_is(text, columns, read):
    """Numbers are times only if something says so: prices need not rise."""
    before = read(text, columns)
    assert before.times is None
    assert series.regular(before) is before


PANELS = {
    "one below the other": (
        "unique_id,ds,y\n"
        "a,2024-01-01,1\na,2024-01-02,2\nb,2024-01-01,3\nb,2024-01-02,4\n"
    ),
    "sorted by date": (
        "date,shop,y\n2024-01-01,a,1\n2024-01-01,b,3\n2024-01-02,a,2\n2024-01-02,b,4\n"
    ),
    "of one row": (
        "date,item,y\n2024-01-01,a,1\n2024-01-01,b,3\n2024-01-02,a,2\n2024-01-02,b,4\n"
        "2024-01-02,c,9\n"
    ),
    "by number": (
        "date,shop,y\n2024-01-01,5,1\n2024-01-01,6,3\n2024-01-02,5,2\n2024-01-02,6,4\n"
    ),
    "by a number of no telling name": (
        "date,plant,y\n2024-01-01,5,1\n2024-01-01,6,3\n2024-01-02,5,2\n2024-01-02,6,4\n"
    ),
    "at other times": (
        "ticker,date,y\na,2024-01-01,1\na,2024-01-02,2\nb,2024-01-03,3\nb,2024-01-04,4\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", PANELS.values(), ids=PANELS)
def test_several_series_are_found_and_asked_for(text, read):
    with pytest.raises(
        series.SeveralSeriesError, match=r"holds [23] series, .*: --series NAME"
    ) as e:
        read(text)
    assert e.value.names[:2] in (["a", "b"], ["5", "6"])
    first, second = ("5", "6") if "5" in text else ("a", "b")
    assert read(text, series=first).values.tolist() == [[1], [2]]
    table = read(text, series=second)
    assert (table.columns, table.values.tolist()) == (("y",), [[3], [4]])
    with pytest.raises(ValueError, match=r"no series 'z': it holds [23] series"):
        read(text, series="z")


def test_series_may_be_told_apart_by_two_columns(read):
    rows = [f"2024-01-0{day},{shop},{item},{shop + item}{day}" for day in (1, 2)
            for shop in "12" for item in "34"]  # fmt: skip
    text = "\n".join(["date,shop,item,y", *rows])
    with pytest.raises(ValueError, match=r"4 series, told apart by shop and item \(1/3, 1/4"):
        read(text)
    assert read(text, series="2/3").values.tolist() == [[231], [232]]


def test_words_that_change_are_not_several_series(read):
    text = "date,sky,y\n2024-01-01,dry,1\n2024-01-02,wet,2\n2024-01-03,dry,3\n"
    assert read(text).values.tolist() == [[1], [2], [3]]
    with pytest.raises(ValueError, match="a single series: leave out --series"):
        read(text, series="dry")
    double = text + "2024-01-03,wet,4\n2024-01-04,dry,5\n"  # as where a clock is put back
    with pytest.raises(ValueError, match=r"line 5, .* --duplicates"):
        read(double)


# What cannot be read.


@pytest.mark.parametrize("names", [("A", "B"), ("1", "2")])
@pytest.mark.parametrize("dated", [True, False])
def test_a_column_that_may_tell_series_apart_is_pointed_out_and_can_be_asked_for(
    names, dated, read
):
    text = "store,y\n" + "".join(f"{names[row // 3]},{row}.5\n" for row in range(6))
    if dated:  # the second series begins where the first ends
        lines = [f"2024-01-0{row},{line}" for row, line in enumerate(text.split())]
        text = "\n".join(lines).replace("2024-01-00", "day")
    note = (
        "store may tell series apart, but all rows are read as one series: --series NAME reads "
        f"those of one value, such as {names[0]}"
    )
    table = read(text)
    assert len(table.values) == 6
    assert note in table.notes
    assert note not in read(text, ["store", "y"]).notes
    table = read(text, series=names[1])
    assert (table.columns, table.values.tolist()) == (("y",), [[3.5], [4.5], [5.5]])
    with pytest.raises(ValueError, match="has no series 'C': it holds 2 series, told apart by st"):
        read(text, series="C")


def test_measured_numbers_do_not_tell_series_apart(read):
    text = "date,load\n" + "".join(f"2024-01-{1 + i // 2:02},{i % 9}\n" for i in range(28))
    with pytest.raises(ValueError, match=r"line 3, .* the same time .* --duplicates"):
        read(text)


BAD_CELLS = {
    "empty": ("", "line 3, column 'b': no value"),
    "blank": ("  ", "line 3, column 'b': no value"),
    "NA": ("NA", "line 3, column 'b': no value"),
    "null": ("null", "line 3, column 'b': no value"),
    "NaN": ("NaN", "line 3, column 'b': no value"),
    "inf": ("-inf", "line 3, column 'b': -inf is not finite"),
    "too large": ("1e999", "line 3, column 'b': 1e999 is too large"),
    "word": ("ten", "line 3, column 'b': 'ten' is not a number"),
    "percent": ("5%", "line 2, column 'b': '2' has no percent sign, but '5%' on line 3"),
    "decimal comma": (
        '"5,5"',
        "line 3, column 'b': '5,5' has another decimal mark than '6.5' on line 4",
    ),
    "underscore": ("1_0", "line 3, column 'b': '1_0' is not a number"),
    "hexadecimal": ("0x10", "line 3, column 'b': '0x10' is not a number"),
    "two points": ("1.5.2", "line 3, column 'b': '1.5.2' is not a number"),
    "two signs": ("--5", "line 3, column 'b': '--5' is not a number"),
    "letter": ("5L", "line 3, column 'b': '5L' is not a number"),
    "wrong groups": ('"1,23,4"', "line 3, column 'b': '1,23,4' is not a number"),
}


@pytest.mark.parametrize(("cell", "message"), BAD_CELLS.values(), ids=BAD_CELLS)
@pytest.mark.parametrize("columns", [None, ["b"]])
def test_a_bad_cell_is_named(cell, message, columns, read):
    with pytest.raises(ValueError, match=rf"my table\.csv, {re.escape(message)}"):
        read(f"a,b\n1,2\n3,{cell}\n5,6.5\n", columns)


def test_lines_are_counted_from_the_first_line_of_the_file(read):
    with pytest.raises(ValueError, match="line 2, column 'column_0': 'x'"):
        read("1,2\nx,4\n5,6\n")
    with pytest.raises(ValueError, match="line 4, column 'a': 'x'"):
        read('a,"b\n(in m)"\n1,2\nx,4\n')  # the header takes two lines
    with pytest.raises(ValueError, match="line 6, column 'a': 'x'"):
        read("# one\n\na,b\n1,2\n# five\nx,4\n")


@pytest.mark.parametrize("cell", ["", "NA"])
def test_a_column_that_starts_with_a_missing_value_is_not_left_out(cell, read):
    """Leaving it out would train on half of the table without a word."""
    with pytest.raises(ValueError, match="line 2, column 'a': no value"):
        read(f"a,b\n{cell},1\n2,3\n")


WIDE = ",".join(f"a rather long name {i}" for i in range(5000)) + "\n"
UNREADABLE = {
    "short line": ("a,b\n1,2\n3\n", None, r"line 3: 1 cell, but there are 2 columns \(a, b\)"),
    "long line": ("a,b\n1,2,3\n", None, r"line 2: 3 cells, but there are 2 columns \(a, b\)"),
    "short line of many": (WIDE + "1,2\n", None, r"2 cells, but there are 5,000 columns"),
    "words in many": (WIDE + ",".join(["x"] * 5000), None, "has no numeric column"),
    "no such column in many": (WIDE + ",".join("1" * 5000), ["c"], "no column 'c'"),
    "blank line between": ("a,b\n1,2\n\n3,4\n", None, "line 3: 0 cells"),
    "empty file": ("", None, "is empty"),
    "blank file": ("\n  \n\n", None, "is empty"),
    "comments alone": ("# a\n# b\n", None, "is empty"),
    "header alone": ("a,b\n", None, "has column names but no rows"),
    "no such column": ("a,b\n1,2\n", ["a", "c"], "has no column 'c': its columns are a, b"),
    "words alone": ("a,b\nx,y\n", None, "has no numeric column: its columns are a, b"),
    "two of a name": ("a,b,a\n1,2,3\n", None, "has more than one column 'a'"),
    "a quote left open": ('a,b\n1,"2\n3,4\n', None, r"line 2: not a CSV file \(a quote is not"),
    "text after a quote": ('a,b\n1,"2"3\n', None, "line 2: not a CSV file"),
    "a huge cell": ("a,b\n" + 200_000 * "1" + ",2\n", None, "line 2: .*field larger"),
    "a picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), None, "is not a text file in UTF-8"),
    "zero bytes": (b"a,b\n1,2\n\0\0", None, "holds zero bytes"),
    "a spreadsheet": (b"PK\x03\x04....", None, "is a spreadsheet or a zip archive: save"),
    "a Parquet file": (b"PAR1....", None, "is a Parquet file"),
    "a web page": ("\n<!DOCTYPE html>\n<table>", None, "is a web page or XML: save the table in"),
    "JSON": ('[\n {"a": 1},\n {"a": 2}]', None, "is JSON: write it as CSV"),
    "JSON by column": ('{"a": [1, 2]}', None, "is JSON: write it as CSV"),
    "damaged gzip": (gzip.compress(b"a,b\n1,2\n" * 99)[:-12], None, "is damaged: it cannot be"),
    "damaged bzip2": (b"BZh91" + bytes(99), None, "is damaged: it cannot be"),
    "damaged xz": (lzma.compress(b"a,b\n1,2\n" * 99)[:-12], None, "is damaged: it cannot be"),
    "half UTF-8": ("é,b\n1,2\n".encode() + b"\xe9,5\n", None, "is not a text file in UTF-8"),
    "half UTF-16": ("a,b\n1,2\n".encode("utf-16")[:-1], None, "is not a text file in utf-16"),
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "columns", "message"), UNREADABLE.values(), ids=list(UNREADABLE)
)
def test_unreadable(content, columns, message, read):
    with pytest.raises(ValueError, match=rf"my table\.csv.*({message})") as caught:
        read(content, columns)
    assert len(str(caught.value)) < 500


@given(st.binary(max_size=40) | st.text("ab12,;\t\"'\n\r .-e#%", max_size=40))
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
    assert len(message) < 500


@pytest.mark.parametrize("place", ["nowhere.csv", "."])
def test_no_file(place, tmp_path):
    with pytest.raises(OSError, match=r"[Nn]o (such )?file|is a folder"):
        series.read_csv(tmp_path / place)


@pytest.mark.skipif(os.name == "nt", reason="there are no such files")
def test_files_that_are_no_plain_files(tmp_path):
    pipe = tmp_path / "pipe.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text("a,b\n1,2\n3,4\n"))
    writer.start()
    assert series.read_csv(pipe).values.tolist() == [[1, 2], [3, 4]]
    writer.join()
    with pytest.raises(ValueError, match="is not a text file"):
        series.read_csv("/dev/zero")
    with pytest.raises(ValueError, match="is empty"):
        series.read_csv("/dev/null")


@pytest.mark.parametrize("place", ["-", "/dev/stdin"])
def test_the_standard_input(place):
    if place != "-" and not os.path.exists(place):
        pytest.skip("there is no such file here")
    code = f"from lstmcore import series; print(series.read_csv({place!r}).values.tolist())"
    run = subprocess.run(
        [sys.executable, "-c", code], input="a,b\n1,2\n", capture_output=True, text=True, check=True
    )
    assert run.stdout == "[[1.0, 2.0]]\n"


# Missing values, where they are asked for.

HOLES = "t,a,b\nx,1,\ny,NA,2\nz,nan,NULL\nw, ,3\n"


def test_missing_values_become_nan(read):
    columns, values, labels, *_ = read(HOLES, missing=True)
    assert (columns, list(labels)) == (("a", "b"), ["x", "y", "z", "w"])
    np.testing.assert_array_equal(values, [[1, NAN], [NAN, 2], [NAN, NAN], [NAN, 3]])
    empty = read("a,b,\n1,,\n2,,\n", ["b", "a"], missing=True)  # chosen, it may be empty
    np.testing.assert_array_equal(empty.values, [[NAN, 1], [NAN, 2]])
    assert read("a,b\n1,\n2,\n", missing=True).columns == ("a",)
    assert np.isnan(read("a,b\n1,2\n,\n3,4\n", missing=True).values[1]).all()


def test_rows_without_any_value_at_the_ends_are_left_out_and_counted(read):
    table = read("date,a\n2024-01-01,\n2024-01-02,1\n2024-01-03,2\n2024-01-04,\n,\n")
    assert list(table.labels) == ["2024-01-02", "2024-01-03"]
    assert "1 row without any value left out at the start" in table.notes
    assert "2 rows without any value left out at the end, from line 5" in table.notes


@pytest.mark.parametrize("cell", ["ten", "inf", "1e999"])
def test_what_is_not_missing_is_still_an_error(cell, read):
    with pytest.raises(ValueError, match=r"line 3, column 'b': '?" + cell):
        read(f"a,b\n1,2\n3,{cell}\n4,\n", missing=True)


# Large files: what is plain is left to pandas, with the same result.


CELLS = st.sampled_from(
    ["1", "2.5", "-7e3", "", "x", " 7", "8 ", " ", "x ", "nan", "-nan", "NA", "1_0", "0x1", "inf",
     "1e400", "True", '"9"', '"', "#", "1;5", "1,5", "é", "\xa0y", "\ufeff5", "2024-01-05",
     "12345678901234567890"]
)  # fmt: skip
ENDINGS = ["", "", "", "", ",", " ", ",5", "\n", "\r"]
BLANK = st.just((0, "", ""))
USUAL = {"words": "1,2,x", "numbers": "1.5,2", "one": "5", "spaces": "1 2 x", "times": "x,1"}


@settings(max_examples=CASES)
@given(
    st.sampled_from(sorted(USUAL)),
    st.lists(st.tuples(st.integers(0, 2), CELLS, st.sampled_from(ENDINGS)) | BLANK, max_size=5),
    st.sampled_from(["\n", "\r\n", "\n", "\r"]),
)
def test_parts_of_a_file_are_read_as_the_whole(read, kind, lines, end):
    """Rows late in a large file, which pandas reads, are read as in a small one."""
    usual, separator = USUAL[kind], " " if kind == "spaces" else ","
    names = ["a", "b", "c"][: 1 + usual.count(separator)]
    rows = [usual.split(separator) for _ in range(14 + 2 * len(lines))]
    if kind == "times":
        names[0] = "time"
        rows = [[f"{1900 + row}-01-01", f"{row}"] for row in range(len(rows))]
    for row, (place, cell, ending) in enumerate(lines):
        rows[14 + 2 * row][place % len(names)] = cell
        rows[14 + 2 * row][-1] += ending.replace(",", separator)
    rows = [separator.join(row) for row in rows]
    text = separator.join(names) + end + "".join(row + end for row in rows)

    def outcome(columns, missing):
        try:
            read_columns, values, labels, *_, notes, _ = read(text, columns, missing=missing)
        except ValueError as error:
            return str(error)
        return read_columns, repr(values.tolist()), [same_text(label) for label in labels], notes

    def same_text(label):
        """Labels of numbers keep 15 digits where a block of nothing but numbers came before."""
        try:
            return f"{float(label):.15g}"
        except ValueError:
            return label

    def outcomes():
        last = [names[-1]]
        return [outcome(None, False), outcome(None, True), outcome(last, True)]

    whole = outcomes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_file, "FIRST_BLOCK", 14)
        patch.setattr(text_file, "BLOCK", 30)
        parts = outcomes()
        patch.setattr(plain_text, "_pandas_reader", lambda: None)
        without_pandas = outcomes()
    for one, other, third in zip(whole, parts, without_pandas, strict=True):
        if isinstance(one, str):  # of two errors, another may be met first
            assert isinstance(other, str), other
            assert isinstance(third, str), third
        else:
            assert one == other == third


@pytest.mark.parametrize(
    ("names", "usual", "late", "columns"),
    [
        ("a,c", "1,x", "1, x", ["c"]),
        ("a,c", "1,x", "1,x ", ["c"]),
        ("a,c", "1,x", "1,\xa0x", ["c"]),
        ("a,c", "1,x", "1,x\u3000", ["c"]),
        ("a;b", "1;2", "\ufeff1;2", None),
        ("a b", "1 2", "1 ", None),
        ("a b c", "1 2 x", "1 2 ", ["c"]),
        ("a b", "1 2", " 1 2", None),
        ("a,b", "1,2", "1,2,3", None),
        ("a,b", "1,2", "1,2,", None),
        ("a,b", "1,2", "1", None),
        ("a", "1", "", None),
        ("a", "1", " ", None),
    ],
)
def test_a_line_means_the_same_late_in_a_file(names, usual, late, columns, read):
    text = "\n".join([names, *[usual] * 20, late, *[usual] * 5, ""])

    def outcome():
        try:
            table = read(text, columns, missing=True)
        except ValueError as error:
            return str(error)
        return table.columns, repr(table.values.tolist()), list(table.labels)

    expected = outcome()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_file, "FIRST_BLOCK", 14)
        for block in (9, 14, 30):
            patch.setattr(text_file, "BLOCK", block)
            assert outcome() == expected


@given(st.lists(numbers, min_size=20, max_size=40), st.sampled_from(["%r", "%.3f", "%.17e"]))
def test_numbers_of_plain_blocks_come_back_bit_for_bit(read, values, form):
    texts = [form % value for value in values]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_file, "FIRST_BLOCK", 64)
        table = read("a,b\n" + "".join(f"{text},1\n" for text in texts))
    np.testing.assert_array_equal(table.values[:, 0], [float(text) for text in texts])


def test_the_text_of_a_file_is_not_kept(read):
    text = "a,b,c\n" + "1.25,2.5,3.75\n" * 200_000
    read(text)  # imports
    tracemalloc.start()
    values = read(text).values
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * values.nbytes + len(text) + 2**20  # of a block


@pytest.mark.thorough
def test_a_wide_table(read):
    rows = "".join(
        ",".join(f"{row}.{column}" for column in range(5000)) + "\n" for row in range(60)
    )
    table = read(WIDE + rows)
    assert table.values.shape == (60, 5000)
    assert table.values[7, 125] == 7.125


# Any table in any dialect is read back, or refused; none is read wrongly.


def refusal(read, case, **options) -> str | None:
    """The error that a case ends with; None if it is read, and as a person would."""
    try:
        table = read(case.content, **options)
    except ValueError as error:
        return str(error)
    case.check(table)
    return None


@given(any_table())
def test_a_table_in_any_dialect_is_read_back_or_refused(read, case):
    assert refusal(read, case, **case.options) is None or case.is_ambiguous


def test_hostile_tables_are_never_read_wrongly(read, monkeypatch):
    """LSTMCORE_FUZZ_SEED draws others; HYPOTHESIS_PROFILE=thorough many."""
    start = int(os.environ.get("LSTMCORE_FUZZ_SEED", 0)) * 10**6
    for seed in range(start, start + CASES):
        with monkeypatch.context() as patch:
            if seed % 7 == 0:  # a file of many parts
                patch.setattr(text_file, "FIRST_BLOCK", 60)
                patch.setattr(text_file, "BLOCK", 40)
            message = refusal(read, hostile_table(seed), missing=True) or ""
        assert len(message) < 500, seed
        assert not re.search(r"\b1 (rows|cells|columns|lines|values)\b", message), seed


# What comes along.


def test_the_tutorial():
    columns, values, *_ = series.read_dataset("tutorial")
    assert columns == ("x", "x_cubed")
    np.testing.assert_array_equal(values, series.tutorial_series())


def test_sunspots():
    """First, largest and last year, as published: 1700, 1957, 2008."""
    table = series.read_dataset("sunspots")
    assert table.columns == ("sunspots",)
    assert table.values.shape == (309, 1)
    assert table.values[[0, 1957 - 1700, -1], 0].tolist() == [5.0, 190.2, 2.9]
    assert table.values.argmax() == 1957 - 1700
    assert (table.labels[-1], table.times.interval) == ("2008", "1")


@pytest.mark.parametrize("name", ["weather", "", "Tutorial"])
def test_an_unknown_dataset(name):
    with pytest.raises(ValueError, match="use one of tutorial, sunspots"):
        series.read_dataset(name)


def test_a_part_of_times_with_several_offsets_is_in_utc_and_the_reader_hears_of_it(tmp_path):
    """Where the clock changes, the local one would show an hour twice."""
    hours = ["2025-10-26T01:00:00+02:00", "2025-10-26T02:00:00+02:00", "2025-10-26T02:00:00+01:00"]
    path = tmp_path / "z.csv"
    path.write_text("\n".join(["time,a", *(f"{hour},{n}" for n, hour in enumerate(hours))]))
    part = series.read_csv(path, since="2025-10-26 00:00")
    assert part.values[:, 0].tolist() == [1, 2]
    assert any(note.endswith("(--time-zone reads the local clock)") for note in part.notes)
    local = series.read_csv(path, since="2025-10-26 02:00", time_zone="Europe/Berlin")
    assert local.values[:, 0].tolist() == [1, 2]
    assert not any("in UTC" in note for note in local.notes)
