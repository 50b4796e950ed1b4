"""Models as files of ONNX: onnxruntime computes from them what the models compute themselves."""

import json
import sys
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import assert_same, mask_kinds, random_mask, seeds

import lstmcore as lc
from lstmcore import chain, reference
from lstmcore.interop.onnx import nodes as onnx_nodes
from lstmcore.interop.onnx.activations import OnnxActivation
from lstmcore.interop.onnx.lstm import OnnxLSTM
from lstmcore.types import LSTMParams

many = settings(max_examples=8 * settings.default.max_examples)  # NumPy has nothing to compile
SIZES = [(1, 1), (3, 1), (1, 4), (2, 7)]  # batch and time, from one file

directions = st.sampled_from(["forward", "backward", "bidirectional"])
merges = st.sampled_from(["concat", "sum", "mean", "mul"])
inside_lstm = st.sampled_from(sorted(onnx_nodes.LSTM_ACTIVATIONS))
bounded = st.sampled_from(["tanh", "sigmoid", "softsign", "hard_sigmoid", "hard_sigmoid_keras2"])
elsewhere = st.sampled_from([None, *onnx_nodes.NODES, "linear", "relu6", "silu"])


def drawn(model, seed, dtype=np.float32, optional=0.3):
    """Return random params; `optional` is the rate of peepholes that a layer need not have."""
    rng = np.random.default_rng(seed)
    params = {}
    for name, layer in model.layers.items():
        shapes = layer.shapes() | (layer.optional_shapes() if rng.random() < optional else {})
        weights = {key: rng.normal(0, 0.5, shape) for key, shape in shapes.items()}
        params[name] = layer.kind(**{key: w.astype(dtype) for key, w in weights.items()})
    return params


def session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def lstm_nodes(path):
    return [node.name for node in onnx.load(path).graph.node if node.op_type == "LSTM"]


def layers_of(model):
    """Return the names of its LSTM layers, one for both directions."""
    names = [name for name, layer in model.layers.items() if layer.kind is LSTMParams]
    return list(dict.fromkeys(name.split("_forward")[0].split("_backward")[0] for name in names))


@st.composite
def lstm_parts(draw, last=False, residual=False):
    return chain.LSTM(
        draw(st.sampled_from([1, 3])),
        activation=draw(bounded),
        recurrent_activation=draw(bounded),
        output_activation=draw(st.sampled_from([None, "tanh", "softsign", "linear"])),
        direction=draw(directions) if not residual else "forward",
        merge=draw(merges),
        last=last,
        residual=residual,
        peephole=draw(st.booleans()),
        zero_output_for_mask=draw(st.booleans()),
    )


@st.composite
def chains(draw, first=(), activations=elsewhere):
    """Draw a chain of all kinds of parts; `first` comes before them and masks steps."""
    in_time = st.one_of(
        lstm_parts(),
        st.builds(chain.Dense, st.just(3), activations),
        st.builds(chain.Activation, activations.filter(bool)),
        st.builds(chain.LeakyReLU, st.sampled_from([0.01, 0.3])),
        st.builds(chain.LayerNorm, st.sampled_from([1e-3, 1e-6])),
        st.just(chain.Dropout(0.5)),
        st.builds(chain.Reverse, st.booleans()),
    )
    parts = [*first, draw(lstm_parts()), *draw(st.lists(in_time, max_size=3))]
    if draw(st.booleans()):
        parts += [chain.Dense(3), replace(draw(lstm_parts(residual=True)), units=3)]
    if draw(st.booleans()):
        parts += [
            draw(lstm_parts(last=True)),
            draw(st.sampled_from([chain.Dense(2, "softmax"), chain.RepeatVector(4)])),
        ]
        if isinstance(parts[-1], chain.RepeatVector):
            parts.append(draw(lstm_parts()))
    embedded = bool(first) and isinstance(first[0], chain.Embedding)
    return lc.Chain(parts, None if embedded else 2)


