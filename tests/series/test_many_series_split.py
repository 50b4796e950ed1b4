"""Long tables become one table for each id: which rows it has, and what is refused."""

import numpy as np
import pandas
import polars
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore.series import read_many
from lstmcore.series.tables.many import as_many, split_frame

LONG = """machine,day,load,kind
b,2024-01-02,5,x
a,2024-01-01,1,x
b,2024-01-03,6,y
a,2024-01-02,2,x
"""


@pytest.fixture
def written(tmp_path):
    def write(text):
        path = tmp_path / "long.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@given(ids=st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=30))
def test_each_row_is_in_the_table_of_its_id_in_order(ids):
    rows = np.arange(len(ids), dtype=float)
    parts = split_frame({"id": ids, "x": rows}, "id")
    assert list(parts) == list(dict.fromkeys(ids))
    for name, part in parts.items():
        expected = [row for row, key in zip(rows, ids, strict=True) if key == name]
        assert part["x"].tolist() == expected


@pytest.mark.parametrize("library", [pandas, polars])
def test_frames_keep_their_library_and_lose_the_ids(library):
    frame = library.DataFrame({"id": ["b", "a", "b"], "x": [1.0, 2.0, 3.0]})
    parts = split_frame(frame, "id")
    assert list(parts) == ["b", "a"]
    assert all(isinstance(part, library.DataFrame) for part in parts.values())
    assert parts["b"].to_numpy().tolist() == [[1.0], [3.0]]


def test_a_file_is_read_into_tables_with_times_of_their_own(written):
    tables = read_many(written(LONG), "machine").tables
    assert list(tables) == ["b", "a"]
    assert tables["b"].columns == ("load",)
    assert tables["b"].values[:, 0].tolist() == [5, 6]
    assert list(tables["a"].labels) == ["2024-01-01", "2024-01-02"]
    assert tables["a"].times.interval == "1 day"


def test_categories_are_those_of_the_whole_file(written):
    tables = read_many(written(LONG), "machine", ["load", "kind"]).tables
    assert tables["a"].columns == ("load", "kind=x", "kind=y")
    assert tables["a"].values[:, 1:].tolist() == [[1, 0], [1, 0]]


def test_ids_stay_text_and_may_be_of_two_columns(written):
    text = "site,unit,load\n007,1,3\n007,2,4\n007,1,5\n"
    assert list(read_many(written(text), "site").tables) == ["007"]
    for names in ("site,unit", ("site", "unit")):
        both = read_many(written(text), names)
        assert both.id == ("site", "unit")
        assert {name: table.values[:, 0].tolist() for name, table in both.tables.items()} == {
            "007/1": [3, 5],
            "007/2": [4],
        }


@pytest.mark.parametrize(
    ("text", "id", "options", "message"),
    [
        (LONG, "engine", {}, "has no column 'engine'"),
        (LONG.replace("\na,", "\n,"), "machine", {}, "line 3, column 'machine': no id"),
        (LONG, "machine, machine", {}, "id names the column 'machine' twice"),
        (LONG, [], {}, "id must name the column that tells series apart"),
        (LONG, "machine", {"series": "a"}, "--id reads all series of a file, --series one"),
        (LONG, "machine", {"columns": ["machine"]}, "'machine' tells series apart"),
        (LONG.replace("03", "02"), "machine", {}, "line 4, column 'day': 2024-01-02"),
    ],
)
def test_what_is_refused_in_a_file(written, text, id, options, message):
    with pytest.raises(ValueError, match=message):
        read_many(written(text), id, **options)


def test_ids_of_two_columns_in_a_frame():
    long = {"site": ["a", "a", "b"], "unit": [1, 2, 1], "x": [1.0, 2.0, 3.0]}
    for values in (long, pandas.DataFrame(long), polars.DataFrame(long)):
        parts = split_frame(values, "site,unit")
        assert [list(part["x"]) for part in parts.values()] == [[1], [2], [3]]
        assert list(parts) == ["a/1", "a/2", "b/1"]


def test_two_series_never_become_one(written):
    long = {"a": ["x/y", "x"], "b": ["z", "y/z"], "v": [1.0, 2.0]}
    text = "a,b,v\nx/y,z,1\nx,y/z,2\n"
    message = "two series would be called 'x/y/z': that of x/y and z, and that of x and y/z"
    for values in (long, pandas.DataFrame(long)):
        with pytest.raises(ValueError, match=message):
            split_frame(values, "a,b")
    with pytest.raises(ValueError, match=message):
        read_many(written(text), "a,b")
    assert list(split_frame(long, "a")) == ["x/y", "x"]


def test_whole_numbers_name_the_same_series_however_they_are_written(written):
    for ids in ([1, 2, 1], [1.0, 2.0, 1.0], pandas.array([1, 2, 1], dtype="Int64")):
        for values in ({"m": ids, "x": [1, 2, 3]}, pandas.DataFrame({"m": ids, "x": [1, 2, 3]})):
            assert list(map(str, split_frame(values, "m"))) == ["1", "2"]
    long = {"site": ["a", "a"], "unit": [1.0, 2.0], "x": [1, 2]}
    assert list(split_frame(long, "site,unit")) == ["a/1", "a/2"]
    assert list(map(str, as_many({1.0: np.zeros((2, 1)), 2.5: np.zeros((2, 1))}))) == ["1", "2.5"]
    assert list(read_many(written("m,x\n1.0,1\n2,2\n1,3\n"), "m").tables) == ["1", "2"]
    assert list(read_many(written("m,x\n1.0,1\n1.10,2\n"), "m").tables) == ["1.0", "1.10"]


def test_which_values_are_separate_tables(written):
    pair = [np.zeros((3, 1)), np.ones((5, 1))]
    assert list(as_many(pair)) == [0, 1]
    assert list(as_many(dict(zip("ab", pair, strict=True)))) == ["a", "b"]
    assert list(as_many(pandas.DataFrame({"m": [2, 2, 1], "x": [1, 2, 3]}), "m")) == [2, 1]
    read = read_many(written(LONG), "machine")
    assert as_many(read) == read.tables
    for one in (np.zeros(4), np.zeros((4, 2)), [[1, 2], [3, 4]], {"x": [1, 2]}, pandas.DataFrame()):
        assert as_many(one) is None


@pytest.mark.parametrize(
    ("values", "id", "kind", "message"),
    [
        (np.zeros((4, 2)), "m", TypeError, "values must be a data frame or a dict of columns"),
        ({"x": [1]}, "m", ValueError, "values has no column 'm' of ids: it has x"),
        ({"m": [1]}, "m", ValueError, "no column besides the ids"),
        ({"m": [1, None], "x": [1, 2]}, "m", ValueError, "no id in column 'm' of row 1"),
        ({"m": [1, 2], "x": [1]}, "m", ValueError, "2 ids in 'm' but 1 value in 'x'"),
        (
            pandas.DataFrame({"m": pandas.array([1, None], dtype="Int64"), "x": [1, 2]}),
            "m",
            ValueError,
            "no id in column 'm' of row 1",
        ),
        ({"m": [1], "x": [2]}, "m,m", ValueError, "id names the column 'm' twice"),
        ({"m": [1], "x": [2]}, [], ValueError, "id must name the column"),
        (np.zeros((0, 4, 2)), None, ValueError, r"separate windows \[N, T, F\]"),
        (np.zeros((1, 1, 4, 2)), None, ValueError, r"separate windows \[N, T, F\]"),
    ],
)
def test_what_is_refused(values, id, kind, message):
    with pytest.raises(kind, match=message):
        as_many(values, id)
