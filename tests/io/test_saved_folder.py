"""Saving into a folder, completely or not at all, and without replacing anyone else's files."""

import dataclasses
import os
import shutil
from functools import cache, partial
from pathlib import Path

import jax
import numpy as np
import pytest
from disturbances import count, full_disk, killed, read_only
from strategies import weights

import lstmcore as lc
from lstmcore import anomalies, forecasting, series
from lstmcore.apps import translation
from lstmcore.apps.anomalies.training import build as detector_model
from lstmcore.apps.forecasting.errors import Errors
from lstmcore.apps.forecasting.settings import build as forecaster_model
from lstmcore.io import manifest, staging
from lstmcore.io.manifest import MANIFEST, MARKER

TABLE = np.arange(40.0).reshape(20, 2)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """For the disk, which takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@cache
def saved(kind: str, seed: int):
    """Something to save; nothing is trained, and with every seed its parts are others."""
    history = {"loss": np.full(3, float(seed))}
    preprocessor = series.Preprocessing().fit(TABLE + seed)
    if kind == "Trained":
        settings = forecasting.Settings(window=3, horizon=2, units=2)
        model = forecaster_model(settings, ("a", "b"))
        split, errors = series.split(20), Errors.none(horizon=2, targets=2)
        whole = params(model, seed)
        return forecasting.Trained(
            settings, ("a", "b"), model, whole, preprocessor, history, split, 1, errors
        )
    if kind == "Detector":
        settings = anomalies.Settings(window=3, units=2)
        model = detector_model(settings, 2)
        errors = np.full((20, 2), float(seed))
        return anomalies.Detector(
            model, params(model, seed), preprocessor, settings, history, errors, 18
        )
    names = ["one two", "one too"][seed]
    vocabularies = [lc.Vocabulary.of([text], "word") for text in (names, "a b")]
    model = lc.Seq2Seq(*(one.size for one in vocabularies), 2, embedding=2)
    return translation.Translator(model, params(model, seed), *vocabularies, 9 + seed)


def params(model, seed):
    return jax.tree.map(lambda leaf: leaf + np.float32(seed), weights(model))


CLASSES = {
    "Trained": forecasting.Trained,
    "Detector": anomalies.Detector,
    "Translator": translation.Translator,
}


def which(kind: str, folder: Path) -> int | None:
    """The seed of what is saved in a folder, of all its parts; None if there is nothing."""
    try:
        found = CLASSES[kind].load(folder)
    except FileNotFoundError:
        return None
    seeds = {int(jax.tree.leaves(found.params)[0].ravel()[0] != first(kind))}
    if kind == "Translator":
        seeds |= {found.max_length - 9, int("too" in found.source.tokens)}
    else:
        seeds |= {int(found.history["loss"][0]), int(found.preprocessor.scaler.offset[0]) - 19}
    if kind == "Detector":
        seeds.add(int(found.training_errors[0, 0]))
    assert len(seeds) == 1, "parts of two objects"
    return seeds.pop()


def first(kind: str) -> float:
    return jax.tree.leaves(saved(kind, 0).params)[0].ravel()[0]


@pytest.fixture(params=CLASSES)
def kind(request):
    return request.param


# Whenever it is cut off.


@pytest.mark.thorough
@pytest.mark.parametrize("beside", [None, "notes.txt"])
@pytest.mark.parametrize("earlier", [False, True])
def test_killed_at_every_operation(earlier, beside, kind, tmp_path):
    """Old or new, whole; beside files of someone else it may be neither, and says so."""

    def prepare() -> Path:
        shutil.rmtree(tmp_path / "place", ignore_errors=True)
        folder = tmp_path / "place" / "saved"
        if earlier:
            saved(kind, 0).save(folder)
        if beside:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / beside).write_text("mine")
        return folder

    folder = prepare()
    operations = count(partial(saved(kind, 1).save, folder))
    assert which(kind, folder) == 1
    old, seen = 0 if earlier else None, set()
    for at in range(operations):
        folder = prepare()
        assert killed(partial(saved(kind, 1).save, folder), at)
        found = which(kind, folder)
        seen.add(found)
        assert found in (old, 1) or (found is None and beside), at
        saved(kind, 1).save(folder)  # the next one works
        assert which(kind, folder) == 1
        assert not [name for name in os.listdir(folder.parent) if name.startswith(".")]
        assert not [name for name in os.listdir(folder) if name.startswith(".")]
        if beside:
            assert (folder / beside).read_text() == "mine"
        else:
            assert manifest.first_foreign(folder) is None
    assert {old, 1} <= seen


@pytest.mark.thorough
@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("disturb", [full_disk, read_only])
def test_a_full_or_read_only_disk_at_every_operation(disturb, beside, tmp_path):
    folder = tmp_path / "saved"
    save = partial(saved("Detector", 1).save, folder)
    folder.mkdir()
    if beside:
        (folder / "notes.txt").write_text("mine")
    operations = count(save)
    failures = 0
    for at in range(operations):
        shutil.rmtree(folder)
        saved("Detector", 0).save(folder)
        if beside:
            (folder / "notes.txt").write_text("mine")
        failures += disturb(save, at) is not None
        found = which("Detector", folder)
        assert found in (0, 1) or (beside and found is None)
        assert not beside or (folder / "notes.txt").read_text() == "mine"
        save()
        assert which("Detector", folder) == 1
    assert failures > 10


@pytest.mark.parametrize("disturb", [killed, full_disk, read_only])
def test_a_model_file_at_every_operation(disturb, tmp_path):
    path, model = tmp_path / "model.safetensors", lc.StackedLSTM(2, (2,), 1)

    def save(seed):
        lc.save(path, model, params(model, seed))

    save(0)
    contents = [path.read_bytes()]
    save(1)
    contents.append(path.read_bytes())
    path.unlink()
    operations = count(partial(save, 1))
    for at in range(operations):
        for earlier in (True, False):
            path.unlink(missing_ok=True)
            if earlier:
                save(0)
            (tmp_path / "notes.txt").write_text("mine")
            disturb(partial(save, 1), at)
            assert (path.read_bytes() if path.exists() else None) in (
                contents if earlier else [None, contents[1]]
            )
            save(1)
            assert path.read_bytes() == contents[1]
            assert (tmp_path / "notes.txt").read_text() == "mine"


# What is someone else's.


@pytest.mark.parametrize("name", ["model.safetensors", MANIFEST])
def test_a_file_of_someone_else_is_not_replaced(name, kind, tmp_path):
    (tmp_path / name).write_text("mine")
    with pytest.raises(FileExistsError, match=rf"{name} is not a .*move it, or save into another"):
        saved(kind, 0).save(tmp_path)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [(name, "mine")]


def test_a_part_that_was_changed_is_not_replaced(kind, tmp_path):
    saved(kind, 0).save(tmp_path)
    description = next(path for path in tmp_path.glob("*.json") if path.name != MANIFEST)
    description.write_text("edited by hand")
    with pytest.raises(FileExistsError, match=rf"{description.name} is not a .* or was changed"):
        saved(kind, 1).save(tmp_path)
    assert description.read_text() == "edited by hand"


def test_another_kind_is_not_replaced(tmp_path):
    saved("Detector", 0).save(tmp_path)
    with pytest.raises(FileExistsError, match="holds the files of Detector, not of Trained"):
        saved("Trained", 0).save(tmp_path)
    assert which("Detector", tmp_path) == 0


def test_a_run_is_not_replaced(tmp_path):
    (tmp_path / "model.safetensors").write_text("of a run")
    manifest.write(tmp_path, "lstmcore forecast", [tmp_path / "model.safetensors"])
    with pytest.raises(FileExistsError, match="holds the files of lstmcore forecast, not of Trai"):
        saved("Trained", 0).save(tmp_path)


def test_a_run_that_has_not_ended_is_left_alone(tmp_path):
    place = staging.staging_of(tmp_path / "run")
    place.mkdir()
    for name in (MARKER, staging.CHECKPOINT):
        (place / name).write_text("1")
    with pytest.raises(FileExistsError, match="holds a run that has not ended: save into another"):
        saved("Trained", 0).save(tmp_path / "run")
    assert set(os.listdir(place)) == {MARKER, staging.CHECKPOINT}


def test_saving_into_the_current_folder(kind, tmp_path, monkeypatch):
    """Which cannot be exchanged."""
    monkeypatch.chdir(tmp_path)
    before = tmp_path.stat().st_ino
    for seed in (0, 1):
        saved(kind, seed).save(".")
        assert which(kind, Path()) == seed
    assert tmp_path.stat().st_ino == before
    assert manifest.first_foreign(tmp_path) is None


def test_files_beside_stay(kind, tmp_path):
    (tmp_path / "figures").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    for seed in (0, 1):
        saved(kind, seed).save(tmp_path)
        assert which(kind, tmp_path) == seed
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "figures").is_dir()


def test_nothing_is_saved_that_could_not_be_read_back(tmp_path):
    trained = dataclasses.replace(
        saved("Trained", 0), history={"loss": np.zeros(400_000)}
    )  # 25 MB of values
    with pytest.raises(ValueError, match=r"what \w+\.json is to hold .* bytes, expected at most"):
        trained.save(tmp_path / "run")
    assert os.listdir(tmp_path) == []
