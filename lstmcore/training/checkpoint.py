"""When `lc.fit` writes where it stands to a file, and when it goes on from there."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lstmcore.io.atomic import remove_leftovers
from lstmcore.io.locks import BusyError, alone
from lstmcore.io.tensors import try_tensors, write_tensors
from lstmcore.training.checkpoint_files import State, contents, read_state
from lstmcore.training.epochs import Training

SECONDS = 10.0  # between two writes, at least
SHARE = 0.05  # of the time, at most, goes into writing


def check_place(path, resume) -> Path | None:
    """The path of the checkpoint; None if none is wanted.

    Raises:
      TypeError: no path.
      ValueError: `resume` without one.
      OSError: a folder, or a file that is not to be resumed.
    """
    if path is None:
        if resume:
            raise ValueError("resume goes on from a checkpoint: name its file, checkpoint=...")
        return None
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"checkpoint must be the path of a file, got {type(path).__name__}")
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, f"checkpoint {path} is a folder: name a file in it")
    if path.exists() and not resume:
        raise FileExistsError(
            errno.EEXIST,
            f"there is already a file {path}: pass resume=True to go on from it, or remove it to "
            "start anew",
        )
    return path


def begin(path: Path, start: State, run: dict) -> State:
    """The state in the file, if there is one, else `start`.

    Raises:
      ValueError: the file is damaged, of another run, or another run writes to it.
    """
    with _alone(path):
        remove_leftovers(path)
        return read_state(path, start, run) if path.exists() else start


@contextmanager
def kept(path: Path, state: State, run: dict) -> Iterator[Callable[[Training, dict], None]]:
    """Yields `keep(training, history)`: from time to time it writes what it is given.

    When the body ends, however it ends, the last state is written; an error is told where it is.
    A state with numbers that are not finite never is, nor what was still to be written before it.

    Raises:
      OSError: the file cannot be written, as far as that can be told, before the body begins.
      ValueError: another run writes to it.
    """
    with _alone(path):
        file = _File(path, state, run)
        try:
            yield file.keep
            file.write()
        except BaseException as error:
            file.rescue(error)
            raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with ExitStack() as held:
        try:
            held.enter_context(alone(path))
        except BusyError as error:
            raise ValueError(
                f"another run writes to the checkpoint {path}: wait for its end, or name another "
                "file"
            ) from error
        yield


class _File:
    """The file of a run that is under way, and what is not yet written to it."""

    def __init__(self, path: Path, state: State, run: dict):
        self.path, self.run = path, run
        self.written = int(state.training.epoch)  # the epoch in the file, 0 if there is none
        self.unwritten: State | None = None
        self.due = 0.0
        self.failed = False
        self._call(try_tensors, state, "choose another place for it")

    def keep(self, training: Training, history: dict) -> None:
        if not training.finite:
            self.unwritten = None  # the numbers were on their way out: rather go on from before
            return
        self.unwritten = State(training, history)
        if time.monotonic() >= self.due:
            self.write()

    def write(self) -> None:
        if self.unwritten is None:
            return
        started = time.monotonic()
        older = f"that of epoch {self.written} is still there" if self.written else "there is none"
        self._call(write_tensors, self.unwritten, older)
        now = time.monotonic()
        self.due = now + max(SECONDS, (now - started) / SHARE)
        self.written, self.unwritten = int(self.unwritten.training.epoch), None

    def rescue(self, error: BaseException) -> None:
        """Write what is not yet written, and add to `error` how to go on."""
        if self.failed:
            return
        try:
            self.write()
        except OSError as failure:
            error.add_note(f"({failure.strerror})")
        else:
            if self.written:
                error.add_note(
                    f"(the state after epoch {self.written} is in {self.path}: "
                    "fit(..., checkpoint=..., resume=True) goes on)"
                )

    def _call(self, write: Callable, state: State, advice: str) -> None:
        tensors, metadata = contents(state, self.run)
        try:
            write(self.path, tensors, metadata)
        except OSError as error:
            self.failed = True
            reason = error.strerror or str(error)
            message = f"cannot write the checkpoint {self.path} ({reason}): {advice}"
            raise OSError(error.errno, message) from error
