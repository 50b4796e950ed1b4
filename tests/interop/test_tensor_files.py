"""Files of PyTorch's weights as chains, and models as such files."""

import json
from functools import partial

import jax
import ml_dtypes
import numpy as np
import pytest
import strategies
import torch_files
from hypothesis import given
from hypothesis import strategies as st

import lstmcore as lc
from lstmcore.interop import from_torch, read, to_torch, write
from lstmcore.io.tensors import read_tensors, write_tensors
from lstmcore.specs import direction_names


def random_weights(model, seed=0, dtype=np.float32):
    """Return weights for a model, drawn anew for each gate."""
    rng = np.random.default_rng(seed)
    return {
        name: layer.kind(
            **{f: rng.normal(0, 0.5, s).astype(dtype) for f, s in layer.shapes().items()}
        )
        for name, layer in model.layers.items()
    }


def stack(rng, prefix="lstm", features=3, units=4):
    """Return the state dict of an nn.LSTM in a larger module."""
    return to_torch({"lstm_0": strategies.random_params(rng, features, units)}, prefix)


def read_back(tmp_path, tensors, layer=None):
    write_tensors(tmp_path / "weights.safetensors", tensors, {"format": "pt"})
    return read(tmp_path / "weights.safetensors", layer)


def ones(*shape):
    return np.ones(shape, np.float32)


@given(
    seed=strategies.seeds,
    layers=st.integers(1, 3),
    direction=st.sampled_from(["forward", "bidirectional"]),
    projection=st.sampled_from([None, 2]),
    embedding=st.booleans(),
    dense=st.booleans(),
    dtype=st.sampled_from([np.float16, ml_dtypes.bfloat16, np.float32, np.float64]),
)
def test_a_written_chain_is_read_again(
    tmp_path_factory, seed, layers, direction, projection, embedding, dense, dtype
):
    parts = [lc.chain.Embedding(7, 3)] if embedding else []
    parts += [lc.chain.LSTM(4, direction=direction, projection=projection)] * layers
    parts += [lc.chain.Dense(5)] if dense else []
    model = lc.Chain(parts, None if embedding else 3)
    params = random_weights(model, seed, dtype)
    path = tmp_path_factory.mktemp("chain") / "chain.safetensors"
    write(path, model, params)
    again, weights, notes = read(path)
    assert again == model
    assert list(weights) == list(params)
    assert len(notes) == embedding + dense
    for name, layer in params.items():
        for field, array in layer._asdict().items():
            if array is not None:
                np.testing.assert_array_equal(getattr(weights[name], field), array, strict=True)


def test_names_and_metadata_for_pytorch(tmp_path):
    """What torch.nn calls its weights; Hugging Face's loaders look for the format."""
    parts = [lc.chain.Embedding(7, 3), lc.chain.LSTM(4), lc.chain.Dropout(0.5), lc.chain.LSTM(4)]
    model = lc.Chain([*parts, lc.chain.Dense(5)])
    params = random_weights(model)
    write(tmp_path / "model.safetensors", model, params)
    metadata, tensors = read_tensors(tmp_path / "model.safetensors")
    assert metadata == {"format": "pt"}
    lstm = [
        f"lstm.{kind}_{to}_l{k}"
        for k in (0, 1)
        for kind in ("weight", "bias")
        for to in ("ih", "hh")
    ]
    dense = ["dense_0.weight", "dense_0.bias"]
    assert sorted(tensors) == sorted(["embedding_0.weight", *lstm, *dense])
    assert (tensors["dense_0.weight"] == params["dense_0"].kernel.T).all()
    assert (tensors["embedding_0.weight"] == params["embedding_0"].table).all()


