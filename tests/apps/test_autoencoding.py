"""The main job without its files: how a table is cut, what is trained, what comes out of it."""

import json
from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore import reference, series
from lstmcore.apps import autoencoding
from lstmcore.apps.autoencoding import outputs
from lstmcore.series import Table, read_dataset

SMALL = autoencoding.Settings(window=4, units=(3,), epochs=2, batch_size=8)
PARTS = {
    "reconstruction": ("reconstruction",),
    "prediction": ("prediction",),
    "composite": ("reconstruction", "prediction"),
}


def waves(rows: int) -> Table:
    """Two columns of different size and offset, no value twice."""
    t = np.arange(rows)
    return Table(
        ("a", "b"), np.stack([np.sin(t) + t, 1000 + 50 * np.cos(t / 3)], axis=1), range(len(t))
    )


def weights(model, scale=0.5) -> dict:
    """Random params, drawn by NumPy, so that no test waits for a compilation."""
    rng = np.random.default_rng(0)
    draw = lambda leaf: rng.normal(0, scale, leaf.shape).astype(np.float32)  # noqa: E731
    return jax.tree.map(draw, jax.eval_shape(model.init, jax.random.key(0)))


# Cutting.

rows = st.integers(40, 60)  # enough for every one of these settings
modes_and_horizons = [
    (mode, horizon)
    for mode in autoencoding.MODES
    for horizon in ((1,) if mode == "reconstruction" else (1, 2, 3))
]
settings = st.builds(
    lambda mode_and_horizon, **others: autoencoding.Settings(
        mode=mode_and_horizon[0], horizon=mode_and_horizon[1], **others
    ),
    st.sampled_from(modes_and_horizons),
    window=st.integers(1, 5),
    preprocessing=st.builds(
        series.Preprocessing,
        difference=st.sampled_from([(), (1,), (3, 1)]),
        scaling=st.sampled_from(["standard", "minmax", "none"]),
    ),
    stride=st.sampled_from(["auto", 1, 3]),
    validation=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
    first_row=st.integers(0, 3),
)


@given(rows, settings)
def test_windows_are_preprocessed_segments_of_the_table(rows, settings):
    table = waves(rows)
    windows = autoencoding.cut(table, settings)
    span, lost = settings.span, settings.preprocessing.dropped_rows
    first, stride = settings.first_row + lost, 3 if settings.stride == 3 else 1
    assert windows.stride == stride
    assert windows.rows[:, 0].tolist() == list(range(first, rows - span + 1, stride))
    assert windows.rows.shape[1] == span
    assert (np.diff(windows.rows, axis=1) == 1).all()
    assert windows.values.dtype == np.float32
    assert windows.values.shape == (*windows.rows.shape, 2)
    before = table.values[windows.rows[:, :1] - np.arange(lost, 0, -1)]
    values = windows.preprocessor.inverse_transform(windows.values, before if lost else None)
    np.testing.assert_allclose(values, table.values[windows.rows], rtol=1e-5, atol=1e-2)


@given(rows, settings)
def test_validation_windows_share_no_row_with_those_trained_on(rows, settings):
    windows = autoencoding.cut(waves(rows), settings)
    trained_on = set(windows.rows[: windows.training].ravel())
    validation = set(windows.rows[windows.validation_start :].ravel())
    assert trained_on
    assert not trained_on & validation
    assert bool(validation) == (settings.validation > 0)
    # And no window more is left out between them than it takes.
    assert not validation or min(validation) - max(trained_on) <= windows.stride


@given(rows, settings)
def test_the_preprocessing_knows_only_the_rows_trained_on(rows, settings):
    table = waves(rows)
    windows = autoencoding.cut(table, settings)
    last = windows.rows[: windows.training].max()
    trained_on = table.values[settings.first_row : last + 1]
    expected = settings.preprocessing.fit(trained_on)
    np.testing.assert_equal(windows.preprocessor.to_json(), expected.to_json())
    table.values[last + 1 :] = 1e6 * np.arange(rows - last - 1)[:, None]
    again = autoencoding.cut(table, settings)
    np.testing.assert_equal(again.preprocessor.to_json(), expected.to_json())
    trained = slice(windows.training)
    np.testing.assert_array_equal(again.values[trained], windows.values[trained])


def test_a_long_table_is_cut_with_a_stride():
    """At most 20,000 windows; a stride that is given is kept."""
    table = Table(("a",), np.sin(np.arange(45_000.0))[:, None], range(45_000))
    windows = autoencoding.cut(table, SMALL)
    assert (windows.stride, len(windows.rows)) == (3, 14_999)
    assert len(autoencoding.cut(table, replace(SMALL, stride=1)).rows) == 44_997


