"""One step: the equations, the start values, the edit, and what is said of wrong arguments."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from strategies import activations, gate_activations, random_params, random_state, seeds

import lstmcore as lc
from lstmcore import reference


def step_case(seed, batch=3, features=2, units=4, dtype=np.float32):
    rng = np.random.default_rng(seed)
    x_t = rng.normal(size=(batch, features)).astype(dtype)
    return random_params(rng, features, units, dtype), x_t, random_state(rng, batch, units, dtype)


@given(seeds, activations, gate_activations)
def test_step_is_the_equations(seed, activation, recurrent_activation):
    case = step_case(seed)
    options = {"activation": activation, "recurrent_activation": recurrent_activation}
    ours = lc.lstm_step(*case, **options)
    written_out = reference.lstm_step(*case, **options)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6), ours, written_out)


@given(seeds)
def test_output_activation_shapes_the_hidden_state_alone(seed):
    case = step_case(seed)
    state, gates = lc.lstm_step(*case, activation="relu", output_activation="sigmoid")
    _, relu_gates = lc.lstm_step(*case, activation="relu")
    np.testing.assert_array_equal(gates.candidate, relu_gates.candidate)
    np.testing.assert_allclose(state.h, gates.output * jax.nn.sigmoid(state.c), rtol=1e-6)


def test_a_name_and_its_function_are_the_same():
    case = step_case(0)
    by_name, _ = lc.lstm_step(*case, activation="softsign")
    by_function, _ = lc.lstm_step(*case, activation=jax.nn.soft_sign)
    np.testing.assert_array_equal(by_name.h, by_function.h)


def test_edit_decides_what_the_step_uses():
    params, x_t, state = step_case(0)
    edited = lambda gates, t: gates._replace(input=0.0, forget=1.0)  # noqa: E731
    new, gates = lc.lstm_step(params, x_t, state, edit=edited)
    np.testing.assert_array_equal(new.c, state.c)
    np.testing.assert_array_equal(gates.input, 0)
    np.testing.assert_array_equal(gates.forget, 1)


def test_coupled_gate_and_simple_rnn_are_edits():
    params, x_t, state = step_case(0)
    coupled = lambda gates, t: gates._replace(forget=1 - gates.input)  # noqa: E731
    new, gates = lc.lstm_step(params, x_t, state, edit=coupled)
    expected = (1 - gates.input) * state.c + gates.input * gates.candidate
    np.testing.assert_allclose(new.c, expected, rtol=1e-5)

    simple = lambda gates, t: gates._replace(input=1, forget=0, output=1)  # noqa: E731
    new, gates = lc.lstm_step(params, x_t, state, edit=simple, output_activation="linear")
    z = x_t @ params.kernel + state.h @ params.recurrent_kernel + params.bias
    np.testing.assert_allclose(new.h, np.tanh(z[:, 8:12]), atol=1e-6)


@given(seeds)
def test_init_is_kerass(seed):
    params = lc.init_lstm(jax.random.key(seed), features=3, units=4)
    limit = np.sqrt(6 / (3 + 16))
    assert np.abs(params.kernel).max() <= limit
    rows = params.recurrent_kernel @ params.recurrent_kernel.T
    np.testing.assert_allclose(rows, np.eye(4), atol=1e-5)
    np.testing.assert_array_equal(params.bias, np.repeat([0, 1, 0, 0], 4))


def test_init_arguments():
    assert lc.init_lstm(jax.random.key(0), 2, 3, forget_bias=5).bias[3] == 5
    params = lc.init_lstm(jax.random.key(0), 2, 3, dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}
    again = lc.init_lstm(jax.random.key(0), 2, 3, dtype=jnp.bfloat16)
    jax.tree.map(np.testing.assert_array_equal, params, again)


def test_each_array_and_each_layer_is_drawn_with_a_key_of_its_own():
    params = lc.init_lstm(jax.random.key(0), features=4, units=4)
    kernel, recurrent = np.ravel(params.kernel), np.ravel(params.recurrent_kernel)
    assert abs(np.corrcoef(kernel, recurrent)[0, 1]) < 0.5
    layers = lc.StackedLSTM(4, (4, 4), outputs=1).init(jax.random.key(0))
    assert not np.array_equal(layers["lstm_0"].kernel, layers["lstm_1"].kernel)


@pytest.mark.parametrize(
    "draw",
    [
        lambda key: lc.init_lstm(key, 2, 3),
        lambda key: lc.init_dense(key, 2, 3),
        lambda key: lc.Autoencoder(2, 3).init(key),
    ],
)
def test_a_number_is_no_key(draw):
    with pytest.raises(TypeError, match=r"key must be a random key, got int: write jax.random.key"):
        draw(0)
    draw(jax.random.PRNGKey(0))  # the old kind of key


def test_zero_state_keeps_a_wide_cell():
    assert lc.zero_state(2, 3).h.dtype == jnp.float32
    narrow = lc.zero_state(2, 3, jnp.bfloat16)
    assert (narrow.h.dtype, narrow.c.dtype) == (jnp.bfloat16, jnp.float32)


def test_the_two_engines_have_the_same_arguments():
    for name in ("lstm_step", "lstm", "zero_state", "repeat_vector", "dense", "length_mask"):
        ours = list(inspect.signature(getattr(lc, name)).parameters)
        theirs = list(inspect.signature(getattr(reference, name)).parameters)
        # How much JAX keeps for its backward pass is nothing that a result depends on.
        assert [argument for argument in ours if argument != "checkpoint_every"] == theirs, name


def wrong(error, message, **changes):
    return pytest.param(changes, error, message, id=message[:40])


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        wrong(
            ValueError,
            r"x_t has 5 features but params.kernel expects 2: x_t has shape \(3, 5\)",
            x_t=np.ones((3, 5), np.float32),
        ),
        wrong(
            ValueError,
            r"x_t must have 2 axes \[batch, features\], got shape \(3, 7, 2\): .* call lc.lstm",
            x_t=np.ones((3, 7, 2), np.float32),
        ),
        wrong(
            ValueError,
            r"x_t must be floating point, got int32: convert it, .* x_t.astype\('float32'\)",
            x_t=np.ones((3, 2), np.int32),
        ),
        wrong(
            TypeError,
            r"x_t must be an array \[batch, features\], got list: convert it, .* np.asarray\(x_t\)",
            x_t=[[1.0, 2.0]],
        ),
        wrong(
            ValueError,
            r"state.h has shape \(2, 4\) but the batch of 3 and the 4 units .* need \(3, 4\)",
            state=lc.LSTMState(np.ones((2, 4), np.float32), np.ones((2, 4), np.float32)),
        ),
        wrong(
            TypeError,
            r"state must be LSTMState\(h, c\), got tuple: name the two",
            state=(np.ones((3, 4), np.float32), np.ones((3, 4), np.float32)),
        ),
        wrong(
            TypeError,
            r"params must be LSTMParams\(kernel, recurrent_kernel, bias\), got list",
            params=[np.ones((2, 16))],
        ),
        wrong(
            ValueError,
            r"params must have shapes \[F, 4H\], \[H, 4H\], \[4H\] .* got \(16, 2\), \(16, 4\), "
            r"\(16,\)"
            r": weights stored the other way round need a transpose",
            params=lc.LSTMParams(np.ones((16, 2)), np.ones((16, 4)), np.ones(16)),
        ),
        wrong(
            ValueError,
            r"params.bias must have 1 axes .* got shape \(2, 16\): add the two biases",
            params=lc.LSTMParams(np.ones((2, 16)), np.ones((4, 16)), np.ones((2, 16))),
        ),
        wrong(
            ValueError,
            r"params mixes dtypes float32, float64, float32: convert them with",
            params=lc.LSTMParams(
                np.ones((2, 16), np.float32), np.ones((4, 16)), np.ones(16, np.float32)
            ),
        ),
        wrong(
            ValueError,
            r"activation 'tanhh' is not known: use one of tanh, sigmoid, .* or pass a function",
            activation="tanhh",
        ),
        wrong(
            TypeError,
            r"recurrent_activation must be a name or a function, got float",
            recurrent_activation=0.5,
        ),
        wrong(
            TypeError,
            r"edit must return Gates, got Array.*: write for instance lambda gates, t",
            edit=lambda gates, t: gates.input,
        ),
        wrong(
            ValueError,
            r"edit returned gates.forget of shape \(2,\), expected \(3, 4\) or a single number",
            edit=lambda gates, t: gates._replace(forget=np.ones(2)),
        ),
    ],
)
def test_errors_name_the_argument_and_the_remedy(changes, error, message):
    params, x_t, state = step_case(0)
    arguments = {"params": params, "x_t": x_t, "state": state} | changes
    with pytest.raises(error, match=message):
        lc.lstm_step(**arguments)


@pytest.mark.parametrize(
    ("features", "units", "dtype", "error", "message"),
    [
        (0, 3, jnp.float32, ValueError, "features must be at least 1, got 0"),
        (2, -1, jnp.float32, ValueError, "units must be at least 1, got -1"),
        (2, 3.5, jnp.float32, TypeError, "units must be a whole number, got 3.5"),
        (2, True, jnp.float32, TypeError, "units must be a whole number, got True"),
        (2, 3, jnp.int32, ValueError, "dtype must be floating point, got int32"),
        (2, 3, np.float64, ValueError, "float64 is switched off in JAX: call jax.config.update"),
    ],
)
def test_init_errors(features, units, dtype, error, message):
    with pytest.raises(error, match=message):
        lc.init_lstm(jax.random.key(0), features, units, dtype=dtype)
