"""How the recurrence is executed: two ways with one contract.

    run(params, x, state, mask, *, reverse, activation, recurrent_activation,
        output_activation, edit) -> (LSTMState, Trace)

`scan` is the plain way: any activation, any edit, peepholes and projections, differentiated by JAX
in every mode. `fast` does the same sooner, for the activations with a name and layers without the
latter two, with a backward pass of its own.

`lstmcore.sequence` has checked the arguments, cast `x` and `state` to the dtypes of the layer
and resolved the activations to functions; `mask` may be None. A way must agree with
`lstmcore.reference` in values and gradients. Nobody but `sequence` imports this package.
"""

from __future__ import annotations

import jax
from jax.interpreters import ad

from lstmcore.engine import fast, scan
from lstmcore.engine.curves import CURVES

STATIC = ("reverse", "activation", "recurrent_activation", "output_activation")

# Compiled once per shape, so that a call outside of `jax.jit` does not compile its loop anew.
_fast = jax.jit(fast.run, static_argnames=STATIC)
_plain = jax.jit(scan.run, static_argnames=(*STATIC, "edit"))


def run(params, x, state, mask, *, edit, **options):
    """Choose a way and run it."""
    # Such a cache knows functions by identity alone. One of the caller's own may close over values
    # that are being differentiated or that change: its cached result would be that of another call.
    activations = (options[name] for name in options if name.endswith("activation"))
    if edit is not None or any(activation not in CURVES for activation in activations):
        return scan.run(params, x, state, mask, edit=edit, **options)
    if _needs_plain(params, x, state):
        return _plain(params, x, state, mask, edit=None, **options)
    return _fast(params, x, state, mask, **options)


def _needs_plain(params, x, state) -> bool:
    """Whether the arguments are beyond the fast way."""
    if params.peephole is not None or params.projection is not None:
        return True
    leaves = jax.tree.leaves((params, x, state))
    # Forward mode cannot use a backward pass. Arrays that are part of their type sharded
    # (`jax.sharding.AxisType.Explicit`) need every zero of the loops to be sharded alike.
    if any(_in_forward_mode(leaf) or any(jax.typeof(leaf).sharding.spec) for leaf in leaves):
        return True
    # Lengths unknown until run time (jax.export), or nothing to loop over.
    return not all(isinstance(size, int) and size > 0 for size in x.shape)


def _in_forward_mode(leaf) -> bool:
    while hasattr(leaf, "val"):  # what jax.vmap wraps
        leaf = leaf.val
    return isinstance(leaf, ad.JVPTracer)