def test_cutting_shares_memory():
    """Windows that overlap are not copied: a table is held once."""
    windows = autoencoding.cut(waves(1000), replace(SMALL, window=500))
    for array in (windows.rows, windows.values):
        assert array.base is not None
        assert array.strides[0] == array.strides[1]


def test_the_tutorial_is_cut_as_published():
    table = read_dataset("tutorial")
    X, _ = series.temporalize(table.values, np.zeros(9), lookback=3)
    np.testing.assert_array_equal(
        autoencoding.cut(table, autoencoding.TUTORIAL).values, X.astype(np.float32)
    )


def test_a_small_fraction_holds_out_one_window():
    windows = autoencoding.cut(waves(30), replace(SMALL, validation=0.001))
    assert windows.validation_start == len(windows.values) - 1


# What cannot be done: said before anything is computed.

WRONG_SETTINGS = {
    "mode": (
        {"mode": "forecast"},
        "mode must be one of .*, got 'forecast'",
    ),
    "window 0": ({"window": 0}, "window must be at least 1, got 0"),
    "window too long": ({"window": 31}, "window of 31 rows does not fit into 30 rows"),
    "a horizon too long": (
        {"window": 29, "horizon": 2, "mode": "prediction"},
        "window of 29 rows and 2 to predict does not fit into 30 rows",
    ),
    "no horizon, prediction": ({"horizon": 0, "mode": "prediction"}, "horizon must be at least 1"),
    "no horizon, composite": ({"horizon": 0, "mode": "composite"}, "horizon must be at least 1"),
    "horizon negative": ({"horizon": -1, "mode": "prediction"}, "horizon must be at least 1"),
    "units 0": ({"units": (3, 0)}, "units must be at least 1, got 0"),
    "no units": ({"units": ()}, "units is empty"),
    "activation": ({"activation": "swish"}, "activation 'swish' is not known"),
    "stride 0": ({"stride": 0}, "stride must be at least 1, got 0"),
    "stride a word": ({"stride": "wide"}, "stride must be a number of rows or 'auto', got 'wide'"),
    "all dropped by differencing": (
        {"preprocessing": series.Preprocessing(difference=(28,))},
        r"window of 4 rows does not fit into 2 rows \(28 are dropped by differencing\)",
    ),
    "learning rate 0": ({"learning_rate": 0}, "learning_rate must be a positive number, got 0"),
    "learning rate NaN": ({"learning_rate": float("nan")}, "learning_rate must be a positive"),
    "learning rate infinite": ({"learning_rate": float("inf")}, "learning_rate must be a positive"),
    "validation 1": ({"validation": 1.0}, "validation must be at least 0 and below 1"),
    "validation negative": ({"validation": -0.1}, "validation must be at least 0 and below 1"),
    "validation NaN": ({"validation": float("nan")}, "validation must be at least 0 and below 1"),
    "validation too large": ({"validation": 0.95}, "leaves no window of 4 rows to train on"),
    "first row negative": ({"first_row": -1}, "first_row must be at least 0, got -1"),
    "first row at the end": ({"first_row": 30}, "does not fit into 0 rows"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):  # noqa: PT012 - whichever of them is first
        settings = replace(SMALL, **wrong)
        autoencoding.cut(waves(30), settings)
        autoencoding.build(settings, features=2)


def test_settings_of_a_wrong_type():
    with pytest.raises(TypeError, match="preprocessing must be Preprocessing, got str"):
        replace(SMALL, preprocessing="standard")


def test_missing_values_are_refused_unless_said_otherwise():
    table = waves(30)
    table.values[7, 1] = np.nan
    with pytest.raises(ValueError, match="1 missing value, the first in row 7, column 1"):
        autoencoding.cut(table, SMALL)


def test_settings_round_trip_through_json():
    settings = replace(
        SMALL, preprocessing=series.Preprocessing("mean", (12, 1), "minmax"), stride=2, patience=3
    )
    stored = json.loads(json.dumps(settings.to_json()))
    assert autoencoding.Settings.from_json(stored) == settings


@pytest.mark.parametrize(("size", "scaling"), [(1e39, "none"), (1e300, "standard")])
def test_numbers_beyond_float32(size, scaling):
    """Else training would end with advice about the learning rate, which is not to blame."""
    table = Table(("a",), size * np.arange(9.0)[:, None], range(9))
    with pytest.raises(ValueError, match=r"too large|float32|scal"):
        autoencoding.cut(table, replace(SMALL, preprocessing=series.Preprocessing(scaling=scaling)))


# Building, training, writing.


def horizon(mode: str, rows: int) -> dict[str, int]:
    """The horizon of a mode; a reconstruction has none."""
    return {} if mode == "reconstruction" else {"horizon": rows}


def test_build():
    modes = {
        mode: autoencoding.build(replace(SMALL, mode=mode, **horizon(mode, 5)), features=2)
        for mode in autoencoding.MODES
    }
    assert modes == {
        "reconstruction": lc.Autoencoder(2, (3,), "tanh"),
        "prediction": lc.Autoencoder(2, (3,), "tanh", steps=5),
        "composite": lc.CompositeAutoencoder(2, (3,), 5, "tanh"),
    }


@pytest.mark.thorough
def test_training_lowers_both_losses():
    settings = replace(SMALL, epochs=30, learning_rate=0.01, validation=0.2, batch_size=64)
    windows = autoencoding.cut(Table(("a",), np.sin(np.arange(60.0))[:, None], range(60)), settings)
    result = autoencoding.train(autoencoding.build(settings, 1), windows, settings)
    assert list(result.history) == ["loss", "validation_loss"]
    for losses in result.history.values():
        assert losses.shape == (30,)
        assert losses[-1] < losses[0]


def run(mode: str, scale=0.5, table=None, **changes):
    """(settings, table, windows, model, params, parts) of an untrained model."""
    settings = replace(SMALL, mode=mode, **horizon(mode, 2), **changes)
    table = waves(20) if table is None else table
    windows = autoencoding.cut(table, settings)
    model = autoencoding.build(settings, 2)
    params = weights(model, scale)
    parts = autoencoding.outputs_of(model, params, table, windows, settings)
    return settings, table, windows, model, params, parts


@pytest.mark.parametrize("mode", autoencoding.MODES)
def test_outputs_are_in_units_of_the_table(mode):
    """They are computed here by the NumPy engine, which knows no scaling."""
    _, table, windows, model, params, parts = run(mode)
    written, _ = model.apply(params, windows.values[:, :4], ops=reference)
    written = written if mode == "composite" else (written,)
    steps = {"reconstruction": slice(0, 4), "prediction": slice(4, 6)}
    assert tuple(part.name for part in parts) == PARTS[mode]
    for part, output in zip(parts, written, strict=True):
        np.testing.assert_array_equal(part.rows, windows.rows[:, steps[part.name]])
        np.testing.assert_array_equal(part.actual, table.values[part.rows])
        assert part.output.shape == part.actual.shape
        np.testing.assert_allclose(
            part.output, windows.preprocessor.inverse_transform(output), rtol=1e-5
        )


def test_a_model_that_writes_zeros_writes_the_mean_of_the_table():
    _, table, _, _, _, (part,) = run("reconstruction", scale=0)
    mean = np.broadcast_to(table.values.mean(axis=0), part.output.shape)
    np.testing.assert_allclose(part.output, mean)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("lags", [(1,), (3,), (3, 1)])
def test_outputs_of_a_model_of_differences(lags, stride):
    """A prediction adds up from the row before it, a reconstruction from each row before it.

    Both are computed here row by row, from the differences that the NumPy engine writes.
    """
    preprocessing = series.Preprocessing(difference=lags)
    _, table, windows, model, params, parts = run(
        "composite", preprocessing=preprocessing, stride=stride
    )
    written, _ = model.apply(params, windows.values[:, :4], ops=reference)
    assert [part.name for part in parts] == ["reconstruction", "prediction"]
    for part, output in zip(parts, written, strict=True):
        changes = windows.preprocessor.scaler.inverse_transform(np.asarray(output, float))
        np.testing.assert_array_equal(part.actual, table.values[part.rows])
        for window in range(len(windows.rows)):
            known = table.values.copy()
            for step, row in enumerate(part.rows[window]):
                # What differencing takes away from a row is a sum of rows before it.
                zeroed = known[: row + 1].copy()
                zeroed[row] = 0
                expected = changes[window, step] - series.difference(zeroed, lags)[-1]
                np.testing.assert_allclose(part.output[window, step], expected, rtol=1e-4)
                if part.name == "prediction":
                    known[row] = expected  # the next one stands on it


@pytest.mark.parametrize("difference", [(), (3,)])
def test_a_perfect_reconstruction_is_the_table(difference):
    preprocessing = series.Preprocessing(difference=difference)
    windows = autoencoding.cut(waves(20), replace(SMALL, preprocessing=preprocessing))
    rows = windows.rows[:, :1] + np.arange(-preprocessing.dropped_rows, 4)
    x = windows.values[:, :4]
    made = autoencoding.in_units(
        windows.preprocessor, "reconstruction", x, x, waves(20).values[rows]
    )
    np.testing.assert_allclose(made, waves(20).values[windows.rows], rtol=1e-6, atol=1e-5)


def test_the_error_of_one_difference_stays_its_own():
    """Missed by 1 at one step, a reconstruction is off by the scale there, and nowhere else."""
    preprocessing = series.Preprocessing(difference=(1,))
    windows = autoencoding.cut(waves(20), replace(SMALL, preprocessing=preprocessing))
    rows = windows.rows[:, :1] + np.arange(-1, 4)
    x = windows.values[:, :4]
    written = x.copy()
    written[:, 2, 0] += 1
    made = autoencoding.in_units(
        windows.preprocessor, "reconstruction", written, x, waves(20).values[rows]
    )
    expected = waves(20).values[windows.rows]
    expected[:, 2, 0] += windows.preprocessor.scaler.scale[0]
    np.testing.assert_allclose(made, expected, rtol=1e-5)


@pytest.mark.parametrize("difference", [(), (1,)])
def test_what_is_missing_has_no_actual_value_but_an_output(difference):
    table = waves(20)
    table.values[9, 1] = np.nan
    preprocessing = series.Preprocessing("forward", difference)
    *_, parts = run("composite", table=table, preprocessing=preprocessing)
    for part in parts:
        np.testing.assert_array_equal(part.actual, table.values[part.rows])
        assert np.isnan(part.actual).any()
        assert np.isfinite(part.output).all()


@pytest.mark.parametrize("difference", [(), (1,)])
def test_rows_before_the_first_row_do_not_matter(difference):
    """They are left out, for differences and for filling too."""
    preprocessing = series.Preprocessing(difference=difference)
    *_, expected = run("composite", preprocessing=preprocessing, first_row=3)
    table = waves(20)
    table.values[:3] = 1e6
    *_, parts = run("composite", table=table, preprocessing=preprocessing, first_row=3)
    for part, expected_part in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(part.output, expected_part.output)


def test_outputs_do_not_depend_on_how_many_windows_run_at_once(monkeypatch):
    *_, expected = run("composite")
    monkeypatch.setattr(outputs, "WINDOWS_AT_ONCE", 4)
    *_, parts = run("composite")
    assert len(expected[0].rows) % 4  # so that the last chunk is a smaller one
    for part, expected_part in zip(parts, expected, strict=True):
        assert part.name == expected_part.name
        np.testing.assert_array_equal(part.rows, expected_part.rows)
        np.testing.assert_allclose(part.output, expected_part.output, rtol=1e-6)


def test_the_encoder_is_laid_end_to_end():
    """Two windows become one example of twice the steps, in the input and in every trace."""
    settings, _, windows, model, params, _ = run("composite")
    laid = autoencoding.encoder_run(model, params, windows, [0, 5], settings)
    x = windows.values[[0, 5], : settings.window]
    _, traces = model.apply(params, x, ops=reference)
    assert laid.layers == ("encoder_0",)
    assert (laid.mask, laid.masks) == (None, {"encoder_0": None})
    np.testing.assert_array_equal(laid.inputs, [np.concatenate(x)])
    ours, expected = (jax.tree.leaves(t["encoder_0"]) for t in (laid, traces))
    for leaf, expected_leaf in zip(ours, expected, strict=True):
        assert leaf.shape == (1, 2 * settings.window, 3)
        np.testing.assert_allclose(leaf[0], np.concatenate(expected_leaf), rtol=1e-5, atol=1e-6)


@given(st.integers(1, 2000), st.integers(1, 500), st.sampled_from([1, 2, 7, 600]))
def test_figures_show_no_row_twice_or_else_every_window(count, length, stride):
    chosen = autoencoding.side_by_side(count, length, stride=stride).tolist()
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(range(count))
    assert chosen[0] == 0
    if chosen != list(range(count)):
        gaps = np.diff(chosen)
        assert (gaps * stride >= length).all()
        assert len(chosen) == 1 or len(chosen) * length <= autoencoding.SHOWN_STEPS
