"""Models in ONNX files: a network that is a chain, or one LSTM out of any network.

    model, params, notes = lc.interop.read("model.onnx")
    lstm, params, _ = lc.interop.read("vad.onnx", layer="decoder.rnn")     # one LSTM of a file

A network is read as a whole if one layer follows the other from its input to its output: LSTM,
embeddings (Gather), dense layers (MatMul, Gemm), activations, layer normalisation, and the nodes
between them that only rearrange. Of any other network each LSTM can be read by itself, wherever it
is: by the name of its node, of one of its outputs, or the prefix of its weights. A file that
`write` wrote is read as the model that it was, with masks, unless another tool has edited it.

onnx is needed (extra `onnx`), onnxruntime is not.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

import lstmcore as lc
from lstmcore.formatting import excerpt, few
from lstmcore.interop.files import Imported
from lstmcore.interop.onnx.chain import WHOLE, Unfit, walk
from lstmcore.interop.onnx.folding import are_zeros, constants
from lstmcore.interop.onnx.graphs import Graph, GraphError, Node, array_of, read_graph
from lstmcore.interop.onnx.recurrent import KINDS, QUANTIZED, chain_part, lstm_node
from lstmcore.interop.onnx.stream import Misfit, Stream, settled
from lstmcore.interop.onnx.weights import from_onnx
from lstmcore.interop.torch.state_dicts import lstm_layers
from lstmcore.interop.torch.weights import prefixes
from lstmcore.io.model_file import model_of
from lstmcore.io.reading import FAULTS
from lstmcore.models import chain_parts as parts
from lstmcore.specs import Layer, check_params, direction_names
from lstmcore.types import LSTMParams

__all__ = ["read"]

ROUNDED = (
    "{}: its weights are whole numbers in the file. onnxruntime rounds the inputs and the hidden "
    "state at each step, too, which is not done here."
)
NONE = (
    "it holds no LSTM node: some exporters unroll an LSTM into its steps, so read the file of the "
    "framework itself, such as .keras or .pt"
)


def read(path: str | os.PathLike, layer: str | None = None) -> Imported:
    """Read a model from an ONNX file; see `lc.interop.read`.

    Args:
      path: the file.
      layer: read only one LSTM: the name of its node or of one of its outputs, or what the names
        of its weights begin with.
    """
    graph = read_graph(path)
    try:
        if layer is not None:
            return _one_layer(graph, layer)
        return _as_written(graph) or _chain(graph)
    except GraphError:
        raise
    except FAULTS as error:
        raise GraphError(f"{graph.where} is damaged: {excerpt(error, 200)}") from error


def _as_written(graph: Graph) -> Imported | None:
    """Return the model that lstmcore wrote, or None if it did not write this graph."""
    if graph.description is None:
        return None
    try:
        model = model_of(graph.where, graph.description)
        params = {name: _written(graph, name, layer) for name, layer in model.layers.items()}
        return Imported(model, check_params(params, model.layers))
    except FAULTS:  # described by something else
        return None


def _written(graph: Graph, name: str, layer: Layer) -> Any:
    """Return the weights of a layer, which `writing` has named after it."""
    if layer.kind is LSTMParams:
        node, direction = name, "forward"
        if f"{name}/W" not in graph.tensors:  # both directions are one node
            node, _, direction = name.rpartition("_")
        found = {key: graph.tensors.get(f"{node}/{key}") for key in "WRBP"}
        weights = from_onnx(
            **{key: array_of(each, graph.where) for key, each in found.items() if each is not None}
        )
        return weights[("forward", "backward").index(direction)]
    fields = {field: graph.tensors[f"{name}/{field}"] for field in layer.shapes()}
    return layer.kind(**{field: array_of(each, graph.where) for field, each in fields.items()})


def _chain(graph: Graph) -> Imported:
    """Return the chain that a graph is."""
    stream, letters = _stream(graph)
    notes = _notes(graph, stream, letters)
    counts: dict[str, int] = {}
    params: dict[str, Any] = {}
    for step in stream.steps:
        kind = step.part.default_name
        place = counts[kind] = counts.get(kind, -1) + 1
        both = getattr(step.part, "direction", None) == "bidirectional"
        names = direction_names(f"{kind}_{place}") if both else [f"{kind}_{place}"]
        params |= zip(names, step.weights, strict=False)
    if not params:
        raise GraphError(f"{graph.where} holds no layer with weights")
    features = None
    if not isinstance(stream.steps[0].part, parts.Embedding):
        features = next(iter(params.values()))[0].shape[0]
    try:
        model = lc.Chain([step.part for step in stream.steps], features)
        return Imported(model, check_params(params, model.layers), notes)
    except (TypeError, ValueError) as error:
        raise GraphError(f"{graph.where}: {error}") from error


def _notes(graph: Graph, stream: Stream, letters: str) -> tuple[str, ...]:
    """Return where the chain differs from the graph."""
    recurrent = [step for step in stream.steps if isinstance(step.part, parts.LSTM)]
    notes = [ROUNDED.format(step.node) for step in recurrent if step.node.startswith(QUANTIZED)]
    if any(step.lengths for step in recurrent):
        if not all(step.lengths for step in recurrent):
            raise GraphError(
                f"{graph.where}: some LSTMs read the lengths of the sequences, others do not, but "
                f"a chain has one mask for all; {_known(graph)}"
            )
        notes.append(
            "The lengths of the sequences are an input of the file; here they are the mask, "
            "mask=lc.length_mask(lengths, steps)."
        )
    if letters.startswith("T"):
        notes.append("The file reads [time, batch, ...]; the chain reads [batch, time, ...].")
    if stream.letters()[:1] == ["T"]:
        notes.append("The file returns [time, batch, ...]; the chain returns [batch, time, ...].")
    if stream.sampled is not None:
        which = "first" if stream.sampled == 0 else "last"
        notes.append(
            f"The file returns only the {which} step; the chain returns every step: take "
            f"output[:, {0 if stream.sampled == 0 else -1}]."
        )
    if stream.letters()[-1] in ("B", "T"):
        notes.append("The file returns no axis of features; the chain returns one of size 1.")
    if others := graph.outputs[1:]:
        notes.append(f"Not computed: the outputs {few(others)} of the file.")
    return tuple(notes)


def _stream(graph: Graph) -> tuple[Stream, str]:
    """Return what the first output of a graph is, and the axes of its input."""
    if not graph.inputs or not graph.outputs:
        raise GraphError(f"{graph.where}: the network has no input, or no output")
    _, shape = next(iter(graph.inputs.values()))
    ranks = {2: ["BT", "TB"], 3: ["BTF", "TBF"]}
    tried = ranks.get(len(shape), ["BTF"]) if shape is not None else ranks[3] + ranks[2]
    found: list[Unfit] = []
    for letters in tried:
        value = walk(graph, letters)[0]
        if isinstance(value, Stream):
            value = _output(value)
        if isinstance(value, Stream):
            return value, letters
        found.append(value if isinstance(value, Unfit) else Unfit("its output is not a sequence"))
    furthest = max(found, key=lambda unfit: unfit.place)
    raise GraphError(f"{graph.where} is not a chain of layers: {furthest.reason}; {_known(graph)}")


def _output(stream: Stream) -> Stream | Unfit:
    """Return what a graph returns, if a chain can."""
    try:
        stream = settled(stream)
        letters = stream.letters()
        if letters in (["B", "T"], ["T", "B"], ["B"]) and stream.steps:  # of one feature
            return stream
        stream.features()
    except Misfit as error:
        return Unfit(f"its output does not fit: {error}", WHOLE)
    if letters[:-1] in (["B", "T"], ["T", "B"], ["B"]) and stream.steps:
        return stream
    return Unfit(f"its output has the axes {stream.described()}", WHOLE)


# One LSTM by itself.


def _one_layer(graph: Graph, layer: str) -> Imported:
    """Return the LSTM of this name, wherever it is in the graph."""
    nodes = list(_lstm_nodes(graph))
    found = [(at, node) for at, node in nodes if layer in (node.name, *node.outputs)]
    tensors = _torch_names(graph)
    prefix = f"{layer.removesuffix('.')}."
    if not found and prefix in prefixes(tensors):
        return _torch_layer(graph.where, prefix, tensors)
    if not found:
        found = [(at, node) for at, node in nodes if _has_weights(node, layer)]
    if len(found) != 1:
        problem = "is not there" if not found else f"may be any of {len(found)} LSTMs"
        raise GraphError(f"{graph.where}: layer {excerpt(layer, 60)!r} {problem}; {_known(graph)}")
    return _node_alone(*found[0])


def _lstm_nodes(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    """Yield each LSTM, with the graph or the branch that it is in."""
    for branch in graph.branches():
        for node in branch.nodes:
            if node.kind in KINDS:
                yield branch, node


def _has_weights(node: Node, prefix: str) -> bool:
    """Return whether the names of a node's weights begin with a prefix."""
    ends = (f"{prefix}.", f"{prefix}/", f"{prefix}_")
    return any(name == prefix or name.startswith(ends) for name in node.inputs[1:4])


