"""How the recurrence is executed: two ways with one contract.

    run(params, x, state, mask, *, reverse, activation, recurrent_activation,
        output_activation, recurrent_dropout, zoneout, edit) -> (LSTMState, Trace)

`scan` is the plain way: any activation, any edit, zoneout, peepholes and projections,
differentiated by JAX in every mode. `fast` does the same sooner, for the activations with a name
and calls without the rest, with a backward pass of its own; recurrent dropout is known to both.
`segments` runs either of them piece by piece, with less memory in the backward pass.

`lstmcore.sequence` has checked the arguments, cast `x` and `state` to the dtypes of the layer
and resolved the activations to functions; `mask` may be None, as may the last three. zoneout is
[B or 1, T, H or 1]. What is read alike at every step has become a bias of its own for each example,
[B, 4H], beside an `x` without features. A way must agree with `lstmcore.reference` in values and
gradients. Nobody but `sequence` imports this package.
"""

from __future__ import annotations

from functools import lru_cache, wraps

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from lstmcore.activations import CURVES
from lstmcore.dtypes import memory_dtype
from lstmcore.engine import checkpointing, fast, scan
from lstmcore.programs import LATEST

ACTIVATIONS = ("activation", "recurrent_activation", "output_activation")
STATIC = ("reverse", *ACTIVATIONS, "edit", "way", "every")


def run(
    params, x, state, mask, *, edit, zoneout=None, checkpoint_every=None, repeat=None, **options
):
    """Choose a way and run it, as a whole or in segments of `checkpoint_every` steps.

    With `repeat`, x is [B, F].
    """
    if repeat is not None:
        params, x = _project_once(params, x, mask, repeat)
    # Such a cache knows functions by identity alone. One of the caller's own may close over values
    # that are being differentiated or that change: its cached result would be that of another call.
    own = edit is not None or any(options[name] not in CURVES for name in ACTIVATIONS)
    plain = own or _needs_plain(params, x, state, options["recurrent_dropout"], zoneout)
    if plain:
        options |= {"zoneout": zoneout, "edit": edit}
    if checkpoint_every is not None and x.shape[1] != 0:
        options |= {"way": scan.run if plain else fast.run, "every": checkpoint_every}
        run = checkpointing.run
    else:
        run = scan.run if plain else fast.run
    if not own:
        run = _compiled(run, x.shape, params.recurrent_kernel.shape)
    return run(params, x, state, mask, **options)


@lru_cache(LATEST)
def _compiled(run, *shapes):
    """`jax.jit` of a way, so that a call outside of `jax.jit` does not compile its loop anew.

    One for each of the latest shapes: a program takes some 4 MB, and `jax.jit` drops none.
    """

    @wraps(run)
    def program(*arrays, **options):
        return run(*arrays, **options)

    return jax.jit(program, static_argnames=STATIC)


def _project_once(params, x, mask, repeat):
    """z_t = x W + h_{t-1} U + b at every step, as a layer that reads nothing and adds x W + b."""
    if isinstance(repeat, int) and repeat == 0:
        x = jnp.zeros_like(x)  # not read at any step: NaN times a zero gradient would be NaN
    elif mask is not None:
        x = jnp.where(mask.any(axis=1, keepdims=True), x, 0)
    wide = memory_dtype(params.kernel.dtype)
    bias = (
        jnp.matmul(x, params.kernel, preferred_element_type=wide) + params.bias.astype(wide)[None]
    )
    nothing = jnp.zeros_like(x, shape=(x.shape[0], repeat, 0))
    return params._replace(kernel=params.kernel[:0], bias=bias), nothing


def _needs_plain(params, x, state, recurrent_dropout, zoneout) -> bool:
    """Whether the arguments are beyond the fast way."""
    if any(part is not None for part in (params.peephole, params.projection, zoneout)):
        return True
    leaves = jax.tree.leaves((params, x, state, recurrent_dropout))
    # Forward mode cannot use a backward pass. Arrays that are part of their type sharded
    # (`jax.sharding.AxisType.Explicit`) need every zero of the loops to be sharded alike.
    if any(_in_forward_mode(leaf) or any(jax.typeof(leaf).sharding.spec) for leaf in leaves):
        return True
    # Lengths unknown until run time (jax.export), or nothing to loop over.
    if not all(isinstance(size, int) and size > 0 for size in x.shape[:2]):
        return True
    # The fast way lays out its weights for many steps, which takes longer than a single one.
    return x.shape[1] == 1


def _in_forward_mode(leaf) -> bool:
    while hasattr(leaf, "val"):  # what jax.vmap wraps
        leaf = leaf.val
    return isinstance(leaf, ad.JVPTracer)
