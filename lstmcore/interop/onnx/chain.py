"""Graphs of ONNX as chains: each node, in order, moves the axes of what flows, or adds a layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lstmcore.checks import MOST_LAYERS
from lstmcore.formatting import excerpt
from lstmcore.interop.onnx import stream as flow
from lstmcore.interop.onnx.folding import (
    FOLDED,
    KEEP_ZEROS,
    as_numbers,
    axes_of,
    fold,
    is_zero,
    makes_zeros,
    moved_inputs,
    slices_of,
)
from lstmcore.interop.onnx.graphs import Graph, GraphError, Node, array_of
from lstmcore.interop.onnx.layers import layer_after
from lstmcore.interop.onnx.recurrent import KINDS, lstm_step
from lstmcore.interop.onnx.stream import Factor, Misfit, Step, Stream
from lstmcore.models import chain_parts as parts

REDUCED = {"ReduceSum": "sum", "ReduceMean": "mean", "ReduceProd": "mul"}
MOST_NODES = 20 * MOST_LAYERS  # each value knows the layers before it
WHOLE = 2**30  # a slice that ends after it ends with its axis


class Zeros:
    """Zeros of some shape, as an LSTM starts from."""


class Lengths:
    """The lengths of the sequences, an input of the graph."""


@dataclass(frozen=True)
class Unfit:
    """A value that a chain cannot pass on, why, and the place of the node that made it."""

    reason: str
    place: int = 0


@dataclass(frozen=True, eq=False)
class Stack:
    """Last states side by side along the first axis, as PyTorch's nn.LSTM returns them."""

    streams: tuple[Stream, ...]


def walk(graph: Graph, letters: str) -> list[Any]:
    """Return what each output of a graph is: a Stream, or an Unfit that says why not.

    Args:
      graph: of the whole network.
      letters: what the axes of its input stand for, such as "BTF".
    """
    count = sum(len(each.nodes) for each in graph.branches())
    if count > MOST_NODES:
        raise GraphError(
            f"{graph.where} is not a chain of layers: it has {count:,} nodes, expected at most "
            f"{MOST_NODES:,}"
        )
    return _run(graph, dict(inputs_of(graph, letters)))


def _run(graph: Graph, values: dict[str, Any]) -> list[Any]:
    """Return what each output of a graph, or of a branch, is.

    Args:
      graph: any.
      values: of its inputs, and of all that is known outside of a branch.
    """
    for place, node in enumerate(graph.nodes):
        for name in filter(None, node.inputs):
            if name not in values and (tensor := graph.tensor(name)) is not None:
                values[name] = array_of(tensor, graph.where)
            if name not in values:
                raise GraphError(
                    f"{graph.where}: {node} reads {excerpt(name)!r}, which nothing before it writes"
                )
        inputs = [values[name] if name else None for name in node.inputs]
        if node.kind == "If" and inputs and isinstance(inputs[0], np.ndarray):
            outputs: Sequence[Any] = _branch(node, inputs[0], values)
        else:
            outputs = _outputs(node, inputs, graph, place)
        lacking = [_not_returned(node, place)] * (len(node.outputs) - len(outputs))
        values |= zip(node.outputs, [*outputs, *lacking], strict=False)
    return [
        values.get(name, Unfit(f"nothing writes its output {excerpt(name)!r}"))
        for name in graph.outputs
    ]


def _not_returned(node: Node, place: int) -> Unfit:
    """Return what stands for an output that `_outputs` does not follow, such as Y_c of an LSTM."""
    cell = "last cell state, which a chain does not return"
    what = cell if node.kind in KINDS else "other output"
    return Unfit(f"{node}: the network reads its {what}", place + 1)  # the node itself fits


def _branch(node: Node, condition: np.ndarray, values: dict[str, Any]) -> list[Any]:
    """Return what the branch of an If hands on whose condition is known before the network runs."""
    taken = "then_branch" if condition.all() else "else_branch"
    graph = node.attributes.get(taken)
    if not isinstance(graph, Graph):
        return [Unfit(f"{node}: it has no {taken}") for _ in node.outputs]
    return _run(graph, dict(values))


