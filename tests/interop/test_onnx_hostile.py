"""Damaged and hostile ONNX files: each is refused with its name, soon, and in little memory."""

import contextlib
import time
import tracemalloc

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from strategies import seeds

from lstmcore.interop import read

make = helper.make_node


def tensor(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


def weights(**changed):
    """Return the tensors of a node "lstm", and one more that squeezes its output."""
    rng = np.random.default_rng(0)
    arrays = {
        "W": rng.normal(size=(1, 12, 2)).astype("f4"),
        "R": rng.normal(size=(1, 12, 3)).astype("f4"),
        "B": rng.normal(size=(1, 24)).astype("f4"),
        "one": np.array([1]),
    }
    every = {name: tensor(name, array) for name, array in arrays.items()} | changed
    return [each for each in every.values() if each is not None]


def lstm(x="x", **attributes):
    given = {"hidden_size": 3} | attributes
    return [
        make("LSTM", [x, "W", "R", "B"], ["steps"], "lstm", **given),
        make("Squeeze", ["steps", "one"], ["y"]),
    ]


def network(nodes, tensors=None, opset=17):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["t", "b", 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", [x], [y], weights() if tensors is None else tensors)
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def written(dims, data=b"", kind=TensorProto.FLOAT):
    """Return the tensor W as its message says, whether or not its data fits."""
    message = TensorProto(name="W", data_type=kind, raw_data=data)
    message.dims.extend(dims)
    return message


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile") / "network.onnx"


def refused(file, data, layer, message):
    file.write_bytes(data)
    with pytest.raises(ValueError, match=message) as raised:
        read(file, layer)
    assert str(raised.value).startswith(str(file))
    assert len(str(raised.value)) < len(str(file)) + 1000


def read_or_refused(file, layer):
    """Return whether a file is refused; if so, its name must come first."""
    try:
        read(file, layer)
    except ValueError as error:
        message = str(error)
    else:
        return False
    assert message.startswith(str(file))
    return True


def test_the_network_is_whole(file):
    file.write_bytes(network(lstm()))
    assert list(read(file).params) == list(read(file, "lstm").params) == ["lstm_0"]


@pytest.mark.parametrize("layer", [None, "lstm"])
def test_a_file_cut_anywhere(file, layer):
    data = network(lstm())
    for length in range(0, len(data), 7):
        file.write_bytes(data[:length])
        assert read_or_refused(file, layer) or length > len(data) - 40  # after all of the graph


@given(seeds, st.sampled_from([None, "lstm"]), st.integers(1, 20))
def test_bytes_at_random(file, seed, layer, count):
    rng = np.random.default_rng(seed)
    base = network(lstm())
    for _ in range(20):
        data = bytearray(base)
        for place in rng.integers(0, len(data), count):
            match rng.integers(4):
                case 0:
                    del data[place : place + rng.integers(1, 9)]
                case 1:
                    data[place:place] = rng.bytes(rng.integers(1, 9))
                case _ if place < len(data):
                    data[place] = rng.integers(256)
        file.write_bytes(data)
        read_or_refused(file, layer)


BROKEN = {
    "huge": (written([1, 2**40, 2**40]), "the weight 'W' has shape .* its data has 0 numbers"),
    "empty": (written([0, 12, 2]), r"W has shape \[0, 12, 2\], expected \[1, 12, 2\]"),
    "empty and huge": (written([0, 2**62, 2**62]), "the weight 'W': .*too big"),
    "many axes": (written([1] * 200, bytes(4)), "the weight 'W': .*dimension"),
    "negative": (written([-1, -12, 2], bytes(96)), r"has shape \[-1, -12, 2\] of float32"),
    "too short": (written([1, 12, 2], bytes(95)), "but its data has 95 bytes"),
    "no kind": (written([1, 12, 2], bytes(96), kind=99), "holds no numbers of a known kind"),
    "texts": (written([1], kind=TensorProto.STRING), "holds no numbers of a known kind"),
    "integers": (tensor("W", np.ones((1, 12, 2), np.int32)), "weights W are not .* but int32"),
    "two axes": (tensor("W", np.ones((12, 2), "f4")), "must have three axes"),
    "units": (tensor("W", np.ones((1, 8, 2), "f4")), r"\[1, 8, 2\], expected \[1, 12, 2\]"),
    "missing": (None, "reads 'W', which nothing before it writes|not constant numbers"),
}


@pytest.mark.parametrize("layer", [None, "lstm"])
@pytest.mark.parametrize("broken", BROKEN)
def test_broken_weights(file, broken, layer):
    message, expected = BROKEN[broken]
    refused(file, network(lstm(), weights(W=message)), layer, expected)


@pytest.mark.parametrize("location", ["../../etc/passwd", "/etc/passwd", "weights.bin"])
def test_weights_in_another_file(file, location):
    (file.parent / "weights.bin").write_bytes(bytes(96))
    outside = TensorProto(name="W", data_type=1, data_location=TensorProto.EXTERNAL)
    outside.dims.extend([1, 12, 2])
    outside.external_data.add(key="location", value=location)
    for layer in (None, "lstm"):
        refused(
            file, network(lstm(), weights(W=outside)), layer, "lies in another file, which is not"
        )


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"hidden_size": 4}, "hidden_size is 4, but R has 3 units"),
        ({"hidden_size": "three"}, "hidden_size is three"),
        ({"direction": 5}, "direction must be one of"),
        ({"direction": "bidirectional"}, r"needs weights of 2 direction\(s\)"),
        ({"activations": [1, 2, 3]}, "activation 1 is not known"),
        ({"activations": ["Gelu", "Tanh", "Tanh"]}, "activation 'Gelu' is not known"),
        ({"activations": ["Affine", "Tanh", "Tanh"]}, "Affine needs activation_alpha"),
        ({"clip": "a"}, "clip must be"),
        ({"layout": 7}, "layout must be one of 0, 1"),
        ({"output_sequence": 1}, "the attribute 'output_sequence' is not known"),
    ],
)
@pytest.mark.parametrize("layer", [None, "lstm"])
def test_attributes(file, attributes, message, layer):
    refused(file, network(lstm(**attributes)), layer, f"LSTM 'lstm'.*{message}")


