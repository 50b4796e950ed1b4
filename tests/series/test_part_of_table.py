"""The rows from `since` to `until`, which are named as in a slice of pandas, or by numbers."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import series
from lstmcore.series.tables.arranging import rows_within
from lstmcore.series.tables.options import ReadOptions

HOURS = pd.date_range("2023-12-30 12:00", periods=100, freq="h")


@pytest.fixture
def read(tmp_path):
    def read(text, columns=(), **options):
        path = tmp_path / "my table.csv"
        path.write_text(text)
        return series.read_csv(path, columns, **options)

    return read


def lines(labels, header="when,x"):
    return f"{header}\n" + "".join(f"{label},{row}\n" for row, label in enumerate(labels))


CUTS = st.sampled_from(["%Y", "%Y-%m", "%Y-%m-%d", "%Y-%m-%d %H:%M"])


@given(st.integers(0, 99), st.integers(0, 99), CUTS, CUTS)
def test_rows_are_those_of_a_slice_of_pandas(first, last, cut, other):
    frame = pd.Series(range(100), HOURS)
    since, until = HOURS[first].strftime(cut), HOURS[last].strftime(other)
    expected = frame.loc[since:until].tolist()
    column = series.read_times([str(moment) for moment in HOURS])
    options = ReadOptions(since=since, until=until)
    if not expected:
        with pytest.raises(ValueError, match="leaves none of 100 rows"):
            rows_within(column, column.labels, options)
        return
    kept = rows_within(column, column.labels, options)
    found = list(range(100)) if kept is None else kept.nonzero()[0].tolist()
    assert found == expected


def test_the_rest_of_the_file_is_not_checked(read):
    text = lines(["2024-01-01", "2024-01-02", "2024-01-02", "2024-01-03", "2024-01-04"])
    with pytest.raises(ValueError, match="has the same time as the row before"):
        read(text)
    table = read(text, since="2024-01-03")
    assert table.values[:, 0].tolist() == [3, 4]
    assert list(table.labels) == ["2024-01-03", "2024-01-04"]
    assert "5 rows cut to 2 by --since 2024-01-03" in table.notes
    with pytest.raises(ValueError, match=r"line 5, .* comes before"):  # a line of the whole file
        read(text.replace("2024-01-03", "2024-01-01"), since="2")


@pytest.mark.parametrize(
    ("labels", "options", "rows"),
    [
        (["31.01.2024", "29.02.2024", "31.03.2024"], {"since": "2024-02"}, [1, 2]),
        (["31.01.2024", "29.02.2024", "31.03.2024"], {"until": "29.02.2024"}, [0, 1]),
        ([1990, 1991, 1992], {"since": "1991", "until": "1991"}, [1]),
        (["2024Q1", "2024Q2", "2024Q3"], {"since": "2024Q2"}, [1, 2]),
        (["2024-01", "2024-02", "2024-03"], {"since": "1", "until": "1"}, [1]),
        (["2024-01", "2024-02", "2024-03"], {"since": "2020", "until": "2030"}, [0, 1, 2]),
        (["north", "south", "west"], {"since": "south"}, [1, 2]),
        (["north", "south", "west"], {"until": "0"}, [0]),
    ],
)
def test_times_labels_and_numbers(labels, options, rows, read):
    header = "year,x" if labels[0] == 1990 else "when,x"
    assert read(lines(labels, header), **options).values[:, 0].tolist() == rows


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"since": "soon"}, "my table.csv: --since 'soon' is neither a time as in the table, such "
         "as 2024-02, nor the number of a row, counted from 0"),
        ({"since": "2025"}, "--since 2025 leaves none of 3 rows, from 2024-01 to 2024-03"),
        ({"since": "2024-03", "until": "2024-02"}, "--since 2024-03 --until 2024-02 leaves none"),
    ],
)  # fmt: skip
def test_what_is_refused(options, message, read):
    with pytest.raises(ValueError, match=message):
        read(lines(["2024-01", "2024-02", "2024-03"]), **options)


def test_rows_without_names_are_numbered(read):
    assert read("x,y\n1,5\n2,6\n4,7\n", since="1", until="1").values.tolist() == [[2, 6]]
    with pytest.raises(ValueError, match="--until 'x' is not the number of a row, counted from 0"):
        read("x,y\n1,5\n2,6\n", until="x")


def test_another_table_is_read_as_a_whole():
    options = ReadOptions(sort=True, since="2024", until="99")
    assert ReadOptions.from_json(options.to_json()) == options
    assert options.of_another_table() == ReadOptions(sort=True)
