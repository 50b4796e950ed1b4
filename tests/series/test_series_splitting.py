"""Parts in the order of time: the test part comes after the training part."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lstmcore import series

shares = st.sampled_from([0.0, 0.001, 0.1, 0.25, 0.4, 1, 7])
counts = st.integers(1, 6)


@given(st.integers(1, 300), shares, shares)
def test_the_parts_follow_one_another_and_cover_all(rows, validation, test):
    held_out = [
        share if share >= 1 else max(1, round(rows * share)) if share else 0
        for share in (validation, test)
    ]
    assume(sum(held_out) < rows)
    parts = series.split(rows, validation, test)
    everything = np.arange(rows)
    np.testing.assert_array_equal(np.concatenate([everything[part] for part in parts]), everything)
    assert [len(everything[part]) for part in parts[1:]] == held_out


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ((10, 0.5, 0.5), ValueError, "validation 0.5 and test 0.5 leave none of 10 rows to train"),
        ((1, 0.1), ValueError, "leave none of 1 row to"),
        ((10, -0.1), ValueError, "validation must be at least 0 and below 1, or .*, got -0.1"),
        (
            (10, 0, 1.0),
            ValueError,
            "test must be at least 0 and below 1, or a whole number of rows, got 1.0",
        ),
        ((10, np.nan), ValueError, "validation must be at least 0 and below 1, or .*, got nan"),
        ((10, "0.1"), TypeError, "validation must be a fraction of the rows or .*, got '0.1'"),
        ((0,), ValueError, "rows must be at least 1, got 0"),
        ((0.5,), TypeError, "rows must be a whole number"),
    ],
)
def test_parts_that_cannot_be(arguments, kind, message):
    with pytest.raises(kind, match=message):
        series.split(*arguments)


@given(counts, counts, st.integers(0, 5), st.integers(0, 5))
def test_forecasts_follow_one_another_up_to_the_last_row(count, horizon, minimum, more):
    rows = minimum + count * horizon + more
    origins = series.rolling_origins(rows, count, horizon, minimum)
    assert len(origins) == count
    assert origins[0] == minimum + more
    assert origins[-1] + horizon == rows
    assert (np.diff(origins) == horizon).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"rows": 85},
            "3 forecasts of 12 rows after at least 50 rows need 86 rows, but",
        ),
        ({"count": 0}, "count must be at least 1, got 0"),
        ({"horizon": 0}, "horizon must be at least 1, got 0"),
        ({"minimum": -1}, "minimum must be at least 0, got -1"),
    ],
)
def test_forecasts_that_do_not_fit(change, message):
    with pytest.raises(ValueError, match=message):
        series.rolling_origins(**{"rows": 86, "count": 3, "horizon": 12, "minimum": 50} | change)
