"""Write a folder completely or not at all: write beside it, then exchange the two.

The files of `results` are written to `.results.lstmcore-unfinished` beside it, which holds a marker
file. Once they are complete and on the disk, with a manifest, the two folders are exchanged in one
step, and the old one is deleted. A process may be killed at any point:

| `results` | `.results.lstmcore-unfinished` | the next process |
|---|---|---|
| old, or none | new, with the marker | continues it, or begins anew |
| new, with the marker | old, without | removes the marker and deletes the old folder |

Where the system cannot exchange folders, the old one is renamed to `.results.lstmcore-previous`
first, and the next process restores it.

Only files that a manifest lists are deleted, and only if they are unchanged.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from lstmcore.formatting import excerpt
from lstmcore.io import manifest
from lstmcore.io.atomic import flush, flush_folder
from lstmcore.io.exchange import exchange
from lstmcore.io.locks import BusyError, lock
from lstmcore.io.manifest import MANIFEST, MARKER

CHECKPOINT = "checkpoint.safetensors"  # of a run that has not ended
NOTE = "lstmcore works in this folder, and moves and deletes it: put nothing of your own here.\n"


class Staging:
    """The staging folder of a folder, locked by this process; `claimed` makes one.

    Attributes:
      folder: the folder that it is to replace.
      path: where to write.
    """

    def __init__(self, folder: Path, warn: Callable[[str], object], held: ExitStack):
        self.folder, self.path = folder, staging_of(folder)
        self._warn, self._held = warn, held

    @property
    def is_complete(self) -> bool:
        """Return whether all files are written, and only `folder` remains to be replaced."""
        return (self.path / MANIFEST).exists()

    def clear(self, keep: Collection[str] = ()) -> None:
        """Delete the files of an earlier process, except those named in `keep`.

        Raises:
          FileExistsError: there is a folder or a link, which lstmcore did not make.
        """
        for path in sorted(self.path.iterdir(), key=lambda path: path.name != MANIFEST):
            if not is_file(path):
                raise FileExistsError(f"lstmcore did not make {path}: move it to another place")
            if path.name not in (MARKER, *keep):
                path.unlink()

    def abandon(self) -> None:
        """Delete the staging folder; files that are not lstmcore's or cannot be deleted stay."""
        if not (self.path / MARKER).exists():  # it has been published already
            return
        with suppress(OSError):
            self.clear()
            (self.path / MARKER).unlink()
            self.path.rmdir()

    def publish(self, kind: str) -> None:
        """Write the manifest and replace `folder`.

        Args:
          kind: see `manifest.Manifest`.

        Raises:
          OSError: the disk is full, or `folder` was changed meanwhile.
        """
        for path in self.path.iterdir():
            if path.name.startswith(".") and path.name != MARKER and is_file(path):
                path.unlink()  # temporary files and locks of processes that were killed
        parts = [path for path in visible(self.path) if path.name != MANIFEST]
        for path in parts:
            flush(path)
        manifest.write(self.path, kind, parts)
        replaced = self._take_place()
        flush_folder(self.folder.parent)
        (self.folder / MARKER).unlink()
        if replaced is not None:
            try:
                discard(replaced, self.folder, self._warn)
            except OSError as error:
                self._warn(f"the earlier results in {replaced} cannot be deleted: {error.strerror}")

    def _take_place(self) -> Path | None:
        """Move the staging folder to `folder`; return the path of the folder that it replaced."""
        if not self.folder.exists() or is_empty(self.folder):
            if os.name == "nt" and self.folder.exists():
                self.folder.rmdir()
            os.rename(self.path, self.folder)
            return None
        if (foreign := manifest.first_foreign(self.folder)) is not None:
            raise FileExistsError(
                errno.EEXIST, f"{foreign} has appeared there, or was changed, meanwhile"
            )
        _keep_modes(self.folder, self.path)
        _lock(self.folder, self._held)  # or another process might begin in the old folder
        if exchange(self.path, self.folder):
            return self.path
        previous = previous_of(self.folder)
        os.rename(self.folder, previous)
        try:
            os.rename(self.path, self.folder)
        except OSError:
            os.rename(previous, self.folder)
            raise
        return previous


@contextmanager
def claimed(folder: Path, warn: Callable[[str], object] = warnings.warn) -> Iterator[Staging]:
    """Make the staging folder of `folder` and lock it against other processes.

    What a killed process has left is recovered first.

    Args:
      folder: an absolute path, which need not exist.
      warn: called with a sentence where something of the user's had to be moved.

    Raises:
      BusyError: another process holds it.
      FileExistsError: something else has the name of the staging folder.
      OSError: it cannot be made.
    """
    path = staging_of(folder)
    with ExitStack() as held:
        while True:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileExistsError):
                path.mkdir()
            _check_ours(path)
            attempt = held.enter_context(ExitStack())
            if not _lock(path, attempt):
                attempt.close()
                continue  # another process has moved or deleted it
            if (path / MARKER).exists() or is_empty(path):
                break
            discard(path, folder, warn)
            attempt.close()
        _recover(folder, warn)
        if folder.exists():  # its permissions may be restricted
            path.chmod(stat.S_IMODE(folder.stat().st_mode))
        (path / MARKER).write_text(NOTE, encoding="utf-8")
        staging = Staging(folder, warn, held)
        try:
            yield staging
        finally:
            if path.exists() and not visible(path):
                staging.abandon()


