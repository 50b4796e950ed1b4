"""Read the text of a file a few megabytes at a time, compressed or not, in any encoding."""

from __future__ import annotations

import codecs
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from io import BufferedReader
from itertools import chain
from typing import BinaryIO

FIRST_BLOCK = 2**14  # bytes that decide the separator, the header and the roles of columns
BLOCK = 2**21
LONGEST_RECORD = 2**26  # bytes of one line, or of lines that one quoted cell joins

STDIN = "-"
# By module: Python may have been built without some of them.
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "lzma"}
OTHER_KINDS = {
    b"PK\x03\x04": "a spreadsheet or a zip archive: save the sheet as CSV",
    b"\xd0\xcf\x11\xe0": "a spreadsheet of an old kind: save the sheet as CSV",
    b"PAR1": "a Parquet file: write it as CSV, for instance with pandas",
    b"\x89HDF": "an HDF5 file: write it as CSV, for instance with pandas",
    b"%PDF": "a PDF file",
}
OTHER_TEXTS = {  # how they begin
    re.compile(rb"<(!doctype|html|\?xml|table)\b", re.IGNORECASE): "a web page or XML: save the "
    "table in it as CSV",
    re.compile(rb"\{\s*[\"}\[]|\[\s*[{\[]"): "JSON: write it as CSV, for instance with pandas",
}
# UTF-32 comes first: its mark begins with that of UTF-16.
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
WINDOWS = "cp1252"  # Western European Windows; Latin-1 but for control characters
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1b-\x1f]")  # never in text that is not UTF-16


@contextmanager
def open_blocks(
    path: str | os.PathLike, encoding: str | None = None, notes: list[str] | None = None
) -> Iterator[Iterator[bytes]]:
    """Open a file and yield its text in UTF-8, in blocks that end with a line.

    Files compressed by gzip, bzip2 or xz are unpacked. Without an encoding, a byte order mark
    decides, then UTF-8, then Windows-1252 (a superset of printable Latin-1), which is noted.

    Args:
      path: the file; "-" is the standard input.
      encoding: of the text, a name that Python knows; None finds it out.
      notes: receives a sentence if the encoding was guessed.

    Raises:
      FileNotFoundError, IsADirectoryError, OSError: no such file, a folder, or one that cannot be
        read.
      ValueError: a file that is not text, or not in the encoding; a line longer than 64 MiB; an
        encoding that Python does not know. Damage and long lines are found when they are reached.
    """
    if encoding is not None:
        _check_encoding(encoding)
    with _open(path) as raw, _unpacked(raw) as file:
        yield _text_blocks(file, path, encoding, notes)


def _check_encoding(encoding: str) -> None:
    try:
        is_text = codecs.lookup(encoding)._is_text_encoding
    except (LookupError, ValueError):
        is_text = False
    if not is_text:
        raise ValueError(
            f"there is no encoding {encoding[:40]!r}: use one such as utf-8, utf-16, cp1252, gbk"
        )


def _open(path) -> BufferedReader:
    if str(path) == STDIN:
        return open(sys.stdin.fileno(), "rb", closefd=False)
    try:
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise IsADirectoryError(f"{path} is a folder, not a CSV file")
        return open(path, "rb")
    except FileNotFoundError:
        raise FileNotFoundError(f"there is no file {path}") from None
    except PermissionError:
        raise PermissionError(f"{path} may not be read: permission denied") from None


def _unpacked(file: BufferedReader) -> BinaryIO:
    try:
        start = file.peek(8)
    except OSError:  # reported when it is read
        return file
    for magic, module in COMPRESSED.items():
        if start.startswith(magic):
            return import_module(module).open(file, "rb")
    return file


def _chunks(file: BinaryIO, path) -> Iterator[bytes]:
    """Yield the bytes as they are; errors in reading name this file."""
    size = FIRST_BLOCK
    try:
        while chunk := file.read(size):
            yield chunk
            size = BLOCK
    except Exception as error:  # each kind of archive has errors of its own
        if isinstance(error, OSError) and error.errno is not None:
            raise OSError(f"{path} cannot be read: {error.strerror}") from error
        raise ValueError(f"{path} is damaged: it cannot be unpacked ({error})") from error


