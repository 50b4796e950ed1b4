"""The models: names, shapes, the bottleneck, masks, edits, and errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import weights

import lstmcore as lc
from lstmcore import reference

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 30, dtype=np.float32).reshape(3, 5, 2)

MODELS = [
    lc.Autoencoder(2, (4, 3)),
    lc.Autoencoder(2, 4, "relu", steps=7),
    lc.CompositeAutoencoder(2, (4, 3), steps=2),
    lc.StackedLSTM(2, (4, 3), outputs=1),
    lc.CompositeAutoencoder(2, 4, steps=2, conditional=True),
]
ids = [f"{type(model).__name__}-{model.units}" for model in MODELS]


@pytest.mark.parametrize("model", MODELS, ids=ids)
def test_one_name_per_layer_in_all_places(model):
    params = weights(model)
    names = [name for name, layer in params.items() if isinstance(layer, lc.LSTMParams)]

    def runs():  # traced alone: nothing is compiled
        assert list(model.apply(params, X)[1]) == names
        model.apply(params, X, edits={name: lambda gates, t: gates for name in names})

    jax.eval_shape(runs)


@pytest.mark.parametrize("model", MODELS, ids=ids)
def test_described_shapes_are_the_shapes(model):
    params = jax.eval_shape(model.init, KEY)
    outputs, traces = jax.eval_shape(model.apply, params, X)
    for name, layer in model.layers.items():
        arrays = params[name]._asdict().items()
        shapes = {field: leaf.shape for field, leaf in arrays if leaf is not None}
        assert (type(params[name]), shapes) == (layer.kind, layer.shapes())
    assert {name: trace.h.shape[-1] for name, trace in traces.items()} == {
        name: layer.units for name, layer in model.layers.items() if name in traces
    }
    heads = [layer.units for name, layer in model.layers.items() if name not in traces]
    assert [out.shape[-1] for out in jax.tree.leaves(outputs)] == heads


def test_the_decoder_sees_the_code_alone():
    model, other = lc.Autoencoder(2, (4, 3)), X[::-1].copy()
    params = weights(model)
    _, traces = model.apply(params, X)
    code = traces["encoder_1"].h[:, -1]
    _, trace = lc.lstm(params["decoder_0"], lc.repeat_vector(code, 5))
    np.testing.assert_allclose(trace.h, traces["decoder_0"].h, rtol=1e-6)
    x_hat, _ = model.apply(params, other)
    np.testing.assert_allclose(x_hat[::-1], model.apply(params, X)[0], atol=1e-6)


def test_composite_is_two_autoencoders_with_one_encoder():
    model = lc.CompositeAutoencoder(2, (4, 3), steps=2)
    params = weights(model)
    (reconstruction, prediction), _ = model.apply(params, X)
    for name, output, steps in (
        ("reconstruction", reconstruction, None),
        ("prediction", prediction, 2),
    ):
        single = {k: v for k, v in params.items() if k.startswith("encoder")}
        single |= {f"decoder_{i}": params[f"{name}_{i}"] for i in range(2)}
        single["head"] = params[f"{name}_head"]
        expected, _ = lc.Autoencoder(2, (4, 3), steps=steps).apply(single, X)
        np.testing.assert_allclose(output, expected, atol=1e-6)


def test_a_prediction_has_no_mask_even_if_it_is_as_long_as_the_input():
    model, mask = lc.CompositeAutoencoder(2, (4, 3), steps=5), np.zeros(X.shape[:2], bool)
    _, traces = model.apply(model.init(KEY), X, mask=mask)
    assert not traces["reconstruction_0"].gates.forget.any()
    assert traces["prediction_0"].gates.forget.all()


@given(st.integers(1, 5))
def test_padding_does_not_change_the_reconstruction(length):
    """A masked batch gives what the unpadded sequences give (RepeatVector keeps the mask)."""
    model = lc.Autoencoder(2, (4, 3))
    params = weights(model)
    padded = np.where(np.arange(5)[:, None] < length, X, np.nan)
    mask = lc.length_mask(np.full(3, length), 5)
    x_hat, traces = model.apply(params, padded, mask=mask)
    short, _ = model.apply(params, X[:, :length], ops=reference)
    np.testing.assert_allclose(x_hat[:, :length], short, atol=1e-6)
    np.testing.assert_array_equal(traces["decoder_0"].gates.forget[:, length:], 0)


@pytest.mark.parametrize("model", MODELS[1:], ids=ids[1:])
def test_masks_reach_every_layer_that_reads_the_input(model):
    params = weights(model)
    mask = lc.length_mask(np.array([2, 5, 0]), 5)
    _, traces = model.apply(params, X, mask=mask)
    first = next(iter(traces.values()))
    np.testing.assert_array_equal(first.gates.input[0, 2:], 0)
    later = [trace for trace in traces.values() if trace.h.shape[1] not in (5,)]
    assert all((trace.gates.input != 0).all() for trace in later)  # predictions are not masked


def test_edits_reach_their_layer():
    model = lc.StackedLSTM(2, (4, 3), outputs=1)
    params = weights(model)
    closed = {"lstm_1": lambda gates, t: gates._replace(output=0.0)}
    y, traces = model.apply(params, X, edits=closed)
    np.testing.assert_array_equal(traces["lstm_1"].h, 0)
    assert (traces["lstm_0"].h != 0).any()
    np.testing.assert_allclose(y, np.broadcast_to(params["head"].bias, y.shape))


def test_residual_connections_of_a_stack():
    """From the second layer on, where sizes agree: not lstm_0, of 2 features and 2 units."""
    model = lc.StackedLSTM(2, (2, 2, 3, 3), outputs=1, residual=True)
    params = weights(model)
    y, traces = model.apply(params, X)
    x = traces["lstm_0"].h
    _, trace = lc.lstm(params["lstm_1"], x)
    np.testing.assert_allclose(trace.h, traces["lstm_1"].h, atol=1e-6)
    x = trace.h + x
    _, trace = lc.lstm(params["lstm_2"], x)  # from 2 units to 3: nothing to add
    np.testing.assert_allclose(trace.h, traces["lstm_2"].h, atol=1e-6)
    x = trace.h
    x = lc.lstm(params["lstm_3"], x)[1].h + x
    np.testing.assert_allclose(y, lc.dense(params["head"], x), atol=1e-6)


@pytest.mark.parametrize("model", MODELS, ids=ids)
def test_models_are_values(model):
    twin = type(model)(**vars(model))
    assert twin == model
    assert hash(twin) == hash(model)
    traced = []
    static = jax.jit(lambda model, x: traced.append(model) or x, static_argnums=0)
    np.testing.assert_array_equal(static(model, X), static(twin, X))
    assert len(traced) == 1  # for JAX, too, they are the same


@pytest.mark.parametrize(
    "model",
    [
        lc.Autoencoder(2, 4, output_activation="linear"),
        lc.CompositeAutoencoder(2, 4, steps=2, output_activation="linear"),
        lc.StackedLSTM(2, 4, outputs=1, output_activation=jax.nn.identity),
    ],
    ids=lambda model: type(model).__name__,
)
def test_output_activation_shapes_the_hidden_state_of_every_layer(model):
    _, traces = model.apply(weights(model), X)
    for trace in traces.values():
        np.testing.assert_allclose(trace.h, trace.gates.output * trace.c, rtol=1e-6)


def test_units_may_be_a_number_or_a_list():
    assert lc.Autoencoder(2, 4) == lc.Autoencoder(2, [4]) == lc.Autoencoder(2, (np.int64(4),))


def test_dtype_of_the_weights_is_that_of_the_output(x64):
    model = lc.Autoencoder(2, 4)
    params = weights(model, np.float64)
    assert jax.eval_shape(model.apply, params, X)[0].dtype == jnp.float64
    assert jax.eval_shape(lambda: model.init(KEY, jnp.float64))["head"].bias.dtype == jnp.float64


PARAMS = weights(MODELS[0])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lc.Autoencoder(0, 4), ValueError, "features must be at least 1, got 0"),
        (lambda: lc.Autoencoder(2, (4, 0)), ValueError, "units must be at least 1, got 0"),
        (lambda: lc.Autoencoder(2, ()), ValueError, "units is empty: name at least one layer"),
        (lambda: lc.Autoencoder(2, "4"), TypeError, "units must be a whole number, got '4'"),
        (lambda: lc.Autoencoder(2, 4, steps=0), ValueError, "steps must be at least 1, got 0"),
        (lambda: lc.Autoencoder(2, 4, "rellu"), ValueError, "activation 'rellu' is not known"),
        (
            lambda: lc.Autoencoder(2, 4, output_activation="rellu"),
            ValueError,
            "output_activation 'rellu' is not known",
        ),
        (lambda: lc.CompositeAutoencoder(2, 4, 0), ValueError, "steps must be at least 1, got 0"),
        (lambda: lc.StackedLSTM(2, 4, 0), ValueError, "outputs must be at least 1, got 0"),
        (lambda: lc.StackedLSTM(2, 4, 1, residual=2), ValueError, "residual must be one of False"),
        (
            lambda: MODELS[0].apply([1], X),
            TypeError,
            r"must be a dict of layers, got list: call mo",
        ),
        (
            lambda: MODELS[3].apply(PARAMS, X),
            ValueError,
            "params has the layers encoder_0, .* but the model has lstm_0, lstm_1, head: were they",
        ),
        (
            lambda: MODELS[0].apply(PARAMS, X, edits={"encoder_2": None}),
            ValueError,
            "edits names 'encoder_2' but the LSTM layers are encoder_0, encoder_1, decoder_0",
        ),
        (
            lambda: MODELS[0].apply(PARAMS, X[..., :1]),
            ValueError,
            r"(?s)x has 1 feature but params.kernel expects 2.*\(in layer 'encoder_0'\)",
        ),
        (
            lambda: MODELS[0].apply(PARAMS, X[0]),
            ValueError,
            r"x must have 3 axes .* got \w+ \(5, 2\)",
        ),
        (lambda: MODELS[0].apply(PARAMS, [[1.0]]), TypeError, "x must be an array .* got list"),
        (
            lambda: MODELS[0].apply(PARAMS, X, mask=np.ones((3, 4), bool)),
            ValueError,
            r"mask has shape \(3, 4\) but x needs \(3, 5\)",
        ),
        (
            lambda: MODELS[0].apply(PARAMS | {"encoder_1": PARAMS["encoder_0"]}, X),
            ValueError,
            r"params\['encoder_1'\].kernel has shape \(2, 16\) but the model needs \(4, 12\)",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
