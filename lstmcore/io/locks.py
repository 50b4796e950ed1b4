"""Keep a file or a folder to one process; the system releases it if that process is killed.

Windows and some network drives have no such locks; nothing is locked there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class BusyError(ValueError):
    """Another process holds the lock."""


def lock(descriptor: int) -> bool:
    """Lock the file or folder that is open as `descriptor`, until it is closed.

    Returns:
      Whether it is locked: False where there are no locks.

    Raises:
      BusyError: another process, or this one under another descriptor, has locked it.
    """
    if fcntl is None:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BusyError("another process holds it") from None
    except OSError:  # a file system without locks
        return False
    return True


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Keep `path` to this process, whether the file exists or not.

    The lock is a hidden file beside it, as the file itself is replaced whenever it is written. It
    is removed at the end, if it is still empty; a killed process leaves it, unlocked. Nothing is
    locked where no file can be made.

    Raises:
      BusyError: another process keeps it.
    """
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.lock")
    descriptor = None
    while fcntl is not None and descriptor is None:
        try:
            descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError:
            break
        try:
            lock(descriptor)
        except BusyError:
            os.close(descriptor)
            raise
        if not _is_same(beside, descriptor):  # its owner has removed it meanwhile
            os.close(descriptor)
            descriptor = None
    try:
        yield
    finally:
        if descriptor is not None:
            with suppress(OSError):
                if os.fstat(descriptor).st_size == 0:  # or it is someone else's
                    beside.unlink()
            os.close(descriptor)


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False
