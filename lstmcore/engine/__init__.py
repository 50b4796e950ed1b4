"""How the recurrence is executed: one file per way, all with one contract.

    run(params, x, state, mask, *, reverse, activation, recurrent_activation,
        output_activation, edit) -> (LSTMState, Trace)

`lstmcore.sequence` has checked the arguments, cast `x` and `state` to the dtypes of the layer
and resolved the activations to functions; `mask` may be None. A way must agree with
`lstmcore.reference` in values and gradients. Nobody but `sequence` imports this package.
"""

from __future__ import annotations

import jax

from lstmcore.engine import scan

# Compiled once per shape, so that a call outside of `jax.jit` does not compile its loop anew;
# inlined, so that inside a larger program XLA sees the loop itself and drops what is unused.
_cached_scan = jax.jit(
    scan.run,
    static_argnames=(
        "reverse",
        "activation",
        "recurrent_activation",
        "output_activation",
        "edit",
    ),
    inline=True,
)


def run(params, x, state, mask, *, edit, **options):
    """Choose a way and run it."""
    # An edit may close over values that are being differentiated or that change between calls;
    # a cache that knows it by identity alone would return results of another call.
    way = _cached_scan if edit is None else scan.run
    return way(params, x, state, mask, edit=edit, **options)
