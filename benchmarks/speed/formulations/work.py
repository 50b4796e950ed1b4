"""The candidates of an experiment, and the data that they work on."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.speed.grid import Cell, draw
from lstmcore.activations import DIFFERENTIABLE
from lstmcore.engine import product
from lstmcore.engine.product import Form
from lstmcore.types import LSTMParams, LSTMState

TANH, SIGMOID = DIFFERENTIABLE[jnp.tanh], DIFFERENTIABLE[jax.nn.sigmoid]
OF_ENGINE = (TANH, SIGMOID, TANH)  # of the candidate, of the gates, of the cell on its way out
TOLERANCE = 2e-4  # of the largest value: sums in another order, over a thousand steps


class Data(NamedTuple):
    """A layer, its input [B, T, F], its initial state, and the gradient of its h [B, T, H]."""

    params: LSTMParams
    x: jax.Array
    state: LSTMState
    d_h: jax.Array

    @classmethod
    def of(cls, cell: Cell, seed: int = 0) -> Data:
        """Draw the data of a cell."""
        params, x = jax.tree.map(jnp.asarray, draw(cell, seed))
        batch, time, _, units = cell
        rng = np.random.default_rng(seed + 1)
        h, c = (0.5 * rng.normal(size=(batch, units)) for _ in range(2))
        arrays = LSTMState(h, c), rng.normal(size=(batch, time, units))
        return cls(params, x, *jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), arrays))


class Work(NamedTuple):
    """Candidates that compute the same from the same arguments.

    name: "forward", "training step", ...
    candidates: functions of `arguments`, by name
    engine: the name of the candidate that the engine uses
    comparable: brings results into one form, where candidates return different arrays
    """

    name: str
    candidates: dict[str, Callable]
    engine: str
    arguments: tuple
    comparable: Callable = lambda result: result


def ready(work: Work) -> dict[str, Callable[[], object]]:
    """Return each candidate compiled, as a function without arguments that blocks."""

    def waiting(candidate):
        compiled = jax.jit(candidate)
        return lambda: jax.block_until_ready(compiled(*work.arguments))

    return {name: waiting(candidate) for name, candidate in work.candidates.items()}


def check_parity(work: Work, functions: dict[str, Callable[[], object]]) -> None:
    """Raise AssertionError unless all results agree with those of the engine."""
    expected = jax.tree.leaves(work.comparable(functions[work.engine]()))
    for name, function in functions.items():
        found = jax.tree.leaves(work.comparable(function()))
        for ours, theirs in zip(expected, found, strict=True):
            scale = float(jnp.abs(ours).max())
            message = f"{work.name}: {name} differs from {work.engine}"
            np.testing.assert_allclose(
                theirs, ours, rtol=0, atol=TOLERANCE * scale, err_msg=message
            )


def forced(form: Form | None) -> AbstractContextManager:
    """Make what is traced take this form of the product; None: the one that the engine chooses."""
    if form is None:
        return nullcontext()

    def chosen(*_, transposed):
        reads_missing = form is Form.TRANSPOSED and not transposed
        return Form.ROWS_TRANSPOSED if reads_missing else form

    return mock.patch.object(product, "choose_form", chosen)


def row(array, s):
    """Return row `s` of `array`, where `s` may be traced."""
    return jax.lax.dynamic_index_in_dim(array, s, 0, keepdims=False)
