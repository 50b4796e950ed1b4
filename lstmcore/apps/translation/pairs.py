"""Pairs of texts: reading them from a file, and splitting off a validation part."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lstmcore.formatting import count, shorten

SHOWN = 5  # line numbers that an error names
SOURCE_AND_TARGET = (1, 2)
MOST = 0.5  # fraction of numbers above which a column is not one of texts
# Names of columns and of languages in a first line.
HEADINGS = frozenset({
    "answer", "input", "original", "output", "question", "response", "sentence", "source",
    "sources", "src", "target", "targets", "text", "tgt", "translation", "trg",
    "arabic", "chinese", "czech", "dutch", "english", "finnish", "french", "german", "greek",
    "hindi", "italian", "japanese", "korean", "polish", "portuguese", "russian", "spanish",
    "swedish", "turkish",
    "ar", "cs", "de", "deu", "el", "en", "eng", "es", "fi", "fr", "fra", "hi", "it", "ja", "jpn",
    "ko", "nl", "pl", "pt", "ru", "rus", "spa", "sv", "tr", "zh",
})  # fmt: skip

Pair = tuple[str, str]


class PairFile(NamedTuple):
    """The pairs of a file, and notes on how it was read.

    pairs: [(source, target), ...], in the order of the file
    notes: sentences for the user
    """

    pairs: list[Pair]
    notes: list[str]


def read_pairs(path: str | os.PathLike, columns: tuple[int, int] | None = None) -> list[Pair]:
    """Read the pairs of a text file: in each line a source, a tab, and a target.

    Text after a second tab (remarks, a licence) and empty lines are not read. White space at the
    ends of both texts is dropped. In a file whose name ends in .csv and whose first line has no
    tab, cells are separated by commas or semicolons, and may be quoted. A first line with the names
    of two columns or of two languages is left out.

    Args:
      path: a file in UTF-8.
      columns: the columns of source and target, counted from 1; None takes the first two. They must
        be given if there are more, and one of the first two holds numbers, such as those of the
        sentences of Tatoeba, or the same text in every line.

    Returns:
      [(source, target), ...], in the order of the file.

    Raises:
      ValueError: lines in which a column is missing or empty (the error names them), columns that
        have to be given, a file without pairs, or in another encoding.
      OSError: the file does not exist, or cannot be read.

    Examples:
      >>> import tempfile
      >>> path = tempfile.mkdtemp() + "/pairs.tsv"
      >>> with open(path, "w", encoding="utf-8") as file:
      ...     _ = file.write("go\\tgeh\\nstay\\tbleib\\tfrom a phrase book\\n")
      >>> read_pairs(path)
      [('go', 'geh'), ('stay', 'bleib')]
    """
    return read_pair_file(path, columns).pairs


def read_pair_file(path: str | os.PathLike, columns: tuple[int, int] | None = None) -> PairFile:
    """Read the pairs of a file, with notes on it; arguments and errors as in `read_pairs`."""
    path = Path(path)
    if columns is not None:
        _check_columns(columns)
    rows, separator = _rows(path)
    if not any(len(cells) > 1 for _, cells in rows) and rows:
        numbers = [number for number, _ in rows]
        raise ValueError(
            f"{path} has no {separator} in {_lines(numbers)}: write source, {separator}, target"
        )
    if columns is None:
        columns = SOURCE_AND_TARGET
        _check_texts(path, rows)
    pairs, short, one_sided = [], [], []
    for number, cells in rows:
        if len(cells) < max(columns):
            short.append(number)
            continue
        source, target = (cells[column - 1].strip() for column in columns)
        if not (source and target):
            one_sided.append(number)
        pairs.append((source, target))
    _check_lines(path, columns, separator, short, one_sided)
    widest = max((len(cells) for _, cells in rows), default=0)
    notes = []
    if widest > 2 and pairs:
        notes.append(f"columns {columns[0]} and {columns[1]} of {widest} are read")
    if pairs and {text.lower() for text in pairs[0]} <= HEADINGS:
        notes.append(f"the first line names the columns ({', '.join(pairs[0])}) and is left out")
        pairs = pairs[1:]
    if not pairs:
        raise ValueError(f"{path} holds no pairs: write source, tab, target into each line")
    same = sum(source == target for source, target in pairs)
    if 2 * same > len(pairs):
        notes.append(
            f"source and target are the same text in {same:,} of {count(len(pairs), 'pair')}: is "
            "each in its own column?"
        )
    return PairFile(pairs, notes)


def _rows(path: Path) -> tuple[list[tuple[int, list[str]]], str]:
    """Return ([(line number, cells), ...] of lines that are not empty, name of the separator)."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder: give a file of pairs")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not text in UTF-8 (byte {error.start}): convert it, for instance with iconv"
        ) from error
    lines = text.split("\n")
    first = next((line for line in lines if line.strip()), "")
    if path.suffix.lower() == ".csv" and "\t" not in first:
        bare = re.sub(r'"[^"]*"', "", first)
        separator = ";" if bare.count(";") > bare.count(",") else ","
        reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
        try:
            rows = [(reader.line_num, cells) for cells in reader]
        except csv.Error as error:
            raise ValueError(f"{path}, line {reader.line_num}: {error}") from error
        name = "semicolon" if separator == ";" else "comma"
    else:
        rows = [(number, line.split("\t")) for number, line in enumerate(lines, start=1)]
        name = "tab"
    return [(number, cells) for number, cells in rows if "".join(cells).strip()], name


