"""Files of Keras against Keras itself: values, gradients, masks, and there and back.

The models are random, see `keras_models`. The files of Keras 2 are made of those that Keras 3 still
writes in that layout.
"""

import json
import subprocess
import sys
import zipfile

import h5py
import jax
import keras
import numpy as np
import pytest
from keras_models import L, cudnn_layout, drawn_input, drawn_model, output_of
from keras_parity import assert_parity, keras_promotion
from strategies import random_like

import lstmcore as lc
from lstmcore import reference

C = lc.chain
VALUES, QUICK_VALUES = 200, 5
GRADIENTS, QUICK_GRADIENTS = 30, 2

pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras
    pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file"),
    # Keras says so of a Sequential within a model, and hands on the mask all the same.
    pytest.mark.filterwarnings("ignore:Layer 'sequential:UserWarning"),
]


def numbered(count, quick):
    marks = lambda n: [] if n < quick else [pytest.mark.thorough]  # noqa: E731
    return pytest.mark.parametrize(
        "number", [pytest.param(n, marks=marks(n)) for n in range(count)]
    )


def saved(model, path):
    with keras_promotion():
        model.save(path)
    return path


def close(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@numbered(VALUES, QUICK_VALUES)
def test_a_file_computes_what_keras_computes(number, tmp_path):
    model = drawn_model(number)
    x = drawn_input(model, number)
    expected = output_of(model, x)
    for name in ("a.keras", "a.h5"):
        chain, params, _ = lc.interop.read(saved(model, tmp_path / name))
        assert list(params) == list(chain.layers)
        close(chain.apply(params, x, ops=reference)[0], expected)

    again = tmp_path / "b.keras"  # ours -> theirs -> ours
    if any(
        part.direction == "bidirectional" and not part.last and not part.zero_output_for_mask
        for part in chain.parts
        if isinstance(part, C.LSTM)
    ):
        return  # it is unrolled in Keras and does not hand on zeros, which writing knows nothing of
    lc.interop.write(again, chain, params)
    loaded = lc.interop.read(again)
    assert loaded.model == chain
    jax.tree.map(np.testing.assert_array_equal, loaded.params, params)
    with keras_promotion():
        close(output_of(keras.models.load_model(again), x), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@numbered(GRADIENTS, QUICK_GRADIENTS)
def test_gradients(number, dtype, tmp_path, x64):
    model = drawn_model(number, dtype)
    x = drawn_input(model, number)
    chain, params, _ = lc.interop.read(saved(model, tmp_path / "a.keras"))
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {np.dtype(dtype)}
    variables = [np.asarray(variable.value) for variable in model.trainable_variables]
    other = [variable.value for variable in model.non_trainable_variables]
    tokens = np.issubdtype(x.dtype, np.integer)  # which have no gradient

    def ours(variables, inputs):
        return chain.apply(with_variables(params, variables), x if tokens else inputs)[0]

    def theirs(variables, inputs):
        return model.stateless_call(variables, other, x if tokens else inputs)[0]

    assert_parity(ours, theirs, variables, np.zeros(1, dtype) if tokens else x)


def with_variables(params, variables):
    """Return params with the variables of Keras, which are in the same order; some lack a bias."""
    rest, result = list(variables), {}
    for name, layer in params.items():
        fields = {}
        for field, leaf in layer._asdict().items():
            if rest and leaf is not None and rest[0].shape == leaf.shape:
                fields[field] = rest.pop(0)
        result[name] = layer._replace(**fields)
    assert not rest
    return result


def test_layers_keep_their_names_and_the_groups_are_numbered_by_class(tmp_path):
    """The second LSTM is called "a", the first "b": their weights lie under lstm_1 and lstm."""
    with keras_promotion():
        layers = [L.LSTM(3, return_sequences=True, name="b"), L.LSTM(3, name="a")]
        model = keras.Sequential([keras.Input((5, 3)), *layers])
    chain, params, notes = lc.interop.read(saved(model, tmp_path / "m.keras"))
    assert chain == lc.Chain([C.LSTM(3, name="b"), C.LSTM(3, last=True, name="a")], 3)
    for layer in layers:
        np.testing.assert_array_equal(params[layer.name].kernel, layer.cell.kernel.value)
    assert notes == ()


def test_one_layer_of_a_model_that_is_no_chain(tmp_path):
    with keras_promotion():
        x = keras.Input((5, 2), name="in")
        inner = L.Bidirectional(L.LSTM(3, "relu", return_sequences=True), name="both")
        y = L.Concatenate(name="joined")([x, inner(x)])
        model = keras.Model(x, L.LSTM(4, name="top")(y))
    for name in ("m.keras", "m.h5"):
        path = saved(model, tmp_path / name)
        message = f"{name}: layer|layer 'joined' .Concatenate. of .*{name} reads 2 layers.*layer="
        with pytest.raises(ValueError, match=message):
            lc.interop.read(path)
        chain, params, _ = lc.interop.read(path, layer="both")
        part = C.LSTM(3, "relu", direction="bidirectional", zero_output_for_mask=True, name="both")
        assert chain == lc.Chain([part], 2)
        value = inner.backward_layer.cell.recurrent_kernel.value
        np.testing.assert_array_equal(params["both_backward"].recurrent_kernel, value)
        with pytest.raises(
            ValueError, match=r"'joined' is not an LSTM; the LSTM layers are both, top"
        ):
            lc.interop.read(path, layer="joined")
        with pytest.raises(ValueError, match=r"'x' is not there; the LSTM layers are both, top"):
            lc.interop.read(path, layer="x")


def functional(name):
    """Return a functional model that is not a chain, or calls a layer as a chain cannot."""
    x, ids = keras.Input((5, 2), name="x"), keras.Input((5,), name="ids")
    y, shared = L.LSTM(2, name="a")(x), L.LSTM(2, return_sequences=True, name="shared")
    embedding = L.Embedding(5, 3, mask_zero=True, name="e")
    make = {
        "two inputs": lambda: ([x, ids], y),
        "two outputs": lambda: (x, [y, L.LSTM(3, name="b")(x)]),
        "shared": lambda: (x, shared(shared(x))),
        "state": lambda: (x, L.LSTM(2, return_state=True, name="s")(x)[0]),
        "initial state": lambda: (x, L.LSTM(2, name="b")(x, initial_state=[y, y])),
        "operation": lambda: (x, keras.ops.tanh(y)),
        "mask": lambda: (ids, L.LSTM(2)(embedding(ids), mask=keras.ops.not_equal(ids, 2))),
        "other mask": lambda: (ids, L.LSTM(2)(L.Embedding(5, 3)(ids), mask=ids > 2)),
        "vectors": lambda: ((v := keras.Input((3,))), L.Dense(2, name="d")(v)),
        "class": lambda: (x, L.GRU(2, name="g")(x)),
    }
    return keras.Model(*make[name]())


@pytest.mark.parametrize("extension", ["keras", "h5"])
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two inputs", r"has 2 inputs \(x, ids\), expected one; read one LSTM: layer='a'$"),
        (
            "two outputs",
            r"has 2 outputs \(a, b\), expected one; read one LSTM: layer='a' or layer='b'$",
        ),
        ("shared", r"layer 'shared' \(LSTM\) of .* is used 2 times, expected once"),
        ("state", r"layer 's' \(LSTM\) of .*: return_state=True is not supported"),
        ("initial state", r"layer 'b' \(LSTM\) of .* is called with initial_state, which is not"),
        (
            "operation",
            r"layer 'tanh.*' \(Tanh\) of .* is not supported; .*; read one LSTM: layer='a'$",
        ),
        ("mask", r"'not_equal.*' .* computes a mask that is not Masking's or an Embedding's"),
        (
            "other mask",
            r"is not a chain: layer '.*' \(Greater\) is not on the path|given a mask that",
        ),
        ("vectors", r"layer 'd' \(Dense\) of .* reads an input of 2 axes, .* a chain reads a seq"),
        (
            "class",
            r"layer 'g' \(GRU\) of .* is not supported; these are: InputLayer, .*; there is no",
        ),
    ],
)
def test_models_that_are_no_chain(name, extension, message, tmp_path):
    with keras_promotion():
        path = saved(functional(name), tmp_path / f"m.{extension}")
    with pytest.raises(ValueError, match=message):
        lc.interop.read(path)


