"""Damaged and hostile ONNX files: a ValueError that names file and node, and little memory."""

import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
from fuzzing import mutated_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from onnx_networks import FLOAT, INT32, INT64, Network, in_branches, lstm_layer
from strategies import seeds

import lstmcore as lc
from lstmcore.interop import read, write


def sound(seed=0):
    """Return the bytes of networks of several kinds."""
    net = Network(seed)
    x = net.node("Gather", net.weights(5, 3), net.input("x", INT64, "b", "t"))
    value, size = lstm_layer(net, x, 3, 4, True, True, "reshape")
    value = net.node("Gather", value, net.tensor(np.array(-1)), axis=1)
    value = net.node("Softmax", net.node("Gemm", value, net.weights(size, 2), net.weights(2)))
    first = net.model(value)
    second, value = in_branches(seed)
    third = written(lc.Chain([lc.chain.Embedding(5, 3, padding=0), lc.chain.LSTM(4)]))
    return [first.SerializeToString(), second.model(value).SerializeToString(), third]


def written(model):
    """Return the bytes that lstmcore writes, which describe the model."""
    rng = np.random.default_rng(0)
    params = {
        name: layer.kind(*(rng.normal(size=s).astype("f4") for s in layer.shapes().values()))
        for name, layer in model.layers.items()
    }
    with TemporaryDirectory() as folder:
        write(path := Path(folder) / "written.onnx", model, params)
        return path.read_bytes()


FILES = sound()
KNOWN = ["LSTM_2", "branch_0", "tensor_3"]


def check_refused_or_read(path, layer):
    """Raise unless a file is read, or refused by an error that names it."""
    failed = None
    try:
        model, params, _ = read(path, layer=layer)
    except ValueError as error:
        failed = error
    if failed is None:
        assert model.layers.keys() == params.keys()
    else:
        assert str(path) in str(failed)


@settings(max_examples=20 * settings.default.max_examples)
@given(seed=seeds, layer=st.sampled_from([None, *KNOWN]), which=st.integers(0, 2))
def test_random_damage(tmp_path_factory, seed, layer, which):
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    rng = np.random.default_rng(seed)
    data = mutated_bytes(rng, FILES[which], FILES[which - 1])
    path.write_bytes(data)
    check_refused_or_read(path, layer)


def mutated_message(rng, message):
    """Change one field of a message, or of one within it, to something else of its kind."""
    fields = message.ListFields()
    if not fields:
        return
    field, value = fields[rng.integers(len(fields))]
    if field.message_type is not None:
        inner = value
        if field.is_repeated:
            match rng.integers(8):
                case 0:
                    del value[rng.integers(len(value))]
                    return
                case 1:
                    value.add().CopyFrom(value[rng.integers(len(value))])
                    return
            inner = value[rng.integers(len(value))]
        mutated_message(rng, inner)
        return
    hostile = {
        str: ["", "x", "LSTM", "Reshape", "Loop", "If", "a" * 5000, "x/0", "tensor_3", "Expand"],
        int: [-1, 0, 1, 2, 3, 7, 2**31 - 1, 100],
        float: [float("nan"), -1.0, 1e38],
        bytes: [b"", b"\xff\xfe", b"Elu", b"bidirectional", b"\0" * 16],
    }
    if field.enum_type is not None:
        hostile[int] = list(field.enum_type.values_by_number)
    kind = type(value[0]) if field.is_repeated else type(value)
    chosen = hostile[kind][rng.integers(len(hostile[kind]))]
    if not field.is_repeated:
        setattr(message, field.name, chosen)
    elif rng.integers(3):
        value[rng.integers(len(value))] = chosen
    elif rng.integers(2):
        value.append(chosen)
    else:
        del value[rng.integers(len(value))]


@settings(max_examples=40 * settings.default.max_examples)
@given(seed=seeds, layer=st.sampled_from([None, *KNOWN]), which=st.integers(0, 2))
def test_other_fields(tmp_path_factory, seed, layer, which):
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    rng = np.random.default_rng(seed)
    model = onnx.ModelProto.FromString(FILES[which])
    for _ in range(rng.integers(1, 4)):
        mutated_message(rng, model.graph)
    path.write_bytes(model.SerializeToString())
    check_refused_or_read(path, layer)


# Each error by its text.


def refused(tmp_path, model, expected, layer=None):
    """Raise unless a model is refused by an error that matches and names its file."""
    path = tmp_path / "network.onnx"
    path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
    with pytest.raises(ValueError, match=expected) as caught:
        read(path, layer=layer)
    assert str(path) in str(caught.value)


