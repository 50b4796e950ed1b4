"""The detector as an estimator: what it flags, rows without a score, frames, what it refuses."""

import numpy as np
import pytest

from lstmcore import anomalies

pytest.importorskip("sklearn")

from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstmcore.apps.estimators import AnomalyDetector
from lstmcore.series import Preprocessing

small = {
    "method": "reconstruction",
    "season": 0,
    "window": 4,
    "units": 3,
    "epochs": 4,
    "learning_rate": 0.02,
    "row_score": "mean",
    "threshold": "maximum",
}
PREDICTION = small | {"method": "prediction", "horizon": 2, "difference": (1,)}


def waves(rows: int = 120) -> np.ndarray:
    """Return two noisy waves, [rows, 2]."""
    rng = np.random.default_rng(0)
    return np.sin(np.arange(rows)[:, None] / (3, 5)) + 0.05 * rng.normal(size=(rows, 2))


NORMAL = waves()
STRIKING = NORMAL.copy()
STRIKING[60:63] += 4


@pytest.fixture(scope="module")
def detector():
    return AnomalyDetector(**small).fit(NORMAL)


def test_an_anomaly_is_found(detector):
    assert (detector.predict(NORMAL) == 1).all()  # above the maximum is none of them
    labels = detector.predict(STRIKING)
    assert (labels[60:63] == -1).all()
    assert (labels[:50] == 1).all()
    assert (labels[73:] == 1).all()
    decision = detector.decision_function(STRIKING)
    np.testing.assert_array_equal(decision < 0, labels == -1)
    np.testing.assert_array_equal(decision, detector.score_samples(STRIKING) - detector.offset_)


@pytest.mark.parametrize(
    ("params", "choices"),
    [
        (small, {"score": "mean", "threshold": "maximum"}),
        (small, {"score": "largest", "threshold": "quantile", "level": 0.9}),
        (small, {"score": "mahalanobis", "threshold": "gaussian", "level": 0.01}),
        (PREDICTION, {"score": "mahalanobis", "threshold": "gaussian"}),
    ],
)
def test_it_flags_what_detect_flags(params, choices):
    fields = params | {"preprocessing": Preprocessing(difference=params.get("difference", ()))}
    for name in ("difference", "row_score", "threshold"):
        fields.pop(name, None)
    trained = anomalies.train(NORMAL, anomalies.Settings(**fields))
    result = anomalies.detect(trained, STRIKING, **choices)
    given = {"row_score" if name == "score" else name: one for name, one in choices.items()}
    detector = AnomalyDetector(**params | given).fit(NORMAL)
    flags = anomalies.flags_of(result.events, len(STRIKING))
    assert 0 < flags.sum() < len(flags)
    np.testing.assert_array_equal(detector.predict(STRIKING) == -1, flags)
    scored = ~np.isnan(result.scores)
    np.testing.assert_array_equal(-detector.score_samples(STRIKING)[scored], result.scores[scored])
    assert (detector.offset_, detector.threshold_) == (-result.threshold.value, result.threshold)


def test_rows_without_a_score_are_normal():
    """One is dropped by differencing, and 4 were read by a prediction with too few rows before."""
    detector = AnomalyDetector(**PREDICTION, missing="forward").fit(NORMAL)
    series = NORMAL.copy()
    series[:5] += 9
    series[50] = np.nan
    unscored = np.isnan(detector.detector_.errors(series)).all(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(unscored), [0, 1, 2, 3, 4, 50])
    scores = detector.score_samples(series)
    assert (scores[unscored] == 0).all()
    assert (scores[~unscored] < 0).all()
    assert (detector.predict(series)[unscored] == 1).all()
    assert (detector.decision_function(series)[unscored] > 0).all()


def test_a_data_frame_gives_the_detector_its_names():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(NORMAL, columns=["load", "heat"])
    detector = AnomalyDetector(**small).fit(frame)
    assert list(detector.feature_names_in_) == ["load", "heat"]
    assert detector.detector_.preprocessor.columns == ("load", "heat")
    swapped = frame[["heat", "load"]]
    np.testing.assert_array_equal(  # which matches by name
        detector.detector_.errors(swapped), detector.detector_.errors(frame)
    )
    with pytest.raises(ValueError, match="same order as they were in fit"):  # which does not
        detector.predict(swapped)
    with pytest.raises(ValueError, match="feature names should match"):
        detector.predict(frame.rename(columns={"load": "power"}))


