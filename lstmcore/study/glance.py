"""A run at a glance: the table that `print(run)` shows."""

from __future__ import annotations

import jax
import numpy as np

from lstmcore.study.statistics import saturation, time_scale
from lstmcore.text import text_table

_saturation, _time_scale = jax.jit(saturation), jax.jit(time_scale)


def glance(run) -> str:
    """Layers, shapes, saturation and memory.

    Saturation is the fraction of all real steps and units at which a gate is below 0.1 and above
    0.9; half-lives are those of the units.
    """
    axes = zip(run.inputs.shape, ("examples", "steps", "features"), strict=False)
    title = ", ".join(f"{size:,} {axis}" for size, axis in axes)
    if any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(run)):
        return f"Run of {title}, being traced"
    real = (
        ""
        if run.mask is None
        else f", {np.sum(run.mask) / max(run.mask.size, 1):.0%} of the steps real"
    )
    header = ("layer", "trace", "i <.1 >.9", "f <.1 >.9", "o <.1 >.9", "half-life in steps")
    rows = []
    for layer, trace in run.traces.items():
        left, right = _saturation(trace, run.masks[layer])
        gates = [
            f"{np.mean(getattr(left, gate)):.0%} {np.mean(getattr(right, gate)):4.0%}"
            for gate in ("input", "forget", "output")
        ]
        half_lives = np.asarray(_time_scale(trace, run.masks[layer]).half_life)
        low, middle, high = half_lives.min(), np.median(half_lives), half_lives.max()
        spread = f"{low:.3g} to {high:.3g}, median {middle:.3g}"
        rows.append((layer, str(trace.c.shape), *gates, spread))
    return f"Run of {title}{real}\n\n" + text_table(header, rows, words=2)
