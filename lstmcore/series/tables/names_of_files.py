"""Name the series of several files: after the files, or after the series that a model knows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Set
from pathlib import PurePath
from typing import Any

from lstmcore.formatting import few, shorten

COMPRESSED = (".gz", ".bz2", ".xz")


def names_of_files(
    paths: Sequence[str | os.PathLike], known: Iterable[Any] = ()
) -> dict[str, str | os.PathLike]:
    """Return {name: path}: the stem of each file, with folders where two have the same.

    A file whose path ends with one of the known names is called so.

    Raises:
      ValueError: a file is given twice, as two paths or links, or two differ in their endings
        alone; or a file may be several of the known series, or several files the same one.

    Examples:
      >>> list(names_of_files(["a/1.csv", "a/2.csv.gz"])), list(names_of_files(["a/1", "b/1"]))
      (['1', '2'], ['a/1', 'b/1'])
      >>> list(names_of_files(["data/a/1.csv"], known=["a/1", "b/1"]))
      ['a/1']
    """
    found = dict[str, str | os.PathLike]()
    split = []
    for path in paths:
        if (place := os.path.realpath(path)) in found:
            raise _twice(found[place], path)
        found[place] = path
        split.append(_parts(path))
    for number in range(1, max(map(len, split)) + 1):
        names = ["/".join(parts[-number:]) for parts in split]
        if len(set(names)) == len(names):
            return dict(zip(_known_names(names, paths, {*known}), paths, strict=True))
    twice = next(name for name in names if names.count(name) > 1)
    raise _twice(*[paths[place] for place, name in enumerate(names) if name == twice][:2])


def _parts(path: str | os.PathLike) -> tuple[str, ...]:
    """Return the folders of a file, and its name without the ending."""
    pure = PurePath(path)
    if pure.suffix in COMPRESSED:
        pure = pure.with_suffix("")
    return (*pure.parts[:-1], pure.stem)


def _known_names(
    names: Sequence[str], paths: Sequence[str | os.PathLike], known: Set[Any]
) -> list[str]:
    """Return the names of files, with the known one in place of each whose path ends with it.

    Raises:
      ValueError: a path ends with several, or several files would have the same name.
    """
    if known <= {*names}:  # the same files as before, or more of them
        return list(names)
    found = dict[str, str | os.PathLike]()
    for name, path in zip(names, paths, strict=True):
        ends = {
            "/".join(parts[-number:])
            for parts in (_parts(path), _parts(os.path.abspath(path)))
            for number in range(1, len(parts) + 1)
        }
        fitting = sorted(ends & known)
        if "/".join(_parts(path)) in fitting:  # as it was given before
            fitting = ["/".join(_parts(path))]
        if len(fitting) > 1:
            raise ValueError(
                f"{path} may be any of several series that the model was trained on "
                f"({few(fitting)}): give the files as when it was trained"
            )
        own = fitting[0] if fitting else name
        if own in found:
            raise ValueError(
                f"{found[own]} and {path} may both be the series {shorten(own)!r} that the model "
                "was trained on: give only one of them"
            )
        found[own] = path
    return list(found)


def _twice(one: str | os.PathLike, other: str | os.PathLike) -> ValueError:
    """Return the error that two files are the same, or have the same name."""
    return ValueError(
        f"{one} and {other} would be two series of the same name: give each file once, under a "
        "name of its own"
    )
