"""Detectors that are not trained, and a table for them."""

import jax
import numpy as np

from lstmcore import anomalies
from lstmcore.apps.anomalies import training
from lstmcore.apps.anomalies.preprocessing import without_season


def untrained(settings, values, seed=0):
    """Return a detector with initial weights; the definition of errors does not depend on them."""
    model = training.build(settings, values.shape[1])
    params = model.init(jax.random.key(seed))
    preprocessor = settings.preprocessing.fit(without_season(settings, values))
    return anomalies.Detector(
        model, params, preprocessor, settings, {}, np.zeros((0, 1)), len(values)
    )


def table(rows=700, features=2, seed=0):
    """Return waves with noise, [rows, features]."""
    rng = np.random.default_rng(seed)
    waves = np.sin(np.arange(rows)[:, None] / (5 + np.arange(features)))
    return 10 * waves + rng.normal(size=(rows, features)) + 50
