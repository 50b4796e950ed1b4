"""The residuals that the forward pass keeps are the trace in another order."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from implementations import assert_close, example
from strategies import random_mask

from lstmcore import reference
from lstmcore.activations import DIFFERENTIABLE
from lstmcore.engine.forward import (
    Inputs,
    forward,
    residuals_from_trace,
    trace_from_residuals,
)

ACTIVATIONS = tuple(DIFFERENTIABLE[f] for f in (jnp.tanh, jax.nn.sigmoid, jnp.tanh))


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
def test_residuals_and_trace_are_each_other(reverse, rng):
    arguments, _ = example(rng, batch=2, steps=4, features=2, units=3, dtype=np.float32)
    mask = random_mask(rng, "interior", 2, 4)

    @jax.jit
    def run(params, x, state):
        inputs = Inputs(params, x, state, mask=mask)
        options = {"reverse": reverse, "activations": ACTIVATIONS}
        return [forward(inputs, keep_residuals=kept, **options) for kept in (False, True)]

    (final, trace), (same_final, residuals) = run(*arguments)
    theirs = reference.lstm(*arguments, mask=mask, reverse=reverse)
    assert_close((final, trace), theirs, rtol=1e-5, atol=1e-6)
    assert_close(same_final, final)
    assert (residuals.c.shape[0], residuals.gates.shape[:2]) == (5, (4, 4))  # steps, gates
    assert_close(residuals.c[0], arguments[2].c)
    assert_close(trace_from_residuals(residuals, reverse), trace)
    assert_close(residuals_from_trace(trace, arguments[2].c, reverse), residuals)
