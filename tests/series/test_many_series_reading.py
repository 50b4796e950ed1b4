"""Many series, each read as if it were alone: told apart by a column, or a file each."""

import numpy as np
import pytest

from lstmcore import series

ROWS = (
    ("north", "2024-01-01", "dry", "5", "10", "1"),
    ("north", "2024-01-02", "dry", "6", "10", "2"),
    ("south", "2024-01-01", "wet", "7", "20", "3"),
    ("south", "2024-01-02", "wet", "", "20", "4"),
    ("south", "2024-01-03", "wet", "9", "20", "5"),
)
HEADER = "shop,day,climate,sales,area,visits"


def written(tmp_path, rows=ROWS, header=HEADER):
    path = tmp_path / "shops.csv"
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def interleaved():
    return sorted(ROWS, key=lambda row: row[1])


@pytest.mark.parametrize("rows", [ROWS, interleaved()], ids=["one after another", "interleaved"])
def test_each_series_is_read_as_if_it_were_alone(rows, tmp_path):
    found = series.read_many(written(tmp_path, rows), "shop", missing=True)
    assert list(found.tables) == ["north", "south"]
    for name, table in found.tables.items():
        own = written(tmp_path, [row for row in rows if row[0] == name])
        alone = series.read_csv(own, ["sales", "visits"], missing=True)
        assert table.columns == alone.columns
        np.testing.assert_array_equal(table.values, alone.values)
        assert list(table.labels) == list(alone.labels)
        assert table.times.interval == alone.times.interval == "1 day"
    expected = {"climate": "wet", "area": 20.0}
    assert found.static == {"north": {"climate": "dry", "area": 10.0}, "south": expected}
    assert found.notes[0].startswith("cells separated by commas, times as year-month-day")


def test_which_columns_are_static(tmp_path):
    path = written(tmp_path)
    asked = series.read_many(path, "shop", ["sales"], missing=True)
    assert asked.static == {"north": {}, "south": {}}
    assert asked.tables["south"].columns == ("sales",)
    named = series.read_many(path, "shop", static=["climate"], missing=True)
    assert named.static["south"] == {"climate": "wet"}
    assert named.tables["south"].columns == ("sales", "area", "visits")
    none = series.read_many(path, "shop", ["sales", "area"], static=(), missing=True)
    assert none.tables["south"].columns == ("sales", "area")


def test_two_columns_name_a_series_and_zeros_are_kept(tmp_path):
    rows = [("01", row[0], *row[1:]) for row in ROWS]
    path = written(tmp_path, rows, f"code,{HEADER}")
    found = series.read_many(path, ("code", "shop"), missing=True)
    assert list(found.tables) == ["01/north", "01/south"]


def test_words_that_change_within_a_series_are_categories_if_asked_for(tmp_path):
    rows = [
        (*row, word) for row, word in zip(ROWS, ["dry", "wet", "dry", "dry", "dry"], strict=True)
    ]
    path = written(tmp_path, rows, f"{HEADER},weather")
    found = series.read_many(path, "shop", missing=True)
    assert "1 column left out: weather; --columns reads words as categories" in found.notes
    asked = series.read_many(path, "shop", ["visits", "weather"])
    assert asked.tables["south"].columns == ("visits", "weather=dry", "weather=wet")
    assert asked.tables["south"].values[:, 1:].tolist() == [[1, 0]] * 3


def test_series_end_where_their_values_do(tmp_path):
    empty = [("west", "2024-01-01", *[""] * 4), ("south", "2024-01-04", "wet", "", "", "")]
    rows = [*ROWS, *empty, ("zone", "2024-01-01", "dry", "1", "1", "1")]
    found = series.read_many(written(tmp_path, rows), "shop", ["sales"], missing=True)
    assert len(found.tables["south"].values) == 3
    assert "series west has no value, and is left out" in found.notes


