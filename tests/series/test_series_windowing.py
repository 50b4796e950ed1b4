"""From a table to windows and back: each window is a slice, and merging restores the table."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import lstmcore as lc
from lstmcore import series
from lstmcore.series import windowing

counts = st.integers(1, 4)
dtypes = st.sampled_from([np.float32, np.float64, np.int32, np.uint8])
tables = st.builds(
    lambda shape, dtype: np.arange(np.prod(shape)).reshape(shape).astype(dtype),
    array_shapes(min_dims=1, max_dims=2, max_side=12),
    dtypes,
)
# Three decimals: differences far below that are of no interest, and near 0 they underflow.
measured = st.integers(-(10**6), 10**6).map(lambda number: number / 1000)
measurements = arrays(float, st.tuples(st.integers(1, 12), st.integers(1, 3)), elements=measured)


# Windows.


@given(tables, counts, st.integers(0, 3), counts)
def test_every_window_is_a_slice_of_the_table(table, length, horizon, stride):
    assume(len(table) >= length + horizon)
    result = lc.windows(table, length, horizon, stride)
    inputs, targets = result if horizon else (result, [])
    rows = table.reshape(len(table), -1)
    starts = range(0, len(table) - length - horizon + 1, stride)
    assert len(inputs) == len(starts) == (len(table) - length - horizon) // stride + 1
    assert inputs.dtype == table.dtype
    for window, start in zip(inputs, starts, strict=True):
        np.testing.assert_array_equal(window, rows[start : start + length])
    for target, start in zip(targets, starts, strict=bool(horizon)):
        np.testing.assert_array_equal(target, rows[start + length :][:horizon])


@given(tables, counts, counts)
def test_windows_are_read_only_views(table, length, horizon):
    assume(len(table) >= length + horizon)
    for view in (lc.windows(table, length), *lc.windows(table, length, horizon)):
        assert np.shares_memory(view, table)
        assert not view.flags.writeable
    assert table.flags.writeable


@pytest.mark.parametrize("kind", [list, tuple, jnp.asarray, np.asarray])
def test_every_kind_of_table(kind):
    windows = lc.windows(kind([1.0, 2.0, 3.0]), 2)
    assert isinstance(windows, np.ndarray)
    assert windows.tolist() == [[[1.0], [2.0]], [[2.0], [3.0]]]


def test_missing_values_stay_where_they_are():
    assert np.isnan(lc.windows([1, np.nan, 3], 2)[:, :, 0]).tolist() == [
        [False, True],
        [True, False],
    ]


WRONG_NUMBERS = [
    ({"length": 0}, ValueError, "length must be at least 1, got 0"),
    ({"length": -1}, ValueError, "length must be at least 1, got -1"),
    ({"length": 1.5}, TypeError, "length must be a whole number, got 1.5"),
    ({"length": 2, "stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ({"length": 2, "stride": -1}, ValueError, "stride must be at least 1, got -1"),
    ({"length": 2, "horizon": -1}, ValueError, "horizon must be at least 0, got -1"),
    ({"length": 5}, ValueError, "window of 5 rows does not fit into a table of 4 rows: use"),
    ({"length": 3, "horizon": 2}, ValueError, "3 rows and a horizon of 2 does not fit"),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), WRONG_NUMBERS)
def test_numbers_that_make_no_window(arguments, kind, message):
    with pytest.raises(kind, match=message):
        lc.windows([1, 2, 3, 4], **arguments)


NO_TABLES = [
    ([True, False], "real numbers, got bool"),
    (["1", "2"], "real numbers, got <U1"),
    ([1j, 2j], "real numbers, got complex128"),
    ([None, 1.0], "real numbers, got object"),
    (np.array(["2020-01-01"], "datetime64[D]"), "real numbers, got datetime64"),
    (np.zeros((2, 2, 2)), r"\[rows\] or \[rows, features\], got shape \(2, 2, 2\)"),
    (1.0, r"\[rows\] or \[rows, features\], got shape \(\)"),
]


@pytest.mark.parametrize(("table", "message"), NO_TABLES)
@pytest.mark.parametrize(
    "use",
    [
        lambda table: lc.windows(table, 1),
        lambda table: series.fit_scaler(table, "standard"),
        lambda table: series.temporalize(table, [0, 1], 1),
    ],
    ids=["windows", "fit_scaler", "temporalize"],
)
def test_what_is_no_table(use, table, message):
    with pytest.raises(ValueError, match=f"(table|X) must .*{message}"):
        use(table)


@pytest.mark.parametrize("table", [[], np.zeros((0, 3))])
def test_an_empty_table(table):
    with pytest.raises(ValueError, match="does not fit into a table of 0 rows"):
        lc.windows(table, 1)
    with pytest.raises(ValueError, match="table has no rows"):
        series.fit_scaler(table, "none")


# The tutorial's windows.


def tutorial_loop(X, y, lookback):
    """`temporalize` as it was published (Ranjan 2019)."""
    output_X, output_y = [], []
    for i in range(len(X) - lookback - 1):
        t = []
        for j in range(1, lookback + 1):
            t.append(X[[(i + j + 1)], :])
        output_X.append(t)
        output_y.append(y[i + lookback + 1])
    return np.array(output_X).reshape(-1, lookback, X.shape[1]), np.array(output_y)


@given(measurements, counts)
def test_temporalize_is_the_published_loop(X, lookback):
    assume(len(X) - lookback - 1 >= 1)
    y = np.arange(len(X))
    for ours, published in zip(
        series.temporalize(X, y, lookback), tutorial_loop(X, y, lookback), strict=True
    ):
        np.testing.assert_array_equal(ours, published)


def test_the_tutorial_has_five_windows():
    table = series.tutorial_series()
    X, y = series.temporalize(table, np.arange(9), lookback=3)
    assert table.shape == (9, 2)
    assert X.shape == (5, 3, 2)
    np.testing.assert_allclose(X[0], [[0.3, 0.027], [0.4, 0.064], [0.5, 0.125]])
    np.testing.assert_allclose(X[-1], [[0.7, 0.343], [0.8, 0.512], [0.9, 0.729]])
    assert y.tolist() == [4, 5, 6, 7, 8]


WRONG_TUTORIALS = [
    ({"y": range(8)}, "X has 9 rows but y has 8"),
    ({"lookback": 0}, "lookback must be at least 1, got 0"),
    ({"lookback": 8}, "window of 8 rows does not fit"),
    ({"X": np.zeros((1, 2)), "y": [0]}, "window of 3 rows does not fit"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_TUTORIALS)
def test_what_temporalize_refuses(arguments, message):
    usual = {"X": series.tutorial_series(), "y": range(9), "lookback": 3}
    with pytest.raises(ValueError, match=message):
        series.temporalize(**{**usual, **arguments})


# Windows back to a series.


@given(tables, counts, counts, st.sampled_from(["mean", "median"]))
def test_windows_fit_together_again(table, length, stride, how):
    """Exactly: the mean of equal values is that value. What no window holds is not known."""
    assume(len(table) >= length)
    rows = table.reshape(len(table), -1)
    cut = lc.windows(table, length, stride=stride)
    back = series.unwindow(cut, stride, how)
    assert back.dtype == np.float64
    assert len(back) == (len(cut) - 1) * stride + length
    covered = np.arange(len(back)) % stride < length
    np.testing.assert_array_equal(back[covered], rows[: len(back)][covered])
    assert np.isnan(back[~covered]).all()


@given(
    arrays(
        float,
        st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(1, 2)),
        elements=measured | st.just(np.nan),
    ),
    counts,
    st.sampled_from(["mean", "median"]),
)
def test_each_row_is_the_mean_or_median_of_what_its_windows_say(windows, stride, how):
    back = series.unwindow(windows, stride, how)
    for row in range(len(back)):
        held = [
            w[row - n * stride] for n, w in enumerate(windows) if 0 <= row - n * stride < len(w)
        ]
        for column in range(windows.shape[2]):
            known = [values[column] for values in held if not np.isnan(values[column])]
            expected = getattr(np, how)(known) if known else np.nan
            np.testing.assert_allclose(back[row, column], expected, rtol=1e-12, atol=1e-9)


def test_the_median_is_taken_a_part_of_the_rows_at_a_time(rng, monkeypatch):
    windows = rng.normal(size=(50, 8, 3))
    whole = series.unwindow(windows, 2, "median")
    monkeypatch.setattr(windowing, "CELLS_AT_ONCE", 40)
    np.testing.assert_array_equal(series.unwindow(windows, 2, "median"), whole)


def test_windows_of_any_trailing_axes():
    assert series.unwindow(np.ones((4, 3))).shape == (6,)
    assert series.unwindow(np.ones((4, 3, 2, 5), np.float32), 3, "median").shape == (12, 2, 5)
    assert series.unwindow(jnp.ones((4, 3, 2))).shape == (6, 2)


WRONG_WINDOWS = [
    ({"windows": np.ones(3)}, r"\[windows, steps, ...\] with at least one of each, got \(3,\)"),
    ({"windows": np.ones((0, 3))}, r"at least one of each, got \(0, 3\)"),
    ({"windows": [["a"]]}, "windows must hold real numbers, got <U1"),
    ({"stride": 0}, "stride must be at least 1, got 0"),
    ({"how": "max"}, "how must be 'mean' or 'median', got 'max'"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG_WINDOWS)
def test_what_cannot_be_put_together(arguments, message):
    with pytest.raises(ValueError, match=message):
        series.unwindow(**{"windows": np.ones((2, 3))} | arguments)


# How far apart windows begin.


@given(st.integers(1, 10**7), st.integers(1, 2**28))
def test_stride_auto_is_the_smallest_that_bounds_windows_and_numbers(windows, numbers):
    stride = series.stride_for("auto", windows, numbers)
    left = -(-windows // stride)  # windows
    assert left <= 20_000
    assert left * numbers <= max(2**26, numbers)
    if stride > 1:
        more = -(-windows // (stride - 1))
        assert more > 20_000 or more * numbers > 2**26


@pytest.mark.parametrize("windows", [0, 1, 10**9])
def test_a_stride_that_is_given_is_kept(windows):
    assert series.stride_for(7, windows, numbers=10) == 7
    assert series.stride_for("auto", 0, numbers=10) == 1


@pytest.mark.parametrize(
    ("stride", "error", "message"),
    [
        (0, ValueError, "stride must be at least 1, got 0"),
        ("all", ValueError, "stride must be a number of rows or 'auto', got 'all'"),
        (1.5, TypeError, "stride must be a whole number, got 1.5"),
        (None, TypeError, "stride must be a whole number, got None"),
    ],
)
def test_strides_that_are_none(stride, error, message):
    with pytest.raises(error, match=message):
        series.stride_for(stride, windows=10, numbers=10)


def test_what_is_drawn_has_every_hour_of_the_day():
    some = windowing.draw_windows(40_000, 5_000)
    assert len(set(some)) == 5_000
    assert np.bincount(some % 24).min() > 100
    np.testing.assert_array_equal(windowing.draw_windows(3, 5), [0, 1, 2])
