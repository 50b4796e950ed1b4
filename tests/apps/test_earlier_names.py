"""Folders from before one thing had one name everywhere are read like those of today."""

import json
from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pytest
from detectors import table, untrained
from manifests import forge
from untrained import no_training

from lstmcore import anomalies, forecasting
from lstmcore.apps import autoencoding, run_folder
from lstmcore.apps.autoencoding.folder import describe, read_settings
from lstmcore.io.description import EARLIER_NAMES
from lstmcore.models.streaming import weights_digest
from lstmcore.series import Preprocessing, Table

LAGGED = Preprocessing(missing="forward", difference=(2,))


def earlier(stored, names):
    """The same, at any depth, with the names that stood there before."""
    if isinstance(stored, list):
        return [earlier(value, names) for value in stored]
    if not isinstance(stored, dict):
        return stored
    return {names.get(name, name): earlier(value, names) for name, value in stored.items()}


def rename(path, **names):
    """Rename keys of a JSON file; all of them must be there."""
    assert all(EARLIER_NAMES[before] == today for today, before in names.items())
    text = path.read_text(encoding="utf-8")
    assert all(f'"{today}"' in text for today in names)
    path.write_text(json.dumps(earlier(json.loads(text), names)), encoding="utf-8")


def test_a_detector(tmp_path):
    settings = anomalies.Settings(
        method="prediction", window=4, units=3, horizon=2, preprocessing=LAGGED
    )
    values = table(40)
    detector = untrained(settings, values)
    detector = replace(detector, training_errors=detector.errors(values))
    detector.save(tmp_path)
    rename(
        tmp_path / "detector.json",
        preprocessor="prepared",
        preprocessing="preparation",
        horizon="ahead",
        validation_start="held_out",
    )
    forge(tmp_path)
    loaded = anomalies.Detector.load(tmp_path)
    assert (loaded.settings, loaded.validation_start) == (settings, 40)
    np.testing.assert_array_equal(loaded.errors(values), detector.errors(values))


FORECAST = {
    "window": np.int64(4),
    "horizon": np.int32(2),
    "units": (np.int64(3),),
    "stride": np.int64(2),
    "epochs": np.int64(1),
    "batch_size": np.int16(8),
    "learning_rate": np.float32(0.0078125),
    "patience": np.int64(0),
    "validation": np.float64(0.2),
    "seed": np.uint8(3),
    "season": np.int64(4),
    "test": np.float32(0.25),
    "dropout": np.float32(0.5),
}


@cache
def forecaster(numbers=lambda number: number):
    """A trained forecaster, with settings that are numbers of NumPy or what `numbers` makes."""
    plain = {name: numbers(n) for name, n in FORECAST.items() if name != "units"}
    units = tuple(map(numbers, FORECAST["units"]))
    settings = forecasting.Settings(
        units=units, future_covariates=("plan",), preprocessing=LAGGED, **plain
    )
    with no_training():
        return forecasting.train(table(60), ["load", "plan"], settings)


@pytest.mark.parametrize("horizon", ["steps", "ahead"])
def test_a_forecaster(horizon, tmp_path):
    values, trained = table(60), forecaster(np.generic.item)
    trained.save(tmp_path)
    rename(
        tmp_path / "forecast.json",
        preprocessor="prepared",
        preprocessing="preparation",
        horizon=horizon,
        future_covariates="known",
    )
    forge(tmp_path)
    loaded = forecasting.Trained.load(tmp_path)
    assert loaded.settings == trained.settings
    np.testing.assert_array_equal(
        loaded.forecast(values, [50]).point, trained.forecast(values, [50]).point
    )


def test_settings_of_an_autoencoder(tmp_path):
    settings = autoencoding.Settings(mode="prediction", window=4, horizon=3, preprocessing=LAGGED)
    data = Table(("load", "wind"), table(40), range(40))
    path = tmp_path / "settings.json"
    windows = autoencoding.cut(data, settings)
    path.write_text(json.dumps(describe("a.csv", data, windows, settings)), encoding="utf-8")
    expected = read_settings(path)
    rename(path, preprocessor="prepared", preprocessing="preparation", horizon="steps")
    found = read_settings(path)
    assert found.settings == expected.settings == settings
    assert found.preprocessor.to_json() == expected.preprocessor.to_json()


def test_a_run_that_is_resumed(tmp_path):
    settings = autoencoding.Settings(mode="prediction", window=4, horizon=3, preprocessing=LAGGED)
    data = Table(("load", "wind"), table(40), range(40))
    described = describe("a.csv", data, autoencoding.cut(data, settings), settings)
    run_folder.record_settings(tmp_path, described)
    path = tmp_path / "settings.json"
    rename(path, preprocessor="prepared", preprocessing="preparation", horizon="steps")
    (tmp_path / run_folder.CHECKPOINT).write_bytes(b"of an earlier version")
    run_folder.record_settings(tmp_path, described)
    assert json.loads(path.read_text())["settings"]["horizon"] == 3
    other = replace(settings, horizon=2)
    rename(path, preprocessor="prepared", preprocessing="preparation", horizon="steps")
    with pytest.raises(ValueError, match="begun with horizon 3, not 2"):
        run_folder.record_settings(
            tmp_path, describe("a.csv", data, autoencoding.cut(data, other), other)
        )


def test_the_state_of_an_online_detector(tmp_path, monkeypatch):
    settings = anomalies.Settings(method="prediction", window=4, units=3, horizon=2)
    fresh = anomalies.OnlineDetector.of(untrained(settings, table(30)), 1.0)

    def digest(online):  # as 0.1.0.dev0 made it before the names changed
        stored, of_table = asdict(settings), online.detector.preprocessor.to_json()
        stored["ahead"] = stored.pop("horizon")
        del stored["season"], stored["search"], stored["levels"]  # which there were not
        stored["preparation"] = stored.pop("preprocessing")
        of_table["preparation"] = of_table.pop("preprocessing")
        return weights_digest(online.detector.params, [stored, of_table])

    path = tmp_path / "online.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(anomalies.OnlineDetector, "_detector_digest", digest)
        fresh.save(path)
    assert fresh.resume(path).read == fresh.read


def test_numbers_of_numpy_are_written(tmp_path):
    trained = forecaster()
    assert trained.settings.patience is None
    trained.save(tmp_path)
    assert forecasting.Trained.load(tmp_path).settings == trained.settings