def inputs_of(graph: Graph, letters: str) -> dict[str, Any]:
    """Return what each input of a graph is: the first is the data, another may be the lengths."""
    found: dict[str, Any] = {}
    for name, (dtype, shape) in graph.inputs.items():
        rank = None if shape is None else len(shape)
        whole = dtype is not None and dtype.kind in "iu"
        if not found:
            sizes = shape or [None] * len(letters)
            if len(sizes) != len(letters):
                found[name] = Unfit(
                    f"the input {excerpt(name)!r} has {rank} axes, expected [batch, time] of "
                    "tokens, or [batch, time, features]",
                    -1,
                )
                continue
            axes = tuple((Factor(*pair),) for pair in zip(letters, sizes, strict=True))
            known = ", ".join("?" if size is None else str(size) for size in sizes)
            source = f"[{known}] {'of unknown dtype' if dtype is None else dtype}"
            found[name] = Stream(axes, tokens="F" not in letters, source=excerpt(source, 80))
        elif whole and rank in (1, None):
            found[name] = Lengths()
        else:
            found[name] = Unfit(
                f"the input {excerpt(name)!r} is read in addition to "
                f"{excerpt(next(iter(graph.inputs)))!r}: a chain has one input, and starts from "
                "states of zeros",
                -1,
            )
    return found


def _outputs(node: Node, inputs: list[Any], graph: Graph, place: int) -> Sequence[Any]:
    """Return what a node makes of its inputs."""
    blank = [None] * len(node.outputs)
    for value in inputs:
        if isinstance(value, Unfit) and value.place < 0:  # an input of the graph
            return [Unfit(f"{node}: {value.reason}", place) for _ in blank]
        if isinstance(value, Unfit):
            return [value for _ in blank]
    try:
        constant = all(value is None or isinstance(value, np.ndarray) for value in inputs)
        if constant and node.kind in FOLDED and not _varies(node, inputs):
            return [as_numbers(fold(node, inputs, graph))]
        made = _made(node, inputs, graph)
        return made if isinstance(made, tuple) else (made,)
    except GraphError:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = "" if isinstance(error, ValueError) else f"{type(error).__name__} "
        return [Unfit(f"{node}: {what}{excerpt(error, 300)}", place) for _ in blank]


def _made(node: Node, inputs: list[Any], graph: Graph) -> Any:
    """Return the output of a node that reads more than constants, or a tuple of all outputs."""
    if node.kind in KINDS:
        if not inputs or not isinstance(inputs[0], Stream):
            raise Misfit("its input is not what flows through the chain")
        starts = inputs[5:7]
        if not all(s is None or isinstance(s, Zeros) or is_zero(s) for s in starts):
            raise Misfit("it starts from a state that is not zeros")
        lengths = inputs[4] if len(inputs) > 4 else None
        if lengths is not None and not isinstance(lengths, Lengths):
            raise Misfit("its lengths are not an input of the graph")
        return lstm_step(node, flow.settled(inputs[0]), inputs, lengths is not None)
    first = next((v for v in inputs if not isinstance(v, np.ndarray | None)), None)
    if isinstance(first, Zeros) or node.kind in ("ConstantOfShape", "Expand", "Tile"):
        return _zeros(node, inputs)
    if isinstance(first, Lengths):
        if node.kind in ("Cast", "Identity", "Squeeze", "Unsqueeze", "Reshape"):
            return first
        raise Misfit("it computes with the lengths of the sequences")
    if isinstance(first, Stack):
        return _of_stack(node, first, inputs)
    if not isinstance(first, Stream):
        raise Misfit("a chain has no such node")
    if node.kind == "Concat":
        return _joined(node, inputs)
    if node.kind in REDUCED:
        return _merged(node, first, inputs)
    if sum(isinstance(value, Stream) for value in inputs) > 1:
        return _of_two(node, inputs)
    if not all(value is first or isinstance(value, np.ndarray | None) for value in inputs):
        raise Misfit("it joins what flows with what is not a weight")
    if inputs[0] is first:
        moved = _moved(node, first, inputs)
        if moved is not None:
            return moved
    return layer_after(node, inputs, flow.settled(first))


def _varies(node: Node, inputs: list[Any]) -> bool:
    """Return whether a node makes an array of a size that varies."""
    return node.kind in ("ConstantOfShape", "Expand") and inputs[-1].dtype == object


def _zeros(node: Node, inputs: list[Any]) -> Any:
    """Return zeros that are moved about, or made for a batch of any size."""
    if isinstance(inputs[0], Stream):
        return _repeated(node, flow.settled(inputs[0]), inputs)
    if node.kind == "ConstantOfShape":
        if makes_zeros(node, ""):
            return Zeros()
    elif node.kind in KEEP_ZEROS and all(
        isinstance(value, Zeros) or is_zero(value) for value in moved_inputs(node, inputs)
    ):
        return Zeros()
    raise Misfit("it computes with zeros of a size that varies")


# Where axes move.


