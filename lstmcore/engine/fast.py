"""The fast orientation: loops written out by hand, forward and backward.

JAX would differentiate the plain loop by itself, but step by step: with one thin product per step
for the gradient of the weights, and with its own choice of what to keep. Here the backward pass is
ours (`jax.custom_vjp`), and what it keeps is the trace. Derivatives of higher order are taken of
the plain way instead, which is the same function.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero

from lstmcore.activations import CURVES
from lstmcore.engine import scan
from lstmcore.engine.backward import backward
from lstmcore.engine.forward import forward, tape_of, trace_of
from lstmcore.engine.indexing import choose


class Options(NamedTuple):
    """What is known before any array is: hashable, so that it can stand in a cache's key."""

    reverse: bool
    activation: Callable
    recurrent_activation: Callable
    output_activation: Callable

    @property
    def curves(self):
        return tuple(CURVES[function] for function in self[1:])


def run(params, x, state, mask, *, recurrent_dropout=None, **options):
    """See the contract in `lstmcore.engine`.

    Named activations only; no edit, zoneout, peephole or projection.
    """
    if mask is not None:
        x = jnp.where(mask[:, :, None], x, 0)  # or NaN times a zero gradient would be NaN
    return _run(Options(**options), *_varying_alike(params, x, state, recurrent_dropout, mask))


def _varying_alike(params, x, state, factors, mask):
    """Inside of `jax.shard_map`: what is the same on all devices, as if it differed as `x` does.

    So do the gradients of the pass below; their sum over the devices is the transpose of this.
    """
    if not jax.sharding.get_abstract_mesh().manual_axes:
        return params, x, state, factors, mask
    leaves = jax.tree.leaves((params, x, state, factors, mask))
    nothing = sum(leaf[:0].astype(jnp.float32).sum() for leaf in leaves)  # 0, varying as they all
    params, x, state, factors = jax.tree.map(
        lambda leaf: leaf + nothing.astype(leaf.dtype), (params, x, state, factors)
    )
    return params, x, state, factors, mask


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def _run(options, params, x, state, factors, mask):
    return _forward(options, False, params, x, state, factors, mask)


def _run_keeping_tape(options, params, x, state, factors, mask):
    params, x, state, factors, mask = jax.tree.map(
        lambda leaf: leaf.value, (params, x, state, factors, mask), is_leaf=_is_primal
    )
    final, tape = _forward(options, True, params, x, state, factors, mask)
    trace = trace_of(_orientation(x, state), tape, options.reverse)
    return (final, trace), (params, x, state, factors, mask, tape)


def _pull_back(options, kept, gradients):
    gradients = jax.tree.map(
        lambda leaf: None if isinstance(leaf, SymbolicZero) else leaf,
        gradients,
        is_leaf=lambda leaf: isinstance(leaf, SymbolicZero),
    )
    return (*_backward(options, *kept, gradients), None)


_run.defvjp(_run_keeping_tape, _pull_back, symbolic_zeros=True)


# The two loops. Their own derivatives (hence all second derivatives) are those of the plain way.


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def _forward(options, keep_tape, params, x, state, factors, mask):
    """(final state, Tape or Trace)"""
    orientation = _orientation(x, state)
    names = {"reverse": options.reverse, "curves": options.curves, "keep_tape": keep_tape}
    return forward(orientation, params, x, state, factors, mask, **names)


@_forward.defjvp
def _forward_jvp(options, keep_tape, primals, tangents):
    *arguments, mask = primals

    def plain(params, x, state, factors):
        final, trace = _plain(options, mask, params, x, state, factors)
        if keep_tape:
            return final, tape_of(_orientation(x, state), trace, options.reverse)
        return final, trace

    return jax.jvp(plain, tuple(arguments), tangents[:-1])


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _backward(options, params, x, state, factors, mask, tape, gradients):
    """Gradients of (params, x, state, factors)"""
    orientation, names = (
        _orientation(x, state),
        {"reverse": options.reverse, "curves": options.curves},
    )
    return backward(orientation, params, x, state, factors, mask, tape, *gradients, **names)


@_backward.defjvp
def _backward_jvp(options, primals, tangents):
    *arguments, mask, _, gradients = primals

    def plain(params, x, state, factors, gradients):
        run = partial(_plain, options, mask)
        results, pull_back = jax.vjp(run, params, x, state, factors)
        return pull_back(_complete(gradients, results))

    moved = (*tangents[:4], tangents[-1])
    return jax.jvp(plain, (*arguments, gradients), moved)


def _orientation(x, state):
    return choose(x.shape[0], state.h.shape[1])


def _plain(options, mask, params, x, state, factors):
    names = {"recurrent_dropout": factors, "edit": None} | options._asdict()
    return scan.run(params, x, state, mask, **names)


def _complete(gradients, results):
    """`gradients` with zeros for its leaves None."""
    return jax.tree.map(
        lambda given, result: jnp.zeros_like(result) if given is None else given,
        gradients,
        results,
        is_leaf=lambda leaf: leaf is None,
    )


def _is_primal(leaf) -> bool:
    return isinstance(leaf, jax.custom_derivatives.CustomVJPPrimal)
