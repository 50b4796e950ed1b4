"""The output folder of a run, which is written as a whole or not at all."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import jax
import numpy as np

from lstmcore._version import __version__
from lstmcore.io import manifest
from lstmcore.io.atomic import atomic_path
from lstmcore.io.csv_text import write_rows
from lstmcore.io.description import with_present_names
from lstmcore.io.json_text import read_json
from lstmcore.io.locks import BusyError
from lstmcore.io.manifest import MANIFEST, MARKER
from lstmcore.io.places import obstacle
from lstmcore.io.staging import (
    CHECKPOINT,
    Staging,
    claimed,
    is_claimed,
    is_empty,
    resolved,
    staging_of,
    visible,
)


def write_json(path: Path, value) -> None:
    """Write a JSON file in one step."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def versions() -> dict[str, str]:
    """Return the versions of lstmcore, JAX, NumPy and Python."""
    return {
        "lstmcore": __version__,
        "jax": jax.__version__,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def write_history(path: Path, history: Mapping) -> None:
    """Write the losses of each epoch as CSV."""
    epochs = zip(*(losses.tolist() for losses in history.values()), strict=True)
    rows = ((epoch, *losses) for epoch, losses in enumerate(epochs, start=1))
    write_csv(path, ["epoch", *history], rows)


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence]) -> None:
    """Write a table under a line of names; a missing value, NaN, is an empty cell."""
    cells = (["" if cell != cell else cell for cell in row] for row in rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        write_rows(file, chain([header], cells))


SETTINGS = "settings.json"
RUN = "lstmcore "  # the start of the kind of a run; the command follows
# Settings that may change when a run is resumed; the preprocessor follows from the data.
MAY_DIFFER = ("epochs", "patience", "source", "preprocessor")
ANOTHER = "choose another folder with --output"


def choose_folder(
    output: Path | None,
    default: str,
    kind: str,
    *,
    resume: bool | None = False,
    force: bool = False,
    inputs: Sequence[Path] = (),
) -> Output:
    """Choose and check the output folder of a run; nothing is written yet.

    Args:
      output: the folder that the user asked for, which is taken or refused. None takes `default`;
        if that holds anything, `default`-2, `default`-3, ...; with `resume` the one of these that
        was written to last, with `force` `default` itself.
      default: a name in the current folder.
      kind: "lstmcore fit", or another command.
      resume: continue the run in the folder, whether it has ended or not; None for a command that
        cannot resume.
      force: replace an earlier run.
      inputs: files that the run reads.

    Raises:
      ValueError: both `resume` and `force`, another run is writing there, or an input lies there.
      FileExistsError: the folder holds files that lstmcore did not write, or that were changed
        since, or an earlier run and neither `resume` nor `force` is given.
      OSError: the folder cannot be made or written to.
    """
    if resume and force:
        raise ValueError("--resume continues a run, --force replaces it: give one of them")
    folder = output or _default_folder(default, kind, resume=resume, force=force)
    _check(folder, kind, resume=resume, force=force)
    for path in inputs:
        if folder.resolve() in path.resolve().parents:
            raise ValueError(
                f"{path} lies in the output folder {folder}, which results replace as a whole: "
                f"{ANOTHER}"
            )
    is_numbered = output is None and not (resume or force)
    return Output(folder, kind, resume, force, default if is_numbered else None)


@dataclass
class Output:
    """The output folder of a run, from `choose_folder`.

    Attributes:
      folder: where the results will be; it may change until `open` has been entered.
      kind, resume, force: as in `choose_folder`.
      default: the name without a number, if the folder was numbered; if another run takes the
        folder first, the next number is used.
    """

    folder: Path
    kind: str
    resume: bool | None = False
    force: bool = False
    default: str | None = None

    @contextmanager
    def open(self, warn: Callable[[str], object] = warnings.warn) -> Iterator[Path]:
        """Yield a staging folder for the results, which becomes `folder` at the end of the body.

        If the body fails, is interrupted or killed, `folder` is as before: it holds an earlier run,
        or does not exist. The staging folder, hidden beside `folder` (see `lstmcore.io.staging`),
        then stays if it holds a checkpoint. A run that is to `resume` finds the checkpoint there;
        or, if there is none and no other run has begun since, a copy of the one in `folder`, to
        train for longer.

        The staging folder is made first, so that hours of training are not spent on results that
        cannot be written.

        Args:
          warn: called with a sentence if files of the user had to be kept elsewhere.

        Raises:
          As `choose_folder`, if something has changed since.
        """
        with ExitStack() as held:
            while True:
                attempt = held.enter_context(ExitStack())
                try:
                    staging = self._claim(attempt, warn)
                    break
                except (ValueError, FileExistsError):
                    attempt.close()
                    if self.default is None:
                        raise
                    free = _default_folder(self.default, self.kind, resume=False, force=False)
                    if free == self.folder:
                        raise
                    self.folder = free
            yield from _staged(staging, self.kind, self.resume)

    def _claim(self, held: ExitStack, warn: Callable[[str], object]) -> Staging:
        try:
            staging = held.enter_context(claimed(resolved(self.folder), warn))
        except BusyError as error:
            raise ValueError(
                f"another run is writing to {self.folder}: wait for its end, or {ANOTHER}"
            ) from error
        except FileExistsError:
            raise
        except OSError as error:
            raise _unwritable(self.folder, error) from error
        _check(self.folder, self.kind, resume=self.resume, force=self.force)
        return staging


def _staged(staging: Staging, kind: str, resume: bool | None) -> Iterator[Path]:
    kept = staging.path / CHECKPOINT
    try:
        copied = _begin(staging, resume)
    except OSError as error:
        staging.abandon()
        raise _unwritable(staging.folder, error) from error
    is_published = False
    try:
        yield staging.path
        try:
            staging.publish(kind)
        except OSError as error:
            place = f"; all results are in {staging.path}" if staging.is_complete else ""
            raise OSError(
                f"cannot write to the output folder {staging.folder} "
                f"({error.strerror or error}){place}"
            ) from error
        is_published = True
    finally:
        is_worth_keeping = staging.is_complete or _stamp(kept) not in (None, copied)
        if not is_published and not is_worth_keeping:
            staging.abandon()


def _begin(staging: Staging, resume: bool | None) -> tuple[int, int] | None:
    """Prepare the staging folder; return the stamp of a checkpoint that was copied there."""
    kept, settings = staging.path / CHECKPOINT, staging.path / SETTINGS
    if resume and kept.exists() and settings.exists():
        staging.clear(keep=(CHECKPOINT, SETTINGS))
        return None
    # A run that was killed before its first checkpoint is not resumed as the one before it.
    was_begun = settings.exists() and not kept.exists()
    staging.clear()
    if not resume or was_begun or not (staging.folder / CHECKPOINT).exists():
        return None
    for path in (kept, settings):  # settings.json last: it shows that both were copied
        with atomic_path(path) as temporary:
            shutil.copyfile(staging.folder / path.name, temporary)
    return _stamp(kept)


def listed(folder: Path) -> str:
    """Return the names of the results in a folder, for printing."""
    return ", ".join(path.name for path in visible(folder))


def unfinished(folder: Path) -> Path | None:
    """Return the checkpoint of an unfinished run to `folder`, or None."""
    path = staging_of(folder.resolve()) / CHECKPOINT
    return path if path.exists() else None


def record_settings(staging: Path, description: Mapping) -> None:
    """Write settings.json, with `description` and the versions, before training.

    If there is a checkpoint to resume from, the settings.json beside it must be the same except for
    `MAY_DIFFER`. (`lc.fit` compares its arguments, but cannot compare a loss.)

    Raises:
      ValueError: the run was begun with other settings, or its settings are missing.
    """
    now = json.loads(json.dumps(description))  # with lists where there were tuples
    path = staging / SETTINGS
    if (staging / CHECKPOINT).exists():
        begin_anew = "to start again, give --force instead of --resume"
        try:
            before = _flat(with_present_names(read_json(path)))
        except (OSError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{path} is missing or damaged, so the settings of the run to be resumed are "
                f"unknown ({error}): {begin_anew}"
            ) from error
        for name, value in _flat(now).items():
            if before.get(name) != value:
                raise ValueError(
                    f"the run to be resumed was begun with {name} {_text(before.get(name))}, not "
                    f"{_text(value)}: give the same table and options to continue; {begin_anew}"
                )
    write_json(path, versions() | now)


def _check(output: Path, kind: str, *, resume: bool | None, force: bool) -> None:
    folder = resolved(output)
    if output.is_symlink() and not output.exists():
        raise FileNotFoundError(f"the output folder {output} is a broken link: {ANOTHER}")
    if (reason := obstacle(folder)) is not None:
        is_open = folder.is_dir() and os.access(folder, os.W_OK)
        inside = f"name a folder in it, such as {output / 'run'}" if is_open else ANOTHER
        raise OSError(f"cannot write to the output folder {output} ({reason}): {inside}")
    if folder.exists() and not is_empty(folder):
        _check_earlier(output, folder, kind, resume=resume, force=force)
    if not (resume or force) and _is_unfinished(folder):
        go_on = "" if resume is None else "--resume continues it, "
        raise FileExistsError(
            f"a run to {output} has not ended, and its training is in {staging_of(folder)}: "
            f"{go_on}--force starts again, or {ANOTHER}"
        )


def _check_earlier(
    output: Path, folder: Path, kind: str, *, resume: bool | None, force: bool
) -> None:
    """Raise FileExistsError unless the folder holds a run that may be replaced or resumed."""
    if (foreign := manifest.first_foreign(folder)) is not None:
        since = ", or that has changed since" if (folder / MANIFEST).exists() else ""
        raise FileExistsError(
            f"the output folder {output} holds {foreign}, which lstmcore did not write{since}: "
            f"{ANOTHER}"
        )
    there = manifest.read(folder).kind
    if not there.startswith(RUN) or (resume and there != kind):
        raise FileExistsError(
            f"the output folder {output} holds the files of {there}, not of {kind}: {ANOTHER}"
        )
    if not (resume or force):
        go_on = "" if resume is None else "--resume continues it, "
        raise FileExistsError(
            f"the output folder {output} holds an earlier run: --force replaces it, {go_on}or "
            f"{ANOTHER}"
        )


def _default_folder(default: str, kind: str, *, resume: bool | None, force: bool) -> Path:
    plain = Path(default)
    if force:
        return plain
    if resume:
        return max(_earlier(default, kind), default=(0, 0, plain))[-1]
    number, folder = 1, plain
    while _is_taken(folder):
        number += 1
        folder = Path(f"{default}-{number}")
    return folder


def _earlier(default: str, kind: str) -> Iterator[tuple[int, int, Path]]:
    """Yield (time of its checkpoint, number, folder) of each run with a default name."""
    pattern = re.compile(rf"\.?({re.escape(default)}(?:-([1-9]\d*))?)(\.lstmcore-unfinished)?")
    for path in Path().iterdir():
        match = pattern.fullmatch(path.name)
        if match and path.name.startswith(".") == bool(match[3]):
            folder, number = Path(match[1]), int(match[2] or 1)
            if (path / CHECKPOINT).exists() and (match[3] or _kind(path) == kind):
                yield (path / CHECKPOINT).stat().st_mtime_ns, number, folder


def _kind(folder: Path) -> str | None:
    try:
        return manifest.read(folder).kind
    except (OSError, ValueError):
        return None


def _is_taken(folder: Path) -> bool:
    if folder.is_symlink() or (folder.exists() and not (folder.is_dir() and is_empty(folder))):
        return True
    real = folder.resolve()
    return _is_unfinished(real) or is_claimed(real)


def _is_unfinished(folder: Path) -> bool:
    """Return whether a run of lstmcore has left a checkpoint or results there."""
    staging = staging_of(folder)
    has = [(staging / name).exists() for name in (MARKER, CHECKPOINT, MANIFEST)]
    return has[0] and any(has[1:])


def _unwritable(folder: Path, error: OSError) -> OSError:
    reason = error.strerror or str(error)
    return OSError(f"cannot write to the output folder {folder} ({reason}): {ANOTHER}")


def _stamp(path: Path) -> tuple[int, int] | None:
    """Return a value that changes when the file is replaced; None if there is no file."""
    if not path.exists():
        return None
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def _flat(settings: dict) -> dict:
    """Return the settings that must agree, by name; nested ones by their own name."""
    flat: dict = {}
    for name, value in settings.items():
        if name not in MAY_DIFFER:
            flat |= _flat(value) if isinstance(value, dict) else {name: value}
    return flat


def _text(value) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
