"""Places in the file system where a folder cannot be exchanged for another."""

from __future__ import annotations

import os
import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")  # of Linux


def obstacle(folder: Path) -> str | None:
    """Return why a folder cannot be made, or exchanged for another; None if it can.

    Args:
      folder: an absolute path without links; it need not exist.
    """
    if folder.is_dir():
        if folder == Path.cwd():
            return "the folder you are in"
        if os.path.ismount(folder) or folder in _mounts():
            return "a file system is mounted there"
    elif os.path.lexists(folder):
        return "it is no folder"
    above = next(parent for parent in folder.parents if os.path.lexists(parent))
    if not above.is_dir():
        return f"{above} is no folder"
    if not os.access(above, os.W_OK | os.X_OK):
        return f"{above} may not be written to"
    return None


def _mounts() -> set[Path]:
    """Return the mount points, bind mounts included, which share the device of their source."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return set()
    escaped = (line.split(" ")[4] for line in lines if line.count(" ") >= 5)
    return {Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), at)) for at in escaped}