def one_lstm(**attributes):
    """Return a network of one LSTM, and its output."""
    net = Network()
    y, _ = net.lstm(net.input("x", FLOAT, "t", "b", 2), 2, 3, **attributes)
    return net, y


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "damaged, or no ONNX file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "damaged, or no ONNX file"),
        (FILES[0][:-20], "damaged, or no ONNX file"),
    ],
)
def test_no_onnx(tmp_path, data, expected):
    refused(tmp_path, data, expected)


@pytest.mark.parametrize(
    ("opset", "expected"),
    [(6, "version 6 .* expected 7 to .*version_converter"), (10_000, "pip install -U onnx")],
)
def test_versions(tmp_path, opset, expected):
    net, y = one_lstm()
    model = net.model(y)
    model.opset_import[0].version = opset
    refused(tmp_path, model, expected)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        (
            {"clip": 2.0},
            "LSTM_0': it has clip 2.0, which no LSTM of a chain has; layer= can be 'LSTM_0'",
        ),
        ({"input_forget": 1}, "input_forget True, which no LSTM of a chain has"),
        ({"activations": ["Sigmoid", "LeakyRelu", "Tanh"]}, "the activation LeakyRelu 0.01"),
        ({"activations": ["Sigmoid", "Sinh", "Tanh"]}, "activation 'Sinh' is not known"),
        ({"activations": ["Sigmoid"]}, "activations must be 3"),
        ({"direction": "sideways"}, "direction must be .*'sideways'"),
        ({"output_sequence": 1}, "the attribute 'output_sequence' is not known"),
        ({"layout": 1}, r"it reads \[time, batch, features\]|not a chain"),
        ({"hidden_size": 4}, "hidden_size is 4, but R has 3 units"),
        (
            {
                "directions": 2,
                "activations": ["Sigmoid", "Tanh", "Tanh", "Sigmoid", "Relu", "Tanh"],
            },
            "its directions have different activations",
        ),
    ],
)
def test_attributes(tmp_path, attributes, expected):
    units = attributes.pop("hidden_size", 3)
    net, y = one_lstm(**attributes)
    model = net.model(y)
    for attribute in model.graph.node[0].attribute:
        if attribute.name == "hidden_size":
            attribute.i = units
    refused(tmp_path, model, expected)


@pytest.mark.parametrize(
    ("place", "shape", "expected"),
    [
        (0, (1, 12, 5), "its W is for 5 features, but it reads 2"),
        (0, (1, 8, 2), r"W has shape \[1, 8, 2\], expected \[1, 12, 2\]"),
        (0, (12, 2), "must have three axes"),
        (1, (1, 12, 4), r"W has shape|R has shape"),
        (2, (1, 12), r"B has shape \[1, 12\], expected \[1, 24\]"),
        (0, (1, 0, 2), "W has shape"),
    ],
)
def test_shapes_of_weights(tmp_path, place, shape, expected):
    net, y = one_lstm()
    net.tensors[place] = numpy_helper.from_array(np.ones(shape, "f4"), net.tensors[place].name)
    refused(tmp_path, net.model(net.node("Squeeze", y, net.integers(1))), expected)


def test_more_axes_than_numpy_has(tmp_path):
    net, y = one_lstm()
    model = net.model(y)
    model.graph.initializer[0].dims[:] = [1] * 97 + [12, 2]
    refused(tmp_path, model, "the weight 'tensor_0': maximum supported dimension")


def test_weights_of_whole_numbers(tmp_path):
    net, y = one_lstm()
    net.tensors[0] = numpy_helper.from_array(np.ones((1, 12, 2), "i4"), net.tensors[0].name)
    refused(tmp_path, net.model(y), "its weights W are not constant numbers, but int32")


def test_weights_that_the_network_computes(tmp_path):
    net = Network()
    x, w = net.input("x", FLOAT, "t", "b", 2), net.input("w", FLOAT, 1, 12, 2)
    y, _ = net.node("LSTM", x, w, net.weights(1, 12, 3), outputs=2, hidden_size=3)
    refused(tmp_path, net.model(y), "the input 'w' is read in addition to 'x'")
    computed = "its weights W are not constant numbers, but computed as the network runs"
    refused(tmp_path, net.model(y), computed, layer="LSTM_0")


@pytest.mark.parametrize("kind", ["input", "weights"])
def test_states_that_are_not_zeros(tmp_path, kind):
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    h = net.input("h", FLOAT, 1, "b", 3) if kind == "input" else net.weights(1, 1, 3)
    y, _ = net.lstm(x, 2, 3, "", h, h)
    expected = {"input": "'h' is read in addition to 'x'", "weights": "a state that is not zeros"}[
        kind
    ]
    refused(tmp_path, net.model(y), f"LSTM_.*: .*{expected}.*layer= can be 'LSTM_")


