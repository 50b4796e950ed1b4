"""Run a model on a batch and keep its inputs, its outputs and the trace of every layer, a `Run`.

run = study.run(model, params, x)
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from lstmcore.activations import Activation, name_of
from lstmcore.display.text import given_fields
from lstmcore.dtypes import as_arrays
from lstmcore.programs import compiled
from lstmcore.sequence import lstm, masked_steps
from lstmcore.specs import knows_its_masks, parameters_of, takes_target
from lstmcore.study import names
from lstmcore.study.record import Run
from lstmcore.types import LSTMParams, Trace


@dataclass(frozen=True, repr=False)
class SingleLayer:
    """A model with one layer, "lstm": its weights are an LSTMParams, its output is h.

    Attributes:
      activation, recurrent_activation, output_activation, reverse: as in `lc.lstm`.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> weights = lc.init_lstm(jax.random.key(0), features=2, units=3)  # or of a Keras layer
      >>> run = study.run(study.SingleLayer(), weights, jnp.ones((5, 7, 2)))
      >>> run["lstm", "forget"].shape
      (5, 7, 3)
    """

    activation: Activation = "tanh"
    recurrent_activation: Activation = "sigmoid"
    output_activation: Activation | None = None
    reverse: bool = False

    __repr__ = given_fields

    def apply(
        self,
        params: LSTMParams,
        x: jax.Array,
        *,
        mask: jax.Array | None = None,
        edits: Mapping[str, Callable] | None = None,
    ) -> tuple[jax.Array, dict[str, Trace]]:
        """Run the layer; errors as in `lc.lstm`.

        Returns:
          (h [B, T, H], {"lstm": Trace}).
        """
        for name in edits or {}:
            names.check_layer(name, ["lstm"])
        _, trace = lstm(
            params,
            x,
            mask=mask,
            reverse=self.reverse,
            activation=self.activation,
            recurrent_activation=self.recurrent_activation,
            output_activation=self.output_activation,
            edit=(edits or {}).get("lstm"),
        )
        return trace.h, {"lstm": trace}


def run(
    model,
    params,
    x: jax.Array,
    mask: jax.Array | None = None,
    edits: Mapping[str, Callable] | None = None,
    *,
    target: jax.Array | None = None,
) -> Run:
    """Run a model on a batch and keep its inputs, its outputs and the trace of every layer.

    The run is compiled once for each shape and each model that is a frozen dataclass; of other
    models, with edits or with an activation function of your own, at every call: what functions
    capture may change between two calls.

    Args:
      model: one of lstmcore's models, `study.SingleLayer()` for the weights of one layer, or
        anything with `apply(params, x, mask=..., edits=...) -> (outputs, traces by name)`. One that
        masks steps by itself, such as padding, may say where: `masks(x, mask=...)` returns for each
        traced layer bool [B, T] or None.
      params: its weights.
      x: [B, T, F], or whatever the model reads, such as [B, T] of tokens.
      mask: bool [B, T], True = real step.
      edits: for any layer by name, a function `(gates, t) -> gates`; see `lstmcore.study.edits`.
      target: for `lc.Seq2Seq`, the target of the decoder, or the tokens that it decoded.

    Returns:
      Run.

    Raises:
      ValueError: shapes that do not fit, an unknown layer in `edits`, one whose edit the model does
        not use, or an edit that makes a gate NaN.
      TypeError: not a model, one whose `apply` takes no mask or edits where they are given, or an
        encoder-decoder without `target`.

    Warns:
      UserWarning: a model of your own masked steps that `mask` does not mask, so that statistics
        would count them.

    Examples:
      >>> import jax, jax.numpy as jnp, lstmcore as lc
      >>> from lstmcore import study
      >>> model = lc.Autoencoder(features=2, units=(8, 4))
      >>> run = study.run(model, model.init(jax.random.key(0)), jnp.ones((5, 3, 2)))
      >>> run.layers
      ('encoder_0', 'encoder_1', 'decoder_0', 'decoder_1')
      >>> run["encoder_0", "forget", 0].shape
      (3, 8)
    """
    params, x, mask, target = as_arrays(params=params, x=x, mask=mask, target=target)
    _check_model(model, x, target)
    if edits or not _is_value(model):
        result = jax.jit(partial(_run, model, edits=edits))(params, x, mask, target)
    else:
        result = _cached_run(model, params, x, mask, target)
    for layer, trace in result.traces.items():
        if edits and layer in edits:
            _refuse_nan(layer, trace)
        elif not knows_its_masks(model):
            _warn_of_padding(layer, trace, result.masks[layer])
    return result


def _check_model(model, x, target) -> None:
    """Raise an error unless `model` can be studied, with a target if it is an encoder-decoder."""
    if isinstance(model, type) or not hasattr(model, "apply"):
        raise TypeError(
            f"model must be a model such as lc.Autoencoder(...), got {type(model).__name__}: for "
            "the weights of one layer pass study.SingleLayer()"
        )
    kinds = {layer.kind for layer in getattr(model, "layers", {}).values()}
    if kinds and LSTMParams not in kinds:
        raise TypeError(
            f"{type(model).__name__} has no gates to study: the outputs of its layers are the "
            "second thing that model.apply(params, x) returns"
        )
    if takes_target(model):
        if target is None:
            raise TypeError("an encoder-decoder needs a target: pass target=, padded tokens")
        if hasattr(model, "check_sequences"):
            model.check_sequences(x, target)  # once compiled, it cannot refuse unknown tokens
        return
    if hasattr(model, "check_input"):
        model.check_input(x)
    if target is not None:
        raise TypeError(f"target is for an encoder-decoder, which {type(model).__name__} is not")


def _run(model, params, x, mask, target, edits=None) -> Run:
    inputs = (x,) if target is None else (x, target)
    watched = None
    if edits is not None:  # what is no function is refused by the layer
        watched = {name: _Watched(e) if callable(e) else e for name, e in edits.items()}
    given = {"mask" if target is None else "source_mask": mask, "edits": watched}
    options = {name: value for name, value in given.items() if value is not None}
    _check_takes(model, options)
    outputs, traces = model.apply(params, *inputs, **options)
    attention = None
    if not isinstance(traces.get("attention"), Trace):
        attention = traces.get("attention")
        traces = {name: trace for name, trace in traces.items() if name != "attention"}
    names.check_edited_layers(edits, traces)
    _check_used(model, watched or {})
    if hasattr(model, "masks"):
        known = model.masks(*inputs, mask=mask)
        masks = {layer: known.get(layer) for layer in traces}
        mask = next(iter(masks.values()), None) if mask is None else mask
    else:
        masks = {layer: mask_of(trace, mask) for layer, trace in traces.items()}
    decoder = () if target is None else _decoder_layers(model, params, x, target, traces)
    return Run(x, mask, outputs, traces, masks, tuple(traces), target, attention, decoder)


class _Watched:
    """An edit that knows whether it was called."""

    def __init__(self, edit: Callable):
        self.edit, self.was_called = edit, False

    def __call__(self, gates, t):
        self.was_called = True
        return self.edit(gates, t)

    def __getattr__(self, name: str):  # such as `check`, which an edit may have
        return getattr(self.edit, name)


def _check_used(model, edits: Mapping[str, Any]) -> None:
    """Raise ValueError if an edit was not called, so that it changed nothing."""
    for layer, edit in edits.items():
        if isinstance(edit, _Watched) and not edit.was_called:
            raise ValueError(
                f"{type(model).__name__}.apply takes edits but does not use the one of {layer!r}: "
                f"pass edit=(edits or {{}}).get({layer!r}) to its layer"
            )


def _check_takes(model, options: Mapping) -> None:
    """Raise TypeError if the `apply` of a model does not take what it should be given."""
    parameters = parameters_of(model)
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for name in options:
        if name not in parameters:
            raise TypeError(
                f"{name} was given, but the apply of {type(model).__name__} takes none: give it an "
                f"argument {name}=None, and hand it on to lc.lstm"
            )


def _decoder_layers(model, params, source, target, traces) -> tuple[str, ...]:
    """Return the names of the layers that run over the target: a longer one makes them longer."""
    batch, steps, *rest = target.shape
    longer = jax.ShapeDtypeStruct((batch, steps + 1, *rest), target.dtype)
    try:
        _, of_longer = jax.eval_shape(partial(model.apply, params, source), longer)
        lengths = {name: of_longer[name].h.shape[1] - 1 for name in traces}
    except Exception:  # a model for targets of one length: told by its steps alone
        lengths = dict.fromkeys(traces, steps if steps != source.shape[1] else -1)
    return tuple(name for name, trace in traces.items() if trace.h.shape[1] == lengths[name])


_cached_run = compiled(_run)


def _is_value(model) -> bool:
    """Return whether `model` is equal to another only if it computes the same.

    That is so for frozen dataclasses of numbers, texts and named functions: a function without a
    name may capture what changes between two calls.
    """
    if isinstance(model, int | float | str | bytes | None):
        return True
    if isinstance(model, tuple):
        return all(map(_is_value, model))
    parameters = getattr(model, "__dataclass_params__", None)
    if parameters is None or isinstance(model, type):
        return callable(model) and name_of(model) is not None
    names = [field.name for field in fields(model)]
    only_fields = set(getattr(model, "__dict__", ())) <= set(names)
    return parameters.frozen and only_fields and all(_is_value(getattr(model, n)) for n in names)


def mask_of(trace: Trace, mask):
    """Return the mask under which a layer ran: the model's, or None.

    A model decides by itself which of its layers are masked. The gates of a masked step are 0.
    """
    if mask is None or mask.shape != trace.c.shape[:2]:
        return None
    was_masked = (masked_steps(trace) | mask).all()
    return mask | ~was_masked


def _refuse_nan(layer: str, trace: Trace) -> None:
    if isinstance(trace.c, jax.core.Tracer):
        return
    is_nan = np.isnan(np.stack(trace.gates))
    if is_nan.any():
        gate, example, step, unit = min(np.argwhere(is_nan), key=lambda place: place[2])
        raise ValueError(
            f"with its edit, the {names.GATES[gate]} gate of layer {layer!r} is NaN, first at step "
            f"{step} (example {example}, unit {unit}): does the edit divide by 0, or is x NaN?"
        )


def _warn_of_padding(layer: str, trace: Trace, mask) -> None:
    """Warn of steps that the model masked by itself, at which all gates would count as closed."""
    if isinstance(trace.c, jax.core.Tracer):
        return
    is_zero = np.asarray(masked_steps(trace))
    padding = int((is_zero if mask is None else is_zero & np.asarray(mask)).sum())
    if padding:
        warnings.warn(
            f"layer {layer!r} was masked by the model itself at {padding} of {is_zero.size} steps: "
            "its gates are 0 there, and statistics count them as closed. Pass mask= (bool, True = "
            "real step) to study.run, so that they are left out",
            stacklevel=3,
        )


def end_to_end(model, params: dict, x) -> Run:
    """Join the encoder's traces of the windows x [N, T, F] into one example of N * T steps.

    Each window is read from the zero state, so that the state is reset where a new one begins.
    """
    x = jnp.asarray(x)
    traces = _encoder_traces(model, params, x)

    def joined(leaf):
        return np.asarray(leaf).reshape(1, -1, leaf.shape[-1])

    in_order = {name: traces[name] for name in model.layers if name in traces}
    return Run.unmasked(joined(x), None, jax.tree.map(joined, in_order))


@compiled
def _encoder_traces(model, params: dict, x) -> dict[str, Trace]:
    _, traces = model.apply(params, x)  # the decoder is not used, so it is not compiled either
    return {name: trace for name, trace in traces.items() if name.startswith("encoder")}
