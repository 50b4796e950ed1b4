"""Layer normalisation inside the cell needs no option: it is a matter of the activations."""

import jax
import jax.numpy as jnp
import numpy as np
from implementations import assert_close, example
from strategies import random_like

import lstmcore as lc


def test_normalising_activations_normalise_each_gate_and_the_output(rng, x64):
    """The definition, step by step, with learned gains; values and gradients."""
    arguments, _ = example(rng, batch=2, steps=3, units=4)
    gains = {"gate": rng.normal(size=4), "candidate": rng.normal(size=4)}
    weights = random_like(rng, arguments[2])

    def norm(z):
        return (z - z.mean(-1, keepdims=True)) / jnp.sqrt(z.var(-1, keepdims=True) + 1e-5)

    def ours(gains, params, x, state):
        final, _ = lc.lstm(
            params,
            x,
            state,
            activation=lambda z: jnp.tanh(gains["candidate"] * norm(z)),
            recurrent_activation=lambda z: jax.nn.sigmoid(gains["gate"] * norm(z)),
            output_activation=lambda c: jnp.tanh(norm(c)),
        )
        return final

    def by_definition(gains, params, x, state):
        h, c = state
        for t in range(3):
            z = x[:, t] @ params.kernel + h @ params.recurrent_kernel + params.bias
            i, f, g, o = (
                (part - part.mean(1)[:, None]) / jnp.sqrt(part.var(1)[:, None] + 1e-5)
                for part in (z[:, :4], z[:, 4:8], z[:, 8:12], z[:, 12:])
            )
            i, f, o = (1 / (1 + jnp.exp(-gains["gate"] * part)) for part in (i, f, o))
            c = f * c + i * jnp.tanh(gains["candidate"] * g)
            centred = c - c.mean(1)[:, None]
            h = o * jnp.tanh(centred / jnp.sqrt((centred**2).mean(1)[:, None] + 1e-5))
        return lc.LSTMState(h, c)

    def both(function):
        loss = lambda *a: sum(map(jnp.vdot, weights, function(*a)))  # noqa: E731
        return jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(gains, *arguments)

    value, gradients = both(ours)
    assert_close((value, gradients), both(by_definition))
    assert np.abs(gradients[0]["gate"]).max() > 1e-3  # learned, though within a function
