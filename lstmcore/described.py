"""A folder that describes itself: files, and one of JSON which knows the others by their sums.

The description is written last and is not changed without the files, so that what a kill has cut
off, or what was mixed from two runs, is an error when it is read, never a wrong model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from lstmcore.io.atomic import atomic_path

FORMAT = 1
Content = TypeVar("Content")


def write(path: Path, description: dict, others: Sequence[str]) -> None:
    """Describe a folder in its file `path`; `others` are names of files beside it, written before.

    Raises:
      OSError: it cannot be written.
    """
    sums = {name: _sum(path.with_name(name)) for name in others}
    text = json.dumps({"format": FORMAT, **description, "sha256": sums}, indent=1)
    with atomic_path(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read(path: Path, parse: Callable[[dict], Content], written_by: str) -> Content:
    """What `parse` makes of the description in `path`, if the files beside it are those it knows.

    Raises:
      FileNotFoundError: the description, or a file that it knows, is not there.
      ValueError: it is damaged, or of another run than a file.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"there is no {path.name} in {path.parent}: name the folder that {written_by} has "
            "written"
        )
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
        if described["format"] != FORMAT:
            raise ValueError(f"it is not described in format {FORMAT}")
        content = parse(described)
        sums = {str(name): str(value) for name, value in described["sha256"].items()}
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    for name, expected in sums.items():
        other = path.with_name(name)
        if not other.is_file():
            raise FileNotFoundError(f"there is no {name} in {path.parent}")
        if _sum(other) != expected:
            raise ValueError(
                f"{other} does not belong to {path.name} beside it: it is damaged, or saving was "
                "cut off; save again"
            )
    return content


def _sum(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
