"""The fast implementation: both loops written by hand, joined by `jax.custom_vjp`.

JAX would differentiate the loop of `scan` by itself, but step by step: with one thin product per
step for the gradient of the weights, and with its own choice of what to keep. Here the backward
pass is written by hand, and its residuals are the trace. Derivatives of higher order are those of
the reference implementation, which computes the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from lstmcore.activations import DIFFERENTIABLE
from lstmcore.engine import scan
from lstmcore.engine.backward import backward
from lstmcore.engine.forward import (
    Activations,
    Inputs,
    Residuals,
    forward,
    residuals_from_trace,
    trace_from_residuals,
)
from lstmcore.types import LSTMParams, LSTMState, Trace


class Options(NamedTuple):
    """Static options of a run: hashable, so that they can be part of a cache's key."""

    reverse: bool
    activation: Callable
    recurrent_activation: Callable
    output_activation: Callable

    @property
    def loop(self) -> dict[str, Any]:
        """The keyword arguments of both loops."""
        activations: Activations = (
            DIFFERENTIABLE[self.activation],
            DIFFERENTIABLE[self.recurrent_activation],
            DIFFERENTIABLE[self.output_activation],
        )
        return {"reverse": self.reverse, "activations": activations}


def run(
    params: LSTMParams,
    x: jax.Array,
    state: LSTMState,
    mask: jax.Array | None,
    *,
    recurrent_dropout: jax.Array | None = None,
    **options: Any,
) -> tuple[LSTMState, Trace]:
    """Run the layer; see the contract in `lstmcore.engine`.

    Named activations only; no edit, zoneout, peephole or projection.
    """
    if mask is not None:
        x = jnp.where(mask[:, :, None], x, 0)  # or NaN times a zero gradient would be NaN
    inputs = Inputs(params, x, state, recurrent_dropout, mask)
    return _run(Options(**options), _varying_alike(inputs))


def _varying_alike(inputs: Inputs) -> Inputs:
    """Mark all inputs as varying over the same devices; needed inside of `jax.shard_map`.

    The gradients of the backward pass vary like this; their sum over the devices is the transpose
    of this operation.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return inputs
    leaves = jax.tree.leaves(inputs)
    zero = sum(leaf[:0].astype(jnp.float32).sum() for leaf in leaves)  # varies as they all do
    varying = jax.tree.map(lambda leaf: leaf + zero.astype(leaf.dtype), inputs._replace(mask=None))
    return varying._replace(mask=inputs.mask)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(options: Options, inputs: Inputs) -> tuple[LSTMState, Trace]:
    return _forward(options, False, inputs)


def _run_with_residuals(options: Options, inputs: Inputs) -> tuple[Any, Any]:
    inputs = jax.tree.map(lambda leaf: leaf.value, inputs, is_leaf=_is_primal)
    final, residuals = _forward(options, True, inputs)
    trace = trace_from_residuals(residuals, options.reverse)
    return (final, trace), (inputs, residuals)


def _pull_back(options: Options, kept: tuple[Inputs, Residuals], gradients: Any) -> tuple[Inputs]:
    gradients = jax.tree.map(
        lambda leaf: None if isinstance(leaf, SymbolicZero) else leaf,
        gradients,
        is_leaf=lambda leaf: isinstance(leaf, SymbolicZero),
    )
    return (_backward(options, *kept, gradients),)


_run.defvjp(_run_with_residuals, _pull_back, symbolic_zeros=True)


# The two loops. Their own derivatives, hence all second derivatives, are those of `scan`.


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _forward(options: Options, keep_residuals: bool, inputs: Inputs) -> tuple[LSTMState, Any]:
    return forward(inputs, keep_residuals=keep_residuals, **options.loop)


@_forward.defjvp
def _forward_jvp(options: Options, keep_residuals: bool, primals: Any, tangents: Any) -> Any:
    (inputs,), (moved,) = primals, tangents

    def reference(differentiable: Inputs) -> Any:
        final, trace = _reference(options, inputs.mask, differentiable)
        if not keep_residuals:
            return final, trace
        return final, residuals_from_trace(trace, differentiable.state.c, options.reverse)

    return jax.jvp(reference, (inputs._replace(mask=None),), (moved._replace(mask=None),))


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _backward(options: Options, inputs: Inputs, residuals: Residuals, gradients: Any) -> Inputs:
    return backward(inputs, residuals, *gradients, **options.loop)


@_backward.defjvp
def _backward_jvp(options: Options, primals: Any, tangents: Any) -> Any:
    inputs, _, gradients = primals
    moved, _, moved_gradients = tangents

    def reference(differentiable: Inputs, gradients: Any) -> Inputs:
        run = partial(_reference, options, inputs.mask)
        results, pull_back = jax.vjp(run, differentiable)
        return pull_back(_complete(gradients, results))[0]

    arguments = inputs._replace(mask=None), gradients
    return jax.jvp(reference, arguments, (moved._replace(mask=None), moved_gradients))


def _reference(options: Options, mask: jax.Array | None, inputs: Inputs) -> tuple[LSTMState, Trace]:
    """Run the reference implementation; the mask stands apart, for it has no tangent."""
    params, x, state, dropout_mask, _ = inputs
    return scan.run(
        params, x, state, mask, recurrent_dropout=dropout_mask, edit=None, **options._asdict()
    )


def _complete(gradients: Any, results: Any) -> Any:
    """Return `gradients` with zeros for its leaves None."""
    return jax.tree.map(
        lambda given, result: jnp.zeros_like(result) if given is None else given,
        gradients,
        results,
        is_leaf=lambda leaf: leaf is None,
    )


def _is_primal(leaf: Any) -> bool:
    return isinstance(leaf, jax.custom_derivatives.CustomVJPPrimal)
