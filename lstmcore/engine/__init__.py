"""How the recurrence is executed: two implementations of one contract.

    run(params, x, state, mask, *, reverse, activation, recurrent_activation,
        output_activation, recurrent_dropout, zoneout, edit) -> (LSTMState, Trace)

`scan` is the reference implementation: any activation, any edit, zoneout, peepholes and
projections, differentiated by JAX in every mode. `fast` computes the same in less time, with a
backward pass of its own, for named activations and calls without the rest; both know recurrent
dropout. `checkpointing` runs either of them in chunks, with less memory in the backward pass.

`lstmcore.sequence` has checked the arguments, cast `x` and `state` to the dtypes of the layer
and resolved the activations to functions; `mask` may be None, as may the last three. zoneout is
[B or 1, T, H or 1]. With `repeat`, the product with x has become a bias of its own for each
example, [B, 4H], beside an `x` without features. An implementation must agree with
`lstmcore.reference` in values and gradients. Only `sequence` imports this package.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from lstmcore.activations import DIFFERENTIABLE
from lstmcore.checks import ACTIVATION_ARGUMENTS
from lstmcore.dtypes import accumulation_dtype
from lstmcore.engine import checkpointing, fast, scan
from lstmcore.programs import LATEST
from lstmcore.types import LSTMParams, LSTMState, Trace

STATIC = ("reverse", *ACTIVATION_ARGUMENTS, "edit", "implementation", "every")


def run(  # the contract of an implementation, with `checkpoint_every` and `repeat` beside it
    params: LSTMParams,
    x: jax.Array,
    state: LSTMState,
    mask: jax.Array | None,
    *,
    edit: Callable | None,
    zoneout: LSTMState | None = None,
    checkpoint_every: int | str | None = None,
    repeat: int | None = None,
    **options: Any,
) -> tuple[LSTMState, Trace]:
    """Choose an implementation and run it, as a whole or in chunks of `checkpoint_every` steps.

    With `repeat`, x is [B, F].
    """
    if repeat is not None:
        params, x = _project_once(params, x, mask, repeat)
    # The cache of compiled programs knows functions by identity alone. A function of the caller's
    # own may have captured variables that are being differentiated or that change: its cached
    # result would be that of another call.
    own = edit is not None or any(
        options[name] not in DIFFERENTIABLE for name in ACTIVATION_ARGUMENTS
    )
    needs_scan = own or _needs_scan(params, x, state, options["recurrent_dropout"], zoneout)
    run: Callable = scan.run if needs_scan else fast.run
    if needs_scan:
        options |= {"zoneout": zoneout, "edit": edit}
    if checkpoint_every is not None and x.shape[1] != 0:
        options |= {"implementation": run, "every": checkpoint_every}
        run = checkpointing.run
    if not own:
        run = _compiled(run, x.shape, params.recurrent_kernel.shape)
    return run(params, x, state, mask, **options)


@lru_cache(LATEST)
def _compiled(run: Callable, *shapes: tuple) -> Callable:
    """Return `run` jitted, so that a call outside of `jax.jit` does not compile its loop anew.

    One for each of the latest shapes: a program takes some 4 MB, and `jax.jit` drops none.
    """

    @wraps(run)
    def program(*arrays: Any, **options: Any) -> Any:
        return run(*arrays, **options)

    return jax.jit(program, static_argnames=STATIC)


def _project_once(
    params: LSTMParams, x: jax.Array, mask: jax.Array | None, repeat: int
) -> tuple[LSTMParams, jax.Array]:
    """Return a layer without features whose bias is x W + b, and the input that it reads.

    z_t = x W + h_{t-1} U + b is then computed with one product x W for all steps.
    """
    if isinstance(repeat, int) and repeat == 0:
        x = jnp.zeros_like(x)  # not read at any step: NaN times a zero gradient would be NaN
    elif mask is not None:
        x = jnp.where(mask.any(axis=1, keepdims=True), x, 0)
    acc_dtype = accumulation_dtype(params.kernel.dtype)
    product = jnp.matmul(x, params.kernel, preferred_element_type=acc_dtype)
    bias = product + params.bias.astype(acc_dtype)[None]
    no_features = jnp.zeros_like(x, shape=(x.shape[0], repeat, 0))
    return params._replace(kernel=params.kernel[:0], bias=bias), no_features


def _needs_scan(
    params: LSTMParams,
    x: jax.Array,
    state: LSTMState,
    recurrent_dropout: jax.Array | None,
    zoneout: LSTMState | None,
) -> bool:
    """Return whether the arguments are beyond the fast implementation."""
    if any(part is not None for part in (params.peephole, params.projection, zoneout)):
        return True
    leaves = jax.tree.leaves((params, x, state, recurrent_dropout))
    # Forward mode cannot use a backward pass. Arrays whose type holds their sharding
    # (`jax.sharding.AxisType.Explicit`) need every zero of the loops to be sharded alike.
    if any(_in_forward_mode(leaf) or any(jax.typeof(leaf).sharding.spec) for leaf in leaves):
        return True
    # Lengths unknown until run time (jax.export), or nothing to loop over.
    if not all(isinstance(size, int) and size > 0 for size in x.shape[:2]):
        return True
    # `fast` lays out its weights for many steps, which takes longer than a single one.
    return x.shape[1] == 1


def _in_forward_mode(leaf: Any) -> bool:
    while hasattr(leaf, "val"):  # what jax.vmap wraps
        leaf = leaf.val
    return isinstance(leaf, ad.JVPTracer)
