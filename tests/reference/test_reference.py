"""The NumPy engine: equal to JAX in values and gradients, and to numeric differentiation."""

import subprocess
import sys
from functools import partial

import jax
import laws
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from laws import along, numeric_derivative
from strategies import cases, random_like, random_params, random_state, seeds

import lstmcore as lc
from lstmcore import reference
from lstmcore.reference.activations import NAMED

close = partial(np.testing.assert_allclose, rtol=1e-6, atol=1e-6)


@given(cases(dtype=np.float64), seeds)
def test_lstm_equals_jax_in_values_and_gradients(case, seed):
    laws.engines_agree(case, seed)


@given(seeds, st.sampled_from(sorted(NAMED)), st.sampled_from(["sigmoid", "hard_sigmoid"]))
def test_step_backward_equals_numeric_differentiation(seed, activation, recurrent_activation):
    rng = np.random.default_rng(seed)
    options = {"activation": activation, "recurrent_activation": recurrent_activation}
    inputs = (
        random_params(rng, 2, 3, np.float64),
        rng.normal(size=(2, 2)),
        random_state(rng, 2, 3, np.float64),
    )
    new, gates = reference.lstm_step(*inputs, **options)
    d_new, d_gates = random_like(rng, (new, gates))
    gradients = reference.lstm_step_backward(*inputs, gates, new.c, d_new, d_gates, **options)

    def loss(inputs):
        outputs = jax.tree.leaves(reference.lstm_step(*inputs, **options))
        weights = jax.tree.leaves((d_new, d_gates))
        return sum((weight * out).sum() for weight, out in zip(weights, outputs, strict=True))

    direction = random_like(rng, inputs)
    exact = along(gradients, direction)
    assert exact == pytest.approx(numeric_derivative(loss, inputs, direction), rel=1e-6, abs=1e-7)


@given(cases(dtype=np.float64), seeds)
def test_backward_through_time_equals_numeric_differentiation(case, seed):
    laws.gradients_are_numeric(case, seed)


@pytest.mark.parametrize("activation", sorted(NAMED))
def test_activations_equal_jax(activation, x64):
    from lstmcore.activations import NAMED as JAX_NAMED

    z = np.concatenate([np.linspace(-8, 8, 161) + 1e-3, [-1e3, 1e3]])
    value, derivative = NAMED[activation]
    y = value(z)
    close(y, JAX_NAMED[activation](z))
    close(derivative(y), jax.vmap(jax.grad(JAX_NAMED[activation]))(z), atol=1e-12)


def test_both_engines_know_the_same_activations():
    from lstmcore.activations import NAMED as JAX_NAMED

    assert set(NAMED) == set(JAX_NAMED)


def test_missing_cotangents_are_zeros(rng):
    params, x = random_params(rng, 2, 3, np.float64), rng.normal(size=(2, 4, 2))
    state, trace = reference.lstm(params, x)
    zeros = jax.tree.map(np.zeros_like, (state, trace))
    d_state = random_state(rng, 2, 3, np.float64)
    short = reference.lstm_backward(params, x, None, trace, d_state)
    full = reference.lstm_backward(params, x, None, trace, d_state, zeros[1])
    jax.tree.map(np.testing.assert_array_equal, short, full)
    nothing = reference.lstm_backward(params, x, None, trace)
    assert all((leaf == 0).all() for leaf in jax.tree.leaves(nothing))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(dtype, rng):
    params, x = random_params(rng, 2, 3, dtype), rng.normal(size=(2, 4, 2)).astype(dtype)
    for activation in NAMED:
        options = {"activation": activation, "recurrent_activation": "hard_sigmoid"}
        state, trace = reference.lstm(params, x, **options)
        gradients = reference.lstm_backward(params, x, None, trace, state, trace, **options)
        found = {leaf.dtype for leaf in jax.tree.leaves((state, trace, gradients))}
        assert found == {np.dtype(dtype)}, activation


@given(seeds)
def test_dense_and_repeat_vector_equal_jax(seed):
    rng = np.random.default_rng(seed)
    params = lc.DenseParams(rng.normal(size=(3, 2)), rng.normal(size=2))
    x, d_y = rng.normal(size=(2, 4, 3)), rng.normal(size=(2, 4, 2))
    with jax.enable_x64(True):
        y, pull_back = jax.vjp(lc.dense, params, x)
        close(reference.dense(params, x), y)
        jax.tree.map(close, reference.dense_backward(params, x, d_y), pull_back(d_y))
        code, d_repeated = rng.normal(size=(2, 3)), rng.normal(size=(2, 4, 3))
        repeated, pull_back = jax.vjp(lambda code: lc.repeat_vector(code, 4), code)
        close(reference.repeat_vector(code, 4), repeated)
        close(reference.repeat_vector_backward(d_repeated), pull_back(d_repeated)[0])


