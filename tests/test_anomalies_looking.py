"""What a detector's gates did in a stretch is what the model does when it reads the series."""

from functools import cache

import numpy as np
import pytest

from lstmcore import anomalies
from lstmcore.anomalies import looking
from lstmcore.anomalies.detector import scaled_rows
from lstmcore.anomalies.looking import look
from lstmcore.series import Preparation
from lstmcore.study import run as study_run

ROWS, LENGTH = 90, 8
VALUES = np.random.default_rng(0).normal(size=(ROWS, 2)).cumsum(axis=0)
QUANTITIES = ("input", "forget", "candidate", "output", "c", "h")


@cache
def detector(method: str, difference: tuple = ()):
    settings = anomalies.Settings(
        method=method, window=LENGTH, units=(3, 2), epochs=1, batch_size=64, validation=0.2,
        preparation=Preparation(difference=difference),
    )  # fmt: skip
    return anomalies.train(VALUES, settings)


@pytest.fixture(autouse=True)
def few_steps_at_once(monkeypatch):
    """So that a short series takes several calls of the stream."""
    monkeypatch.setattr(looking, "STEPS_AT_ONCE", 16)


@pytest.mark.parametrize("difference", [(), (3, 1)])
def test_a_model_that_predicts_reads_the_whole_series(difference):
    """Out of order, at both ends, over one another: each as if nothing else had been asked."""
    found = detector("prediction", difference)
    lost = sum(difference)
    stretches = [(40, 50), (60, 61), (0, 10), (45, 55), (80, 200)]
    scaled = scaled_rows(found.prepared, VALUES)
    whole = study_run(found.model, found.params, scaled[None])
    for (first, stop), (rows, seen) in zip(stretches, look(found, VALUES, stretches), strict=True):
        np.testing.assert_array_equal(rows, np.arange(max(first, lost), min(stop, ROWS)))
        assert seen.layers == ("lstm_0", "lstm_1")
        np.testing.assert_array_equal(seen.inputs[0], scaled[rows - lost])
        for layer in seen.layers:
            for name in QUANTITIES:
                expected = np.asarray(whole[layer, name])[:, rows - lost]
                np.testing.assert_allclose(seen[layer, name], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("difference", [(), (3, 1)])
def test_a_model_that_reconstructs_reads_windows(difference):
    found = detector("reconstruction", difference)
    lost = sum(difference)
    scaled = scaled_rows(found.prepared, VALUES)
    for first, stop in [(40, 50), (0, 7), (80, 200), (0, 1000)]:
        ((rows, seen),) = look(found, VALUES, [(first, stop)])
        assert len(rows) % LENGTH == 0
        np.testing.assert_array_equal(rows, rows[0] + np.arange(len(rows)))
        assert lost <= rows[0]
        assert rows[-1] < ROWS
        whole_windows = (ROWS - lost) // LENGTH * LENGTH
        wanted = np.arange(max(first, lost), min(stop, ROWS))
        assert set(wanted) <= set(rows) or len(rows) == whole_windows
        windows = scaled[rows - lost].reshape(-1, LENGTH, 2)
        each = study_run(found.model, found.params, windows)
        assert seen.layers == ("encoder_0", "encoder_1")
        for layer in seen.layers:
            for name in QUANTITIES:
                expected = np.asarray(each[layer, name]).reshape(1, len(rows), -1)
                np.testing.assert_allclose(seen[layer, name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", ["prediction", "reconstruction"])
def test_a_stretch_without_rows(method):
    for stretch in [(10, 10), (90, 95), (0, 3)]:
        with pytest.raises(ValueError, match="holds no row of the series"):
            list(look(detector(method, (3, 1)), VALUES, [stretch]))
