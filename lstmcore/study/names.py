"""Names of layers, gates, examples, steps and units, with errors that list the choices.

First the checks of names, then places on an axis, then functions in the place of a model. A place
is given as in NumPy: a whole number, a sequence of them, a slice, or None for all. It is checked
here because indexing a JAX array out of bounds does not fail but returns the last element.
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
    """Raise ValueError unless `name` is one of `layers`."""
    layers = tuple(layers)
    if name not in layers:
        raise ValueError(f"there is no layer {name!r}: use one of {', '.join(layers)}")


def check_edited_layers(edits, layers: Iterable[str]) -> None:
    """Raise ValueError if `edits` names a layer that the model does not trace."""
    layers = tuple(layers)
    for name in edits or {}:
        if name not in layers:
            raise ValueError(
                f"edits names {name!r} but the layers that the model traces are {', '.join(layers)}"
            )


def check_gate(name) -> None:
    """Raise ValueError unless `name` is one of `GATES`."""
    if name not in GATES:
        raise ValueError(f"there is no gate {name!r}: use one of {', '.join(GATES)}")


def check_quantity(name) -> None:
    """Raise ValueError unless `name` is one of `QUANTITIES`."""
    if name not in QUANTITIES:
        raise ValueError(f"a trace has no {name!r}: use one of {', '.join(QUANTITIES)}")


def quantity_of(trace: Trace, name: str):
    """Return the array of `trace` that `name` stands for."""
    check_quantity(name)
    return getattr(trace.gates if name in GATES else trace, name)


def check_trace(trace) -> tuple[int, int]:
    """Raise an error unless `trace` is one layer's over a batch; return (batch, timesteps)."""
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
    """Return the indices that `chosen` names on an axis; None for all.

    Args:
      axis: its name in errors: "units", "steps", "examples".
      chosen: the argument of the caller.
      size: of the axis.

    Raises:
      ValueError: a place outside of the axis, or no place at all.
      TypeError: `chosen` is neither whole numbers nor a slice.
    """
    if chosen is None:
        return None
    if isinstance(chosen, slice):
        return _of_slice(axis, chosen, size)
    indices = whole_numbers(axis, chosen)
    outside = indices[(indices < -size) | (indices >= size)]
    if outside.size:
        one = axis.removesuffix("s")
        raise ValueError(f"there is no {one} {outside[0]}: {one}s are 0 to {size - 1}")
    return indices % size


def whole_numbers(axis: str, chosen: int | Sequence[int]) -> np.ndarray:
    """Return `chosen` as an array of at least one whole number."""
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
    """Return the shapes of what `apply` would return, the layers in reading order."""
    if not callable(apply) or hasattr(apply, "apply"):
        raise TypeError(
            f"apply must be a function such as model.apply, got {type(apply).__name__}"
            + (": pass its apply" if hasattr(apply, "apply") else "")
        )
    layers: list[str] = []

    def checked(params, x):
        outputs, traces = apply(params, x, mask=mask, edits=edits)
        check_edited_layers(edits, traces)
        layers.extend(traces)  # JAX sorts the keys of a dict
        return outputs, traces

    outputs, traces = jax.eval_shape(checked, params, x)
    return outputs, {layer: traces[layer] for layer in layers}


def check_returns_number(name: str, function: Callable, outputs):
    """Raise ValueError unless `function(outputs)` is one number; return its shape and dtype."""
    number = jax.eval_shape(function, outputs)
    if getattr(number, "shape", None) != ():
        found = f"shape {number.shape}" if hasattr(number, "shape") else type(number).__name__
        raise ValueError(
            f"{name} must return one number, got {found}: take a mean or a sum, or one element"
        )
    return number
