"""The manifest of a folder: which files lstmcore wrote there, with their digests.

Every folder that lstmcore writes holds `manifest.json`:

    {"format": 1, "lstmcore": "0.1.0", "kind": "Trained",
     "parts": {"forecast.json": {"size": 5121, "sha256": "..."}, ...}}

It decides two things. A file may be parsed only if it is the one that was written, which
`check_parts` checks by its digest. A file may be replaced or deleted only if lstmcore wrote it and
nobody changed it since; `first_foreign` names the first file that is someone else's.

    python -m lstmcore.io.manifest FOLDER    # vouch for a folder without a manifest
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from lstmcore._version import __version__
from lstmcore.io.atomic import atomic_path, is_leftover
from lstmcore.io.json_text import read_json
from lstmcore.io.reading import damaged

FORMAT = 1
MANIFEST = "manifest.json"
# A folder with this file belongs to lstmcore: it holds a run that has not ended, or one that is
# about to be published (see `staging`).
MARKER = ".lstmcore-unfinished"
PAGE = "inspect.html"  # that `lstmcore inspect` adds
CHUNK = 2**20

# Folders that were saved before there were manifests: their files by the one that describes them.
UNVOUCHED = {
    "forecast.json": ("Trained", ("model.safetensors",)),
    "detector.json": ("Detector", ("model.safetensors", "errors.safetensors")),
    "vocabularies.json": ("Translator", ("model.safetensors",)),
    "settings.json": ("lstmcore fit", ("model.safetensors",)),
}


class Part(NamedTuple):
    """The size in bytes and the SHA-256, in hexadecimal, of a file as it was written."""

    size: int
    sha256: str


class Manifest(NamedTuple):
    """Contents of a manifest.

    Attributes:
      kind: of the folder: "Trained", or "lstmcore fit" for a run of that command.
      version: of lstmcore.
      parts: files by name.
    """

    kind: str
    version: str
    parts: Mapping[str, Part]


def write(folder: Path, kind: str, files: Iterable[Path]) -> None:
    """Write the manifest of a folder that holds `files`, or is about to, in one step.

    Raises:
      OSError: a file cannot be read, or the manifest not written.
    """
    _write(folder, Manifest(kind, __version__, {path.name: _part(path) for path in files}))


def read(folder: Path) -> Manifest:
    """Read a manifest, without reading the files that it lists.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged, or of a later version of lstmcore.
    """
    path = Path(folder) / MANIFEST
    if not path.exists():
        raise FileNotFoundError(f"there is no {MANIFEST} in {folder}")
    stored = read_json(path)
    if not isinstance(stored, dict) or type(stored.get("format")) is not int:
        raise ValueError(f"{path} is damaged: it is not a manifest of lstmcore")
    if stored["format"] != FORMAT:
        raise ValueError(
            f"{path} has format {stored['format']}, but this version of lstmcore reads format "
            f"{FORMAT}: install the version that wrote it"
        )
    with damaged(path, states_format=True):
        parts = {_plain(name): _stored_part(name, part) for name, part in stored["parts"].items()}
        return Manifest(_text(stored["kind"]), _text(stored["lstmcore"]), parts)


def check_parts(folder: Path, names: Sequence[str], saved_by: str) -> None:
    """Raise an error unless files of a folder are exactly those that were written.

    Args:
      folder: the folder.
      names: of the files; the first one describes the folder.
      saved_by: function that writes such folders, for errors: "Trained.save".

    Raises:
      FileNotFoundError: the folder, its manifest or a file is missing.
      ValueError: the manifest is damaged, or a file is not the one that was written.
    """
    hint = f"name the folder that {saved_by} has written"
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}: {hint}")
    if not (folder / names[0]).exists():
        raise FileNotFoundError(f"there is no {names[0]} in {folder}: {hint}")
    if not (folder / MANIFEST).exists():
        raise FileNotFoundError(
            f"there is no {MANIFEST} in {folder}, which shows whether its files belong together. "
            "If it was saved before lstmcore wrote manifests and nothing was changed since, vouch "
            f"for it once: python -m lstmcore.io.manifest {folder}"
        )
    parts = read(folder).parts
    for name in names:
        path = folder / name
        if name not in parts:
            raise ValueError(f"{folder / MANIFEST} lists no {name}: {hint}")
        if not path.is_file():
            raise FileNotFoundError(f"there is no {name} in {folder}, though its manifest lists it")
        # A file of another size need not be read, however large it is.
        if path.stat().st_size != parts[name].size or _part(path) != parts[name]:
            raise ValueError(
                f"{path} is not the file that was written with {MANIFEST} beside it: it was "
                "changed, comes from another folder, or saving was cut off; save again"
            )


def first_foreign(folder: Path) -> str | None:
    """Return the name of the first file that lstmcore did not write, or that was changed since.

    Returns:
      Its name; None if all files are lstmcore's and unchanged. (Some may be missing.) A subfolder,
      a link or a damaged manifest is foreign.

    Raises:
      OSError: the folder cannot be read.
    """
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    try:
        parts = read(folder).parts
    except (FileNotFoundError, ValueError):
        names = [entry.name for entry in found if entry.name != MARKER]
        return names[0] if names else None
    foreign = (entry.name for entry in found if not is_part(Path(entry.path), parts))
    return next(foreign, None)


def is_part(path: Path, parts: Mapping[str, Part]) -> bool:
    """Return whether a file is lstmcore's: listed in the manifest and unchanged, or auxiliary.

    Args:
      path: of a file, a folder or a link that exists.
      parts: of the manifest.

    Raises:
      OSError: it cannot be read.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        return False
    if path.name in parts:
        return _part(path) == parts[path.name]
    if path.name in (MANIFEST, MARKER):
        return True
    return any(is_leftover(path.name, of) for of in (*parts, MANIFEST, PAGE))


