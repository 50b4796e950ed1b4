"""Models read from ONNX files: they compute what onnxruntime computes from the same files."""

from itertools import pairwise

import jax.numpy as jnp
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx_networks import FLOAT, INT32, INT64, Network, in_branches, lstm_layer, theirs
from strategies import seeds

import lstmcore as lc
from lstmcore import chain, reference
from lstmcore.interop import OnnxLSTM, from_onnx, read, write

many = settings(max_examples=4 * settings.default.max_examples)  # NumPy has nothing to compile


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


@many
@given(
    seed=seeds,
    batch=st.integers(1, 3),
    steps=st.integers(1, 5),
    features=st.integers(1, 3),
    layers=st.lists(st.tuples(st.integers(1, 4), st.booleans()), min_size=1, max_size=3),
    batch_first=st.booleans(),
    how=st.sampled_from(["squeeze", "reshape"]),
    peephole=st.booleans(),
    bias=st.booleans(),
    tokens=st.booleans(),
    dense=st.sampled_from(["", "MatMul", "Add first"]),
    activation=st.sampled_from(["", "Relu", "Softmax", "Sigmoid", "Tanh", "Elu", "Selu"]),
    dynamic=st.booleans(),
)
def test_every_step(
    folder, seed, batch, steps, features, layers, batch_first, how, peephole, bias, tokens, dense,
    activation, dynamic,
):  # fmt: skip
    net = Network(seed)
    shape = [batch, steps] if batch_first else [steps, batch]
    named = ["b", "t"] if batch_first else ["t", "b"]
    if tokens:
        x = np.random.default_rng(seed).integers(0, 7, shape)
        value = net.input("x", INT64, *(named if dynamic else shape))
        value = net.node("Gather", net.weights(7, features), value)
    else:
        x = sequences(seed, *shape, features)
        value = net.input("x", FLOAT, *(named if dynamic else shape), features)
    size = features
    for units, both in layers:
        value, size = lstm_layer(
            net, value, size, units, batch_first, both, how, peephole=peephole, bias=bias
        )
    if dense:
        value = net.node("MatMul", value, net.weights(size, 3))
        pair = (net.weights(3), value)
        value = net.node("Add", *(pair if dense == "Add first" else pair[::-1]))
    if activation:
        value = net.node(activation, value)
    path = net.save(folder, value)
    assert_equal(ours(path, x, time_major=not batch_first), theirs(path, x=x))


LAST = [
    "Y_h", "Y_h transposed", "index", "index [1]", "slice", "both by Gather", "both by Slice",
    "halves", "sum", "mean", "product", "Add", "one direction",
]  # fmt: skip


