"""Models as files of ONNX: onnxruntime computes from them what the models compute themselves."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import mask_kinds, random_mask, seeds

import lstmcore as lc
from lstmcore import chain, reference
from lstmcore.interop import onnx_graph
from lstmcore.types import LSTMParams

many = settings(max_examples=8 * settings.default.max_examples)  # NumPy has nothing to compile
SIZES = [(1, 1), (3, 1), (1, 4), (2, 7)]  # batch and time, from one file

directions = st.sampled_from(["forward", "backward", "bidirectional"])
merges = st.sampled_from(["concat", "sum", "mean", "mul"])
inside_lstm = st.sampled_from(sorted(onnx_graph.LSTM_ACTIVATIONS))
bounded = st.sampled_from(["tanh", "sigmoid", "softsign", "hard_sigmoid", "hard_sigmoid_keras2"])
elsewhere = st.sampled_from([None, *onnx_graph.NODES, "linear", "relu6", "silu"])


def drawn(model, seed, dtype=np.float32):
    """Return random params; an LSTM that may have a peephole has one now and then."""
    rng = np.random.default_rng(seed)
    params = {}
    for name, layer in model.layers.items():
        shapes = layer.shapes() | (layer.optional_shapes() if rng.random() < 0.3 else {})
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
def chains(draw, first=()):
    """Draw a chain of all kinds of parts; `first` comes before them and masks steps."""
    in_time = st.one_of(
        lstm_parts(),
        st.builds(chain.Dense, st.just(3), elsewhere),
        st.builds(chain.Activation, elsewhere.filter(bool)),
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
        assert output.shape == each.shape and output.dtype == np.float32
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
