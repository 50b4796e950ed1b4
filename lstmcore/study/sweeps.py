"""Causal sweeps: change the gates one place at a time and measure the effect on the output.

A trace shows correlations; only an intervention shows a cause. A sweep makes one intervention for
each gate, step and unit, all of them in one compiled call: `patch_sweep` uses the gates of another
run, `ablation_sweep` removes them. `Plan` lays a sweep out and runs it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore.arrays import check_known
from lstmcore.display import displayed
from lstmcore.dtypes import as_arrays
from lstmcore.series.frames import make_frame
from lstmcore.study.edits import ABSENT
from lstmcore.study.names import GATES, check_gate, check_layer, check_returns_number, shapes_of
from lstmcore.study.run import mask_of
from lstmcore.types import Gates, Trace

AXES = ("layer", "gate", "step", "unit")
TOGETHER = "all"  # key of the result where all layers are changed at once
NUMBERS_AT_ONCE = 2**24  # in the traces of the runs that are batched together: 64 MiB


@displayed
@dataclass(frozen=True, eq=False)
class Sweep:
    """The metric after each intervention.

    Attributes:
      over: the axes that were swept.
      metric: {layer: NumPy array}, with the axes of `over` but "layer", in that order. If "layer"
        is not in `over`, all layers were changed at once, and the only key is "all".
      gates: the names along the axis "gate", or those that were changed together.
      baseline: metric without an intervention: of the corrupt input, or of x.
      target: metric of the clean input; None in an ablation.
    """

    over: tuple[str, ...]
    metric: dict[str, np.ndarray]
    gates: tuple[str, ...]
    baseline: float
    target: float | None = None

    @property
    def effect(self) -> dict[str, np.ndarray]:
        """Return metric - baseline: how far each intervention moved it."""
        return {layer: values - self.baseline for layer, values in self.metric.items()}

    @property
    def recovered(self) -> dict[str, np.ndarray]:
        """Return the fraction of the clean run's metric that each intervention restored.

        (metric - baseline) / (target - baseline): 0 changed nothing, 1 restored the clean run.

        Raises:
          ValueError: in an ablation, or if clean and corrupt input have the same metric.
        """
        if self.target is None:
            raise ValueError("an ablation has no clean run to recover: use effect")
        if self.target == self.baseline:
            raise ValueError(
                f"clean and corrupt input have the same metric, {self.baseline:.4g}: there is "
                "nothing to recover"
            )
        return {layer: off / (self.target - self.baseline) for layer, off in self.effect.items()}

    def rows(self) -> list[dict]:
        """Return a tidy table: layer, gate, step, unit (those swept over), metric, effect."""
        axes = [axis for axis in self.over if axis != "layer"]
        table = []
        for layer, values in self.metric.items():
            for place in np.ndindex(values.shape):
                named = dict(zip(axes, place, strict=True))
                if "gate" in named:
                    named["gate"] = self.gates[named["gate"]]
                value = values[place].item()
                table.append(
                    {"layer": layer, **named, "metric": value, "effect": value - self.baseline}
                )
        return table

    def to_frame(self, library: str = "pandas") -> Any:
        """Return `rows` as a data frame.

        Args:
          library: "pandas", "polars", "pyarrow", or another one that narwhals knows.

        Raises:
          ImportError: narwhals or the library is not installed.
          ValueError: narwhals does not know the library.
        """
        table = self.rows()
        names = table[0] if table else ("layer", "metric", "effect")
        return make_frame({name: [row[name] for row in table] for name in names}, library)


# Both sweeps take the run and its metric first; the optional arguments select what is changed, by
# the same names in both.


def patch_sweep(
    apply: Callable,
    params,
    clean: jax.Array,
    corrupt: jax.Array,
    metric: Callable,
    over: Sequence[str] = AXES,
    *,
    layers: Sequence[str] | None = None,
    gates: Sequence[str] = GATES,
    mask: jax.Array | None = None,
) -> Sweep:
    """Run the corrupt input with gates of the clean run, one place at a time.

    A place that restores the metric of the clean run carries the difference between the two inputs
    (activation patching, causal tracing: Vig et al. 2020; Meng et al. 2022).

    Each call compiles a program of its own, so do not call it inside of `jax.jit`.

    Args:
      apply: `apply(params, x, mask=..., edits=...) -> (outputs, traces)`, such as `model.apply`.
      params: its weights.
      clean, corrupt: [B, T, F], two inputs that differ in what is to be traced.
      metric: `metric(outputs) -> number`, a function of what `apply` returns first.
      over: the axes to sweep, of "layer", "gate", "step", "unit". Along an axis that is left out,
        everything is patched at once.
      layers: those to patch; None for all.
      gates: those to patch.
      mask: bool [B, T], of both inputs.

    Returns:
      Sweep.

    Raises:
      ValueError: inputs of different shapes, unknown names, a metric that is not one finite number,
        or layers of different sizes swept together.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> model = lc.StackedLSTM(features=1, units=4, outputs=1)
      >>> params = model.init(jax.random.key(0))
      >>> clean, corrupt = jnp.ones((1, 6, 1)), jnp.ones((1, 6, 1)).at[:, 2].set(-1.0)
      >>> last = lambda y: y[0, -1, 0]
      >>> steps = ("layer", "step")
      >>> sweep = study.patch_sweep(model.apply, params, clean, corrupt, last, over=steps)
      >>> sweep.effect["lstm_0"].shape, sweep.effect["lstm_0"].round(6)[:2].tolist()
      ((6,), [0.0, 0.0])
    """
    for name, value in (("clean", clean), ("corrupt", corrupt)):
        check_known(name, value)
    params, clean, corrupt, mask = as_arrays(params=params, clean=clean, corrupt=corrupt, mask=mask)
    if np.shape(clean) != np.shape(corrupt):
        raise ValueError(
            f"clean and corrupt must have one shape, got {np.shape(clean)} and "
            f"{np.shape(corrupt)}: pad the shorter one and pass a mask"
        )
    plan = plan_sweep(apply, params, corrupt, metric, over, layers, gates, mask)

    @jax.jit
    def sweep(params, clean, corrupt, mask):
        outputs, traces = apply(params, clean, mask=mask, edits=None)
        donors = {layer: trace.gates for layer, trace in traces.items()}
        values = plan.run(apply, params, corrupt, mask, metric, donors)
        baseline = metric(apply(params, corrupt, mask=mask, edits=None)[0])
        return values, baseline, metric(outputs)

    return _result(plan, *sweep(params, clean, corrupt, mask))


def ablation_sweep(
    apply: Callable,
    params,
    x: jax.Array,
    metric: Callable,
    over: Sequence[str] = AXES,
    *,
    value: float | str | None = None,
    layers: Sequence[str] | None = None,
    gates: Sequence[str] = GATES,
    mask: jax.Array | None = None,
) -> Sweep:
    """Run x without its gates, one place at a time, and measure the metric.

    Args:
      apply, params, metric, over, layers, gates, mask: as in `patch_sweep`.
      x: [B, T, F].
      value: what replaces a gate: None, as if the gate were not in the equations (see
        `study.ablate`); a number; or "mean", the unit's own mean over examples and real steps.

    Returns:
      Sweep, without a target.

    Raises:
      ValueError: as in `patch_sweep`, or a value of another kind.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> model = lc.StackedLSTM(features=1, units=4, outputs=1)
      >>> params = model.init(jax.random.key(0))
      >>> mean = lambda y: y.mean()
      >>> sweep = study.ablation_sweep(
      ...     model.apply, params, jnp.ones((1, 6, 1)), mean, over=("layer", "gate")
      ... )
      >>> sweep.effect["lstm_0"].shape
      (4,)
    """
    if not (value is None or (isinstance(value, str) and value == "mean") or _is_number(value)):
        raise ValueError(f"value must be a finite number, 'mean' or None, got {value!r}")
    params, x, mask = as_arrays(params=params, x=x, mask=mask)
    plan = plan_sweep(apply, params, x, metric, over, layers, gates, mask)

    @jax.jit
    def sweep(params, x, mask):
        outputs, traces = apply(params, x, mask=mask, edits=None)
        donors = {layer: _replacements(trace, value, mask) for layer, trace in traces.items()}
        return plan.run(apply, params, x, mask, metric, donors), metric(outputs)

    return _result(plan, *sweep(params, x, mask))


def _result(plan: Plan, values, baseline, target=None) -> Sweep:
    measured = {"baseline": baseline} | ({} if target is None else {"target": target})
    for name, value in measured.items():
        if not np.isfinite(value):
            raise ValueError(f"the metric of the {name} run is {value}: it must be finite")
    numbers = {name: float(value) for name, value in measured.items()}
    arrays = {key: np.asarray(values[key]) for key in plan.groups}  # in reading order
    return Sweep(plan.over, arrays, plan.gates, **numbers)


def _replacements(trace: Trace, value, mask) -> Gates:
    """Return what each gate is replaced by, [B, T, H]."""
    if value is None:
        return Gates(*map(jnp.full_like, trace.gates, ABSENT.values()))
    if not isinstance(value, str):
        return Gates(*(jnp.full_like(gate, value) for gate in trace.gates))
    real = mask_of(trace, mask)
    if real is None:
        real = jnp.ones(trace.c.shape[:2], bool)
    return jax.tree.map(
        lambda gate: jnp.broadcast_to(
            jnp.mean(gate, axis=(0, 1), where=real[:, :, None]), gate.shape
        ),
        trace.gates,
    )


def _is_number(value) -> bool:
    array = np.asarray(value)
    return array.ndim == 0 and array.dtype.kind in "biufV" and bool(np.isfinite(array))


@dataclass(frozen=True)
class Plan:
    """The interventions of a sweep.

    Attributes:
      over: the axes to sweep.
      gates: those to change, along the axis "gate" or together.
      groups: {key: (layers that are changed together, {axis: size})}.
      numbers: count of numbers in the traces of one run.
    """

    over: tuple[str, ...]
    gates: tuple[str, ...]
    groups: dict[str, tuple[tuple[str, ...], dict[str, int]]]
    numbers: int

    def run(self, apply, params, x, mask, metric, donors) -> dict:
        """Return {key: metric after each intervention}; `donors` are the gates to use, by layer."""
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
        selected = jnp.array(True) if "step" not in at else at["step"] == t
        if "unit" in at:
            selected = selected & (jnp.arange(gates.forget.shape[-1]) == at["unit"])
        changed = {}
        for place, name in enumerate(self.gates):
            mask = selected & (at["gate"] == place) if "gate" in at else selected
            old = getattr(gates, name)
            new = jax.lax.dynamic_index_in_dim(getattr(donor, name), t, 1, keepdims=False)
            changed[name] = jnp.where(mask, new.astype(old.dtype), old)
        return gates._replace(**changed)


def plan_sweep(apply, params, x, metric, over, layers, gates, mask) -> Plan:
    """Check the arguments without running anything, and lay out the sweep."""
    for name, value in (("params", params), ("x", x), ("mask", mask)):
        check_known(name, value)
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
    """Return {axis: size} of the axes to sweep within one group of layers."""
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
