"""The arrays in HDF5 files of Keras, read with nothing in the file trusted.

Three layouts are known:

layers/lstm_1/cell/vars/0       Keras 3, in a .keras file or in .weights.h5; Keras 2.13 has another
                                name for "layers"
model_weights/lstm_7/...        a whole model of Keras 2 in .h5: its attributes list the names
lstm_7/...                      only its weights

A file may say anything of itself, and HDF5 would follow: links into other files, datasets made of
other datasets, or a shape that would fill the memory. Only plain datasets are read, each at most
MOST_EXPANSION times as large as the file, and all together, too.
"""

from __future__ import annotations

import io
import math
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from lstmcore.formatting import excerpt

__all__ = ["MOST_EXPANSION", "WeightFile"]

MOST_EXPANSION = 20  # numbers in a file of Keras are hardly ever compressed, and then by little
SMALL = 2**20  # bytes that may always be read
MOST_TEXT = 16 * 2**20  # bytes of an attribute
MOST_GROUPS, MOST_DEPTH = 100_000, 20
MOST_NAMES = 20  # of attributes for which the file is searched
SIGNATURE, HEAP = b"\x89HDF\r\n\x1a\n", b"GCOL\x01"
VARYING_LENGTH, MOST_RESERVED = 9, 2**32  # class of such a type; bytes for each value
FILTERS = {1: "gzip", 2: "shuffle", 3: "fletcher32", 32000: "lzf"}  # which h5py always reads
ROOTS = ("layers", "_layer_checkpoint_dependencies")  # of the weights of Keras 3; of Keras 2.13