def _check_columns(columns: tuple[int, int]) -> None:
    whole = all(type(column) is int and column >= 1 for column in columns)
    if len(columns) != 2 or not whole or columns[0] == columns[1]:
        raise ValueError(
            "columns must be two different numbers from 1, those of source and target, such as "
            f"(2, 4), got {columns!r}"
        )


def _check_texts(path: Path, rows: list[tuple[int, list[str]]]) -> None:
    """Raise an error for a file of several columns that does not begin with two of texts."""
    cells = [cells for _, cells in rows if len(cells) > 2]
    if len(cells) <= MOST * len(rows):
        return
    width = min(map(len, cells))
    kinds = [_no_text([line[place].strip() for line in cells]) for place in range(width)]
    odd = next((place for place in range(2) if kinds[place]), None)
    if odd is None:
        return
    texts = [str(place + 1) for place, kind in enumerate(kinds) if kind is None]
    proposal = f"{','.join(texts[:2])}" if len(texts) > 1 else "2,3"
    raise ValueError(
        f"{path} has {width} columns, of which number {odd + 1} holds {kinds[odd]} "
        f"({shorten(cells[0][odd])!r}): say which hold source and target, with --columns "
        f"{proposal} (columns=({proposal.replace(',', ', ')}) in Python)"
    )


def _no_text(cells: list[str]) -> str | None:
    """Return what a column holds instead of texts; None if it holds texts."""
    numbers = sum(re.fullmatch(r"#?[+-]?\d+([.,]\d+)?", cell) is not None for cell in cells)
    if numbers > MOST * len(cells):
        return "numbers"
    if len(cells) > 2 and len(set(cells[1:])) == 1:  # the first line may hold names
        return "the same in every line"
    return None


def _check_lines(
    path: Path, columns: tuple[int, int], separator: str, short: list[int], one_sided: list[int]
) -> None:
    if short:
        raise ValueError(
            f"{path} has no {separator} in {_lines(short)}: write source, {separator}, target"
            if max(columns) == 2
            else f"{path} has no column {max(columns)} in {_lines(short)}"
        )
    if one_sided:
        raise ValueError(
            f"{path} has nothing on one side of the {separator} in {_lines(one_sided)}: complete "
            f"or remove {'them' if len(one_sided) > 1 else 'it'}"
        )


def split(pairs: Sequence[Pair], fraction: float, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Return (training pairs, validation pairs), drawn at random.

    All pairs with the same source are in the same part: no source of the validation pairs was seen
    in training.

    Args:
      pairs: [(source, target), ...].
      fraction: of the different sources, those of the validation pairs, at least one; 0 for none.
      seed: of the draw.

    Raises:
      ValueError: `fraction` outside [0, 1), or nothing is left to train on.

    Examples:
      >>> training, validation = split([("a", "1"), ("b", "2"), ("a", "3")], 0.5, seed=0)
      >>> len(training) + len(validation)
      3
    """
    if not 0 <= fraction < 1:
        raise ValueError(f"validation must be at least 0 and below 1, got {fraction}")
    sources = list(dict.fromkeys(source for source, _ in pairs))
    count = max(1, round(fraction * len(sources))) if fraction else 0
    if count >= len(sources):
        raise ValueError(
            f"validation {fraction} leaves none of {len(sources)} different sources to train on: "
            "lower it (0 for none), or use more pairs"
        )
    drawn = np.random.default_rng(seed).permutation(len(sources))[:count]
    chosen = {sources[place] for place in drawn}
    return (
        [pair for pair in pairs if pair[0] not in chosen],
        [pair for pair in pairs if pair[0] in chosen],
    )


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:SHOWN]))
    more = f" and {len(numbers) - SHOWN} more" if len(numbers) > SHOWN else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"
