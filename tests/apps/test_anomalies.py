"""Detectors: what their errors are, what they find, and that they survive a file."""

import sys
import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import numpy as np
import pytest
from daily import DAY, daily
from detectors import table, untrained
from manifests import forge

import lstmcore as lc
from benchmarks.studies import nab
from lstmcore import anomalies, series
from lstmcore.apps.anomalies import Settings, metrics, training
from lstmcore.apps.anomalies.examples import training_windows

NAB = Path(__file__).parents[3] / "shared" / "data" / "nab"
QUICK = {
    "reconstruction": Settings(
        method="reconstruction", season=0, window=8, units=8, epochs=12, learning_rate=1e-2
    ),
    # Of four predictions for a row, the older ones do not know yet that a day is raised.
    "prediction": Settings(
        method="prediction",
        season=0,
        window=24,
        units=8,
        horizon=4,
        epochs=12,
        learning_rate=1e-2,
    ),
}
METHODS = pytest.mark.parametrize("method", QUICK)


# What they find.


@pytest.fixture(scope="module", params=QUICK)
def found(request):
    """What `benchmarks.studies.nab` would report of a series with one raised day."""
    return nab.detect(daily(), QUICK[request.param], minimum=2)


def test_the_raised_day_is_found_and_no_other(found):
    assert found.seconds < 60
    right = metrics.eventwise(daily().labels, found.events)
    assert (right.recall, right.precision, right.labelled) == (1, 1, 1)
    assert max(event.score for event in found.events) > 1.5 * found.threshold.value
    (delay,) = right.delays
    assert delay == pytest.approx(18, abs=2)  # rows from midnight until that day differs


WAYS = {
    "quantile": lambda scores: anomalies.thresholds.quantile(scores, 0.999),
    # Two of 48 rows of a normal day are jumps, which are the tail.
    "peaks": lambda scores: anomalies.thresholds.peaks_over_threshold(scores, 1e-3, initial=0.95),
    "gaussian": lambda scores: anomalies.thresholds.gaussian(1, 1e-4),
}


@pytest.mark.parametrize("way", WAYS)
def test_other_thresholds_find_it_too(found, way):
    errors, normal = found.detector.errors(daily().values), found.detector.training_errors
    score = anomalies.mean_absolute
    if way == "gaussian":
        score = anomalies.fit_gaussian(normal).score
    events = anomalies.events(score(errors), WAYS[way](score(normal)), gap=20, minimum=2)
    right = metrics.eventwise(daily().labels, events)
    assert (right.recall, right.precision) == (1, 1)


def test_history_and_summary_of_training(found):
    detector = found.detector
    losses = detector.history["validation_loss"]
    assert losses.min() < losses[0]
    assert detector.validation_start == 0.9 * len(daily().normal)
    np.testing.assert_array_equal(detector.validation_errors, detector.training_errors[864:])
    np.testing.assert_array_equal(detector.errors(daily().normal), detector.training_errors)
    assert repr(detector).startswith(f"Detector({detector.settings.method}, ")
    assert "of 1" in nab.line("x", 0, daily(), found)


@pytest.mark.skipif(not NAB.is_dir(), reason="the series are not part of the project")
def test_the_benchmarks_labelled_window():
    data = nab.read(NAB)
    assert (data.normal.shape, data.labels.sum()) == ((4032, 1), 403)
    settings = Settings(
        method="reconstruction", season=0, units=16, stride=4, epochs=15, learning_rate=1e-2
    )
    right = metrics.eventwise(data.labels, nab.detect(data, settings).events)
    assert (right.recall, right.precision, right.detected) == (1, 1, 1)


# What errors are.


