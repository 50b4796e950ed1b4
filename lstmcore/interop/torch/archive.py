"""The tensors in a file of torch.save, read without PyTorch and without running the file's pickle.

The file is a zip: `data.pkl` says in the language of pickle how to build the object that was saved
(`pickled`), and `data/0`, `data/1`, ... hold the numbers.
https://docs.pytorch.org/docs/stable/notes/serialization.html
"""

from __future__ import annotations

import errno
import os
import struct
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from lstmcore.formatting import excerpt
from lstmcore.interop.torch.pickled import SAVE_WEIGHTS, NotWeights, Other, Tensor, described_by
from lstmcore.interop.torch.weights import prefixes
from lstmcore.io.reading import FAULTS, open_file
from lstmcore.io.tensors import Kind

__all__ = ["open_archive"]

MAX_PICKLE = 2**25  # bytes of data.pkl, which has some 200 for each tensor
MAX_DEPTH = 4  # of dicts within one another
MAX_SHARING = 4  # tensors share storages; all of them may take so many times the size of the file
LEGACY = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."  # how files of torch.save began before 1.6


class Archive(NamedTuple):
    """A file whose program has been read, but none of its storages.

    Attributes:
      kinds: {name: Kind} of the tensors.
      read: function of names that reads these tensors, {name: NumPy array}.
    """

    kinds: dict[str, Kind]
    read: Callable[[Iterable[str]], dict[str, np.ndarray]]


@contextmanager
def open_archive(path: str | os.PathLike) -> Iterator[Archive]:
    """Open a file of torch.save to read the shapes of its tensors, and then the tensors.

    The file holds a dict of tensors, or a dict of such dicts and other things, as a checkpoint
    does: {"epoch": 3, "loss": tensor, "state_dict": {...}}. Of several dicts, the one with a
    recurrent layer is read; if there are several of those, each name begins with the key of its
    dict.

    Raises:
      ValueError: a damaged file, or one that holds anything else than weights.
      OSError: it does not exist, or cannot be read.
    """
    file, size = open_file(path)
    with file:
        start = file.read(len(LEGACY))
        if start == LEGACY:
            raise ValueError(
                f"{path} is in the format of torch.save before PyTorch 1.6, which is not read: "
                f"load it and save it again; {SAVE_WEIGHTS}"
            )
        if not start.startswith(b"PK"):
            raise ValueError(
                f"{path} is not a file of torch.save, which is a zip: was it cut off, or is it of "
                f"another kind? {SAVE_WEIGHTS}"
            )
        with _faults(path), zipfile.ZipFile(file) as archive:
            entries = _Entries(archive, size)
            tensors = _tensors(described_by(entries.contents("data.pkl", MAX_PICKLE)))
            kinds = {name: tensor.kind for name, tensor in tensors.items()}
            entries.check(tensors)

        def read(names: Iterable[str]) -> dict[str, np.ndarray]:
            with _faults(path), zipfile.ZipFile(file) as archive:
                return _Entries(archive, size).read({name: tensors[name] for name in names})

        yield Archive(kinds, read)


@contextmanager
def _faults(path: str | os.PathLike) -> Iterator[None]:
    """Turn errors about the contents of the file into a ValueError that names it."""
    try:
        yield
    except NotWeights as error:
        raise ValueError(f"{path} {error}") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise ValueError(f"{path} is damaged: an entry begins before the file") from error
    except LookupError as error:
        raise ValueError(f"{path} is damaged: its pickle takes what is not there") from error
    except (zipfile.BadZipFile, EOFError, RuntimeError, struct.error, *FAULTS) as error:
        reason = excerpt(error, 300) or type(error).__name__
        raise ValueError(f"{path} is damaged: {reason}") from error