@given(cases(dtype=np.float64))
@settings(max_examples=2)
def test_bidirectional_equals_jax(case):
    params, x, state, options = case
    options.pop("reverse")
    other = jax.tree.map(lambda leaf: leaf[..., ::-1].copy(), params)
    state = state and (state, jax.tree.map(np.negative, state))
    with jax.enable_x64(True):
        theirs = lc.bidirectional(params, other, x, state, **options)
    jax.tree.map(close, reference.bidirectional(params, other, x, state, **options), theirs)


@given(cases(dtype=np.float64), st.sampled_from(["relu", "softsign"]))
@settings(max_examples=2)
def test_output_activation_equals_jax(case, output_activation):
    params, x, state, options = case
    options["output_activation"] = output_activation

    @jax.jit
    @partial(jax.grad, has_aux=True)
    def gradient_and_results(params):
        results = lc.lstm(params, x, state, **options)
        return results[0].h.sum(), results

    with jax.enable_x64(True):
        gradient, theirs = gradient_and_results(params)
    ours = reference.lstm(params, x, state, **options)
    jax.tree.map(close, ours, theirs)
    d_state = lc.LSTMState(np.ones_like(ours[0].h), np.zeros_like(ours[0].c))
    ours, _, _ = reference.lstm_backward(params, x, state, ours[1], d_state, **options)
    jax.tree.map(close, ours, gradient)


@pytest.mark.parametrize("reverse", [False, True])
def test_edits_work_forward(reverse, rng):
    params, x = random_params(rng, 2, 3), rng.normal(size=(2, 4, 2)).astype(np.float32)
    edit = lambda gates, t: gates._replace(forget=1 - gates.input, output=float(t != 1))  # noqa: E731
    ours = reference.lstm(params, x, edit=edit, reverse=reverse)
    as_jax = lambda gates, t: gates._replace(  # noqa: E731
        forget=1 - gates.input, output=(t != 1).astype(np.float32)
    )
    theirs = lc.lstm(params, x, edit=as_jax, reverse=reverse)
    jax.tree.map(partial(close, atol=1e-5), ours, theirs)


def test_length_mask_equals_jax():
    lengths = np.array([0, 2, 5])
    np.testing.assert_array_equal(reference.length_mask(lengths, 4), lc.length_mask(lengths, 4))


def test_errors_are_those_of_the_jax_engine(rng):
    params = random_params(rng, 2, 3)
    with pytest.raises(ValueError, match="x has 5 features but params"):
        reference.lstm(params, np.ones((3, 4, 5)))
    with pytest.raises(ValueError, match=r"mask has shape \(4, 3\) but x needs \(3, 4\)"):
        reference.lstm(params, np.ones((3, 4, 2)), mask=np.ones((4, 3), bool))
    edit = lambda gates, t: gates._replace(forget=np.ones(3))  # noqa: E731
    layers = {"lstm_0": params, "head": lc.DenseParams(np.ones((3, 1)), np.ones(1))}
    stack, x = lc.StackedLSTM(2, 3, outputs=1), np.ones((3, 4, 2))
    with pytest.raises(ValueError, match=r"edit returned gates.forget of shape \(3,\), expected"):
        reference.lstm(params, np.ones((3, 4, 2)), edit=edit)
    with pytest.raises(TypeError, match=r"x must be an array \[features\], got list"):
        reference.dense(lc.DenseParams(np.ones((2, 1)), np.ones(1)), [1.0, 2.0])
    with pytest.raises(ValueError, match="edits names 'lstm_9' but the LSTM layers are lstm_0"):
        stack.apply(layers, x, edits={"lstm_9": edit}, ops=reference)
    with pytest.raises(ValueError, match="params has the layers lstm_0, head but the model has en"):
        lc.Autoencoder(2, 3).apply(layers, x, ops=reference)
    with pytest.raises(ValueError, match="activation 'gelu' is not known to the NumPy"):
        reference.lstm(params, np.ones((3, 4, 2)), activation="gelu")


def test_a_trained_model_runs_where_jax_is_not_installed(tmp_path):
    model = lc.Autoencoder(2, (4, 3), "relu")
    params = model.init(jax.random.key(0))
    x = np.linspace(-1, 1, 30, dtype=np.float32).reshape(3, 5, 2)
    lc.save(tmp_path / "model.safetensors", model, params)
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys\n"
        "sys.modules['jax'] = sys.modules['optax'] = None  # importing them now fails\n"
        "import numpy as np\n"
        "from lstmcore import reference\n"
        "apply, params = reference.load('model.safetensors')\n"
        "x_hat, traces = apply(params, np.load('x.npy'))\n"
        "np.save('x_hat.npy', x_hat); np.save('forget.npy', traces['encoder_0'].gates.forget)\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    x_hat, traces = model.apply(params, x)
    np.testing.assert_allclose(np.load(tmp_path / "x_hat.npy"), x_hat, atol=1e-6)
    forget = np.load(tmp_path / "forget.npy")
    np.testing.assert_allclose(forget, traces["encoder_0"].gates.forget, atol=1e-6)