@pytest.mark.parametrize("combine", ["mean", "median"])
def test_reconstruction_errors_by_hand(combine):
    """Of 700 rows, so that they are computed in several pieces."""
    settings = Settings(method="reconstruction", window=5, units=3, combine=combine)
    values = table()
    detector = untrained(settings, values)
    scaled = detector.preprocessor.transform(values).astype(np.float32)
    apply = jax.jit(detector.model.apply)
    written, _ = apply(detector.params, np.array(lc.windows(scaled, 5)))
    for row in (0, 1, 5, 255, 256, 260, 511, 512, 698, 699):
        starts = [start for start in range(row - 4, row + 1) if 0 <= start <= 695]
        held = [written[start, row - start] for start in starts]
        expected = scaled[row] - getattr(np, combine)(held, axis=0)
        np.testing.assert_allclose(detector.errors(values)[row], expected, atol=1e-5)


@pytest.mark.parametrize("combine", ["mean", "median"])
def test_prediction_errors_by_hand(combine):
    """Of 1,300 rows, so that they are computed in several pieces."""
    settings = Settings(method="prediction", window=4, units=3, horizon=3, combine=combine)
    values = table(1300)
    detector = untrained(settings, values)
    scaled = detector.preprocessor.transform(values).astype(np.float32)
    written = np.array(jax.jit(detector.model.apply)(detector.params, scaled[None])[0])[0]
    written = written.reshape(1300, 3, 2)
    errors = detector.errors(values)
    assert np.isnan(errors[:4]).all()
    for row in (4, 5, 1023, 1024, 1025, 1026, 1299):
        made = [written[row - k, k - 1] for k in (1, 2, 3)]
        expected = scaled[row] - getattr(np, combine)(made, axis=0)
        np.testing.assert_allclose(errors[row], expected, atol=1e-5)


@METHODS
@pytest.mark.parametrize("lags", [(), (2,), (3, 1)])
def test_outputs_and_errors_add_up_to_the_values(method, lags):
    preprocessing = series.Preprocessing(difference=lags)
    settings = replace(QUICK[method], preprocessing=preprocessing)
    if method == "prediction":
        settings = replace(settings, horizon=2)
    values = table(60)
    detector = untrained(settings, values)
    errors, outputs = detector.errors(values), detector.outputs(values)
    first = sum(lags) + (24 if method == "prediction" else 0)
    assert np.isnan(errors[:first]).all()
    assert np.isfinite(errors[first:]).all()
    scale = detector.preprocessor.scaler.scale
    np.testing.assert_allclose((outputs + errors * scale)[first:], values[first:])
    # What the rows before add up to, with what the model wrote for the difference.
    written = detector.preprocessor.transform(values) - errors[sum(lags) :]
    row = 50
    before = values[row - sum(lags) : row] if lags else None
    alone = detector.preprocessor.inverse_transform(written[row - sum(lags)][None], before)
    np.testing.assert_allclose(outputs[row], alone[0])


def test_the_future_does_not_change_a_prediction():
    values = table(80)
    detector = untrained(replace(QUICK["prediction"], horizon=3), values)
    changed = values.copy()
    changed[50:] += 30
    before, after = detector.errors(values), detector.errors(changed)
    np.testing.assert_array_equal(before[:50], after[:50])
    assert (before[50:] != after[50:]).all()


@METHODS
def test_a_missing_value_has_no_error(method):
    preprocessing = series.Preprocessing(missing="forward")
    values = table(60)
    detector = untrained(replace(QUICK[method], preprocessing=preprocessing), values)
    gappy = values.copy()
    gappy[40, 1] = np.nan
    gone = np.isnan(detector.errors(gappy)) & ~np.isnan(detector.errors(values))
    assert np.argwhere(gone).tolist() == [[40, 1]]
    assert np.isfinite(detector.outputs(gappy)[40]).all()
    refusing = untrained(QUICK[method], values)
    with pytest.raises(ValueError, match="table has 1 missing value, the first in row 40"):
        refusing.errors(gappy)


@pytest.mark.thorough
@METHODS
def test_memory_does_not_grow_with_windows(method):
    """All windows of 20,000 rows at once were 8 MB in float32, twice that in float64."""
    values = table(20_000, features=1)
    detector = untrained(replace(QUICK[method], window=100, units=(2,)), values)
    detector.errors(values[:2000])
    tracemalloc.start()
    detector.errors(values)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4e6