def branched(depth):
    """Return the bytes of an LSTM within branches within branches, deeper than onnx can write."""

    def field(number, data):
        size, length = b"", len(data)
        while length > 127:
            size, length = size + bytes([length & 127 | 128]), length >> 7
        return bytes([number << 3 | 2]) + size + bytes([length]) + data

    graph = helper.make_graph(lstm(), "network", [], [], weights()).SerializeToString()
    for _ in range(depth):
        branch = field(1, b"then_branch") + field(6, graph) + bytes([160, 1, 5])
        graph = field(1, field(4, b"If") + field(5, branch))
    return bytes([8, 8]) + field(7, graph) + field(8, bytes([16, 17]))


def test_branches_within_branches(file):
    file.write_bytes(branched(20))
    assert list(read(file, "lstm").params) == ["lstm_0"]
    for layer in (None, "lstm"):
        refused(file, branched(3000), layer, "is damaged")


def follow(kind, count, *rest, **attributes):
    """Return one node after the other."""
    return [
        make(kind, [f"v{k}" if k else "x", *rest], [f"v{k + 1}"], **attributes)
        for k in range(count)
    ] + [make("Identity", [f"v{count}"], ["y"])]


def doubled(count):
    """Return a constant that is joined to itself again and again."""
    return [
        make("Concat", [f"W{k}" if k else "W0", f"W{k}" if k else "W0"], [f"W{k + 1}"], axis=0)
        for k in range(count)
    ]


W0 = tensor("W0", np.ones((1, 12, 2), "f4"))
BIG = tensor("big", np.array([2**20, 2**20, 2]))
COMPUTED = "computes constants of [0-9,]+ bytes, more than a file"
GREEDY = {
    "layers": (follow("Relu", 5000), [], "at most 16 and 1,000"),
    "nodes": (follow("Relu", 20_000), [], "has 20,001 nodes, expected at most 20,000"),
    "axes": (follow("Unsqueeze", 3000, "one"), [], "at most 16 and 1,000"),
    "doubled": ([*doubled(60), make("Identity", ["W60"], ["W"]), *lstm()], [W0], COMPUTED),
    "filled": ([make("ConstantOfShape", ["big"], ["W"]), *lstm()], [BIG], COMPUTED),
    "expanded": ([make("Expand", ["W0", "big"], ["W"]), *lstm()], [W0, BIG], COMPUTED),
}
GREEDY["expanded"][1][0] = tensor("W0", np.ones(1, "f4"))