def test_an_input_of_samples(tmp_path):
    """As of a network that reads sound: an input of two axes is taken for tokens."""
    net = Network()
    x = net.input("x", FLOAT, "b", 512)
    y, _ = net.lstm(net.node("Unsqueeze", net.node("Abs", x), net.integers(0)), 512, 3)
    expected = (
        r"Abs '.*': it computes with the input of the network, which is \[\?, 512\] float32, "
        r"expected \[batch, time\] of integer tokens for an embedding, or \[batch, time, features\]"
    )
    refused(tmp_path, net.model(y), expected)


def two_lstms(reads_cell):
    """Return a network whose second LSTM, or an output that is not the first, reads Y_c."""
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    arrays = net.weights(1, 12, 2), net.weights(1, 12, 3)
    y, h, c = net.node("LSTM", x, *arrays, outputs=3, hidden_size=3, name="encoder")
    states = ("", "", h, c) if reads_cell else ()
    y, _ = net.node("LSTM", x, *arrays, *states, outputs=2, hidden_size=3, name="decoder")
    return net.model(net.node("Squeeze", y, net.integers(1)), net.node("Relu", c))


def test_the_last_cell_state(tmp_path):
    expected = "LSTM 'encoder': the network reads its last cell state, which a chain does not"
    refused(tmp_path, two_lstms(reads_cell=True), f"{expected} return; layer= can be 'encoder', ")
    net = Network()
    w, r = net.weights(1, 12, 2), net.weights(1, 12, 3)
    x = net.input("x", FLOAT, "t", "b", 2)
    *_, c = net.node("LSTM", x, w, r, outputs=3, hidden_size=3, name="encoder")
    refused(tmp_path, net.model(net.node("Squeeze", c, net.integers(0))), expected)


def test_the_last_cell_state_beside_the_output(tmp_path):
    path = tmp_path / "network.onnx"
    onnx.save(two_lstms(reads_cell=False), path)
    model, _, notes = read(path)
    assert len(model.parts) == 1
    assert notes[-1] == "Not computed: the outputs Relu_3/0 of the file."


def last_node(kind, *more, **attributes):
    """Return a network whose last node reads the steps of an LSTM, [time, batch, 3]."""
    net, y = one_lstm()
    y = net.node("Squeeze", y, net.integers(1))
    inputs = [item(net) if callable(item) else item for item in more]
    return net.model(net.node(kind, y, *inputs, **attributes))


NODES = {
    "Erf is not a layer of a chain": lambda: last_node("Erf"),
    "LogSoftmax is not a layer of a chain": lambda: last_node("LogSoftmax", axis=-1),
    "BatchNormalization is not a layer of a chain": lambda: last_node(
        "BatchNormalization", *[lambda net: net.weights(3)] * 4, epsilon=1e-5
    ),
    "a convolution is not a layer of a chain": lambda: last_node("ConvInteger", group=1),
    "it limits numbers, which a chain does to only 0 and 6": lambda: last_node(
        "Clip", *(lambda net, n=n: net.tensor(np.float32(n)) for n in (-1, 1))
    ),
    "it limits numbers, which": lambda: last_node("Clip", "", lambda net: net.tensor(np.int64(6))),
    "no activation of a chain has alpha 0.3": lambda: last_node("Elu", alpha=0.3),
    "axis 1 of .time, batch, features., expected the last": lambda: last_node("Softmax", axis=1),
    "it adds numbers to what is not a dense": lambda: last_node("Add", lambda net: net.weights(3)),
    "its weights have shape .4, 2., but it reads 3": lambda: last_node(
        "MatMul", lambda net: net.weights(4, 2)
    ),
    "its second input is not a matrix": lambda: last_node(
        "MatMul", lambda net: net.weights(3, 3, 1)
    ),
    "it takes step 1: a chain": lambda: last_node(
        "Gather", lambda net: net.tensor(np.array(1)), axis=0
    ),
    "it takes index 0 of axis 2": lambda: last_node(
        "Gather", lambda net: net.tensor(np.array(0)), axis=2
    ),
    "several places of axis 0": lambda: last_node("Gather", lambda net: net.integers(0, 1), axis=0),
    "it drops axis 0": lambda: last_node("Squeeze", lambda net: net.integers(0)),
    r"it makes \[7, -1\] of": lambda: last_node("Reshape", lambda net: net.integers(7, -1)),
    "it orders .* as .0, 0, 1.": lambda: last_node("Transpose", perm=[0, 0, 1]),
    "it rounds numbers to int32": lambda: last_node("Cast", to=INT32),
    "it cuts axis 0": lambda: last_node(
        "Slice", *(lambda net, n=n: net.integers(n) for n in (1, 5, 0))
    ),
    "its output has the axes .time, 1, batch, features.": lambda: last_node(
        "Unsqueeze", lambda net: net.integers(1)
    ),
    "not the two directions of one LSTM": lambda: last_node(
        "Concat", lambda net: net.nodes[1].output[0], axis=2
    ),
    "it normalises several axes": lambda: last_node(
        "LayerNormalization", lambda net: net.weights(2, 3), axis=1
    ),
    "it drops numbers in training mode": lambda: last_node(
        "Dropout",
        lambda net: net.tensor(np.float32(0.5)),
        lambda net: net.tensor(np.array(True)),
    ),
    "it joins two branches": lambda: last_node("Mul", lambda net: net.nodes[1].output[0]),
}