def assert_same_output(path, model, params, inputs, tolerance=1e-5):
    """Compare onnxruntime on a file with a model, whose inputs are given by name."""
    expected, _ = model.apply(params, **inputs, ops=reference)
    expected = expected if isinstance(expected, tuple) else (expected,)
    outputs = session(path).run(None, inputs)
    assert len(outputs) == len(expected)
    for output, each in zip(outputs, expected, strict=True):
        assert (output.shape, output.dtype) == (each.shape, np.float32)
        np.testing.assert_allclose(output, each, rtol=tolerance, atol=tolerance)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("with spaces, é") / "a model.onnx"


@many
@given(chains(), seeds)
def test_a_chain_in_onnxruntime(path, model, seed):
    params = drawn(model, seed)
    lc.interop.write(path, model, params)
    assert lstm_nodes(path) == layers_of(model)
    for batch, steps in SIZES:
        x = np.random.default_rng(seed).normal(size=(batch, steps, 2)).astype(np.float32)
        assert_same_output(path, model, params, {"x": x})


@many
@given(chains([chain.Embedding(5, 3, padding=2)]), mask_kinds, seeds)
def test_a_chain_skips_padding_wherever_it_is(path, model, kind, seed):
    params = drawn(model, seed)
    lc.interop.write(path, model, params)
    rng = np.random.default_rng(seed)
    for batch, steps in SIZES:
        tokens = rng.choice([0, 1, 3, 4], (batch, steps))
        if (mask := random_mask(rng, kind, batch, steps)) is not None:
            tokens[~mask] = 2
        assert_same_output(path, model, params, {"x": tokens})


@many
@given(
    st.sampled_from([0.0, -1.5]).flatmap(lambda value: chains([chain.Masking(value)])),
    mask_kinds,
    seeds,
)
def test_a_chain_skips_masked_steps_wherever_they_are(path, model, kind, seed):
    params = drawn(model, seed)
    lc.interop.write(path, model, params)
    rng = np.random.default_rng(seed)
    for batch, steps in SIZES:
        x = rng.normal(size=(batch, steps, 2)).astype(np.float32)
        if (mask := random_mask(rng, kind, batch, steps)) is not None:
            x[~mask] = model.parts[0].value
        assert_same_output(path, model, params, {"x": x})


@many
@given(chains(activations=st.sampled_from([None, "relu", "softmax", "hard_sigmoid"])), seeds)
def test_there_and_back(path, model, seed):
    params = drawn(model, seed, optional=0)
    lc.interop.write(path, model, params)
    read, read_params, notes = lc.interop.read(path)
    assert notes == ()
    assert_same(read_params, params)
    x = np.random.default_rng(seed).normal(size=(2, 4, 2)).astype(np.float32)
    expected, _ = model.apply(params, x, ops=reference)
    np.testing.assert_allclose(read.apply(read_params, x, ops=reference)[0], expected, atol=1e-6)


@many
@given(chains([chain.Embedding(5, 3)], st.just("tanh")), seeds)
def test_a_chain_of_tokens(path, model, seed):
    params = drawn(model, seed, optional=0)
    lc.interop.write(path, model, params)
    for batch, steps in SIZES:
        tokens = np.random.default_rng(seed).integers(0, 5, (batch, steps))
        assert_same_output(path, model, params, {"x": tokens})
    assert_same(lc.interop.read(path).params, params)


def test_a_masked_step_has_the_value_in_every_feature_and_becomes_zeros(path):
    model = lc.Chain([chain.Masking(-1.5), chain.Dense(3)], 2)
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    x = np.array([[[-1.5, -1.5], [-1.5, 1.0], [2.0, -1.5], [0.0, 0.0]]], np.float32)
    assert_same_output(path, model, params, {"x": x})


