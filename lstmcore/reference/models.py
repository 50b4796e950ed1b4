"""Trained models in NumPy: the data flow of `lstmcore.models`, and loading from a file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from lstmcore import checks
from lstmcore.reference.activations import resolve
from lstmcore.reference.layers import dense, repeat_vector
from lstmcore.reference.sequence import lstm
from lstmcore.types import BiasParams, DenseParams, Gates, LSTMState, Trace


def load(path: str | os.PathLike) -> tuple[Callable, dict]:
    """Load a model that `lstmcore.save` wrote, to run it without JAX.

    Args:
      path: the file.

    Returns:
      (apply, params): `apply(params, x, mask=None, edits=None)` computes the same as the model's
      own `apply` without a `target`; a Forecaster's also takes `future`, a dense autoencoder's is
      `apply(params, x)`. The params are NumPy arrays.

    Raises:
      ValueError: the file is not one of lstmcore's, damaged, or needs JAX (a Seq2Seq, bfloat16
        weights).
      FileNotFoundError: there is no such file.
    """
    from lstmcore.io.model_file import read_model_file  # so that importing the engine stays cheap

    contents = read_model_file(path)
    if contents.model not in APPLY:
        raise ValueError(
            f"{path} holds a {contents.model}, which the NumPy engine does not run: it takes "
            f"{', '.join(APPLY)}; use lstmcore.load"
        )
    options = dict(contents.hyperparameters)
    del options["features"], options["units"]  # the weights' own shapes say it
    options.pop("outputs", None), options.pop("tied", None)
    if any(str(layer.bias.dtype) == "bfloat16" for layer in contents.params.values()):
        raise ValueError(
            f"{path} holds bfloat16 weights, which NumPy cannot compute with: save float32"
        )
    return partial(APPLY[contents.model], **options), contents.params


def apply_autoencoder(
    params: dict,
    x: np.ndarray,
    *,
    steps: int | None = None,
    conditional: bool = False,
    mask: np.ndarray | None = None,
    edits: Mapping | None = None,
    **activations: Any,
) -> tuple[np.ndarray, dict[str, Trace]]:
    """Run `lstmcore.Autoencoder(..., steps).apply`: (output [B, steps or T, F], traces)."""
    options = {"edits": edits, **activations}
    code, _, encoded = _run_stack(params, "encoder", x, mask=mask, **options)
    steps, mask = (x.shape[1], mask) if steps is None else (steps, None)
    decode = _decode_autoregressively if conditional else _decode
    output, decoded = decode(params, "decoder", "head", code.h, steps, mask=mask, **options)
    return output, encoded | decoded


def apply_composite_autoencoder(
    params: dict,
    x: np.ndarray,
    *,
    steps: int,
    conditional: bool = False,
    mask: np.ndarray | None = None,
    edits: Mapping | None = None,
    **activations: Any,
) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Trace]]:
    """Run `lstmcore.CompositeAutoencoder(..., steps).apply`: ((past, future), traces)."""
    options = {"edits": edits, **activations}
    code, _, encoded = _run_stack(params, "encoder", x, mask=mask, **options)
    decode: Callable = partial(
        _decode_autoregressively if conditional else _decode, params, **options
    )
    past, reconstructed = decode(
        "reconstruction", "reconstruction_head", code.h, x.shape[1], mask=mask
    )
    future, predicted = decode("prediction", "prediction_head", code.h, steps, mask=None)
    return (past, future), encoded | reconstructed | predicted


def apply_dense_autoencoder(
    params: dict, x: np.ndarray, *, activation: str = "tanh"
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Run `lstmcore.DenseAutoencoder(...).apply`: (x_hat [B, F], the output of each layer)."""
    checks.check_array("x", x, "batch features", "flatten a window: x.reshape(len(x), -1)")
    activate, depth = resolve("activation", activation).value, len(params) // 2
    outputs: dict[str, np.ndarray] = {}
    for name in (f"{half}_{i}" for half in ("encoder", "decoder") for i in range(depth)):
        if name not in params:
            raise ValueError(f"params has no layer {name} but {', '.join(params)}")
        layer = params[name]
        if isinstance(layer, BiasParams):
            tied_to = f"encoder_{2 * depth - 1 - len(outputs)}"
            layer = DenseParams(params[tied_to].kernel.T, layer.bias)
        y = dense(layer, x)
        x = outputs[name] = y if len(outputs) == 2 * depth - 1 else activate(y)
    return x, outputs


def apply_stacked_lstm(
    params: dict,
    x: np.ndarray,
    *,
    residual: bool = False,
    mask: np.ndarray | None = None,
    edits: Mapping | None = None,
    **activations: Any,
) -> tuple[np.ndarray, dict[str, Trace]]:
    """Run `lstmcore.StackedLSTM(...).apply`: (output [B, T, U], traces)."""
    stack: Callable = partial(_run_stack, params, edits=edits, residual=residual, **activations)
    _, h, traces = stack("lstm", x, mask=mask)
    return dense(params["head"], h), traces