@pytest.mark.parametrize("expected", NODES)
def test_nodes_that_do_not_fit(tmp_path, expected):
    refused(
        tmp_path, NODES[expected](), f"not a chain of layers: .*{expected}.*layer= can be 'LSTM_0'"
    )


def both_directions(kind):
    """Return a network that puts both directions of an LSTM together as a chain cannot."""
    net = Network()
    y, _ = net.lstm(net.input("x", FLOAT, 4, 2, 6), 6, 3, directions=2)
    if kind == "backward first":
        pair = [net.node("Gather", y, net.tensor(np.array(k)), axis=1) for k in (1, 0)]
        return net.model(net.node("Concat", *pair, axis=2))
    if kind == "one feature of each":
        value = net.node("Transpose", y, perm=[0, 2, 3, 1])
        return net.model(net.node("Reshape", value, net.integers(0, 0, -1)))
    value = net.node("Reshape", net.node("Transpose", y, perm=[0, 2, 1, 3]), net.integers(0, 0, -1))
    if kind == "times the input":
        return net.model(net.node("Mul", value, "x"))
    return net.model(net.node("Reshape", value, net.integers(3, -1)))


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("backward first", "not the two directions of one LSTM, forward first"),
        ("one feature of each", "needs the features in the last axis"),
        ("times the input", "it joins two branches"),
        ("other sizes", r"it makes \[3, -1\] of \[time, batch, direction × features\]"),
    ],
)
def test_directions_that_do_not_fit(tmp_path, kind, expected):
    refused(tmp_path, both_directions(kind), expected)


# Hostile.


def test_sizes_without_data(tmp_path):
    net, y = one_lstm()
    model = net.model(y)
    model.graph.initializer[0].dims[:] = [2**31, 2**31, 2**31]
    refused(tmp_path, model, "its data has 96 bytes")


def test_weights_in_other_files(tmp_path):
    net, y = one_lstm()
    model, secret = net.model(y), tmp_path / "secret"
    secret.write_bytes(bytes(96))
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(secret))
    refused(tmp_path, model, "lies in another file, which is not read: write all into one")


@pytest.mark.parametrize("kind", ["Concat", "Expand", "ConstantOfShape", "Gather", "Mul"])
def test_constants_that_grow(tmp_path, kind):
    """Each file is small, and what it asks for is not."""
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    value = net.tensor(np.ones((1, 12, 2), np.float32))
    huge = net.integers(2**20, 2**10, 2**10)
    match kind:
        case "Concat":
            for _ in range(40):
                value = net.node("Concat", value, value, axis=1)
        case "Expand":
            value = net.node("Expand", net.tensor(np.ones(1, np.float32)), huge)
        case "ConstantOfShape":
            one = numpy_helper.from_array(np.ones(1, np.float32))
            value = net.node("ConstantOfShape", huge, value=one)
        case "Gather":
            for _ in range(8):
                value = net.node("Gather", value, net.integers(*[0] * 100), axis=1)
                value = net.node("Unsqueeze", value, net.integers(1))
        case "Mul":
            sides = [net.tensor(np.ones(s, np.float32)) for s in ((2**14, 1), (1, 2**14))]
            value = net.node("Mul", *sides)
    y, _ = net.node("LSTM", x, value, net.weights(1, 12, 3), outputs=2, hidden_size=3)
    model = net.model(y)
    for layer in (None, net.nodes[-1].name):
        tracemalloc.start()
        expected = "more than a file of this|shape|as it runs"
        refused(tmp_path, model, expected, layer=layer)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 2**26 + 40 * model.ByteSize()