@pytest.mark.parametrize("reverse_mask", [True, False])
@pytest.mark.parametrize("direction", ["forward", "backward", "bidirectional"])
def test_a_mask_is_reversed_with_its_steps_or_not(path, reverse_mask, direction):
    parts = [chain.Masking(0.0), chain.Dense(3), chain.Reverse(reverse_mask)]
    model = lc.Chain([*parts, chain.LSTM(3, direction=direction)], 2)
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    x = np.random.default_rng(0).normal(size=(2, 5, 2)).astype(np.float32)
    x[0, 3:] = x[1, :1] = x[1, 2] = 0
    assert_same_output(path, model, params, {"x": x})


@many
@given(inside_lstm, inside_lstm, st.one_of(st.none(), inside_lstm), directions, seeds)
def test_activations_of_an_lstm(path, activation, recurrent, output, direction, seed):
    part = chain.LSTM(3, activation, recurrent, output, direction=direction)
    model = lc.Chain([part], features=2)
    params = drawn(model, seed)
    lc.interop.write(path, model, params)
    x = np.random.default_rng(seed).normal(size=(2, 3, 2)).astype(np.float32)
    assert_same_output(path, model, params, {"x": x})


@many
@given(
    st.sampled_from(["forward", "reverse", "bidirectional"]),
    st.sampled_from([None, 0.5]),
    st.booleans(),
    st.booleans(),
    seeds,
)
def test_a_node_of_onnx(path, direction, clip, coupled, peephole, seed):
    activations = [("HardSigmoid", (0.3, 0.4)), ("Tanh", ()), ("LeakyRelu", (0.1,))]
    activations += [("Sigmoid", ()), ("ScaledTanh", (1.7, 0.6)), ("Affine", (0.5, 0.1))]
    count = 6 if direction == "bidirectional" else 3
    model = OnnxLSTM(2, 3, direction, tuple(activations[:count]), clip, coupled, peephole)
    params = drawn(model, seed)
    lc.interop.write(path, model, params)
    assert lstm_nodes(path) == ["lstm_0"]
    x = np.random.default_rng(seed).normal(size=(2, 4, 2)).astype(np.float32)
    assert_same_output(path, model, params, {"x": x})


def test_activations_of_onnx_in_a_chain(path):
    part = chain.LSTM(3, OnnxActivation("ScaledTanh", (1.7, 0.6)), direction="bidirectional")
    model = lc.Chain([part], 2)
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    x = np.random.default_rng(0).normal(size=(2, 4, 2)).astype(np.float32)
    assert_same_output(path, model, params, {"x": x})


MODELS = [
    lc.Autoencoder(2, (4, 3)),
    lc.Autoencoder(2, 3, steps=5, activation="relu", recurrent_activation="hard_sigmoid"),
    lc.CompositeAutoencoder(2, (4, 3), steps=3),
    lc.StackedLSTM(2, (4, 4, 3), outputs=2),
    lc.StackedLSTM(4, (4, 4, 3, 3), outputs=1, residual=True),
]


@pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)
def test_a_model_in_onnxruntime(path, model):
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    assert lstm_nodes(path) == layers_of(model)
    for batch, steps in SIZES:
        x = np.random.default_rng(steps).normal(size=(batch, steps, model.features))
        assert_same_output(path, model, params, {"x": x.astype(np.float32)})


@pytest.mark.parametrize(
    "model",
    [lc.DenseAutoencoder(6, (4, 2)), lc.DenseAutoencoder(6, (4, 2), "selu", tied=True)],
    ids=str,
)
def test_a_dense_autoencoder_in_onnxruntime(path, model):
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    for batch in (1, 3):
        x = np.random.default_rng(batch).normal(size=(batch, 6)).astype(np.float32)
        assert_same_output(path, model, params, {"x": x})


