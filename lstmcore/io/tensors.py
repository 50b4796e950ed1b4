"""Arrays and text in one file, in the safetensors format.

A file consists of the length of its header (8 bytes, little-endian), the header (JSON: dtype, shape
and offsets of every array, and text under "__metadata__"), and the bytes of the arrays.
https://github.com/huggingface/safetensors describes the format; other programs read these files.

Nothing is pickled. The header is compared with the size of the file, and by the caller with what is
expected, before memory is allocated for an array. A digest in the metadata covers everything else.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstmcore.formatting import excerpt
from lstmcore.io.atomic import atomic_path, flush, temporary_path
from lstmcore.io.json_text import MAX_BYTES, parse_json
from lstmcore.io.reading import open_file

__all__ = [
    "Kind",
    "NotTensors",
    "TensorFile",
    "digest_of",
    "open_tensors",
    "read_tensors",
    "try_tensors",
    "write_tensors",
]

DIGEST = "digest"  # in the metadata; files of lstmcore 0.1 have none
METADATA = "__metadata__"
MAX_AXES = 32
DTYPES = {  # name in NumPy: name in the file; the others of safetensors have no use here
    "bool": "BOOL",
    "int8": "I8",
    "int16": "I16",
    "int32": "I32",
    "int64": "I64",
    "uint8": "U8",
    "uint16": "U16",
    "uint32": "U32",
    "uint64": "U64",
    "bfloat16": "BF16",
    "float16": "F16",
    "float32": "F32",
    "float64": "F64",
    "complex64": "C64",
}
NAMES = {code: name for name, code in DTYPES.items()}
BYTES = {name: 2 if name == "bfloat16" else np.dtype(name).itemsize for name in DTYPES}


class Kind(NamedTuple):
    """The dtype, by its name in NumPy such as "float32", and the shape of an array."""

    dtype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, array) -> Kind:
        """Return the kind of an array, or of anything else that has a dtype and a shape."""
        return cls(str(array.dtype), tuple(array.shape))

    @property
    def nbytes(self) -> int:
        """Return the size of such an array in bytes."""
        return math.prod(self.shape) * BYTES[self.dtype]

    def __str__(self) -> str:
        return f"{self.dtype}{list(self.shape)}"


class TensorFile(NamedTuple):
    """A file whose header has been read and checked, but none of its arrays.

    Attributes:
      path: for error messages.
      metadata: text by name, without the digest.
      kinds: {name: Kind}, in the order of the arrays in the file.
      read: function that reads the arrays, {name: NumPy array}; ValueError if the digest differs.
    """

    path: str
    metadata: dict[str, str]
    kinds: dict[str, Kind]
    read: Callable[[], dict[str, np.ndarray]]

    def description(self, key: str, missing: str) -> Any:
        """Return the JSON that the metadata holds under `key`, alone.

        Raises:
          ValueError: there is none, with the message `missing`; it is not JSON; or there
            is other metadata, which lstmcore does not write.
        """
        if key not in self.metadata:
            raise ValueError(f"{self.path} {missing}")
        for other in self.metadata.keys() - {key}:
            other = excerpt(repr(other))
            raise ValueError(f"{self.path} is damaged: its metadata also holds {other}")
        return parse_json(self.metadata[key], self.path)


class NotTensors(ValueError):
    """A file that is not a complete safetensors file."""


@contextmanager
def open_tensors(path: str | os.PathLike) -> Iterator[TensorFile]:
    """Open a file to read its metadata, the dtypes and shapes of its arrays, and then the arrays.

    Raises:
      NotTensors: it is not a complete safetensors file.
      ValueError: it is not a regular file.
      OSError: it does not exist, or cannot be read.
    """
    file, size = open_file(path)
    with file:
        try:
            metadata, kinds = _read_header(file, size)
        except ValueError as error:
            raise NotTensors(
                f"{path} is not a complete safetensors file ({error}): was it cut off, or is it of "
                "another kind?"
            ) from error
        digest = metadata.pop(DIGEST, None)

        def read() -> dict[str, np.ndarray]:
            arrays = {name: _read_array(file, kind, name, path) for name, kind in kinds.items()}
            if digest is not None and digest != digest_of(arrays, metadata):
                raise ValueError(
                    f"{path} is damaged: its bytes are not those that were written (their digest "
                    "differs)"
                )
            return arrays

        yield TensorFile(os.fspath(path), metadata, kinds, read)


def read_tensors(path: str | os.PathLike) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Return (metadata, arrays by name) of any file; errors as in `open_tensors`."""
    with open_tensors(path) as file:
        return file.metadata, file.read()


def write_tensors(path: str | os.PathLike, tensors: Mapping, metadata: Mapping[str, str]) -> None:
    """Write arrays and text into a file, in one step, with a digest of both.

    Raises:
      ValueError: more names, or longer metadata, than `open_tensors` reads.
      OSError: the file cannot be written.
    """
    parts = _serialised(tensors, metadata)
    with atomic_path(path) as temporary:
        _write(temporary, parts)


def try_tensors(path: str | os.PathLike, tensors: Mapping, metadata: Mapping[str, str]) -> None:
    """Raise the errors that `write_tensors` would, as on a full disk, but change nothing."""
    parts = _serialised(tensors, metadata)
    with temporary_path(path) as temporary:
        _write(temporary, parts)
        flush(temporary)


