"""Pairs of texts: from a file, and into those to train on and those to hold out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

SHOWN = 5  # numbers of lines that an error names

Pair = tuple[str, str]


def read_pairs(path: str | os.PathLike) -> list[Pair]:
    """The pairs of a text file: in each line a source, a tab, and a target.

    What follows a second tab (remarks, a licence) is not read, nor are empty lines. White space at
    the ends of both texts is dropped.

    Args:
      path: a file in UTF-8.

    Returns:
      [(source, target), ...], in the order of the file.

    Raises:
      ValueError: lines without a tab, or with nothing on one side of it (the error names them), a
        file without pairs, or in another encoding.
      OSError: there is no such file, or it cannot be read.

    Examples:
      >>> import tempfile
      >>> path = tempfile.mkdtemp() + "/pairs.tsv"
      >>> with open(path, "w", encoding="utf-8") as file:
      ...     _ = file.write("go\\tgeh\\nstay\\tbleib\\tfrom a phrase book\\n")
      >>> read_pairs(path)
      [('go', 'geh'), ('stay', 'bleib')]
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: name a file of pairs")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not text in UTF-8 (byte {error.start}): convert it, for instance with iconv"
        ) from error
    pairs, without_tab, one_sided = [], [], []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        source, tab, rest = line.partition("\t")
        target = rest.partition("\t")[0]
        if not tab:
            without_tab.append(number)
        elif not (source.strip() and target.strip()):
            one_sided.append(number)
        pairs.append((source.strip(), target.strip()))
    if without_tab:
        raise ValueError(f"{path} has no tab in {_lines(without_tab)}: write source, tab, target")
    if one_sided:
        raise ValueError(
            f"{path} has nothing on one side of the tab in {_lines(one_sided)}: complete or remove "
            f"{'them' if len(one_sided) > 1 else 'it'}"
        )
    if not pairs:
        raise ValueError(f"{path} holds no pairs: write source, tab, target into each line")
    return pairs


def split(pairs: Sequence[Pair], fraction: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """(pairs to train on, pairs to hold out), drawn at random.

    All pairs with the same source go to the same side: none that is held out was seen in training.

    Args:
      pairs: [(source, target), ...].
      fraction: of the different sources that is held out, at least one; 0 holds out nothing.
      seed: of the draw.

    Raises:
      ValueError: `fraction` outside of [0, 1), or nothing is left to train on.

    Examples:
      >>> training, held_out = split([("a", "1"), ("b", "2"), ("a", "3")], 0.5, seed=0)
      >>> len(training) + len(held_out)
      3
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"validation must be at least 0 and below 1, got {fraction}")
    sources = list(dict.fromkeys(source for source, _ in pairs))
    count = max(1, round(fraction * len(sources))) if fraction else 0
    if count >= len(sources):
        raise ValueError(
            f"validation {fraction} leaves none of {len(sources)} different sources to train on: "
            "hold out less (0 for nothing), or use more pairs"
        )
    drawn = np.random.default_rng(seed).permutation(len(sources))[:count]
    held_out = {sources[place] for place in drawn}
    return (
        [pair for pair in pairs if pair[0] not in held_out],
        [pair for pair in pairs if pair[0] in held_out],
    )


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHOWN]))
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"