FORECASTERS = [
    lc.Forecaster(3, (4, 3), horizon=2),
    lc.Forecaster(3, 4, horizon=5, targets=1, future_covariates=1, quantiles=(0.1, 0.5, 0.9)),
    lc.Forecaster(3, 4, horizon=2, targets=2, linear_rows=3, lstm_rows=2, calendar=2),
    lc.Forecaster(
        3, 4, horizon=2, future_covariates=2, linear_rows=1, calendar=1, static=2, series=4,
        embedding=3, quantiles=(0.2, 0.8),
    ),
    lc.Forecaster(1, 4, horizon=1, lstm_rows=20, series=1, embedding=1, dropout=0.5),
]  # fmt: skip


@pytest.mark.parametrize("model", FORECASTERS, ids=range(len(FORECASTERS)))
def test_a_forecaster_in_onnxruntime(path, model):
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    assert lstm_nodes(path) == layers_of(model)
    rng = np.random.default_rng(0)
    for batch, steps in ((1, 3), (4, 8)):
        shapes = {"x": (batch, steps, model.features)}
        if model.future_covariates:
            shapes["future"] = batch, model.horizon, model.future_covariates
        if model.calendar:
            shapes["calendar"] = batch, model.calendar
        if model.static:
            shapes["static"] = batch, model.static
        inputs = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
        if model.series:
            inputs["series"] = rng.integers(-1, model.series, batch)  # -1: a series not trained on
            inputs["series"][0] = -1
        assert_same_output(path, model, params, inputs)


MASKED = [
    lc.Chain([chain.Embedding(7, 3, padding=0), chain.LSTM(4, last=True), chain.Dense(2, "relu6")]),
    lc.Chain([chain.Masking(0.5), chain.LSTM(4, direction="bidirectional", merge="sum")], 2),
    lc.Chain([chain.LSTM(3, jnp.tanh, direction="backward"), chain.LayerNorm()], 2),
    lc.DenseAutoencoder(6, (4, 2), tied=True),
    OnnxLSTM(2, 3, "bidirectional", 2 * (*2 * (("Tanh", ()),), ("Elu", (0.5,))), 2.0, True, True),
]


@pytest.mark.parametrize("model", [*MODELS, *FORECASTERS, *MASKED], ids=lambda m: type(m).__name__)
def test_a_model_is_read_back(path, model):
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    again, weights, notes = lc.interop.read(path)
    assert (type(again), again.layers, notes) == (type(model), model.layers, ())
    lc.save(path.with_suffix(".safetensors"), model, params)
    assert again == lc.load(path.with_suffix(".safetensors"))[0]
    assert_same(weights, params)


def test_an_edited_file_is_not_what_was_written(path):
    """Another tool keeps the metadata: what counts is the graph."""
    model = lc.Chain([chain.LSTM(3), chain.Dense(2)], 2)
    lc.interop.write(path, model, drawn(model, 0))
    proto = onnx.load(path)
    end = proto.graph.node[-1]
    proto.graph.node.insert(
        len(proto.graph.node) - 1, onnx.helper.make_node("Tanh", end.input, ["t"])
    )
    end.input[0] = "t"
    onnx.save(proto, path)
    assert lc.interop.read(path).model == lc.Chain([chain.LSTM(3), chain.Dense(2, "tanh")], 2)


DESCRIPTIONS = {
    "no JSON": lambda given: "{",
    "a list": lambda given: "[1]",
    "no hash": lambda given: json.dumps({**given, "graph": None}),
    "another class": lambda given: json.dumps({**given, "model": "os"}),
    "another model": lambda given: json.dumps(
        {
            **given,
            "model": "StackedLSTM",
            "hyperparameters": {"features": 2, "units": 3, "outputs": 2},
        }
    ),
    "other sizes": lambda given: json.dumps(
        {**given, "model": "OnnxLSTM", "hyperparameters": {"features": 2, "units": 4}}
    ),
    "no number": lambda given: json.dumps(
        {**given, "model": "OnnxLSTM", "hyperparameters": {"features": "a", "units": []}}
    ),
}


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_a_description_that_does_not_fit(path, kind):
    """The graph is read as one of another tool is."""
    model = lc.Chain([chain.LSTM(3), chain.Dense(2)], 2)
    lc.interop.write(path, model, drawn(model, 0))
    proto = onnx.load(path)
    (entry,) = proto.metadata_props
    entry.value = DESCRIPTIONS[kind](json.loads(entry.value))
    onnx.save(proto, path)
    again, weights, _ = lc.interop.read(path)
    assert again == model
    assert_same(weights, drawn(model, 0))


