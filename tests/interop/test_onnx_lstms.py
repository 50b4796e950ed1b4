"""LSTMs of ONNX files read by themselves; weights that are computed, quantised, or in branches."""

from itertools import pairwise

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from onnx_networks import (
    FLOAT,
    Network,
    assert_equal,
    in_branches,
    ours,
    sequences,
    theirs,
)

import lstmcore as lc
from lstmcore import chain, reference
from lstmcore.interop import OnnxLSTM, from_onnx, read

# Where weights come from.


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_dtypes_of_weights(tmp_path, dtype):
    net = Network()
    y, _ = net.lstm(net.input("x", FLOAT, "t", "b", 2), 2, 3)
    path = net.save(tmp_path, y)
    proto = onnx.load(path)
    expected = [numpy_helper.to_array(tensor) for tensor in proto.graph.initializer]
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype)) if dtype != "bfloat16" else 16
    for tensor, array in zip(proto.graph.initializer, expected, strict=True):
        values = helper.make_tensor(tensor.name, kind, array.shape, array.ravel())
        tensor.CopyFrom(values)
    onnx.save(proto, path)
    (params,) = read(path, layer="LSTM_0").params.values()
    assert params.kernel.dtype == ("float64" if dtype == "float64" else "float32")
    atol = {"float16": 1e-3, "bfloat16": 1e-2}.get(dtype, 0)
    np.testing.assert_allclose(params.kernel, from_onnx(*expected)[0].kernel, atol=atol)


def test_weights_that_are_computed(tmp_path):
    """As PyTorch's tracer leaves them: gates sliced and joined in another order."""
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    fused = net.weights(12, 2)
    spans = [net.integers(n) for n in (0, 3, 6, 9, 12)]
    gates = [net.node("Slice", fused, a, b, net.integers(0)) for a, b in pairwise(spans)]
    joined = net.node("Concat", gates[0], gates[3], gates[1], gates[2], axis=0)
    w = net.node("Unsqueeze", net.node("Identity", joined), net.integers(0))
    r = net.node("Transpose", net.weights(3, 12), perm=[1, 0])
    r = net.node("Reshape", r, net.integers(1, 12, 3))
    b = net.node("Constant", value=numpy_helper.from_array(np.zeros((1, 24), np.float16)))
    b = net.node("Cast", b, to=FLOAT)
    b = net.node("Add", b, net.weights(24))
    y, _ = net.node("LSTM", x, w, r, b, outputs=2, hidden_size=3)
    path = net.save(tmp_path, net.node("Squeeze", y, net.integers(1)))
    x = sequences(0, 4, 3, 2)
    assert_equal(ours(path, x, time_major=True), theirs(path, x=x))


def as_value(number):
    return numpy_helper.from_array(np.array([number], np.float32))


def start(net, kind):
    """Return the name of an initial state of zeros, or of something else."""
    if kind == "Constant":
        return net.node("Constant", value=numpy_helper.from_array(np.zeros((1, 3, 3), "f4")))
    if kind == "tensor":
        return net.tensor(np.zeros((1, 3, 3), np.float32))
    shape = net.node("Shape", "x")
    batch = net.node("Gather", shape, net.tensor(np.array(1)), axis=0)
    batch = net.node("Unsqueeze", batch, net.integers(0))
    shape = net.node("Concat", net.integers(1), batch, net.integers(3), axis=0)
    if kind == "Expand":
        return net.node("Expand", net.tensor(np.zeros((1, 1, 1), np.float32)), shape)
    return net.node("ConstantOfShape", shape)


@pytest.mark.parametrize("kind", ["Constant", "tensor", "Expand", "ConstantOfShape"])
def test_states_of_zeros(tmp_path, kind):
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    h, c = start(net, kind), start(net, kind)
    y, _ = net.lstm(x, 2, 3, "", h, c, name="cell")
    path = net.save(tmp_path, net.node("Squeeze", y, net.integers(1)))
    x = sequences(0, 4, 3, 2)
    assert_equal(ours(path, x, time_major=True), theirs(path, x=x))
    assert read(path, layer="cell").notes == ()


@pytest.mark.parametrize("kind", ["input", "weights", "ones", "joined"])
def test_states_that_one_lstm_starts_from(tmp_path, kind):
    """What only looks like zeros."""
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    if kind == "ones":
        h = net.node("ConstantOfShape", net.node("Shape", x), value=as_value(1))
        h = net.node("Slice", h, net.integers(0), net.integers(1), net.integers(0))
    else:
        h = net.input("h", FLOAT, 1, "b", 3) if kind == "input" else net.weights(1, 1, 3)
    if kind == "joined":
        h = net.node("Concat", start(net, "Constant"), h, axis=1)
    y, _ = net.lstm(x, 2, 3, "", start(net, "Expand"), h, name="cell")
    (note,) = read(net.save(tmp_path, y), layer="cell").notes
    assert "starts from a state that the network gives it" in note


