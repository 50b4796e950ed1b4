"""Models against the same models built of Keras layers, layer by layer.

Each Keras layer has the name that lstmcore gives it, so weights are copied across by name, and
the hidden states of every layer are compared, not just the model's output: values and gradients
through `keras_parity`, with random weights in place of fresh ones.
"""

from functools import partial

import jax
import keras
import numpy as np
import pytest
import strategies
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_parity import assert_parity, call, keras_promotion

import lstmcore as lc

# Examples are few, since each compiles two models with their gradients, and hypothesis begins
# with the first of each: so the first is the larger one.
fewer = settings(max_examples=settings.default.max_examples // 4)
sizes = st.sampled_from([3, 2])
batches = st.sampled_from([2, 1])
timesteps = st.sampled_from([4, 1])
activations = st.sampled_from(["relu", "tanh", "softsign", "linear"])
mask_kinds = st.sampled_from(["interior", "none", "left", "right", "all-false row"])
depths = st.sampled_from([2, 1, 3])
thorough = partial(pytest.param, marks=pytest.mark.thorough)


@pytest.mark.parametrize("depth", [thorough(1), 2, thorough(3)])
@fewer
@given(st.data())
def test_autoencoder(depth, data):
    steps = data.draw(st.sampled_from([None, 3]), label="steps")
    model = lc.Autoencoder(**data.draw(hyperparameters(depth)), steps=steps)
    assert_model_parity(model, data)


@fewer
@given(depths, st.data())
def test_composite_autoencoder(depth, data):
    steps = data.draw(timesteps, label="steps")
    model = lc.CompositeAutoencoder(**data.draw(hyperparameters(depth)), steps=steps)
    assert_model_parity(model, data)


@fewer
@given(depths, st.data())
def test_stacked_lstm(depth, data):
    outputs = data.draw(sizes, label="outputs")
    model = lc.StackedLSTM(**data.draw(hyperparameters(depth)), outputs=outputs)
    assert_model_parity(model, data)


@pytest.mark.parametrize(
    "model",
    [
        lc.Autoencoder(features=2, units=(128, 64), activation="relu"),
        lc.Autoencoder(features=2, units=(7, 5, 3), steps=4),
        lc.CompositeAutoencoder(features=1, units=(6, 2), steps=8),
        lc.StackedLSTM(features=3, units=(5, 4), outputs=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_summary(model):
    """Name, kind, output shape and parameters of every layer, and the total, as Keras counts."""
    keras_model = built_of_keras_layers(model, timesteps=9)
    _, _, *rows, _, total = lc.summary(model, timesteps=9).splitlines()
    assert len(rows) == len(keras_model.layers) - 2  # Keras counts its two inputs as layers
    for row in rows:
        name, kind, *shape, parameters = row.split()
        layer = keras_model.get_layer(name)
        assert kind.partition("(")[0] == type(layer).__name__
        assert " ".join(shape) == str(layer.output.shape)
        assert parameters == f"{layer.count_params():,}"
    assert total.split() == ["total", f"{keras_model.count_params():,}"]


@st.composite
def hyperparameters(draw, depth: int) -> dict:
    """Return the arguments that all models share, with `depth` layers."""
    return {
        "features": draw(sizes),
        "units": tuple(draw(sizes) for _ in range(depth)),
        "activation": draw(activations),
        "recurrent_activation": draw(strategies.gate_activations),
    }


def assert_model_parity(model, data) -> None:
    """Hidden states of every layer, and outputs, for random weights, input and mask."""
    rng = np.random.default_rng(data.draw(strategies.seeds, label="seed"))
    batch, steps = data.draw(batches, label="batch"), data.draw(timesteps, label="timesteps")
    x = rng.normal(size=(batch, steps, model.features)).astype(np.float32)
    mask = strategies.random_mask(rng, data.draw(mask_kinds, label="mask"), batch, steps)
    random = strategies.random_like(rng, jax.eval_shape(model.init, jax.random.key(0)))
    params = jax.tree.map(lambda weights: weights / 2, random)
    keras_model = built_of_keras_layers(model, steps)
    order = [layer.name for layer in keras_model.layers if layer.name in params]
    code = f"encoder_{len(model.units) - 1}"

    def ours(params, x):
        y, traces = model.apply(params, x, mask=mask)
        states = {name: trace.h for name, trace in traces.items()}
        if code in states:
            states[code] = states[code][:, -1]  # only the final state goes on
        heads = ("reconstruction_head", "prediction_head") if isinstance(y, tuple) else ("head",)
        return states | dict(zip(heads, jax.tree.leaves(y), strict=True))

    def theirs(params, x):
        every_step = np.ones((batch, steps), bool)
        inputs = [x, every_step if mask is None else mask]
        return call(keras_model, [params[name] for name in order], inputs)

    assert_parity(ours, theirs, params, x)


def built_of_keras_layers(model, timesteps: int) -> keras.Model:
    """Return the Keras model, (x, mask) -> {layer: output} for every layer with weights."""
    x = keras.Input((timesteps, model.features))
    mask = keras.Input((timesteps,), dtype="bool")
    with keras_promotion():
        outputs = KERAS_MODELS[type(model)](model, timesteps, x, mask)
        return keras.Model([x, mask], outputs)


def keras_autoencoder(model, timesteps, x, mask) -> dict:
    encoder, code = keras_stack(model, "encoder", model.units, x, mask, sequences=False)
    mask = mask if model.steps is None else None
    return encoder | keras_decoder(model, "", model.steps or timesteps, code, mask)


def keras_composite_autoencoder(model, timesteps, x, mask) -> dict:
    encoder, code = keras_stack(model, "encoder", model.units, x, mask, sequences=False)
    past = keras_decoder(model, "reconstruction", timesteps, code, mask)
    return encoder | past | keras_decoder(model, "prediction", model.steps, code, None)


def keras_stacked_lstm(model, timesteps, x, mask) -> dict:
    layers, h = keras_stack(model, "lstm", model.units, x, mask)
    return layers | keras_head("head", model.outputs, h)


KERAS_MODELS = {
    lc.Autoencoder: keras_autoencoder,
    lc.CompositeAutoencoder: keras_composite_autoencoder,
    lc.StackedLSTM: keras_stacked_lstm,
}


def keras_decoder(model, name: str, steps: int, code, mask) -> dict:
    """RepeatVector, LSTM layers, Dense; the only decoder of a model has no name of its own."""
    prefix = name and f"{name}_"
    repeated = keras.layers.RepeatVector(steps, name=f"{prefix}repeat")(code)
    layers, h = keras_stack(model, name or "decoder", model.units[::-1], repeated, mask)
    return layers | keras_head(f"{prefix}head", model.features, h)


def keras_stack(model, name: str, units, x, mask, *, sequences=True) -> tuple[dict, object]:
    """LSTM layers name_0, name_1, ...; returns ({layer: output}, output of the last)."""
    outputs = {}
    for i, size in enumerate(units):
        layer = keras.layers.LSTM(
            size,
            activation=model.activation,
            recurrent_activation=model.recurrent_activation,
            kernel_initializer="zeros",  # quick, and overwritten
            recurrent_initializer="zeros",
            return_sequences=sequences or i < len(units) - 1,
            name=f"{name}_{i}",
        )
        outputs[layer.name] = x = layer(x, mask=mask)
    return outputs, x


def keras_head(name: str, units: int, h) -> dict:
    return {name: keras.layers.TimeDistributed(keras.layers.Dense(units), name=name)(h)}
