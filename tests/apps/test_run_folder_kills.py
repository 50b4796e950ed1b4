"""An output folder holds the old run whole or the new run whole, whatever happens and whenever.

Every operation on files of a run is one at which it is killed, or from which the disk is full or
read-only: not a sample of them.
"""

import os
import shutil
from functools import partial
from pathlib import Path

import pytest
from disturbances import count, full_disk, killed, read_only

from lstmcore.apps import run_folder
from lstmcore.io import manifest, staging
from lstmcore.io.manifest import MANIFEST, MARKER

pytestmark = pytest.mark.thorough

KIND = "lstmcore fit"
OLD = {"settings.json": "{}", "checkpoint.safetensors": "old", "model.safetensors": "old", "a": "1"}
NEW = {"settings.json": "{}", "checkpoint.safetensors": "new", "model.safetensors": "new", "b": "2"}
FOREIGN = {"thesis.txt": "years of work", "unfinished/thesis.txt": "more of them"}


def begin(folder, files, *, resume=False, force=False, warn=None):
    """A run that writes `files`, the settings first, as the commands do."""
    output = run_folder.choose_folder(folder, "lstmcore-run", KIND, resume=resume, force=force)
    with output.open(warn or pytest.fail) as place:
        run_folder.record_settings(place, {})
        for name, text in files.items():
            if name != "settings.json":
                with run_folder.atomic_path(place / name) as temporary:
                    temporary.write_text(text)


def interrupt(folder, files, **options):
    """A run that is stopped once it has written `files`."""

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(staging.Staging, "publish", stop)
        with pytest.raises(KeyboardInterrupt):
            begin(folder, files, **options)


def contents(folder: Path) -> dict[str, str] | None:
    """The results in a folder; None if there is no folder, or nothing in it."""
    if not folder.exists() or staging.is_empty(folder):
        return None
    return {p.name: p.read_text() for p in folder.iterdir() if p.name not in (MANIFEST, MARKER)}


def is_whole(folder: Path) -> bool:
    parts = manifest.read(folder).parts
    return manifest.first_foreign(folder) is None and all((folder / p).is_file() for p in parts)


def without_settings(files):
    return files and {name: text for name, text in files.items() if name != "settings.json"}


# How the output folder stands before the run, and how the run is asked for.


def nothing(folder):
    pass


def empty(folder):
    folder.mkdir()


def earlier(folder):
    begin(folder, OLD)


def stopped(folder):
    interrupt(folder, OLD)


def stopped_beside_earlier(folder):
    begin(folder, OLD)
    interrupt(folder, NEW, force=True)


SCENES = {  # and whether the system can exchange two folders in one step
    "new": (nothing, {}, True),
    "empty": (empty, {}, True),
    "replaced": (earlier, {"force": True}, True),
    "replaced by two renames": (earlier, {"force": True}, False),
    "trained for longer": (earlier, {"resume": True}, True),
    "resumed": (stopped, {"resume": True}, True),
    "resumed beside an earlier run": (stopped_beside_earlier, {"resume": True}, True),
    "begun anew by two renames": (stopped_beside_earlier, {"force": True}, False),
}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    """For the disk, which takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(params=SCENES)
def scene(request, tmp_path, monkeypatch):
    """(a function that makes a place with an output folder in it, options, can exchange)."""
    prepare, options, can_exchange = SCENES[request.param]
    if not can_exchange:
        monkeypatch.setattr(staging, "exchange", lambda *_: False)
    original = tmp_path / "original"
    for name, text in FOREIGN.items():
        (original / name).parent.mkdir(exist_ok=True, parents=True)
        (original / name).write_text(text)
    prepare(original / "run")

    def copy(name: str) -> Path:
        shutil.rmtree(tmp_path / name, ignore_errors=True)
        return shutil.copytree(original, tmp_path / name, symlinks=True) / "run"

    return copy, options, can_exchange


def check_next_run(folder: Path, options: dict) -> None:
    """The next command works, leaves the new run and nothing else."""
    begin(folder, NEW, **(options or {"force": True}))
    assert without_settings(contents(folder)) == without_settings(NEW)
    assert is_whole(folder)
    check_foreign(folder.parent, hidden=False)


def check_foreign(place: Path, *, hidden: bool) -> None:
    for name, text in FOREIGN.items():
        assert (place / name).read_text() == text
    others = {path.name for path in place.iterdir()} - {"thesis.txt", "unfinished", "run"}
    assert not others or (hidden and all(name.startswith(".run.lstmcore-") for name in others))


def test_killed_at_every_operation(scene):
    copy, options, can_exchange = scene
    run = partial(begin, files=NEW, **options)
    operations = count(partial(run, copy("counted")))
    assert operations > 30
    old = without_settings(contents(copy("before")))
    seen = set()
    for at in range(operations):
        folder = copy("killed")
        assert killed(partial(run, folder), at)
        now = without_settings(contents(folder))
        was_renamed = staging.previous_of(folder).exists() and not can_exchange
        assert now in (old, without_settings(NEW)) or (was_renamed and now is None), at
        assert now is None or is_whole(folder)
        check_foreign(folder.parent, hidden=True)
        seen.add(str(now))
        again = shutil.copytree(folder.parent, folder.parent.with_name("again"))
        check_next_run(folder, {"force": True})
        check_next_run(again / "run", {"resume": True})
        shutil.rmtree(again)
    assert len(seen) > 1  # kills before and after the moment that counts


@pytest.mark.parametrize("disturb", [full_disk, read_only])
def test_a_full_or_read_only_disk_at_every_operation(disturb, scene):
    copy, options, can_exchange = scene
    run = partial(begin, files=NEW, warn=lambda _: None, **options)
    operations = count(partial(run, copy("counted")))
    old, failures = without_settings(contents(copy("before"))), 0
    for at in range(operations):
        folder = copy("disturbed")
        error = disturb(partial(run, folder), at)
        now = without_settings(contents(folder))
        was_renamed = staging.previous_of(folder).exists() and not can_exchange
        assert now in (old, without_settings(NEW)) or (was_renamed and now is None), at
        assert now is None or is_whole(folder)
        failures += error is not None
        check_foreign(folder.parent, hidden=True)
        check_next_run(folder, {"force": True})
    assert failures > 10
