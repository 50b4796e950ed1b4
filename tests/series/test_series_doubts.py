"""Notes on readings that are likely but not certain, and none on plain tables."""

import datetime
import re

import numpy as np
import pytest

from lstmcore import series

DAYS = [datetime.date(2023, 1, 1) + datetime.timedelta(day) for day in range(20)]
PLAIN = [day * 3 % 11 + 0.5 for day in range(20)]


@pytest.fixture
def notes(tmp_path):
    """notes(text, columns): what is said about a file besides how it was read."""
    path = tmp_path / "table.csv"

    def read(text, columns=None, **options):
        path.write_text(text)
        return "\n".join(series.read_csv(path, columns, **options).notes[1:])

    return read


def table(header, *columns):
    rows = zip(DAYS, *columns, strict=True)
    return header + "\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


def with_value(value, place=5):
    return [value if row == place else cell for row, cell in enumerate(PLAIN)]


@pytest.mark.parametrize("value", [-9999, -999.9, 9999, 99999, 999, -99, -9999.99])
def test_a_value_of_nines_far_from_the_others_is_pointed_out(value, notes):
    text = table("date,v,w", with_value(value), PLAIN)
    assert notes(text) == (
        f"v: {value}, far from the other values, may stand for a missing value: --na={value} reads "
        "it as one"
    )
    assert notes(text, ["v"])  # also in a column that was asked for
    assert not notes(text, na=(str(value),), missing=True)


def test_two_values_of_nines(notes):
    cells = with_value(-999)
    cells[8] = 9999
    assert "v: -999 and 9999, far from" in notes(table("date,v", cells))


@pytest.mark.parametrize(
    "cells",
    [PLAIN, [990 + row for row in range(20)], [90 + row for row in range(20)], [99] * 20,
     [-9999 + 400 * row for row in range(20)], [row * 999 for row in range(20)]],
)  # fmt: skip
def test_nines_among_other_values_are_values(cells, notes):
    assert notes(table("date,v", cells)) == ""


@pytest.mark.parametrize(
    ("name", "cells"),
    [("zip", [12345, 23456] * 10), ("Status Code", [200, 404] * 10), ("user_id", [7, 8] * 10)],
)
def test_codes_are_pointed_out(name, cells, notes):
    text = table(f"date,{name},v", cells, PLAIN)
    assert notes(text) == (
        f"{name} may hold codes, not measurements: --columns names the columns to learn from"
    )
    assert notes(text, [name, "v"]) == ""
    assert notes(table(f"date,{name},v", PLAIN, PLAIN)) == ""  # fractions are no codes


@pytest.mark.parametrize("name", ["", "id", "index", "Unnamed: 0"])
def test_numbers_of_rows_with_gaps_are_pointed_out(name, notes):
    rows = "".join(f"{row * 3 + 1},{value}\n" for row, value in enumerate(PLAIN))
    assert "may number the rows" in notes(f"{name},v\n{rows}")
    rows = "".join(f"{row * 7 % 20},{value}\n" for row, value in enumerate(PLAIN))
    assert "may number the rows" not in notes(f"{name},v\n{rows}")


@pytest.mark.parametrize("names", ["2019,2020,2021", "2023-01-01,2023-02-01,2023-03-01"])
def test_times_as_names_of_columns_are_pointed_out(names, notes):
    rows = "".join(f"shop{row},{value},1.5,{row}.25\n" for row, value in enumerate(PLAIN))
    assert f"named by times ({names.replace(',', ', ')})" in notes(f"shop,{names}\n{rows}")
    assert "named by times" not in notes(f"shop,a,b,c\n{rows}")


def test_days_as_spreadsheets_count_them_are_pointed_out(notes):
    rows = "".join(f"{45000 + row},{value}\n" for row, value in enumerate(PLAIN))
    said = "times from 45000 on may be days as spreadsheets count them"
    assert said in notes(f"date,v\n{rows}")
    assert notes(f"date,v\n{rows}", time_format="excel") == ""


@pytest.mark.parametrize("start", ["", "2023-01-{:02d},"])
def test_decimal_commas_cut_in_two_are_pointed_out(start, notes):
    rows = "".join(f"{100 + row},{13 + row % 7}\n" for row in range(20))
    assert "read as two numbers" not in notes(f"column_a,column_b\n{rows}")

    def table_of(second):
        return "".join(
            f"{start.format(row + 1)}{100 + row},{second.format(13 + row % 7)}\n"
            for row in range(20)
        )

    said = "100,13 was read as two numbers: if it is one with a decimal comma"
    assert said in notes(table_of("{}"))
    assert said not in notes(table_of("{}"), separator=",")
    assert "read as two numbers" not in notes(table_of("-{}"))
    assert "read as two numbers" not in notes(table_of("{}.5"))
    assert "read as two numbers" not in notes(table_of("{},7"))


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ("$100.13", "no numeric column besides date: .*; remove the currency sign"),
        ('"1.100,26 €"', "no numeric column besides date: .*; remove the currency sign"),
        ("dry", "no numeric column besides date: .*; --columns reads words as categories"),
    ],
)
def test_a_table_without_numbers_says_what_to_do(cells, message, notes):
    with pytest.raises(ValueError, match=message):
        notes(table("date,v", [cells] * 20))


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ('"(5,006.29)"', "'(5,006.29)' is not a number: write a minus sign before negative"),
        ("109.49-", "'109.49-' is not a number: write a minus sign before negative numbers"),
        ("$7.5", "'$7.5' is not a number: remove the currency sign"),
        ("($7.5)", "'($7.5)' is not a number: remove the currency sign and write a minus sign"),
        ("v", "column 'v': the line repeats the names of the columns; remove it"),
        ("inf", "inf is not finite: correct it, or take it for a missing value with --na=inf"),
    ],
)  # fmt: skip
def test_a_cell_between_numbers_says_what_to_do(cell, message, notes):
    with pytest.raises(ValueError, match=re.escape(message)):
        notes(table("date,v,w", with_value(cell), PLAIN))


def test_a_currency_in_one_of_several_columns(notes):
    said = notes(table("date,price,v", ["$7.5"] * 20, PLAIN))
    assert said == "1 column without numbers left out: price ('$7.5'); remove the currency sign"


def test_a_name_that_differs_in_case_alone(notes):
    with pytest.raises(ValueError, match=r"no column 'close' \(did you mean 'Close'\?\)"):
        notes(table("date,Close", PLAIN), ["close"])


def test_lines_above_the_table(notes):
    with pytest.raises(ValueError, match="--skip-lines 2"):
        notes("Sales of the shop\n\n" + table("date,v", PLAIN))
    assert notes("Sales of the shop\n\n" + table("date,v", PLAIN), skip_lines=2) == ""


def test_values_are_the_same_with_notes_as_without(notes, tmp_path):
    notes(table("date,zip,v", [12345] * 20, with_value(-9999)))
    read = series.read_csv(tmp_path / "table.csv")
    np.testing.assert_array_equal(read.values[:, 1], with_value(-9999))
