"""How the recurrence is executed: one file per way, all with one contract.

    run(params, x, state, mask, *, reverse, activation, recurrent_activation,
        output_activation, edit) -> (LSTMState, Trace)

`lstmcore.sequence` has checked the arguments, cast `x` and `state` to the dtypes of the layer
and resolved the activations to functions; `mask` may be None. A way must agree with
`lstmcore.reference` in values and gradients. Nobody but `sequence` imports this package.
"""

from __future__ import annotations

import jax

from lstmcore.activations import NAMED
from lstmcore.engine import scan

# Compiled once per shape, so that a call outside of `jax.jit` does not compile its loop anew.
_cached_scan = jax.jit(
    scan.run,
    static_argnames=(
        "reverse",
        "activation",
        "recurrent_activation",
        "output_activation",
        "edit",
    ),
)


def run(params, x, state, mask, *, edit, **options):
    """Choose a way and run it."""
    # Such a cache knows functions by identity alone. One of the caller's own may close over values
    # that are being differentiated or that change: its cached result would be that of another call.
    known = NAMED.values()
    activations = (options[name] for name in options if name.endswith("activation"))
    cacheable = edit is None and all(activation in known for activation in activations)
    way = _cached_scan if cacheable else scan.run
    return way(params, x, state, mask, edit=edit, **options)