def _moved(node: Node, stream: Stream, inputs: list[Any]) -> Any:
    """Return what a node hands on that only rearranges; None if it computes."""
    attributes = node.attributes
    match node.kind:
        case "Identity":
            return stream
        case "Dropout":
            if len(inputs) > 2 and inputs[2] is not None and np.any(inputs[2]):
                raise Misfit("it drops numbers in training mode")
            return stream
        case "Cast":
            return _cast(node, stream)
        case "Shape":
            sizes = flow.sizes_of(stream)[slice(attributes.get("start"), attributes.get("end"))]
            array = np.empty(len(sizes), object)
            array[:] = sizes
            return as_numbers(array)
        case "Transpose":
            return flow.transposed(stream, attributes.get("perm"))
        case "Squeeze":
            return flow.squeezed(stream, axes_of(node, inputs))
        case "Unsqueeze":
            return flow.unsqueezed(stream, axes_of(node, inputs) or [])
        case "Reshape":
            sizes = [n if isinstance(n, flow.Size) else int(n) for n in inputs[1].tolist()]
            return flow.reshaped(stream, sizes, bool(attributes.get("allowzero")))
        case "Flatten":
            axis = attributes.get("axis", 1)
            parted = (stream.axes[:axis], stream.axes[axis:])
            axes = tuple(flow.plain([f for a in some for f in a]) for some in parted)
            return replace(stream, axes=axes)
        case "Gather":
            return _gathered(node, stream, inputs[1])
        case "Slice":
            return _sliced(stream, slices_of(node, inputs, len(stream.axes)))
    return None


def _cast(node: Node, stream: Stream) -> Stream:
    """Return the stream if the dtype that it is cast to does not change its values much."""
    import onnx

    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(node.attributes["to"]))
    real = dtype.kind == "f" or dtype.name == "bfloat16"
    if not real and not (stream.tokens and dtype.kind in "iu"):
        raise Misfit(f"it rounds numbers to {dtype}")
    return stream


def _gathered(node: Node, stream: Stream, index: np.ndarray) -> Stream:
    """Return the stream at one index of an axis."""
    axis = node.attributes.get("axis", 0)
    if index.dtype.kind not in "iu" or index.size != 1 or index.ndim > 1:
        raise Misfit(f"it takes several places of axis {axis} of {stream.described()}")
    return flow.at(stream, axis, int(index.item()), keep=index.ndim == 1)


def _sliced(stream: Stream, slices: Sequence[slice]) -> Stream:
    """Return the stream where an axis is cut to its first or last place, or to one direction."""
    for number, cut in enumerate(slices):
        letters = stream.letters()[number]
        start, end, step = cut.start or 0, cut.stop, cut.step or 1
        size = flow.sizes_of(stream)[number]
        length = size if isinstance(size, int) else None
        whole = end is None or end >= WHOLE or (length is not None and end >= length)
        if step == 1 and whole and (start == 0 or (length and start <= -length)):
            continue
        if length is not None and step == 1:
            start, end, _ = cut.indices(length)
        if step == 1 and letters == "DF" and stream.picked is None:
            units = stream.axes[number][-1].size or 0
            if (start, end) not in ((0, units), (units, 2 * units)):
                raise Misfit(f"it takes features {start} to {end} of {stream.described()}")
            axes = list(stream.axes)
            axes[number] = (Factor("F", units),)
            stream = replace(stream, axes=tuple(axes), picked=int(start > 0))
        elif step == 1 and (end - start == 1 if not whole or length is not None else start == -1):
            stream = flow.at(stream, number, -1 if start == -1 else start, keep=True)
        elif step == -1 and letters == "T" and end is None and start in (-1, WHOLE * 2 - 1):
            stream = flow.settled(stream).then(Step(parts.Reverse(), (), "Slice"))
        else:
            raise Misfit(f"it cuts axis {number} of {stream.described()}")
    return stream


def _merged(node: Node, stream: Stream, inputs: list[Any]) -> Stream:
    """Return the sum, mean or product of both directions of an LSTM."""
    axes = axes_of(node, inputs)
    letters = stream.letters()
    if axes is None or len(axes) != 1 or letters[(number := stream.axis(axes[0]))] != "D":
        raise Misfit(f"it joins other axes than the directions of an LSTM: {stream.described()}")
    step = _with_merge(stream, REDUCED[node.kind])
    kept = ((),) if node.attributes.get("keepdims", 1) else ()
    axes_after = (*stream.axes[:number], *kept, *stream.axes[number + 1 :])
    return replace(stream, axes=axes_after, steps=(*stream.steps[:-1], step))


def _with_merge(stream: Stream, merge: str) -> Step:
    """Return the last step, an LSTM in both directions, which merges them in some way."""
    last = stream.steps[-1]
    if not isinstance(last.part, parts.LSTM):
        raise Misfit("it joins the directions of an LSTM after another layer")
    return replace(last, part=replace(last.part, merge=merge))