@pytest.mark.parametrize("way", LAST)
@settings(max_examples=6)
@given(
    seed=seeds,
    batch=st.integers(1, 3),
    steps=st.integers(1, 4),
    units=st.integers(1, 4),
    reverse=st.booleans(),
    dynamic=st.booleans(),
)
def test_last_state(folder, way, seed, batch, steps, units, reverse, dynamic):
    both = way in LAST[5:]
    net = Network(seed)
    x = sequences(seed, batch, steps, 2)
    value = net.input("x", FLOAT, *(["b", "t"] if dynamic else [batch, steps]), 2)
    value = net.node("Transpose", value, perm=[1, 0, 2])
    options = {} if both else {"direction": "reverse" if reverse else "forward"}
    every, last = net.lstm(value, 2, units, directions=1 + both, **options)
    zero, one, two, axis = (net.tensor(np.array(n, np.int64)) for n in (0, 1, -2, -1))
    place = 0 if reverse else -1
    match way:
        case "Y_h":
            value = net.node("Squeeze", last, net.integers(0))
        case "Y_h transposed":
            value = net.node("Transpose", last, perm=[1, 0, 2])
            value = net.node("Reshape", value, net.integers(-1, units))
        case "index" | "index [1]" | "slice":
            value = net.node("Squeeze", every, net.integers(1))
            value = net.node("Transpose", value, perm=[1, 0, 2])
            if way == "index":
                index = net.tensor(np.array(place, np.int64))
                value = net.node("Gather", value, index, axis=1)
            else:
                end = net.integers(1 if reverse else 2**63 - 1)
                if way == "slice":
                    value = net.node("Slice", value, net.integers(place), end, net.integers(1))
                else:
                    value = net.node("Gather", value, net.integers(place), axis=1)
                value = net.node("Squeeze", value, net.integers(1))
        case "both by Gather":
            pair = [net.node("Gather", last, index, axis=0) for index in (two, one)]
            value = net.node("Concat", *pair, axis=-1)
        case "both by Slice":
            spans = [(0, 1), (1, 2)]
            pair = [
                net.node("Slice", last, net.integers(a), net.integers(b), net.integers(0))
                for a, b in spans
            ]
            pair = [net.node("Squeeze", half, net.integers(0)) for half in pair]
            value = net.node("Concat", *pair, axis=1)
        case "halves":
            value = net.node("Transpose", every, perm=[2, 0, 1, 3])
            value = net.node("Reshape", value, net.integers(0, 0, -1))
            ends = [net.node("Gather", value, index, axis=1) for index in (axis, zero)]
            spans = [(0, units), (units, 2**31)]
            pair = [
                net.node("Slice", end, net.integers(a), net.integers(b), net.integers(1))
                for end, (a, b) in zip(ends, spans, strict=True)
            ]
            value = net.node("Concat", *pair, axis=-1)
        case "sum" | "mean" | "product":
            kind = {"sum": "ReduceSum", "mean": "ReduceMean", "product": "ReduceProd"}[way]
            value = net.node(kind, last, net.integers(0), keepdims=0)
        case "Add":
            pair = [net.node("Gather", last, index, axis=0) for index in (one, zero)]
            value = net.node("Add", *pair)
        case "one direction":
            value = net.node("Gather", last, one, axis=0)
    value = net.node(
        "Gemm", value, net.weights(3, units * (1 + (way in LAST[5:8]))), net.weights(3), transB=1
    )
    path = net.save(folder, value, opset=18)
    model = read(path).model
    assert model.parts[0].last
    assert_equal(ours(path, x), theirs(path, x=x))


def test_last_step_of_both_directions(tmp_path):
    net = Network()
    value, size = lstm_layer(net, net.input("x", FLOAT, "b", "t", 2), 2, 3, True, True, "reshape")
    value = net.node("Gather", value, net.tensor(np.array(-1)), axis=1)
    value = net.node("Gemm", value, net.weights(size, 4), net.weights(4))
    path = net.save(tmp_path, net.node("Relu", value))
    model, params, notes = read(path)
    x = sequences(0, 3, 5, 2)
    output, _ = model.apply(params, x, ops=reference)
    assert any("take output[:, -1]" in note for note in notes)
    assert_equal(output[:, -1], theirs(path, x=x))


@pytest.mark.parametrize("merge", ["Add", "Mul", "ReduceSum", "ReduceMean", "ReduceProd"])
def test_merged_directions(tmp_path, merge):
    net = Network()
    value = net.node("Transpose", net.input("x", FLOAT, "b", "t", 2), perm=[1, 0, 2])
    y, _ = net.lstm(value, 2, 3, directions=2)
    if merge.startswith("Reduce"):
        value = net.node(merge, y, net.integers(1), keepdims=0)
    else:
        pair = [net.node("Gather", y, net.tensor(np.array(k)), axis=1) for k in (0, 1)]
        value = net.node(merge, *pair)
    path = net.save(tmp_path, net.node("Transpose", value, perm=[1, 0, 2]), opset=18)
    x = sequences(0, 3, 5, 2)
    assert_equal(ours(path, x), theirs(path, x=x))


