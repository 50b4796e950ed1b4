"""The variants of the cell, compared with equations written without the gate."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from strategies import random_params, random_state

import lstmcore as lc
from lstmcore import study

B, T, F, H = 2, 3, 2, 4


def close(ours, theirs, tolerance=1e-11):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), ours, theirs
    )


def make(rng):
    params = random_params(rng, F, H, np.float64)
    return params, rng.normal(size=(B, T, F)), random_state(rng, B, H, np.float64)


def without(params, x, state, missing):
    """h [B, T, H] of an LSTM whose equations lack something; independent of lstmcore's cell."""
    z_of = [
        (params.kernel[:, n * H : (n + 1) * H], params.recurrent_kernel[:, n * H : (n + 1) * H])
        for n in range(4)
    ]
    biases = [params.bias[n * H : (n + 1) * H] for n in range(4)]
    h, c = state
    rows = []
    for t in range(T):
        i, f, g, o = (x[:, t] @ w + h @ u + b for (w, u), b in zip(z_of, biases, strict=True))
        i, f, o = (1 / (1 + jnp.exp(-z)) for z in (i, f, o))
        f = {"no forget gate": 1, "coupled": 1 - i, "simple RNN": 0}.get(missing, f)
        i = {"no input gate": 1, "simple RNN": 1, "no candidate": 0}.get(missing, i)
        o = {"no output gate": 1, "simple RNN": 1}.get(missing, o)
        c = f * c + i * (g if missing == "no input activation" else jnp.tanh(g))
        h = o * (c if missing in ("no output activation", "simple RNN") else jnp.tanh(c))
        rows.append(h)
    return jnp.stack(rows, axis=1)


QUICK = ("no forget gate", "coupled", "simple RNN", "no output activation")
ALL = (*study.VARIANTS, "no candidate")


@pytest.mark.parametrize(
    "name", [*QUICK, *(pytest.param(n, marks=pytest.mark.thorough) for n in ALL if n not in QUICK)]
)
def test_variants_are_cells_written_without_it(x64, rng, name):
    """Values, and the gradients of weights, x and first state."""
    params, x, state = make(rng)
    weights = rng.normal(size=(B, T, H))
    options = {**study.VARIANTS, "no candidate": {"edit": study.ablate("candidate")}}[name]

    def both(h_of):
        def total(arguments):
            h = h_of(*arguments)
            return (h * weights).sum(), h

        return jax.jit(jax.value_and_grad(total, has_aux=True))((params, x, state))

    ours = both(lambda params, x, state: lc.lstm(params, x, state, **options)[1].h)
    close(ours, both(lambda *arguments: without(*arguments, name)), 1e-11)


@pytest.mark.thorough
def test_the_simple_rnn_does_not_use_the_weights_of_its_gates(x64, rng):
    params, x, _ = make(rng)
    total = lambda p: lc.lstm(p, x, **study.VARIANTS["simple RNN"])[1].h.sum()  # noqa: E731
    gradient = jax.grad(total)(params)
    candidate = np.repeat([False, False, True, False], H)
    assert [(leaf[..., ~candidate] == 0).all() for leaf in gradient[:3]] == [True] * 3
    assert [(leaf[..., candidate] != 0).all() for leaf in gradient[:3]] == [True] * 3
