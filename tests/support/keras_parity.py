"""One harness for every comparison with Keras: values and gradients of two functions.

Both sides are functions of (params, x), where params is any pytree; ours runs under the strict
dtype promotion of conftest.py, Keras under the promotion it was written for. A comparison that
fails names the output or the argument in question: `output['final']['h']`,
`gradient of params['layer'].bias`. Below the harness stand the Keras layers as such functions.
"""

from functools import partial

import jax
import jax.numpy as jnp
import keras
import numpy as np

import lstmcore as lc

VALUE_TOLERANCE = 1e-5  # float32; absolute, and relative where a number is large
GRADIENT_TOLERANCE = 1e-4
FLOAT64_TOLERANCE = 1e-10

keras_promotion = partial(jax.numpy_dtype_promotion, "standard")


def assert_parity(ours, theirs, params, x) -> None:
    """`ours` and `theirs` have equal outputs and equal gradients.

    The gradient is that of a randomly weighted sum of all outputs, with respect to each leaf of
    params and to x. (Under a plain sum the errors of two outputs could cancel.)

    Args:
      ours, theirs: functions (params, x) -> pytree of arrays, the same tree on both sides.
      params: pytree of NumPy arrays; None leaves are allowed.
      x: array.
    """
    shapes = jax.eval_shape(ours, params, x)
    with keras_promotion():
        _assert_same_shapes(shapes, jax.eval_shape(theirs, params, x))

    rng = np.random.default_rng(0)
    weights = jax.tree.map(lambda s: rng.normal(size=s.shape).astype(s.dtype), shapes)
    our_outputs, our_gradients = _outputs_and_gradients(ours, params, x, weights)
    with keras_promotion():
        their_outputs, their_gradients = _outputs_and_gradients(theirs, params, x, weights)

    exact = any(s.dtype == "float64" for s in jax.tree.leaves(shapes))
    of_values, of_gradients = (
        (FLOAT64_TOLERANCE,) * 2 if exact else (VALUE_TOLERANCE, GRADIENT_TOLERANCE)
    )
    _assert_close("output", our_outputs, their_outputs, of_values)
    for argument, mine, other in zip(("params", "x"), our_gradients, their_gradients, strict=True):
        _assert_close(f"gradient of {argument}", mine, other, of_gradients)


@partial(jax.jit, static_argnums=0)
def _outputs_and_gradients(function, params, x, weights):
    outputs, pullback = jax.vjp(function, params, x)
    return outputs, pullback(weights)


def _assert_same_shapes(ours, theirs) -> None:
    ours, theirs = _named("output", ours), _named("output", theirs)
    assert ours.keys() == theirs.keys(), f"outputs {list(ours)} but Keras has {list(theirs)}"
    for name, mine in ours.items():
        got, expected = (mine.shape, mine.dtype), (theirs[name].shape, theirs[name].dtype)
        assert got == expected, f"{name} is {got} but in Keras {expected}"


def _assert_close(name: str, ours, theirs, tolerance: float) -> None:
    theirs = _named(name, theirs)
    for path, mine in _named(name, ours).items():
        np.testing.assert_allclose(
            mine, theirs[path], rtol=tolerance, atol=tolerance, err_msg=f"{path} differs from Keras"
        )


def _named(name: str, tree) -> dict:
    paths = jax.tree.leaves_with_path(tree)
    return {name + jax.tree_util.keystr(path): leaf for path, leaf in paths}


def built(layer, shape: tuple):
    """Return the Keras layer built for an input of this shape."""
    with keras_promotion():
        layer.build(shape)
    return layer


def fresh_weights(layer) -> list[np.ndarray]:
    """Return the weights that Keras drew for a built layer. (get_weights warns about NumPy 2.)"""
    return [np.asarray(variable.value) for variable in layer.trainable_variables]


def call(layer, weights, x, *args, **options):
    """Return a built Keras layer as a pure function of its weights.

    weights: pytree whose leaves stand in the order of `layer.trainable_variables`
    """
    weights = jax.tree.leaves(weights)
    expected = [tuple(variable.shape) for variable in layer.trainable_variables]
    assert [leaf.shape for leaf in weights] == expected  # Keras itself would not check
    other = [variable.value for variable in layer.non_trainable_variables]  # seeds, unused here
    outputs, _ = layer.stateless_call(weights, other, x, *args, **options)
    return outputs


def lstm_layer(units: int, **options):
    """keras.layers.LSTM that shows all it can: every h, the final h and the final c.

    Its weights start at zero, which is quick; a comparison hands in its own.
    """
    zeros = {"kernel_initializer": "zeros", "recurrent_initializer": "zeros"}
    return keras.layers.LSTM(units, return_sequences=True, return_state=True, **zeros, **options)


def lstm_function(shape: tuple, units: int, *, mask, reverse: bool, **activations):
    """Return a Keras LSTM for x of this shape, with its gates, as a function (params, x).

    params is {"layer": LSTMParams, "state": LSTMState or None}.
    """
    layer = built(lstm_layer(units, go_backwards=reverse, **activations), shape)
    shown = True if mask is None else mask[:, :, None]

    def run(params, x):
        state = params["state"] and list(params["state"])
        h, *final = call(layer, params["layer"], x, initial_state=state, mask=mask)
        # go_backwards returns outputs in the order processed; ours keep the input's time axis.
        h = jnp.flip(h, axis=1) if reverse else h
        first = jnp.zeros_like(h[:, :1]) if state is None else state[0][:, None]
        order = [h[:, 1:], first] if reverse else [first, h[:, :-1]]
        gates = gates_from(params["layer"], x, jnp.concatenate(order, axis=1), **activations)
        return {
            "final": dict(zip("hc", final, strict=True)),
            "gates": {name: jnp.where(shown, gate, 0) for name, gate in gates.items()},
            "h": h,
        }

    return run


def gates_from(weights, x, h_before, *, activation, recurrent_activation) -> dict:
    """The gates of all steps at once, from the hidden state before each: [B, T, H].

    Keras does not show its gates, but these gave its hidden states: act([x_t, h] @ [W; U] + b).
    """
    tanh, sigmoid = map(keras.activations.get, (activation, recurrent_activation))
    inputs = jnp.concatenate([x, h_before], axis=-1)
    z = inputs @ jnp.concatenate([weights.kernel, weights.recurrent_kernel]) + weights.bias
    z_i, z_f, z_g, z_o = jnp.split(z, 4, axis=-1)
    return lc.Gates(sigmoid(z_i), sigmoid(z_f), tanh(z_g), sigmoid(z_o))._asdict()
