"""Faults at any file operation: a killed process, a full disk, a read-only disk.

`count(body)` tells how many operations a body makes; the others let the one with a number, and all
after it, fail. After a kill the world is as a dead process leaves it: no code that cleans up can
change a file any more.
"""

from __future__ import annotations

import builtins
import errno
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

from lstmcore.io import staging

MADE = ("mkdir", "link", "symlink")  # what takes space on a disk
CHANGED = ("rename", "replace", "unlink", "remove", "rmdir", "chmod", "truncate", *MADE)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Killed(BaseException):
    """Stands for kill -9."""


class _Disturbance:
    """Counts operations but for those that are `spared`; from number `at` on they raise `error`."""

    def __init__(self, at: int | None, error: Callable[[], BaseException], spared=()):
        self.at, self.error, self.spared, self.count = at, error, spared, 0

    def step(self, name: str) -> None:
        if name not in self.spared:
            if self.at is not None and self.count >= self.at:
                self.count += 1
                raise self.error()
            self.count += 1


class _File:
    """File that is open for writing; a write that fails has written half of its data."""

    def __init__(self, file, disturbance: _Disturbance):
        self._file, self._disturbance = file, disturbance

    def write(self, data):
        try:
            self._disturbance.step("write")
        except BaseException:
            self._file.write(data[: len(data) // 2])
            self._file.flush()
            raise
        return self._file.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __iter__(self):
        return iter(self._file)

    def __getattr__(self, name):
        return getattr(self._file, name)


@contextmanager
def _disturbed(disturbance: _Disturbance) -> Iterator[None]:
    real_open, real_os_open = builtins.open, os.open

    def opened(file, mode="r", *args, **options):
        if not set(mode) & set("wax+"):
            return real_open(file, mode, *args, **options)
        disturbance.step("open")
        return _File(real_open(file, mode, *args, **options), disturbance)

    def os_opened(path, flags, *args, **options):
        if flags & WRITING:
            disturbance.step("open")
        return real_os_open(path, flags, *args, **options)

    def stepping(name, call):
        def stepped(*args, **options):
            disturbance.step(name)
            return call(*args, **options)

        return stepped

    with (
        mock.patch.multiple(os, **{name: stepping(name, getattr(os, name)) for name in CHANGED}),
        mock.patch.object(os, "open", os_opened),
        mock.patch.object(os, "fsync", stepping("fsync", lambda _: None)),  # it takes long
        mock.patch.object(builtins, "open", opened),
        mock.patch.object(io, "open", opened),
        mock.patch.object(staging, "exchange", stepping("rename", staging.exchange)),
    ):
        yield


def count(body: Callable[[], object]) -> int:
    """Operations on files that `body` makes."""
    disturbance = _Disturbance(None, Killed)
    with _disturbed(disturbance):
        body()
    return disturbance.count


def killed(body: Callable[[], object], at: int) -> bool:
    """Return whether `body` was killed at operation number `at`, from 0; it may need fewer."""
    disturbance = _Disturbance(at, Killed)
    try:
        with _disturbed(disturbance):
            body()
    except Killed:
        return True
    assert disturbance.count <= at, "a kill was caught, as no program can"
    return False


def full_disk(body: Callable[[], object], at: int) -> OSError | ValueError | None:
    """Return what `body` raises if the disk is full from the first operation that takes space."""
    spared = set(CHANGED) - set(MADE) | {"fsync"}
    return _failure(body, _Disturbance(at, lambda: _error(errno.ENOSPC), spared))


def read_only(body: Callable[[], object], at: int) -> OSError | ValueError | None:
    """Return what `body` raises if the file system becomes read-only at some operation."""
    return _failure(body, _Disturbance(at, lambda: _error(errno.EROFS)))


def _failure(body, disturbance: _Disturbance) -> OSError | ValueError | None:
    try:
        with _disturbed(disturbance):
            body()
    except (OSError, ValueError) as error:
        return error
    return None


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