def test_series_without_rows_in_the_part_that_is_asked_for_are_named_and_left_out(tmp_path):
    late = [("west", f"2024-02-0{day}", "dry", "1", "1", "1") for day in (1, 2)]
    path = written(tmp_path, [*ROWS, *late])
    found = series.read_many(path, "shop", ["visits"], until="2024-01-31")
    assert list(found.tables) == ["north", "south"]
    assert "series west has no value within --until 2024-01-31, and is left out" in found.notes
    found = series.read_many(path, "shop", ["visits"], since="2024-02")
    note = "2 series have no value within --since 2024-02, and are left out: north, south"
    assert note in found.notes
    with pytest.raises(ValueError, match="no series has a value in visits within --since 2025"):
        series.read_many(path, "shop", ["visits"], since="2025")
    with pytest.raises(ValueError, match=r"line 5, column 'sales': no value.*series 'south'"):
        series.read_many(path, "shop", since="2024-01-01")


def test_notes_on_rows_are_summed_over_the_series(tmp_path):
    rows = [
        (f"shop{k}", f"2024-01-{day:02d}", "dry", str(day), "1", str(k + day % 3))
        for k in range(9)
        for day in range(1, 12 + k % 2)
    ]
    path = written(tmp_path, [*rows, rows[10]])
    options = {"columns": ["sales"], "since": "2024-01-03"}
    found = series.read_many(path, "shop", resample="2D", **options)
    assert found.notes[3:] == (
        "104 rows cut to 86 by --since 2024-01-03, in 9 series",
        "86 rows resampled to 40, one every 2D, by mean, in 9 series",
        "6 rows left out at the ends, where they do not fill an interval of 2D, in 5 series",
    )
    found = series.read_many(path, "shop", sort=True, consecutive=True, **options)
    assert found.notes[-1] == "1 row has the time of the row before"
    again = written(tmp_path, [*rows, rows[10], rows[10], rows[-1]])
    found = series.read_many(again, "shop", sort=True, consecutive=True, **options)
    assert found.notes[-1] == "3 rows have the time of the row before, in 2 series"


def test_hints_on_words_are_for_columns_of_words(tmp_path):
    found = series.read_many(written(tmp_path), "shop", ["sales"], missing=True)
    assert "3 columns left out: climate, area, visits; --columns reads words" in str(found.notes)
    number = [(shop, day, "1", sales, *rest) for shop, day, _, sales, *rest in ROWS]
    found = series.read_many(written(tmp_path, number), "shop", ["sales"], missing=True)
    assert "3 columns left out: climate, area, visits" in found.notes


def test_rows_of_each_series_are_sorted(tmp_path):
    found = series.read_many(written(tmp_path, ROWS[::-1]), "shop", missing=True, sort=True)
    assert found.tables["north"].values[:, 0].tolist() == [5, 6]
    assert found.notes.count("rows sorted by time") == 1


def test_errors(tmp_path):
    path = written(tmp_path)
    cases = [
        ({"id": "store"}, "'store'"),
        ({"id": "shop"}, r"line 5, column 'sales': no value"),
        ({"id": "shop", "missing": True, "static": ["sales"]}, "column 'sales' changes within a"),
        (
            {"id": "shop", "series": "north"},
            "--id reads all series of a file, --series one of them",
        ),
    ]
    for given, message in cases:
        with pytest.raises(ValueError, match=message):
            series.read_many(path, **given)
    path = written(tmp_path, [*ROWS, ("", "2024-01-03", "dry", "1", "2", "3")])
    with pytest.raises(ValueError, match=r"line 7, column 'shop': no id, so that the row belongs"):
        series.read_many(path, "shop", missing=True)
    with pytest.raises(ValueError, match=r"line 3, column 'day': 2024-01-01 comes before"):
        series.read_many(written(tmp_path, ROWS[1::-1]), "shop", missing=True)


# One series from each of several files.


def files(folder, rows=ROWS, header=HEADER, end=""):
    """Write the rows of each shop into a file of its own, without the column of shops."""
    header = header.partition(",")[2]
    paths = []
    for shop in dict.fromkeys(row[0] for row in rows):
        path = folder / f"{shop}{end}.csv"
        lines = [header, *(",".join(row[1:]) for row in rows if row[0] == shop)]
        path.write_text("\n".join(lines) + "\n")
        paths.append(path)
    return paths


