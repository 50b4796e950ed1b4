"""The forecaster as an estimator: forecasts, skill, cross-validation, and what it refuses."""

import numpy as np
import pytest

from lstmcore import forecasting, series

pytest.importorskip("sklearn")

from sklearn.model_selection import GridSearchCV, TimeSeriesSplit, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstmcore.apps.estimators import SeriesForecaster

small = {"window": 6, "horizon": 2, "units": 4, "epochs": 8, "learning_rate": 0.02}


def wave(rows: int = 160) -> np.ndarray:
    """Return a noisy wave and a calendar that lifts it every seventh row, [rows, 2]."""
    rng = np.random.default_rng(0)
    calendar = np.arange(rows) % 7 == 0
    load = np.sin(np.arange(rows) / 2) + 0.5 * calendar + 0.02 * rng.normal(size=rows)
    return np.stack([load, calendar], axis=1)


X = wave()
LOAD = X[:, :1]


@pytest.fixture(scope="module")
def forecaster():
    return SeriesForecaster(**small).fit(X[:120])


def test_forecasts_are_those_of_the_application(forecaster):
    trained = forecasting.train(X[:120], settings=forecasting.Settings(**small, test=0.0))
    forecast = forecaster.predict(X)
    assert forecast.shape == (2, 2)
    np.testing.assert_array_equal(forecast, trained.forecast(X).point[0])
    np.testing.assert_array_equal(forecaster.trained_.forecast(X).point, trained.forecast(X).point)
    assert forecaster.trained_.targets == ("column_0", "column_1")


def test_the_score_is_the_skill_against_persistence(forecaster):
    """From the forecasts one by one; each reads the rows before it alone."""
    test, first = X[100:], forecaster.trained_.settings.rows_read
    origins = range(first, len(test) - 1)
    model = np.stack([forecaster.predict(test[:origin]) for origin in origins])
    last = np.stack([test[[origin - 1, origin - 1]] for origin in origins])
    truth = np.stack([test[origin : origin + 2] for origin in origins])
    error, persistence = (np.abs(one - truth).mean(axis=(0, 1)) for one in (model, last))
    assert forecaster.score(test) == pytest.approx((1 - error / persistence).mean(), rel=1e-5)
    assert forecaster.score(X[:120]) > 0.2  # better than persistence


def test_future_covariates_and_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["load", "holiday"])
    forecaster = SeriesForecaster(**small, future_covariates=("holiday",)).fit(frame[:150])
    assert forecaster.trained_.columns == ("load", "holiday")
    following = frame[["holiday"]][150:152]
    forecast = forecaster.predict(frame[:150], future=following)
    assert forecast.shape == (2, 1)
    np.testing.assert_array_equal(
        forecast, forecaster.trained_.forecast(frame[:150], future=following).point[0]
    )
    other = forecaster.predict(frame[:150], future=1 - following)
    assert (other != forecast).any()
    assert np.isfinite(forecaster.score(frame[100:]))  # those of the rows to forecast are in X
    with pytest.raises(ValueError, match=r"future is missing: the forecast reaches 2 rows beyond"):
        forecaster.predict(frame[:150])
    with pytest.raises(ValueError, match="same order as they were in fit"):
        forecaster.predict(frame[["holiday", "load"]])


def test_missing_values_are_filled_and_not_scored():
    """In units of X, also with differences; an origin after a gap repeats the last known value."""
    gaps = LOAD + 50
    gaps[::9] = np.nan
    gaps[0] = 50
    params = small | {"epochs": 1, "missing": "forward", "difference": (1,)}
    forecaster = SeriesForecaster(**params).fit(gaps)
    assert abs(forecaster.predict(gaps) - 50).max() < 5
    settings = forecasting.Settings(
        **small | {"epochs": 1},
        test=0.0,
        preprocessing=series.Preprocessing(missing="forward", difference=(1,)),
    )
    trained = forecasting.train(gaps, settings=settings)
    origins = np.arange(7, 159)
    truth = gaps[origins[:, None] + np.arange(2)]
    naive = forecasting.naive(trained.preprocessor.filled(gaps), origins, 2)
    model = trained.forecast(gaps, origins).point
    expected = forecasting.skill(forecasting.mae(truth, model), forecasting.mae(truth, naive))
    assert forecaster.score(gaps) == pytest.approx(float(expected[0]))