@many
@given(
    seed=seeds,
    both=st.booleans(),
    layers=st.integers(1, 2),
    last=st.booleans(),
    cast=st.booleans(),
    lengths=st.lists(st.integers(0, 5), min_size=1, max_size=4),
)
def test_lengths_are_the_mask(folder, seed, both, layers, last, cast, lengths):
    net = Network(seed)
    value = net.node("Transpose", net.input("x", FLOAT, "b", 5, 2), perm=[1, 0, 2])
    ends = net.input("lengths", INT64 if cast else INT32, "b")
    if cast:
        ends = net.node("Cast", ends, to=INT32)
    size = 2
    for k in range(layers):
        y, y_h = net.lstm(value, size, 3, ends, directions=1 + both)
        if last and k == layers - 1:
            value = net.node("Transpose", y_h, perm=[1, 0, 2])
            value = net.node("Reshape", value, net.integers(0, -1))
        else:
            value = net.node("Transpose", y, perm=[0, 2, 1, 3])
            value = net.node("Reshape", value, net.integers(0, 0, -1))
        size = 3 * (1 + both)
    if not last:
        value = net.node("Transpose", value, perm=[1, 0, 2])
    path = net.save(folder, value)
    x = sequences(seed, len(lengths), 5, 2)
    lengths = np.array(lengths, np.int64 if cast else np.int32)
    mask = np.arange(5) < lengths[:, None]
    assert "mask=lc.length_mask" in read(path).notes[0]
    assert_equal(ours(path, x, mask=mask), theirs(path, x=x, lengths=lengths))


ACTIVATIONS = {
    "Tanh": {}, "Sigmoid": {}, "Relu": {}, "Softplus": {}, "Softsign": {}, "Elu": {}, "Selu": {},
    "Exp": {}, "HardSigmoid": {}, "Softmax": {"axis": 2}, "LeakyRelu": {"alpha": 0.3},
    "Selu of its own numbers": {"alpha": 1.6732632, "gamma": 1.050701},
    "HardSigmoid of Keras 3": {"alpha": 1 / 6, "beta": 0.5},
}  # fmt: skip


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("behind", ["LSTM", "dense"])
def test_activations(tmp_path, name, behind):
    net = Network()
    value = net.node("Transpose", net.input("x", FLOAT, "b", "t", 2), perm=[1, 0, 2])
    value = net.node("Squeeze", net.lstm(value, 2, 3)[0], net.integers(1))
    if behind == "dense":
        value = net.node("Add", net.node("MatMul", value, net.weights(3, 4)), net.weights(4))
    value = net.node(name.split()[0], value, **ACTIVATIONS[name])
    path = net.save(tmp_path, net.node("Transpose", value, perm=[1, 0, 2]))
    x = sequences(0, 3, 5, 2)
    assert_equal(ours(path, x), theirs(path, x=x))


LSTM_ACTIVATIONS = [
    (["Sigmoid", "Relu", "Tanh"], [], []),
    (["HardSigmoid", "Softsign", "Softsign"], [], []),
    (["HardSigmoid", "tanh", "Affine"], [0.2, 1.0], [0.5, 0.0]),
    (["HardSigmoid", "Elu", "Softplus"], [1 / 6, 1.0], [0.5]),
]


@pytest.mark.parametrize(("names", "alpha", "beta"), LSTM_ACTIVATIONS)
def test_activations_of_an_lstm(tmp_path, names, alpha, beta):
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    alpha, beta = (
        {f"activation_{name}": values} if values else {}
        for name, values in (("alpha", alpha), ("beta", beta))
    )
    y, _ = net.lstm(x, 2, 3, activations=names, **alpha, **beta)
    path = net.save(tmp_path, net.node("Squeeze", y, net.integers(1)))
    x = sequences(0, 4, 3, 2)
    assert isinstance(read(path).model.parts[0].activation, str)
    assert_equal(ours(path, x, time_major=True), theirs(path, x=x))


