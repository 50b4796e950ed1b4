"""The input of a network from a file of NumPy arrays, .npy or .npz."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from lstmcore.cli.networks import input_of, reads_tokens
from lstmcore.formatting import count, few

EXTENSIONS = (".npy", ".npz")
LARGEST = 2**31  # bytes of an array


def read(path: Path, model: Any) -> tuple[Any, Any]:
    """Return the input of a model and its mask, if the file has one.

    A .npy holds the input, [B, T, F] or [T, F], of tokens [B, T] or [T]. A .npz holds it as its
    only array or under the name "x", and may hold a "mask" of its steps, [B, T] or [T].

    Raises:
      ValueError: the file is damaged, holds something else than numbers, or arrays of other shapes.
      OSError: the file cannot be read.
    """
    arrays = _arrays(path)
    mask = arrays.pop("mask", None)
    if set(arrays) != {"x"} and len(arrays) != 1:
        raise ValueError(
            f"{path} holds {count(len(arrays), 'array')} ({few(sorted(arrays))}): name the input x "
            "and, if there is one, the mask of its steps mask"
        )
    x = next(iter(arrays.values()))
    axes, kinds, kind = (2, "iu", "integers") if reads_tokens(model) else (3, "fiu", "numbers")
    if x.dtype.kind not in kinds:
        raise ValueError(f"{path} holds {x.dtype}, but the network reads {kind}: {input_of(model)}")
    if x.ndim == axes - 1:
        x = x[None]
        mask = mask if mask is None else mask[None]
    if x.ndim != axes or (axes == 3 and x.shape[2] != model.features):
        raise ValueError(
            f"{path} has shape {x.shape}, but the network reads {input_of(model)}; the axis of the "
            "batch may be left out"
        )
    if 0 in x.shape:
        raise ValueError(f"{path} has shape {x.shape}, which is empty")
    if mask is not None and (mask.dtype != bool or mask.shape != x.shape[:2]):
        raise ValueError(
            f"{path}: mask must be bool {list(x.shape[:2])}, True at steps that are real, got "
            f"{mask.dtype} {list(mask.shape)}"
        )
    return x.astype(np.int32 if reads_tokens(model) else np.float32), mask


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file; the one of a .npy is named x."""
    try:
        if path.suffix.lower() == ".npy":
            # Mapped into memory, so that a header cannot ask for more than there is.
            return {"x": np.lib.format.open_memmap(path, mode="r")}
        with zipfile.ZipFile(path) as archive:
            is_large = any(entry.file_size > LARGEST for entry in archive.infolist())
        if not is_large:
            with np.load(path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("a file of another kind")
            return arrays
    except (ValueError, EOFError, KeyError, NotImplementedError, zipfile.BadZipFile) as error:
        if "Object arrays" in str(error) or "Python objects" in str(error):
            raise ValueError(
                f"{path} holds Python objects, which are not read, since reading them can run "
                "code: save arrays of numbers"
            ) from error
        raise ValueError(f"{path} is damaged, or no file of NumPy arrays") from error
    raise ValueError(f"{path} holds an array of more than 2 GiB: save a part of it")
