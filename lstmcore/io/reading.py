"""Open files safely, whatever a path leads to: a pipe, a device, a folder, or nothing."""

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
      FileNotFoundError, IsADirectoryError, OSError: there is no such file, or it cannot be read.
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
    """Return the contents of a regular file of at most `limit` bytes; errors as in `open_file`.

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
def damaged(path: str | os.PathLike, *, states_format: bool = False) -> Iterator[None]:
    """Turn errors about the contents of a file into a ValueError that names the file.

    For code that builds objects out of parsed contents: values of the wrong type, missing names,
    numbers out of range.

    Args:
      path: the file.
      states_format: the file states its format, so that another version is not the likely fault.
    """
    try:
        yield
    except FAULTS as error:
        reason = excerpt(error, 300)
        if isinstance(error, KeyError):
            reason = f"{reason} is missing"
        elif not isinstance(error, TypeError | ValueError):  # their text alone says little
            reason = f"{type(error).__name__} {reason}"
        other = "" if states_format else ", or of another version of lstmcore"
        raise ValueError(f"{os.fspath(path)} is damaged{other}: {reason}") from error