def test_layer_norm_residual_silu_repeat_and_reverse(tmp_path):
    net = Network()
    value = net.input("x", FLOAT, "b", "t", 3)
    normal = net.node("LayerNormalization", value, net.weights(3), net.weights(3), epsilon=1e-4)
    steps = net.node("Transpose", normal, perm=[1, 0, 2])
    y = net.node("Squeeze", net.lstm(steps, 3, 3)[0], net.integers(1))
    value = net.node("Add", net.node("Transpose", y, perm=[1, 0, 2]), normal)
    value = net.node("Mul", value, net.node("Sigmoid", value))
    whole = net.integers(-1), net.integers(-(2**63)), net.integers(1), net.integers(-1)
    value = net.node("Slice", value, *whole)
    value = net.node("Transpose", value, perm=[1, 0, 2])
    value = net.node("Squeeze", net.lstm(value, 3, 2)[1], net.integers(0))
    value = net.node("Unsqueeze", value, net.integers(1))
    value = net.node("Tile", value, net.integers(1, 4, 1))
    path = net.save(tmp_path, value)
    names = [type(part).__name__ for part in read(path).model.parts]
    assert names == ["LayerNorm", "LSTM", "Activation", "Reverse", "LSTM", "RepeatVector"]
    x = sequences(0, 3, 5, 3)
    assert_equal(ours(path, x), theirs(path, x=x))


def test_layout_with_the_batch_first(tmp_path):
    """onnxruntime has no layout 1: the same node with layout 0 is what it runs."""
    outputs = []
    for how in ("layout", "reshape"):
        net = Network()
        value = net.input("x", FLOAT, "b", "t", 2)
        value, _ = lstm_layer(net, value, 2, 3, True, True, how)
        path = net.save(tmp_path, value)
        outputs.append(ours(path, sequences(0, 3, 5, 2)))
    assert_equal(*outputs)
    assert_equal(outputs[1], theirs(path, x=sequences(0, 3, 5, 2)))


def test_dense_over_all_steps_at_once(tmp_path):
    """As tf2onnx writes it: [batch time, features] and back, by sizes known at run time."""
    net = Network()
    x = net.input("x", FLOAT, "b", "t", 2)
    value, size = lstm_layer(net, x, 2, 3, True, False, "squeeze")
    shape = net.node("Shape", value)
    first = net.node("Slice", shape, net.integers(0), net.integers(2), net.integers(0))
    value = net.node("Reshape", value, net.integers(-1, size))
    value = net.node("MatMul", value, net.weights(size, 4))
    value = net.node("Reshape", value, net.node("Concat", first, net.integers(4), axis=0))
    path = net.save(tmp_path, net.node("Add", value, net.weights(4)))
    x = sequences(0, 3, 5, 2)
    assert_equal(ours(path, x), theirs(path, x=x))


@pytest.mark.parametrize("other", [False, True])
def test_branch_that_is_known_to_be_taken(tmp_path, other):
    """As PyTorch writes squeeze of an axis whose size it does not know: If it is 1, Squeeze."""
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    y, _ = net.lstm(x, 2, 3)
    size = net.node("Gather", net.node("Shape", y), net.tensor(np.array(1)), axis=0)
    taken = net.node("Equal", size, net.tensor(np.array(2 if other else 1)))
    axis = net.integers(1)
    branches = []
    for name, nodes in {
        "a": [helper.make_node("Squeeze", [y, axis], ["a/0"])],
        "b": [helper.make_node("Identity", [y], ["b/0"])],
    }.items():
        value = helper.make_tensor_value_info(f"{name}/0", FLOAT, None)
        branches.append(helper.make_graph(nodes, name, [], [value]))
    one, two = branches[::-1] if other else branches
    value = net.node("If", taken, then_branch=one, else_branch=two)
    path = net.save(tmp_path, value)
    x = sequences(0, 4, 3, 2)
    assert_equal(ours(path, x, time_major=True), theirs(path, x=x))