@pytest.mark.parametrize(
    ("model", "names"),
    [
        (lc.Autoencoder(2, (4, 3)), ["encoder_0", "encoder_1", "decoder_0", "decoder_1", "head"]),
        (
            lc.Chain([lc.chain.LSTM(4), lc.chain.LSTM(3, direction="bidirectional")], 2),
            ["lstm_0", "lstm_1"],
        ),
        (lc.Chain([lc.chain.LSTM(2), lc.chain.LSTM(2, residual=True)], 2), ["lstm_0", "lstm_1"]),
        (
            lc.Chain([lc.chain.LSTM(4), lc.chain.LayerNorm(), lc.chain.LSTM(4)], 4),
            ["lstm_0", "layer_norm_0", "lstm_1"],
        ),
    ],
)
def test_other_models_have_a_module_for_each_layer(tmp_path, model, names):
    params = random_weights(model)
    write(tmp_path / "model.safetensors", model, params)
    tensors = read_tensors(tmp_path / "model.safetensors")[1]
    assert {name.split(".")[0] for name in tensors} == set(names)
    lstms = {name: layer for name, layer in params.items() if isinstance(layer, lc.LSTMParams)}
    for name, layer in lstms.items():
        stem = name.removesuffix("_forward").removesuffix("_backward")
        found = from_torch({n: a for n, a in tensors.items() if n.startswith(f"{stem}.")}, stem)
        assert (found[f"lstm_0{name.removeprefix(stem)}"].kernel == layer.kernel).all()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            lc.Autoencoder(2, (3,), activation="relu"),
            "an LSTM with activation='relu': an nn.LSTM h",
        ),
        (
            lc.Chain([lc.chain.LSTM(3, recurrent_activation="hard_sigmoid")], 2),
            "an LSTM with recurrent_activation='hard_sigmoid': an nn.LSTM has 'sigmoid'",
        ),
        (
            lc.Chain([lc.chain.LSTM(3, output_activation="linear")], 2),
            "an LSTM with output_activation='linear'",
        ),
        (
            lc.Chain([lc.chain.LSTM(3, direction="backward")], 2),
            r"LSTM\(units=3, direction='backward'\): an nn\.LSTM runs forward, or in both d",
        ),
        (
            lc.Chain([lc.chain.LSTM(3, peephole=True)], 2),
            r"params\['lstm_0'\]\.peephole has no place in an nn\.LSTM",
        ),
        (
            lc.Seq2Seq(5, 5, embedding=2, units=3, attention="general"),
            "the layer 'attention': torch.nn has nothing like GeneralAttention",
        ),
    ],
)
def test_models_that_pytorch_cannot_hold(tmp_path, model, message):
    with pytest.raises(ValueError, match=message):
        write(tmp_path / "model.safetensors", model, random_weights(model))
    assert not (tmp_path / "model.safetensors").exists()


def test_functions_that_pytorch_has_are_written(tmp_path):
    model = lc.Chain([lc.chain.LSTM(3, activation=np.tanh, output_activation="tanh")], 2)
    write(tmp_path / "model.safetensors", model, random_weights(model))
    assert read(tmp_path / "model.safetensors").model == lc.Chain([lc.chain.LSTM(3)], 2)


def test_params_of_another_model_are_refused(tmp_path):
    model = lc.Chain([lc.chain.LSTM(3)], 2)
    with pytest.raises(ValueError, match="params has the layers lstm_0 but the model has"):
        write(tmp_path / "m.safetensors", lc.Autoencoder(2, (3,)), random_weights(model))
    with pytest.raises(ValueError, match=r"m\.pt cannot be written: its extension is \.pt"):
        write(tmp_path / "m.pt", model, random_weights(model))


def test_our_own_files(tmp_path):
    model = lc.Autoencoder(2, (3,))
    lc.save(tmp_path / "model.safetensors", model, random_weights(model))
    again, params, notes = read(tmp_path / "model.safetensors")
    assert (again, notes) == (model, ())
    assert (params["head"].kernel == random_weights(model)["head"].kernel).all()
    with pytest.raises(
        ValueError, match="is a model of lstmcore, which is read as a whole: leave o"
    ):
        read(tmp_path / "model.safetensors", "encoder_0")


