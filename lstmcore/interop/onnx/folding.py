"""Constants in graphs of ONNX that are computed: a few operators, by NumPy.

Weights often reach an LSTM by way of Transpose, Slice, Concat and Unsqueeze, and shapes by way of
Gather and Concat. Only what rearranges, adds, multiplies or compares numbers is computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from lstmcore.formatting import excerpt, few
from lstmcore.interop.onnx.graphs import Graph, GraphError, Node, array_of, is_half
from lstmcore.io.reading import FAULTS

# Sizes that are known once the network runs.


@dataclass(frozen=True)
class Size:
    """The size of an axis that varies, such as the batch's; a product of some of them."""

    factors: tuple[str, ...]

    def __mul__(self, other: Any) -> Size:
        if isinstance(other, Size):
            return Size(self.factors + other.factors)
        if other == 1:
            return self
        raise TypeError(f"{self} times {other}")

    __rmul__ = __mul__

    def __str__(self) -> str:
        return " times ".join(self.factors)


def as_numbers(sizes: np.ndarray) -> np.ndarray:
    """Return an array of sizes as whole numbers if none of them varies."""
    if sizes.dtype != object or any(isinstance(size, Size) for size in sizes.flat):
        return sizes
    return sizes.astype(np.int64)


# Folding.

REARRANGING = frozenset(
    {"Identity", "Cast", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Concat"}
    | {"Slice", "Gather", "Expand", "Dropout"}
)
ARITHMETIC = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Equal": np.equal,
}
KEEP_ZEROS = REARRANGING | {"Mul"}  # zeros in, zeros out
FOLDED = REARRANGING | {*ARITHMETIC, "Div", "Where", "Shape", "ConstantOfShape", "Constant"}


