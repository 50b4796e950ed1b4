"""Ready-made edits of the gates, and the variants of the cell that follow from them.

Each function returns an edit for `lc.lstm(edit=...)` or for the `edits={layer: ...}` of a model,
inside and outside of `lc.fit`; `coupled` and `simple_rnn` are edits themselves.

    clamp("forget", 0.0, steps=[5])              the whole layer forgets at step 5
    scale("input", 0.5, units=slice(0, 8))       eight units add half as much to their cells
    compose(coupled, ablate("output"))           first one, then the other

An `Edit` checks before the loop starts that the layer has its units and steps. So can a function of
your own, with a method `check(batch, timesteps, units)`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore.cell import as_gates
from lstmcore.checks import check_edit
from lstmcore.study.names import GATES, Places, check_gate, check_trace, places, whole_numbers
from lstmcore.types import Gates, Trace

# The value of a gate that makes the equations those of a cell without it.
ABSENT = {"input": 1.0, "forget": 1.0, "candidate": 0.0, "output": 1.0}


@dataclass(frozen=True, repr=False, eq=False)  # equal text need not be an equal change
class Edit:
    """An edit that can be checked and printed; equal to itself alone.

    Attributes:
      text: the call that made it.
      change: `(gates, t) -> gates`, [B, H] each.
      check: `(batch, timesteps, units)`, raises ValueError if the edit does not fit; timesteps is
        None where they are not known.
    """

    text: str
    change: Callable[[Gates, jax.Array], Gates]
    check: Callable[[int, int | None, int], None]

    def __call__(self, gates: Gates, t: jax.Array) -> Gates:
        return self.change(gates, t)

    def __repr__(self) -> str:
        return self.text


def clamp(gate: str, value, units: Places = None, steps: Places = None) -> Edit:
    """Hold a gate at a value.

    Args:
      gate: "input", "forget", "candidate" or "output".
      value: a number, or an array that fits [B, H]: one value per unit, or per example and unit.
      units: units of the layer to edit: a number, several, a slice; None for all.
      steps: steps of the time axis to edit, likewise.

    Returns:
      The edit.

    Raises:
      ValueError: an unknown gate or a value that is NaN; when the edit is used, also units or steps
        that the layer does not have, or a value that does not fit it.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> forget = study.clamp("forget", 0.0, units=1, steps=[2])
      >>> _, trace = lc.lstm(params, jnp.ones((1, 4, 2)), edit=forget)
      >>> trace.gates.forget[0, :, 1].round(2).tolist()[2]
      0.0
      >>> forget
      clamp('forget', 0.0, units=1, steps=[2])
    """
    return _where("clamp", gate, value, units, steps, lambda old, value: value)


def scale(gate: str, factor, units: Places = None, steps: Places = None) -> Edit:
    """Multiply a gate; arguments and errors as in `clamp`.

    Examples:
      >>> from lstmcore import study
      >>> study.scale("input", 0.5, units=[0, 3])
      scale('input', 0.5, units=[0, 3])
    """
    return _where("scale", gate, factor, units, steps, lambda old, value: old * value)


def shift(gate: str, amount, units: Places = None, steps: Places = None) -> Edit:
    """Add to a gate, after its activation; the sum is not kept within 0 and 1.

    Arguments and errors as in `clamp`.

    Examples:
      >>> from lstmcore import study
      >>> study.shift("forget", 0.1, steps=slice(5, None))
      shift('forget', 0.1, steps=slice(5, None, None))
    """
    return _where("shift", gate, amount, units, steps, lambda old, value: old + value)


def ablate(gate: str, units: Places = None, steps: Places = None) -> Edit:
    """Remove a gate from the equations, as in the variants of Greff et al. (2017).

    An absent input, forget or output gate is a factor of 1; an absent candidate is 0, so that
    nothing is added to the cell. To close a gate instead, `clamp` it to 0. Arguments and errors as
    in `clamp`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, trace = lc.lstm(params, jnp.ones((1, 4, 2)), edit=study.ablate("output"))
      >>> bool(jnp.allclose(trace.h, jnp.tanh(trace.c)))
      True
    """
    check_gate(gate)
    value = ABSENT[gate]
    edit = _where("ablate", gate, value, units, steps, lambda old, value: value)
    return Edit(_text("ablate", repr(gate), units=units, steps=steps), edit.change, edit.check)


def patch(trace: Trace, gate: str | None = None, units: Places = None, steps: Places = None):
    """Use the gates of another run (activation patching; Vig et al. 2020, Meng et al. 2022).

    With all four gates, all units and all steps, the layer repeats what it did in the other run:
    c and h follow from the gates and the initial state.

    Args:
      trace: Trace [B, T, H] of this layer in the other run; a batch of 1 serves all examples.
      gate: the gate to patch; None patches all four.
      units, steps: as in `clamp`.

    Returns:
      The edit.

    Raises:
      ValueError: an unknown gate; when the edit is used, a trace of another shape.
      TypeError: not a Trace.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> params = lc.init_lstm(jax.random.key(0), features=2, units=3)
      >>> _, other = lc.lstm(params, jnp.ones((1, 4, 2)))
      >>> _, patched = lc.lstm(params, jnp.zeros((5, 4, 2)), edit=study.patch(other))
      >>> bool(jnp.allclose(patched.h, other.h))
      True
    """
    check_trace(trace)
    if gate is not None:
        check_gate(gate)
    chosen = GATES if gate is None else (gate,)
    select = selection(units, steps)

    def change(gates: Gates, t) -> Gates:
        step = step_of(t)

        def other(name, old):
            gate = jnp.asarray(getattr(trace.gates, name))
            return jax.lax.dynamic_index_in_dim(gate, step, 1, keepdims=False).astype(old.dtype)

        return replace(gates, t, select, other, chosen)

    def check(batch, timesteps, size):
        check_places(units, steps, timesteps, size)
        found = tuple(trace.gates.forget.shape)
        fits = found[0] in (1, batch) and timesteps in (None, found[1]) and found[2] == size
        if not fits:
            raise ValueError(
                f"patch was given a trace of shape {found} but the layer's gates are "
                f"({batch}, {timesteps}, {size}): take the trace of the same layer, over as many "
                "steps, with as many examples or one"
            )

    return Edit(
        _text("patch", f"<trace {tuple(trace.c.shape)}>", gate=gate, units=units, steps=steps),
        change,
        check,
    )


def compose(*edits) -> Edit:
    """Combine edits into one: the first first, each given what the one before returned.

    Examples:
      >>> from lstmcore import study
      >>> study.compose(study.coupled, study.clamp("output", 1.0))
      compose(coupled, clamp('output', 1.0))
    """
    for edit in edits:
        check_edit(edit)

    def change(gates: Gates, t) -> Gates:
        for edit in edits:
            gates = as_gates(edit(gates, t), gates)
        return gates

    def check(batch, timesteps, units):
        for edit in edits:
            check_edit(edit, batch, timesteps, units)

    names = ", ".join(
        repr(edit) if isinstance(edit, Edit) else getattr(edit, "__name__", repr(edit))
        for edit in edits
    )
    return Edit(f"compose({names})", change, check)


def coupled(gates: Gates, t) -> Gates:
    """Set f = 1 - i: new memory replaces old (Greff's CIFG; the update gate of a GRU)."""
    return gates._replace(forget=1 - gates.input)


def simple_rnn(gates: Gates, t) -> Gates:
    """Reduce the cell to the simple RNN of Elman (1990), by gates of i = 1, f = 0, o = 1.

    Then c_t = g_t and, with `output_activation="linear"`, h_t = tanh(x_t W_g + h_{t-1} U_g + b_g);
    the weights of the three gates are not used.
    """
    one = jnp.ones_like(gates.input)
    return gates._replace(input=one, forget=0 * one, output=one)


def _where(word: str, gate: str, value, units, steps, new_value) -> Edit:
    """Return an edit that sets one gate to new_value(old, value) at the chosen places."""
    check_gate(gate)
    _check_value(word, value)
    select = selection(units, steps)

    def change(gates: Gates, t) -> Gates:
        def new(name, old):
            return new_value(old, jnp.asarray(value, old.dtype))

        return replace(gates, t, select, new, (gate,))

    def check(batch, timesteps, size):
        check_places(units, steps, timesteps, size)
        given = (1, 1, *np.shape(value))[-2:]  # the batch may be symbolic
        if np.ndim(value) > 2 or given[0] not in (1, batch) or given[1] not in (1, size):
            raise ValueError(
                f"{word}({gate!r}, ...) was given a value of shape {np.shape(value)} but the gate "
                f"is ({batch}, {size}): give a number, or one for each unit"
            )

    number = repr(value) if np.ndim(value) == 0 else f"<array {np.shape(value)}>"
    return Edit(_text(word, repr(gate), number, units=units, steps=steps), change, check)


def replace(gates: Gates, t, select, new_value, names) -> Gates:
    """Return `gates` with `new_value(name, old)` for those in `names`, where `select` says so."""
    where = select(gates.forget.shape[-1], t)
    changed = {}
    for name in names:
        old = jnp.asarray(getattr(gates, name))
        changed[name] = jnp.where(where, new_value(name, old), old)
    return gates._replace(**changed)


def selection(units: Places, steps: Places) -> Callable:
    """Return a function (number of units, t) -> bool that broadcasts to [B, H]: where to edit."""
    at_step = None if steps is None else _at_step(steps)

    def select(size: int, t):
        chosen = places("units", units, size)
        mask = np.ones(size, bool) if chosen is None else np.isin(np.arange(size), chosen)
        return jnp.asarray(mask) if at_step is None else jnp.asarray(mask) & at_step(step_of(t))

    return select


def _at_step(steps: int | Sequence[int] | slice) -> Callable:
    """Return a function t -> bool; the number of steps is not known here."""
    if isinstance(steps, slice):
        first, last, stride = steps.start or 0, steps.stop, steps.step or 1
        if min(first, last or 0) < 0 or stride < 0:
            raise ValueError(
                f"steps must be a slice counted from 0, got {steps}: for instance slice(2, 10)"
            )
        begun = lambda t: (t >= first) & ((t - first) % stride == 0)  # noqa: E731
        return begun if last is None else lambda t: begun(t) & (t < last)
    indices = whole_numbers("steps", steps)
    if indices.min() < 0:
        raise ValueError(f"steps counts from 0, got {indices.min()}")
    return lambda t: (jnp.asarray(t) == jnp.asarray(indices, jnp.asarray(t).dtype)).any()


def step_of(t):
    """Return `t`, or raise ValueError if it is None."""
    if t is None:
        raise ValueError("this edit acts at chosen steps: pass t to lc.lstm_step")
    return t


def check_places(units: Places, steps: Places, timesteps: int | None, size: int) -> None:
    """Raise ValueError if units, or steps where their number is known, do not exist."""
    places("units", units, size)
    if isinstance(timesteps, int):
        places("steps", steps, timesteps)


def _check_value(word: str, value) -> None:
    if isinstance(value, jax.core.Tracer):
        return
    array = np.asarray(value)
    if array.dtype.kind not in "biufV":  # V: bfloat16
        raise TypeError(f"{word} needs a number or an array of numbers, got {value!r}")
    if np.isnan(array.astype(float)).any():
        raise ValueError(f"{word} was given NaN, which would reach every later step")


def _text(word: str, *arguments: str, **options) -> str:
    given = [f"{name}={value!r}" for name, value in options.items() if value is not None]
    return f"{word}({', '.join([*arguments, *given])})"


# Keyword arguments of `lc.lstm`, by the names of Greff et al.
VARIANTS: MappingProxyType[str, dict[str, Any]] = MappingProxyType(
    {
        "vanilla": {},
        "no input gate": {"edit": ablate("input")},
        "no forget gate": {"edit": ablate("forget")},
        "no output gate": {"edit": ablate("output")},
        "no input activation": {"activation": "linear", "output_activation": "tanh"},
        "no output activation": {"output_activation": "linear"},
        "coupled": {"edit": coupled},
        "simple RNN": {"edit": simple_rnn, "output_activation": "linear"},
    }
)