@METHODS
def test_a_list_and_one_axis_will_do(method):
    values = table(60, features=1)
    detector = untrained(QUICK[method], values)
    np.testing.assert_array_equal(detector.errors(values[:, 0].tolist()), detector.errors(values))


# Training.


@pytest.mark.parametrize("lags", [pytest.param((), marks=pytest.mark.thorough), (2,)])
def test_validation_rows_are_not_learned_from(lags):
    """Without patience they do not even choose the epoch."""
    preprocessing = series.Preprocessing(difference=lags)
    settings = replace(
        QUICK["reconstruction"], epochs=2, patience=None, preprocessing=preprocessing
    )
    values = table(100, features=1)
    changed = values.copy()
    changed[90:] = 3 * values[90:] + 7
    one, other = (anomalies.train(rows, settings) for rows in (values, changed))
    assert one.validation_start == 90
    jax.tree.map(np.testing.assert_array_equal, one.params, other.params)
    np.testing.assert_array_equal(one.preprocessor.scaler.scale, other.preprocessor.scaler.scale)
    np.testing.assert_array_equal(one.history["loss"], other.history["loss"])
    assert one.history["validation_loss"][0] != other.history["validation_loss"][0]


@pytest.mark.thorough
def test_equal_arguments_give_equal_detectors_and_watch_is_called():
    settings = replace(
        QUICK["prediction"], epochs=2, horizon=2, validation=0, gaussian=0.1, masking=0.1
    )
    values, epochs = table(80), []
    one = anomalies.train(
        values, settings, callback=lambda epoch, params, losses: epochs.append(epoch)
    )
    other = anomalies.train(values, settings)
    np.testing.assert_array_equal(one.training_errors, other.training_errors)
    assert epochs == [1, 2]
    assert one.validation_start == 80
    assert one.validation_errors.shape == (0, 2)


def test_prediction_is_of_the_next_rows():
    """The loss of a model that writes only its bias is the spread of what it was to write."""
    settings = replace(QUICK["prediction"], window=3, horizon=2)
    model = training.build(settings, 1)
    params = jax.tree.map(np.zeros_like, model.init(jax.random.key(0)))
    params["head"] = params["head"]._replace(bias=np.array([1.0, 2.0], np.float32))
    batch = np.arange(5, dtype=np.float32)[None, :, None]
    # After rows 0, 1, 2: rows 1, 2, 3 and rows 2, 3, 4.
    expected = np.mean([(1 - 1) ** 2, (2 - 1) ** 2, (3 - 1) ** 2, 0, 1, 4])
    [error] = training.loss(model, settings, params, batch)
    assert float(error) == pytest.approx(expected)


@pytest.mark.parametrize(
    "method", ["prediction", pytest.param("reconstruction", marks=pytest.mark.thorough)]
)
def test_denoising_corrupts_what_is_read_and_not_what_is_to_be_written(method):
    settings = QUICK[method]
    model = training.build(settings, 1)
    params = model.init(jax.random.key(0))
    batch = np.asarray(np.random.default_rng(0).normal(size=(3, settings.span, 1)), np.float32)
    plain = training.loss(model, settings, params, batch).mean()
    noisy = partial(training.noisy_loss, model)
    quiet, masked = replace(settings, gaussian=0.3), replace(settings, masking=0.9)
    key = jax.random.key(1)
    assert noisy(quiet, params, batch) == plain
    assert noisy(settings, params, batch, key) == pytest.approx(float(plain))
    assert noisy(quiet, params, batch, key) != plain
    # All read as 0, the rest is as it was.
    blind = params | {"lstm_0": None} if method == "prediction" else params | {"encoder_0": None}
    first = next(name for name, layer in blind.items() if layer is None)
    blind[first] = params[first]._replace(kernel=np.zeros_like(params[first].kernel))
    all_masked = noisy(replace(masked, masking=1 - 1e-7), params, batch, key)
    assert all_masked == pytest.approx(float(training.loss(model, settings, blind, batch).mean()))


