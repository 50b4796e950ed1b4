"""Save an object as a folder of files that belong together."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lstmcore.io import manifest
from lstmcore.io.atomic import flush, flush_folder
from lstmcore.io.manifest import MANIFEST
from lstmcore.io.places import obstacle
from lstmcore.io.staging import CHECKPOINT, claimed, is_empty, resolved, staging_of, visible


@contextmanager
def saved_folder(folder: str | os.PathLike, kind: str) -> Iterator[Path]:
    """Yield a folder to write the parts of an object to; they appear in `folder` together.

    Whatever else the user has in `folder` stays. If there is nothing else, a process that is killed
    leaves the old folder or the new one whole; otherwise, for the moment that it takes to rename
    the parts, loading them is refused.

    Args:
      folder: where to save; it is made if it does not exist.
      kind: see `manifest.Manifest`; an earlier object of the same kind is replaced.

    Raises:
      FileExistsError: a file of the same name is not lstmcore's, or `folder` holds another kind.
      OSError: it cannot be written to.
      ValueError: another process is saving there.
    """
    folder = resolved(folder)
    if not folder.is_dir() and os.path.lexists(folder):
        raise NotADirectoryError(f"cannot save into {folder}: it is not a folder")
    has_manifest = (folder / MANIFEST).exists()
    if has_manifest and (present := _kind(folder)) != kind:
        raise FileExistsError(
            f"{folder} holds the files of {present}, not of {kind}: save into another folder"
        )
    is_whole = (
        not folder.exists()
        or is_empty(folder)
        or (has_manifest and manifest.first_foreign(folder) is None)
    )
    in_place = not is_whole or obstacle(folder) is not None
    place = folder / "parts" if in_place else folder
    if (staging_of(place) / CHECKPOINT).exists():
        raise FileExistsError(
            f"{staging_of(place)} holds a run that has not ended: save into another folder"
        )
    with claimed(place) as staging:
        try:
            staging.clear()
            yield staging.path
            if in_place:
                _move(staging.path, folder, kind)
            else:
                staging.publish(kind)
        except BaseException:
            staging.abandon()
            raise
        if in_place:
            staging.abandon()


def _kind(folder: Path) -> str:
    try:
        return manifest.read(folder).kind
    except ValueError as error:
        raise FileExistsError(
            f"{folder / MANIFEST} is not a manifest of lstmcore that can be replaced: move it, or "
            f"save into another folder ({error})"
        ) from error


def _move(source: Path, folder: Path, kind: str) -> None:
    """Move the parts in `source` into `folder`, beside the user's own files.

    The old parts are deleted first, so that no old one is ever mixed with a new one.
    """
    new = visible(source)
    old = manifest.read(folder).parts if (folder / MANIFEST).exists() else {}
    for name in {*old, *(path.name for path in new)}:
        path = folder / name
        if os.path.lexists(path) and not manifest.is_part(path, old):
            raise FileExistsError(
                f"{path} is not a file that lstmcore saved, or was changed since: move it, or save "
                "into another folder"
            )
    for path in new:
        flush(path)
    manifest.write(source, kind, new)
    for name in old:
        (folder / name).unlink(missing_ok=True)
    for path in (source / MANIFEST, *new):
        os.replace(path, folder / path.name)
    flush_folder(folder)