def apply_forecaster(  # the hyperparameters of the model, and the arguments of its `apply`
    params: dict,
    x: np.ndarray,
    future: np.ndarray | None = None,
    *,
    horizon: int,
    targets: int,
    future_covariates: int = 0,
    mode: str = "direct",
    quantiles: tuple[float, ...] = (),
    dropout: float = 0.0,
    mask: np.ndarray | None = None,
    edits: Mapping | None = None,
    **activations: Any,
) -> tuple[np.ndarray, dict[str, Trace]]:
    """Run `lstmcore.Forecaster(...).apply` without a key, hence without dropout.

    A recursive one appends each forecast to the rows and reads them all again.
    """
    stack: Callable = partial(_run_stack, params, edits=edits, **activations)
    future = np.zeros((len(x), horizon, future_covariates), x.dtype) if future is None else future
    if future.shape != (len(x), horizon, future_covariates):
        expected = (len(x), horizon, future_covariates)
        raise ValueError(f"future has shape {future.shape}, expected {expected}")
    if mode == "direct":
        state, _, traces = stack("lstm", x, mask=mask)
        y = dense(params["head"], np.concatenate([state.h, future.reshape(len(x), -1)], axis=1))
        y = y.reshape(-1, horizon, targets, *(len(quantiles),) * bool(quantiles))
        return np.sort(y, axis=-1) if quantiles else y, traces
    mask = np.ones(x.shape[:2], bool) if mask is None else mask
    rows = np.concatenate([x, np.zeros((len(x), horizon, x.shape[2]), x.dtype)], axis=1)
    rows[:, x.shape[1] :, targets:] = future
    real = np.concatenate([mask, np.ones((len(x), horizon), bool)], axis=1)
    for t in range(x.shape[1], rows.shape[1]):
        read = rows[:, :t].copy()
        for example, step in np.argwhere(real[:, :t]):  # the future covariates of the next real row
            following = step + 1 + real[example, step + 1 :].argmax()
            read[example, step, targets:] = rows[example, following, targets:]
        state, _, traces = stack("lstm", read, mask=real[:, :t])
        rows[:, t, :targets] = dense(params["head"], state.h)
    return rows[:, x.shape[1] :, :targets], traces


APPLY: dict[str, Callable] = {
    "Autoencoder": apply_autoencoder,
    "CompositeAutoencoder": apply_composite_autoencoder,
    "DenseAutoencoder": apply_dense_autoencoder,
    "StackedLSTM": apply_stacked_lstm,
    "Forecaster": apply_forecaster,
}


def _decode(
    params: dict,
    name: str,
    head: str,
    code: np.ndarray,
    steps: int,
    *,
    mask: np.ndarray | None,
    **options: Any,
) -> tuple[np.ndarray, dict[str, Trace]]:
    """Run a decoder that reads the code alone: (output [B, steps, F], its traces)."""
    _, h, traces = _run_stack(params, name, repeat_vector(code, steps), mask=mask, **options)
    return dense(params[head], h), traces


def _decode_autoregressively(
    params: dict,
    name: str,
    head: str,
    code: np.ndarray,
    steps: int,
    *,
    mask: np.ndarray | None,
    edits: Mapping | None,
    **activations: Any,
) -> tuple[np.ndarray, dict[str, Trace]]:
    """Run a conditional decoder, which reads the code and its output at the last real step."""
    batch, features = len(code), len(params[head].bias)
    mask = np.ones((batch, steps), bool) if mask is None else mask
    states: dict[str, LSTMState] = {}
    previous = np.zeros((batch, features), code.dtype)
    no_steps = np.zeros((batch, 0, code.shape[1] + features), code.dtype)
    _, h, now = _run_stack(params, name, no_steps, mask=mask[:, :0], edits=None, **activations)
    outputs, traces = [dense(params[head], h)], [now]  # so that there is one if steps is 0
    for t in range(steps):
        at_t = {layer: lambda gates, _, e=e, t=t: e(gates, t) for layer, e in (edits or {}).items()}
        x_t, keep = np.concatenate([code, previous], axis=1)[:, None], mask[:, t, None]
        _, h, now = _run_stack(
            params, name, x_t, mask=keep, edits=at_t, states=states, **activations
        )
        states = {layer: LSTMState(trace.h[:, 0], trace.c[:, 0]) for layer, trace in now.items()}
        outputs.append(dense(params[head], h))
        previous = np.where(keep, outputs[-1][:, 0], previous)
        traces.append(now)
    along_time = partial(np.concatenate, axis=1)
    return along_time(outputs), {layer: _joined([now[layer] for now in traces]) for layer in now}


def _joined(traces: list[Trace]) -> Trace:
    """Join the traces of single steps to one."""
    join = partial(np.concatenate, axis=1)
    h, c, gates = zip(*traces, strict=True)
    return Trace(join(h), join(c), Gates(*map(join, zip(*gates, strict=True))))


def _run_stack(
    params: dict,
    name: str,
    x: Any,
    *,
    mask: np.ndarray | None,
    edits: Mapping | None,
    states: Mapping | None = None,
    residual: bool = False,
    **activations: Any,
) -> tuple[LSTMState, np.ndarray, dict[str, Trace]]:
    """Run layers name_0, name_1, ...: (state of the last one, its output, traces of all)."""
    if f"{name}_0" not in params:
        raise ValueError(f"params has no layer {name}_0 but {', '.join(params) or 'none at all'}")
    for unknown in set(edits or {}) - set(params):
        raise ValueError(f"edits names {unknown!r} but the layers are {', '.join(params)}")
    traces: dict[str, Trace] = {}
    while (layer := f"{name}_{len(traces)}") in params:
        edit = (edits or {}).get(layer)
        initial = (states or {}).get(layer)
        state, traces[layer] = lstm(params[layer], x, initial, mask=mask, edit=edit, **activations)
        h = traces[layer].h
        x = h + x if residual and len(traces) > 1 and h.shape == x.shape else h
    return state, x, traces