def _text_blocks(file: BinaryIO, path, encoding: str | None, notes: list[str] | None):
    chunks = _chunks(file, path)
    first = next(chunks, b"")
    for magic, kind in OTHER_KINDS.items():
        if first.startswith(magic):
            raise ValueError(f"{path} is {kind}")
    for pattern, kind in OTHER_TEXTS.items():
        if pattern.match(first.removeprefix(codecs.BOM_UTF8).lstrip()):
            raise ValueError(f"{path} is {kind}")
    marked = next((name for mark, name in MARKS if first.startswith(mark)), None)
    chunks = chain([first], chunks)
    if encoding or marked:
        return _cut_at_lines(_decoded(chunks, path, encoding or marked), path)
    return _guessed(_cut_at_lines(chunks, path), path, notes)


def _decoded(chunks: Iterator[bytes], path, encoding) -> Iterator[bytes]:
    name = "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    decoder = codecs.getincrementaldecoder(name)()
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as error:
        reason = getattr(error, "reason", error)
        raise ValueError(f"{path} is not a text file in {encoding} ({reason})") from error


def _guessed(blocks: Iterator[bytes], path, notes: list[str] | None) -> Iterator[bytes]:
    """Yield UTF-8 as long as the text is; Windows-1252, if nothing before spoke for UTF-8."""
    is_ascii, windows = True, False
    for block in blocks:
        if not windows and not block.isascii():
            try:
                block.decode()
                is_ascii = False
            except UnicodeDecodeError as error:
                # Where some letters are in UTF-8, the others are damaged.
                is_mixed = not is_ascii or not block.decode(errors="ignore").isascii()
                if is_mixed or CONTROL.search(block):
                    raise ValueError(
                        f"{path} is not a text file in UTF-8 ({error.reason}): if it is text in "
                        "another encoding, say which with --encoding"
                    ) from error
                windows = True
                if notes is not None:
                    notes.append(_guess(block))
        if windows:
            try:
                block = block.decode(WINDOWS).encode()
            except UnicodeDecodeError as error:
                raise ValueError(
                    f"{path} is not a text file in UTF-8, nor in Windows-1252: say its encoding "
                    "with --encoding"
                ) from error
        yield block


def _guess(block: bytes) -> str:
    word = next(word for word in re.findall(rb"[^,;\t\"\r\n]+", block) if not word.isascii())
    return (
        "the file is not in UTF-8, so it was read as Windows-1252: the first cell that is not "
        f"ASCII is {word.decode(WINDOWS, 'replace').strip()[:40]!r}; --encoding names another"
    )


def _cut_at_lines(chunks: Iterator[bytes], path) -> Iterator[bytes]:
    held: list[bytes] = []  # a line that is not at its end yet
    old_macintosh: bool | None = None  # lines end with a carriage return alone
    for chunk in chunks:
        if b"\0" in chunk:
            raise ValueError(
                f"{path} is not a text file in UTF-8: it holds zero bytes (UTF-16 without a byte "
                "order mark is read with --encoding utf-16-le or utf-16-be)"
            )
        if old_macintosh is None and (b"\r" in chunk or b"\n" in chunk):
            old_macintosh = b"\n" not in chunk and not chunk.endswith(b"\r")
        if old_macintosh:
            chunk = chunk.replace(b"\r", b"\n")
        end = chunk.rfind(b"\n") + 1
        if end:
            yield b"".join([*held, memoryview(chunk)[:end]])
            held = []
        if end < len(chunk):
            held.append(chunk[end:])
        if sum(map(len, held)) > LONGEST_RECORD:
            raise ValueError(
                f"{path} has a line of more than {LONGEST_RECORD >> 20} MiB: it is not a table"
            )
    if held:
        yield b"".join(held)