def test_an_activation_without_a_name_is_not_described(path):
    model = lc.Chain([chain.LSTM(3, OnnxActivation("ScaledTanh", (1.7, 0.6)))], 2)
    lc.interop.write(path, model, drawn(model, 0))
    assert not onnx.load(path).metadata_props


def test_through_jax(path):
    model = lc.Chain([chain.LSTM(4, direction="bidirectional"), chain.LSTM(3, last=True)], 2)
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    x = np.random.default_rng(0).normal(size=(2, 5, 2)).astype(np.float32)
    expected, _ = model.apply(params, jnp.asarray(x))
    np.testing.assert_allclose(session(path).run(None, {"x": x})[0], expected, atol=1e-5)


def test_functions_of_jax_have_names(path):
    model = lc.Chain([chain.LSTM(3, jnp.tanh), chain.Dense(2, jax.nn.relu)], 2)
    named = lc.Chain([chain.LSTM(3), chain.Dense(2, "relu")], 2)
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    assert_same_output(path, named, params, {"x": np.ones((2, 3, 2), np.float32)})


def test_weights_of_jax(path):
    model = lc.StackedLSTM(2, 3, 1)
    params = model.init(jax.random.key(0))
    lc.interop.write(path, model, params)
    assert_same_output(path, model, params, {"x": np.ones((2, 3, 2), np.float32)})


def test_a_peephole_in_one_direction_alone(path):
    model = lc.Chain([chain.LSTM(3, direction="bidirectional")], 2)
    params = drawn(model, 0)
    peephole = np.random.default_rng(1).normal(size=(3, 3)).astype(np.float32)
    params["lstm_0_forward"] = params["lstm_0_forward"]._replace(peephole=None)
    params["lstm_0_backward"] = params["lstm_0_backward"]._replace(peephole=peephole)
    lc.interop.write(path, model, params)
    x = np.random.default_rng(2).normal(size=(2, 5, 2)).astype(np.float32)
    assert_same_output(path, model, params, {"x": x})


def test_layers_may_be_named_as_anything(path):
    parts = [chain.LSTM(3, name="x"), chain.Dense(3, name="output"), chain.LSTM(3, name="integers")]
    model = lc.Chain([*parts, chain.Dense(2, "relu6", name="output/Add".replace("/", "."))], 2)
    params = drawn(model, 0)
    lc.interop.write(path, model, params)
    assert lstm_nodes(path) == ["x", "integers"]
    assert_same_output(path, model, params, {"x": np.ones((2, 3, 2), np.float32)})


def test_what_the_file_says(path):
    model = lc.Autoencoder(2, (4, 3))
    lc.interop.write(path, model, drawn(model, 0))
    proto = onnx.load(path)
    assert (proto.producer_name, proto.producer_version) == ("lstmcore", lc.__version__)
    assert [(i.domain, i.version) for i in proto.opset_import] == [("", 18)]
    (x,), (output,) = session(path).get_inputs(), session(path).get_outputs()
    assert (x.name, x.type, x.shape) == ("x", "tensor(float)", ["batch", "time", 2])
    assert (output.name, output.type, output.shape) == (
        "output", "tensor(float)", ["batch", "time", 2]
    )  # fmt: skip


def test_outputs_of_a_composite_autoencoder_have_names(path):
    model = lc.CompositeAutoencoder(2, 3, steps=4)
    lc.interop.write(path, model, drawn(model, 0))
    shapes = {output.name: output.shape for output in session(path).get_outputs()}
    assert shapes == {"reconstruction": ["batch", "time", 2], "prediction": ["batch", 4, 2]}


