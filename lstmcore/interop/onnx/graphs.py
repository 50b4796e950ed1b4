"""Graphs in files of ONNX: checked as they are read, weights only once they are asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

from lstmcore.formatting import excerpt
from lstmcore.interop.onnx.described import description_of
from lstmcore.io.reading import FAULTS, read_bytes

MOST_BYTES = 2**31 - 1  # of a message of Protobuf
OLDEST = 7  # the version of ONNX's operators since which an LSTM means what it does today
FIELDS = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


class GraphError(ValueError):
    """A message that names the file and the node already."""


class Node(NamedTuple):
    """A node of a graph.

    Attributes:
      kind: its operator, such as "LSTM".
      name: its name, or that of its first output.
      inputs: names of the values that it reads; "" where one is left out.
      outputs: names of the values that it writes.
      attributes: {name: number, list of numbers, text, array, or the graph of a branch}.
    """

    kind: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]

    def __str__(self) -> str:
        return f"{excerpt(self.kind, 40)} {excerpt(self.name, 60)!r}"


class Input(NamedTuple):
    """An input of a graph: its dtype, None if unknown, and shape, None for sizes that vary."""

    dtype: np.dtype | None
    shape: tuple[int | None, ...] | None


@dataclass(eq=False)
class Graph:
    """A graph, or the graph of a branch within one.

    Attributes:
      where: the file, for messages.
      opset: version of ONNX's operators.
      nodes: in order.
      tensors: {name: tensor} of what the file holds, not yet read.
      inputs: {name: Input}, without those that are tensors of the file.
      outputs: names.
      outer: the graph around the node that this one is a branch of.
      limit: the bytes that constants may take once they are computed.
      description: of the model that lstmcore wrote, if it did; see `described`.
    """

    where: str
    opset: int
    nodes: list[Node]
    tensors: dict[str, Any]
    inputs: dict[str, Input]
    outputs: list[str]
    outer: Graph | None
    limit: int
    spent: int = field(default=0)
    description: Any = None

    def tensor(self, name: str) -> Any:
        """Return a tensor of the file that this graph can read, or None."""
        graph: Graph | None = self
        while graph is not None:
            if name in graph.tensors:
                return graph.tensors[name]
            graph = graph.outer
        return None

    def branches(self) -> Iterator[Graph]:
        """Yield this graph and all within it."""
        yield self
        for node in self.nodes:
            for value in node.attributes.values():
                if isinstance(value, Graph):
                    yield from value.branches()


def read_graph(path: str | os.PathLike) -> Graph:
    """Return the graph in an ONNX file.

    Raises:
      ValueError: a damaged file, or one for a version of ONNX that is not supported.
      FileNotFoundError: there is no such file.
      ImportError: onnx is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise ImportError(
            f'{os.fspath(path)} needs the package onnx: pip install "lstmcore[onnx]"'
        ) from error
    where = os.fspath(path)
    data = read_bytes(path, MOST_BYTES)
    try:
        model = onnx.ModelProto.FromString(data)
        versions = {entry.domain: entry.version for entry in model.opset_import}
        opset = versions.get("", versions.get("ai.onnx", 0))
    except Exception as error:  # Protobuf's own error, or one of its text
        raise GraphError(f"{where} is damaged, or no ONNX file: {excerpt(error, 200)}") from error
    if not model.graph.node:
        raise GraphError(f"{where} is damaged, or no ONNX file: it holds no nodes")
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= opset <= newest:
        advice = "onnx.version_converter converts it" if opset < OLDEST else "pip install -U onnx"
        raise GraphError(
            f"{where} uses version {opset} of ONNX's operators, expected {OLDEST} to {newest}: "
            f"{advice}"
        )
    graph = _graph(model.graph, where, opset, None, 16 * len(data) + 2**24)
    graph.description = description_of(model, where)
    return graph


def _graph(proto: Any, where: str, opset: int, outer: Graph | None, limit: int) -> Graph:
    """Return a graph for its message."""
    if proto.sparse_initializer:
        raise GraphError(f"{where} holds sparse weights, which are not supported")
    values = (proto.initializer, proto.input, proto.output)
    _check_texts(where, [value.name for each in values for value in each])
    tensors = {tensor.name: tensor for tensor in proto.initializer}
    inputs = {value.name: _input(value) for value in proto.input if value.name not in tensors}
    outputs = [value.name for value in proto.output]
    graph = Graph(where, opset, [], tensors, inputs, outputs, outer, limit)
    written = {*tensors, *graph.inputs}
    if len(tensors) != len(proto.initializer):
        raise GraphError(f"{where} holds two weights of one name")
    for message in proto.node:
        node = _node(message, graph)
        for output in filter(None, node.outputs):
            if output in written:
                raise GraphError(f"{where}: {node} writes {excerpt(output)!r}, which is there")
            written.add(output)
        graph.nodes.append(node)
    return graph


