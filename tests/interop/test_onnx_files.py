"""Models read from ONNX files: they compute what onnxruntime computes from the same files."""

import jax.numpy as jnp
import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from onnx_networks import (
    FLOAT,
    INT32,
    INT64,
    Network,
    assert_equal,
    lstm_layer,
    ours,
    sequences,
    theirs,
)
from strategies import seeds

import lstmcore as lc
from lstmcore import chain, reference
from lstmcore.interop import read, write

many = settings(max_examples=4 * settings.default.max_examples)  # NumPy has nothing to compile


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
@pytest.mark.parametrize("after", ["LSTM", "dense"])
def test_activations(tmp_path, name, after):
    net = Network()
    value = net.node("Transpose", net.input("x", FLOAT, "b", "t", 2), perm=[1, 0, 2])
    value = net.node("Squeeze", net.lstm(value, 2, 3)[0], net.integers(1))
    if after == "dense":
        value = net.node("Add", net.node("MatMul", value, net.weights(3, 4)), net.weights(4))
    value = net.node(name.split()[0], value, **ACTIVATIONS[name])
    path = net.save(tmp_path, net.node("Transpose", value, perm=[1, 0, 2]))
    x = sequences(0, 3, 5, 2)
    assert_equal(ours(path, x), theirs(path, x=x))


@pytest.mark.parametrize("opset", [10, 17])
def test_clip_is_relu6(tmp_path, opset):
    """Its limits were attributes before version 11."""
    net = Network()
    value = net.node("Transpose", net.input("x", FLOAT, "b", "t", 2), perm=[1, 0, 2])
    value = net.node("Flatten", net.lstm(value, 2, 3)[1], axis=2)
    value = net.node("Gemm", value, net.weights(3, 4), net.weights(4), alpha=40.0)
    limits = [net.tensor(np.float32(n)) for n in (0, 6)] if opset > 10 else []
    value = net.node("Clip", value, *limits, **({} if limits else {"min": 0.0, "max": 6.0}))
    path = net.save(tmp_path, value, opset=opset)
    assert read(path).model.parts[-1] == chain.Dense(4, "relu6")
    x = sequences(0, 9, 5, 2)
    expected = theirs(path, x=x)
    assert {0, 6} <= set(expected.ravel().tolist())
    assert_equal(ours(path, x), expected)


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
    proto = onnx.load(tmp_path / "model.onnx")
    del proto.metadata_props[:]  # which hold the model, too
    onnx.save(proto, tmp_path / "model.onnx")
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


def test_residual_of_both_directions(tmp_path):
    net = Network()
    x = net.input("x", FLOAT, "b", "t", 6)
    value, _ = lstm_layer(net, x, 6, 3, True, True, "reshape")
    path = net.save(tmp_path, net.node("Add", x, value))
    assert read(path).model.parts[0].residual
    x = sequences(0, 3, 5, 6)
    assert_equal(ours(path, x), theirs(path, x=x))