def discard(old: Path, folder: Path, warn: Callable[[str], object]) -> None:
    """Delete the folder that `folder` has replaced, if all its files are lstmcore's.

    Otherwise the whole folder is kept, under a name that is not hidden.

    Raises:
      OSError: it cannot be deleted.
    """
    if (foreign := manifest.first_foreign(old)) is not None:
        kept = _free(folder.with_name(f"{folder.name}-replaced"))
        os.rename(old, kept)
        warn(f"{kept} keeps what {folder} was before: lstmcore did not write {foreign} in it")
        return
    for path in sorted(old.iterdir(), key=lambda path: path.name == MANIFEST):
        path.unlink()  # the manifest last: until then it shows that the others may be deleted
    old.rmdir()


def staging_of(folder: Path) -> Path:
    """Return the path of the staging folder of `folder`."""
    return folder.with_name(f".{folder.name}.lstmcore-unfinished")


def resolved(folder: str | os.PathLike) -> Path:
    """Return the absolute path of `folder`, without links, which need not exist.

    Raises:
      OSError: its name, or that of its staging folder, is too long; or links form a circle.
    """
    try:
        path = Path(folder).resolve()
        if path.name:  # the root has none
            with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                staging_of(path).joinpath(MARKER).lstat()
    except (OSError, RuntimeError) as error:  # RuntimeError: a circle, before Python 3.13
        number = getattr(error, "errno", None) or errno.ELOOP
        raise OSError(
            f"cannot write to the folder {excerpt(folder, 200)} ({os.strerror(number)}): name "
            "another"
        ) from error
    return path


def previous_of(folder: Path) -> Path:
    """Return the path at which an old folder waits where the system cannot exchange folders."""
    return folder.with_name(f".{folder.name}.lstmcore-previous")


def is_claimed(folder: Path) -> bool:
    """Return whether another process writes to `folder`."""
    path = staging_of(folder)
    if not path.is_dir():
        return False
    with ExitStack() as held:
        try:
            _lock(path, held)
        except BusyError:
            return True
    return False


def is_file(path: Path) -> bool:
    """Return whether a path is a regular file, and not a link to one."""
    return stat.S_ISREG(path.lstat().st_mode)


def is_empty(folder: Path) -> bool:
    """Return whether a folder holds nothing, not even a hidden file."""
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def visible(folder: Path) -> list[Path]:
    """Return the files of a folder that are not hidden, sorted."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _recover(folder: Path, warn: Callable[[str], object]) -> None:
    """Finish the work of a process that was killed while it published a folder."""
    previous = previous_of(folder)
    if not previous.is_symlink() and _has_manifest(previous):
        if folder.exists():
            discard(previous, folder, warn)
        else:
            os.rename(previous, folder)
    if (folder / MARKER).exists() and (folder / MANIFEST).exists():
        (folder / MARKER).unlink()


def _keep_modes(old: Path, new: Path) -> None:
    """Give new files the permissions of the old ones, so that nobody else can read them."""
    for path in visible(new):
        if (old / path.name).exists():
            path.chmod(stat.S_IMODE((old / path.name).stat().st_mode))


def _check_ours(path: Path) -> None:
    """Raise FileExistsError unless a folder with a staging name is empty or lstmcore's."""
    if path.is_symlink() or not path.is_dir():
        raise FileExistsError(f"{path} is in the way, and lstmcore did not make it: move it")
    if not is_empty(path) and not (path / MARKER).exists() and not _has_manifest(path):
        raise FileExistsError(
            f"the folder {path} is in the way, and lstmcore did not make it: move it"
        )


def _has_manifest(folder: Path) -> bool:
    try:
        manifest.read(folder)
    except (OSError, ValueError):
        return False
    return True


def _lock(folder: Path, held: ExitStack) -> bool:
    """Lock a folder until `held` is closed; return False if it no longer exists.

    Raises:
      BusyError: another process holds it.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    except OSError:  # it may be unreadable; and Windows does not open folders
        return True
    held.callback(os.close, descriptor)
    lock(descriptor)
    return folder.exists() and os.path.samestat(os.fstat(descriptor), folder.stat())


def _free(path: Path) -> Path:
    """Return `path`, with a number appended if something of that name exists."""
    numbers = itertools.count(2)
    free = path
    while os.path.lexists(free):
        free = path.with_name(f"{path.name}-{next(numbers)}")
    return free
