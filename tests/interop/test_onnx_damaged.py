"""Damaged and hostile ONNX files: a ValueError that names file and node, and little memory."""

import numpy as np
import onnx
from fuzzing import mutated_bytes
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_networks import INT64, Network, in_branches, lstm_layer
from strategies import seeds

from lstmcore.interop import read

HALF = 2**20


def sound(seed=0):
    """Return the bytes of networks of several kinds."""
    net = Network(seed)
    x = net.node("Gather", net.weights(5, 3), net.input("x", INT64, "b", "t"))
    value, size = lstm_layer(net, x, 3, 4, True, True, "reshape")
    value = net.node("Gather", value, net.tensor(np.array(-1)), axis=1)
    value = net.node("Softmax", net.node("Gemm", value, net.weights(size, 2), net.weights(2)))
    first = net.model(value)
    second, value = in_branches(seed)
    return [first.SerializeToString(), second.model(value).SerializeToString()]


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
@given(seed=seeds, layer=st.sampled_from([None, *KNOWN]), which=st.integers(0, 1))
def test_random_damage(tmp_path_factory, seed, layer, which):
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    rng = np.random.default_rng(seed)
    data = mutated_bytes(rng, FILES[which], FILES[1 - which])
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
@given(seed=seeds, layer=st.sampled_from([None, *KNOWN]), which=st.integers(0, 1))
def test_other_fields(tmp_path_factory, seed, layer, which):
    path = tmp_path_factory.getbasetemp() / "damaged.onnx"
    rng = np.random.default_rng(seed)
    model = onnx.ModelProto.FromString(FILES[which])
    for _ in range(rng.integers(1, 4)):
        mutated_message(rng, model.graph)
    path.write_bytes(model.SerializeToString())
    check_refused_or_read(path, layer)