def test_values_written_by_later_nodes(tmp_path):
    net = Network()
    net.input("x", FLOAT, "t", "b", 2)
    net.node("Relu", "second/0", name="first")
    value = net.node("Relu", "first/0", name="second")
    refused(tmp_path, net.model(value), "Relu 'first' reads 'second/0', which nothing before it")


def test_names_written_twice(tmp_path):
    net, y = one_lstm()
    net.node("Relu", y, name="LSTM_0")
    refused(tmp_path, net.model(y), "Relu 'LSTM_0' writes 'LSTM_0/0', which is there")


def test_names_that_are_no_text(tmp_path):
    net, y = one_lstm()
    data = net.model(y).SerializeToString().replace(b"LSTM_0/0", b"LSTM\xff_0/"[:8])
    refused(tmp_path, data, "damaged")


def test_branches_in_branches(tmp_path):
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "inner", [], [])
    for level in range(10):
        node = helper.make_node("If", ["c"], [f"y{level}"], then_branch=graph)
        value = helper.make_tensor_value_info(f"y{level}", FLOAT, None)
        graph = helper.make_graph([node], "level", [], [value])
    net = Network()
    net.input("x", FLOAT, "t", "b", 2)
    net.input("c", TensorProto.BOOL)
    net.nodes.append(node)
    refused(tmp_path, net.model(node.output[0]), "If 'y9': the input 'c' is read")


def within(field, data):
    """Return a message as a field of another one, as Protobuf writes it."""
    size, length = len(data), b""
    while size > 127:
        length += bytes([size & 127 | 128])
        size >>= 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + data


def test_branches_in_thousands_of_branches(tmp_path):
    data = b""
    for _ in range(3000):
        for field in (6, 5, 1):  # of an attribute the graph, of a node the attribute, the node
            data = within(field, data)
    model = onnx.ModelProto(ir_version=8)
    model.opset_import.add(version=17)
    whole = model.SerializeToString() + within(7, data)
    refused(tmp_path, whole, "damaged, or no ONNX file")


def test_networks_without_an_lstm_node(tmp_path):
    """As Keras writes them with PyTorch as its backend: each step by itself."""
    net = Network()
    step = net.node("Slice", net.input("x", FLOAT, "b", 5, 2), *map(net.integers, (0, 1, 1)))
    value = net.node("Sigmoid", net.node("MatMul", step, net.weights(2, 12)))
    value = net.node("Mul", value, net.node("Tanh", value))
    refused(tmp_path, net.model(value), "no LSTM node: some exporters unroll an LSTM into")


@pytest.mark.parametrize("kind", ["Loop", "Scan"])
def test_loops(tmp_path, kind):
    inner, y = one_lstm()
    body = helper.make_graph(
        inner.nodes, "body", [], [helper.make_tensor_value_info(y, FLOAT, None)], inner.tensors
    )
    net = Network()
    x = net.input("x", FLOAT, "t", "b", 2)
    value = net.node(kind, x, body=body)
    refused(
        tmp_path, net.model(value), f"{kind} '{kind}_0': {kind} is not a layer of a chain.*'LSTM_0'"
    )
    (tmp_path / "network.onnx").write_bytes(net.model(value).SerializeToString())
    assert read(tmp_path / "network.onnx", layer="LSTM_0").model.features == 2


@pytest.mark.parametrize("which", ["no input", "no output", "four axes", "no weights"])
def test_networks_that_read_no_sequence(tmp_path, which):
    net = Network()
    shape = ["b", "t", 2] + [2] * (which == "four axes")
    x = "x" if which == "no input" else net.input("x", FLOAT, *shape)
    if which == "no input":
        net.tensor(np.ones((3, 2, 2), np.float32), "x")
    value = net.node("Relu", x)
    model = net.model(*[] if which == "no output" else [value])
    expected = {
        "four axes": "'x' has 4 axes, expected .batch, time. of tokens",
        "no weights": "holds no layer with weights",
    }
    refused(tmp_path, model, expected.get(which, "the network has no input, or no output"))


@pytest.mark.parametrize("layers", [1, 2])
def test_lengths_that_some_lstms_do_not_read(tmp_path, layers):
    net = Network()
    x, lengths = net.input("x", FLOAT, "t", "b", 2), net.input("lengths", INT32, "b")
    value = net.node("Squeeze", net.lstm(x, 2, 3, lengths)[0], net.integers(1))
    if layers == 2:
        value = net.node("Squeeze", net.lstm(value, 3, 3)[0], net.integers(1))
        refused(tmp_path, net.model(value), "some LSTMs read the lengths.*one mask for all")
    else:
        value = net.node("Add", value, net.node("Cast", lengths, to=FLOAT))
        refused(tmp_path, net.model(value), "Add .*it computes with|joins what flows with")
