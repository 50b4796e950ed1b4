"""LSTM layers on top of one another, by name: "encoder_0", "encoder_1", ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax

from lstmcore import checks
from lstmcore.activations import resolve
from lstmcore.cell import init_lstm
from lstmcore.sequence import lstm
from lstmcore.types import LSTMState, Trace

Edits = Mapping[str, Callable] | None


def init_stack(key, name: str, features: int, units: tuple[int, ...], dtype) -> dict:
    """{"name_0": LSTMParams, ...}; the first layer reads `features`, each other the one below."""
    keys = jax.random.split(key, len(units))
    below = (features, *units[:-1])
    return {
        f"{name}_{i}": init_lstm(keys[i], below[i], units[i], dtype=dtype)
        for i in range(len(units))
    }


def run_stack(
    params: Mapping, name: str, x: jax.Array, *, mask, edits: Edits, **activations
) -> tuple[LSTMState, jax.Array, dict[str, Trace]]:
    """Run layers name_0, name_1, ..., each on the hidden states of the one below.

    Returns (final state of the last layer, its hidden states [B, T, H], Trace of every layer).
    """
    traces: dict[str, Trace] = {}
    while (layer := f"{name}_{len(traces)}") in params:
        edit = (edits or {}).get(layer)
        try:
            state, traces[layer] = lstm(params[layer], x, mask=mask, edit=edit, **activations)
        except (TypeError, ValueError) as error:
            error.add_note(f"(in layer {layer!r})")
            raise
        x = traces[layer].h
    return state, x, traces


def describe_stack(name: str, units: tuple[int, ...], steps: int) -> list[tuple]:
    """Rows (name, kind, output shape) of the stack, for a model's `layers`."""
    return [(f"{name}_{i}", "LSTM", (None, steps, size)) for i, size in enumerate(units)]


def check_model(model) -> None:
    """Check the hyperparameters that all models share; `units` and sizes become plain ints."""
    units = model.units if isinstance(model.units, tuple | list) else (model.units,)
    if not units:
        raise ValueError("units is empty: name at least one layer, for instance units=(64,)")
    sizes = tuple(checks.check_count("units", size) for size in units)
    object.__setattr__(model, "units", sizes)  # the way to normalise a frozen dataclass
    object.__setattr__(model, "features", checks.check_count("features", model.features))
    resolve("activation", model.activation)
    resolve("recurrent_activation", model.recurrent_activation)


def check_layers(model, params, edits: Edits) -> None:
    """`params` holds just the layers of `model`, and `edits` names only LSTM layers."""
    kinds = {name: kind for name, kind, _ in model.layers(1) if kind != "RepeatVector"}
    if not isinstance(params, Mapping):
        raise TypeError(
            f"params must be a dict of layers, got {type(params).__name__}: call model.init(key)"
        )
    if set(params) != set(kinds):
        raise ValueError(
            f"params has the layers {', '.join(params) or '(none)'} but the model has "
            f"{', '.join(kinds)}: were they made by another model?"
        )
    recurrent = [name for name, kind in kinds.items() if kind == "LSTM"]
    for name in edits or {}:
        if name not in recurrent:
            raise ValueError(f"edits names {name!r} but the LSTM layers are {', '.join(recurrent)}")
