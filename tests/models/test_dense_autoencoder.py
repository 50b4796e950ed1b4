"""The dense autoencoder: beside Keras, tied weights beside untied ones, files, and misuse."""

from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np
import optax
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_parity import assert_parity, call, keras_promotion
from strategies import assert_same, random_like, seeds, weights

import lstmcore as lc
from lstmcore import reference, study

KEY = jax.random.key(0)
X = np.linspace(-1, 1, 30, dtype=np.float32).reshape(5, 6)
UNTIED, TIED = (lc.DenseAutoencoder(6, (4, 2), tied=tied) for tied in (False, True))
MODELS = pytest.mark.parametrize("model", [UNTIED, TIED], ids=["untied", "tied"])
few = settings(max_examples=settings.default.max_examples // 2)
shapes = st.sampled_from([(3, (4, 2)), (5, (3,)), (2, (2, 2, 1))])


@MODELS
def test_one_name_for_each_layer(model):
    params = model.init(KEY)
    x_hat, outputs = model.apply(params, X)
    assert set(params) == set(outputs) == set(model.layers)
    assert list(outputs) == ["encoder_0", "encoder_1", "decoder_0", "decoder_1"]
    assert {name: h.shape for name, h in outputs.items()} == {
        name: (5, layer.units) for name, layer in model.layers.items()
    }
    np.testing.assert_array_equal(x_hat, outputs["decoder_1"])
    for name, layer in model.layers.items():
        found = {field: leaf.shape for field, leaf in params[name]._asdict().items()}
        assert (type(params[name]), found) == (layer.kind, layer.shapes())


@MODELS
def test_encode_is_the_first_half_of_apply(model):
    params = weights(model)
    code, outputs = model.encode(params, X)
    _, every = model.apply(params, X)
    assert list(outputs) == ["encoder_0", "encoder_1"]
    np.testing.assert_array_equal(code, every["encoder_1"])


@few
@given(shapes, st.sampled_from(["tanh", "relu", "softsign"]), st.data())
def test_keras_has_the_same_values_and_gradients(shape, activation, data):
    rng = np.random.default_rng(data.draw(seeds))
    model = lc.DenseAutoencoder(*shape, activation)
    params = random_like(rng, jax.eval_shape(model.init, KEY))
    inputs = keras.Input((model.features,))
    with keras_promotion():
        x, outputs = inputs, {}
        for name, layer in model.layers.items():
            last = name == f"decoder_{len(model.units) - 1}"
            keras_layer = keras.layers.Dense(
                layer.units, activation=None if last else activation, name=name
            )
            outputs[name] = x = keras_layer(x)
        keras_model = keras.Model(inputs, outputs)

    def theirs(params, x):
        return call(keras_model, [params[name] for name in model.layers], x)

    x = rng.normal(size=(4, model.features)).astype(np.float32)
    assert_parity(lambda params, x: model.apply(params, x)[1], theirs, params, x)


def untied_twin(model, params):
    """The model without ties, and params with which it computes the same."""
    depth, twin = len(model.units), {name: params[name] for name in params if "encoder" in name}
    for i in range(depth):
        kernel = params[f"encoder_{depth - 1 - i}"].kernel.T
        twin[f"decoder_{i}"] = lc.DenseParams(kernel, params[f"decoder_{i}"].bias)
    return lc.DenseAutoencoder(model.features, model.units, model.activation), twin


@few
@given(shapes, st.sampled_from(["tanh", "relu", "linear"]), st.data())
def test_a_tied_gradient_is_the_sum_of_the_untied_ones(shape, activation, data):
    """d(W) = d(encoder kernel) + d(decoder kernel)^T, of equal values."""
    rng = np.random.default_rng(data.draw(seeds))
    model = lc.DenseAutoencoder(*shape, activation, tied=True)
    with jax.enable_x64(True):
        params = random_like(rng, jax.eval_shape(partial(model.init, dtype=jnp.float64), KEY))
        x, d_y = rng.normal(size=(2, 4, model.features))
        twin, twin_params = untied_twin(model, params)

        @jax.jit
        def outputs_and_gradients(*of_both):
            pairs = zip((model, twin), of_both, strict=True)
            both = [jax.vjp(lambda p, m=m: m.apply(p, x)[0], params) for m, params in pairs]
            return [(y, *pull_back(d_y)) for y, pull_back in both]

        (y, gradient), (twin_y, other) = outputs_and_gradients(params, twin_params)
        np.testing.assert_allclose(y, twin_y, rtol=1e-12)
    depth = len(model.units)
    for i in range(depth):
        encoder, decoder = f"encoder_{i}", f"decoder_{depth - 1 - i}"
        both = other[encoder].kernel + other[decoder].kernel.T
        np.testing.assert_allclose(gradient[encoder].kernel, both, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(gradient[encoder].bias, other[encoder].bias, atol=1e-12)
        np.testing.assert_allclose(gradient[decoder].bias, other[decoder].bias, atol=1e-12)


def test_a_linear_one_learns_the_principal_components(rng):
    """It cannot do better than PCA, and with training comes there (Baldi & Hornik 1989)."""
    x = (rng.normal(size=(64, 4)) @ rng.normal(size=(4, 4))).astype(np.float32)
    x -= x.mean(axis=0)
    model = lc.DenseAutoencoder(4, 2, "linear", tied=True)

    def loss(params, x):
        return jnp.mean((model.apply(params, x)[0] - x) ** 2)

    params = model.init(KEY)
    result = lc.fit(loss, params, x, optimizer=optax.adam(0.02), epochs=400, batch_size=64)
    best = (np.linalg.svd(x, compute_uv=False)[2:] ** 2).sum() / x.size
    assert best * 0.9999 < result.history["loss"][-1] < best * 1.01
    assert result.history["loss"][0] > 2 * best


def test_tying_nearly_halves_the_parameters():
    wide = [lc.summary(lc.DenseAutoencoder(100, (50, 10), tied=tied)) for tied in (False, True)]
    totals = [int(table.split()[-1].replace(",", "")) for table in wide]
    kernels, biases = 100 * 50 + 50 * 10, 50 + 10 + 50 + 100
    assert totals == [2 * kernels + biases, kernels + biases]
    rows = [row.split("  ") for row in lc.summary(TIED).splitlines()[2:6]]
    assert [[cell.strip() for cell in row if cell] for row in rows] == [
        ["encoder_0", "Dense", "(None, 4)", "28"],
        ["encoder_1", "Dense", "(None, 2)", "10"],
        ["decoder_0", "Dense, tied to encoder_1", "(None, 4)", "4"],
        ["decoder_1", "Dense, tied to encoder_0", "(None, 6)", "6"],
    ]
    assert "tied" not in lc.summary(UNTIED)


@MODELS
def test_files_and_the_numpy_engine(model, model_path):
    params = jax.tree.map(lambda leaf: leaf, weights(model))  # the layers in the order of JAX
    lc.save(model_path, model, params)
    loaded, again = lc.load(model_path)
    assert loaded == model
    assert_same(again, params)
    apply, arrays = reference.load(model_path)
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(arrays))
    theirs = model.apply(params, X)
    jax.tree.map(partial(np.testing.assert_allclose, atol=1e-6), apply(arrays, X), theirs)


def test_models_are_values_and_functions_may_be_activations():
    assert hash(UNTIED) == hash(lc.DenseAutoencoder(6, [4, np.int64(2)]))
    assert UNTIED != TIED
    flagged = lc.DenseAutoencoder(6, (4, 2), tied=np.bool_(True))
    assert (flagged, type(flagged.tied)) == (TIED, bool)  # as a file can hold it
    own = lc.DenseAutoencoder(6, (4, 2), jnp.tanh)
    params = weights(own)
    static = jax.jit(lambda model, params, x: model.apply(params, x)[0], static_argnums=0)
    np.testing.assert_allclose(static(own, params, X), static(UNTIED, params, X), atol=1e-6)


def test_dtype_of_the_weights_is_that_of_the_output(x64):
    for dtype in (jnp.float64, jnp.bfloat16):
        y = jax.eval_shape(lambda dtype=dtype: TIED.apply(TIED.init(KEY, dtype), X)[0])
        assert y.dtype == dtype


PARAMS = UNTIED.init(KEY)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: lc.DenseAutoencoder(0, 4), ValueError, "features must be at least 1, got 0"),
        (lambda: lc.DenseAutoencoder(2, ()), ValueError, "units is empty"),
        (lambda: lc.DenseAutoencoder(2, 4, "rellu"), ValueError, "activation 'rellu' is not known"),
        (lambda: lc.DenseAutoencoder(2, 4, tied=2), ValueError, "tied must be one of False, True"),
        (
            lambda: UNTIED.apply(PARAMS, X[None]),
            ValueError,
            r"x must have 2 axes \[batch, features\], .* is flattened with x.reshape\(len\(x\), -1",
        ),
        (lambda: UNTIED.encode(PARAMS, X[:, 1:]), ValueError, "x has 5 features but params.kernel"),
        (lambda: UNTIED.apply(PARAMS, X.astype(int)), ValueError, "x must be floating point"),
        (lambda: UNTIED.apply(PARAMS, X.tolist()), TypeError, "x must be an array .* got list"),
        (
            lambda: TIED.apply(PARAMS, X),
            TypeError,
            r"params\['decoder_0'\] must be BiasParams, got DenseParams",
        ),
        (lambda: UNTIED.apply({}, X), ValueError, r"params has the layers \(none\) but the model"),
        (lambda: study.run(UNTIED, PARAMS, X), TypeError, "DenseAutoencoder has no gates to stu"),
        (
            lambda: lc.stream(UNTIED, PARAMS),
            TypeError,
            "DenseAutoencoder cannot be streamed",
        ),
        (
            lambda: UNTIED.apply(PARAMS, X[None], ops=reference),
            ValueError,
            "x must have 2 axes .* a window .* is flattened",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