# One LSTM by itself.


def test_one_lstm_with_what_no_chain_has(tmp_path):
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    h, c = net.input("h", FLOAT, 1, "b", 3), net.input("c", FLOAT, 1, "b", 3)
    y, _ = net.lstm(x, 2, 3, "", h, c, clip=0.3, input_forget=1, name="encoder")
    path = net.save(tmp_path, y)
    for layer in ("encoder", "encoder/0", "encoder/1"):
        model, params, notes = read(path, layer=layer)
        assert isinstance(model, OnnxLSTM)
        assert "from zeros" in notes[0]
    x = sequences(0, 4, 3, 2)
    h, c = sequences(1, 2, 1, 3, 3)
    actual, _, _ = model.outputs(params, x, None, h, c, ops=reference)
    assert_equal(actual, theirs(path, x=x, h=h, c=c))


def test_one_lstm_in_a_branch(tmp_path):
    path = (pair := in_branches())[0].save(tmp_path, pair[1])
    x = sequences(0, 4, 3, 2)
    for k in (0, 1):
        model, params, _ = read(path, layer=f"branch_{k}")
        y, _ = model.apply(params, x.swapaxes(0, 1), ops=reference)
        expected = theirs(path, x=x, choice=np.array(bool(k)))[:, 0]
        assert_equal(y.swapaxes(0, 1), expected)
    with pytest.raises(
        ValueError, match=r"not a chain.*: If 'If_0': the input 'choice'.*layer= can be 'branch_0'"
    ):
        read(path)


def test_one_lstm_with_the_names_of_pytorch(tmp_path):
    """Its weights are in PyTorch's order, and nodes compute with them."""
    net = Network()
    x = net.input("x", FLOAT, "b", 2)
    for k in (0, 1):
        for name, shape in (("ih", (12, 2 if k == 0 else 3)), ("hh", (12, 3))):
            net.weights(*shape, name=f"model.rnn.weight_{name}_l{k}")
            net.weights(12, name=f"model.rnn.bias_{name}_l{k}")
    path = net.save(tmp_path, net.node("Relu", x))
    model, params, _ = read(path, layer="model.rnn")
    assert model == lc.Chain([chain.LSTM(3, name=f"model.rnn_{k}") for k in (0, 1)], 2)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in net.tensors}
    np.testing.assert_array_equal(params["model.rnn_1"].kernel, arrays["model.rnn.weight_ih_l1"].T)
    with pytest.raises(ValueError, match=r"layer 'other' is not there; layer= can be 'model.rnn'"):
        read(path, layer="other")
    net.lstm(net.input("z", FLOAT, "t", "b", 2), 2, 3, name="cell")
    expected = r"layer= can be 'cell' \(a node\), 'model.rnn' \(the prefix of weights\)"
    with pytest.raises(ValueError, match=expected):
        read(net.save(tmp_path, net.node("Relu", x)), layer="other")


def test_one_lstm_by_the_names_of_its_weights(tmp_path):
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    w, r = net.weights(1, 12, 2, name="head.lstm.W"), net.weights(1, 12, 3, name="head.lstm.R")
    path = net.save(tmp_path, *net.node("LSTM", x, w, r, outputs=2, hidden_size=3))
    model, params, _ = read(path, layer="head.lstm")
    assert model == lc.Chain([chain.LSTM(3)], 2)
    assert params["lstm_0"].kernel.shape == (2, 12)


# Quantised.


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("both", [False, True])
def test_quantised_by_onnxruntime(tmp_path, per_channel, both):
    quantization = pytest.importorskip("onnxruntime.quantization")
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 8)
    y, _ = net.lstm(x, 8, 16, directions=1 + both)
    path = net.save(tmp_path, y)
    small = tmp_path / "small.onnx"
    kinds = {"weight_type": quantization.QuantType.QInt8, "per_channel": per_channel}
    quantization.quantize_dynamic(path, small, **kinds)
    assert [node.op_type for node in onnx.load(small).graph.node] == ["DynamicQuantizeLSTM"]
    layer = onnx.load(small).graph.node[0].name
    model, params, notes = read(small, layer=layer)
    assert "rounds the inputs and the hidden state" in notes[0]
    exact = read(path, layer="LSTM_0").params
    for name, weights in exact.items():  # half a step of 127, of the largest weight
        for one, other in zip(weights[:2], params[name][:2], strict=True):
            assert 0 < abs(one - other).max() <= abs(one).max() / 127
    x = sequences(0, 6, 3, 8)
    y, _ = model.apply(params, x.swapaxes(0, 1), ops=reference)
    expected = theirs(small, x=x).transpose(2, 0, 1, 3).reshape(y.shape)
    difference = abs(y - expected).max()
    assert 0 < difference < 0.05
