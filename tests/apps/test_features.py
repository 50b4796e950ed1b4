"""Codes as features of scikit-learn: pipelines, clones, grid searches, and what is refused."""

import numpy as np
import pytest
from strategies import weights

import lstmcore as lc

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lstmcore.apps.estimators import LatentFeatures

LSTM, DENSE = lc.Autoencoder(2, (6, 3)), lc.DenseAutoencoder(8, 3)


def two_kinds(count: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Windows [N, 4, 2] that rise or fall, and which of the two."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, count)
    slope = np.where(y, 1.0, -1.0)[:, None, None] * np.arange(4)[:, None]
    return slope + 0.3 * rng.normal(size=(count, 4, 2)) + 5, y


WINDOWS, LABELS = two_kinds()
TABLE = WINDOWS.reshape(60, 8)
fast = {"epochs": 5, "batch_size": 20, "learning_rate": 0.02}


@pytest.mark.thorough
@pytest.mark.parametrize("model", [LSTM, DENSE], ids=["LSTM", "dense"])
def test_in_a_pipeline(model):
    """Codes trained without labels tell what a classifier needs to know."""
    features = LatentFeatures(model, epochs=30, batch_size=20, learning_rate=0.02, masking=0.1)
    pipeline = make_pipeline(StandardScaler(), features, LogisticRegression())
    pipeline.fit(TABLE[:40], LABELS[:40])
    assert pipeline.score(TABLE[40:], LABELS[40:]) > 0.9
    fitted = pipeline[1]
    assert fitted.loss_.shape == (30,)
    assert fitted.loss_[-1] < 0.7 * fitted.loss_[0]
    assert list(pipeline[:2].get_feature_names_out()) == [f"latentfeatures{i}" for i in range(3)]


@pytest.mark.thorough
@pytest.mark.parametrize("model", [LSTM, DENSE], ids=["LSTM", "dense"])
def test_codes_are_those_of_the_model(model):
    features = LatentFeatures(model, **fast)
    codes = features.fit_transform(TABLE)
    assert (codes.shape, codes.dtype) == ((60, 3), np.float32)
    x = TABLE if model is DENSE else WINDOWS
    expected, _ = model.encode(features.params_, np.float32(x))
    np.testing.assert_allclose(codes, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.thorough
def test_windows_and_their_flattened_rows_are_the_same():
    one, other = LatentFeatures(LSTM, **fast), LatentFeatures(LSTM, **fast)
    codes = one.fit(WINDOWS).transform(TABLE)
    np.testing.assert_array_equal(codes, other.fit(TABLE.tolist()).transform(WINDOWS))
    assert one.n_features_in_ == 8


def test_many_rows_are_read_in_pieces(monkeypatch):
    features = LatentFeatures(DENSE, **fast).fit(TABLE)
    whole = features.transform(TABLE)
    monkeypatch.setattr("lstmcore.apps.estimators.features.ROWS_AT_ONCE", 25)
    np.testing.assert_allclose(features.transform(TABLE), whole, rtol=1e-5, atol=1e-6)


def test_equal_seeds_give_equal_codes_and_a_clone_starts_anew():
    features = LatentFeatures(DENSE, gaussian=0.1, **fast).fit(TABLE)
    fresh = clone(features)
    assert fresh.get_params() == features.get_params()
    with pytest.raises(NotFittedError):
        fresh.transform(TABLE)
    codes = features.transform(TABLE)
    np.testing.assert_array_equal(fresh.fit(TABLE).transform(TABLE), codes)
    assert (fresh.set_params(seed=1).fit(TABLE).transform(TABLE) != codes).any()


def test_corruption_changes_training_alone():
    plain, noisy = (LatentFeatures(DENSE, masking=m, **fast).fit(TABLE) for m in (0.0, 0.5))
    assert (plain.loss_ != noisy.loss_).all()
    np.testing.assert_array_equal(noisy.transform(TABLE), noisy.transform(TABLE))


def test_fitting_again_compiles_nothing(monkeypatch):
    """As grid searches do, with clones: on other rows, or with another seed."""
    traced = []

    def apply(*arguments):
        traced.append(arguments)
        return original(*arguments)

    original = lc.DenseAutoencoder.apply
    monkeypatch.setattr(lc.DenseAutoencoder, "apply", apply)
    features = LatentFeatures(lc.DenseAutoencoder(8, 5), **fast).fit(TABLE[:40])
    first = len(traced)
    clone(features).set_params(seed=5).fit(TABLE[20:])
    assert len(traced) - first < first
    assert len(traced) - first <= 1  # the shape of the loss is asked for


@pytest.mark.thorough
def test_in_a_grid_search():
    small, large = lc.DenseAutoencoder(8, 1), lc.DenseAutoencoder(8, 3)
    pipeline = make_pipeline(StandardScaler(), LatentFeatures(small, **fast), LogisticRegression())
    grid = {"latentfeatures__model": [small, large], "latentfeatures__learning_rate": [0.02]}
    search = GridSearchCV(pipeline, grid, cv=3, error_score="raise")
    search.fit(TABLE, LABELS)
    assert len(search.cv_results_["params"]) == 2
    assert search.best_params_["latentfeatures__model"] in (small, large)
    assert search.best_score_ > 0.8


def test_names_of_columns_are_kept_and_checked():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE, columns=[f"c{i}" for i in range(8)])
    features = LatentFeatures(DENSE, **fast).set_output(transform="pandas").fit(frame)
    assert list(features.feature_names_in_) == list(frame.columns)
    assert list(features.transform(frame).columns) == list(features.get_feature_names_out())
    with pytest.raises(ValueError, match="feature names should match"):
        features.transform(frame[frame.columns[::-1]])


FITTED = LatentFeatures(LSTM, **fast)
FITTED.n_features_in_, FITTED.params_ = 8, weights(LSTM)
WITH_NAN = np.where(np.arange(8) == 3, np.nan, TABLE)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: LatentFeatures(LSTM).transform(TABLE), NotFittedError, "not fitted yet"),
        (lambda: LatentFeatures(LSTM).get_feature_names_out(), NotFittedError, "not fitted yet"),
        (lambda: LatentFeatures(LSTM).fit(WITH_NAN), ValueError, "Input X contains NaN"),
        (lambda: FITTED.transform(WITH_NAN), ValueError, "Input X contains NaN"),
        (lambda: LatentFeatures(LSTM).fit(TABLE * np.inf), ValueError, "X contains infinity"),
        (lambda: FITTED.transform(TABLE[:, :6]), ValueError, "X has 6 features, but LatentFeatu"),
        (
            lambda: LatentFeatures(LSTM).fit(TABLE[:, :7]),
            ValueError,
            r"X has 7 columns, not a multiple of the 2 features: give windows \[N, T, 2\]",
        ),
        (
            lambda: LatentFeatures(LSTM).fit(WINDOWS.swapaxes(1, 2)),
            ValueError,
            r"X has shape \(60, 2, 4\) but the model reads \[N, T, 2\]",
        ),
        (
            lambda: LatentFeatures(DENSE).fit(WINDOWS),
            ValueError,
            r"X has shape \(60, 4, 2\) but the model reads \[N, 8\], X.reshape\(len\(X\), -1\)",
        ),
        (
            lambda: LatentFeatures(DENSE).fit(TABLE[:, :7]),
            ValueError,
            "X has 7 columns but the model reads 8 features",
        ),
        (lambda: LatentFeatures(LSTM).fit(TABLE[:0]), ValueError, r"0 sample\(s\)"),
        (
            lambda: LatentFeatures(lc.StackedLSTM(2, 3, 1)).fit(TABLE),
            TypeError,
            "model must be an lc.Autoencoder or an lc.DenseAutoencoder, got StackedLSTM",
        ),
        (
            lambda: LatentFeatures(lc.Autoencoder(2, 3, steps=4)).fit(TABLE),
            ValueError,
            "model returns 4 steps, but it must reconstruct X: make it with steps=None",
        ),
        (lambda: LatentFeatures(DENSE, masking=1.5).fit(TABLE), ValueError, "masking must be at l"),
        (lambda: LatentFeatures(DENSE, epochs=0).fit(TABLE), ValueError, "epochs must be at least"),
        (lambda: LatentFeatures(DENSE, seed=-1).fit(TABLE), ValueError, "seed must be at least 0"),
        (
            lambda: LatentFeatures(DENSE, learning_rate=0).fit(TABLE),
            ValueError,
            "learning_rate must be a positive number, got 0",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"learning_rate": 10**400}, ValueError, "learning_rate must be a number of float64"),
        ({"learning_rate": "x"}, TypeError, "learning_rate must be a number, got 'x'"),
        ({"gaussian": 10**400}, ValueError, "gaussian must be a number of float64"),
    ],
)
def test_numbers_that_are_none(options, kind, message):
    features = LatentFeatures(lc.DenseAutoencoder(2, (1,)), epochs=1, **options)
    with pytest.raises(kind, match=message):
        features.fit(np.ones((3, 2)))


def test_numbers_beyond_float32_are_refused():
    features = LatentFeatures(lc.DenseAutoencoder(2, (1,)), epochs=1)
    with pytest.raises(ValueError, match="infinity or a value too large"):
        features.fit(np.full((3, 2), 1e300))