@pytest.mark.parametrize("options", [{}, {"columns": ["sales"]}, {"static": ["climate"]}])
def test_a_file_for_each_series_is_the_same_as_a_column(options, tmp_path):
    found = series.read_many(files(tmp_path), missing=True, **options)
    expected = series.read_many(written(tmp_path), "shop", missing=True, **options)
    assert (found.id, found.static) == (("series",), expected.static)
    assert list(found.tables) == list(expected.tables)
    for name, table in found.tables.items():
        assert table.columns == expected.tables[name].columns
        np.testing.assert_array_equal(table.values, expected.tables[name].values)
        assert list(table.labels) == list(expected.tables[name].labels)
    assert "2 series, one from each file" in found.notes


def test_columns_of_files_may_be_in_another_order_or_empty(tmp_path):
    a, b, c = (tmp_path / f"{name}.csv" for name in "abc")
    a.write_text("day,sales,visits\n2024-01-01,1,4\n2024-01-02,2,5\n")
    b.write_text("visits,day,sales\n6,2024-01-01,3\n7,2024-01-02,4\n")
    c.write_text("day,sales,visits\n2024-01-01,,8\n2024-01-02,,9\n")
    found = series.read_many([c, a, b], missing=True)
    assert [table.columns for table in found.tables.values()] == [("sales", "visits")] * 3
    assert found.tables["b"].values.tolist() == [[3, 6], [4, 7]]
    np.testing.assert_array_equal(found.tables["c"].values, [[np.nan, 8], [np.nan, 9]])


FILES_WITHOUT_VALUES = {
    "no bytes": "",
    "blank lines": "\n\n",
    "a header alone": "day,sales,area,climate\n",
    "no sales": "day,sales\n2024-01-01,\n2024-01-02,\n",
    "only what does not change": "day,sales,area,climate\n2024-01-01,,9,dry\n2024-01-02,,9,dry\n",
    "a count of rows": "no,day,sales\n0,2024-01-01,\n1,2024-01-02,\n2,2024-01-03,\n",
    "only words": "day,sales,climate\n2024-01-01,,dry\n2024-01-02,,dry\n",
}


@pytest.mark.parametrize("text", FILES_WITHOUT_VALUES.values(), ids=FILES_WITHOUT_VALUES)
@pytest.mark.parametrize("options", [{}, {"columns": ["sales"]}])
@pytest.mark.parametrize("place", [0, 2])
def test_files_without_values_are_named_and_left_out(text, options, place, tmp_path):
    rows = "day,sales,area,climate\n2024-01-01,{0}1,{0},wet\n2024-01-02,{0}2,{0},wet\n"
    paths = []
    for name in "12":
        paths.append(tmp_path / f"{name}.csv")
        paths[-1].write_text(rows.format(name))
    paths.insert(place, tmp_path / "bare.csv")
    paths[place].write_text(text)
    found = series.read_many(paths, **options)
    assert {name: table.values.tolist() for name, table in found.tables.items()} == {
        "1": [[11], [12]],
        "2": [[21], [22]],
    }
    assert "series bare has no value, and is left out" in found.notes


def test_files_that_are_all_without_values(tmp_path):
    paths = [tmp_path / "a.csv", tmp_path / "b.csv"]
    paths[0].write_text("day,sales\n2024-01-01,\n2024-01-02,\n")
    paths[1].write_text("")
    with pytest.raises(ValueError, match=r"none of 2 files has values: .*a.csv has no numeric"):
        series.read_many(paths)
    with pytest.raises(ValueError, match=r"besides day: sales has no value$"):
        series.read_many(paths[:1])
    # A column of words where others have numbers is no missing value.
    paths[1].write_text("day,sales,visits\n2024-01-01,,many\n2024-01-02,,few\n")
    paths[0].write_text("day,sales,visits\n2024-01-01,1,4\n2024-01-02,2,5\n")
    with pytest.raises(ValueError, match=r"b.csv has no numeric column besides day: its columns"):
        series.read_many(paths)


def test_files_of_the_same_name_are_called_by_their_folders(tmp_path):
    folders = tmp_path / "x" / "1", tmp_path / "x" / "2"
    for folder in folders:
        folder.mkdir(parents=True)
    paths = [files(folder)[0] for folder in folders]
    assert list(series.read_many(paths).tables) == ["1/north", "2/north"]
    with pytest.raises(ValueError, match=r"north.csv would be two series .*: give each file once"):
        series.read_many([paths[0], paths[0]])


