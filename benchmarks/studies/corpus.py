"""Text for the studies that predict characters: the source code of Python's standard library.

It is on every machine that runs Python, and nothing of it is copied. Versions of Python differ, so
a digest of the text is saved with the results. Any other text can be used instead.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import platform
import tokenize
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

TRAIN = (
    *("argparse", "ast", "asyncio.base_events", "bdb", "cgitb", "cmd", "code", "codecs"),
    *("collections", "configparser", "contextlib", "csv", "dataclasses", "dis", "doctest"),
    *("email.message", "enum", "filecmp", "fractions", "ftplib", "functools", "gettext", "glob"),
    *("gzip", "heapq", "http.client", "http.server", "imaplib", "importlib.util", "inspect"),
    *("ipaddress", "json.decoder", "json.encoder", "locale", "logging", "logging.config"),
    *("mailbox", "mimetypes", "optparse", "os", "pdb", "pickle", "pickletools", "pkgutil"),
    *("platform", "plistlib", "posixpath", "pprint", "pydoc", "random", "sched", "selectors"),
    *("shelve", "shlex", "shutil", "smtplib", "socket", "socketserver", "ssl", "statistics"),
    *("string", "subprocess", "tempfile", "textwrap", "threading", "timeit", "tokenize"),
    *("trace", "traceback", "turtle", "typing", "unittest.case", "unittest.mock"),
    *("urllib.request", "urllib.robotparser", "uuid", "warnings", "weakref", "xmlrpc.client"),
)
VALIDATION = ("calendar", "difflib", "fileinput", "nntplib", "profile", "zipfile")
TEST = ("copy", "queue", "sqlite3.dump", "tarfile", "urllib.parse", "zipapp")
RARE = 20  # characters seen less often than this count as one: "unknown"


class Text(NamedTuple):
    """A text in three parts that share no file.

    train, validation, test: the parts
    name: for the results
    digest: SHA-256 of the three, the first 16 digits
    is_python: whether it is Python source code
    """

    train: str
    validation: str
    test: str
    name: str
    digest: str
    is_python: bool


class Vocabulary(NamedTuple):
    """Characters and their numbers; 0 stands for all rare ones."""

    characters: str

    @property
    def size(self) -> int:
        return 1 + len(self.characters)

    def encode(self, text: str) -> np.ndarray:
        """Return int32 [characters]."""
        numbers = {character: 1 + number for number, character in enumerate(self.characters)}
        return np.array([numbers.get(character, 0) for character in text], np.int32)


def vocabulary(text: str) -> Vocabulary:
    """Return the vocabulary of the characters that are not rare, sorted."""
    found, counts = np.unique(np.array(list(text)), return_counts=True)
    return Vocabulary("".join(found[counts >= RARE]))


def standard_library(*, few: bool = False) -> Text:
    """Read the modules that this Python has; with `few`, one for each part."""
    lists = (names[:1] if few else names for names in (TRAIN, VALIDATION, TEST))
    parts = ["\n".join(map(_source, _present(names))) for names in lists]
    return _text(parts, f"standard library of Python {platform.python_version()}", is_python=True)


def read(path: Path) -> Text:
    """Read a .txt file in UTF-8, or the same gzipped, and split it into 90 %, 5 % and 5 %.

    Raises:
      ValueError: the text is too short.
    """
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("utf-8")
    text = text.replace("\r\n", "\n")
    if len(text) < 200_000:
        raise ValueError(f"{path} holds {len(text):,} characters: at least 200,000 are needed")
    ends = [0, 9 * len(text) // 10, 19 * len(text) // 20, len(text)]
    parts = [text[start:end] for start, end in pairwise(ends)]
    return _text(parts, path.name, is_python=False)


def windows(array: np.ndarray, length: int) -> np.ndarray:
    """Return consecutive windows [N, length]; an incomplete one at the end is dropped."""
    return array[: len(array) // length * length].reshape(-1, length)


def _text(parts: list[str], name: str, *, is_python: bool) -> Text:
    digest = hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
    return Text(*parts, name=name, digest=digest, is_python=is_python)


def _present(names):
    for name in names:
        try:
            spec = importlib.util.find_spec(name)
        except ModuleNotFoundError:  # its package is missing, too
            continue
        if spec is not None and spec.origin and spec.origin.endswith(".py"):
            yield Path(spec.origin)


def _source(path: Path) -> str:
    with tokenize.open(path) as file:
        return file.read().expandtabs()