class WeightFile:
    """An HDF5 file of Keras, open for reading.

    Attributes:
      where: name of the file, for messages.
      size: of the file, in bytes.
    """

    def __init__(self, file: BinaryIO, where: str, size: int) -> None:
        try:
            import h5py
        except ImportError as error:
            raise ImportError(
                f'{where} needs the package h5py: pip install "lstmcore[keras]"'
            ) from error
        self.where, self.size = where, size
        self._h5py, self._budget = h5py, max(MOST_EXPANSION * size, SMALL)
        with self._damage():
            self._bytes = _bytes_of(file, size)
            self._text_bytes: dict[str, dict[int, int]] = {}
            _check_heaps(self._bytes, size)
            self._file = h5py.File(file, "r")

    def __enter__(self) -> WeightFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
        if isinstance(self._bytes, mmap.mmap):
            self._bytes.close()

    @contextmanager
    def _damage(self, name: str = "") -> Iterator[None]:
        """Turn whatever HDF5 reports into a ValueError that names the file and what was read."""
        at = f": {excerpt(name, 100)}" if name else ""
        try:
            yield
        except FileError:
            raise
        except Refused as error:
            raise FileError(f"{self.where}{at} {error}") from None
        except MemoryError:
            raise FileError(f"{self.where}{at} does not fit into memory") from None
        except Exception as error:  # h5py has no class of errors of its own
            raise FileError(
                f"{self.where}{at} is damaged, or no HDF5: {excerpt(error, 200)}"
            ) from error

    def root(self) -> str | None:
        """Return the group of the layers in the layout of Keras 3, or None in another layout."""
        return next((name for name in ROOTS if self._child("", name) is not None), None)

    def text(self, name: str, group: str = "") -> str | None:
        """Return an attribute of the file or of a group that is a text, or None."""
        values = self._attribute(group, name)
        if values is None:
            return None
        if len(values) != 1:
            raise ValueError(f"{self.where}: the attribute {name} holds {len(values)} texts, not 1")
        return values[0]

    def texts(self, name: str, group: str = "") -> list[str] | None:
        """Return an attribute that is a list of texts, or None.

        Keras stores a long one in parts: name0, name1, ...
        """
        values = self._attribute(group, name)
        if values is not None:
            return values
        parts: list[str] = []
        place = 0
        while (more := self._attribute(group, f"{name}{place}")) is not None:
            parts += more
            place += 1
        return parts if place else None

    def array(self, path: str) -> np.ndarray:
        """Return one dataset of floating-point numbers, by its path.

        Raises:
          ValueError: it is missing, is not a plain dataset, or is larger than the file allows.
        """
        with self._damage(path):
            found = self._child("", path)
            if found is None:
                raise Refused("is missing")
            if not isinstance(found, self._h5py.Dataset):
                raise Refused("is a group where weights were expected")
            return self._read(found)

    def children(self, group: str) -> dict[str, bool]:
        """Return the names in a group, and whether each is a group itself."""
        with self._damage(group):
            found = self._child("", group)
            if not isinstance(found, self._h5py.Group):
                return {}
            if len(found) > MOST_GROUPS:
                raise Refused(f"has {len(found):,} entries, expected at most {MOST_GROUPS:,}")
            if not all(isinstance(name, str) for name in found):  # bytes that are no UTF-8
                raise Refused("has an entry whose name is no text")
            return {name: isinstance(self._child(group, name), self._h5py.Group) for name in found}

    def datasets(self, group: str) -> list[str]:
        """Return the paths of all datasets below a group."""
        found: list[str] = []
        waiting, seen = [(group, 0)], 0
        while waiting:
            path, depth = waiting.pop()
            for name, is_group in self.children(path).items():
                seen += 1
                if depth > MOST_DEPTH or seen > MOST_GROUPS:
                    raise ValueError(f"{self.where}: {excerpt(path, 100)} is nested too deep")
                below = f"{path}/{name}" if path else name
                if is_group:
                    waiting.append((below, depth + 1))
                else:
                    found.append(below)
        return found

    def _child(self, group: str, path: str) -> Any:
        """Return the group or dataset at a path, or None; refuse links into anywhere else."""
        whole = f"{group}/{path}" if group else path
        with self._damage(whole):
            current = self._file
            for name in filter(None, whole.split("/")):
                if not isinstance(current, self._h5py.Group) or name in (".", ".."):
                    return None
                link = current.get(name, getlink=True)
                if link is None:
                    return None
                if not isinstance(link, self._h5py.HardLink):
                    raise Refused(f"is a link ({type(link).__name__}), which is not followed")
                current = current[name]
            return current

    def _attribute(self, group: str, name: str) -> list[str] | None:
        """Return an attribute as a list of texts, or None."""
        with self._damage(f"the attribute {name} of {group}" if group else f"the attribute {name}"):
            owner = self._child("", group) if group else self._file
            if owner is None or name not in owner.attrs:
                return None
            kind = owner.attrs.get_id(name)
            number = math.prod((0,) if kind.shape is None else kind.shape)
            if not number:  # Keras 2 stores an empty list as one of numbers
                return []
            # Before it is read: HDF5 crashes on a type of varying length that is no text.
            stored = kind.get_type()
            if not isinstance(stored, self._h5py.h5t.TypeStringID):
                raise Refused(f"holds {excerpt(stored.dtype, 60)}, expected text")
            if number > MOST_GROUPS or number * stored.get_size() > MOST_TEXT:
                raise Refused(f"holds {number:,} values, expected at most {MOST_GROUPS:,}")
            if stored.is_variable_str():
                self._check_text_bytes(name, number)
            values = np.atleast_1d(np.asarray(owner.attrs[name], object)).ravel()
            return [v.decode("utf-8") if isinstance(v, bytes) else _text(v) for v in values]

    def _check_text_bytes(self, name: str, number: int) -> None:
        """Raise if so many texts are said to be longer than the file."""
        if name not in self._text_bytes:
            if len(self._text_bytes) == MOST_NAMES:
                raise Refused(f"is one of more than {MOST_NAMES} attributes of varying length")
            self._text_bytes[name] = _text_bytes(self._bytes, name)
        bytes_ = self._text_bytes[name].get(number, number * MOST_RESERVED)  # if not found
        if bytes_ > self.size:
            raise Refused(f"is said to hold {bytes_:,} bytes in a file of {self.size:,}")

    def _read(self, dataset: Any) -> np.ndarray:
        """Return the numbers of a dataset, whose size and kind are checked first."""
        if dataset.external or dataset.is_virtual:
            raise Refused("lies in another file, which is not opened")
        if dataset.shape is None or len(dataset.shape) > 2:
            raise Refused(f"has shape {dataset.shape}, expected one or two axes")
        # NumPy's bfloat16, as Keras stores it, is two bytes without a kind.
        if dataset.dtype.kind != "f" or dataset.dtype.itemsize not in (2, 4, 8):
            raise Refused(
                f"holds {excerpt(dataset.dtype, 60)}, expected floating-point numbers of 16, 32 or "
                "64 bits"
            )
        bytes_ = math.prod(dataset.shape) * dataset.dtype.itemsize
        if bytes_ > self._budget:
            raise Refused(
                f"has shape {dataset.shape}, which makes the weights more than {MOST_EXPANSION} "
                f"times as large as the file of {self.size:,} bytes"
            )
        self._budget -= bytes_
        pipeline = dataset.id.get_create_plist()
        for place in range(pipeline.get_nfilters()):
            if (code := pipeline.get_filter(place)[0]) not in FILTERS:
                known = ", ".join(FILTERS.values())
                raise Refused(f"is compressed with filter {code}, expected one of {known}")
        array = np.asarray(dataset[()])
        return array.astype(array.dtype.newbyteorder("="), copy=False)


