"""Manifests: files that belong to a folder, and files that are someone else's."""

import json
import os
import re
import subprocess
import sys

import pytest
from disturbances import count, killed

from lstmcore.io import manifest
from lstmcore.io.manifest import MANIFEST


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "model").write_text("weights")
    (tmp_path / "settings").write_text("")
    manifest.write(tmp_path, "a kind", [tmp_path / "model", tmp_path / "settings"])
    return tmp_path


def edit(folder, **changes):
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_manifest_names_kind_version_and_parts(folder):
    from lstmcore import __version__

    kind, version, parts = manifest.read(folder)
    assert (kind, version, set(parts)) == ("a kind", __version__, {"model", "settings"})
    assert parts["model"].size == 7
    manifest.check_parts(folder, ("model", "settings"), "a test")
    assert manifest.first_foreign(folder) is None


DIGEST = "0" * 64
DAMAGED = {
    "no JSON": (lambda f: (f / MANIFEST).write_text("{"), r"manifest.json is damaged"),
    "deep": (lambda f: (f / MANIFEST).write_text("[" * 10**5), r"manifest.json is damaged"),
    "a list": (lambda f: (f / MANIFEST).write_text("[]"), "is not a manifest of lstmcore"),
    "other format": (lambda f: edit(f, format=2), "has format 2, .* install the version that"),
    "no format": (lambda f: edit(f, format=None), "is not a manifest of lstmcore"),
    "a truth as format": (lambda f: edit(f, format=True), "is not a manifest of lstmcore"),
    "no digests": (lambda f: edit(f, parts={}), "lists no model"),
    "parts a list": (lambda f: edit(f, parts=["model"]), "manifest.json is damaged"),
    "an empty part": (lambda f: edit(f, parts={"model": {}}), "manifest.json is damaged: 'size'"),
    "kind a number": (lambda f: edit(f, kind=1), "manifest.json is damaged: 1 is not text"),
    **{
        f"size {size}": (
            lambda f, size=size: edit(f, parts={"model": {"size": size, "sha256": DIGEST}}),
            "does not hold the size and the digest of model",
        )
        for size in (-1, 1.5, True, "7")
    },
    **{
        f"name {name!r}": (
            lambda f, name=name: edit(f, parts={name: {"size": 7, "sha256": DIGEST}}),
            f"{re.escape(repr(name))} is not the name of a part",
        )
        for name in ("", ".", "..", "../model", "/model", "a/b", "a\\b", MANIFEST)
    },
    "another file": (lambda f: (f / "model").write_text("height!"), "is not the file that was"),
    "another size": (lambda f: (f / "model").write_text("weight"), "is not the file that was"),
    "digest": (
        lambda f: edit(f, parts={"model": {"size": 7, "sha256": DIGEST}}),
        "model is not the file that was written with manifest.json beside it",
    ),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGED.values(), ids=DAMAGED)
def test_damaged_manifests_and_parts(damage, message, folder):
    damage(folder)
    with pytest.raises(ValueError, match=message):
        manifest.check_parts(folder, ("model",), "a test")
    assert manifest.first_foreign(folder) is not None  # and no file may be deleted


MISSING = {
    "folder": (lambda f: f / "no", "there is no folder .*no: name the folder that a test has"),
    "manifest": (lambda f: (f / MANIFEST).unlink(), "there is no manifest.json .* vouch for it"),
    "part": (lambda f: (f / "settings").unlink(), "there is no settings in .* its manifest lists"),
    "description": (lambda f: (f / "model").unlink(), "there is no model in .*: name the folder"),
}