@pytest.mark.parametrize("name", GREEDY)
def test_what_would_take_memory_or_time(file, name):
    nodes, tensors, message = GREEDY[name]
    data = network(nodes, [*weights(W=None), *tensors])
    started = time.monotonic()
    tracemalloc.start()
    try:
        refused(file, data, None, message)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 20


def test_an_lstm_alone_does_not_compute_them(file):
    nodes = [make("ConstantOfShape", ["big"], ["W"]), *lstm()]
    refused(file, network(nodes, [*weights(W=None), BIG]), "lstm", COMPUTED)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([make("Add", ["x", "z"], ["a"]), make("Relu", ["a"], ["z"])], "Add 'a' reads 'z', which"),
        ([make("Relu", ["a"], ["a"])], "Relu 'a' reads 'a', which nothing before it writes"),
        (lstm("nothing"), "LSTM 'lstm' reads 'nothing', which nothing before it writes"),
        ([make("LSTM", [], ["y"], "bare")], "LSTM 'bare': its input is not"),
        ([make("Relu", ["x"], ["y"]), make("Tanh", ["x"], ["y"])], "Tanh 'y' writes 'y', which is"),
        ([make("Relu", ["x"], ["W"])], "Relu 'W' writes 'W', which is there"),
        (
            [make("Foo", ["x"], ["y"], "foo", domain="my.own")],
            "my.own.Foo 'foo': my.own.Foo is not a layer",
        ),
        ([make("Transpose", ["x"], ["y"], perm=[0, 0, 5])], r"Transpose 'y': it orders"),
        ([make("Gather", ["x", "one"], ["y"], axis=9)], "Gather 'y': it names axis 9"),
        ([make("Add", ["x"], ["y"])], "Add 'y': it adds numbers to what is not a dense layer"),
        ([make("Relu", ["x"], ["z"])], "not a chain of layers: nothing writes its output 'y'"),
    ],
)
def test_broken_graphs(file, nodes, message):
    refused(file, network(nodes), None, message)


@pytest.mark.parametrize(
    ("opset", "message"),
    [
        (1, "uses version 1 of ONNX's operators, expected 7 to .*version_converter"),
        (6, "uses version 6 of ONNX's operators"),
        (999, "uses version 999 of ONNX's operators, .* pip install -U onnx"),
    ],
)
def test_versions(file, opset, message):
    for layer in (None, "lstm"):
        refused(file, network(lstm(), opset=opset), layer, message)


def test_no_network(file):
    refused(file, b"", None, "is damaged, or no ONNX file: it holds no nodes")
    refused(file, b"print('hello')", None, "is damaged, or no ONNX file")
    refused(file, onnx.ModelProto().SerializeToString(), "lstm", "it holds no nodes")


def test_names_that_are_no_text(file):
    for name in (b"steps", b"lstm", b"one", b"LSTM"):
        data = network(lstm()).replace(name, b"\xff" * len(name))
        refused(file, data, "lstm", "is damaged: .* is not text")


def test_weights_that_are_no_numbers(file):
    """Infinite weights are weights; sums of them are no warning."""
    biases = np.concatenate([np.full((1, 12), np.inf), np.full((1, 12), -np.inf)], 1)
    file.write_bytes(network(lstm(), weights(B=tensor("B", biases.astype("f4")))))
    for layer in (None, "lstm"):
        assert np.isnan(read(file, layer).params["lstm_0"].bias).all()


def test_a_division_by_zero(file):
    nodes = [make("Div", ["one", "zero"], ["n"]), make("Reshape", ["x", "n"], ["z"]), *lstm()]
    file.write_bytes(network(nodes, [*weights(), tensor("zero", [0])]))
    with contextlib.suppress(ValueError):
        read(file)
    assert list(read(file, "lstm").params) == ["lstm_0"]
