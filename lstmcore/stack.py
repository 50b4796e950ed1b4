"""LSTM layers on top of one another, by name: "encoder_0", "encoder_1", ..."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax

from lstmcore.cell import init_lstm
from lstmcore.dtypes import check_key
from lstmcore.layers import init_dense
from lstmcore.layout import Layer
from lstmcore.sequence import lstm
from lstmcore.types import LSTMParams, LSTMState, Trace

Edits = Mapping[str, Callable] | None


def init_layers(key: jax.Array, layers: Mapping[str, Layer], dtype) -> dict:
    """Fresh weights for each layer, drawn as by `init_lstm` and `init_dense`."""
    check_key(key)
    keys = jax.random.split(key, len(layers))
    draw = {
        name: init_lstm if layer.kind is LSTMParams else init_dense
        for name, layer in layers.items()
    }
    return {
        name: draw[name](layer_key, layer.features, layer.units, dtype=dtype)
        for layer_key, (name, layer) in zip(keys, layers.items(), strict=True)
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


def check_edits(edits: Edits, layers: Mapping[str, Layer]) -> None:
    """`edits` names only LSTM layers."""
    recurrent = [name for name, layer in layers.items() if layer.kind is LSTMParams]
    for name in edits or {}:
        if name not in recurrent:
            raise ValueError(f"edits names {name!r} but the LSTM layers are {', '.join(recurrent)}")
