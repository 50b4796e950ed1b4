"""Networks of ONNX as they are built node by node, with random weights, and run by onnxruntime."""

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from lstmcore import reference
from lstmcore.interop import read

FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32
OPSET = 17


class Network:
    """A graph as it is built, with weights drawn at random."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)
        self.nodes, self.tensors, self.inputs = [], [], []

    def input(self, name, kind, *shape):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def tensor(self, array, name=None):
        name = name or f"tensor_{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def integers(self, *numbers):
        return self.tensor(np.array(numbers, np.int64))

    def weights(self, *shape, name=None, dtype=np.float32):
        return self.tensor(self.rng.normal(0, 0.5, shape).astype(dtype), name)

    def node(self, kind, *inputs, outputs=1, name=None, domain="", **attributes):
        name = name or f"{kind}_{len(self.nodes)}"
        names = [f"{name}/{k}" for k in range(outputs)]
        made = helper.make_node(kind, inputs, names, name, domain=domain, **attributes)
        self.nodes.append(made)
        return names[0] if outputs == 1 else names

    def lstm(self, x, features, units, *rest, directions=1, peephole=False, bias=True, **more):
        """Return (Y, Y_h) of an LSTM node; `rest` are sequence_lens, initial_h, initial_c."""
        arrays = [
            self.weights(directions, 4 * units, features),
            self.weights(directions, 4 * units, units),
            self.weights(directions, 8 * units) if bias else "",
        ]
        rest = [*rest, "", "", ""][:3]
        if peephole:
            rest.append(self.weights(directions, 3 * units))
        if directions == 2:
            more["direction"] = "bidirectional"
        return self.node("LSTM", x, *arrays, *rest, outputs=2, hidden_size=units, **more)

    def model(self, *outputs, opset=OPSET, kind=FLOAT):
        outputs = [helper.make_tensor_value_info(name, kind, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "network", self.inputs, outputs, self.tensors)
        imports = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(graph, opset_imports=imports, ir_version=8)

    def save(self, folder, *outputs, **options):
        path = folder / "network.onnx"
        onnx.save(self.model(*outputs, **options), path)
        return path


def in_branches(seed=0):
    """Return a network whose LSTM is in a branch, with weights there, and which is not a chain."""
    branches = []
    for k in (0, 1):
        inner = Network(seed + k)
        arrays = [inner.rng.normal(0, 0.5, s).astype("f4") for s in [(1, 12, 2), (1, 12, 3)]]
        w, r = (inner.node("Constant", value=numpy_helper.from_array(a)) for a in arrays)
        name = f"branch_{k}"
        y, _ = inner.node("LSTM", "x", w, r, outputs=2, hidden_size=3, name=name)
        value = helper.make_tensor_value_info(y, FLOAT, None)
        branches.append(helper.make_graph(inner.nodes, name, [], [value]))
    net = Network()
    net.input("x", FLOAT, "t", "b", 2)
    choice = net.input("choice", TensorProto.BOOL)
    return net, net.node("If", choice, then_branch=branches[1], else_branch=branches[0])


def lstm_layer(net, x, features, units, batch_first, both, how, **options):
    """Return the steps of an LSTM, as an exporter writes it around the node, and its size."""
    layout = how == "layout" and batch_first
    if layout:
        pass
    elif batch_first:
        x = net.node("Transpose", x, perm=[1, 0, 2])
    directions = 1 + both
    y, _ = net.lstm(x, features, units, directions=directions, layout=int(layout), **options)
    if layout:  # [B, T, D, H]
        return net.node("Reshape", y, net.integers(0, 0, -1)), directions * units
    if not both and how == "squeeze":
        y = net.node("Squeeze", y, net.integers(1))
    else:
        y = net.node("Transpose", y, perm=[0, 2, 1, 3])
        y = net.node("Reshape", y, net.integers(0, 0, -1))
    if batch_first:
        y = net.node("Transpose", y, perm=[1, 0, 2])
    return y, directions * units


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def theirs(path, **inputs):
    return session(path).run(None, inputs)[0]


def ours(path, x, *, time_major=False, mask=None, ops=reference):
    """Return the output of a file, read as a chain; x and the output in the file's order."""
    model, params, notes = read(path)
    assert any("file reads [time" in note for note in notes) == time_major
    y, _ = model.apply(params, np.swapaxes(x, 0, 1) if time_major else x, mask=mask, ops=ops)
    return np.swapaxes(y, 0, 1) if any("returns [time" in note for note in notes) else y


def assert_equal(actual, expected, atol=1e-5):
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, atol=atol, rtol=0)


def sequences(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)