def own(z):
    return z


class OwnModel(lc.StackedLSTM):
    pass


REFUSED = {
    "lstm_1 has a projection, which the LSTM of ONNX does not have": lc.Chain(
        [chain.LSTM(3), chain.LSTM(3, projection=2)], 2
    ),
    "lstm_0 has the activation 'selu', which the LSTM of ONNX does not have: it has tanh": lc.Chain(
        [chain.LSTM(3, "selu")], 2
    ),
    "lstm_0 has the activation 'relu6'": lc.StackedLSTM(2, 3, 1, output_activation="relu6"),
    "lstm_0 has an activation of its own": lc.StackedLSTM(2, 3, 1, own),
    "lstm_0 has an activation of its own, OnnxActivation": lc.Chain(
        [chain.LSTM(3, OnnxActivation("Tanh", clip=1.0))], 2
    ),
    "dense_0 has an activation of its own": lc.Chain([chain.Dense(3, own)], 2),
    "decoder of an Autoencoder with conditional=True reads its own output": lc.Autoencoder(
        2, 3, conditional=True
    ),
    "Forecaster with mode='recursive' reads its own forecasts": lc.Forecaster(
        2, 3, 2, mode="recursive"
    ),
    "OwnModel cannot be written: only Chain, Autoencoder, ": OwnModel(2, 3, 1),
}


@pytest.mark.parametrize("message", REFUSED)
def test_what_onnx_cannot_express(path, message):
    model = REFUSED[message]
    with pytest.raises(ValueError, match=message) as caught:
        lc.interop.write(path, model, drawn(model, 0))
    assert str(path) in str(caught.value)


def test_seq2seq_is_refused(path):
    model = lc.Seq2Seq(5, 6, 3)
    with pytest.raises(ValueError, match="its decoder reads the tokens that it chose itself"):
        lc.interop.write(path, model, {})


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_float32_alone(path, dtype):
    model = lc.StackedLSTM(2, 3, 1)
    message = rf"params\['lstm_0'\]\.kernel is {dtype}, expected float32"
    with pytest.raises(ValueError, match=message):
        lc.interop.write(path, model, drawn(model, 0, dtype))


def test_params_of_another_model(path):
    with pytest.raises(ValueError, match="were they made by another model"):
        lc.interop.write(path, lc.StackedLSTM(2, 3, 1), drawn(lc.StackedLSTM(2, 4, 1), 0))


def test_weights_beyond_the_limit_of_a_file(path):
    model = lc.Chain([chain.Embedding(2**28, 2), chain.LSTM(1)])
    params = drawn(lc.Chain([chain.Embedding(1, 2), chain.LSTM(1)]), 0)
    table = np.broadcast_to(np.float32(0), (2**28, 2))  # takes no memory
    params["embedding_0"] = params["embedding_0"]._replace(table=table)
    with pytest.raises(
        ValueError, match=r"the weights have 2,147,483,\d+ bytes and more, but a file of ONNX"
    ):
        lc.interop.write(path, model, params)


def test_a_file_is_replaced_only_by_a_complete_one(tmp_path):
    path = tmp_path / "model.onnx"
    model = lc.StackedLSTM(2, 3, 1)
    lc.interop.write(path, model, drawn(model, 0))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="selu"):
        lc.interop.write(path, refused := lc.StackedLSTM(2, 3, 1, "selu"), drawn(refused, 0))
    assert path.read_bytes() == before
    lc.interop.write(path, model, drawn(model, 1))
    assert path.read_bytes() != before
    assert list(tmp_path.iterdir()) == [path]


def test_onnx_is_named_where_it_is_missing(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    model = lc.StackedLSTM(2, 3, 1)
    with pytest.raises(
        ImportError, match=r'needs the package onnx: pip install "lstmcore\[onnx\]"'
    ):
        lc.interop.write(path, model, drawn(model, 0))