@contextmanager
def added_part(folder: Path, name: str, *, force: bool = False) -> Iterator[Path]:
    """Yield a temporary path for one more part of a folder; it replaces a part of that name.

    With `force` it replaces any file of that name. Whenever the process is killed, all files in the
    folder are lstmcore's; `name` may then be missing.

    Raises:
      FileExistsError: there is such a file, and lstmcore did not write it.
      OSError: it cannot be written.
      ValueError: the manifest is damaged.
    """
    manifest, path = read(folder), folder / name
    if not force and os.path.lexists(path) and not is_part(path, manifest.parts):
        raise FileExistsError(
            f"{path} is not a file that lstmcore wrote, or was changed since: move it, or choose "
            "another name"
        )
    with atomic_path(path) as temporary:
        yield temporary
        path.unlink(missing_ok=True)
        _write(folder, manifest._replace(parts={**manifest.parts, name: _part(temporary)}))


def vouch(folder: Path) -> list[str]:
    """Write the manifest of a folder that was saved before there were manifests.

    It lists only what loading needs: other files stay the user's own.

    Returns:
      Names of the files.

    Raises:
      FileNotFoundError: a file is missing, or lstmcore did not save `folder`.
      FileExistsError: there is a manifest already.
      ValueError: a file is not the one that the description lists.
    """
    if (folder / MANIFEST).exists():
        raise FileExistsError(f"there is a {MANIFEST} in {folder} already")
    description = next((name for name in UNVOUCHED if (folder / name).is_file()), None)
    if description is None:
        raise FileNotFoundError(
            f"{folder} holds none of {', '.join(UNVOUCHED)}: lstmcore did not save it"
        )
    kind, others = UNVOUCHED[description]
    names = [description, *others]
    for name in names:
        if not (folder / name).is_file():
            raise FileNotFoundError(f"there is no {name} in {folder}")
    stored = read_json(folder / description)
    known = stored.get("sha256") if isinstance(stored, dict) else None
    for name, digest in known.items() if isinstance(known, dict) else ():
        if name in others and _part(folder / name).sha256 != digest:
            raise ValueError(f"{folder / name} does not belong to {description} beside it")
    write(folder, kind, [folder / name for name in names])
    return names


def _write(folder: Path, manifest: Manifest) -> None:
    stored = {
        "format": FORMAT,
        "lstmcore": manifest.version,
        "kind": manifest.kind,
        "parts": {name: part._asdict() for name, part in sorted(manifest.parts.items())},
    }
    with atomic_path(folder / MANIFEST) as temporary:
        temporary.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def _part(path: Path) -> Part:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while data := file.read(CHUNK):
            digest.update(data)
        return Part(file.tell(), digest.hexdigest())


def _stored_part(name: str, stored: dict) -> Part:
    size, sha256 = stored["size"], _text(stored["sha256"])
    if type(size) is not int or size < 0 or not re.fullmatch("[0-9a-f]{64}", sha256):
        raise ValueError(f"it does not hold the size and the digest of {name}")
    return Part(size, sha256)


def _plain(name: str) -> str:
    """Return the name of a part, checked to lead to a file in the folder itself."""
    if name in ("", ".", "..", MANIFEST) or re.search(r"[/\\\x00]", name):
        raise ValueError(f"{name!r} is not the name of a part")
    return name


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def main() -> None:
    """Vouch for the folders that are named on the command line."""
    if len(sys.argv) < 2:
        sys.exit("usage: python -m lstmcore.io.manifest FOLDER...")
    for folder in sys.argv[1:]:
        try:
            print(f"{folder}: {', '.join(vouch(Path(folder)))}")
        except (OSError, ValueError) as error:
            sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
