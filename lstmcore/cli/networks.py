"""A network from any file that lstmcore reads: its own, or one of another framework."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

import lstmcore as lc
from lstmcore.cli.options import of_model
from lstmcore.formatting import count
from lstmcore.interop.files import READERS
from lstmcore.io import manifest
from lstmcore.io.manifest import MANIFEST
from lstmcore.io.model_file import KEY
from lstmcore.io.tensors import open_tensors
from lstmcore.models.chain_parts import Embedding

File = Annotated[
    Path,
    typer.Argument(
        metavar="FILE",
        show_default=False,
        help="A network: .keras, .h5, .hdf5 (Keras), .onnx, .safetensors, .pt, .pth, .bin "
        "(PyTorch), a model.safetensors of lstmcore, or the folder of one.",
    ),
]
LayerName = Annotated[
    str | None,
    of_model(
        "--layer",
        metavar="NAME",
        help="Read this LSTM alone: the name of a layer (Keras), of a node (ONNX), or the prefix "
        "of its weights (PyTorch).",
    ),
]


ARCHITECTURE = (  # of `interop.read_keras`
    "pass what model.to_json() of Keras returns, lc.interop.read_keras(path, architecture=), put "
    "it beside"
)


class Network(NamedTuple):
    """A network that was read from a file.

    Attributes:
      file: the file itself, where a folder was named.
      model: one of lstmcore's models.
      params: {name of the layer: its weights}.
      notes: sentences on what differs from the framework that wrote the file.
      is_own: whether lstmcore wrote the file.
    """

    file: Path
    model: Any
    params: dict[str, Any]
    notes: tuple[str, ...]
    is_own: bool


def read(path: Path, layer: str | None = None) -> Network:
    """Read a network.

    Args:
      path: a file, or a folder with a model.safetensors.
      layer: the LSTM to read alone, out of a file of another framework.

    Raises:
      ValueError, OSError, ImportError: as `lc.load` and `lc.interop.read`; or a layer of a file of
        lstmcore's own, which is read as a whole.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    if not _is_own(file):
        try:
            return Network(file, *lc.interop.read(file, layer), is_own=False)
        except ValueError as error:
            raise ValueError(_as_option(str(error))) from error
    if layer is not None:
        raise ValueError(
            f"{file} is one of lstmcore's own, which is read as a whole: leave out --layer"
        )
    if (file.parent / MANIFEST).exists() and file.name in manifest.read(file.parent).parts:
        manifest.check_parts(file.parent, (file.name,), "lstmcore")
    return Network(file, *lc.load(file), notes=(), is_own=True)


def in_float32(network: Network, done: str = "computed") -> Network:
    """Return a network of another framework with weights in float32, in which JAX computes.

    A note says so if they were of another dtype, with the word for what is done in float32.
    """
    arrays = [a for layer in network.params.values() for a in layer if a is not None]
    if network.is_own or all(a.dtype == np.float32 for a in arrays):
        return network
    dtypes = sorted({str(a.dtype) for a in arrays} - {"float32"})
    params = {
        name: type(layer)(*(None if a is None else np.asarray(a, np.float32) for a in layer))
        for name, layer in network.params.items()
    }
    note = f"the weights are {' and '.join(dtypes)}; {done} in float32"
    return network._replace(params=params, notes=(*network.notes, note))


def reads_tokens(model: Any) -> bool:
    """Return whether a model reads tokens rather than numbers."""
    return isinstance(model, lc.Chain) and isinstance(model.parts[0], Embedding)


def input_of(model: Any) -> str:
    """Return what a model reads, for messages: "[batch, time, 3 features]"."""
    if reads_tokens(model):
        return f"tokens [batch, time], integers from 0 to {model.parts[0].vocabulary - 1}"
    if isinstance(model, lc.DenseAutoencoder):
        return f"[batch, {count(model.features, 'feature')}]"
    if isinstance(model, lc.Seq2Seq):
        if model.embedding[0] is None:
            return f"[batch, time, {count(model.source, 'feature')}]"
        return f"tokens [batch, time], integers from 0 to {model.source - 1}"
    return f"[batch, time, {count(model.features, 'feature')}]"


def _as_option(message: str) -> str:
    """Return a message with what the command line has for the arguments of Python."""
    message = message.replace(ARCHITECTURE, "put what model.to_json() of Keras returns beside")
    for end in (" ", ":", ";", "..."):
        message = message.replace(f"layer={end}", f"--layer{end}")
    return message.replace("layer=", "--layer ")


def _is_own(file: Path) -> bool:
    """Return whether to read a file by `lc.load`, which also says what is wrong with it."""
    if file.suffix.lower() not in READERS:
        return True
    if file.suffix.lower() != ".safetensors":
        return False
    if not file.is_file():
        return True
    try:
        with open_tensors(file) as opened:
            return KEY in opened.metadata
    except ValueError:
        return True