def constants(graph: Graph, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return those of some values in a graph that are constant, as arrays.

    Raises:
      ValueError: a tensor that they are computed from is damaged.
    """
    scopes = [graph]
    while scopes[-1].outer is not None:
        scopes.append(scopes[-1].outer)
    needed = set(names)
    nodes: list[Node] = []
    found: dict[str, np.ndarray] = {}
    for scope in scopes:
        for node in reversed(scope.nodes):
            if node.kind in FOLDED and needed.intersection(node.outputs):
                needed.update(node.inputs)
                nodes.append(node)
    for scope in scopes:
        held = needed & scope.tensors.keys()
        found |= {name: array_of(scope.tensors[name], graph.where) for name in held}
    for node in reversed(nodes):
        if all(name in found for name in node.inputs if name):
            inputs = [found[name] if name else None for name in node.inputs]
            try:
                found[node.outputs[0]] = fold(node, inputs, graph)
            except GraphError:
                raise
            except FAULTS as error:
                raise GraphError(f"{graph.where}: {node}: {excerpt(error, 200)}") from error
    return {name: found[name] for name in names if name in found}


def are_zeros(graph: Graph, name: str) -> bool:
    """Return whether a value in a graph is zeros whatever the network reads, of any size.

    Raises:
      ValueError: a tensor that it is computed from is damaged.
    """
    scopes = [graph]
    while scopes[-1].outer is not None:
        scopes.append(scopes[-1].outer)
    needed = {name}
    nodes: list[Node] = []
    for scope in scopes:
        for node in reversed(scope.nodes):
            if needed.intersection(node.outputs) and (
                node.kind in KEEP_ZEROS or node.kind == "ConstantOfShape"
            ):
                needed.update(moved_inputs(node, node.inputs))
                nodes.append(node)
    known = constants(graph, list(needed))
    zeros = {name for name, array in known.items() if is_zero(array)}
    for node in reversed(nodes):
        if node.kind == "ConstantOfShape":
            same = makes_zeros(node, graph.where)
        else:
            same = zeros.issuperset(moved_inputs(node, node.inputs))
        if same and node.outputs:
            zeros.add(node.outputs[0])
    return name in zeros


def is_zero(value: Any) -> bool:
    """Return whether a value is an array of zeros."""
    return isinstance(value, np.ndarray) and value.dtype != object and not value.any()


def makes_zeros(node: Node, where: str) -> bool:
    """Return whether a ConstantOfShape node fills its output with zeros."""
    value = node.attributes.get("value")
    return value is None or is_zero(array_of(value, where))


def moved_inputs(node: Node, inputs: Sequence[Any]) -> Sequence[Any]:
    """Return those inputs of a node in KEEP_ZEROS whose numbers it hands on; of Shape none."""
    if node.kind == "ConstantOfShape":
        return []
    return inputs if node.kind in ("Concat", "Mul") else inputs[:1]


@np.errstate(all="ignore")  # a file may divide by 0
def fold(node: Node, inputs: Sequence[Any], graph: Graph) -> np.ndarray:
    """Return what a node of `FOLDED` computes from constants.

    Raises:
      ValueError, TypeError, IndexError: it cannot be computed.
    """
    size = _size_of_result(node, inputs)
    graph.spent += size
    if graph.spent > graph.limit:
        raise GraphError(
            f"{graph.where}: {node} computes constants of {size:,} bytes, more than a file of this "
            "size may need"
        )
    attributes = node.attributes
    match node.kind:
        case "Constant":
            return _constant(node, graph.where)
        case "Shape":
            sizes = inputs[0].shape[slice(attributes.get("start"), attributes.get("end"))]
            return np.array(sizes, np.int64)
        case "ConstantOfShape":
            value = attributes.get("value")
            value = np.zeros(1, np.float32) if value is None else array_of(value, graph.where)
            return np.full(tuple(map(int, inputs[0])), value.item())
        case "Cast":
            return _cast(inputs[0], attributes.get("to"))
        case "Div":
            whole = inputs[0].dtype.kind in "iu"
            return np.asarray(inputs[0] // inputs[1] if whole else inputs[0] / inputs[1])
        case "Where":
            return np.where(*inputs)
        case "Concat":
            return np.concatenate(list(inputs), attributes["axis"])
    if node.kind in ARITHMETIC:
        return np.asarray(ARITHMETIC[node.kind](*inputs))
    return _rearranged(node, inputs[0], inputs)


def _rearranged(node: Node, data: np.ndarray, inputs: Sequence[Any]) -> np.ndarray:
    """Return what a node makes that only moves or repeats the numbers of its first input."""
    attributes = node.attributes
    match node.kind:
        case "Expand":
            shape = np.broadcast_shapes(data.shape, tuple(map(int, inputs[1])))
            return np.broadcast_to(data, shape)
        case "Transpose":
            return data.transpose(attributes.get("perm"))
        case "Reshape":
            sizes = [int(n) for n in inputs[1]]
            if not attributes.get("allowzero"):
                sizes = [data.shape[i] if n == 0 else n for i, n in enumerate(sizes)]
            return data.reshape(sizes)
        case "Flatten":
            axis = attributes.get("axis", 1)
            return data.reshape(prod(data.shape[:axis]), -1)
        case "Squeeze":
            axes = axes_of(node, inputs)
            return data.squeeze() if axes is None else data.squeeze(tuple(axes))
        case "Unsqueeze":
            return np.expand_dims(data, tuple(axes_of(node, inputs) or ()))
        case "Slice":
            return data[slices_of(node, inputs, data.ndim)]
        case "Gather":
            return np.asarray(data.take(_indices(inputs[1]), attributes.get("axis", 0)))
    return data  # Identity, Dropout


def _size_of_result(node: Node, inputs: Sequence[Any]) -> int:
    """Return at most how many bytes the result of a node takes."""
    given = [value for value in inputs if value is not None]
    size = sum(value.nbytes for value in given)
    match node.kind:
        case "ConstantOfShape":
            return 8 * prod(int(n) for n in given[0])
        case "Expand":
            return given[0].itemsize * prod(
                np.broadcast_shapes(given[0].shape, tuple(map(int, given[1])))
            )
        case "Gather":
            axis = node.attributes.get("axis", 0)
            return given[0].itemsize * given[1].size * (given[0].size // given[0].shape[axis])
        case "Where" | "Add" | "Sub" | "Mul" | "Div" | "Equal":
            return 8 * prod(np.broadcast_shapes(*(value.shape for value in given)))
    return size


def _constant(node: Node, where: str) -> np.ndarray:
    """Return what a node of the kind Constant holds."""
    attributes = node.attributes
    if "value" in attributes:
        return array_of(attributes["value"], where)
    for name, dtype in (("value_float", "f4"), ("value_floats", "f4")):
        if name in attributes:
            return np.asarray(attributes[name], dtype)
    for name in ("value_int", "value_ints"):
        if name in attributes:
            return np.asarray(attributes[name], np.int64)
    raise GraphError(f"{where}: {node} holds no array of numbers, but {few(list(attributes))}")


def _cast(data: np.ndarray, to: Any) -> np.ndarray:
    """Return an array in the dtype that ONNX numbers `to`; float16 and bfloat16 are float32."""
    import onnx

    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(to))
    if data.dtype == object:  # sizes
        return data
    return data.astype(np.float32 if is_half(dtype) else dtype)


def axes_of(node: Node, inputs: Sequence[Any]) -> list[int] | None:
    """Return the axes of Squeeze or Unsqueeze: an input since version 13, before an attribute."""
    if len(inputs) > 1 and inputs[1] is not None:
        return [int(axis) for axis in inputs[1]]
    return node.attributes.get("axes")


def slices_of(node: Node, inputs: Sequence[Any], rank: int) -> tuple[slice, ...]:
    """Return the slice of each axis that a node of the kind Slice takes."""
    names = ("starts", "ends", "axes", "steps")
    given = [node.attributes.get(name) for name in names]
    for k, value in enumerate(inputs[1:5]):
        if value is not None:
            given[k] = [int(n) for n in value]
    starts, ends, axes, steps = given
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    slices = [slice(None)] * rank
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        # An end below -size stands for the begin, as only a negative step can reach it.
        slices[axis] = slice(start, None if step < 0 and end < -(2**30) else end, step)
    return tuple(slices)


def _indices(indices: np.ndarray) -> np.ndarray:
    if indices.dtype.kind not in "iu":
        raise TypeError("indices are not whole numbers")
    return indices
