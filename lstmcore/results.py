"""The output folder of a run: how results get there whole, and what is left of one that stops."""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from pathlib import Path

import jax
import numpy as np

from lstmcore import __version__
from lstmcore.io.atomic import atomic_path
from lstmcore.io.csv_text import write_rows

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CHECKPOINT, SETTINGS = "checkpoint.safetensors", "settings.json"
# All that `lstmcore fit` may write: what an earlier run left, and this one did not write, goes.
RESULTS = ("model.safetensors", SETTINGS, "history.csv", "output.csv", CHECKPOINT)
PICTURES = ("loss.png", "reconstruction.png", "prediction.png", "gates_encoder_*.png")
UNFINISHED = "unfinished"  # folder of a run that has not ended
PAGE = "inspect.html"  # that `lstmcore inspect` has made of an earlier model
# What may be another when a run is resumed; what is prepared is known by its data.
MAY_DIFFER = ("epochs", "patience", "source", "prepared")


@contextmanager
def output_folder(
    folder: Path, patterns: Sequence[str] = (*RESULTS, *PICTURES, PAGE), *, resume: bool = False
) -> Iterator[Path]:
    """A place to write results to, which appear in `folder` together when the body is through.

    If the body fails, or is interrupted, `folder` is as it was before: with the results of an
    earlier run or, if it was not there, not there. It is made first, so that hours of training are
    not spent on results that cannot be written. `patterns` name all that a run of this kind may
    write: what an earlier one has left and this one did not write is removed.

    The place is `folder/unfinished`. If the body does not end but has left a checkpoint there, it
    stays, for a run that is to `resume`. That run finds it there; or, if there is none and no other
    run has begun since, a copy of that of the run whose results are in `folder`, to train for
    longer. Killed at any moment, a run can be resumed: the checkpoint is the last file that moves.

    Raises:
      OSError: the folder cannot be made or written to; the message says which and why.
      ValueError: another run is writing to it.
    """
    is_new = not folder.exists()
    with _alone(folder), _staging(folder, patterns, resume, is_new) as staging:
        yield staging


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """The folder is made, and held against other runs; a process that is killed lets go of it.

    (Where the system has locks: not on Windows, nor on all network drives.)
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    with ExitStack() as held:
        if fcntl is not None:
            descriptor = os.open(folder, os.O_RDONLY)
            held.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(
                    f"another run is writing to {folder}: wait for its end, or choose another "
                    "folder with --output"
                ) from None
            except OSError:
                pass  # a file system without locks
        yield


def _unwritable(folder: Path, error: OSError) -> OSError:
    return OSError(
        f"cannot write to the output folder {folder} ({error.strerror}): choose another with "
        "--output"
    )


@contextmanager
def _staging(folder: Path, patterns: Sequence[str], resume: bool, is_new: bool) -> Iterator[Path]:
    """`output_folder`, of a folder that no other run writes to."""
    staging = folder / UNFINISHED
    kept = staging / CHECKPOINT
    try:
        # Visible files without a checkpoint are of a run that was killed before it had one.
        begun = not kept.exists() and any(staging.glob("[!.]*"))
        if begun or not resume:
            shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, exist_ok=True)
        copied = None
        if resume and not begun and not kept.exists() and (folder / CHECKPOINT).exists():
            with atomic_path(kept) as temporary:
                shutil.copy(folder / CHECKPOINT, temporary)
            copied = _stamp(kept)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finished = False
    try:
        yield staging
        written = sorted(_results(staging), key=lambda name: name == CHECKPOINT)
        for name in written:
            (staging / name).replace(folder / name)
        for pattern in patterns:
            for old in folder.glob(pattern):
                if old.name not in written:
                    old.unlink()
        finished = True
    finally:
        if finished or _stamp(kept) == copied:
            shutil.rmtree(staging, ignore_errors=True)
        if is_new and not any(folder.iterdir()):
            folder.rmdir()


def _results(staging: Path) -> list[str]:
    """Names of the files, without what killed processes have left of temporary ones."""
    return [path.name for path in staging.iterdir() if not path.name.startswith(".")]


def _stamp(path: Path) -> tuple[int, int] | None:
    """What differs once a file was replaced; None if there is none."""
    if not path.exists():
        return None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def refuse_to_overwrite(source: Path, folder: Path, names: Sequence[str] = RESULTS) -> None:
    """What the user gave may lie in the output folder, but not under the name of a result.

    Raises:
      ValueError: it does.
    """
    file = source.resolve()  # a link may lead to a result
    if file.name in names and file.parent == folder.resolve():
        raise ValueError(f"{source} would be overwritten: choose another folder with --output")


def goes_on(staging: Path, described: Mapping) -> None:
    """Write settings.json, which tells what `described` tells and the versions, before training.

    Where there is a checkpoint already, which a run is to resume, its own settings.json must tell
    the same, but for `MAY_DIFFER`. (`lc.fit` compares its arguments, but cannot compare a loss.)

    Raises:
      ValueError: the run was begun in another way, or nothing tells in which.
    """
    told = json.loads(json.dumps(described))  # with lists where there were tuples
    if (staging / CHECKPOINT).exists():
        # It is in the folder itself if that run has ended.
        places = (staging / SETTINGS, staging.parent / SETTINGS)
        path = next((path for path in places if path.exists()), places[0])
        begin_anew = "to begin anew, leave --resume out"
        try:
            before = _flat(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{path} is missing or damaged, so that nothing tells how the run was begun that "
                f"is to be resumed ({error}): {begin_anew}"
            ) from error
        for name, now in _flat(told).items():
            if before.get(name) != now:
                raise ValueError(
                    f"{name} was {_shown(before.get(name))} in the run that is to be resumed, but "
                    f"is {_shown(now)} now: give the same table and options to go on; {begin_anew}"
                )
    write_json(staging / SETTINGS, versions() | told)


def _flat(told: dict) -> dict:
    """What must agree, by name, without the names of the groups that it stands in."""
    flat: dict = {}
    for name, value in told.items():
        if name not in MAY_DIFFER:
            flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def _shown(value) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def write_json(path: Path, value) -> None:
    """A file for people and programs to read, in one step."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Of lstmcore and what it stands on."""
    return {
        "lstmcore": __version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def write_history(path: Path, history: Mapping) -> None:
    """The losses of each epoch."""
    epochs = zip(*(losses.tolist() for losses in history.values()), strict=True)
    rows = ((epoch, *losses) for epoch, losses in enumerate(epochs, start=1))
    write_csv(path, ["epoch", *history], rows)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """A table under a line of names."""
    with path.open("w", newline="", encoding="utf-8") as file:
        write_rows(file, chain([header], rows))
