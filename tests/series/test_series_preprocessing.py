"""Preprocessing is fitted on the training part alone, and its inverse restores the table."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lstmcore import series
from lstmcore.series import Preprocessing, Preprocessor

seeds = st.integers(0, 2**32 - 1)
preparations = st.builds(
    Preprocessing,
    missing=st.sampled_from(["refuse", "forward", "mean"]),
    difference=st.sampled_from([(), (1,), (4,), (4, 1), (1, 1)]),
    scaling=st.sampled_from(["standard", "minmax", "none"]),
)


def a_table(seed: int, preprocessing: Preprocessing, rows: int = 30) -> np.ndarray:
    """Three wandering columns, with holes where they are allowed."""
    rng = np.random.default_rng(seed)
    table = rng.normal(size=(rows, 3)).cumsum(axis=0) * [1, 100, 0.01]
    if preprocessing.missing != "refuse":
        holes = rng.random(table.shape) < 0.2
        holes[0] = False
        table[holes] = np.nan
    return table


def same(preprocessor: Preprocessor, other: Preprocessor) -> bool:
    return preprocessor.to_json() == other.to_json()


# No leakage.


@given(preparations, seeds, st.integers(8, 29), st.booleans())
def test_the_future_changes_nothing_that_was_learnt(preprocessing, seed, rows, spoilt):
    table = a_table(seed, preprocessing)
    changed = table.copy()
    changed[rows:] = np.inf if spoilt else 1000 + table[rows:] ** 2
    learnt = preprocessing.fit(table, rows)
    assert same(preprocessing.fit(changed, rows), learnt)
    assert same(preprocessing.fit(table[:rows]), learnt)


@given(preparations, seeds, st.integers(8, 29))
def test_the_future_changes_nothing_of_the_past_that_is_prepared(preprocessing, seed, row):
    """Row r depends only on the rows up to r + dropped_rows."""
    table = a_table(seed, preprocessing)
    preprocessor = preprocessing.fit(table, 8)
    changed = table.copy()
    changed[row:] = np.random.default_rng(seed + 1).normal(size=changed[row:].shape)
    first = row - preprocessing.dropped_rows
    now, then = preprocessor.transform(changed), preprocessor.transform(table)
    np.testing.assert_array_equal(now[:first], then[:first])
    np.testing.assert_array_equal(preprocessor.transform(table[:row]), then[:first])
    assert (now[first] != then[first]).any()


# There and back.


@given(preparations, seeds)
def test_what_is_prepared_can_be_undone(preprocessing, seed):
    table = a_table(seed, preprocessing)
    preprocessor, dropped = preprocessing.fit(table, 20), preprocessing.dropped_rows
    assert preprocessor.dropped_rows == dropped
    assert preprocessor.features == 3
    filled, values = preprocessor.filled(table), preprocessor.transform(table)
    assert values.shape == (30 - dropped, 3)
    assert values.dtype == np.float64
    np.testing.assert_allclose(
        preprocessor.inverse_transform(values, filled[:dropped]), filled[dropped:], atol=1e-9
    )
    # Stretches of 5 rows, all at once, of some columns in another order.
    inputs = series.windows(filled, dropped + 5)
    outputs = series.windows(values, 5)[..., [2, 0]]
    back = preprocessor.select([2, 0]).inverse_transform(outputs, inputs[:, :dropped, [2, 0]])
    np.testing.assert_allclose(back, inputs[:, dropped:, [2, 0]], atol=1e-9)


@given(preparations, seeds)
def test_the_training_part_is_in_the_range_asked_for(preprocessing, seed):
    table = a_table(seed, preprocessing)
    values = preprocessing.fit(table, 20).transform(table[:20])
    if preprocessing.scaling == "standard":
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-9)
        np.testing.assert_allclose(values.std(axis=0), 1)
    if preprocessing.scaling == "minmax":
        np.testing.assert_allclose(values.min(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(values.max(axis=0), 1)


@given(preparations, seeds)
def test_it_can_be_stored(preprocessing, seed):
    table = a_table(seed, preprocessing)
    preprocessor = preprocessing.fit(table, 20)
    read = Preprocessor.from_json(json.loads(json.dumps(preprocessor.to_json())))
    assert read.preprocessing == preprocessing
    assert same(read, preprocessor)
    np.testing.assert_array_equal(read.transform(table), preprocessor.transform(table))


@given(preparations, seeds, st.sampled_from([[1], [2, 0], [0, 1, 2]]))
def test_some_columns_are_prepared_as_they_are_among_all(preprocessing, seed, columns):
    table = a_table(seed, preprocessing)
    preprocessor = preprocessing.fit(table, 20)
    selected = preprocessor.select(columns)
    np.testing.assert_array_equal(
        selected.transform(table[:, columns]), preprocessor.transform(table)[:, columns]
    )
    alone = preprocessing.fit(table[:, columns], 20)
    np.testing.assert_allclose(selected.scaler, alone.scaler, rtol=1e-9, atol=1e-12)


# Columns that do not change.


def test_a_column_that_becomes_constant_is_told_of_and_not_stretched():
    """A straight line has the same slope everywhere, but for rounding: 0.3 - 0.2 < 0.2 - 0.1."""
    rows = np.arange(40)
    table = np.stack([rows / 10, np.sin(rows), np.full(40, 0.1), rows % 4], axis=1)
    preprocessor = Preprocessing(difference=(4,)).fit(table)
    assert preprocessor.constant.tolist() == [True, False, True, True]
    assert preprocessor.scaler.scale[[0, 2, 3]].tolist() == [1, 1, 1]
    np.testing.assert_allclose(preprocessor.transform(table)[:, [0, 2, 3]], 0, atol=1e-12)
    table[39, 0] += 5  # what is new keeps its size
    np.testing.assert_allclose(preprocessor.transform(table)[-1, 0], 5)
    assert Preprocessing().fit(table).constant.tolist() == [False, False, True, False]


def test_small_numbers_are_stretched_too():
    table = np.random.default_rng(0).normal(size=(50, 1)) * 1e-30
    for scaling in ("standard", "minmax"):
        values = Preprocessing(scaling=scaling).fit(table).transform(table)
        assert 1 <= np.ptp(values) < 6


def test_a_small_change_beside_a_large_value_is_a_change():
    table = 1e6 + np.random.default_rng(0).normal(size=(50, 1)) * 1e-6
    assert not Preprocessing(difference=(1, 1)).fit(table).constant.any()


# Missing values.


def test_what_stands_in_for_missing_values():
    table = np.array([[1.0], [np.nan], [1.0], [4.0], [np.nan], [100.0]])
    filled = {
        how: Preprocessing(missing=how).fit(table, 4).filled(table)[:, 0].tolist()
        for how in ("forward", "mean")
    }
    assert filled == {"forward": [1, 1, 1, 4, 4, 100], "mean": [1, 2, 1, 4, 2, 100]}
    assert np.isnan(table).sum() == 2  # which is left alone


def test_missing_values_are_counted():
    table = np.array([[1, np.nan], [np.nan, np.nan], [np.nan, 3], [4, 5], [np.nan, 6]])
    report = series.missing(table, ["load", "temp"])
    assert (report.rows, report.columns) == (5, ("load", "temp"))
    assert (report.counts.tolist(), report.longest.tolist()) == ([3, 2], [2, 2])
    assert report.first.tolist() == [1, 0]
    assert str(report) == (
        "load: 3 of 5 values missing (60.0%), "
        "the first in row 1 (counted from 0), at most 2 consecutive\n"
        "temp: 2 of 5 values missing (40.0%), "
        "the first in row 0 (counted from 0), at most 2 consecutive"
    )
    assert str(series.missing([1, 2, 3])) == "no missing values in 3 rows"
    assert series.missing([1, 2, 3]).first.tolist() == [-1]
    assert series.missing(np.full((3, 1), np.nan)).longest.tolist() == [3]
    assert str(series.missing(np.zeros((0, 2)))) == "no missing values in 0 rows"
    with pytest.raises(ValueError, match="columns has 1 name but the table has 2 columns"):
        series.missing(table, ["load"])


NAN, INF = np.nan, np.inf
UNFIT = {
    "missing": (
        {},
        [[1, 2], [3, NAN], [NAN, NAN]],
        r"3 missing values, the first in row 1, .*: fill them with "
        r"Preprocessing\(missing='forward'\) or \(missing='mean'\) of "
        r"lstmcore.series, which settings take as preprocessing=",
    ),
    "infinity": ({}, [[1, 2], [3, -INF]], "table holds -inf in row 1, column 1"),
    "infinity, filled": ({"missing": "mean"}, [[1], [INF], [NAN]], "inf in row 1, column 0"),
    "nothing before": (
        {"missing": "forward"},
        [[1, NAN], [2, NAN], [3, 4]],
        "column 1 .* starts with 2 missing values, .*: start that many rows later, fill with",
    ),
    "no mean": ({"missing": "mean"}, [[1, NAN], [2, NAN]], "column 1 .* has no value in 2 rows"),
    "too short": ({"difference": (2, 1)}, [[1], [2], [3]], "need more than 3 rows, .* has 3"),
    "empty": ({}, np.zeros((0, 1)), "table has no rows"),
    "words": ({}, [["a"]], "table must hold real numbers"),
}


@pytest.mark.parametrize(("choices", "table", "message"), UNFIT.values(), ids=UNFIT)
def test_tables_that_nothing_is_learnt_from(choices, table, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(**choices).fit(table)


@pytest.mark.parametrize(
    ("rows", "kind", "message"),
    [
        (0, ValueError, "rows must be at least 1, got 0"),
        (5, ValueError, "rows is 5 but the table has 4 rows"),
        (0.5, TypeError, "rows must be a whole number"),
    ],
)
def test_parts_that_nothing_is_learnt_from(rows, kind, message):
    with pytest.raises(kind, match=message):
        Preprocessing().fit(np.ones((4, 1)), rows)


@pytest.mark.parametrize(
    ("choices", "kind", "message"),
    [
        (
            {"missing": "interpolate"},
            ValueError,
            "missing must be one of 'refuse', 'forward'",
        ),
        ({"scaling": "log"}, ValueError, "scaling must be one of 'standard', 'minmax', 'none'"),
        ({"difference": 1}, TypeError, "difference must be a tuple of whole numbers"),
        ({"difference": (0,)}, ValueError, "difference must be at least 1"),
    ],
)
def test_choices_that_are_not_known(choices, kind, message):
    with pytest.raises(kind, match=message):
        Preprocessing(**choices)
    with pytest.raises(ValueError, match="missing 'zero' is not known: use 'refuse'"):
        series.fit_filling([1.0], "zero")


def test_what_a_prepared_refuses():
    preprocessor = Preprocessing(difference=(2,)).fit(np.arange(12.0).reshape(6, 2) ** 2)
    refusals = {
        "table has 3 columns but the preprocessor was fitted on 2": lambda: preprocessor.transform(
            np.ones((4, 3))
        ),
        "need more than 2 rows, but the table has 2": lambda: preprocessor.transform(
            np.ones((2, 2))
        ),
        "inf in row 1, column 0": lambda: preprocessor.filled([[1, 2], [INF, 3]]),
        "1 missing value, the first in row 0": lambda: preprocessor.filled([[1, NAN]]),
        r"values must be \[..., T, 2\], got shape \(3, 1\)": lambda: preprocessor.inverse_transform(
            np.ones((3, 1)), np.ones((2, 1))
        ),
        "before is missing: .* the 2 rows of the table right": lambda: (
            preprocessor.inverse_transform(np.ones((3, 2)))
        ),
        r"before has shape \(1, 2\)": lambda: preprocessor.inverse_transform(
            np.ones((3, 2)), np.ones((1, 2))
        ),
        r"columns must be positions from 0 to 1, got \[2\]": lambda: preprocessor.select([2]),
        r"columns must be positions from 0 to 1, got \[-1\]": lambda: preprocessor.select([-1]),
        r"columns must be positions from 0 to 1, got \[\]": lambda: preprocessor.select([]),
    }
    for message, call in refusals.items():
        with pytest.raises(ValueError, match=message):
            call()


DAMAGE = {
    "another thing": lambda stored: {"offset": [0.0]},
    "no object": lambda stored: [1, 2],
    "unknown choice": lambda stored: stored | {"preprocessing": {"difference": [], "scaling": "x"}},
    "a lag of 0": lambda stored: stored | {"preprocessing": {"difference": [0]}},
    "words": lambda stored: stored | {"offset": ["a", "b"]},
    "one too few": lambda stored: stored | {"offset": [0.0]},
    "infinity": lambda stored: stored | {"offset": [0.0, INF]},
    "scale of 0": lambda stored: stored | {"scale": [0.0, 1.0]},
    "no means": lambda stored: stored | {"means": None},
    "numbers for truth": lambda stored: stored | {"constant": [0, 1]},
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file(damage):
    stored = Preprocessing(missing="mean").fit([[1.0, 2.0], [3.0, 5.0]]).to_json()
    Preprocessor.from_json(stored)
    with pytest.raises(ValueError, match=r"no stored preprocessing|preprocessing is damaged"):
        Preprocessor.from_json(damage(stored))
