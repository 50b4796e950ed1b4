"""Which errors the Gaussian of a verdict is fitted to."""

from dataclasses import replace

import numpy as np
import pytest
from test_anomalies import table, untrained

from lstmcore import anomalies
from lstmcore.apps.anomalies import Settings, thresholds

VALUES = table(200)
SEEN = untrained(Settings(window=5, units=3), VALUES)
# Errors of normal rows that are not those of any series, of which the last 40 were held out.
NORMAL = np.random.default_rng(0).normal(size=(100, 2)) * np.repeat(
    [[2.0], [0.5]], [60, 40], axis=0
)
DETECTOR = replace(SEEN, training_errors=NORMAL, held_out=60)
ERRORS = SEEN.errors(VALUES)


@pytest.mark.parametrize(
    ("validation_start", "fitted"), [(60, NORMAL[60:]), (98, NORMAL), (100, NORMAL)]
)
def test_the_gaussian_is_of_held_out_rows_if_there_are_enough(held_out, fitted):
    """More than there are features; else all rows have to serve."""
    detector = replace(DETECTOR, held_out=held_out)
    verdict = anomalies.detect(detector, VALUES, score="mahalanobis", threshold="gaussian")
    gaussian = anomalies.fit_gaussian(fitted)
    np.testing.assert_array_equal(verdict.scores, gaussian.score(ERRORS))
    np.testing.assert_array_equal(verdict.shares, gaussian.shares(ERRORS))
    np.testing.assert_array_equal(verdict.score(NORMAL), gaussian.score(NORMAL))
    assert verdict.threshold == thresholds.gaussian(2, 1e-4)
