"""The cache of compiled programs: a command that runs again does not compile again.

JAX's own cache on disk writes its files in place. Another process may read half of one, a kill
leaves one that is never replaced, and damage is noticed only by some of its compressions: what
passes is linked and run, and may end the process. So JAX is given the cache of this module, whose
files appear in one step and carry a digest of their contents.
"""

from __future__ import annotations

import hashlib
import os
import platform
import stat
import sys
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from lstmcore.io.atomic import temporary_path
from lstmcore.io.locks import BusyError, lock

CHOSEN = "LSTMCORE_CACHE"  # the variable that names another folder
MOST_BYTES = 100_000_000  # of all programs together; a run of the tutorial takes half a megabyte
DIGEST = 32  # bytes of SHA-256, in front of each program
LINKED = "/jax/compilation_cache/cache_hits"  # JAX's event after a program was read and linked
PROGRAM, SIGN = ".program", ".process"  # suffixes of the files
DIED, UNUSABLE = "died", "unusable"


@contextmanager
def program_cache() -> Iterator[None]:
    """Let JAX keep the programs that it compiles, and read those of earlier runs.

    Nothing happens without a folder to keep them in, or if the user has set JAX's own cache, or
    switched it off.
    """
    import jax

    config: Any = jax.config
    cache = None
    if config.jax_enable_compilation_cache and not config.jax_compilation_cache_dir:
        with suppress(OSError, RuntimeError, BusyError):  # a home that is read-only, or none
            root = cache_folder()
            cache = ProgramCache(root / f"jax-{jax.__version__}-{_processor()}")
    if cache is None:
        yield
        return
    try:
        with used(cache), warnings.catch_warnings():
            # A program that is refused is compiled anew, which is no reason to worry anybody.
            warnings.filterwarnings("ignore", "Error reading persistent compilation cache")
            yield
    finally:
        cache.close()
        if cache.wrote:
            remove_oldest(root, MOST_BYTES)


@contextmanager
def used(cache: ProgramCache) -> Iterator[None]:
    """Let JAX use this cache, unless it uses one already."""
    import jax

    # No public function of JAX takes a cache. If a later version has not this private name either,
    # each run compiles anew, and a test fails.
    try:
        from jax._src import compilation_cache
    except ImportError:
        compilation_cache = None  # type: ignore[assignment]
    if getattr(compilation_cache, "_cache", cache) is not None:
        yield
        return
    least = jax.config.jax_persistent_cache_min_compile_time_secs  # type: ignore[attr-defined]
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.monitoring.register_event_listener(cache.hear)
    compilation_cache._cache = cache  # type: ignore[assignment]
    try:
        yield
    finally:
        compilation_cache._cache = None
        jax.monitoring.unregister_event_listener(cache.hear)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", least)


def cache_folder() -> Path:
    """Return the folder of the programs, which may not exist yet.

    Raises:
      RuntimeError: there is no home folder, or it is not absolute.
    """
    if chosen := os.environ.get(CHOSEN):
        return Path(chosen) / "programs"
    if sys.platform == "win32":
        base, usual = os.environ.get("LOCALAPPDATA", ""), "AppData/Local"
    elif sys.platform == "darwin":
        base, usual = "", "Library/Caches"
    else:
        base, usual = os.environ.get("XDG_CACHE_HOME", ""), ".cache"
    above = Path(base) if os.path.isabs(base) else Path.home() / usual
    if not above.is_absolute():
        raise RuntimeError(f"the home folder {Path.home()} is relative: it may be any")
    return above / "lstmcore" / "programs"


