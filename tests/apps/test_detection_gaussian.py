"""Which errors the Gaussian of a detection is fitted to."""

from dataclasses import replace

import numpy as np
import pytest
from detectors import table, untrained

from lstmcore import anomalies
from lstmcore.apps.anomalies import Settings, thresholds

VALUES = table(200)
SEEN = untrained(Settings(window=5, units=3), VALUES)
# Errors of normal rows that are not those of any series, of which the last 40 are for validation.
NORMAL = np.random.default_rng(0).normal(size=(100, 2)) * np.repeat(
    [[2.0], [0.5]], [60, 40], axis=0
)
DETECTOR = replace(SEEN, training_errors=NORMAL, validation_start=60)
ERRORS = SEEN.errors(VALUES)


@pytest.mark.parametrize(
    ("validation_start", "fitted"), [(60, NORMAL[60:]), (98, NORMAL), (100, NORMAL)]
)
def test_the_gaussian_is_of_validation_rows_if_there_are_enough(validation_start, fitted):
    """More than there are features; else all rows have to serve."""
    detector = replace(DETECTOR, validation_start=validation_start)
    result = anomalies.detect(detector, VALUES, score="mahalanobis", threshold="gaussian")
    gaussian = anomalies.fit_gaussian(fitted)
    np.testing.assert_array_equal(result.scores, gaussian.score(ERRORS))
    np.testing.assert_array_equal(result.contributions, gaussian.contributions(ERRORS))
    np.testing.assert_array_equal(result.score(NORMAL), gaussian.score(NORMAL))
    assert result.threshold == thresholds.gaussian(2, 1e-4)
