"""Saving a folder anew where folders cannot be exchanged, and after a process was killed."""

import errno
import io
import os
import shutil
from pathlib import Path

import pytest

from lstmcore.io import reading, staging
from lstmcore.io.saved_folder import saved_folder

PART = "part.txt"


def save(folder, text):
    with saved_folder(folder, "Detector") as place:
        (place / PART).write_text(text)


@pytest.fixture
def folder(tmp_path):
    """A folder that was saved once."""
    save(tmp_path / "saved", "old")
    return tmp_path / "saved"


def no_exchange(*_):
    return False


def test_folders_that_cannot_be_exchanged_are_renamed(folder, monkeypatch):
    monkeypatch.setattr(staging, "exchange", no_exchange)
    save(folder, "new")
    assert (folder / PART).read_text() == "new"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_folder_stays_if_the_new_one_cannot_be_renamed(folder, monkeypatch):
    rename = os.rename

    def fail(source, target):
        if Path(source) == staging.staging_of(folder):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        rename(source, target)

    monkeypatch.setattr(staging, "exchange", no_exchange)
    monkeypatch.setattr(os, "rename", fail)
    with pytest.raises(OSError, match="Input/output"):
        save(folder, "new")
    assert (folder / PART).read_text() == "old"
    assert list(folder.parent.iterdir()) == [folder]


def test_an_old_folder_that_cannot_be_deleted_is_named(folder, monkeypatch):
    def fail(*_):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(staging, "discard", fail)
    with pytest.warns(UserWarning, match=r"cannot be deleted: Input/output error"):
        save(folder, "new")
    assert (folder / PART).read_text() == "new"


@pytest.mark.parametrize("has_both", [False, True])
def test_saving_recovers_what_a_killed_process_left(has_both, folder):
    """It had moved the old folder away, and perhaps the new one into its place."""
    if has_both:
        shutil.copytree(folder, staging.previous_of(folder))
    else:
        folder.rename(staging.previous_of(folder))
    save(folder, "new")
    assert (folder / PART).read_text() == "new"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_file_that_changes_while_it_is_read(monkeypatch):
    monkeypatch.setattr(reading, "open_file", lambda _: (io.BytesIO(b"longer"), 5))
    with pytest.raises(ValueError, match="was changed while it was read: read it again"):
        reading.read_bytes("settings.json", 100)
