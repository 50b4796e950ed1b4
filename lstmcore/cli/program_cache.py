"""The cache of compiled programs: a command that runs again does not compile again.

It is the persistent compilation cache of JAX in a folder of the user's. What the user has set for
JAX itself, such as JAX_COMPILATION_CACHE_DIR, is left as it is.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import warnings
from pathlib import Path

CHOSEN = "LSTMCORE_CACHE"  # the variable that names another folder
MOST_BYTES = 500_000_000  # a run of the tutorial takes half a megabyte


def use_program_cache() -> None:
    """Let JAX keep the programs that it compiles; without a folder to keep them in, do nothing."""
    import jax

    config = jax.config
    if config.jax_compilation_cache_dir or not config.jax_enable_compilation_cache:  # type: ignore[attr-defined]
        return
    folder = cache_folder()
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_safe(folder):
            return
        remove_oldest(folder, MOST_BYTES)
    except OSError:  # a home that is read-only, or none
        return
    # A damaged file is compiled anew, and a full disk keeps nothing: no reason to worry anybody.
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
    config.update("jax_compilation_cache_dir", str(folder))
    config.update("jax_persistent_cache_min_compile_time_secs", 0)
    config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def cache_folder() -> Path:
    """Return the folder of the programs for this kind of processor, which may not exist yet."""
    chosen = os.environ.get(CHOSEN)
    if chosen:
        root = Path(chosen)
    else:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lstmcore"
    return root / "programs" / _processor()


def remove_oldest(folder: Path, most: int) -> None:
    """Remove the files that were used longest ago, until the others take at most `most` bytes."""
    files = [(path, path.stat()) for path in folder.iterdir() if path.is_file()]
    total = sum(status.st_size for _, status in files)
    for path, status in sorted(files, key=lambda one: max(one[1].st_atime, one[1].st_mtime)):
        if total <= most:
            return
        path.unlink(missing_ok=True)  # another process may be removing it as well
        total -= status.st_size


def _processor() -> str:
    """Return a digest of what this processor can do: a home may be shared by several computers."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        known = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):  # not Linux
        known = f"{platform.machine()} {platform.processor()}"
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def _is_safe(folder: Path) -> bool:
    """Return whether nobody else can put programs into a folder, which would be run."""
    status = folder.stat()
    is_own = status.st_uid == os.getuid() if hasattr(os, "getuid") else True
    return is_own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