def test_notes(tmp_path):
    with keras_promotion():
        layers = [
            L.LSTM(3, stateful=True, return_sequences=True, name="a"),
            L.GaussianNoise(0.1, name="b"),
            L.LSTM(3, dtype="mixed_bfloat16", return_sequences=True, name="c"),
            L.Bidirectional(L.LSTM(3, stateful=True), dtype="mixed_bfloat16", name="d"),
        ]
        model = keras.Sequential([keras.Input(batch_shape=(1, 5, 2)), *layers])
    chain, _, notes = lc.interop.read(saved(model, tmp_path / "m.keras"))
    both = C.LSTM(3, last=True, direction="bidirectional", name="d")
    assert chain == lc.Chain([C.LSTM(3, name="a"), C.LSTM(3, name="c"), both], 2)
    stateful = "stateful in Keras; here each call starts from zeros, and lc.stream goes on"
    assert [note.partition(".keras: ")[2] for note in notes] == [
        stateful,
        "left out, since it has an effect only in training",
        "computed in lower precision in Keras, mixed_bfloat16; here in that of the weights",
        stateful,
    ]


def test_the_layout_of_keras_2_13(tmp_path):
    """Its weights lie under another name, in models within models, too."""
    with keras_promotion():
        inner = keras.Sequential([L.LSTM(3, return_sequences=True), L.LSTM(3)])
        model = keras.Sequential([keras.Input((5, 2)), inner, L.Dense(1)])
        model.save_weights(tmp_path / "m.weights.h5")
        (tmp_path / "m.json").write_text(model.to_json())
    expected = lc.interop.read(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        file.move("layers/sequential/layers", "layers/sequential/_layer_checkpoint_dependencies")
        file.move("layers", "_layer_checkpoint_dependencies")
    loaded = lc.interop.read(tmp_path / "m.weights.h5")
    assert loaded.model == expected.model
    jax.tree.map(np.testing.assert_array_equal, loaded.params, expected.params)


def test_h5py_is_named_where_it_is_missing(tmp_path, monkeypatch):
    model = lc.Chain([C.LSTM(3)], 2)
    params = model.init(jax.random.key(0))
    lc.interop.write(tmp_path / "m.keras", model, params)
    monkeypatch.setitem(sys.modules, "h5py", None)
    for run in (
        lambda: lc.interop.read(tmp_path / "m.keras"),
        lambda: lc.interop.write(tmp_path / "m.keras", model, params),
    ):
        with pytest.raises(
            ImportError, match=r'm.keras.* needs the package h5py: pip install "lstmcore\[keras\]"'
        ):
            run()


def test_neither_jax_nor_keras_is_needed(tmp_path):
    model = lc.Chain([C.LSTM(3)], 2)
    lc.interop.write(tmp_path / "m.keras", model, model.init(jax.random.key(0)))
    code = f"""if True:
        import sys
        sys.modules |= dict.fromkeys(["jax", "keras", "tensorflow"])
        import numpy as np, lstmcore as lc
        from lstmcore import reference
        model, params, _ = lc.interop.read({str(tmp_path / "m.keras")!r})
        print(model.apply(params, np.ones((1, 4, 2), "float32"), ops=reference)[0].shape)
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(1, 4, 3)"


# Weights alone


def test_weights_alone_need_an_architecture(tmp_path):
    model = drawn_model(3)
    x = drawn_input(model, 3)
    with keras_promotion():
        model.save_weights(tmp_path / "m.weights.h5")
        text = model.to_json()
    with pytest.raises(
        ValueError, match=r"m.weights.h5 holds only weights.* to .*/m.json(, or|; there)"
    ):
        lc.interop.read(tmp_path / "m.weights.h5")
    chain, params, _ = lc.interop.read_keras(
        tmp_path / "m.weights.h5", architecture=json.loads(text)
    )
    close(chain.apply(params, x, ops=reference)[0], output_of(model, x))
    (tmp_path / "m.json").write_text(text)
    assert lc.interop.read(tmp_path / "m.weights.h5").model == chain
    (tmp_path / "other.json").write_text(text)
    other = lc.interop.read_keras(tmp_path / "m.weights.h5", architecture=tmp_path / "other.json")
    assert other.model == chain


def test_one_layer_of_weights_alone(tmp_path):
    with keras_promotion():
        layers = [L.LSTM(3, return_sequences=True, name="b"), L.Bidirectional(L.LSTM(2), name="a")]
        model = keras.Sequential([keras.Input((5, 3)), *layers, L.Dense(1)])
        model.save_weights(tmp_path / "m.weights.h5")
    chain, params, notes = lc.interop.read(tmp_path / "m.weights.h5", layer="a")
    assert chain.parts[0].direction == "bidirectional"
    np.testing.assert_array_equal(
        params["a_backward"].kernel, layers[1].backward_layer.cell.kernel.value
    )
    assert "the activations are Keras's defaults, tanh and sigmoid" in notes[0]
    with pytest.raises(
        ValueError, match=r"no LSTM called 'c'; .*m.json, or read one LSTM: layer='b' or layer='a'$"
    ):
        lc.interop.read(tmp_path / "m.weights.h5", layer="c")
    weights = lc.interop.keras_weights(tmp_path / "m.weights.h5")
    assert {name: len(arrays) for name, arrays in weights.items()} == {
        "lstm/cell": 3,
        "dense": 2,
        "bidirectional/forward_layer/cell": 3,
        "bidirectional/backward_layer/cell": 3,
    }


# Keras 2


def keras_2_file(path, layers, weights, version="2.2.4", config_is_a_list=False):
    """Write a Sequential model as Keras 2 did: bytes in attributes, names with ":0"."""
    config = layers if config_is_a_list else {"name": "sequential_1", "layers": layers}
    with h5py.File(path, "w") as file:
        model = {"class_name": "Sequential", "config": config}
        file.attrs["model_config"] = json.dumps(model).encode()
        file.attrs["keras_version"] = version.encode()
        outer = file.create_group("model_weights")
        outer.attrs["layer_names"] = [name.encode() for name in weights]
        for name, arrays in weights.items():
            group = outer.create_group(name)
            group.attrs["weight_names"] = [f"{name}/{key}:0".encode() for key in arrays]
            for key, array in arrays.items():
                group[f"{name}/{key}:0"] = array
    return path


def lstm_weights(params):
    return dict(zip(("kernel", "recurrent_kernel", "bias"), params, strict=True))


def layer(kind, name, **config):
    return {"class_name": kind, "config": {"name": name, **config}}


PARAMS = random_like(
    np.random.default_rng(5),
    {
        "lstm_1": lc.LSTMParams(*map(np.zeros, [(2, 12), (3, 12), 12])),
        "dense_1": lc.DenseParams(np.zeros((3, 1)), np.zeros(1)),
    },
)


def test_a_file_of_keras_2_with_cudnn_and_hard_sigmoid(tmp_path, rng):
    lstm, dense = PARAMS["lstm_1"], PARAMS["dense_1"]
    x = rng.normal(size=(2, 4, 2))
    head = layer("TimeDistributed", "dense_1", layer=layer("Dense", "inner", units=1))
    plain = layer(
        "LSTM",
        "lstm_1",
        units=3,
        activation="tanh",
        recurrent_activation="hard_sigmoid",
        return_sequences=True,
        batch_input_shape=[None, 4, 2],
        implementation=1,
    )
    of_head = {"kernel": dense.kernel, "bias": dense.bias}
    weights = {"lstm_1": lstm_weights(lstm[:3]), "dense_1": of_head}
    path = keras_2_file(tmp_path / "a.h5", [plain, head], weights, config_is_a_list=True)
    chain, params, _ = lc.interop.read(path)
    assert chain.parts[0].recurrent_activation == "hard_sigmoid_keras2"
    expected = reference.lstm(lstm, x, recurrent_activation="hard_sigmoid_keras2")[1].h
    close(chain.apply(params, x, ops=reference)[0], expected @ dense.kernel + dense.bias)

    cudnn = layer("CuDNNLSTM", "lstm_1", units=3, return_sequences=True)
    weights["lstm_1"] = lstm_weights(cudnn_layout(lstm))
    chain, params, _ = lc.interop.read(keras_2_file(tmp_path / "b.h5", [cudnn, head], weights))
    expected = reference.lstm(lstm, x)[1].h
    close(chain.apply(params, x, ops=reference)[0], expected @ dense.kernel + dense.bias)


@pytest.mark.parametrize(
    ("version", "cudnn", "gates"),
    [
        ("2.1.5", True, "sigmoid"),
        ("2.1.5", False, "hard_sigmoid_keras2"),
        ("2.2.4-tf", False, "sigmoid"),
        ("2.11.0", False, "sigmoid"),
    ],
)
def test_weights_of_keras_2_alone(version, cudnn, gates, tmp_path):
    weights = cudnn_layout(PARAMS["lstm_1"]) if cudnn else PARAMS["lstm_1"][:3]
    with h5py.File(tmp_path / "w.hdf5", "w") as file:
        file.attrs["keras_version"] = version
        file.attrs["layer_names"] = np.array([b"in", b"lstm_1"])
        file.create_group("in").attrs["weight_names"] = np.array([])
        names = [f"lstm_1/{key}:0" for key in lstm_weights(weights)]
        # A long list of names lies in parts.
        group = file.create_group("lstm_1")
        group.attrs["weight_names0"], group.attrs["weight_names1"] = names[:2], names[2:]
        for name, array in zip(names, weights, strict=True):
            group[name] = array
    for name in (None, "lstm_1"):
        chain, params, notes = lc.interop.read(tmp_path / "w.hdf5", name)
        assert chain == lc.Chain([C.LSTM(3, recurrent_activation=gates, name="lstm_1")], 2)
        jax.tree.map(np.testing.assert_array_equal, params["lstm_1"], PARAMS["lstm_1"])
        assert bool(notes) == (not cudnn)


def test_a_functional_model_of_keras_2(tmp_path):
    """Its nodes are lists, [[[name, call, output, arguments]]]."""
    layers = [
        layer("InputLayer", "in", batch_input_shape=[None, 4, 2]) | {"inbound_nodes": []},
        layer("LSTM", "lstm_1", units=3, return_sequences=False)
        | {"inbound_nodes": [[["in", 0, 0, {}]]]},
        layer("Dense", "dense_1", units=1) | {"inbound_nodes": [[["lstm_1", 0, 0, {}]]]},
    ]
    for entry in layers:
        entry["name"] = entry["config"]["name"]
    path = keras_2_file(
        tmp_path / "a.h5",
        [],
        {"lstm_1": lstm_weights(PARAMS["lstm_1"][:3]), "dense_1": PARAMS["dense_1"]._asdict()},
    )
    config = {
        "layers": layers,
        "input_layers": [["in", 0, 0]],
        "output_layers": [["dense_1", 0, 0]],
    }
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": config})
    chain, params, _ = lc.interop.read(path)
    expected = [C.LSTM(3, last=True, name="lstm_1"), C.Dense(1, name="dense_1")]
    assert chain == lc.Chain(expected, 2)
    jax.tree.map(np.testing.assert_array_equal, params, PARAMS)


# Writing


WRITTEN = [
    lc.Autoencoder(2, (4, 3), "relu", steps=4),
    lc.StackedLSTM(2, (4, 3), 1, recurrent_activation="hard_sigmoid"),
    lc.Chain([C.Embedding(8, 4, padding=0), C.LSTM(3, direction="backward", last=True)]),
    lc.Chain(
        [C.Masking(), C.LSTM(3, direction="backward"), C.Reverse(False), C.Dropout(0.1, True)], 2
    ),
]


@pytest.mark.parametrize("model", WRITTEN, ids=lambda model: type(model).__name__)
def test_keras_loads_what_is_written(model, tmp_path, rng):
    params = random_like(rng, model.init(jax.random.key(0)))
    lc.interop.write(tmp_path / "m.keras", model, params)
    tokens = getattr(model, "features", None) is None
    x = rng.integers(0, 8, size=(3, 4)) if tokens else rng.normal(size=(3, 4, 2)).astype("float32")
    if not tokens:
        x[1, 2:] = 0
    with keras_promotion():
        loaded = keras.models.load_model(tmp_path / "m.keras", safe_mode=True)
        y = loaded.predict(x, verbose=0)
    close(y, model.apply(params, x)[0])
    first = (tmp_path / "m.keras").read_bytes()
    lc.interop.write(tmp_path / "m.keras", model, params)
    assert (tmp_path / "m.keras").read_bytes() == first


BACKWARD = "returns its steps in the order in which it took them"


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lc.Chain([C.LSTM(3, peephole=True)], 2), "lstm_0 cannot be written: .* a peephole"),
        (lc.Chain([C.LSTM(3, projection=2)], 2), "has not got a projection"),
        (lc.Chain([C.LSTM(2, residual=True)], 2), "has not got a residual connection"),
        (lc.Chain([C.LSTM(2, output_activation="relu")], 2), "an output_activation other than"),
        (lc.Chain([C.LSTM(2, recurrent_activation="hard_sigmoid_keras2")], 2), "Keras 3 has no"),
        (lc.Chain([C.LSTM(2, jax.nn.tanh)], 2), "give its activation by name"),
        (lc.Chain([C.Embedding(4, 2, padding=1)]), "embedding_0: the padding is 1"),
        (lc.Chain([C.LSTM(2, direction="backward")], 2), BACKWARD),
        (lc.Chain([C.LSTM(2, direction="backward"), C.Dense(1)], 2), BACKWARD),
        (lc.Chain([C.LSTM(2, direction="backward"), C.Reverse()], 2), BACKWARD),
        (lc.Chain([C.LSTM(2), C.Reverse(False)], 2), "reverse_0 cannot be written: Keras has no"),
        (
            lc.Chain([C.Masking(), C.LSTM(2, direction="bidirectional")], 2),
            "returns zeros at masked steps. Give it zero_output_for_mask=True",
        ),
        (
            lc.Chain(
                [
                    C.Masking(),
                    C.LSTM(2, direction="bidirectional", last=True, zero_output_for_mask=True),
                ],
                2,
            ),
            "repeats the state at masked steps. Give it zero_output_for_mask=False",
        ),
        (lc.Autoencoder(2, 3), "decodes as many steps as its input has"),
        (lc.Autoencoder(2, 3, steps=2, conditional=True), "feeds its output back"),
        (lc.StackedLSTM(2, (3, 3), 1, residual=True), "lstm_1 cannot be written"),
        (lc.CompositeAutoencoder(2, 3, 2), "CompositeAutoencoder is not a chain of layers"),
    ],
)
def test_what_keras_cannot_express(model, message, tmp_path):
    params = model.init(jax.random.key(0))
    with pytest.raises(ValueError, match=rf"m\.keras: .*{message}"):
        lc.interop.write(tmp_path / "m.keras", model, params)
    assert not list(tmp_path.iterdir())


def test_params_of_a_wrong_kind_name_the_file(tmp_path):
    model = lc.Chain([C.LSTM(3)], 2)
    with pytest.raises(TypeError, match=r"m\.keras: params"):
        lc.interop.write(tmp_path / "m.keras", model, {"lstm_0": 3})


def test_weights_of_several_dtypes_cannot_be_written(tmp_path):
    model = lc.Chain([C.LSTM(3), C.LayerNorm()], 2)
    params = model.init(jax.random.key(0))
    params["layer_norm_0"] = lc.types.LayerNormParams(*np.ones((2, 3)))
    with pytest.raises(ValueError, match=r"m\.keras: the weights are of float32, float64: a "):
        lc.interop.write(tmp_path / "m.keras", model, params)


def test_the_archive_is_stored_as_keras_stores_it(tmp_path):
    model = WRITTEN[1]
    lc.interop.write(tmp_path / "m.keras", model, model.init(jax.random.key(0)))
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert archive.namelist() == ["metadata.json", "config.json", "model.weights.h5"]
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}