class _Entries:
    """The entries of the zip, all within one folder."""

    def __init__(self, archive: zipfile.ZipFile, size: int):
        self.archive, self.size = archive, size
        names = archive.namelist()
        roots = [n.removesuffix("data.pkl") for n in names if n.endswith("/data.pkl")]
        if len(roots) != 1 or roots[0].count("/") != 1:
            raise NotWeights(f"is a zip, but not of torch.save: {SAVE_WEIGHTS}")
        self.root = roots[0]
        if any(
            name.startswith((f"{self.root}constants.pkl", f"{self.root}code/")) for name in names
        ):
            raise NotWeights(
                "is a program of TorchScript: load it with torch.jit.load, and save its "
                "state_dict() with torch.save"
            )
        order = self.contents("byteorder", 8) if f"{self.root}byteorder" in names else b"little"
        if order not in (b"little", b"big"):
            raise ValueError(f"its byte order is {excerpt(order)}, expected little or big")
        self.order = "<" if order == b"little" else ">"

    def entry(self, name: str) -> zipfile.ZipInfo:
        if self.root + name not in self.archive.NameToInfo:
            raise ValueError(f"it has no entry {excerpt(self.root + name)}")
        return self.archive.getinfo(self.root + name)

    def contents(self, name: str, most: int) -> bytes:
        """Return the contents of an entry of at most so many bytes."""
        entry = self.entry(name)
        if entry.compress_type != zipfile.ZIP_STORED:  # what is not compressed, cannot grow
            raise ValueError(
                f"{excerpt(entry.filename)} is compressed, which torch.save never does"
            )
        if not entry.file_size == entry.compress_size <= min(most, self.size):
            raise ValueError(f"{excerpt(entry.filename)} has {entry.file_size:,} bytes")
        data = self.archive.read(entry)
        if len(data) != entry.file_size:
            raise ValueError(f"{excerpt(entry.filename)} was cut off")
        return data

    def check(self, tensors: Mapping[str, Tensor]) -> None:
        """Raise unless the file holds the numbers of these tensors, in about as many bytes."""
        stored = {}
        for name, tensor in tensors.items():
            storage = tensor.storage
            stored[storage.key] = held = self.entry(f"data/{storage.key}").file_size
            if held < Kind(storage.dtype, (storage.size,)).nbytes:
                raise ValueError(f"the storage of {excerpt(name)} has {held:,} bytes")
        if sum(stored.values()) > self.size:
            raise ValueError("its entries overlap")
        total = sum(tensor.kind.nbytes for tensor in tensors.values())
        if total > MAX_SHARING * self.size:
            raise ValueError(f"its tensors take {total:,} bytes, but the file has {self.size:,}")

    def read(self, tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        """Return tensors as arrays of their own; each storage is read once."""
        keys = {tensor.storage.key for tensor in tensors.values()}
        stored = {key: self.contents(f"data/{key}", self.size) for key in keys}
        return {name: self.array(t, stored[t.storage.key]) for name, t in tensors.items()}

    def array(self, tensor: Tensor, data: bytes) -> np.ndarray:
        """Return a tensor whose storage is `data`."""
        kind = tensor.kind
        number = np.dtype("u2" if kind.dtype == "bfloat16" else kind.dtype).newbyteorder(self.order)
        if 0 in kind.shape:
            view = np.empty(kind.shape, number)
        else:
            strides = tuple(number.itemsize * stride for stride in tensor.strides)
            view = np.ndarray(kind.shape, number, data, number.itemsize * tensor.offset, strides)
        array = np.array(view, number.newbyteorder("="), order="C")
        if kind.dtype != "bfloat16":
            return array
        import ml_dtypes

        return array.view(ml_dtypes.bfloat16)


def _tensors(saved: Any) -> dict[str, Tensor]:
    """Return {name: Tensor} of a state dict, or of those that a checkpoint holds."""
    if not isinstance(saved, dict):
        kind = saved.name if isinstance(saved, Other) else type(saved).__name__
        raise NotWeights(f"holds a {kind}, not a dict of tensors by name: {SAVE_WEIGHTS}")
    every = {path: tensors for path, tensors in _state_dicts(saved) if tensors}
    chosen = {path: tensors for path, tensors in every.items() if prefixes(tensors)} or every
    if not chosen:
        raise NotWeights(f"holds no dict of tensors by name: {SAVE_WEIGHTS}")
    if len(chosen) == 1:
        return next(iter(chosen.values()))
    return {path + n: tensor for path, tensors in chosen.items() for n, tensor in tensors.items()}


def _state_dicts(
    values: dict, path: str = "", outer: tuple[int, ...] = ()
) -> Iterator[tuple[str, dict]]:
    """Yield the tensors of a dict and of the dicts in it, with what their names begin with."""
    yield path, _named(values)
    outer = (*outer, id(values))  # of the dicts around; one may hold itself
    for key, value in values.items():
        if isinstance(value, dict) and id(value) not in outer and len(outer) < MAX_DEPTH:
            yield from _state_dicts(value, f"{path}{key}.", outer)


def _named(values: dict) -> dict[str, Tensor]:
    """Return the tensors among the values of a dict."""
    for name, value in values.items():
        if isinstance(value, Other) and value.is_tensor:
            raise NotWeights(f"holds {excerpt(name)} as a {value.name}, which is not read here")
    return {str(name): value for name, value in values.items() if isinstance(value, Tensor)}
