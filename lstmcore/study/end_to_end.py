"""Windows of a series laid end to end, so that a picture shows one long stretch."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore.study.run import Run, run


def end_to_end(model, params: dict, x) -> Run:
    """The encoder's layers on the windows x [N, T, F]: a run of one example of N * T steps.

    Each window is read from zeros; where a new one begins, the state starts anew.
    """
    whole = run(model, params, jnp.asarray(x))
    layers = tuple(name for name in whole.layers if name.startswith("encoder"))

    def joined(leaf):
        return np.asarray(leaf).reshape(1, -1, leaf.shape[-1])

    return Run(
        inputs=joined(x),
        mask=None,
        outputs=None,
        traces={name: jax.tree.map(joined, whole[name]) for name in layers},
        masks=dict.fromkeys(layers),
        layers=layers,
    )
