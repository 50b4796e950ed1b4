"""The last rows of a table are all that the next one needs to be scored from its first row on."""

from dataclasses import replace

import numpy as np
import pytest
from detectors import table, untrained
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import anomalies, series
from lstmcore.apps.anomalies import Settings
from lstmcore.apps.anomalies.last_rows import follow, last_rows, reach, read, write
from lstmcore.io.tensors import read_tensors, write_tensors

FORWARD = series.Preprocessing("forward")
PREDICTION = Settings(method="prediction", window=4, units=3, season=0)
KINDS = {
    "prediction": {},
    "several ahead": {"horizon": 3, "combine": "median"},
    "differences": {"preprocessing": series.Preprocessing(difference=(3, 1))},
    "season": {"season": 7},
    "season and differences": {"season": 5, "preprocessing": series.Preprocessing(difference=(2,))},
    "season, filled forward": {"season": 6, "preprocessing": FORWARD},
    "filled with the mean": {"preprocessing": series.Preprocessing("mean")},
    "reconstruction": {"method": "reconstruction"},
    "reconstruction, season": {"method": "reconstruction", "season": 5},
}
ROWS = 400


def days(rows, start="2024-01-01", step=1):
    return (np.datetime64(start) + step * np.arange(rows)).astype(str).tolist()


def as_table(values, labels=None, **options):
    """Return a `series.Table` of days, or of other labels."""
    labels = days(len(values)) if labels is None else labels
    times = series.check_times(labels, **options)
    columns = tuple(f"x{place}" for place in range(np.shape(values)[1]))
    made = series.Table(columns, np.asarray(values, float), labels, "date", times)
    return series.regular(made)


def detector_of(values, **changes):
    """Return a detector of the first 60 rows, so that a score reaches back less than far."""
    settings = replace(PREDICTION, **changes)
    detector = untrained(settings, values)
    return replace(detector, training_errors=detector.errors(values[:60]))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("score", ["adaptive", "mean"])
def test_two_parts_are_scored_as_one(kind, score):
    """Also of three parts, the second of which is shorter than what is kept."""
    values = table(ROWS)
    if "filled" in kind:
        values[[5, 70, 100, 280, 300, 331], [0, 1, 0, 1, 0, 1]] = np.nan
        values[[200, 299]] = np.nan
    detector = detector_of(values, **KINDS[kind])
    every = as_table(values)
    kept = last_rows(detector, every.first(300), "monday.csv")
    assert reach(detector) <= len(kept.values) < 200
    for start, stop in ((300, 303), (303, ROWS)):
        later = as_table(values[start:stop], days(ROWS)[start:stop])
        before = follow(kept, later).before
        whole = anomalies.detect(detector, values[:stop], score=score)
        part = anomalies.detect(detector, later.values, before=before.values, score=score)
        assert (np.isnan(part.scores) == np.isnan(whole.scores[start:])).all()
        np.testing.assert_allclose(part.scores, whole.scores[start:], rtol=1e-3, atol=1e-4)
        close = {"rtol": 1e-3, "atol": 1e-4}
        np.testing.assert_allclose(part.contributions, whole.contributions[start:], **close)
        assert part.threshold == whole.threshold
        kept = last_rows(detector, later, "tuesday.csv", before)
        assert reach(detector) <= len(kept.values) < 200
        assert (kept.source, kept.last) == ("tuesday.csv", days(ROWS)[stop - 1])


@given(st.integers(20, 350), st.integers(1, 50))
def test_the_first_row_has_a_score(rows, more):
    values = table(ROWS)
    detector = detector_of(values, season=7)
    kept = last_rows(detector, as_table(values[:rows]), "a.csv")
    later = as_table(values[rows : rows + more], days(ROWS)[rows : rows + more])
    result = anomalies.detect(detector, later.values, before=follow(kept, later).before.values)
    assert np.isfinite(result.scores).all()
    whole = anomalies.detect(detector, values[: rows + more]).scores[rows:]
    np.testing.assert_allclose(result.scores, whole, rtol=1e-3, atol=1e-4)


