"""Tables in CSV: any text is read back, numbers stay numbers, formulas are quoted."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore.io.csv_text import FORMULA, write_rows

texts = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from("=+-@\t\r\n\",;'"))


def written(rows) -> str:
    file = io.StringIO(newline="")
    write_rows(file, rows)
    return file.getvalue()


@given(st.lists(st.lists(texts, min_size=1, max_size=4), max_size=4))
def test_every_text_comes_back(rows):
    assert list(csv.reader(io.StringIO(written(rows), newline=""))) == rows


@pytest.mark.parametrize("start", FORMULA)
def test_what_starts_like_a_formula_is_in_quotes(start):
    """And no apostrophe stands before it, which would be part of the text everywhere else."""
    assert written([["time", f"{start}cmd|' /C calc'!A1", 2]]) == (
        f'"time","{start}cmd|\' /C calc\'!A1",2\r\n'
    )


def test_other_rows_are_as_ever():
    rows = [["time", "a, b"], ["2024-01-01", -0.5], ["x", np.float64(-1e-7)], ["y", np.int64(-3)]]
    assert written(rows) == 'time,"a, b"\r\n2024-01-01,-0.5\r\nx,-1e-07\r\ny,-3\r\n'


def test_numbers_beside_a_formula_stay_numbers():
    row = ["-x", -0.5, np.float64(-2.0), np.int64(-3), True, "", None]
    assert written([row]) == '"-x",-0.5,-2.0,-3,True,"",""\r\n'
