"""Trained models on NumPy alone: the data flow of `lstmcore.models`, and loading from a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lstmcore import checks
from lstmcore.io.model_file import read_model_file
from lstmcore.reference.activations import resolve
from lstmcore.reference.layers import dense, repeat_vector
from lstmcore.reference.sequence import lstm
from lstmcore.types import BiasParams, DenseParams, Gates, LSTMState, Trace


def load(path) -> tuple[Callable, dict]:
    """A model written by `lstmcore.save`, to be run without JAX.

    Args:
      path: the file.

    Returns:
      (apply, params): `apply(params, x, mask=None, edits=None)` does what the model's own
      `apply` does, without a `target`, that of a Forecaster with its `future`; of a dense
      autoencoder `apply(params, x)`. The params are NumPy arrays.

    Raises:
      ValueError: the file is not one of lstmcore's, damaged, or needs JAX (a Seq2Seq, bfloat16
        weights).
      FileNotFoundError: there is no such file.
    """
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
    steps=None,
    conditional=False,
    mask=None,
    edits=None,
    **activations,
) -> tuple[np.ndarray, dict[str, Trace]]:
    """`lstmcore.Autoencoder(..., steps).apply`: (output [B, steps or T, F], traces)."""
    options = {"edits": edits, **activations}
    code, _, encoded = _run_stack(params, "encoder", x, mask=mask, **options)
    steps, mask = (x.shape[1], mask) if steps is None else (steps, None)
    write = _write_by_itself if conditional else _write
    output, decoded = write(params, "decoder", "head", code.h, steps, mask=mask, **options)
    return output, encoded | decoded


def apply_composite_autoencoder(
    params: dict,
    x: np.ndarray,
    *,
    steps: int,
    conditional=False,
    mask=None,
    edits=None,
    **activations,
) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Trace]]:
    """`lstmcore.CompositeAutoencoder(..., steps).apply`: ((past, future), traces)."""
    options = {"edits": edits, **activations}
    code, _, encoded = _run_stack(params, "encoder", x, mask=mask, **options)
    write: Callable = partial(_write_by_itself if conditional else _write, params, **options)
    past, recalled = write("reconstruction", "reconstruction_head", code.h, x.shape[1], mask=mask)
    future, foreseen = write("prediction", "prediction_head", code.h, steps, mask=None)
    return (past, future), encoded | recalled | foreseen


def apply_dense_autoencoder(
    params: dict, x: np.ndarray, *, activation: str = "tanh"
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """`lstmcore.DenseAutoencoder(...).apply`: (x_hat [B, F], what each layer shows)."""
    checks.check_array("x", x, "batch features", "flatten a window: x.reshape(len(x), -1)")
    squash, depth = resolve("activation", activation).value, len(params) // 2
    shown: dict[str, np.ndarray] = {}
    for name in (f"{half}_{i}" for half in ("encoder", "decoder") for i in range(depth)):
        if name not in params:
            raise ValueError(f"params has no layer {name} but {', '.join(params)}")
        layer = params[name]
        if isinstance(layer, BiasParams):
            tied_to = f"encoder_{2 * depth - 1 - len(shown)}"
            layer = DenseParams(params[tied_to].kernel.T, layer.bias)
        y = dense(layer, x)
        x = shown[name] = y if len(shown) == 2 * depth - 1 else squash(y)
    return x, shown


def apply_stacked_lstm(
    params: dict, x: np.ndarray, *, residual=False, mask=None, edits=None, **activations
) -> tuple[np.ndarray, dict[str, Trace]]:
    """`lstmcore.StackedLSTM(...).apply`: (output [B, T, U], traces)."""
    stack: Callable = partial(_run_stack, params, edits=edits, residual=residual, **activations)
    _, h, traces = stack("lstm", x, mask=mask)
    return dense(params["head"], h), traces


def apply_forecaster(
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
    mask=None,
    edits=None,
    **activations,
) -> tuple[np.ndarray, dict[str, Trace]]:
    """`lstmcore.Forecaster(...).apply` without a key, so that nothing is dropped.

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
        for example, step in np.argwhere(real[:, :t]):  # what is known of the next real row
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


def _write(params, name, head, code, steps, *, mask, **options):
    """A decoder that reads the code alone: (output [B, steps, F], its traces)."""
    _, h, traces = _run_stack(params, name, repeat_vector(code, steps), mask=mask, **options)
    return dense(params[head], h), traces


def _write_by_itself(params, name, head, code, steps, *, mask, edits, **activations):
    """A conditional decoder: beside the code it reads what it wrote at the last real step."""
    batch, features = len(code), len(params[head].bias)
    mask = np.ones((batch, steps), bool) if mask is None else mask
    wrote, states = np.zeros((batch, features), code.dtype), {}
    nothing = np.zeros((batch, 0, code.shape[1] + features), code.dtype)
    _, h, now = _run_stack(params, name, nothing, mask=mask[:, :0], edits=None, **activations)
    written, traces = [dense(params[head], h)], [now]  # of no steps, to be added to
    for t in range(steps):
        at_t = {layer: lambda gates, _, e=e, t=t: e(gates, t) for layer, e in (edits or {}).items()}
        x_t, keep = np.concatenate([code, wrote], axis=1)[:, None], mask[:, t, None]
        _, h, now = _run_stack(
            params, name, x_t, mask=keep, edits=at_t, states=states, **activations
        )
        states = {layer: LSTMState(trace.h[:, 0], trace.c[:, 0]) for layer, trace in now.items()}
        written.append(dense(params[head], h))
        wrote = np.where(keep, written[-1][:, 0], wrote)
        traces.append(now)
    along_time = partial(np.concatenate, axis=1)
    return along_time(written), {layer: _joined([now[layer] for now in traces]) for layer in now}


def _joined(traces: list[Trace]) -> Trace:
    """One trace of those of single steps."""
    join = partial(np.concatenate, axis=1)
    h, c, gates = zip(*traces, strict=True)
    return Trace(join(h), join(c), Gates(*map(join, zip(*gates, strict=True))))


def _run_stack(
    params, name, x, *, mask, edits, states=None, residual=False, **activations
) -> tuple[LSTMState, np.ndarray, dict[str, Trace]]:
    if f"{name}_0" not in params:
        raise ValueError(f"params has no layer {name}_0 but {', '.join(params) or 'none at all'}")
    for unknown in set(edits or {}) - set(params):
        raise ValueError(f"edits names {unknown!r} but the layers are {', '.join(params)}")
    traces: dict[str, Trace] = {}
    while (layer := f"{name}_{len(traces)}") in params:
        edit = (edits or {}).get(layer)
        start = (states or {}).get(layer)
        state, traces[layer] = lstm(params[layer], x, start, mask=mask, edit=edit, **activations)
        h = traces[layer].h
        x = h + x if residual and len(traces) > 1 and h.shape == x.shape else h
    return state, x, traces
