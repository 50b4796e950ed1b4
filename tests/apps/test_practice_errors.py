"""Hostile arguments of forecasting and anomalies: a right result, or a short sentence."""

from functools import cache

import numpy as np
import pytest
from untrained import no_training

from lstmcore import anomalies, forecasting
from lstmcore.series import Preprocessing

VALUES = np.random.default_rng(0).normal(size=(80, 2))
NAMES = ["load", "temp"]
HUGE = 10**400


def forecast_settings(**changes):
    return forecasting.Settings(
        **{"window": 6, "horizon": 2, "units": 2, "epochs": 1, "batch_size": 64, **changes}
    )


@pytest.fixture(autouse=True, scope="module")
def untrained():
    """What is refused does not depend on what is learnt."""
    with no_training():
        yield


@cache
def trained():
    return forecasting.train(VALUES, NAMES, forecast_settings())


@cache
def detector():
    settings = anomalies.Settings(method="prediction", window=6, units=2, epochs=1, batch_size=64)
    return anomalies.train(VALUES, settings)


@cache
def autoencoder():
    return anomalies.train(
        VALUES,
        anomalies.Settings(method="reconstruction", window=6, units=2, epochs=1, batch_size=64),
    )


def segment(*segments):
    return list(anomalies.gate_traces(detector(), VALUES, segments))


RAGGED = [[1.0, 2.0], [3.0]]
FEW = VALUES[:1]
REFUSED = {
    "a number beyond float64": (
        lambda: forecast_settings(learning_rate=HUGE),
        ValueError,
        "learning_rate must be a number of float64, got a number of about 400 digits",
    ),
    "another": (lambda: anomalies.Settings(gaussian=HUGE), ValueError, "gaussian must be a number"),
    "no number": (
        lambda: anomalies.Settings(learning_rate="x"),
        TypeError,
        "learning_rate must be a number, got 'x'",
    ),
    "NaN": (
        lambda: anomalies.Settings(learning_rate=np.nan),
        ValueError,
        "learning_rate must be a positive number, got nan",
    ),
    "a level of words": (
        lambda: anomalies.detect(detector(), VALUES, threshold="quantile", level="x"),
        TypeError,
        "level must be a number, got 'x'",
    ),
    "a level beyond float64": (
        lambda: anomalies.detect(detector(), VALUES, threshold="quantile", level=HUGE),
        ValueError,
        "level must be a number of float64",
    ),
    "no folds": (
        lambda: forecasting.backtest(VALUES, NAMES, forecast_settings(), folds=0),
        ValueError,
        "folds must be at least 1, got 0",
    ),
    "no names": (
        lambda: forecasting.train(VALUES, [], forecast_settings()),
        ValueError,
        "values has 2 columns but columns names 0",
    ),
    "settings in place of names": (
        lambda: forecasting.train(VALUES, forecast_settings()),
        TypeError,
        "columns must be names of columns, got Settings: write settings=settings",
    ),
    "a name that is none": (
        lambda: forecasting.train(VALUES, 5, forecast_settings()),
        TypeError,
        r"columns must be names such as \('load', 'price'\), got \(5,\)",
    ),
    "rows of unequal lengths": (
        lambda: forecasting.train(RAGGED, NAMES, forecast_settings()),
        ValueError,
        "values must be an array of numbers, each row of it as long as the others",
    ),
    "the same of a detector": (
        lambda: detector().errors(RAGGED),
        ValueError,
        "values must be an array of numbers",
    ),
    "one row to train on": (
        lambda: forecasting.train(FEW, NAMES, forecast_settings()),
        ValueError,
        "leave none of 1 row to train on",
    ),
    "one row to evaluate": (
        lambda: trained().evaluate(FEW),
        ValueError,
        "values has 1 row, but 80 were there in training",
    ),
    "one row to reconstruct": (
        lambda: autoencoder().errors(FEW),
        ValueError,
        "does not fit into a table of 1 row:",
    ),
    "no rows": (lambda: detector().errors(VALUES[:0]), ValueError, "values has no rows"),
    "no rows to reconstruct": (
        lambda: autoencoder().outputs(VALUES[:0]),
        ValueError,
        "values has no rows",
    ),
    "a test part of one row": (
        lambda: forecasting.train(VALUES, NAMES, forecast_settings(test=0.001)).evaluate(VALUES),
        ValueError,
        "the test part has 1 row, but the horizon is 2",
    ),
    "a segment that is one number": (
        lambda: segment(5),
        TypeError,
        r"segments must hold pairs such as \(100, 116\), .* got 5",
    ),
    "a segment of words": (lambda: segment(("a", "b")), TypeError, "got \\('a', 'b'\\)"),
    "a segment of three": (lambda: segment((1, 2, 3)), TypeError, "got \\(1, 2, 3\\)"),
    "an empty segment": (
        lambda: segment((5, 5)),
        ValueError,
        r"the segment \(5, 5\) holds no row of the series",
    ),
    "lags beyond the table": (
        lambda: forecasting.train(
            VALUES, NAMES, forecast_settings(preprocessing=Preprocessing("forward", (1000,)))
        ),
        ValueError,
        "the training part has 56 of 80 rows, 1000 of which differencing drops",
    ),
}


@pytest.mark.parametrize(("call", "kind", "message"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_is_refused_in_a_short_sentence(call, kind, message):
    with pytest.raises(kind, match=message) as error:
        call()
    assert len(str(error.value)) < 500
    assert " 1 rows" not in f" {error.value}"


def test_what_is_masked_is_missing():
    masked = np.ma.masked_greater(VALUES, 1.0)
    filled = masked.filled(np.nan)
    with pytest.raises(ValueError, match="missing values, the first in row"):
        detector().errors(masked)
    preprocessing = Preprocessing("mean")
    np.testing.assert_array_equal(
        preprocessing.fit(masked).transform(masked), preprocessing.fit(filled).transform(filled)
    )
    settings = forecast_settings(preprocessing=preprocessing)
    found = [forecasting.train(values, NAMES, settings).forecast(values).point
             for values in (masked, filled)]  # fmt: skip
    np.testing.assert_array_equal(*found)


def test_numbers_of_settings_are_plain():
    settings = anomalies.Settings(gaussian=np.float32(0.5), learning_rate=1, validation=0)
    assert [type(n) for n in (settings.gaussian, settings.learning_rate)] == [float, float]
    assert settings.validation == 0


@pytest.mark.parametrize("score", ["mean", "largest", "mahalanobis"])
def test_a_series_too_short_to_be_scored_has_no_events(score):
    result = anomalies.detect(detector(), VALUES[:5], score=score)
    assert np.isnan(result.scores).all()
    assert result.events == []