class FileError(ValueError):
    """A message that names the file already."""


class Refused(Exception):
    """Something in a file that is not read, and why."""


def _bytes_of(file: BinaryIO, size: int) -> bytes | mmap.mmap:
    """Return what is in a file, without reading it into memory."""
    if isinstance(file, io.BytesIO):
        return file.getvalue()
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""


def _check_heaps(data: bytes | mmap.mmap, size: int) -> None:
    """Raise if HDF5 would read a heap of texts for ever: it does at an entry of no size, number 0.

    Layout: HDF5 File Format Specification, version 3.0, "Global Heap". A collection is "GCOL", its
    version, its size [8 bytes at 8] and entries: number [2], uses [2], reserved [4], size [8].
    """
    if data[:8] != SIGNATURE:
        raise Refused("is damaged, or no HDF5: it does not begin as HDF5 does")
    if data[14 if data[8] < 2 else 10] != 8:
        raise Refused("is damaged, or has sizes of other than 8 bytes")
    start, steps = data.find(HEAP), size // 16  # sound collections do not overlap
    while start >= 0:
        at, end = start + 16, start + int.from_bytes(data[start + 8 : start + 16], "little")
        while at + 16 <= min(end, size):
            number = int.from_bytes(data[at : at + 2], "little")
            bytes_ = int.from_bytes(data[at + 8 : at + 16], "little")
            if (steps := steps - 1) < 0:
                raise Refused("is damaged: its heaps overlap")
            if number == 0 and bytes_ == 0:
                raise Refused("is damaged: a heap has an entry of no size")
            at += bytes_ if number == 0 else 16 + (bytes_ + 7) // 8 * 8
        start = data.find(HEAP, start + 1)


def _text_bytes(data: bytes | mmap.mmap, name: str) -> dict[int, int]:
    """Return {number of texts: their bytes in all, as stated} of the attributes of one name.

    HDF5 reserves as much, up to 4 GiB for each text, before it looks whether there is such a text.
    Of several attributes with as many texts the largest counts.

    Layout: the same, "Attribute Message". It is its version, flags, the sizes of name, type and
    space [2 bytes each], in version 3 an encoding, and then name, type, space and values; in
    version 1 name, type and space are each filled up to 8 bytes. A text is its length [4 bytes]
    and its place in a heap [12].
    """

    def integer(at: int, bytes_: int) -> int:
        return int.from_bytes(data[at : at + bytes_], "little")

    most: dict[int, int] = {}
    key, left = name.encode() + b"\0", len(data)  # sound attributes do not overlap
    at = data.find(key)
    while at >= 0:
        for version, before in ((1, 8), (2, 8), (3, 9)):
            start = at - before
            if start < 0 or data[start] != version or integer(start + 2, 2) != len(key):
                continue
            sizes = [integer(start + place, 2) for place in (2, 4, 6)]
            sizes = [(size + 7) // 8 * 8 for size in sizes] if version == 1 else sizes
            kind, space, values = (at + sum(sizes[:count]) for count in (1, 2, 3))
            if data[start + 1] == 0 and integer(kind, 1) % 16 != VARYING_LENGTH:
                continue
            axes = space + (8 if integer(space, 1) == 1 else 4)
            number = math.prod(integer(axes + 8 * axis, 8) for axis in range(integer(space + 1, 1)))
            if values + 16 * number > len(data):
                continue
            if (left := left - 16 * number) < 0:
                raise Refused("is damaged: it overlaps with others")
            lengths = (integer(values + 16 * place, 4) for place in range(number))
            most[number] = max(sum(lengths), most.get(number, 0))
        at = data.find(key, at + 1)
    return most


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Refused(f"holds {type(value).__name__}, expected text")
    return value
