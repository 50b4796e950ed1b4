"""LSTM nodes in graphs of ONNX: their weights, and what a chain makes of their attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lstmcore.interop.onnx.activations import activation_of
from lstmcore.interop.onnx.graphs import Node
from lstmcore.interop.onnx.lstm import OnnxLSTM, node_model
from lstmcore.interop.onnx.stream import Axis, Factor, Misfit, Step, Stream
from lstmcore.interop.onnx.weights import dequantized
from lstmcore.models.chain_parts import LSTM
from lstmcore.types import LSTMParams

QUANTIZED = "com.microsoft.DynamicQuantizeLSTM"
KINDS = ("LSTM", QUANTIZED)
WEIGHTS = {"W": 1, "R": 2, "B": 3, "P": 7}  # places among the inputs of a node
SCALES = {"W": (8, 9), "R": (10, 11)}  # and of the scales and zero points of a quantised one


def lstm_node(
    node: Node, inputs: Sequence[Any], where: str
) -> tuple[OnnxLSTM, dict[str, LSTMParams]]:
    """Return an LSTM node as a model and its weights.

    Args:
      node: of one of KINDS.
      inputs: what it reads; the weights must be arrays.
      where: the node, for messages.

    Raises:
      ValueError: weights that are not constants, or do not fit; an unknown attribute.
    """
    arrays = {}
    for name, place in WEIGHTS.items():
        value = inputs[place] if place < len(inputs) else None
        if value is None and name in ("W", "R"):
            raise Misfit(f"{where}: it has no weights {name}")
        if value is not None and not _are_weights(value, node.kind == QUANTIZED and name in SCALES):
            what = getattr(value, "dtype", "computed as the network runs")
            raise Misfit(f"{where}: its weights {name} are not constant numbers, but {what}")
        arrays[name] = value
    if node.kind == QUANTIZED:
        for name, places in SCALES.items():
            arrays[name] = dequantized(arrays[name], *(inputs[place] for place in places))
    return node_model(where, node.attributes, **arrays)


def _are_weights(value: Any, whole: bool) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in ("iu" if whole else "f")


def lstm_step(node: Node, stream: Stream, inputs: Sequence[Any], lengths: bool) -> tuple:
    """Return (Y, Y_h) of an LSTM node as streams.

    Args:
      node: of one of KINDS.
      stream: what it reads.
      inputs: what it reads, its weights among it.
      lengths: whether the lengths of the sequences are among them.

    Raises:
      ValueError: the node does not fit into a chain.
    """
    model, params = lstm_node(node, inputs, "its weights")
    features, letters = stream.features(), stream.letters()[:-1]
    batch_first = bool(node.attributes.get("layout"))
    if features != model.features:
        raise Misfit(f"its W is for {model.features} features, but it reads {features}")
    part = chain_part(model, lengths)
    if letters != (["B", "T"] if batch_first else ["T", "B"]):
        expected = "batch, time" if batch_first else "time, batch"
        raise Misfit(f"it reads {stream.described()}, expected [{expected}, features]")
    step = Step(part, tuple(params.values()), str(node), lengths)
    last = replace(step, part=replace(part, last=True, zero_output_for_mask=False))
    ways: Axis = (Factor("D", 2),) if len(params) == 2 else ()
    hidden: Axis = (Factor("F", model.units),)
    first, second, _ = stream.axes
    if batch_first:
        axes, end = (first, second, ways, hidden), (first, ways, hidden)
    else:
        axes, end = (first, ways, second, hidden), (ways, second, hidden)
    return Stream(axes, (*stream.steps, step)), Stream(end, (*stream.steps, last))


def chain_part(model: OnnxLSTM, lengths: bool) -> LSTM:
    """Return the part of a chain that computes what an LSTM node does.

    Args:
      model: the node.
      lengths: whether it reads lengths, which make its output 0 after the end of a sequence.

    Raises:
      ValueError: no part does.
    """
    for name in ("clip", "input_forget"):
        if value := getattr(model, name):
            raise Misfit(f"it has {name} {value}, which no LSTM of a chain has")
    spelled = [_named(*each) for each in model.activations or ()]
    if spelled[3:] not in ([], spelled[:3]):
        raise Misfit("its directions have different activations")
    gates, candidate, output = spelled[:3] or ["sigmoid", "tanh", "tanh"]
    return LSTM(
        model.units,
        activation=candidate,
        recurrent_activation=gates,
        output_activation=None if output == candidate else output,
        direction={"reverse": "backward"}.get(model.direction, model.direction),
        peephole=model.peephole,
        zero_output_for_mask=lengths,
    )


def _named(name: str, constants: tuple[float, ...]) -> str:
    """Return the name that an activation has in a chain."""
    activation = activation_of(name, constants)
    if isinstance(activation, str):
        return activation
    given = " ".join(map(str, (name, *constants)))
    raise Misfit(f"no LSTM of a chain has the activation {given}")