@pytest.mark.parametrize("rows", [30, 19_999 + 8, 20_000 + 8, 100_000])
def test_as_many_windows_as_are_of_use(rows):
    windows = training_windows([np.zeros((rows, 1), np.float32)], QUICK["reconstruction"])
    possible = rows - 8 + 1
    assert windows.shape[1:] == (8, 1)
    assert min(possible, 10_000) <= len(windows) <= min(possible, 20_000)
    every = replace(QUICK["reconstruction"], stride=5)
    assert len(training_windows([np.zeros((rows, 1))], every)) == (possible - 1) // 5 + 1


# Files.


def test_a_detector_survives_its_folder(found, tmp_path):
    detector = found.detector
    folder = tmp_path / "new" / "folder"
    detector.save(folder)
    loaded = anomalies.Detector.load(folder)
    assert (loaded.settings, loaded.validation_start) == (
        detector.settings,
        detector.validation_start,
    )
    assert loaded.model == detector.model
    np.testing.assert_array_equal(loaded.training_errors, detector.training_errors)
    values = daily().values[:200]
    np.testing.assert_array_equal(loaded.errors(values), detector.errors(values))
    np.testing.assert_array_equal(loaded.outputs(values), detector.outputs(values))
    for name, losses in detector.history.items():
        np.testing.assert_array_equal(loaded.history[name], losses)
    loaded.save(folder)  # over what is there
    assert sorted(path.name for path in folder.iterdir()) == [
        "detector.json",
        "errors.safetensors",
        "manifest.json",
        "model.safetensors",
    ]


def test_damaged_folders(tmp_path):
    detector = untrained(replace(QUICK["prediction"], units=(2,)), table(60))
    with pytest.raises(
        FileNotFoundError, match=r"there is no detector.json in .*: name the folder"
    ):
        anomalies.Detector.load(tmp_path)
    detector.save(tmp_path)
    description = tmp_path / "detector.json"
    text = description.read_text()
    for old, new, message in [
        ('"format": 1', '"format": 2', "it has format 2, expected 1"),
        ('"method": "prediction"', '"method": "magic"', "method must be one of"),
        ('"settings"', '"wishes"', "settings"),
        ("{", "", "is damaged"),
        (
            '"validation_start": ',
            '"validation_start": 9',
            "errors.safetensors is damaged, or belongs to another detector",
        ),
        ('"units": [\n   2', '"units": [\n   3', "does not belong to detector.json .*units is"),
        ('"scaling": "standard"', '"scaling": "minmax"', "describe different preprocessing"),
    ]:
        assert old in text
        description.write_text(text.replace(old, new, 1))
        with pytest.raises(ValueError, match=r"detector.json is not the file that was written"):
            anomalies.Detector.load(tmp_path)
        forge(tmp_path)
        with pytest.raises(ValueError, match=rf"detector.json is damaged: .*{message}|{message}"):
            anomalies.Detector.load(tmp_path)
    description.write_text(text)
    forge(tmp_path)
    other = untrained(replace(QUICK["prediction"], units=(2,)), table(60), seed=1)
    lc.save(tmp_path / "model.safetensors", other.model, other.params)
    with pytest.raises(ValueError, match=r"model.safetensors is not the file that was written"):
        anomalies.Detector.load(tmp_path)
    (tmp_path / "errors.safetensors").unlink()
    lc.save(tmp_path / "model.safetensors", detector.model, detector.params)
    with pytest.raises(FileNotFoundError, match=r"there is no errors.safetensors"):
        anomalies.Detector.load(tmp_path)


# What is refused.

