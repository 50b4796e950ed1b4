"""An online says row by row what its detector says of the whole series, in constant memory."""

from dataclasses import fields, replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from detectors import table, untrained

from lstmcore import anomalies, series
from lstmcore.apps.anomalies import OnlineDetector, Settings
from lstmcore.io.tensors import read_tensors, write_tensors

PREDICTION = Settings(method="prediction", window=4, units=3)
KINDS = {
    "one ahead": {},
    "several ahead": {"horizon": 3},
    "further ahead than a window": {"horizon": 6},
    "median, two layers": {"horizon": 4, "combine": "median", "units": (3, 2)},
    "differenced": {"horizon": 2, "preprocessing": series.Preprocessing(difference=(5, 1))},
    "season": {"season": 5},
    "season and differences": {"season": 7, "preprocessing": series.Preprocessing(difference=(2,))},
    "season, filled forward": {"season": 6, "preprocessing": series.Preprocessing("forward")},
    "season, filled with the mean": {"season": 6, "preprocessing": series.Preprocessing("mean")},
    "filled with the mean": {"preprocessing": series.Preprocessing(missing="mean")},
    "filled forward": {"preprocessing": series.Preprocessing(missing="forward", difference=(2,))},
}


def feed(online, values):
    """Scores and errors of one row after the other, and the online after them."""
    scores, errors, flags = [], [], []
    for row in values:
        score, online = online.step(row)
        scores.append(score)
        errors.append(online.errors)
        flags.append(online.is_anomalous)
    return np.array(scores), np.array(errors), np.array(flags), online


@pytest.mark.parametrize("kind", KINDS)
def test_streamed_equals_batch(kind):
    values = table(40)
    settings = replace(PREDICTION, **KINDS[kind])
    detector = untrained(settings, values)
    if "filled" in kind:
        values[[12, 13, 30], [0, 0, 1]] = np.nan
        values[20] = np.nan
    expected = detector.errors(values)
    limit = np.nanmedian(anomalies.mean_absolute(expected))
    scores, errors, flags, online = feed(OnlineDetector.of(detector, limit), values)
    np.testing.assert_allclose(errors, expected, atol=1e-5)
    np.testing.assert_allclose(scores, anomalies.mean_absolute(expected), atol=1e-5)
    assert np.isnan(scores[: 4 + settings.dropped_rows]).all()
    assert np.isfinite(scores[4 + settings.dropped_rows :]).sum() >= 36 - settings.dropped_rows - 2
    np.testing.assert_array_equal(flags, scores > limit)
    assert online.read == 40


def test_any_score_of_errors():
    values = table(40)
    detector = untrained(PREDICTION, values)
    errors = detector.errors(values)
    gaussian = anomalies.fit_gaussian(errors)
    limit = anomalies.thresholds.gaussian(2, 0.3)
    scores, _, flags, _ = feed(OnlineDetector.of(detector, limit, gaussian.score), values)
    np.testing.assert_allclose(scores, gaussian.score(errors), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(flags, scores > limit.value)
    assert 0 < flags.sum() < 35


@pytest.mark.parametrize("season", [0, 5])
def test_an_adaptive_score_remembers(season, tmp_path):
    """Also in a file, half-way."""
    values = table(60)
    values[45, 1] = np.nan
    values[50] = np.nan
    preprocessing = series.Preprocessing("forward")
    settings = replace(PREDICTION, season=season, preprocessing=preprocessing)
    detector = untrained(settings, values)
    detector = replace(detector, training_errors=detector.errors(values[:40]))
    result = anomalies.detect(detector, values, threshold="quantile", level=0.9)
    fresh = OnlineDetector.of(detector, result.threshold, result.score)
    scores, _, flags, _ = feed(fresh, values)
    np.testing.assert_allclose(scores, result.scores, atol=1e-3)
    np.testing.assert_array_equal(flags, scores > result.threshold.value)
    *_, online = feed(fresh, values[:47])
    online.save(tmp_path / "state")
    resumed = fresh.resume(tmp_path / "state")
    assert resumed.is_anomalous == online.is_anomalous
    np.testing.assert_allclose(feed(resumed, values[47:])[0], scores[47:])
    forgetful = OnlineDetector.of(detector, 1.0)
    with pytest.raises(ValueError, match=r"saved with a score that remembers errors .* does not: "):
        forgetful.resume(tmp_path / "state")
    forgetful.save(tmp_path / "other")
    with pytest.raises(ValueError, match=r"a score that remembers no errors .* does: resume it"):
        fresh.resume(tmp_path / "other")


def sizes(online):
    """The structure of all that an online holds, and the bytes and shapes of its arrays."""
    held = [getattr(online, field.name) for field in fields(online)]
    leaves = [leaf for leaf in jax.tree.leaves(held) if hasattr(leaf, "nbytes")]
    arrays = [(leaf.shape, str(leaf.dtype), leaf.nbytes) for leaf in leaves]
    # A view would keep what it is a view of.
    bases = [
        leaf.base is None or leaf.base.nbytes <= 2 * leaf.nbytes + 64
        for leaf in leaves
        if isinstance(leaf, np.ndarray)
    ]
    return jax.tree.structure(held), arrays, bases


def test_memory_is_constant():
    values = table(60)
    settings = replace(
        PREDICTION, horizon=3, season=4, preprocessing=series.Preprocessing(difference=(2,))
    )
    online = OnlineDetector.of(untrained(settings, values), 1.0)
    at_first = sizes(online)
    seen = {}
    for read in range(1, 1001):
        _, online = online.step(values[read % 60])
        if read in (10, 1000):
            seen[read] = sizes(online)
    assert seen[10] == seen[1000] == at_first
    assert all(seen[10][2])


def test_an_older_detector_stays_what_it_was():
    values = table(20)
    *_, online = feed(OnlineDetector.of(untrained(PREDICTION, values), 1.0), values[:10])
    once, twice = (feed(online, values[10:])[1] for _ in range(2))
    np.testing.assert_array_equal(once, twice)
    assert online.read == 10


def test_a_detector_goes_on_from_its_file(tmp_path):
    values = table(30)
    settings = replace(PREDICTION, horizon=2, preprocessing=series.Preprocessing(difference=(3,)))
    detector = untrained(settings, values)
    fresh = OnlineDetector.of(detector, 1.0)
    *_, online = feed(fresh, values[:12])
    path = tmp_path / "state.safetensors"
    online.save(path)
    resumed = fresh.resume(path)
    assert (resumed.read, resumed.is_anomalous) == (12, online.is_anomalous)
    np.testing.assert_array_equal(feed(resumed, values[12:])[1], feed(online, values[12:])[1])


def test_files_of_other_detectors(tmp_path):
    values = table(30)
    online = OnlineDetector.of(untrained(PREDICTION, values), 1.0)
    online.save(tmp_path / "state")
    online.stream.save(tmp_path / "stream")
    wider = OnlineDetector.of(untrained(replace(PREDICTION, units=5), values), 1.0)
    with pytest.raises(ValueError, match="belongs to another detector: the sizes differ"):
        wider.resume(tmp_path / "state")
    prepared = untrained(replace(PREDICTION, preprocessing=series.Preprocessing("mean")), values)
    stronger = replace(online.detector, params=jax.tree.map(jnp.cos, online.detector.params))
    for other in (prepared, stronger):
        with pytest.raises(ValueError, match="belongs to another detector of the same sizes"):
            OnlineDetector.of(other, 1.0).resume(tmp_path / "state")
    with pytest.raises(ValueError, match="holds no state of an online detector"):
        online.resume(tmp_path / "stream")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        online.resume(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 1}', '{"format": 1, "read": -5}',
                                  '{"format": 2, "read": 5}'])  # fmt: skip
