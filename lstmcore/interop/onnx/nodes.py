"""The layers of lstmcore as nodes of a graph of ONNX.

Values are batch-major, as everywhere in lstmcore; only around an LSTM node, which reads [T, B, F],
are the first two axes exchanged.

https://onnx.ai/onnx/operators/onnx__LSTM.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lstmcore.interop.onnx.activations import OnnxActivation
from lstmcore.interop.onnx.builder import INT32, INT64, Graph
from lstmcore.interop.onnx.weights import to_onnx
from lstmcore.types import DenseParams, LSTMParams

__all__ = ["activated", "activation_attributes", "dense", "listed_activations", "lstm"]

# Node and attributes of each activation that stands by itself.
NODES: dict[str, tuple[str, dict[str, Any]]] = {
    "tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 1 / 6, "beta": 0.5}),
    "hard_sigmoid_keras2": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "relu": ("Relu", {}),
    "elu": ("Elu", {}),
    "selu": ("Selu", {}),
    "softplus": ("Softplus", {}),
    "softsign": ("Softsign", {}),
    "softmax": ("Softmax", {"axis": -1}),
    "exponential": ("Exp", {}),
}
LSTM_ACTIVATIONS: dict[str, tuple[str, tuple[float, ...]]] = {  # with alpha, or alpha and beta
    "tanh": ("Tanh", ()),
    "sigmoid": ("Sigmoid", ()),
    "hard_sigmoid": ("HardSigmoid", (1 / 6, 0.5)),
    "hard_sigmoid_keras2": ("HardSigmoid", (0.2, 0.5)),
    "relu": ("Relu", ()),
    "elu": ("Elu", (1.0,)),
    "softplus": ("Softplus", ()),
    "softsign": ("Softsign", ()),
    "linear": ("Affine", (1.0, 0.0)),
}
MERGING = {"sum": "ReduceSum", "mean": "ReduceMean", "mul": "ReduceProd"}


def name_of_activation(graph: Graph, layer: str, activation: Any) -> str:
    """Return the name of an activation, which may be given as a function of JAX."""
    if isinstance(activation, str):
        return activation
    try:
        from lstmcore.activations import name_of
    except ImportError:  # without JAX there are none of its functions
        name = None
    else:
        name = name_of(activation)
    if name is None:
        raise ValueError(
            f"{graph.where}: {layer} has an activation of its own, {activation!r}, which ONNX "
            "cannot express: use one of those with a name"
        )
    return name


def activated(graph: Graph, layer: str, activation: Any, x: str) -> str:
    """Return x after an activation, None for none."""
    if activation is None:
        return x
    name = name_of_activation(graph, layer, activation)
    if name == "linear":
        return x
    if name == "relu6":
        limits = [graph.constant(f"{layer}/limit", np.float32(n)) for n in (0, 6)]
        return graph.node("Clip", f"{layer}/Clip", x, *limits)
    if name == "silu":
        return graph.node("Mul", f"{layer}/Mul", x, activated(graph, layer, "sigmoid", x))
    op, attributes = NODES[name]
    return graph.node(op, f"{layer}/{op}", x, **attributes)


def activation_attributes(
    graph: Graph, layer: str, activations: Mapping[str, Any], directions: int = 1
) -> dict[str, list]:
    """Return the attributes of an LSTM node for activations given as to `lc.lstm`.

    Raises:
      ValueError: an activation that an LSTM node does not have.
    """
    given = {key: value for key, value in activations.items() if value is not None}
    output = given.get("output_activation", given["activation"])
    described = [
        _lstm_activation(graph, layer, activation)
        for activation in (given["recurrent_activation"], given["activation"], output)
    ] * directions
    return listed_activations(described)


def listed_activations(described: Sequence[tuple[str, tuple[float, ...]]]) -> dict[str, list]:
    """Return activations with their constants as the attributes of an LSTM node.

    The alphas of those that have one stand in a list of their own, in the same order; the betas,
    too.
    """
    attributes: dict[str, list] = {
        "activations": [name for name, _ in described],
        "activation_alpha": [alpha for _, constants in described for alpha in constants[:1]],
        "activation_beta": [beta for _, constants in described for beta in constants[1:]],
    }
    return {key: values for key, values in attributes.items() if values}


def _lstm_activation(graph: Graph, layer: str, activation: Any) -> tuple[str, tuple[float, ...]]:
    """Return the name that ONNX has for an activation inside an LSTM, and its constants."""
    if isinstance(activation, OnnxActivation) and activation.clip is None:
        return activation.name, activation.constants
    name = name_of_activation(graph, layer, activation)
    if name not in LSTM_ACTIVATIONS:
        raise ValueError(
            f"{graph.where}: {layer} has the activation {name!r}, which the LSTM of ONNX does not "
            f"have: it has {', '.join(LSTM_ACTIVATIONS)}"
        )
    return LSTM_ACTIVATIONS[name]


def dense(graph: Graph, layer: str, params: DenseParams, x: str) -> str:
    """Return a dense layer of the last axis of x."""
    kernel = graph.constant(f"{layer}/kernel", params.kernel)
    product = graph.node("MatMul", f"{layer}/MatMul", x, kernel)
    return graph.node("Add", layer, product, graph.constant(f"{layer}/bias", params.bias))


def lstm(
    graph: Graph,
    layer: str,
    params: Sequence[LSTMParams],
    x: str,
    attributes: Mapping[str, Any],
    *,
    direction: str = "forward",
    merge: str = "concat",
    last: bool = False,
    mask: str | None = None,
    zero_output_for_mask: bool = False,
) -> str:
    """Return the output of an LSTM node that is named like its layer.

    Args:
      graph, layer: where it is added, and its name.
      params: those of its direction, or of both.
      x: [B, T, F].
      attributes: of the node beside its direction and size, such as `activation_attributes`.
      direction, merge, last, zero_output_for_mask: as in `lc.chain.LSTM`.
      mask: bool [B, T], True = real step, or None.

    Returns:
      [B, T, H], or with `last` the state after the last step taken, [B, H].

    Raises:
      ValueError: a projection, which an LSTM node does not have.
    """
    if any(one.projection is not None for one in params):
        raise ValueError(
            f"{graph.where}: {layer} has a projection, which the LSTM of ONNX does not have"
        )
    both = len(params) == 2
    weights = zip("WRBP", to_onnx(_alike(params)), strict=True)
    names = {key: graph.constant(f"{layer}/{key}", w) for key, w in weights if w is not None}
    inputs = [names["W"], names["R"], names["B"]]
    steps = None if mask is None else RealSteps(graph, layer, mask)
    if steps:
        x, inputs = steps.first(x), [*inputs, steps.lengths]
    if "P" in names:
        inputs += [""] * (6 - len(inputs)) + [names["P"]]
    h = graph.node(
        "LSTM",
        layer,
        graph.node("Transpose", f"{layer}/time_major", x, perm=[1, 0, 2]),
        *inputs,
        outputs=["", "Y_h"] if last else ["Y"],
        direction="reverse" if direction == "backward" else direction,
        hidden_size=params[0].bias.shape[-1] // 4,
        **attributes,
    )
    h = graph.node("Transpose", f"{layer}/h", h, perm=[1, 0, 2] if last else [2, 0, 1, 3])
    if steps and not last:
        h = steps.back(h, direction)
    if steps and zero_output_for_mask:
        h = steps.zeroed(h, direction, last)
    return _merged(graph, layer, h, merge if both else None, last)


def _alike(params: Sequence[LSTMParams]) -> list[LSTMParams]:
    """Return both directions of a layer with peepholes if one has: of zeros, which is as none."""
    peepholes = [one.peephole for one in params if one.peephole is not None]
    return [
        one._replace(peephole=np.zeros_like(peepholes[0]))
        if peepholes and one.peephole is None
        else one
        for one in params
    ]


class RealSteps:
    """The steps that an LSTM takes where a mask leaves some out, wherever these are.

    An LSTM node can leave out steps only at the end, so it reads the real ones first.

    Attributes:
      lengths: int32 [B], the number of real steps.
    """

    def __init__(self, graph: Graph, layer: str, mask: str) -> None:
        self.graph, self.layer, self.mask = graph, layer, mask
        self.real = self.add("Cast", mask, to=INT64)
        self.count = self.add("CumSum", self.real, graph.constant(f"{layer}/axis", np.int64(1)))
        total = self.add("ReduceSum", self.real, graph.integers(1), keepdims=0)
        self.total = self.add("Unsqueeze", total, graph.integers(1))
        self.lengths = self.add("Cast", total, to=INT32)

    def add(self, op: str, *inputs: str, **attributes: Any) -> str:
        return self.graph.node(op, f"{self.layer}/mask/{op}", *inputs, **attributes)

    def first(self, x: str) -> str:
        """Return x [B, T, F] with the real steps of each sequence before all others."""
        steps = self.add("Shape", self.mask, start=1, end=2)
        rank = self.add("Sub", self.count, self.add("Mul", self.real, steps))
        outputs = ["Values", "Indices"]
        order = self.add("TopK", rank, steps, outputs=outputs, axis=1, largest=0)
        order = self.add("Unsqueeze", order, self.graph.integers(2))
        return self.add("GatherND", x, order, batch_dims=1)

    def back(self, h: str, direction: str) -> str:
        """Return h [B, T, D, H] of only the real steps at the steps of the input.

        At a step that was left out stands the state that is carried through it: that after the
        last real step before it, in the order in which they are taken, or zeros if there is none.
        """
        places = []  # of that step, [B, 1, T] in each direction
        if direction != "backward":
            places.append(self.add("Sub", self.count, self.graph.integers(1)))
        if direction != "forward":
            places.append(self.add("Sub", self.count, self.real))
        places = [self.add("Unsqueeze", place, self.graph.integers(1)) for place in places]
        place = places[0] if len(places) == 1 else self.add("Concat", *places, axis=1)
        total = self.add("Unsqueeze", self.total, self.graph.integers(1))
        begun = self.add("GreaterOrEqual", place, self.graph.integers(0))
        begun = self.add("And", begun, self.add("Less", place, total))
        place = self.add("Mul", place, self.add("Cast", begun, to=INT64))
        last = self.graph.integers(3)
        place, begun = (self.add("Unsqueeze", each, last) for each in (place, begun))
        h = self.add("Transpose", h, perm=[0, 2, 1, 3])
        h = self.add("Where", begun, self.add("GatherND", h, place, batch_dims=2), self.zero())
        return self.add("Transpose", h, perm=[0, 2, 1, 3])

    def zeroed(self, h: str, direction: str, last: bool) -> str:
        """Return h [B, T, D, H] with zeros at masked steps, or [B, D, H] if the last is masked."""
        if last:
            places = {"forward": [-1], "backward": [0], "bidirectional": [-1, 0]}[direction]
            mask = self.add("Gather", self.mask, self.graph.integers(*places), axis=1)
            mask = self.add("Unsqueeze", mask, self.graph.integers(2))
        else:
            mask = self.add("Unsqueeze", self.mask, self.graph.integers(2, 3))
        return self.add("Where", mask, h, self.zero())

    def zero(self) -> str:
        return self.graph.constant(f"{self.layer}/zero", np.float32(0))


def _merged(graph: Graph, layer: str, h: str, merge: str | None, last: bool) -> str:
    """Return h [B, D, H] or [B, T, D, H] without its axis of directions."""
    if merge is None:
        return graph.node("Squeeze", f"{layer}/Squeeze", h, graph.integers(-2))
    if merge == "concat":
        shape = graph.integers(*(0,) * (1 if last else 2), -1)
        return graph.node("Reshape", f"{layer}/Reshape", h, shape)
    return graph.node(MERGING[merge], f"{layer}/{merge}", h, graph.integers(-2), keepdims=0)