def digest_of(arrays: Mapping[str, np.ndarray], text: object = None) -> str:
    """Return 32 characters that change with any byte, dtype, shape or name, and with `text`.

    `text` is anything that JSON can hold. 1 GB takes about a second.
    """
    digest = hashlib.blake2b(json.dumps(text, sort_keys=True).encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.asarray(arrays[name], order="C")
        digest.update(json.dumps([name, str(Kind.of(array))]).encode())
        digest.update(_bytes(array))
    return digest.hexdigest()


def _read_header(file: BufferedReader, size: int) -> tuple[dict[str, str], dict[str, Kind]]:
    """Return (metadata, kinds in file order), which account for every byte of the file."""
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > size - 8:
        raise ValueError(f"{size:,} bytes are too few for its header")
    if length > MAX_BYTES:
        raise ValueError(f"a header of {length:,} bytes, expected at most {MAX_BYTES:,}")
    entries = parse_json(file.read(length), "its header")
    if not isinstance(entries, dict):
        raise ValueError("its header is not a JSON object")
    metadata = entries.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ValueError("its metadata is not text by name")
    found = sorted((_entry(name, entry), name) for name, entry in entries.items())
    end = 0
    for (start, stop, kind), name in found:
        if start != end or stop - start != kind.nbytes:
            name = excerpt(repr(name))
            raise ValueError(f"the offsets of {name} do not fit {excerpt(kind)}")
        end = stop
    if end != size - 8 - length:
        raise ValueError(f"its arrays take {end:,} bytes, the file has {size - 8 - length:,}")
    return metadata, {name: kind for (_, _, kind), name in found}


def _entry(name: str, entry) -> tuple[int, int, Kind]:
    """Return (first byte, end, kind) of an array from its header entry."""
    label = excerpt(repr(name))
    try:
        code, shape, (start, stop) = (entry[key] for key in ("dtype", "shape", "data_offsets"))
        known = isinstance(code, str) and len(entry) == 3 and len(shape) <= MAX_AXES
        known &= all(type(number) is int and number >= 0 for number in (start, stop, *shape))
    except (LookupError, TypeError, ValueError):
        known = False
    if not known:
        raise ValueError(f"{label} has no dtype, shape and offsets")
    if code not in NAMES:
        code = excerpt(repr(code))
        raise ValueError(f"{label} is of dtype {code}, expected {', '.join(NAMES)}")
    if math.prod(max(n, 1) for n in shape) >= 2**62 // 8:  # NumPy cannot count its bytes
        raise ValueError(f"{label} has the shape {excerpt(shape)}")
    return start, stop, Kind(NAMES[code], tuple(shape))


def _read_array(file: BufferedReader, kind: Kind, name: str, path) -> np.ndarray:
    try:
        array = np.empty(kind.shape, _little_endian(kind.dtype, path))
    except MemoryError:
        gigabytes = kind.nbytes / 1e9
        raise OSError(errno.ENOMEM, f"{path} needs {gigabytes:.1f} GB for {name!r}") from None
    if file.readinto(_bytes(array)) != kind.nbytes:
        raise ValueError(f"{path} was changed while it was read: read it again")
    if kind.dtype == "bool" and array.view(np.uint8).max(initial=0) > 1:
        raise ValueError(f"{path} is damaged: {name!r} holds numbers that are not bool")
    return array


def _little_endian(dtype: str, path) -> np.dtype:
    if dtype != "bfloat16":
        return np.dtype(dtype).newbyteorder("<")
    try:
        import ml_dtypes
    except ImportError as error:
        raise ValueError(
            f"{path} holds bfloat16, which needs the package ml_dtypes: pip install ml_dtypes, or "
            "save float32"
        ) from error
    return np.dtype(ml_dtypes.bfloat16)


def _serialised(tensors: Mapping, metadata: Mapping[str, str]) -> list:
    """Return the parts of a file: length, header, arrays as bytes, the widest dtypes first.

    In this order every array starts at a multiple of its item size, as programs that map files into
    memory need it.
    """
    # A transposed view is not contiguous, so it must be copied.
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    for name, array in arrays.items():
        if str(array.dtype) not in DTYPES:
            raise TypeError(f"{name} is {array.dtype}, which a file cannot hold")
    names = sorted(arrays, key=lambda name: (-arrays[name].itemsize, name))
    header: dict = {METADATA: dict(metadata) | {DIGEST: digest_of(arrays, dict(metadata))}}
    end = 0
    for name in names:
        kind, start = Kind.of(arrays[name]), end
        end += kind.nbytes
        shape = list(kind.shape)
        header[name] = {
            "dtype": DTYPES[kind.dtype], "shape": shape, "data_offsets": [start, end]
        }  # fmt: skip
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    parse_json(text, "the header of the file")  # no file is better than an unreadable one
    return [len(text).to_bytes(8, "little"), text, *(_bytes(arrays[name]) for name in names)]


def _write(path: Path, parts: list) -> None:
    with path.open("wb") as file:
        for part in parts:
            file.write(part)


def _bytes(array: np.ndarray) -> memoryview:
    """Return the memory of an array that is laid out in C order."""
    return array.reshape(-1).view(np.uint8).data