def test_a_damaged_file(text, tmp_path):
    online = OnlineDetector.of(untrained(PREDICTION, table(30)), 1.0)
    online.save(tmp_path / "state")
    _, tensors = read_tensors(tmp_path / "state")
    write_tensors(tmp_path / "state", tensors, {"lstmcore_alarm": text})
    with pytest.raises(ValueError, match=r"state is damaged(, or of another version.*)?: "):
        online.resume(tmp_path / "state")


def test_a_resumed_detector_has_its_own_threshold(tmp_path):
    values = table(20)
    detector = untrained(PREDICTION, values)
    *_, online = feed(OnlineDetector.of(detector, 1e-9), values)
    assert online.is_anomalous
    online.save(tmp_path / "state")
    assert OnlineDetector.of(detector, 1e-9).resume(tmp_path / "state").is_anomalous
    assert not OnlineDetector.of(detector, 1e9).resume(tmp_path / "state").is_anomalous


def test_a_model_that_overflows_is_no_missing_error():
    """Else an online would fall silent for good: NaN is above no threshold."""
    values = table(30)
    settings = replace(PREDICTION, units=(8, 8), activation="relu")
    detector = untrained(settings, values)
    detector = replace(detector, params=jax.tree.map(lambda leaf: 4 * leaf, detector.params))
    anomalous = values.copy()
    anomalous[12:16] = [1e38, -1e38]
    message = "the output of the model is not finite: are they in the same units"
    with pytest.raises(ValueError, match=message):
        detector.errors(anomalous)
    *_, online = feed(OnlineDetector.of(detector, 1.0), values[:12])
    with pytest.raises(ValueError, match=message):
        feed(online, anomalous[12:])
    scores, *_ = feed(online, values[12:])  # without these rows it goes on
    assert np.isfinite(scores).all()


def test_what_is_refused():
    values = table(30)
    detector = untrained(PREDICTION, values)
    with pytest.raises(ValueError, match="which reads whole windows: train one with"):
        OnlineDetector.of(untrained(replace(PREDICTION, method="reconstruction"), values), 1.0)
    with pytest.raises(TypeError, match="score must be a function of errors, got str"):
        OnlineDetector.of(detector, 1.0, "mean")
    with pytest.raises(ValueError, match="threshold is NaN"):
        OnlineDetector.of(detector, np.nan)
    online = OnlineDetector.of(detector, 1.0)
    for row in (values[:2], values[0, :1], 3.0):
        with pytest.raises(ValueError, match=r"row must be \[2\], one number for each feature"):
            online.step(row)
    with pytest.raises(ValueError, match="table has 1 missing value"):
        online.step([1.0, np.nan])
    with pytest.raises(ValueError, match="values must hold real numbers, got <U1"):
        online.step(["1", "2"])
