"""Write a file in one step: under a temporary name, on the disk, then renamed.

A killed process or a power cut leaves the old file or the new one, never half of one. It may also
leave the temporary file, whose name starts with a dot; `is_leftover` recognises it.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TOKEN = 8  # random characters in a temporary name
PRIVATE, ANYONE = 0o600, 0o666  # permissions; the umask restricts the second


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` on success, else remove it.

    A link stays a link: the file that it leads to is replaced. The new file has the permissions of
    the one that it replaces, or else those that the umask allows.

    Raises:
      OSError: `path` is a folder, a device or anything else but a file, or cannot be written.
    """
    path = Path(os.path.realpath(path))
    with temporary_path(path) as temporary:
        yield temporary
        flush(temporary)  # or a power cut could leave the new name on an empty file
        if (mode := _mode(path)) is not None:
            temporary.chmod(mode)
        os.replace(temporary, path)
    flush_folder(path.parent)


@contextmanager
def temporary_path(path: str | os.PathLike) -> Iterator[Path]:
    """Yield an empty file beside `path`, with the same suffix, and remove it at the end.

    If a file `path` exists, only its owner may read the new one meanwhile: that one may be private.

    Raises:
      OSError: as `atomic_path`.
    """
    path = Path(os.path.realpath(path))
    mode = ANYONE if _mode(path) is None else PRIVATE
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex[:TOKEN]}{path.suffix}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, mode))
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def is_leftover(name: str, of: str) -> bool:
    """Return whether a file called `name` is a temporary one for a file called `of`.

    It may also be a temporary one for a temporary one, where a function that writes atomically was
    given a path from `atomic_path`.
    """
    suffix = re.escape(Path(of).suffix)
    pattern = rf"\.+{re.escape(of)}(-[0-9a-f]{{{TOKEN}}}{suffix})+"
    return re.fullmatch(pattern, name) is not None


def remove_leftovers(path: str | os.PathLike) -> None:
    """Remove the temporary files for `path` that killed processes left, and nothing else."""
    path = Path(os.path.realpath(path))
    if path.parent.is_dir():
        for file in path.parent.iterdir():
            if is_leftover(file.name, path.name):
                file.unlink(missing_ok=True)


def flush(path: Path) -> None:
    """Wait until a file is on the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def flush_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can do that."""
    if os.name == "nt":
        return
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder may be written to without being listed
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def _mode(path: Path) -> int | None:
    """Return the permissions of a file that is to be replaced; None if there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, f"{path} is a folder: name a file in it")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"{path} is not a regular file and cannot be replaced")
    return stat.S_IMODE(found.st_mode)