def test_names_that_scikit_learn_would_ignore(detector):
    """It takes columns with such names by their place, whatever the names say."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(NORMAL, columns=[10, 20])
    message = r"X has the columns 20, 10, .* write X.columns = X.columns.astype\(str\)"
    with pytest.raises(ValueError, match=message):
        detector.predict(frame[[20, 10]])
    numbered = pandas.DataFrame(NORMAL)  # which has no names
    np.testing.assert_array_equal(detector.predict(numbered), detector.predict(NORMAL))


def test_in_a_pipeline(detector):
    """It scales by itself: a scaler before it hardly changes what is found."""
    pipeline = make_pipeline(StandardScaler(), AnomalyDetector(**small)).fit(NORMAL)
    np.testing.assert_array_equal(pipeline.predict(STRIKING), detector.predict(STRIKING))
    assert pipeline.fit_predict(NORMAL).tolist() == [1] * 120


@pytest.mark.thorough
def test_a_grid_search_with_labels():
    """Small values at the wrong time look normal to a model that has learnt next to nothing."""
    X = np.concatenate([NORMAL, NORMAL])
    labels = np.ones(len(X), int)
    X[180:186] = 0.5 * (-1) ** np.arange(6)[:, None]
    labels[180:186] = -1
    parts = [(np.arange(120), np.arange(120, 240))]
    grid = {"learning_rate": [1e-6, 0.02]}
    detector = AnomalyDetector(**small | {"epochs": 10, "batch_size": 8})
    search = GridSearchCV(detector, grid, scoring="roc_auc", cv=parts)
    search.fit(X, labels)
    assert search.best_params_["learning_rate"] == 0.02
    assert search.best_score_ > 0.9
    assert search.cv_results_["mean_test_score"][0] < 0.5


WITH_NAN = np.where(np.arange(120)[:, None] == 7, (0.0, np.nan), NORMAL)


@pytest.mark.parametrize(
    ("params", "X", "error", "message"),
    [
        (
            {},
            WITH_NAN,
            ValueError,
            r"X holds NaN in 1 place, the first in row 7, column 1 \(counted from 0\): fill them "
            "with missing='forward' or missing='mean', or remove them",
        ),
        ({}, np.full((120, 2), np.inf), ValueError, "Input X contains infinity"),
        ({}, NORMAL.astype(str), ValueError, "not compatible with arrays of bytes/strings"),
        ({}, NORMAL[:, 0], ValueError, "Expected 2D array, got 1D array instead"),
        (
            {},
            NORMAL[:7],
            ValueError,
            r"X has 7 samples, but training on windows of 4, and validation, needs at least 8 "
            r"\(rows in the order of time\): use more data, a shorter window or validation=0",
        ),
        (
            {"validation": 0, "difference": (3,)},
            NORMAL[:6],
            ValueError,
            "X has 6 samples, but training on windows of 4 needs at least 7",
        ),
        ({"window": 0}, NORMAL, ValueError, "window must be at least 1, got 0"),
        ({"units": "x"}, NORMAL, TypeError, "units must be"),
        ({"method": "guess"}, NORMAL, ValueError, "method must be"),
        ({"missing": "guess"}, NORMAL, ValueError, "missing must be"),
        ({"difference": 1}, NORMAL, TypeError, "difference must be a tuple"),
        ({"row_score": "guess"}, NORMAL, ValueError, "row_score must be"),
        ({"threshold": "guess"}, NORMAL, ValueError, "threshold must be"),
        ({"threshold": "gaussian"}, NORMAL, ValueError, "needs the score 'mahalanobis'"),
        ({"level": 0.9}, NORMAL, ValueError, "the maximum has none"),
    ],
)
def test_errors_of_fit(params, X, error, message):
    with pytest.raises(error, match=message):
        AnomalyDetector(**small | params).fit(X)


def test_errors_of_predict(detector):
    with pytest.raises(ValueError, match="X has 1 features, but AnomalyDetector is expecting 2"):
        detector.predict(NORMAL[:, :1])
    with pytest.raises(
        ValueError,
        match=r"X has 3 samples, but scoring by windows of 4 needs at least 4 .*: pass more rows",
    ):
        detector.score_samples(NORMAL[:3])
    with pytest.raises(ValueError, match="X holds NaN in 1 place"):
        detector.decision_function(WITH_NAN)
