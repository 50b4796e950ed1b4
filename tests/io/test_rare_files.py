"""Reading and writing where a file system, or what a file holds, is unusual."""

import errno
import os
import sys

import numpy as np
import pytest

from lstmcore.io import atomic, exchange, manifest, places
from lstmcore.io.description import read_description, read_history, write_description
from lstmcore.io.json_text import parse_json
from lstmcore.io.locks import BusyError, lock
from lstmcore.io.saved_folder import saved_folder
from lstmcore.io.tensors import open_tensors, try_tensors, write_tensors


def test_json_that_is_no_text():
    with pytest.raises(TypeError, match="what is sent must be text, got list"):
        parse_json([], "what is sent")


@pytest.mark.parametrize(
    "stored", [{"loss": [1.0, 2.0], "validation": [1.0]}, {"loss": [[1.0]]}, {"loss": 1.0}]
)
def test_a_history_that_is_not_one_number_for_each_epoch(stored):
    with pytest.raises(ValueError, match="history is not one number for each epoch"):
        read_history(stored)


def test_a_description_of_a_later_format(tmp_path):
    path = tmp_path / "settings.json"
    write_description(path, {"format": 99})
    with pytest.raises(ValueError, match="it has format 99, expected 1"):
        read_description(path, dict)


def test_tensors_with_metadata_that_is_not_ours(tmp_path):
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"w": np.zeros(2)}, {"lstmcore": "{}", "extra": "1"})
    with (
        open_tensors(path) as file,
        pytest.raises(ValueError, match="its metadata also holds 'extra'"),
    ):
        file.description("lstmcore", "is no model")


def test_a_trial_of_writing_leaves_nothing(tmp_path):
    path = tmp_path / "a.safetensors"
    try_tensors(path, {"w": np.zeros(2)}, {})
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="No such file"):
        try_tensors(tmp_path / "none" / "a.safetensors", {"w": np.zeros(2)}, {})


def test_a_file_is_no_folder_to_save_into(tmp_path):
    (tmp_path / "file").write_text("mine")
    with (
        pytest.raises(NotADirectoryError, match="it is not a folder"),
        saved_folder(tmp_path / "file", "Detector"),
    ):
        pass
    assert (tmp_path / "file").read_text() == "mine"


def test_vouching_needs_a_folder(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["manifest"])
    with pytest.raises(SystemExit, match="usage: python -m lstmcore"):
        manifest.main()


def test_leftovers_of_a_folder_that_is_gone(tmp_path):
    atomic.remove_leftovers(tmp_path / "none" / "model.safetensors")
    assert not list(tmp_path.iterdir())


# File systems that cannot do everything.


def failing(code: int):
    def call(*_, **__):
        raise OSError(code, os.strerror(code))

    return call


def test_a_folder_that_may_be_written_to_but_not_listed(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    atomic.flush_folder(tmp_path)


@pytest.mark.parametrize("code", [errno.EINVAL, errno.EIO])
def test_a_folder_that_cannot_be_flushed(code, tmp_path, monkeypatch):
    monkeypatch.setattr(os, "fsync", failing(code))
    if code == errno.EINVAL:  # a file system without it
        atomic.flush_folder(tmp_path)
    else:
        with pytest.raises(OSError, match="Input/output"):
            atomic.flush_folder(tmp_path)


def test_files_are_saved_where_there_are_no_locks(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOLCK))
    with saved_folder(tmp_path / "saved", "Detector") as place:
        (place / "part.txt").write_text("new")
    assert (tmp_path / "saved" / "part.txt").read_text() == "new"


def test_a_file_that_is_locked_twice(tmp_path):
    pytest.importorskip("fcntl")
    descriptors = [os.open(tmp_path, os.O_RDONLY) for _ in range(2)]
    try:
        lock(descriptors[0])
        with pytest.raises(BusyError, match="another process holds it"):
            lock(descriptors[1])
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def test_mounts_where_the_system_lists_none(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "MOUNTS", tmp_path / "none")
    assert places.obstacle(tmp_path) is None


def test_exchanging_folders_of_which_one_is_missing(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="No such file"):
        exchange.exchange(tmp_path / "a", tmp_path / "b")


def test_systems_that_cannot_exchange_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "platform", "other")
    assert not exchange.exchange(tmp_path, tmp_path)