def test_nodes_around_a_dense_layer(tmp_path):
    net = Network()
    value = net.node("Cast", net.input("x", TensorProto.DOUBLE, "b", "t", 2), to=FLOAT)
    value = net.node("Transpose", net.node("Dropout", value), perm=[1, 0, 2])
    _, y_h = net.lstm(value, 2, 3)
    value = net.node("Flatten", net.node("Transpose", y_h, perm=[1, 0, 2]))
    value = net.node("Dropout", value, net.tensor(np.float32(0.5)), net.tensor(np.array(False)))
    kernel, bias = net.weights(4, 3), net.weights(1, 4)
    value = net.node("Gemm", value, kernel, bias, transB=1, alpha=0.5, beta=2.0)
    path = net.save(tmp_path, value)
    x = sequences(0, 3, 5, 2)
    assert_equal(ours(path, x), theirs(path, x=x.astype(np.float64)))


def test_one_number_without_an_axis(tmp_path):
    net = Network()
    value, _ = lstm_layer(net, net.input("x", FLOAT, "b", "t", 2), 2, 3, True, False, "squeeze")
    value = net.node("MatMul", value, net.weights(3, 1))
    path = net.save(tmp_path, net.node("Squeeze", value, net.integers(2)))
    x = sequences(0, 3, 5, 2)
    assert_equal(ours(path, x)[..., 0], theirs(path, x=x))
    assert "no axis of features" in read(path).notes[0]


def test_what_write_wrote(tmp_path):
    parts = [
        chain.Embedding(7, 3),
        chain.LSTM(4, direction="bidirectional", peephole=True),
        chain.LayerNorm(),
        chain.LSTM(3, "softsign", "hard_sigmoid", direction="backward"),
        chain.LSTM(3, direction="bidirectional", merge="mean", residual=True),
        chain.Activation("silu"),
        chain.LSTM(2, last=True),
        chain.RepeatVector(4),
        chain.LSTM(3, direction="bidirectional", merge="mul"),
        chain.Reverse(),
        chain.Dense(3, "hard_sigmoid"),
        chain.LeakyReLU(0.25),
        chain.Dense(2, "softmax"),
    ]
    model = lc.Chain(parts)
    rng = np.random.default_rng(0)
    params = {
        name: layer.kind(*(rng.normal(0, 0.5, shape).astype("f4") for shape in _shapes(layer)))
        for name, layer in model.layers.items()
    }
    write(tmp_path / "model.onnx", model, params)
    again = read(tmp_path / "model.onnx")
    assert (again.model, again.notes) == (model, ())
    for name, weights in params.items():
        for one, other in zip(weights, again.params[name], strict=False):
            np.testing.assert_array_equal(one, other)


def _shapes(layer):
    return (layer.shapes() | (layer.optional_shapes() if layer.peephole else {})).values()


@pytest.mark.parametrize("last", [False, True])
def test_by_jax(tmp_path, last):
    net = Network()
    value = net.node("Transpose", net.input("x", FLOAT, "b", "t", 2), perm=[1, 0, 2])
    y, y_h = net.lstm(value, 2, 3, directions=2)
    value = net.node(
        "Transpose", *([y_h] if last else [y]), perm=[1, 0, 2] if last else [2, 0, 1, 3]
    )
    value = net.node("Reshape", value, net.integers(*([0, -1] if last else [0, 0, -1])))
    path = net.save(tmp_path, value)
    x = sequences(0, 3, 5, 2)
    assert_equal(np.asarray(ours(path, jnp.asarray(x), ops=lc.ops)), theirs(path, x=x))


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
    y, _ = net.lstm(x, 2, 3, "", h, c)
    path = net.save(tmp_path, net.node("Squeeze", y, net.integers(1)))
    x = sequences(0, 4, 3, 2)
    assert_equal(ours(path, x, time_major=True), theirs(path, x=x))


# One LSTM alone.


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
        ValueError, match=r"no chain.*: If 'If_0': the input 'choice'.*layer= can be 'branch_0'"
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
    assert model == lc.Chain([chain.LSTM(3), chain.LSTM(3)], 2)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in net.tensors}
    np.testing.assert_array_equal(params["lstm_1"].kernel, arrays["model.rnn.weight_ih_l1"].T)
    with pytest.raises(ValueError, match=r"layer 'other' is not there; layer= can be 'model.rnn'"):
        read(path, layer="other")


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
