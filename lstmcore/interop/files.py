"""Models in the files of other frameworks, read and written by their extension.

'.keras', '.h5', '.hdf5'                 Keras, the older files of Keras 2 too
'.onnx'                                  ONNX
'.safetensors', '.pt', '.pth', '.bin'    weights of PyTorch; '.safetensors' also lstmcore's own
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Imported", "read", "write"]

# The module of each extension has read(path, layer), and write(path, model, params) if it writes.
READERS = {
    ".keras": "keras.reading",
    ".h5": "keras.reading",
    ".hdf5": "keras.reading",
    ".onnx": "onnx.reading",
    ".safetensors": "torch.state_dicts",
    ".pt": "torch.state_dicts",
    ".pth": "torch.state_dicts",
    ".bin": "torch.state_dicts",
}
WRITERS = {
    ".keras": "keras.writing",
    ".onnx": "onnx.writing",
    ".safetensors": "torch.state_dicts",
}
FLAX = "; of Flax, pass the tree of weights to lc.interop.from_flax"


class Imported(NamedTuple):
    """A model from a file of another framework.

    Attributes:
      model: an `lc.Chain` for a whole network; any model with `layers` and `apply`.
      params: {name of the layer: its weights}, NumPy arrays in the dtypes of the file.
      notes: what was read and has no effect here, or differs; one sentence each.
    """

    model: Any
    params: dict[str, Any]
    notes: tuple[str, ...] = ()


def read(path: str | os.PathLike, layer: str | None = None) -> Imported:
    """Read a model from a file of Keras, ONNX, PyTorch or lstmcore.

    Nothing in the file is executed.

    Args:
      path: the file; its extension says what it is.
      layer: read only the LSTM of this name, out of a network that cannot be read as a whole: the
        name of a layer in Keras; in PyTorch the prefix of the weights of an nn.LSTM, which may have
        several layers; in ONNX the name of a node, which is one layer, in one direction or both.

    Returns:
      Imported(model, params, notes).

    Raises:
      ValueError: an unknown extension, or a file that is damaged or holds something that cannot be
        read; the message names the file, the layer and what was expected.
      FileNotFoundError: there is no such file.
      ImportError: the package that reads such files is not installed.
    """
    return _module_of(path, READERS, "read").read(path, layer)


def write(path: str | os.PathLike, model: Any, params: Mapping[str, Any]) -> None:
    """Write a model and its weights into a file that another framework reads.

    Args:
      path: the file; its extension says what it is. An existing one is replaced, in one step, once
        the new one is complete.
      model: one of lstmcore's models.
      params: its weights.

    Raises:
      ValueError: an unknown extension, params that do not fit the model, or a layer that the format
        cannot express.
      ImportError: the package that writes such files is not installed.
    """
    _module_of(path, WRITERS, "written").write(path, model, params)


def _module_of(path: str | os.PathLike, modules: Mapping[str, str], done: str) -> Any:
    """Return the module for the extension of a file."""
    extension = Path(path).suffix.lower()
    if extension not in modules:
        known = ", ".join(modules)
        raise ValueError(
            f"{path} cannot be {done}: its extension is {extension or 'missing'}, expected one of "
            f"{known}{FLAX if extension == '.msgpack' else ''}"
        )
    return import_module(f"lstmcore.interop.{modules[extension]}")
