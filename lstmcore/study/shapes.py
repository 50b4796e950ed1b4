"""What a model and a function of its outputs would return, found without running them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax

from lstmcore.study.names import check_edited_layers
from lstmcore.types import Trace


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
