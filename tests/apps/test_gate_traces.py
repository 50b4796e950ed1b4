"""The gates around an event are those of the model that scored it."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from detectors import table, untrained

from lstmcore import anomalies, series
from lstmcore.apps.anomalies import Settings, detector

LAGGED = series.Preprocessing(difference=(2,))
PREDICTION = Settings(method="prediction", window=4, units=(3, 2), preprocessing=LAGGED)
RECONSTRUCTION = Settings(method="reconstruction", window=5, units=(3, 2), preprocessing=LAGGED)
VALUES = table(40)


def scaled_by(found):
    return found.preprocessor.transform(VALUES).astype(np.float32)


@pytest.mark.thorough
def test_a_prediction_is_shown_as_it_came_from_the_start_of_the_series(monkeypatch):
    """In any order of the segments, and read in pieces; what reaches too far is cut."""
    monkeypatch.setattr("lstmcore.apps.anomalies.gates.STEPS_AT_ONCE", 8)
    found = untrained(PREDICTION, VALUES)
    y, whole = jax.jit(found.model.apply)(found.params, scaled_by(found)[None])
    segments = [(30, 36), (5, 9), (20, 99), (-3, 4)]
    expected = [range(30, 36), range(5, 9), range(20, 40), range(2, 4)]
    traces = list(anomalies.gate_traces(found, VALUES, segments))
    for (rows, run), inside in zip(traces, expected, strict=True):
        assert rows.tolist() == list(inside)
        places = rows - 2
        np.testing.assert_allclose(run.outputs[0], y[0, places], atol=1e-6)
        for layer in ("lstm_0", "lstm_1"):
            expected_trace = jax.tree.map(lambda leaf, at=places: leaf[:, at], whole[layer])
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), run[layer], expected_trace
            )


@pytest.mark.parametrize(
    ("segment", "first", "last"),
    [
        ((38, 40), 35, 39),
        ((0, 40), 2, 36),
        pytest.param((20, 26), 20, 29, marks=pytest.mark.thorough),
        pytest.param((0, 3), 2, 6, marks=pytest.mark.thorough),
    ],
)
def test_a_reconstruction_is_shown_in_whole_windows(segment, first, last):
    """Each of which is read from zeros."""
    found = untrained(RECONSTRUCTION, VALUES)
    ((rows, run),) = anomalies.gate_traces(found, VALUES, [segment])
    assert rows.tolist() == list(range(first, last + 1))
    assert run.layers == ("encoder_0", "encoder_1")
    windows = scaled_by(found)[rows - 2].reshape(-1, 5, 2)
    _, traces = jax.jit(found.model.apply)(found.params, windows)
    expected = np.asarray(traces["encoder_1"].gates.forget).reshape(1, -1, 2)
    np.testing.assert_allclose(run["encoder_1", "forget"], expected, atol=1e-6)


def test_segments_that_are_refused():
    found = untrained(RECONSTRUCTION, VALUES)
    for segment in [(7, 7), (0, 2), (40, 50)]:
        with pytest.raises(ValueError, match="holds no row of the series"):
            next(anomalies.gate_traces(found, VALUES, [segment]))
    with pytest.raises(ValueError, match="values give 4 rows to read, but a window has 5"):
        next(anomalies.gate_traces(found, VALUES[:6], [(3, 5)]))
    with pytest.raises(ValueError, match="table has 1 column but the preprocessor was fitted on 2"):
        next(anomalies.gate_traces(found, VALUES[:, :1], [(3, 5)]))


@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("sizes", [(1, 1, 1, 1, 1, 1), (2, 5, 1), (8,), (1, 9)])
def test_rows_of_windows_are_given_as_soon_as_they_are_final(length, sizes):
    """Pieces smaller than a window are put together, too."""
    windows = np.random.default_rng(0).normal(size=(sum(sizes), length, 2))
    pieces = iter(np.split(windows, np.cumsum(sizes)[:-1]))
    rows = np.concatenate(list(detector._combined(pieces, "median")))
    np.testing.assert_array_equal(rows, series.unwindow(windows, how="median"))


def test_training_again_with_another_seed_compiles_nothing():
    from lstmcore.training import fit

    settings = replace(PREDICTION, epochs=1, units=3, gaussian=0.1)
    anomalies.train(VALUES, settings)
    compiled = fit.run_epochs._cache_size()
    anomalies.train(VALUES, replace(settings, seed=5))
    assert fit.run_epochs._cache_size() == compiled
