"""Random LSTM nodes of ONNX, and what onnxruntime makes of them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

ACTIVATIONS = ["Sigmoid", "Tanh", "HardSigmoid", "Softsign", "ScaledTanh"]  # bounded
OF_OUTPUT = [*ACTIVATIONS, "Relu", "LeakyRelu", "Elu", "Affine", "ThresholdedRelu", "Softplus"]
SIZES = [(1, 1, 1, 1), (2, 3, 2, 3), (3, 5, 1, 4), (2, 4, 3, 2)]  # B, T, F, H


@dataclass
class Case:
    """One node.

    Attributes:
      attributes: of the node, by name.
      inputs: X, W, R, B, sequence_lens, initial_h, initial_c, P; None for what it does not have.
    """

    attributes: dict[str, Any]
    inputs: dict[str, Any] = field(repr=False)

    @property
    def weights(self) -> dict[str, Any]:
        return {name: self.inputs[name] for name in ("W", "R", "B", "P")}

    @property
    def data(self) -> dict[str, Any]:
        names = ("X", "sequence_lens", "initial_h", "initial_c")
        return {name: self.inputs[name] for name in names}


def random_case(rng: np.random.Generator, *, plain: bool = False) -> Case:
    """Return a node with every attribute and input drawn; without own activations if plain."""
    batch, steps, features, units = SIZES[rng.integers(len(SIZES))]
    direction = str(rng.choice(["forward", "reverse", "bidirectional"]))
    directions, layout = 1 + (direction == "bidirectional"), int(rng.integers(2))

    def draw(*shape):
        return rng.normal(size=shape).astype(np.float32)

    def sometimes(value, share=0.5):
        return value if rng.random() < share else None

    shape = (batch, directions, units) if layout else (directions, batch, units)
    lengths = rng.integers(1, steps + 1, batch).astype(np.int32)  # of length 0: a test of its own
    inputs = {
        "X": draw(batch, steps, features) if layout else draw(steps, batch, features),
        "W": draw(directions, 4 * units, features),
        "R": draw(directions, 4 * units, units),
        "B": sometimes(draw(directions, 8 * units), 0.8),
        "sequence_lens": sometimes(lengths),
        "initial_h": sometimes(draw(*shape)),
        "initial_c": sometimes(draw(*shape)),
        "P": sometimes(draw(directions, 3 * units)),
    }
    attributes = {"hidden_size": units, "direction": direction, "layout": layout}
    attributes["input_forget"] = int(rng.random() < 0.3)
    if rng.random() < 0.3:
        attributes["clip"] = float(rng.uniform(0.3, 2))
    if not plain and rng.random() < 0.6:
        attributes |= _activations(rng, directions)
    return Case(attributes, inputs)


def _activations(rng, directions):
    names = [str(rng.choice(names)) for names in (ACTIVATIONS, ACTIVATIONS, OF_OUTPUT) * directions]
    takes_two = {"HardSigmoid", "ScaledTanh", "Affine"}
    takes_one = {*takes_two, "LeakyRelu", "Elu", "ThresholdedRelu"}
    drawn = {"activations": names}
    if rng.random() < 0.7 or {"Affine", "ScaledTanh", "ThresholdedRelu"} & set(names):
        alphas = [float(rng.uniform(0.1, 1.2)) for name in names if name in takes_one]
        betas = [float(rng.uniform(0.1, 1.2)) for name in names if name in takes_two]
        drawn |= {"activation_alpha": alphas} if alphas else {}
        drawn |= {"activation_beta": betas} if betas else {}
    return drawn


def onnxruntime_outputs(case: Case) -> list[np.ndarray]:
    """Return Y, Y_h and Y_c of onnxruntime; with layout=1, which it lacks, by way of layout=0."""
    attributes, inputs = dict(case.attributes), dict(case.inputs)
    layout = attributes.pop("layout", 0)
    if layout:
        for name in ("X", "initial_h", "initial_c"):
            if inputs[name] is not None:
                inputs[name] = np.ascontiguousarray(inputs[name].swapaxes(0, 1))
    names = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    given = {name: inputs[name] for name in names if inputs[name] is not None}
    node = helper.make_node(
        "LSTM", [n if n in given else "" for n in names], ["Y", "Y_h", "Y_c"], **attributes
    )
    values = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in given.items()
    ]
    kind = helper.np_dtype_to_tensor_dtype(inputs["X"].dtype)
    outputs = [helper.make_tensor_value_info(name, kind, None) for name in ("Y", "Y_h", "Y_c")]
    graph = helper.make_graph([node], "one node", values, outputs)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    y, y_h, y_c = session.run(None, given)
    if layout:
        return [y.transpose(2, 0, 1, 3), y_h.swapaxes(0, 1), y_c.swapaxes(0, 1)]
    return [y, y_h, y_c]


def collected_cases() -> list:
    """Return the LSTM cases of onnx's own collection of node tests."""
    from onnx.backend.test.case.node import collect_testcases

    return [case for case in collect_testcases("LSTM") if case.kind == "node"]


def attributes_of(node: onnx.NodeProto) -> dict[str, Any]:
    """Return the attributes of a node by name, as plain values."""
    values = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return {name: v.decode() if isinstance(v, bytes) else v for name, v in values.items()}
