"""The main job without its files: how a table is cut, what is trained, what comes out of it."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore import job, reference, series
from lstmcore.table import Table, read_dataset

SMALL = job.Settings(window=4, units=(3,), epochs=2, batch_size=8)
PARTS = {
    "reconstruction": ("reconstruction",),
    "prediction": ("prediction",),
    "composite": ("reconstruction", "prediction"),
}
APPLY = {
    "Autoencoder": reference.apply_autoencoder,
    "CompositeAutoencoder": reference.apply_composite_autoencoder,
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
settings = st.builds(
    job.Settings,
    mode=st.sampled_from(job.MODES),
    window=st.integers(1, 5),
    steps=st.integers(1, 3),
    scaling=st.sampled_from(["standard", "minmax", "none"]),
    validation=st.sampled_from([0.0, 0.1, 0.3, 0.5]),
    first_row=st.integers(0, 3),
)


@given(rows, settings)
def test_windows_are_scaled_stretches_of_the_table(rows, settings):
    table = waves(rows)
    windows = job.cut(table, settings)
    span = settings.window + settings.horizon
    assert windows.rows[:, 0].tolist() == list(range(settings.first_row, rows - span + 1))
    assert windows.rows.shape[1] == span
    assert (np.diff(windows.rows, axis=1) == 1).all()
    assert windows.values.dtype == np.float32
    values = windows.scaler.invert(windows.values)
    np.testing.assert_allclose(values, table.values[windows.rows], rtol=1e-5, atol=1e-3)


@given(rows, settings)
def test_held_out_windows_share_no_row_with_those_trained_on(rows, settings):
    windows = job.cut(waves(rows), settings)
    trained_on = set(windows.rows[: windows.training].ravel())
    held_out = set(windows.rows[windows.held_out :].ravel())
    assert trained_on
    assert not trained_on & held_out
    assert bool(held_out) == (settings.validation > 0)
    assert not held_out or min(held_out) == max(trained_on) + 1  # and no row is wasted


@given(rows, settings)
def test_the_scaling_knows_only_the_rows_trained_on(rows, settings):
    table = waves(rows)
    windows = job.cut(table, settings)
    trained_on = np.unique(windows.rows[: windows.training])
    expected = series.fit_scaler(table.values[trained_on], settings.scaling)
    np.testing.assert_allclose(windows.scaler, expected)


def test_the_tutorial_is_cut_as_published():
    table = read_dataset("tutorial")
    X, _ = series.temporalize(table.values, np.zeros(9), lookback=3)
    np.testing.assert_array_equal(job.cut(table, job.TUTORIAL).values, X.astype(np.float32))


def test_a_small_fraction_holds_out_one_window():
    windows = job.cut(waves(30), replace(SMALL, validation=0.001))
    assert windows.held_out == len(windows.values) - 1


# What cannot be done: said before anything is computed.

WRONG_SETTINGS = {
    "mode": ({"mode": "forecast"}, "mode 'forecast' is not known: use one of reconstruction"),
    "window 0": ({"window": 0}, "window must be at least 1, got 0"),
    "window too long": ({"window": 31}, "window of 31 rows does not fit into 30 rows"),
    "steps too many": (
        {"window": 29, "steps": 2, "mode": "prediction"},
        "window of 29 rows and 2 to predict does not fit into 30 rows",
    ),
    "no steps, prediction": ({"steps": 0, "mode": "prediction"}, "steps must be at least 1"),
    "no steps, composite": ({"steps": 0, "mode": "composite"}, "steps must be at least 1"),
    "steps negative": ({"steps": -1, "mode": "prediction"}, "steps must be at least 1"),
    "units 0": ({"units": (3, 0)}, "units must be at least 1, got 0"),
    "no units": ({"units": ()}, "units is empty"),
    "activation": ({"activation": "swish"}, "activation 'swish' is not known"),
    "scaling": ({"scaling": "log"}, "scaling 'log' is not known"),
    "learning rate 0": ({"learning_rate": 0}, "learning_rate must be a positive number, got 0"),
    "learning rate NaN": ({"learning_rate": float("nan")}, "learning_rate must be a positive"),
    "learning rate infinite": ({"learning_rate": float("inf")}, "learning_rate must be a positive"),
    "validation 1": ({"validation": 1.0}, "validation must be a fraction"),
    "validation negative": ({"validation": -0.1}, "validation must be a fraction"),
    "validation NaN": ({"validation": float("nan")}, "validation must be a fraction"),
    "validation too large": ({"validation": 0.95}, "leaves no window of 4 rows to train on"),
    "first row negative": ({"first_row": -1}, "first_row must be at least 0, got -1"),
    "first row at the end": ({"first_row": 30}, "does not fit into 0 rows"),
}


@pytest.mark.parametrize(("wrong", "message"), WRONG_SETTINGS.values(), ids=WRONG_SETTINGS)
def test_wrong_settings(wrong, message):
    with pytest.raises(ValueError, match=message):  # noqa: PT012 - whichever of them is first
        settings = replace(SMALL, **wrong)
        job.cut(waves(30), settings)
        job.build(settings, features=2)


@pytest.mark.parametrize(("size", "scaling"), [(1e39, "none"), (1e300, "standard")])
def test_numbers_beyond_float32(size, scaling):
    """Else training would end with advice about the learning rate, which is not to blame."""
    table = Table(("a",), size * np.arange(9.0)[:, None], range(9))
    with pytest.raises(ValueError, match=r"too large|float32|scal"):
        job.cut(table, replace(SMALL, scaling=scaling))


# Building, training, writing.


def test_build():
    modes = {mode: job.build(replace(SMALL, mode=mode, steps=5), features=2) for mode in job.MODES}
    assert modes == {
        "reconstruction": lc.Autoencoder(2, (3,), "tanh"),
        "prediction": lc.Autoencoder(2, (3,), "tanh", steps=5),
        "composite": lc.CompositeAutoencoder(2, (3,), 5, "tanh"),
    }


def test_training_lowers_both_losses():
    settings = replace(SMALL, epochs=30, learning_rate=0.01, validation=0.2, batch_size=64)
    windows = job.cut(Table(("a",), np.sin(np.arange(60.0))[:, None], range(60)), settings)
    result = job.train(job.build(settings, 1), windows, settings)
    assert list(result.history) == ["loss", "validation_loss"]
    for losses in result.history.values():
        assert losses.shape == (30,)
        assert losses[-1] < losses[0]


def run(mode: str, scale=0.5):
    """(settings, table, windows, model, params, parts) of an untrained model."""
    settings = replace(SMALL, mode=mode, steps=2)
    table = waves(20)
    windows = job.cut(table, settings)
    model = job.build(settings, 2)
    params = weights(model, scale)
    parts = job.outputs(model, params, table, windows, settings)
    return settings, table, windows, model, params, parts


@pytest.mark.parametrize("mode", job.MODES)
def test_outputs_are_in_units_of_the_table(mode):
    """They are computed here by the NumPy engine, which knows no scaling."""
    _, table, windows, model, params, parts = run(mode)
    apply = APPLY[type(model).__name__]
    options = {"activation": "tanh", "steps": model.steps}
    written, _ = apply(params, windows.values[:, :4], **options)
    written = written if mode == "composite" else (written,)
    steps = {"reconstruction": slice(0, 4), "prediction": slice(4, 6)}
    assert tuple(part.name for part in parts) == PARTS[mode]
    for part, output in zip(parts, written, strict=True):
        np.testing.assert_array_equal(part.rows, windows.rows[:, steps[part.name]])
        np.testing.assert_array_equal(part.actual, table.values[part.rows])
        assert part.output.shape == part.actual.shape
        np.testing.assert_allclose(part.output, windows.scaler.invert(output), rtol=1e-5)


def test_a_model_that_writes_zeros_writes_the_mean_of_the_table():
    _, table, _, _, _, (part,) = run("reconstruction", scale=0)
    mean = np.broadcast_to(table.values.mean(axis=0), part.output.shape)
    np.testing.assert_allclose(part.output, mean)


def test_outputs_do_not_depend_on_how_many_windows_run_at_once(monkeypatch):
    *_, expected = run("composite")
    monkeypatch.setattr(job, "WINDOWS_AT_ONCE", 4)
    *_, parts = run("composite")
    assert len(expected[0].rows) % 4  # so that the last chunk is a smaller one
    for part, expected_part in zip(parts, expected, strict=True):
        assert part.name == expected_part.name
        np.testing.assert_array_equal(part.rows, expected_part.rows)
        np.testing.assert_allclose(part.output, expected_part.output, rtol=1e-6)


def test_the_encoder_is_laid_end_to_end():
    """Two windows become one example of twice the steps, in the input and in every trace."""
    settings, _, windows, model, params, _ = run("composite")
    laid = job.encoder_run(model, params, windows, [0, 5], settings)
    x = windows.values[[0, 5], : settings.window]
    _, traces = reference.apply_composite_autoencoder(params, x, steps=2)
    assert laid.layers == ("encoder_0",)
    assert (laid.mask, laid.masks) == (None, {"encoder_0": None})
    np.testing.assert_array_equal(laid.inputs, [np.concatenate(x)])
    ours, expected = (jax.tree.leaves(t["encoder_0"]) for t in (laid, traces))
    for leaf, expected_leaf in zip(ours, expected, strict=True):
        assert leaf.shape == (1, 2 * settings.window, 3)
        np.testing.assert_allclose(leaf[0], np.concatenate(expected_leaf), rtol=1e-5, atol=1e-6)


@given(st.integers(1, 2000), st.integers(1, 500))
def test_pictures_show_no_row_twice_or_else_every_window(count, length):
    chosen = job.side_by_side(count, length).tolist()
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(range(count))
    assert chosen[0] == 0
    if chosen != list(range(count)):
        gaps = np.diff(chosen)
        assert (gaps >= length).all()
        assert len(chosen) == 1 or len(chosen) * length <= job.SHOWN_STEPS