def _joined(node: Node, inputs: list[Any]) -> Any:
    """Return streams side by side: both directions of one LSTM, or a stack of last states."""
    if len(inputs) == 1:
        return inputs[0]
    axis = node.attributes.get("axis", 0)
    if all(isinstance(value, Stream) for value in inputs):
        streams = [flow.with_moment(stream) for stream in inputs]
        number = streams[0].axis(axis)
        letters = [stream.letters()[number] for stream in streams]
        if len(streams) == 2 and letters == ["F", "F"] and flow.both_directions(*streams):
            axes = list(streams[0].axes)
            axes[number] = (Factor("D", 2), *axes[number])
            return replace(streams[0], axes=tuple(axes), picked=None)
        if number == 0 and all(letter in ("D", "") for letter in letters):
            return Stack(
                tuple(
                    flow.at(stream, 0, k, keep=False)
                    for stream in streams
                    for k in range(2 if stream.letters()[0] == "D" else 1)
                )
            )
    raise Misfit("it joins values that are not the two directions of one LSTM, forward first")


def _of_stack(node: Node, stack: Stack, inputs: list[Any]) -> Any:
    """Return one of the last states in a stack, or some of them."""
    some = stack.streams
    if node.kind == "Identity":
        return stack
    if node.kind == "Gather" and inputs[1].size == 1 and not node.attributes.get("axis", 0):
        one = some[int(inputs[1].item())]
        return one if inputs[1].ndim == 0 else flow.unsqueezed(one, [0])
    if node.kind == "Slice":
        first, *others = slices_of(node, inputs, 1 + len(some[0].axes))
        if all(cut == slice(None) for cut in others):
            some = some[first]
            return Stack(some) if len(some) > 1 else flow.unsqueezed(some[0], [0])
    raise Misfit("it computes with the last states of several layers or directions")


def _repeated(node: Node, stream: Stream, inputs: list[Any]) -> Stream:
    """Return a vector repeated at each of n steps."""
    sizes = inputs[1].tolist()
    if len(sizes) > len(stream.axes):
        stream = flow.unsqueezed(stream, range(len(sizes) - len(stream.axes)))
    new = [k for k, n in enumerate(sizes) if isinstance(n, int) and n > 1 and not stream.axes[k]]
    others = [k for k in range(len(sizes)) if k not in new]
    given = flow.sizes_of(stream)
    kept = (1,) if node.kind == "Tile" else (1, -1)
    if (
        len(new) == 1
        and "T" not in "".join(stream.letters())
        and all(sizes[k] in kept or (node.kind != "Tile" and sizes[k] == given[k]) for k in others)
    ):
        axes = list(stream.axes)
        axes[new[0]] = (Factor("T", sizes[new[0]]),)
        part = parts.RepeatVector(sizes[new[0]])
        return replace(stream, axes=tuple(axes)).then(Step(part, (), str(node)))
    raise Misfit(f"it repeats {stream.described()} as {excerpt(sizes)}")


def _of_two(node: Node, inputs: list[Any]) -> Stream:
    """Return the sum or product of two streams: both directions, a residual, or x sigmoid(x)."""
    one, other = (flow.with_moment(stream) for stream in inputs)
    merge = {"Add": "sum", "Mul": "mul"}.get(node.kind)
    for a, b in ((one, other), (other, one)):
        if merge and flow.both_directions(a, b):
            return replace(a, steps=(*a.steps[:-1], _with_merge(a, merge)), picked=None)
        if flow.alike(a, b) and a.picked is None and b.picked is None and b.steps:
            part = _joining(node.kind, a.steps, b.steps)
            if part is not None:
                return replace(b, steps=(*b.steps[:-1], replace(b.steps[-1], part=part)))
    raise Misfit("it joins two branches, and a chain has none")


def _joining(kind: str, before: Sequence[Step], after: Sequence[Step]) -> Any:
    """Return what the last part has to be to join its output with what came before, or None."""
    *others, last = after
    part = last.part
    if kind == "Mul" and isinstance(part, parts.Dense) and part.activation == "sigmoid":
        linear = replace(last, part=replace(part, activation=None))
        if flow.same_steps(before, [*others, linear]):
            return replace(part, activation="silu")
    if flow.same_steps(before, others):
        if kind == "Mul" and part == parts.Activation("sigmoid"):
            return parts.Activation("silu")
        if kind == "Add" and isinstance(part, parts.LSTM) and not part.last:
            return replace(part, residual=True)
    return None