def test_in_cross_validation_and_a_pipeline():
    """A scaler before it changes the units of the forecast, not its skill."""
    folds = TimeSeriesSplit(n_splits=2, test_size=40)
    plain = SeriesForecaster(**small)
    scores = cross_val_score(plain, LOAD, cv=folds, error_score="raise")
    assert scores.shape == (2,)
    scaled = cross_val_score(
        make_pipeline(StandardScaler(), plain), LOAD, cv=folds, error_score="raise"
    )
    np.testing.assert_allclose(scaled, scores, atol=0.02)


@pytest.mark.thorough
def test_a_grid_search_finds_what_helps():
    """On a straight line, whose differences are learnt at once and whose values never recur."""
    line = np.arange(120.0)[:, None] + 0.1 * np.random.default_rng(0).normal(size=(120, 1))
    grid = {"difference": [(), (1,)]}
    alone = SeriesForecaster(**small, linear=False, search=False)  # which would find it, too
    search = GridSearchCV(alone, grid, cv=TimeSeriesSplit(2, test_size=30), error_score="raise")
    search.fit(line)
    assert search.best_params_["difference"] == (1,)
    assert search.best_score_ > 0.5
    assert search.predict(line).mean() == pytest.approx(120.5, abs=1)


@pytest.mark.parametrize(
    ("params", "given", "error", "message"),
    [
        ({}, np.where(X == 1, np.nan, X), ValueError, "X holds NaN in 23 places, the first in row"),
        ({}, np.full((160, 2), np.inf), ValueError, "Input X contains infinity"),
        ({}, X.astype(str), ValueError, "not compatible with arrays of bytes/strings"),
        (
            {},
            X[:9],
            ValueError,
            r"X has 9 samples, but training on windows of 6 and a horizon of 2 needs at least 10 "
            r"\(rows in the order of time\): use more data, a shorter window or validation=0",
        ),
        ({"mode": "recursive"}, X[:15], ValueError, "needs at least 16"),
        ({"validation": 0, "difference": (2,)}, X[:9], ValueError, "needs at least 10"),
        ({"targets": ("load",)}, X, ValueError, "targets names 'load' but the columns are"),
        ({"horizon": 0}, X, ValueError, "horizon must be at least 1, got 0"),
        ({"quantiles": (0.1, 0.9)}, X, ValueError, "quantiles must hold 0.5"),
        ({"scaling": "guess"}, X, ValueError, "scaling must be"),
    ],
)
def test_errors_of_fit(params, given, error, message):
    with pytest.raises(error, match=message):
        SeriesForecaster(**small | params).fit(given)


def test_errors_of_predict_and_score(forecaster):
    with pytest.raises(ValueError, match="X has 1 features, but SeriesForecaster is expecting 2"):
        forecaster.predict(LOAD)
    rows = forecaster.trained_.settings.rows_read
    with pytest.raises(
        ValueError,
        match=f"X has 5 samples, but a forecast from {rows} rows needs at least {rows} .*: pass mo",
    ):
        forecaster.predict(X[:5])
    with pytest.raises(
        ValueError,
        match=f"X has 7 samples, but a forecast from {rows} rows and its comparison with the 2 "
        f"after it needs at least {rows + 2} .*, such as larger folds",
    ):
        forecaster.score(X[:7])
    with pytest.raises(ValueError, match="X has no target that changes, so there is no skill"):
        forecaster.score(np.ones((rows + 14, 2)))
