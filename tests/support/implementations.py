"""The implementations of `lstmcore.engine`, each enforced, and the results to compare with."""

from contextlib import contextmanager
from functools import partial

import jax
import numpy as np
import pytest
from strategies import random_like, random_params, random_state

import lstmcore as lc
from lstmcore import engine, reference
from lstmcore.engine import backward, forward, product
from lstmcore.engine.product import Form

close = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-10)


def assert_close(ours, theirs, **tolerance):
    jax.tree.map(partial(close, **tolerance), ours, theirs)


@contextmanager
def forced(form=Form.PLAIN, block_rows=4, joined=True):
    """Use `fast` with this form of product and block size, for functions not jitted before.

    joined: whether the forward pass has one product, [x, h] [W; U], or two.

    The forward pass has no transposed weights: there TRANSPOSED is ROWS_TRANSPOSED.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "choose_form", partial(_chosen, form))
        patch.setattr(forward, "choose_joined", lambda *sizes: joined)
        patch.setattr(backward, "BLOCK_ROWS", block_rows)
        patch.setattr(backward, "FEWEST_STEPS", 1)
        # Without the cache, which knows other choices.
        patch.setattr(engine, "_compiled", lambda run, *shapes: run)
        yield


def _chosen(form, *sizes, transposed):
    return Form.ROWS_TRANSPOSED if form is Form.TRANSPOSED and not transposed else form


@contextmanager
def scan_only():
    """Use the reference implementation, `lstmcore.engine.scan`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_needs_scan", lambda *arguments: True)
        patch.setattr(engine, "_compiled", lambda run, *shapes: run)
        yield


def with_gradients(arguments, cotangent, options):
    """Return (results, gradients) of lc.lstm, compiled anew."""

    @jax.jit
    def run(arguments, cotangent):
        results, pull_back = jax.vjp(lambda *a: lc.lstm(*a, **options), *arguments)
        return results, pull_back(cotangent)

    return run(arguments, cotangent)


def expected(arguments, cotangent, options):
    """Return the same from the NumPy engine."""
    results = reference.lstm(*arguments, **options)
    return results, reference.lstm_backward(*arguments, results[1], *cotangent, **options)


def example(rng, batch=3, steps=7, features=3, units=5, dtype=np.float64):
    """Return (params, x, state), and a cotangent of every result."""
    x = rng.normal(size=(batch, steps, features)).astype(dtype)
    params = random_params(rng, features, units, dtype)
    arguments = params, x, random_state(rng, batch, units, dtype)
    return arguments, random_like(rng, reference.lstm(*arguments))