WRONG_SETTINGS = [
    ({"method": "guessing"}, ValueError, "method must be one of 'prediction', 'reconstruction'"),
    ({"combine": "max"}, ValueError, "combine must be one of 'mean', 'median'"),
    ({"window": 0}, ValueError, "window must be at least 1, got 0"),
    ({"horizon": 0}, ValueError, "horizon must be at least 1, got 0"),
    ({"epochs": 1.5}, TypeError, "epochs must be a whole number, got 1.5"),
    ({"units": ()}, ValueError, "units is empty"),
    ({"stride": "all"}, ValueError, "stride must be a number of rows or 'auto'"),
    ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
    ({"patience": -1}, ValueError, "patience must be at least 1, got -1"),
    ({"validation": 1}, ValueError, "validation must be at least 0 and below 1, got 1"),
    ({"masking": -0.1}, ValueError, "masking must be at least 0 and below 1, got -0.1"),
    ({"gaussian": -1}, ValueError, "gaussian must be a number from 0 on, got -1"),
    ({"learning_rate": 0}, ValueError, "learning_rate must be a positive number, got 0"),
    ({"seed": -1}, ValueError, "seed must be at least 0, got -1"),
    ({"seed": 2**63}, ValueError, "seed must be at most 9,223,372,036,854,775,807"),
    (
        {"preprocessing": "standard"},
        TypeError,
        "preprocessing must be Preprocessing, got str",
    ),
]


@pytest.mark.parametrize(("arguments", "kind", "message"), WRONG_SETTINGS)
def test_wrong_settings(arguments, kind, message):
    with pytest.raises(kind, match=message):
        Settings(**arguments)


def test_values_that_cannot_be_trained_on():
    settings = replace(QUICK["prediction"], horizon=3)  # 27 rows for an example
    message = r"values has 50 rows, but training needs at least 27 .* and validation 27 more"
    with pytest.raises(ValueError, match=message):
        anomalies.train(table(50), settings)
    differenced = replace(
        settings, preprocessing=series.Preprocessing(difference=(7,)), validation=0
    )
    with pytest.raises(
        ValueError, match=r"needs at least 34 .* and 7 dropped by season and differencing"
    ):
        anomalies.train(table(33), differenced)
    with pytest.raises(ValueError, match="values must hold real numbers, got <U1"):
        anomalies.train(np.array(["a"]))
    with pytest.raises(
        ValueError, match=r"values must be \[rows\], \[rows, F\], or separate windows"
    ):
        anomalies.train(np.zeros((3, 3, 3, 3)))
    with pytest.raises(ValueError, match="table holds inf in row 3"):
        anomalies.train(np.where(np.arange(100) == 3, np.inf, 1.0))


@METHODS
def test_values_that_cannot_be_scored(method):
    values = table(60)
    detector = untrained(QUICK[method], values)
    with pytest.raises(ValueError, match="table has 1 column but the preprocessor was fitted on 2"):
        detector.errors(values[:, :1])
    with pytest.raises(ValueError, match="float32 cannot hold them: are they in the same units"):
        detector.errors(values * 1e100)


def test_a_series_shorter_than_a_window():
    detector = untrained(QUICK["reconstruction"], table(60))
    with pytest.raises(ValueError, match="window of 8 rows does not fit into a table of 7 rows"):
        detector.errors(table(7))
    predicting = untrained(QUICK["prediction"], table(60))
    assert np.isnan(predicting.errors(table(7))).all()


def test_a_constant_column():
    values = np.hstack([table(100, features=1), np.full((100, 1), 5.0)])
    detector = untrained(QUICK["reconstruction"], values)
    assert np.isfinite(detector.errors(values)).all()


@pytest.mark.parametrize(
    ("package", "use"),
    [
        ("scipy", lambda: anomalies.thresholds.gaussian(1)),
        ("sklearn", lambda: metrics.pointwise(np.array([1]), np.array([True]))),
    ],
)
def test_a_missing_library_is_named(monkeypatch, package, use):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=r"need.*: pip install sci"):
        use()


def test_days_of_the_generated_series():
    data = daily()
    assert data.labels.sum() == DAY
    assert data.values.max() > 150 > data.normal.max()
