"""What scikit-learn asks of all estimators: its checks, parameters, pickling, and its absence."""

import sys
from inspect import signature

import joblib
import numpy as np
import pytest

import lstmcore as lc

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import KFold
from sklearn.utils import estimator_checks

from lstmcore.apps.anomalies.detection import Detection
from lstmcore.apps.estimators import AnomalyDetector, LatentFeatures, SeriesForecaster
from lstmcore.apps.estimators.samples import settings_of
from lstmcore.series import Preprocessing
from lstmcore.series.times.errors import IrregularTimesError

small = {"window": 2, "units": 2, "epochs": 1}
ROWS_BELONG_TOGETHER = {
    "check_methods_subset_invariance": "a window needs several rows, and a batch here has one",
    "check_methods_sample_order_invariance": "the rows are in the order of time",
}
ESTIMATORS = {
    # Not the maximum, above which no row of the training part can lie: outliers among them are
    # asked for.
    AnomalyDetector(threshold="quantile", level=0.9, **small): ROWS_BELONG_TOGETHER,
    SeriesForecaster(**small): ROWS_BELONG_TOGETHER,
    LatentFeatures(lc.Autoencoder(1, 2), epochs=1): {},
}


each_estimator = pytest.mark.parametrize(
    "estimator", ESTIMATORS, ids=lambda one: type(one).__name__
)


@pytest.mark.thorough
@each_estimator
def test_checks_of_scikit_learn(estimator):
    """All pass, except those that take rows for independent of one another."""
    expected = ESTIMATORS[estimator]
    results = estimator_checks.check_estimator(
        estimator,
        expected_failed_checks=expected,
        on_skip=None,  # the check of the array API, which an environment variable switches on
    )
    failed = {result["check_name"] for result in results if result["status"] == "xfail"}
    assert failed == expected.keys()
    skipped = {result["check_name"] for result in results if result["status"] == "skipped"}
    assert skipped <= {"check_array_api_input"}


@each_estimator
@pytest.mark.parametrize(
    "name",
    [
        "check_dont_overwrite_parameters",
        "check_estimators_nan_inf",
        "check_estimators_unfitted",
        "check_fit2d_1sample",
        "check_n_features_in_after_fitting",
        "check_no_attributes_set_in_init",
        "check_parameters_default_constructible",
    ],
)
def test_some_checks_of_scikit_learn(estimator, name):
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


def defaults(kind) -> dict:
    """Return the default of each parameter of an estimator, or of each field of settings."""
    return {name: one.default for name, one in signature(kind).parameters.items()}


def test_parameters_have_the_defaults_of_the_settings():
    """Every parameter is one of them, and of the settings few have no parameter."""
    preprocessing = defaults(Preprocessing)
    detection = {
        "row_score" if name == "score" else name: value
        for name, value in defaults(Detection).items()
    }
    known = defaults(lc.anomalies.Settings) | preprocessing | detection
    parameters = defaults(AnomalyDetector)
    assert parameters.items() <= known.items()
    assert known.keys() - parameters.keys() == {
        "preprocessing",
        "stride",
        "levels",
        "gap",
        "minimum",
    }

    known = defaults(lc.forecasting.Settings) | preprocessing
    parameters = defaults(SeriesForecaster)
    assert parameters.items() <= known.items()
    # X has no times, from which a calendar could be read.
    assert known.keys() - parameters.keys() == {"preprocessing", "stride", "test", "calendar"}


def test_every_parameter_reaches_the_settings():
    preprocessing = {"missing": "mean", "difference": (1,), "scaling": "minmax"}
    common = {"window": 3, "horizon": 2, "units": (2,), "epochs": 4, "batch_size": 5, "seed": 6}
    common |= {"learning_rate": 0.1, "patience": 7, "validation": 0.3}
    detector = {"method": "prediction", "activation": "relu", "combine": "median"}
    detector |= {"masking": 0.2, "gaussian": 0.4}
    forecaster = {"targets": ("a",), "future_covariates": ("b",), "dropout": 0.2}
    forecaster |= {"quantiles": (0.1, 0.5, 0.9), "difference": (2,)}
    forecaster |= {"season": 5, "linear": False, "search": False}
    recursive = {"mode": "recursive"}
    for kind, estimator, given in (
        (lc.anomalies.Settings, AnomalyDetector, common | preprocessing | detector),
        (lc.forecasting.Settings, SeriesForecaster, common | preprocessing | forecaster),
        (lc.forecasting.Settings, SeriesForecaster, common | preprocessing | recursive),
    ):
        settings = settings_of(kind, estimator(**given))
        stored = settings.to_json() | settings.to_json()["preprocessing"]
        assert given.items() <= stored.items()


def test_a_fitted_estimator_can_be_pickled(tmp_path):
    X = np.sin(np.arange(40) / 3)[:, None]
    detector = AnomalyDetector(row_score="mahalanobis", threshold="gaussian", **small)
    for estimator in (detector, SeriesForecaster(**small)):
        joblib.dump(estimator.fit(X), tmp_path / "estimator.joblib")
        loaded = joblib.load(tmp_path / "estimator.joblib")
        np.testing.assert_array_equal(loaded.predict(X), estimator.predict(X))
        assert loaded.get_params() == estimator.get_params()


def test_what_was_fitted_holds_until_the_next_fit():
    """Parameters set later change nothing before it, and a clone is not fitted."""
    X = np.sin(np.arange(40) / 3)[:, None]
    detector, forecaster = AnomalyDetector(**small).fit(X), SeriesForecaster(**small).fit(X)
    before = detector.score_samples(X), forecaster.predict(X), forecaster.score(X)
    for estimator in (detector, forecaster):
        estimator.set_params(window=7, horizon=3, missing="mean", difference=(2,))
        with pytest.raises(NotFittedError, match="not fitted yet"):
            clone(estimator).predict(X)
    after = detector.score_samples(X), forecaster.predict(X), forecaster.score(X)
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        clone(forecaster).score(X)
    with pytest.raises(ValueError, match="X holds NaN in 1 place"):  # missing="refuse" in `fit`
        detector.predict(np.where(np.arange(40)[:, None] == 3, np.nan, X))


def test_without_scikit_learn_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.utils.validation", None)
    monkeypatch.delitem(sys.modules, "lstmcore.apps.estimators")
    with pytest.raises(ImportError, match=r"lstmcore.estimators needs .* pip install scikit-learn"):
        from lstmcore import estimators  # noqa: F401


@pytest.mark.parametrize("kind", [AnomalyDetector, SeriesForecaster])
def test_times_of_a_frame_are_no_feature_and_must_be_in_order(kind):
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    times = pandas.date_range("2024-01-01", periods=40, freq="h", name="hour")
    indexed = pandas.DataFrame({"load": np.sin(np.arange(40) / 3)}, times)
    expected = kind(**small).fit(indexed.to_numpy()).predict(indexed.to_numpy())
    in_polars = polars.from_pandas(indexed.reset_index())
    in_arrow = in_polars.to_arrow()
    np.testing.assert_array_equal(kind(**small).fit(in_arrow).predict(in_arrow), expected)
    for frame in (indexed, in_polars):
        estimator = kind(**small).fit(frame)
        assert list(estimator.feature_names_in_) == ["load"]
        np.testing.assert_array_equal(estimator.predict(frame), expected)
        with pytest.raises(ValueError, match="sort the rows by time"):
            estimator.predict(frame[::-1])
    train, _ = list(KFold(4).split(indexed))[1]
    with pytest.raises(IrregularTimesError, match="split with TimeSeriesSplit: KFold leaves gaps"):
        kind(**small).fit(indexed.iloc[train])
