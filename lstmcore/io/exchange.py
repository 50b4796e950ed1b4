"""Exchange two paths in one step, where the system can do that."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from pathlib import Path

AT_FDCWD = -100  # Linux: relative paths begin in the current folder
RENAME_EXCHANGE = 2  # Linux
RENAME_SWAP = 2  # macOS
UNSUPPORTED = (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP)  # by the kernel, or by the file system


def exchange(first: Path, second: Path) -> bool:
    """Exchange the files or folders at two paths of one file system, in one step.

    Returns:
      True; False if the system does not support it, and nothing has changed.

    Raises:
      OSError: the system supports it, but not for these two.
    """
    names = os.fsencode(first), os.fsencode(second)
    try:
        if sys.platform == "linux":
            system = ctypes.CDLL(None, use_errno=True)
            failed = system.renameat2(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
        elif sys.platform == "darwin":
            system = ctypes.CDLL(None, use_errno=True)
            failed = system.renamex_np(*names, RENAME_SWAP)
        else:
            return False
    except AttributeError:  # a C library without the function
        return False
    if not failed:
        return True
    number = ctypes.get_errno()
    if number in UNSUPPORTED:
        return False
    raise OSError(number, os.strerror(number), str(first), None, str(second))
