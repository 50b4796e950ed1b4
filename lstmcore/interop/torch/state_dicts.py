"""Files of PyTorch's weights as models: '.safetensors', and '.pt', '.pth', '.bin' of torch.save.

Such a file holds tensors by name, and nothing about the network between them. What is read:

- The LSTM: all layers of the one nn.LSTM or nn.LSTMCell in the file.
- If the only other tensors are those of at most one embedding and one linear layer, these too, as
  the first and the last layer. An embedding is a weight [V, F] without a bias, for the F features
  of the LSTM; a linear layer is a weight [U, H] with a bias [U], for the H numbers that the LSTM
  returns. Their order in the file says nothing, since '.safetensors' sorts by name.
- With any other tensor in the file, only the LSTM; `notes` names the others.

Layers are named after their modules: "embedding", "encoder.rnn_0", "encoder.rnn_1", "out". `write`
turns these names back into those of the modules. Names without a module, "weight_ih_l0", become
"lstm_0".

Activations, and which steps a linear layer reads, stand in no such file: `notes` says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lstmcore.checks import ACTIVATION_ARGUMENTS
from lstmcore.formatting import excerpt, few, listed, printable
from lstmcore.interop.files import Imported
from lstmcore.interop.torch.archive import open_archive
from lstmcore.interop.torch.weights import from_torch, prefixes, to_torch, with_dot
from lstmcore.io.model_file import KEY, read_model_file
from lstmcore.io.tensors import Kind, open_tensors, write_tensors
from lstmcore.models.chain import Chain
from lstmcore.models.chain_parts import LSTM, Dense, Dropout, Embedding, Part
from lstmcore.specs import check_params, direction_names
from lstmcore.types import DenseParams, EmbeddingParams, LayerNormParams, LSTMParams

__all__ = ["read", "write"]

MODULE = re.compile(r"(\w{1,200}\.){1,20}")
BARE = (
    "The weights in the file belong to no module; `write` puts them into one, names such as "
    "lstm.weight_ih_l0."
)
PYTORCH = {"activation": "tanh", "recurrent_activation": "sigmoid", "output_activation": "tanh"}


def read(path: str | os.PathLike, layer: str | None = None) -> Imported:
    """Read a model from a file of PyTorch's weights, or from one of lstmcore's own.

    See `files.read`; `layer` is the prefix of an nn.LSTM in the file, such as "encoder.lstm"; only
    this one is then read.
    """
    if Path(path).suffix.lower() != ".safetensors":
        with open_archive(path) as archive:
            return _chain(path, archive.kinds, archive.read, layer)
    with open_tensors(path) as file:
        if KEY not in file.metadata:
            every = cache(file.read)  # at once, for which the file has a digest
            return _chain(path, file.kinds, lambda names: every(), layer)
    if layer is not None:
        raise ValueError(
            f"{path} is a model of lstmcore, which is read as a whole: leave out layer={layer!r}"
        )
    return Imported(*read_model_file(path))


def write(path: str | os.PathLike, model: Any, params: Mapping[str, Any]) -> None:
    """Write weights into a '.safetensors' file under PyTorch's names.

        module.load_state_dict(safetensors.torch.load_file(path))

    A chain of an embedding, LSTM layers of one size and a dense layer, as `read` returns it, has
    one nn.LSTM: layers "encoder.rnn_0", "encoder.rnn_1" become "encoder.rnn", "lstm_0" becomes
    "lstm". Every other layer, and each LSTM of any other model, is a module under its own name,
    such as an nn.LSTM "encoder_0" and an nn.Linear "head". An nn.LSTMCell, and an nn.LSTM without
    biases, come back as an nn.LSTM with biases.

    The file does not say how the modules are joined: that is up to the `forward` that loads it. The
    format of lstmcore, which holds the whole model, is that of `lc.save`.

    Raises:
      ValueError: params that do not fit the model; an LSTM that PyTorch does not have, with a
        peephole, other activations or only the backward direction; a layer that torch.nn does not
        have, such as an attention.
    """
    params = check_params(params, model.layers)
    for described in _described(model):
        _check_expressible(path, described)
    lstm = {name: layer for name, layer in params.items() if isinstance(layer, LSTMParams)}
    tensors: dict[str, Any] = {}
    for prefix, stack in _stacks(model, lstm).items():
        tensors |= to_torch(stack, prefix)
    for name in params.keys() - lstm.keys():
        tensors |= _module(path, name, params[name])
    write_tensors(path, tensors, {"format": "pt"})


def _chain(
    path: str | os.PathLike,
    kinds: Mapping[str, Kind],
    read: Callable[[Iterable[str]], Mapping[str, np.ndarray]],
    layer: str | None,
) -> Imported:
    """Return the LSTM among some tensors, with what stands before and after it, as a chain.

    Args:
      path: for messages.
      kinds: {name: Kind} of all tensors.
      read: function that returns those of some names, and maybe others.
      layer: the prefix of the LSTM, of which nothing else is then read; None if there is only one.
    """
    prefix = with_dot(_only_prefix(path, kinds) if layer is None else layer)
    own = [name for name in kinds if prefixes([name]) == [prefix]]
    weights = read(own) if own else kinds  # of which there are none: the error says what there is
    try:
        parts, lstm = lstm_layers({name: weights[name] for name in own or kinds}, prefix)
    except ValueError as error:
        reason = excerpt(error, 400).replace("prefix=", "layer=")
        raise ValueError(f"{path}: {reason}") from error
    taken = set(own)
    others = {name: kind for name, kind in kinds.items() if name not in taken}
    first = next(iter(lstm.values()))
    features, hidden = first.kernel.shape[0], first.recurrent_kernel.shape[0]
    notes = () if prefix else (BARE,)
    if layer is not None or not others:
        return Imported(Chain(parts, features), lstm, notes)
    if parts[0].direction == "bidirectional":
        hidden *= 2
    around = _around(others, features, hidden)
    if around is None:
        names = printable(few(list(others), longest=60))
        note = f"Only the LSTM was read; the file also holds {names}."
        return Imported(Chain(parts, features), lstm, (*notes, note))
    try:
        joined = _joined(parts, lstm, around, read(list(others)))
    except ValueError as error:  # such as an nn.LSTM "rnn" and an nn.Linear "rnn_0"
        raise ValueError(f"{path}: {error}; name the LSTM, layer={prefix[:-1]!r}") from error
    return joined._replace(notes=(*notes, *joined.notes))


def lstm_layers(
    state_dict: Mapping[str, Any], prefix: str
) -> tuple[list[LSTM], dict[str, LSTMParams]]:
    """Return the parts of a chain for one nn.LSTM and their weights, named after its module.

    Args:
      state_dict: as for `from_torch`.
      prefix: "encoder.rnn." names the layers "encoder.rnn_0", "encoder.rnn_1", ...; "" and what
        cannot name a module of PyTorch "lstm_0", ...

    Raises:
      ValueError: as `from_torch`.
    """
    stem = _module_name(prefix) or "lstm"
    lstm = {
        f"{stem}{name.removeprefix('lstm')}": layer
        for name, layer in from_torch(state_dict, prefix).items()
    }
    both = any(name.endswith("_backward") for name in lstm)
    layers = [layer for name, layer in lstm.items() if not name.endswith("_backward")]
    parts = [
        LSTM(
            layer.bias.shape[0] // 4,
            direction="bidirectional" if both else "forward",
            projection=None if layer.projection is None else layer.projection.shape[1],
            name=None if stem == "lstm" else f"{stem}_{k}",
        )
        for k, layer in enumerate(layers)
    ]
    return parts, lstm


def _module_name(prefix: str) -> str | None:
    """Return the name of the module whose weights begin with a prefix; None if it has none."""
    return prefix[:-1] if MODULE.fullmatch(prefix) else None


class Around(NamedTuple):
    """Names of what stands around the LSTM.

    Attributes:
      embedding: the weight of an embedding before it, or None.
      linear: the weight and the bias of a linear layer after it, or None.
    """

    embedding: str | None
    linear: tuple[str, str] | None


def _around(others: Mapping[str, Kind], features: int, hidden: int) -> Around | None:
    """Return what the other tensors are; None if that is in doubt for any of them."""
    embeddings, linears = [], []
    for name, (dtype, shape) in others.items():
        stem = name.removesuffix("weight").removesuffix("bias")
        weight, bias = f"{stem}weight", f"{stem}bias"
        if name == bias and weight in others:
            continue
        if name != weight or len(shape) != 2 or 0 in shape or "float" not in dtype:
            return None
        if features == hidden and (bias not in others or shape[0] == features):
            return None  # it may stand before the LSTM or after it
        if bias not in others and shape[1] == features:
            embeddings.append(weight)
        elif bias in others and shape[1] == hidden and others[bias] == (dtype, shape[:1]):
            linears.append((weight, bias))
        else:
            return None
    if len(embeddings) > 1 or len(linears) > 1:
        return None
    return Around(next(iter(embeddings), None), next(iter(linears), None))


def _joined(
    parts: list[LSTM],
    lstm: Mapping[str, LSTMParams],
    around: Around,
    tensors: Mapping[str, np.ndarray],
) -> Imported:
    """Return the chain of an embedding, LSTM layers and a dense layer, of which one may be none."""
    every: list[Part] = list(parts)
    params: dict[str, Any] = dict(lstm)
    notes = []
    features = next(iter(lstm.values())).kernel.shape[0]
    if around.embedding is not None:
        table = tensors[around.embedding]
        name = _module_name(around.embedding.removesuffix("weight"))
        every.insert(0, Embedding(*table.shape, name=None if name == "embedding_0" else name))
        params = {name or "embedding_0": EmbeddingParams(table)} | params
        notes.append(f"{excerpt(around.embedding)} was read as an embedding before the LSTM.")
    if around.linear is not None:
        weight, bias = (tensors[name] for name in around.linear)
        name = _module_name(around.linear[0].removesuffix("weight"))
        every.append(Dense(len(bias), name=None if name == "dense_0" else name))
        params[name or "dense_0"] = DenseParams(np.array(weight.T, order="C"), bias)
        notes.append(
            f"{excerpt(around.linear[0])} was read as a linear layer on every step of the LSTM; "
            "the file does not say where it is, which steps it reads, or what its activation is."
        )
    return Imported(Chain(every, None if around.embedding else features), params, tuple(notes))


def _only_prefix(path: str | os.PathLike, names: Iterable[str]) -> str:
    """Return the prefix of the one LSTM in a file, "" if there is none."""
    found = [prefix.removesuffix(".") for prefix in prefixes(names)]
    if len(found) > 1:
        raise ValueError(
            f"{path} holds {len(found)} stacks of recurrent layers, "
            f"{listed(list(map(repr, found)))}, and does not say how they are joined: name one, "
            f"layer={found[0]!r}"
        )
    return next(iter(found), "")


def _described(model: Any) -> list[Any]:
    """Return what describes the LSTM layers of a model: the parts of a chain, or the model."""
    if isinstance(model, Chain):
        return [part for part in model.parts if isinstance(part, LSTM)]
    return [model]


def _check_expressible(path: str | os.PathLike, described: Any) -> None:
    """Raise unless nn.LSTM computes what these LSTM layers do."""
    for argument in ACTIVATION_ARGUMENTS:
        value = getattr(described, argument, None)
        name = getattr(value, "__name__", value)
        if name not in (None, PYTORCH[argument]):
            raise ValueError(
                f"{path} cannot hold an LSTM with {argument}={name!r}: an nn.LSTM has "
                f"{PYTORCH[argument]!r}"
            )
    for argument in ("activations", "clip", "input_forget"):  # of an LSTM node of ONNX
        if value := getattr(described, argument, None):
            raise ValueError(
                f"{path} cannot hold an LSTM with {argument}={value!r}: an nn.LSTM has none"
            )
    if getattr(described, "direction", None) in ("backward", "reverse"):
        raise ValueError(
            f"{path} cannot hold {described}: an nn.LSTM runs forward, or in both directions"
        )


def _stacks(model: Any, lstm: Mapping[str, LSTMParams]) -> dict[str, dict[str, LSTMParams]]:
    """Return {name of an nn.LSTM: its layers, named as `to_torch` takes them}."""
    stacks: dict[str, dict[str, LSTMParams]] = {}
    for name, layer in lstm.items():
        stem = name.removesuffix("_forward").removesuffix("_backward")
        if set(direction_names(stem)) <= lstm.keys():
            stacks.setdefault(stem, {})[f"lstm_0{name.removeprefix(stem)}"] = layer
        else:
            stacks[name] = {"lstm_0": layer}
    if not _is_one_stack(model):
        return stacks
    names, every = list(stacks), enumerate(stacks.values())
    common = names[0].removesuffix("_0")
    if names != [f"{common}_{k}" for k in range(len(names))]:
        common = names[0] if len(names) == 1 else "lstm"
    return {common: {n.replace("0", str(k), 1): layer for k, s in every for n, layer in s.items()}}


def _is_one_stack(model: Any) -> bool:
    """Return whether the LSTM layers of a model can be the layers of one nn.LSTM."""
    if not isinstance(model, Chain):
        return False
    parts = [part for part in model.parts if not isinstance(part, Dropout)]
    parts = parts[isinstance(parts[0], Embedding) :]
    parts = parts[: len(parts) - isinstance(parts[-1], Dense)]
    lstms = [part for part in parts if isinstance(part, LSTM) and not part.residual]
    sizes = {(part.units, part.projection, part.direction) for part in lstms}
    joined = all(p.merge == "concat" for p in lstms if p.direction == "bidirectional")
    return len(lstms) == len(parts) and len(sizes) == 1 and joined


def _module(path: str | os.PathLike, name: str, layer: Any) -> dict[str, Any]:
    """Return the weights of a module of torch.nn that is not an LSTM."""
    if isinstance(layer, EmbeddingParams):
        return {f"{name}.weight": layer.table}
    if isinstance(layer, DenseParams):
        return {f"{name}.weight": layer.kernel.T, f"{name}.bias": layer.bias}
    if isinstance(layer, LayerNormParams):
        return {f"{name}.weight": layer.scale, f"{name}.bias": layer.offset}
    raise ValueError(
        f"{path} cannot hold the layer {name!r}: torch.nn has nothing like {type(layer).__name__}"
    )
