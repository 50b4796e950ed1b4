"""Nodes of ONNX that are layers of a chain: dense, activations, embeddings, layer normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lstmcore.formatting import excerpt
from lstmcore.interop.onnx.graphs import Node
from lstmcore.interop.onnx.stream import Factor, Misfit, Step, Stream
from lstmcore.models import chain_parts as parts
from lstmcore.types import DenseParams, EmbeddingParams, LayerNormParams

ACTIVATIONS = {
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Relu": "relu",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Exp": "exponential",
}
NUMBERED = ("Elu", "HardSigmoid", "Selu")  # which a chain has for some numbers only
SELU = {"alpha": 1.6732632, "gamma": 1.050701}


def layer_after(node: Node, inputs: Sequence[Any], stream: Stream) -> Stream:
    """Return the stream after a layer that computes each step by itself."""
    attributes = node.attributes
    if stream.tokens and node.kind != "Gather":
        raise Misfit(
            f"it computes with the input of the network, which is {stream.source}, expected "
            "[batch, time] of integer tokens for an embedding, or [batch, time, features]"
        )
    match node.kind:
        case "Gather":
            return _embedded(node, inputs, stream)
        case "MatMul" if inputs[0] is not stream and isinstance(inputs[0], np.ndarray):
            raise Misfit("it multiplies weights by what flows, in this order")
        case "MatMul":
            return _dense(node, stream, inputs[1], None)
        case "Gemm":
            if attributes.get("transA") or not isinstance(inputs[1], np.ndarray):
                raise Misfit("it transposes what flows")
            kernel = inputs[1].T if attributes.get("transB") else inputs[1]
            bias = inputs[2] if len(inputs) > 2 else None
            alpha, beta = (np.float32(attributes.get(name, 1)) for name in ("alpha", "beta"))
            if len(stream.axes) != 2:
                raise Misfit(f"it reads two axes, but comes after {stream.described()}")
            return _dense(
                node, stream, kernel * alpha, None if bias is None else bias * beta, open_=False
            )
        case "Add":
            return _biased(inputs, stream)
        case "LayerNormalization":
            return _normalised(node, inputs, stream)
        case "LeakyRelu":
            part = parts.LeakyReLU(attributes.get("alpha", 0.01))
            return stream.then(Step(part, (), str(node)))
    name = activation(node, inputs, stream)
    last = stream.steps[-1] if stream.steps else None
    if last and isinstance(last.part, parts.Dense) and last.part.activation is None:
        step = replace(last, part=replace(last.part, activation=name), open=False)
        return replace(stream, steps=(*stream.steps[:-1], step))
    return stream.then(Step(parts.Activation(name), (), str(node)))


def activation(node: Node, inputs: Sequence[Any], stream: Stream) -> str:
    """Return the name of the activation that a node applies.

    Raises:
      Misfit: it is none, or one that has no name here.
    """
    alpha, beta = (node.attributes.get(name) for name in ("alpha", "beta"))
    if node.kind in ACTIVATIONS:
        return ACTIVATIONS[node.kind]
    if node.kind == "HardSigmoid":
        slope, offset = (0.2 if alpha is None else alpha), (0.5 if beta is None else beta)
        for value, name in ((0.2, "hard_sigmoid_keras2"), (1 / 6, "hard_sigmoid")):
            if np.isclose(slope, value, rtol=1e-6) and offset == 0.5:
                return name
    if node.kind == "Elu" and alpha in (None, 1):
        return "elu"
    if node.kind == "Selu":
        given = SELU | {k: v for k, v in node.attributes.items() if k in SELU}
        if np.allclose(list(given.values()), list(SELU.values()), rtol=1e-6):
            return "selu"
    if node.kind == "Clip":
        limits = [None if limit is None else limit.tolist() for limit in inputs[1:]]
        if (limits or [node.attributes.get(name) for name in ("min", "max")]) == [0, 6]:
            return "relu6"
        raise Misfit("it limits numbers, which a chain does to only 0 and 6")
    if node.kind == "Softmax":
        axis = node.attributes.get("axis")
        rank = len(stream.axes)
        stream.features()
        if axis in (-1, rank - 1) or axis is None:
            return "softmax"
        raise Misfit(f"it is over axis {axis} of {stream.described()}, expected the last")
    if node.kind not in NUMBERED:
        kind = "a convolution" if node.kind.startswith("Conv") else excerpt(node.kind, 60)
        raise Misfit(f"{kind} is not a layer of a chain")
    numbers = ", ".join(
        f"{k} {v}" for k, v in node.attributes.items() if isinstance(v, int | float)
    )
    raise Misfit(f"no activation of a chain has {excerpt(numbers) or 'its default constants'}")


def _embedded(node: Node, inputs: Sequence[Any], stream: Stream) -> Stream:
    """Return the vectors of tokens."""
    table = inputs[0]
    if not stream.tokens or table.ndim != 2 or node.attributes.get("axis", 0) != 0:
        raise Misfit("it takes places by what flows, expected tokens before the first layer")
    axes = (*stream.axes, (Factor("F", table.shape[1]),))
    part = parts.Embedding(*table.shape)
    step = Step(part, (EmbeddingParams(table),), str(node))
    return replace(stream, axes=axes, steps=(step,), tokens=False)


def _dense(node: Node, stream: Stream, kernel: Any, bias: Any, open_: bool = True) -> Stream:
    """Return the stream after a dense layer."""
    if not isinstance(kernel, np.ndarray) or kernel.ndim != 2 or kernel.dtype.kind != "f":
        raise Misfit("its second input is not a matrix of weights")
    if (features := stream.features()) != kernel.shape[0]:
        raise Misfit(f"its weights have shape {kernel.shape}, but it reads {features} features")
    units = kernel.shape[1]
    bias = np.zeros(units, kernel.dtype) if bias is None else _bias(bias, units)
    weights = DenseParams(np.ascontiguousarray(kernel), bias.astype(kernel.dtype))
    return stream.then(Step(parts.Dense(units), (weights,), str(node), open=open_), units)


def _bias(bias: np.ndarray, units: int) -> np.ndarray:
    if (bias.ndim and bias.shape[-1] not in (1, units)) or bias.size not in (1, units):
        raise Misfit(f"it adds an array of shape {bias.shape} to {units} features")
    return np.broadcast_to(bias.reshape(-1), (units,)).copy()


def _biased(inputs: Sequence[Any], stream: Stream) -> Stream:
    """Return the stream after the bias of a dense layer."""
    bias = next((value for value in inputs if isinstance(value, np.ndarray)), None)
    last = stream.steps[-1] if stream.steps else None
    if bias is None or last is None or not last.open or stream.letters()[-1] != "F":
        raise Misfit("it adds numbers to what is not a dense layer without a bias")
    (weights,) = last.weights
    bias = _bias(bias, last.part.units).astype(weights.kernel.dtype)
    step = replace(last, weights=(weights._replace(bias=bias),), open=False)
    return replace(stream, steps=(*stream.steps[:-1], step))


def _normalised(node: Node, inputs: Sequence[Any], stream: Stream) -> Stream:
    """Return the stream after a layer normalisation of its features."""
    features, scale = stream.features(), inputs[1]
    offset = inputs[2] if len(inputs) > 2 and inputs[2] is not None else np.zeros_like(scale)
    if stream.axis(node.attributes.get("axis", -1)) != len(stream.axes) - 1:
        raise Misfit(f"it normalises several axes of {stream.described()}")
    if scale.shape != (features,) or offset.shape != (features,):
        raise Misfit(f"its weights have shapes {scale.shape} and {offset.shape}, not {(features,)}")
    part = parts.LayerNorm(node.attributes.get("epsilon", 1e-5))
    weights = (LayerNormParams(scale, offset),)
    return stream.then(Step(part, weights, str(node)), features)
