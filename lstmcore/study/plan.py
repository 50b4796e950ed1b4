"""Which interventions a sweep makes, and how they run side by side."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp

from lstmcore.study.names import GATES, check_gate, check_layer
from lstmcore.study.shapes import check_returns_number, shapes_of
from lstmcore.types import Gates, Trace

AXES = ("layer", "gate", "step", "unit")
TOGETHER = "all"  # the name of what is changed at once where layers are not swept over
NUMBERS_AT_ONCE = 2**24  # in the traces of the runs that are made side by side: 64 MiB


@dataclass(frozen=True)
class Plan:
    """Which interventions there are.

    Attributes:
      over: the axes to sweep.
      gates: those to change, along the axis "gate" or together.
      groups: {key: (layers that are changed together, {axis: size})}.
      numbers: how many numbers one run keeps.
    """

    over: tuple[str, ...]
    gates: tuple[str, ...]
    groups: dict[str, tuple[tuple[str, ...], dict[str, int]]]
    numbers: int

    def run(self, apply, params, x, mask, metric, donors) -> dict:
        """{key: metric after each intervention}; `donors` are the gates to use, by layer."""
        return {
            key: self._group(apply, params, x, mask, metric, donors, layers, sizes)
            for key, (layers, sizes) in self.groups.items()
        }

    def _group(self, apply, params, x, mask, metric, donors, layers, sizes):
        shape = tuple(sizes.values())
        count = math.prod(shape)
        if count == 0:  # sequences without steps
            return jnp.zeros(shape)
        chunks = max(1, math.ceil(count * self.numbers / NUMBERS_AT_ONCE))
        length = math.ceil(count / min(chunks, count))

        def one(place):
            at = dict(zip(sizes, jnp.unravel_index(place, shape), strict=True))
            edits = {layer: partial(self._edit, donors[layer], at) for layer in layers}
            return metric(apply(params, x, mask=mask, edits=edits)[0])

        # Chunks of equal length compile once; the last repeats its last place.
        places = jnp.minimum(jnp.arange(math.ceil(count / length) * length), count - 1)
        values = jax.lax.map(jax.vmap(one), places.reshape(-1, length))
        return values.reshape(-1)[:count].reshape(shape)

    def _edit(self, donor: Gates, at: Mapping, gates: Gates, t) -> Gates:
        now = jnp.array(True) if "step" not in at else at["step"] == t
        if "unit" in at:
            now = now & (jnp.arange(gates.forget.shape[-1]) == at["unit"])
        changed = {}
        for place, name in enumerate(self.gates):
            here = now & (at["gate"] == place) if "gate" in at else now
            old = getattr(gates, name)
            new = jax.lax.dynamic_index_in_dim(getattr(donor, name), t, 1, keepdims=False)
            changed[name] = jnp.where(here, new.astype(old.dtype), old)
        return gates._replace(**changed)


def plan_sweep(apply, params, x, metric, over, layers, gates, mask) -> Plan:
    """Check what can be checked without running anything, and lay out the sweep."""
    over, gates = ((axes,) if isinstance(axes, str) else tuple(axes) for axes in (over, gates))
    for axis in over:
        if axis not in AXES or over.count(axis) > 1:
            raise ValueError(f"over must name each of {', '.join(AXES)} at most once, got {over}")
    for gate in gates:
        check_gate(gate)
        if gates.count(gate) > 1:
            raise ValueError(f"gates names {gate!r} more than once: {gates}")
    outputs, traces = shapes_of(apply, params, x, mask)
    check_returns_number("metric", metric, outputs)
    chosen = (layers,) if isinstance(layers, str) else tuple(traces if layers is None else layers)
    for layer in chosen:
        check_layer(layer, traces)
    for name, given, choices in (("gates", gates, GATES), ("layers", chosen, tuple(traces))):
        if not given:
            raise ValueError(f"{name} is empty: name at least one of {', '.join(choices)}")
    named = {layer: (layer,) for layer in chosen} if "layer" in over else {TOGETHER: chosen}
    groups = {
        key: (members, _sizes(over, gates, [traces[layer] for layer in members]))
        for key, members in named.items()
    }
    kept = sum(
        2 * trace.h.size + 2 * trace.c.shape[0] * trace.c.shape[2] for trace in traces.values()
    )
    return Plan(over, gates, groups, kept)


def _sizes(over, gates, traces: Sequence[Trace]) -> dict[str, int]:
    """{axis: size} of the axes to sweep within one group of layers."""
    sizes = {"gate": {len(gates)}}
    sizes["step"] = {trace.c.shape[1] for trace in traces}
    sizes["unit"] = {trace.c.shape[2] for trace in traces}
    axes = [axis for axis in over if axis != "layer"]
    for axis in axes:
        if len(sizes[axis]) != 1:
            raise ValueError(
                f"the layers differ in their number of {axis}s ({sorted(sizes[axis])}): add "
                "'layer' to over, or choose layers that are alike"
            )
    return {axis: next(iter(sizes[axis])) for axis in axes}