def test_a_file_is_not_read_twice_under_two_spellings(tmp_path, monkeypatch):
    [path, *_] = files(tmp_path)
    monkeypatch.chdir(tmp_path)
    for other in (path.name, f"../{tmp_path.name}/{path.name}"):
        with pytest.raises(ValueError, match=r"north.csv would be two series .*: give each file"):
            series.read_many([path, other])


def test_files_are_called_like_the_known_series_that_their_paths_end_with(tmp_path, monkeypatch):
    folders = [tmp_path / "x" / name for name in ("a", "b", "c")]
    for folder in folders:
        folder.mkdir(parents=True)
        files(folder)
    one, two, three = (folder / "north.csv" for folder in folders)
    known = ["a/north", "b/north", 7]

    def names(paths, known=known):
        return list(series.read_many(paths, columns=["visits"], known=known).tables)

    assert names([one]) == ["a/north"]
    assert names([three]) == ["north"]
    assert names([three, two]) == ["c/north", "b/north"]
    assert names([one, one.with_name("south.csv")]) == ["a/north", "south"]
    assert names([one], ["north"]) == ["north"]
    assert names([three, one], ["x/c/north", "x/a/north"]) == ["x/c/north", "x/a/north"]
    monkeypatch.chdir(one.parent)
    assert names(["north.csv"]) == ["a/north"]
    # Files that are given as before are called as before.
    assert names(["north.csv", "../b/north.csv"], ["north", "b/north"]) == ["north", "b/north"]
    assert names(["north.csv"], ["north", "a/north"]) == ["north"]
    with pytest.raises(ValueError, match=r"any of several series .*\(a/north, north\): give"):
        names([one], ["north", "a/north"])
    with pytest.raises(ValueError, match=r"both be the series 'north' .*: give only one of them"):
        names([one, two], ["north"])


def test_notes_on_files_are_summed_or_name_the_file(tmp_path):
    paths = files(tmp_path, [row for row in ROWS if row[3]])
    paths[1].write_text(paths[1].read_text().replace("wet,9", "wet,009"))
    found = series.read_many(paths, columns=["sales"], until="2024-01-01")
    assert "4 rows cut to 2 by --until 2024-01-01, in 2 series" in found.notes
    assert any(note.startswith("south: ") and "leading zeros" in note for note in found.notes)


def test_errors_of_files_name_file_and_column(tmp_path):
    north, south = files(tmp_path)
    words = tmp_path / "words.csv"
    words.write_text(
        "day,sales,visits,area,climate\n2024-01-01,many,3,9,dry\n2024-01-02,few,4,9,dry\n"
    )
    less = tmp_path / "less.csv"
    less.write_text("day,sales,area\n2024-01-01,1,7\n2024-01-02,2,7\n")
    for paths, given, message in (
        ([north, words], {}, "words.csv has no column 'sales' of numbers, but .*north.csv has"),
        ([less, north], {}, "less.csv has no column 'visits' of numbers, but .*north.csv has"),
        ([north, less], {"columns": ["visits"]}, "less.csv has no column 'visits'.*: its columns"),
        ([north, south], {"id": "shop"}, "--id tells the series of one file apart, but there are"),
        ([north, south], {"series": "north"}, "each of several files is one series: leave it out"),
        ([north, south], {}, "south.csv, line 3, column 'sales': no value"),
        ([north, south], {"static": ["sales"]}, "column 'sales' changes within a series"),
        ([north, written(tmp_path)], {}, "shops.csv holds 2 series, told apart by shop"),
        ([], {}, "path names no file"),
    ):
        with pytest.raises(ValueError, match=message):
            series.read_many(paths, **given)
    constant = files(tmp_path, [(*row[:3], "5", *row[4:5], "5") for row in ROWS])
    for path, value in zip(constant, "67", strict=True):
        path.write_text(path.read_text().replace(",5", f",{value}"))
    with pytest.raises(ValueError, match="nothing else to read: name the columns"):
        series.read_many(constant)
