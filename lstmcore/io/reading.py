"""Opening files that may be anything: a pipe, a device, a folder, or gone a moment later."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader

from lstmcore.formatting import excerpt

FAULTS = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

__all__ = ["damaged", "open_file", "read_bytes"]


def open_file(path: str | os.PathLike) -> tuple[BufferedReader, int]:
    """Open a regular file for reading; return it and its size in bytes.

    Nothing else is opened: a pipe would wait for a writer, and a device may never end.

    Raises:
      FileNotFoundError, IsADirectoryError, OSError: there is no such file, or no way to read it.
      ValueError: it is a pipe, a socket or a device, or a path that no file can have.
    """
    path = os.fspath(path)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except ValueError as error:  # a null byte or a surrogate
        raise ValueError(f"{path!r} cannot be the name of a file: {error}") from None
    _check_regular(path, mode)
    file = open(os.open(path, flags), "rb")  # noqa: SIM115 (the caller closes it)
    try:
        status = os.fstat(file.fileno())
        _check_regular(path, status.st_mode)  # again: it may have been replaced in between
    except BaseException:
        file.close()
        raise
    return file, status.st_size


def read_bytes(path: str | os.PathLike, limit: int) -> bytes:
    """The contents of a regular file of at most `limit` bytes; errors as in `open_file`.

    Raises:
      ValueError: it is larger, or it changed while it was read.
    """
    file, size = open_file(path)
    with file:
        if size > limit:
            raise ValueError(f"{path} is too large: {size:,} bytes, expected at most {limit:,}")
        data = file.read(size + 1)
    if len(data) != size:
        raise ValueError(f"{path} was changed while it was read: read it again")
    return data


def _check_regular(path: str | os.PathLike, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{os.fspath(path)} is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise ValueError(f"{os.fspath(path)} is a pipe or a device: give the path of a file")


@contextmanager
def damaged(path: str | os.PathLike) -> Iterator[None]:
    """Turn what fails about the contents of a file into a ValueError that names the file.

    For code that builds objects out of parsed contents: wrong kinds, names that are missing,
    numbers out of range.
    """
    try:
        yield
    except FAULTS as error:
        reason = excerpt(error, 300)
        if not isinstance(error, TypeError | ValueError):  # their text alone says little: "'units'"
            reason = f"{type(error).__name__} {reason}"
        raise ValueError(
            f"{os.fspath(path)} is damaged, or of another version of lstmcore: {reason}"
        ) from error