class ProgramCache:
    """The programs of one version of JAX on one kind of processor; JAX calls `get` and `put`.

    Each process has a locked file there, which is empty except while a program is read and linked.
    If the process dies at that moment, the file stays, and the system releases the lock: the next
    process removes all programs. After a second death without a run in between that read programs
    and ended well, or if JAX refuses a program that is undamaged, the folder is not used any more,
    until it is removed.

    Args:
      folder: made if it is missing.

    Attributes:
      wrote: whether a program was written.

    Raises:
      OSError: the folder cannot be written to, or may be written to by others, or its files
        cannot be locked.
      BusyError: another process has just locked the file of this one.
    """

    def __init__(self, folder: Path) -> None:
        self._path = self.folder = folder  # JAX logs the first name
        self.wrote = False
        self._served: set[str] = set()
        for each in (*reversed(folder.parents), folder):
            each.mkdir(mode=0o700, exist_ok=True)  # `parents=True` would leave those to the umask
        if not _is_safe(folder):
            raise PermissionError(f"{folder} may be written to by others")
        self._sign = folder / f"{uuid.uuid4().hex}{SIGN}"
        self._descriptor = os.open(self._sign, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        if not lock(self._descriptor) and sys.platform != "win32":
            self.close()
            raise OSError(f"{folder} has no locks, which tell the living from the dead")
        deaths = [self._died_here(sign) for sign in folder.glob(f"*{SIGN}") if sign != self._sign]
        if any(deaths):
            once = folder / DIED
            (folder / UNUSABLE if once.exists() else once).touch()
            for path in folder.glob(f"*{PROGRAM}"):
                path.unlink(missing_ok=True)
        self.is_usable = not (folder / UNUSABLE).exists()

    def get(self, key: str) -> bytes | None:
        """Return a program as it was put; None if there is none, or if it was damaged since."""
        path = self._file(key)
        try:
            kept = path.read_bytes() if self.is_usable else b""
            value = kept[DIGEST:]
            if hashlib.sha256(value).digest() != kept[:DIGEST]:
                raise OSError("damaged")  # and `put` replaces it
            os.utime(path)  # those used longest ago are removed first
            os.write(self._descriptor, b"reading")
        except OSError:
            self._served.discard(key)  # what is compiled now was not refused
            return None
        self._served.add(key)
        return value

    def put(self, key: str, value: bytes) -> None:
        """Keep a program, if there is room on the disk."""
        self.end_reading()
        with suppress(OSError):
            if key in self._served:  # and refused, or JAX would not have compiled it
                self.is_usable = False
                (self.folder / UNUSABLE).touch()
            if self.is_usable:
                with temporary_path(self._file(key)) as temporary:
                    temporary.write_bytes(hashlib.sha256(value).digest() + value)
                    os.replace(temporary, self._file(key))
                self.wrote = True

    def hear(self, event: str, **_: Any) -> None:
        """Note the event of JAX that says that a program was read and linked."""
        if event == LINKED:
            self.end_reading()

    def end_reading(self) -> None:
        """Take back the sign that a program is being read."""
        with suppress(OSError):
            os.ftruncate(self._descriptor, 0)

    def close(self) -> None:
        """Remove the file of this process, and the mark of an earlier death if all went well."""
        with suppress(OSError):
            os.close(self._descriptor)
            self._sign.unlink(missing_ok=True)
            if self._served and self.is_usable:
                (self.folder / DIED).unlink(missing_ok=True)

    def _died_here(self, sign: Path) -> bool:
        """Remove the sign of a process that is no more, and return whether it died reading."""
        with suppress(BusyError, OSError):  # its process lives, or another one was faster
            descriptor = os.open(sign, os.O_RDWR)
            try:
                lock(descriptor)
                died_here = os.fstat(descriptor).st_size > 0
            finally:
                os.close(descriptor)
            sign.unlink()  # Windows, which has no such locks, refuses it if the process lives
            return died_here
        return False

    def _file(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}{PROGRAM}"


def remove_oldest(root: Path, most: int) -> None:
    """Remove the programs that were used longest ago, until the others take at most `most` bytes.

    Those of other versions of JAX, which are not used any more, are the first to go.
    """
    with suppress(OSError):
        files = [(path.stat(), path) for path in root.rglob(f"*{PROGRAM}")]
        total = sum(status.st_size for status, _ in files)
        for status, path in sorted(files, key=lambda one: one[0].st_mtime):
            if total <= most:
                return
            path.unlink(missing_ok=True)  # another process may be removing it as well
            total -= status.st_size


def _processor() -> str:
    """Return a digest of what this processor can do: a home may be shared by several computers."""
    try:
        with open("/proc/cpuinfo") as lines:  # the first core's alone, of hundreds
            known = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):  # not Linux
        known = f"{platform.machine()} {platform.processor()}"
    return hashlib.sha256(known.encode()).hexdigest()[:12]


def _is_safe(folder: Path) -> bool:
    """Return whether nobody else can put programs into a folder, which would be run."""
    status = folder.stat()
    is_own = status.st_uid == os.getuid() if hasattr(os, "getuid") else True
    return is_own and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