def test_rows_before_as_data_frames():
    pandas = pytest.importorskip("pandas")
    values = table(ROWS)
    times = pandas.date_range("2024-01-01", periods=ROWS, freq="h")
    frame = pandas.DataFrame(values, times, ["load", "temp"])
    detector = anomalies.train(frame.iloc[:200], replace(PREDICTION, epochs=1))
    whole = anomalies.detect(detector, frame)
    swapped = frame[["temp", "load"]]
    part = anomalies.detect(detector, swapped.iloc[390:], before=frame.iloc[:390])
    np.testing.assert_allclose(part.scores, whole.scores[390:], rtol=1e-4, atol=1e-5)
    assert part.to_frame().index.equals(times[390:])
    counted = int((whole.scores[:390] > whole.threshold.value).sum())
    assert part.before == (counted, int(np.isfinite(whole.scores[:390]).sum()))
    message = (
        r"begin at 2024-01-17 07:00, but the row after those of before is that of 2024-01-17 0"
    )
    for rows in (slice(389), slice(391)):
        with pytest.raises(ValueError, match=message):
            anomalies.detect(detector, frame.iloc[391:], before=frame.iloc[rows]) if rows.stop < (
                390
            ) else anomalies.detect(detector, frame.iloc[391:], before=frame.iloc[:392])


def test_separate_series_have_no_rows_before():
    with pytest.raises(ValueError, match="before is of one series, but values are separate ones"):
        anomalies.detect(None, np.zeros((3, 9, 1)), before=np.zeros((9, 1)))


# Whether a table follows, by its times.

MONTHS = [f"{year}-{month:02}" for year in (2023, 2024) for month in range(1, 13)]
WEEKDAYS = [day for day in days(60) if np.is_busday(np.datetime64(day))]
HOURS = (np.datetime64("2024-01-01T00") + np.arange(60)).astype(str).tolist()
NUMBERS = [f"{0.1 * number:.1f}" for number in range(60)]
SCALES = {"days": days(60), "months": MONTHS, "weekdays": WEEKDAYS, "hours": HOURS,
          "numbers": NUMBERS, "years": [str(year) for year in range(1950, 2010)]}  # fmt: skip


DETECTOR = detector_of(table(60, 1), season=7)  # whose scores reach back for more than 60 rows


def kept_of(labels, **options):
    values = np.arange(len(labels), dtype=float)[:, None]
    return last_rows(DETECTOR, as_table(values, labels, **options), "a.csv")


def joined(kept, labels, longest=0, first=0.0, **options):
    values = first + np.arange(len(labels), dtype=float)[:, None]
    return follow(kept, as_table(values, labels, **options), longest)


@pytest.mark.parametrize("scale", SCALES)
def test_a_table_that_follows(scale):
    """Be it after a gap, or with rows that are kept as well."""
    labels = SCALES[scale]
    cut = len(labels) // 2
    kept = kept_of(labels[:cut])
    joint = joined(kept, labels[cut:])
    assert joint.is_known
    assert joint.before.values[:, 0].tolist() == list(range(cut))
    ends = f"a.csv, which ends at {labels[cut - 1]}"
    assert joint.said == f"it goes on from {ends}: {cut} rows before it are known"

    joint = joined(kept, labels[cut + 2 :], longest=2)
    np.testing.assert_array_equal(joint.before.values[:, 0], [*range(cut), np.nan, np.nan])
    assert joint.said.endswith("; 2 rows between them are added as missing")
    every = kept_of(labels).times
    np.testing.assert_allclose(
        joint.before.times.astype(float), every[: cut + 2].astype(float), rtol=1e-9
    )
    joint = joined(kept, labels[cut + 2 :], longest=1)
    assert joint.before is None
    missing = f"2 rows are missing between it and {ends} (at most 1 would be added as missing)"
    assert joint.said == missing
    assert joined(kept, labels[cut + 1 :]).said == f"1 row is missing between it and {ends}"

    joint = joined(kept, labels[cut - 3 :], first=cut - 3)
    assert joint.before.values[:, 0].tolist() == list(range(cut - 3))
    assert joint.said.endswith("; 3 rows that both have are scored again")
    joint = joined(kept, labels[cut - 3 :], first=cut - 2)
    assert joint.said.endswith(", and 3 of them hold other values now")

    joint = joined(kept, labels)
    assert joint.before is None
    assert joint.said == f"it begins before the rows that are kept of {ends}"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (HOURS[:9], [f"{hour}:30" for hour in HOURS[9:15]], "its rows are not at equal steps from"),
        (days(9), ["101", "102", "103"], "its times are of another kind than those of a.csv"),
    ],
)
def test_a_table_that_does_not_follow(before, after, message):
    joint = joined(kept_of(before), after, longest=9)
    assert joint.before is None
    assert joint.said.startswith(message)


def test_a_gap_of_any_length_is_counted_and_not_filled():
    seconds = [f"1970-01-01 00:00:0{second}" for second in range(9)]
    later = [f"9999-01-01 00:00:0{second}" for second in range(9)]
    joint = joined(kept_of(seconds), later, longest=9)
    assert joint.said.startswith("253,370,764,791 rows are missing between it and a.csv, which")


