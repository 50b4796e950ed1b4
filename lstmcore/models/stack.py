"""LSTM layers on top of one another, by name: "encoder_0", "encoder_1", ..."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore import checks, specs
from lstmcore.activations import resolve
from lstmcore.attention import init_attention
from lstmcore.cell import init_lstm, lstm_step
from lstmcore.dtypes import check_drawn
from lstmcore.layers import init_dense, init_embedding
from lstmcore.sequence import lstm
from lstmcore.specs import Layer, both_ways
from lstmcore.types import (
    AdditiveAttention,
    BiasParams,
    DenseParams,
    EmbeddingParams,
    Gates,
    GeneralAttention,
    LSTMParams,
    LSTMState,
    Trace,
)


def normalise(model) -> None:
    """Check the sizes and turn them into plain ints, which compare, hash and save well."""
    features, units = checks.check_sizes(model.features, model.units)
    object.__setattr__(model, "features", features)
    object.__setattr__(model, "units", units)
    for name in ("steps", "outputs"):
        if isinstance(getattr(model, name, None), np.integer):
            object.__setattr__(model, name, int(getattr(model, name)))
    check_activations(model)
    _ = model.layers  # describing them checks what is left: steps, outputs, flags
    for name in ("conditional", "tied", "residual"):
        if hasattr(model, name):
            object.__setattr__(model, name, bool(getattr(model, name)))


def check_activations(model) -> None:
    """Each is known or a function; the output activation may follow `activation`."""
    for name, value in activations_of(model).items():
        if name != "output_activation" or value is not None:
            resolve(name, value)


def activations_of(model) -> dict[str, Any]:
    """The keyword arguments of `lc.lstm`; of a dense model, which has no gates, `activation`."""
    return {name: getattr(model, name) for name in specs.activations(type(model).__name__)}


def sizes_of(model) -> dict[str, Any]:
    """All other hyperparameters."""
    every = {field.name: getattr(model, field.name) for field in fields(model)}
    return {name: value for name, value in every.items() if name not in activations_of(model)}


Edits = Mapping[str, Callable] | None
States = Mapping[str, LSTMState] | None

INIT: dict[type, Callable] = {
    LSTMParams: init_lstm,
    DenseParams: init_dense,
    BiasParams: lambda key, features, units, dtype: BiasParams(jnp.zeros(units, dtype)),
    EmbeddingParams: init_embedding,
    GeneralAttention: lambda key, memory, units, dtype: init_attention(
        key, "general", units, memory, dtype=dtype
    ),
    AdditiveAttention: lambda key, memory, units, dtype: init_attention(
        key, "additive", units, memory, dtype=dtype
    ),
}


def init_layers(key: jax.Array, layers: Mapping[str, Layer], dtype) -> dict:
    """Fresh weights for each layer, drawn as by `init_lstm`, `init_dense`, ..."""
    shapes = [shape for layer in layers.values() for shape in layer.shapes().values()]
    check_drawn(key, sum(map(math.prod, shapes)), dtype)
    keys = jax.random.split(key, len(layers))
    return {
        name: INIT[layer.kind](layer_key, layer.features, layer.units, dtype=dtype)
        for layer_key, (name, layer) in zip(keys, layers.items(), strict=True)
    }


class Noise(NamedTuple):
    """Factors of dropout for one layer, the same at every step (Gal & Ghahramani 2016).

    x: [B, F], onto the input; h: [B, H], onto the hidden state of the step before, or None.
    """

    x: jax.Array
    h: jax.Array | None


def run_stack(
    params: Mapping,
    name: str,
    x: jax.Array,
    *,
    mask,
    edits: Edits,
    states: States = None,
    noise: Mapping[str, Noise] | None = None,
    residual: bool = False,
    reverse: bool = False,
    repeat: int | None = None,
    **activations,
) -> tuple[list[LSTMState], jax.Array, dict[str, Trace]]:
    """Run layers name_0, name_1, ..., each on the hidden states of the one below.

    A layer that `states` does not name starts from zeros. With `residual`, each layer but the first
    adds what it read to what it shows. With `repeat`, the first reads x [B, F] at so many steps;
    there is no noise then.

    Returns (final state of each layer, what the last one shows [B, T, H], Trace of every layer).
    """
    finals: list[LSTMState] = []
    traces: dict[str, Trace] = {}
    while (layer := f"{name}_{len(finals)}") in params:
        state = (states or {}).get(layer)
        options = {"mask": mask, "reverse": reverse, "repeat": repeat, **activations}
        final, trace = _run(params, layer, x, state, edits, noise, options)
        repeat = None  # the layers above have a sequence to read
        x = add_residual(x, trace.h) if residual and finals else trace.h
        finals.append(final)
        traces[layer] = trace
    return finals, x, traces


def step_stack(
    params: Mapping,
    name: str,
    x_t: jax.Array,
    states: Sequence[LSTMState],
    *,
    t,
    edits: Edits,
    keep: jax.Array | None = None,
    noise: Mapping[str, Noise] | None = None,
    residual: bool = False,
    **activations,
) -> tuple[jax.Array, tuple[LSTMState, ...], dict[str, Gates]]:
    """One step of `run_stack`, x_t [B, F], from the state of each layer.

    Where `keep`, bool [B, 1], is False, the step is padding, which changes nothing.

    Returns (what the last layer shows [B, H], state of each layer, Gates of every layer).
    """
    if keep is not None:
        x_t = jnp.where(keep, x_t, 0)  # it may be NaN, and the gradient multiplies by it
    after, gates = [], {}
    for place, before in enumerate(states):
        layer = f"{name}_{place}"
        read, start = (x_t, before) if noise is None else _disturb(noise[layer], x_t, before)
        edit = (edits or {}).get(layer)
        with _naming(layer):
            new, used = lstm_step(params[layer], read, start, edit=edit, t=t, **activations)
        if keep is not None:
            new = jax.tree.map(partial(jnp.where, keep), new, before)
            used = jax.tree.map(partial(_or_zero, keep), used)
        x_t = add_residual(x_t, new.h) if residual and place else new.h
        after.append(new)
        gates[layer] = used
    return x_t, tuple(after), gates


def run_both_ways(
    params: Mapping,
    name: str,
    x: jax.Array,
    *,
    mask,
    edits: Edits,
    merge: str,
    noise: Mapping[str, Noise] | None = None,
    residual: bool = False,
    **activations,
) -> tuple[list[LSTMState], jax.Array, dict[str, Trace]]:
    """As `run_stack`, of layers that read in both directions, whose results are merged."""
    finals: list[LSTMState] = []
    traces: dict[str, Trace] = {}
    for place in count():
        pair = both_ways(f"{name}_{place}")
        if pair[0] not in params:
            break
        results = []
        for layer, reverse in zip(pair, (False, True), strict=True):
            options = {"mask": mask, "reverse": reverse, **activations}
            results.append(_run(params, layer, x, None, edits, noise, options))
            traces[layer] = results[-1][1]
        (final, trace), (back_final, back_trace) = results
        finals.append(jax.tree.map(MERGE[merge], final, back_final))
        h = MERGE[merge](trace.h, back_trace.h)
        x = add_residual(x, h) if residual and place else h
    return finals, x, traces


MERGE: dict[str, Callable] = {
    "concat": lambda a, b: jnp.concatenate([a, b], axis=-1),
    "sum": lambda a, b: a + b,
    "mean": lambda a, b: (a + b) / 2,
    "mul": lambda a, b: a * b,
}


def add_residual(x, h):
    """What a layer shows plus what it read, where the two are of one size (Wu et al. 2016)."""
    return h + x if h.shape == x.shape else h


def _run(params, layer, x, state, edits, noise, options):
    """One layer, by name."""
    if noise is not None:
        factors = noise[layer]
        x, options["recurrent_dropout"] = x * factors.x[:, None], factors.h
    with _naming(layer):
        return lstm(params[layer], x, state, edit=(edits or {}).get(layer), **options)


@contextmanager
def _naming(layer: str) -> Iterator[None]:
    """An error says in which layer it was."""
    try:
        yield
    except (TypeError, ValueError) as error:
        error.add_note(f"(in layer {layer!r})")
        raise


def _or_zero(keep, gate):
    return jnp.where(keep, gate, 0)


def _disturb(noise: Noise, x_t, state: LSTMState):
    """One step's input and state, multiplied by the factors of dropout."""
    h = state.h if noise.h is None else state.h * noise.h
    return x_t * noise.x, state._replace(h=h)


def check_edits(given: Mapping | None, layers: Mapping[str, Layer], argument="edits") -> None:
    """`given`, edits or states, is a dict that names only LSTM layers."""
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(
            f"{argument} must be a dict by the name of the layer, got {type(given).__name__}"
        )
    recurrent = [name for name, layer in layers.items() if layer.kind is LSTMParams]
    for name in given or {}:
        if name not in recurrent:
            raise ValueError(
                f"{argument} names {name!r} but the LSTM layers are {', '.join(recurrent)}"
            )
