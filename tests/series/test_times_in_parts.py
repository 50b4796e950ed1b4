"""Times in several columns: a year and its quarters, months, weeks or days."""

import itertools

import pytest

from lstmcore import series


@pytest.fixture
def read(tmp_path):
    def read(header, rows, columns=(), **options):
        lines = [header, *(",".join(map(str, row)) for row in rows)]
        path = tmp_path / "my table.csv"
        path.write_text("\n".join(lines) + "\n")
        return series.read_csv(path, columns, **options)

    return read


YEARS = (2019, 2020)
PARTS = {  # header, rows, first label, interval, label of the row after the last
    "quarters": (
        "year,quarter,a", [(y, q, 5) for y in YEARS for q in (1, 2, 3, 4)],
        "2019Q1", "3 months", "2021Q1",
    ),
    "quarters as floats": (
        "year,quarter,a", [(f"{y}.0", f"{q}.0", 5) for y in YEARS for q in (1, 2, 3, 4)],
        "2019Q1", "3 months", "2021Q1",
    ),
    "quarters with a letter": (
        "Year,Qtr,a", [(y, f"Q{q}", 5) for y in YEARS for q in (1, 2, 3, 4)],
        "2019Q1", "3 months", "2021Q1",
    ),
    "weeks": (
        "year,week,a", [(2021, w, 5) for w in range(1, 53)], "2021-W01", "7 days", "2022-W01",
    ),
    "days of the year": (
        "year,doy,a", [(2019, d, 5) for d in range(1, 366)], "2019-001", "1 day", "2020-001",
    ),
    "hours of these": (
        "year,doy,hour,a", [(2019, d, f"{h}.0", 5) for d in (1, 2) for h in range(24)],
        "2019-001 00:00", "1 hour", "2019-003 00:00",
    ),
    "names of months": (
        "year,month,a", [(2019, "Jan", 5), (2019, "February", 5), (2019, "mar.", 5)],
        "2019-01", "1 month", "2019-04",
    ),
    "months and their quarters": (
        "year,quarter,month,a", [(y, (m + 2) // 3, m, 5) for y in YEARS for m in range(1, 13)],
        "2019-01", "1 month", "2021-01",
    ),
    "dates and hours as floats": (
        "date,hour,a", [(f"2019010{d}.0", f"{h}.0", 5) for d in (1, 2) for h in range(24)],
        "20190101 00:00", "1 hour", "20190103 00:00",
    ),
    "compact dates and clock times": (
        "day,hour,a", [(f"2019010{d}", f"{h}:00", 5) for d in (1, 2) for h in range(24)],
        "20190101 0:00", "1 hour", "20190103 0:00",
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("header", "rows", "first", "interval", "after"), PARTS.values(), ids=PARTS
)
def test_parts_of_a_time_are_joined(header, rows, first, interval, after, read):
    table = read(header, rows, ["a"])
    assert (table.labels[0], table.times.interval) == (first, interval)
    assert table.times.labels_after(1) == [after]
    named = read(header, rows, ["a"], time=table.options.time)
    assert list(named.labels) == list(table.labels)


def test_numbers_that_are_no_week_are_measured(read):
    table = read("year,week,a", [(1990, 4.5, 1), (1991, 4.25, 2), (1992, 5, 3)])
    assert table.columns == ("week", "a")
    assert list(table.labels) == ["1990", "1991", "1992"]


TERMS = [(y, term, 10 * y + term) for y, term in itertools.product((2019, 2020), (1, 2, 3))]


def test_consecutive_wins_over_a_guess_of_several_series(read):
    message = (
        "holds 3 series, told apart by term .* list names all; if it is one series, --consecutive "
        "takes all rows"
    )
    with pytest.raises(series.SeveralSeriesError, match=message):
        read("year,term,a", TERMS)
    table = read("year,term,a", TERMS, consecutive=True)
    assert table.columns == ("term", "a")
    assert len(table.values) == 6
    assert "4 rows have the time of the row before" in table.notes
    assert table.times.labels_after(1) == ["2020 + 1 row"]


def test_a_named_column_of_times_wins_over_the_parts(read):
    quarters = [(f"{y}.0", f"{q}.0", 5) for y in YEARS for q in (1, 2, 3, 4)]
    with pytest.raises(series.SeveralSeriesError, match=r"by quarter .* --consecutive takes all"):
        read("year,quarter,a", quarters, time="year")
    years = read("year,quarter,a", quarters, time="year", consecutive=True)
    assert (years.columns, years.label_name) == (("quarter", "a"), "year")
    assert years.times.labels_after(1) == ["2020.0 + 1 row"]
    whole = read("year,quarter,a", quarters, consecutive=True)
    assert whole.times.labels_after(2) == ["2021Q1", "2021Q2"]


def test_consecutive_does_not_mix_shops(read):
    shops = [(day, shop, 5) for day in ("2024-01-01", "2024-01-02") for shop in "ab"]
    with pytest.raises(series.SeveralSeriesError, match=r"anomalies --id searches them$"):
        read("date,shop,a", shops, consecutive=True)