def test_a_file_of_another_program(tmp_path, rng):
    """No digest, other metadata, and the arrays in the order of their names."""
    weights = stack(rng)
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name in sorted(weights):
        data = weights[name].tobytes()
        offsets = [len(body), len(body) + len(data)]
        header[name] = {"dtype": "F32", "shape": list(weights[name].shape), "data_offsets": offsets}
        body += data
    text = json.dumps(header).encode()
    (tmp_path / "w.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + body)
    params = read(tmp_path / "w.safetensors").params
    assert (params["lstm_0"].kernel == weights["lstm.weight_ih_l0"].T).all()


def test_what_the_notes_say(tmp_path, rng):
    embedding, linear = {"table.weight": ones(9, 3)}, {"fc.weight": ones(2, 4), "fc.bias": ones(2)}
    model, params, notes = read_back(tmp_path, stack(rng) | embedding | linear)
    layers = [lc.chain.Embedding(9, 3, name="table"), lc.chain.LSTM(4)]
    assert model == lc.Chain([*layers, lc.chain.Dense(2, name="fc")])
    assert list(params) == ["table", "lstm_0", "fc"]
    assert notes == (
        "table.weight was read as an embedding before the LSTM.",
        "fc.weight was read as a linear layer on every step of the LSTM; the file does not say "
        "where it is, which steps it reads, or what its activation is.",
    )


def test_layers_are_named_after_their_modules(tmp_path, rng):
    """And named back, whatever the depth of a module and the number of its layers."""
    one = {name: strategies.random_params(rng, 3, 4) for name in direction_names("lstm_0")}
    two = {name: strategies.random_params(rng, 8, 4) for name in direction_names("lstm_1")}
    embedding = {"table.weight": ones(9, 3)}
    linear = {"head.out.weight": ones(2, 8), "head.out.bias": ones(2)}
    tensors = to_torch(one | two, "encoder.rnn") | embedding | linear
    model, params, _ = read_back(tmp_path, tensors)
    lstms = [direction_names(f"encoder.rnn_{k}") for k in (0, 1)]
    assert list(params) == list(model.layers) == ["table", *lstms[0], *lstms[1], "head.out"]
    write(tmp_path / "again.safetensors", model, params)
    again = read_tensors(tmp_path / "again.safetensors")[1]
    assert again.keys() == tensors.keys()
    assert all((again[name] == tensors[name]).all() for name in tensors)


def test_weights_of_no_module(tmp_path, rng):
    model, params, notes = read_back(tmp_path, stack(rng, ""))
    assert (model, list(params)) == (lc.Chain([lc.chain.LSTM(4)], 3), ["lstm_0"])
    assert notes == (
        "The weights in the file belong to no module; `write` puts them into one, names such as "
        "lstm.weight_ih_l0.",
    )
    write(tmp_path / "again.safetensors", model, params)
    again = read_tensors(tmp_path / "again.safetensors")[1]
    assert sorted(again) == sorted(stack(rng))


def test_names_that_no_module_has(tmp_path, rng):
    """They would be printed as names of layers."""
    model, params, _ = read_back(tmp_path, stack(rng, "\x1b[2J") | {"a b.weight": ones(9, 3)})
    assert list(params) == list(model.layers) == ["embedding_0", "lstm_0"]


def test_two_modules_of_which_a_layer_has_the_name(tmp_path, rng):
    linear = {"rnn_0.weight": ones(2, 4), "rnn_0.bias": ones(2)}
    with pytest.raises(ValueError, match=r"s: two layers are named 'rnn_0'.*LSTM, layer='rnn'$"):
        read_back(tmp_path, stack(rng, "rnn") | linear)
    assert list(read_back(tmp_path, stack(rng, "rnn") | linear, "rnn").params) == ["rnn_0"]


def test_an_nn_lstm_is_named_after_its_layers(tmp_path):
    for layers, expected in [
        (["reader"], "reader"),
        (["a.b_0", "a.b_1"], "a.b"),
        (["lstm", "lstm_1"], "lstm"),
        (["a_1", "a_0"], "lstm"),
    ]:
        model = lc.Chain([lc.chain.LSTM(3, name=name) for name in layers], 3)
        write(tmp_path / "m.safetensors", model, random_weights(model))
        tensors = read_tensors(tmp_path / "m.safetensors")[1]
        assert {name.rpartition(".")[0] for name in tensors} == {expected}


def test_layers_whose_names_have_dots(tmp_path, rng):
    tensors = stack(rng, "encoder.rnn") | {"head.weight": ones(2, 4), "head.bias": ones(2)}
    model, params, _ = read_back(tmp_path, tensors)
    lc.save(tmp_path / "own.safetensors", model, params)
    again, loaded = lc.load(tmp_path / "own.safetensors")
    assert again == model
    x = rng.normal(size=(2, 5, 3)).astype(np.float32)
    closed = {"encoder.rnn_0": lambda gates, t: gates._replace(output=0 * gates.output)}
    y, traces = model.apply(loaded, x, edits=closed)
    assert not traces["encoder.rnn_0"].h.any()
    assert (y == 1).all()
    assert "encoder.rnn_0" in lc.summary(model)
    assert list(lc.study.run(model, loaded, x).traces) == ["encoder.rnn_0"]


@pytest.mark.parametrize(
    "others",
    [
        {"table.weight": ones(9, 4)},
        {"a.weight": ones(9, 3), "b.weight": ones(9, 3)},
        {"fc.weight": ones(2, 3), "fc.bias": ones(2)},
        {"fc.weight": ones(2, 4), "fc.bias": ones(3)},
        {"fc.weight": ones(2, 4), "fc.bias": ones(2).astype(np.float64)},
        {"a.weight": ones(2, 4), "a.bias": ones(2), "b.weight": ones(2, 4), "b.bias": ones(2)},
        {"norm.weight": ones(4), "norm.bias": ones(4)},
        {"conv.weight": ones(2, 4, 1), "conv.bias": ones(2)},
        {"table.weight": np.ones((9, 3), np.int64)},
        {"table.weight": ones(0, 3)},
        {"bias": ones(4)},
        {"scale": ones(4)},
        {"lstm.attention": ones(4)},
    ],
    ids=lambda others: ", ".join(others),
)
def test_what_is_in_doubt_is_left_out(tmp_path, rng, others):
    model, params, notes = read_back(tmp_path, stack(rng) | others)
    assert model == lc.Chain([lc.chain.LSTM(4)], 3)
    assert list(params) == ["lstm_0"]
    (note,) = notes
    assert note.startswith("Only the LSTM was read; the file also holds ")
    assert all(name in note for name in others)


def test_one_of_several_stacks(tmp_path, rng):
    tensors = stack(rng, "encoder.rnn") | stack(rng, "decoder", 4) | {"fc.weight": ones(2, 4)}
    with pytest.raises(
        ValueError, match="holds 2 stacks of recurrent layers, 'decoder' and 'encode"
    ):
        read_back(tmp_path, tensors)
    with pytest.raises(ValueError, match=r"how they are joined: name one, layer='decoder'$"):
        read_back(tmp_path, tensors)
    for layer in ("encoder.rnn", "encoder.rnn."):
        model, params, notes = read_back(tmp_path, tensors, layer)
        assert (model, notes) == (lc.Chain([lc.chain.LSTM(4, name="encoder.rnn_0")], 3), ())
        assert (params["encoder.rnn_0"].kernel == tensors["encoder.rnn.weight_ih_l0"].T).all()
    with pytest.raises(
        ValueError, match=r"safetensors: there is no LSTM under the prefix 'rnn': the"
    ):
        read_back(tmp_path, tensors, "rnn")


def test_names_cannot_command_a_terminal(tmp_path, rng):
    _, _, (note,) = read_back(tmp_path, stack(rng) | {"\x1b[2Jscale": ones(4)})
    assert note.endswith(r"also holds \x1b[2Jscale.")
    with pytest.raises(ValueError, match=r"^[^\x1b]* there is \\x1b\[2Jscale$"):
        read_back(tmp_path, {"\x1b[2Jscale": ones(4)})


def test_files_without_an_lstm(tmp_path):
    with pytest.raises(
        ValueError, match=r"no LSTM under the prefix '': .* but there is fc\.weight"
    ):
        read_back(tmp_path, {"fc.weight": ones(2, 2)})
    gru = {"weight_ih_l0": ones(12, 3), "weight_hh_l0": ones(12, 4)}
    with pytest.raises(
        ValueError, match=r"weights\.safetensors: weight_ih_l0 \(12, 3\) .* nn\.GRU"
    ):
        read_back(tmp_path, gru)
    (tmp_path / "cut.safetensors").write_bytes(b"\0" * 7)
    with pytest.raises(ValueError, match=r"cut\.safetensors is not a complete safetensors file"):
        read(tmp_path / "cut.safetensors")


def test_a_checkpoint_of_several_dicts(tmp_path, rng):
    first, second = stack(rng), stack(rng)
    storages, saved = {}, {"step": 7}
    for name, weights in (("model", first), ("average", second)):
        tensors, arrays = torch_files.state_dict(weights)
        shift = len(storages)
        saved[name] = {
            key: torch_files.tensor(
                torch_files.storage(str(shift + place), weights[key].size),
                0, weights[key].shape, tensors[key].arguments[3],
            )
            for place, key in enumerate(tensors)
        }  # fmt: skip
        storages |= {str(shift + int(key)): data for key, data in arrays.items()}
    torch_files.write(tmp_path / "last.pt", saved, storages)
    with pytest.raises(
        ValueError, match=r"'model\.lstm' and 'average.lstm', .* layer='model\.lstm'"
    ):
        read(tmp_path / "last.pt")
    params = read(tmp_path / "last.pt", "average.lstm").params
    assert (params["average.lstm_0"].kernel == second["lstm.weight_ih_l0"].T).all()


@pytest.mark.parametrize(
    "others",
    [
        {"fc.weight": (2, 4)},  # an embedding of 2 tokens, or a linear layer without a bias
        {"proj.weight": (4, 4), "proj.bias": (4,)},  # before the LSTM, or after it
    ],
    ids=["no bias", "square"],
)
def test_what_may_stand_on_either_side_is_left_out(tmp_path, rng, others):
    shapes = {"rnn.weight_ih_l0": (16, 4), "rnn.weight_hh_l0": (16, 4)} | others
    weights = {name: rng.normal(size=shape).astype("f4") for name, shape in shapes.items()}
    write_tensors(tmp_path / "x.safetensors", weights, {})
    model, params, notes = read(tmp_path / "x.safetensors")
    assert [type(part).__name__ for part in model.parts] == ["LSTM"]
    assert list(params) == ["rnn_0"]
    assert next(iter(others)) in notes[-1]


def test_directions_that_are_added_are_no_stack_of_pytorch(tmp_path):
    """Each layer is then a module of its own, whose directions your module adds."""
    layer = partial(lc.chain.LSTM, 3, direction="bidirectional", merge="sum")
    model = lc.Chain([layer(), layer(), lc.chain.Dense(1)], features=2)
    params = model.init(jax.random.key(0))
    write(tmp_path / "x.safetensors", model, params)
    for name in ("lstm_0", "lstm_1"):
        found = read(tmp_path / "x.safetensors", layer=name).params
        assert (found[f"{name}_0_backward"].kernel == params[f"{name}_backward"].kernel).all()