def _node(message: Any, graph: Graph) -> Node:
    """Return a node for its message."""
    texts = [message.name, message.op_type, message.domain, *message.input, *message.output]
    _check_texts(graph.where, [*texts, *(attribute.name for attribute in message.attribute)])
    name = message.name or next(iter(message.output), "")
    kind = message.op_type
    if message.domain not in ("", "ai.onnx"):
        kind = f"{message.domain}.{kind}"
    node = Node(kind, name, tuple(message.input), tuple(message.output), {})
    for attribute in message.attribute:
        node.attributes[attribute.name] = _attribute(attribute, graph)
    return node


def _check_texts(where: str, texts: list[Any]) -> None:
    """Raise if a name is not UTF-8, for which Protobuf returns bytes."""
    for text in texts:
        if not isinstance(text, str):
            raise GraphError(f"{where} is damaged: a name in it is not text, {excerpt(text)}")


def _input(value: Any) -> Input:
    """Return what a graph says of one of its inputs."""
    import onnx

    kind = value.type.tensor_type
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
    except KeyError:
        dtype = None
    if not kind.HasField("shape"):
        return Input(dtype, None)
    sizes = (dim.dim_value if dim.HasField("dim_value") else None for dim in kind.shape.dim)
    return Input(dtype, tuple(size if size and size > 0 else None for size in sizes))


def _attribute(attribute: Any, graph: Graph) -> Any:
    """Return the value of an attribute; a tensor is read at once, a branch becomes a graph."""
    import onnx

    kinds = onnx.AttributeProto
    match attribute.type:
        case kinds.FLOAT:
            return _decimal(attribute.f)
        case kinds.INT:
            return attribute.i
        case kinds.STRING:
            return attribute.s.decode("utf-8", "replace")
        case kinds.FLOATS:
            return list(map(_decimal, attribute.floats))
        case kinds.INTS:
            return list(attribute.ints)
        case kinds.STRINGS:
            return [text.decode("utf-8", "replace") for text in attribute.strings]
        case kinds.TENSOR:
            return attribute.t
        case kinds.GRAPH:
            return _graph(attribute.g, graph.where, graph.opset, graph, graph.limit)
    return None


def _decimal(number: float) -> float:
    """Return the shortest decimal number for one that the file holds as float32: 0.1 for 0.1."""
    return float(str(np.float32(number)))


def array_of(tensor: Any, where: str) -> np.ndarray:
    """Return the numbers of a tensor; float16 and bfloat16 become float32.

    Raises:
      ValueError: the data does not fit its shape, lies in another file, or is not an array of
        numbers.
    """
    import onnx

    name = excerpt(tensor.name, 60)
    if tensor.external_data or tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise GraphError(
            f"{where}: the weight {name!r} lies in another file, which is not read: write all into "
            'one, onnx.save(onnx.load("model.onnx"), "whole.onnx")'
        )
    shape = tuple(tensor.dims)
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type))
        if dtype.kind == "O":
            raise KeyError(tensor.data_type)
    except (KeyError, TypeError, ValueError):
        raise GraphError(f"{where}: the weight {name!r} holds no numbers of a known kind") from None
    held = len(tensor.raw_data) or max(len(getattr(tensor, field)) for field in FIELDS)
    size = dtype.itemsize if tensor.raw_data else 1
    if any(length < 0 for length in shape) or prod(shape) * size != held:
        raise GraphError(
            f"{where}: the weight {name!r} has shape {excerpt(list(shape), 60)} of {dtype}, but "
            f"its data has {held:,} {'bytes' if tensor.raw_data else 'numbers'}"
        )
    try:
        array = onnx.numpy_helper.to_array(tensor)
    except FAULTS as error:  # such as an empty array with more axes than NumPy's have
        raise GraphError(f"{where}: the weight {name!r}: {excerpt(error, 100)}") from error
    return array.astype(np.float32) if is_half(array.dtype) else array


def is_half(dtype: np.dtype) -> bool:
    """Return whether numbers of a dtype have 16 bits."""
    return dtype == np.float16 or dtype.name == "bfloat16"
