"""Models whose layers have peepholes: run, trained, saved; and that a projection is refused."""

import jax
import jax.numpy as jnp
import laws
import numpy as np
import pytest
from strategies import assert_same, random_mask, random_params, weights

import lstmcore as lc
from lstmcore import reference

MODEL = lc.Autoencoder(2, (3, 2), "relu", output_activation="softsign")


def with_peepholes(rng, model=MODEL):
    """Random weights of the model, a peephole in every LSTM layer but the first."""
    params = weights(model)
    recurrent = [name for name, layer in model.layers.items() if layer.kind is lc.LSTMParams]
    for name in recurrent[1:]:
        peephole = rng.normal(size=(3, model.layers[name].units)).astype(np.float32)
        params[name] = params[name]._replace(peephole=peephole)
    return params


def test_a_model_runs_layers_with_peepholes(rng):
    params, x = with_peepholes(rng), rng.normal(size=(3, 5, 2)).astype(np.float32)
    mask = random_mask(rng, "right", 3, 5)
    x_hat, traces = MODEL.apply(params, x, mask=mask)
    options = {"mask": mask, "activation": "relu", "output_activation": "softsign"}
    below = x
    for name in traces:
        state, trace = lc.lstm(params[name], below, **options)
        jax.tree.map(laws.close, traces[name], trace)
        below = lc.repeat_vector(state.h, 5) if name == "encoder_1" else trace.h
    laws.close(x_hat, lc.dense(params["head"], below))
    bare = {name: layer._replace(peephole=None) for name, layer in params.items() if name in traces}
    unseeing, _ = MODEL.apply(params | bare, x, mask=mask)
    assert np.abs(unseeing - x_hat).max() > 1e-3


@pytest.mark.thorough
def test_peepholes_are_trained(rng):
    params, x = with_peepholes(rng), rng.normal(size=(6, 4, 2)).astype(np.float32)
    loss = lambda params, x: jnp.mean((MODEL.apply(params, x)[0] - x) ** 2)  # noqa: E731
    result = lc.fit(loss, params, x, epochs=3, batch_size=3)
    assert result.history["loss"][-1] < result.history["loss"][0]
    assert jax.tree.structure(result.params) == jax.tree.structure(params)
    assert np.abs(result.params["decoder_0"].peephole - params["decoder_0"].peephole).max() > 1e-4


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
def test_peepholes_come_back_from_a_file(dtype, rng, model_path):
    params = jax.tree.map(lambda leaf: np.asarray(leaf, dtype), with_peepholes(rng))
    lc.save(model_path, MODEL, params)
    model, loaded = lc.load(model_path)
    assert model == MODEL
    assert_same(loaded, params)


def test_a_loaded_model_with_peepholes_runs_on_numpy(rng, model_path):
    params, x = with_peepholes(rng), rng.normal(size=(3, 5, 2)).astype(np.float32)
    lc.save(model_path, MODEL, params)
    apply, loaded = reference.load(model_path)
    jax.tree.map(laws.close, apply(loaded, x), MODEL.apply(params, x))


def test_a_model_refuses_a_projection(rng, model_path):
    params = weights(MODEL)
    params["encoder_1"] = random_params(rng, 3, 2, projection=1)
    message = r"params\['encoder_1'\] has a projection, but that layer of the model has none"
    with pytest.raises(ValueError, match=message):
        MODEL.apply(params, np.ones((3, 5, 2), np.float32))
    with pytest.raises(ValueError, match=message):
        lc.save(model_path, MODEL, params)


def test_a_model_refuses_a_peephole_of_other_units():
    params = weights(MODEL)
    peephole = np.ones((3, 5), np.float32)
    params["decoder_0"] = params["decoder_0"]._replace(peephole=peephole)
    message = r"params\['decoder_0'\].peephole has shape \(3, 5\) but the 2 units of the bias need"
    with pytest.raises(ValueError, match=message):
        MODEL.apply(params, np.ones((3, 5, 2), np.float32))