def test_offsets_from_utc_that_differ():
    """Hours go on in UTC, days by the clock, whatever each table shows."""
    summer = [f"2026-10-25T0{hour}:00+02:00" for hour in range(3)]
    winter = [f"2026-10-25T0{hour}:00+0100" for hour in range(2, 6)]
    joint = joined(kept_of(summer), winter)
    assert joint.said.endswith("02:00+02:00: 3 rows before it are known")
    utc = [f"2026-10-25T0{hour}:00Z" for hour in range(1, 4)]
    assert len(joined(kept_of(summer), utc).before.values) == 3
    west = [f"2026-10-24T{hour}:00-0230" for hour in ("22", "23")]
    assert joined(kept_of(summer), west).said.startswith("its rows are not at equal steps")
    before, after = ([f"2026-10-{day}T00:00{zone}" for day in days] for days, zone in
                     (((23, 24, 25), "+02:00"), ((26, 27), "+01:00")))  # fmt: skip
    assert len(joined(kept_of(before), after).before.values) == 3
    assert not joined(kept_of(before), after[:1]).is_known


def test_rows_taken_as_consecutive():
    sessions = [f"2024-01-0{day} {hour}:00" for day in (2, 3, 4) for hour in (15, 16, 17)]
    kept = kept_of(sessions[:6], consecutive=True)
    joint = joined(kept, sessions[6:], consecutive=True)
    assert len(joint.before.values) == 6
    row = as_table([[6.0]], sessions[6:7], consecutive=True)
    asked = row._replace(options=series.ReadOptions(consecutive=True))
    assert len(follow(kept, asked).before.values) == 6
    assert follow(kept, row).said.startswith("21 rows are missing between it and a.csv, which ends")
    twice = kept_of(sorted(sessions[:6] * 2), consecutive=True)
    assert follow(twice, row).said.startswith("its rows are not at equal steps from those of a.csv")


def test_a_single_row_and_rows_without_times():
    kept = kept_of(days(9))
    joint = joined(kept, days(10)[9:])
    assert joint.is_known
    assert len(joint.before.values) == 9
    assert joined(kept, days(12)[11:]).before is None
    numbered = as_table(np.zeros((4, 1)), range(4))
    bare = numbered._replace(times=None)
    for joint in (follow(kept, bare), joined(kept._replace(times=None), days(12)[9:])):
        assert not joint.is_known
        assert joint.before.values is kept.values


# Files.


@pytest.mark.parametrize("labels", [days(9), NUMBERS[:9], None], ids=["days", "numbers", "none"])
def test_a_file_holds_them(labels, tmp_path):
    kept = kept_of(labels or days(9))
    kept.values[3] = np.nan
    kept = kept if labels else kept._replace(times=None)
    write(tmp_path / "rows", kept)
    again = read(tmp_path / "rows", 1)
    np.testing.assert_array_equal(again.values, kept.values)
    np.testing.assert_array_equal(again.times, kept.times)
    assert again[2:] == kept[2:]
    if labels:
        assert again.times.dtype == kept.times.dtype
    with pytest.raises(ValueError, match="it does not hold rows of 2 features"):
        read(tmp_path / "rows", 2)


def test_damaged_files(tmp_path):
    path = tmp_path / "rows"
    write(path, kept_of(days(9)))
    _, tensors = read_tensors(path)
    for text in ("{", "[]", '{"format": 1}', '{"format": 2, "source": "a", "last": "b"}'):
        write_tensors(path, tensors, {"lstmcore_last_rows": text})
        with pytest.raises(ValueError, match="rows is damaged"):
            read(path, 1)
    write_tensors(path, {}, {"lstmcore_last_rows": '{"format": 1, "source": "a", "last": "b"}'})
    with pytest.raises(ValueError, match="rows is damaged"):
        read(path, 1)
    write_tensors(path, tensors, {})
    with pytest.raises(ValueError, match="holds no last rows of a table"):
        read(path, 1)
    text = {"lstmcore_last_rows": '{"format": 1, "source": "a", "last": "b"}'}
    values, times = tensors["values"], tensors["microseconds"]
    for changed, message in (
        ({"values": np.full_like(values, np.inf)}, "it holds infinite values"),
        ({"microseconds": times[::-1].copy()}, "its times do not rise"),
        ({"values": np.array(1.0)}, "it does not hold rows"),
    ):
        write_tensors(path, tensors | changed, text)
        with pytest.raises(ValueError, match=message):
            read(path, 1)