def _known(graph: Graph) -> str:
    """Return what layer= can take, for messages."""
    names = [node.name for _, node in _lstm_nodes(graph)]
    twice = [name for name in names if names.count(name) > 1]
    names = [
        next(iter(node.outputs), "") if node.name in twice else node.name
        for _, node in _lstm_nodes(graph)
    ]
    stacks = [prefix.removesuffix(".") for prefix in prefixes(_torch_names(graph))]
    both = bool(names and stacks)
    every = [f"{name!r}{' (a node)' * both}" for name in dict.fromkeys(names)]
    every += [f"{prefix!r}{' (the prefix of weights)' * both}" for prefix in stacks]
    known = ", ".join(every)
    return f"layer= can be {excerpt(known, 300)}" if known else NONE


def _node_alone(graph: Graph, node: Node) -> Imported:
    """Return one LSTM node, as a chain if there is one that computes the same."""
    where = f"{graph.where}: {node}"
    known = constants(graph, [name for name in node.inputs if name])
    inputs = [known.get(name, name) if name else None for name in node.inputs]
    try:
        model, params = lstm_node(node, inputs, where)
    except ValueError as error:
        raise GraphError(str(error)) from error
    notes = [ROUNDED.format(node)] if node.kind == QUANTIZED else []
    if any(state and not are_zeros(graph, state) for state in node.inputs[5:7]):
        notes.append(
            f"{node} starts from a state that the network gives it; here it starts from zeros, or "
            "from states="
        )
    try:
        part = chain_part(model, lengths=len(inputs) > 4 and inputs[4] is not None)
    except Misfit:
        return Imported(model, params, tuple(notes))
    return Imported(lc.Chain([part], model.features), params, tuple(notes))


def _torch_names(graph: Graph) -> dict[str, Graph]:
    """Return {name: the graph that holds it} of all weights that are named as PyTorch's."""
    found: dict[str, Graph] = {}
    for branch in graph.branches():
        names = [*branch.tensors]
        names += [out for node in branch.nodes for out in node.outputs if node.kind == "Constant"]
        found |= {name: branch for name in names if prefixes([name]) and name not in found}
    return found


def _torch_layer(where: str, prefix: str, tensors: Mapping[str, Graph]) -> Imported:
    """Return an LSTM whose weights are in the layout of PyTorch."""
    own = {name: graph for name, graph in tensors.items() if prefixes([name]) == [prefix]}
    weights: dict[str, np.ndarray] = {}
    for name, graph in own.items():
        weights |= constants(graph, [name])
    try:
        layers, lstm = lstm_layers(weights, prefix)
    except ValueError as error:
        raise GraphError(f"{where}: {error}") from error
    chain = lc.Chain(layers, next(iter(lstm.values())).kernel.shape[0])
    return Imported(chain, check_params(lstm, chain.layers))
