"""What can be named (layers, gates, examples, steps, units), and the errors that list the choices.

A place on an axis is named as NumPy names it: a whole number, a sequence of them, a slice, or None
for all. Indexing a JAX array out of bounds does not fail, it returns the last element; so it is
asked here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax
import numpy as np

from lstmcore import checks
from lstmcore.types import Gates, Trace

GATES = Gates._fields
QUANTITIES = (*GATES, "h", "c")

Places = int | Sequence[int] | slice | None


def check_layer(name, layers: Iterable[str]) -> None:
    """`name` is one of `layers`."""
    layers = tuple(layers)
    if name not in layers:
        raise ValueError(f"there is no layer {name!r}: use one of {', '.join(layers)}")


def check_edited_layers(edits, layers: Iterable[str]) -> None:
    """`edits` names layers of the model, which need not look at the others."""
    layers = tuple(layers)
    for name in edits or {}:
        if name not in layers:
            raise ValueError(
                f"edits names {name!r} but the layers that the model traces are {', '.join(layers)}"
            )


def check_gate(name) -> None:
    """`name` is one of `GATES`."""
    if name not in GATES:
        raise ValueError(f"there is no gate {name!r}: use one of {', '.join(GATES)}")


def check_quantity(name) -> None:
    """`name` is one of `QUANTITIES`."""
    if name not in QUANTITIES:
        raise ValueError(f"a trace has no {name!r}: use one of {', '.join(QUANTITIES)}")


def quantity_of(trace: Trace, name: str):
    """The array of `trace` that `name` stands for."""
    check_quantity(name)
    return getattr(trace.gates if name in GATES else trace, name)


def check_trace(trace) -> tuple[int, int]:
    """`trace` is that of one layer over a batch; returns (batch, timesteps)."""
    if not isinstance(trace, Trace):
        raise TypeError(
            f"trace must be a Trace, got {type(trace).__name__}: for a run, name the layer, "
            "run['encoder_0']"
        )
    for name in QUANTITIES:
        array = quantity_of(trace, name)
        checks.check_array(f"trace's {name}", array, "batch time units", "a batch of 1 is enough")
        if array.shape[:2] != trace.c.shape[:2]:
            raise ValueError(
                f"trace's {name} has shape {array.shape} but its c has {trace.c.shape}: both must "
                "have the same batch and steps"
            )
    batch, timesteps, _ = trace.c.shape
    return batch, timesteps


def places(axis: str, chosen: Places, size: int) -> np.ndarray | None:
    """The indices that `chosen` names on an axis; None for all.

    Args:
      axis: what to call it in errors: "units", "steps", "examples".
      chosen: what the caller wrote.
      size: of the axis.

    Raises:
      ValueError: a place outside of the axis, or none at all.
      TypeError: neither numbers nor a slice.
    """
    if chosen is None:
        return None
    if isinstance(chosen, slice):
        return _of_slice(axis, chosen, size)
    indices = whole_numbers(axis, chosen)
    outside = indices[(indices < -size) | (indices >= size)]
    if outside.size:
        raise ValueError(f"{axis} names {outside[0]} but there are {size}: 0 to {size - 1}")
    return indices % size


def whole_numbers(axis: str, chosen: int | Sequence[int]) -> np.ndarray:
    """`chosen` as an array of at least one whole number."""
    try:
        places = np.atleast_1d(chosen)
        if places.dtype == bool:  # which older NumPy takes for 0 and 1
            raise TypeError
        indices = np.atleast_1d([operator.index(place) for place in places])
    except TypeError:
        raise TypeError(
            f"{axis} must be whole numbers or a slice, got {chosen!r}: for instance {axis}=[0, 3]"
        ) from None
    if indices.size == 0:
        raise ValueError(f"{axis} is empty: name at least one, or None for all")
    return indices


def _of_slice(axis: str, chosen: slice, size: int) -> np.ndarray:
    if (chosen.stop or 0) > size or (chosen.start or 0) >= size:
        raise ValueError(f"{axis} names {chosen} but there are {size}: 0 to {size - 1}")
    indices = np.arange(size)[chosen]
    if indices.size == 0:
        raise ValueError(f"{axis} is empty: {chosen} names none of {size}")
    return indices


def shapes_of(apply: Callable, params, x, mask, edits=None) -> tuple[Any, dict[str, Trace]]:
    """What `apply` would return, as shapes; the layers in reading order."""
    if not callable(apply):
        raise TypeError(
            f"apply must be a function such as model.apply, got {type(apply).__name__}"
            + (": pass its apply" if hasattr(apply, "apply") else "")
        )
    layers: list[str] = []

    def look(params, x):
        outputs, traces = apply(params, x, mask=mask, edits=edits)
        check_edited_layers(edits, traces)
        layers.extend(traces)  # JAX sorts the keys of a dict
        return outputs, traces

    outputs, traces = jax.eval_shape(look, params, x)
    return outputs, {layer: traces[layer] for layer in layers}


def check_returns_number(name: str, function: Callable, outputs):
    """`function(outputs)` is one number; returns its shape and dtype."""
    number = jax.eval_shape(function, outputs)
    if getattr(number, "shape", None) != ():
        found = f"shape {number.shape}" if hasattr(number, "shape") else type(number).__name__
        raise ValueError(
            f"{name} must return one number, got {found}: take a mean or a sum, or one element"
        )
    return number