@pytest.mark.parametrize(("damage", "message"), MISSING.values(), ids=MISSING)
def test_missing_files(damage, message, folder):
    place = damage(folder) or folder
    with pytest.raises(FileNotFoundError, match=message):
        manifest.check_parts(place, ("model", "settings"), "a test")


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_the_first_file_of_someone_else_is_named(folder):
    for name, make in (
        ("z.txt", lambda path: path.write_text("mine")),
        ("n", lambda path: path.mkdir()),
        ("link", lambda path: path.symlink_to(folder / "model")),
        (".model-0123456", lambda path: path.write_text("of another length")),
        (".hidden", lambda path: path.write_text("mine")),
    ):
        make(folder / name)
        assert manifest.first_foreign(folder) == name
    (folder / ".hidden").unlink()
    (folder / ".model-0123456").rename(folder / ".model-01234567")  # of a write that was killed
    assert manifest.first_foreign(folder) == "link"


def test_a_folder_without_a_manifest_is_someone_elses(tmp_path):
    assert manifest.first_foreign(tmp_path) is None
    (tmp_path / "b").touch()
    (tmp_path / "a").touch()
    assert manifest.first_foreign(tmp_path) == "a"


# A part that is added later.


def add(folder, text, **options):
    with manifest.added_part(folder, "inspect.html", **options) as path:
        path.write_text(text)


def test_a_part_is_added_and_replaced(folder):
    for text in ("1", "22"):
        add(folder, text)
        assert (folder / "inspect.html").read_text() == text
        assert manifest.first_foreign(folder) is None
        assert set(manifest.read(folder).parts) == {"model", "settings", "inspect.html"}
    assert not [name for name in os.listdir(folder) if name.startswith(".")]


def test_a_part_replaces_no_file_of_someone_else(folder):
    page = folder / "inspect.html"
    page.write_text("mine")
    for text in ("mine", "changed"):
        with pytest.raises(FileExistsError, match="is not a file that lstmcore wrote, or was chan"):
            add(folder, "1")
        assert page.read_text() == text
        add(folder, "1", force=True)
        page.write_text("changed")


@pytest.mark.parametrize("earlier", [False, True])
def test_killed_while_a_part_is_added_all_files_stay_lstmcores(earlier, folder):
    def prepare():
        for path in folder.iterdir():
            if path.name not in ("model", "settings"):
                path.unlink()
        manifest.write(folder, "a kind", [folder / "model", folder / "settings"])
        if earlier:
            add(folder, "old")

    prepare()
    operations = count(lambda: add(folder, "new"))
    assert operations > 8
    for at in range(operations):
        prepare()
        assert killed(lambda: add(folder, "new"), at)
        assert manifest.first_foreign(folder) is None, at
        manifest.check_parts(folder, ("model", "settings"), "a test")
        add(folder, "again")
        assert (folder / "inspect.html").read_text() == "again"


# Folders of the version before.


def vouch(*folders):
    command = [sys.executable, "-m", "lstmcore.io.manifest", *map(str, folders)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_vouching_for_a_folder_lists_what_loading_needs_and_nothing_else(tmp_path):
    for name in ("detector.json", "model.safetensors", "errors.safetensors", "notes.txt"):
        (tmp_path / name).write_text("{}")
    told = vouch(tmp_path)
    assert told.returncode == 0, told.stderr
    assert told.stdout == f"{tmp_path}: detector.json, model.safetensors, errors.safetensors\n"
    assert manifest.read(tmp_path).kind == "Detector"
    assert manifest.first_foreign(tmp_path) == "notes.txt"
    again = vouch(tmp_path)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr == f"error: there is a manifest.json in {tmp_path} already\n"


@pytest.mark.parametrize(
    ("files", "kind", "message"),
    [
        ({"notes.txt": ""}, FileNotFoundError, "holds none of forecast.json, detector.json"),
        ({"forecast.json": "{}"}, FileNotFoundError, "there is no model.safetensors in"),
        (
            {"forecast.json": '{"sha256": {"model.safetensors": "0"}}', "model.safetensors": ""},
            ValueError,
            "model.safetensors does not belong to forecast.json beside it",
        ),
        ({"forecast.json": "{", "model.safetensors": ""}, ValueError, "forecast.json is damaged"),
    ],
)
def test_folders_that_nobody_can_vouch_for(files, kind, message, tmp_path):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(kind, match=message):
        manifest.vouch(tmp_path)
    assert set(os.listdir(tmp_path)) == set(files)
