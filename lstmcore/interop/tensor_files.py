"""Files of PyTorch's weights as models: '.safetensors', and '.pt', '.pth', '.bin' of torch.save.

Such a file holds tensors by name, and nothing about the network between them. What is made of it:

- The LSTM, all layers of the one nn.LSTM or nn.LSTMCell in the file, is always read.
- If the file holds besides it no more than an embedding and a linear layer, and their shapes leave
  no doubt, these become the first and the last layer: an embedding is a weight [V, F] without a
  bias, for the F features of the LSTM, and the linear layer has a weight [U, H] and a bias, for all
  that the LSTM hands on.
- With any other tensor in the file, the LSTM is read alone, and `notes` names the others.

Activations, and which steps a linear layer reads, stand in no such file: `notes` says so.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from lstmcore.formatting import few, listed, shorten
from lstmcore.interop.files import Imported
from lstmcore.interop.torch import from_torch, prefixes
from lstmcore.io.model_file import KEY, read_model_file
from lstmcore.io.tensors import open_tensors
from lstmcore.models.chain import Chain
from lstmcore.models.chain_parts import LSTM, Dense, Embedding, Part
from lstmcore.types import DenseParams, EmbeddingParams, LSTMParams

__all__ = ["read"]


def read(path: str | os.PathLike, layer: str | None = None) -> Imported:
    """Read a model from a file of PyTorch's weights, or of lstmcore's own; see `files.read`."""
    with open_tensors(path) as file:
        if KEY not in file.metadata:
            return chain_of(os.fspath(path), file.read(), layer)
    if layer is not None:
        raise ValueError(
            f"{path} is a model of lstmcore, which is read as a whole: leave out layer={layer!r}"
        )
    return Imported(*read_model_file(path))


def chain_of(path: str, tensors: Mapping[str, np.ndarray], layer: str | None = None) -> Imported:
    """Return the LSTM among some tensors, with what stands before and behind it, as a chain.

    Args:
      path: for messages.
      tensors: {name: array}.
      layer: the prefix of the LSTM, which is then read alone; None if there is but one.

    Raises:
      ValueError: no LSTM, several of them, or weights that do not fit; the message names the file.
    """
    found = prefixes(tensors)
    if layer is None and len(found) > 1:
        shown = listed([repr(prefix.removesuffix(".")) for prefix in found])
        raise ValueError(
            f"{path} holds {len(found)} stacks of recurrent layers, {shown}, and does not say how "
            f"they are joined: name one, layer={found[0].removesuffix('.')!r}"
        )
    prefix = layer if layer is not None else next(iter(found), "")
    prefix = prefix.removesuffix(".") + "." * bool(prefix)
    names = [n for n in tensors if n.startswith(prefix) and prefixes([n]) == [prefix]]
    try:
        lstm = from_torch({n: tensors[n] for n in names} if names else tensors, prefix)
    except ValueError as error:
        advice = str(error).replace("prefix=", "layer=")
        raise ValueError(f"{path}: {advice}") from error
    parts: list[Part] = _parts(lstm)
    first = next(iter(lstm.values()))
    features = first.kernel.shape[0]
    hidden = first.recurrent_kernel.shape[0] * (2 if _is_bidirectional(lstm) else 1)
    others = {name: tensors[name] for name in tensors if name not in names}
    if layer is not None or not others:
        return Imported(Chain(parts, features), dict(lstm), ())
    around = _around(others, features, hidden)
    if around is None:
        note = f"Only the LSTM was read; the file also holds {few(list(others))}."
        return Imported(Chain(parts, features), dict(lstm), (note,))
    params: dict[str, Any] = {}
    notes = []
    if around.embedding is not None:
        table = EmbeddingParams(np.array(others[around.embedding]))
        params["embedding_0"] = table
        parts = [Embedding(*table.table.shape), *parts]
        notes.append(f"{shorten(around.embedding)} was read as the embedding before the LSTM.")
    params |= lstm
    if around.linear is not None:
        weight, bias = (others[f"{around.linear}{name}"] for name in ("weight", "bias"))
        params["dense_0"] = DenseParams(np.array(weight.T, order="C"), np.array(bias))
        parts = [*parts, Dense(len(bias))]
        notes.append(
            f"{shorten(around.linear + 'weight')} was read as a linear layer on every step of the "
            "LSTM; the file does not say which steps it reads, nor its activation."
        )
    return Imported(Chain(parts, None if around.embedding else features), params, tuple(notes))


class Around(NamedTuple):
    """What stands around the LSTM.

    Attributes:
      embedding: name of its weight, or None.
      linear: prefix of a linear layer behind it, or None.
    """

    embedding: str | None
    linear: str | None


def _around(others: Mapping[str, np.ndarray], features: int, hidden: int) -> Around | None:
    """Return what the other tensors are; None if that is in doubt for any of them."""
    embeddings, linears = [], []
    for name, array in others.items():
        stem, dot, last = name.rpartition(".")
        bias = others.get(f"{stem}{dot}bias")
        if last == "bias" and f"{stem}{dot}weight" in others:
            continue
        if last != "weight" or array.ndim != 2 or 0 in array.shape:
            return None
        if bias is None and array.shape[1] == features:
            embeddings.append(name)
        elif bias is not None and array.shape[1] == hidden and bias.shape == array.shape[:1]:
            linears.append(stem + dot)
        else:
            return None
    if len(embeddings) > 1 or len(linears) > 1:
        return None
    return Around(next(iter(embeddings), None), next(iter(linears), None))


def _is_bidirectional(lstm: Mapping[str, LSTMParams]) -> bool:
    return any(name.endswith("_backward") for name in lstm)


def _parts(lstm: Mapping[str, LSTMParams]) -> list[Part]:
    """Return the parts of a chain for the weights of one nn.LSTM."""
    direction = "bidirectional" if _is_bidirectional(lstm) else "forward"
    layers = [params for name, params in lstm.items() if not name.endswith("_backward")]
    return [
        LSTM(
            layer.bias.shape[0] // 4,
            direction=direction,
            projection=None if layer.projection is None else layer.projection.shape[1],
        )
        for layer in layers
    ]
