"""Trained models on NumPy alone: the data flow of `lstmcore.models`, and loading from a file."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from lstmcore.reference.layers import dense, repeat_vector
from lstmcore.reference.sequence import lstm
from lstmcore.types import LSTMState, Trace


def load(path) -> tuple[Callable, dict]:
    """A model written by `lstmcore.save`, to be run without JAX.

    Args:
      path: the file.

    Returns:
      (apply, params): `apply(params, x, mask=None, edits=None)` does what the model's own
      `apply` does, that of a Forecaster with its `future`; params are NumPy arrays.

    Raises:
      ValueError: the file is not one of lstmcore's, damaged, or needs JAX (a Seq2Seq, bfloat16
        weights).
      FileNotFoundError: there is no such file.
    """
    from lstmcore.files import read

    contents = read(path)
    if contents.model not in APPLY:
        raise ValueError(
            f"{path} holds a {contents.model}, which the NumPy engine does not run: it takes "
            f"{', '.join(APPLY)}; use lstmcore.load"
        )
    options = dict(contents.hyperparameters)
    del options["features"], options["units"]  # the weights' own shapes say it
    options.pop("outputs", None)
    if any(str(layer.kernel.dtype) == "bfloat16" for layer in contents.params.values()):
        raise ValueError(
            f"{path} holds bfloat16 weights, which NumPy cannot compute with: save float32"
        )
    return partial(APPLY[contents.model], **options), contents.params


def apply_autoencoder(
    params: dict, x: np.ndarray, *, steps=None, mask=None, edits=None, **activations
) -> tuple[np.ndarray, dict[str, Trace]]:
    """`lstmcore.Autoencoder(..., steps).apply`: (output [B, steps or T, F], traces)."""
    stack: Callable = partial(_run_stack, params, edits=edits, **activations)
    state, _, encoded = stack("encoder", x, mask=mask)
    steps, mask = (x.shape[1], mask) if steps is None else (steps, None)
    _, h, decoded = stack("decoder", repeat_vector(state.h, steps), mask=mask)
    return dense(params["head"], h), encoded | decoded


def apply_composite_autoencoder(
    params: dict, x: np.ndarray, *, steps: int, mask=None, edits=None, **activations
) -> tuple[tuple[np.ndarray, np.ndarray], dict[str, Trace]]:
    """`lstmcore.CompositeAutoencoder(..., steps).apply`: ((past, future), traces)."""
    stack: Callable = partial(_run_stack, params, edits=edits, **activations)
    state, _, encoded = stack("encoder", x, mask=mask)
    _, past, recalled = stack("reconstruction", repeat_vector(state.h, x.shape[1]), mask=mask)
    _, future, foreseen = stack("prediction", repeat_vector(state.h, steps), mask=None)
    reconstruction = dense(params["reconstruction_head"], past)
    prediction = dense(params["prediction_head"], future)
    return (reconstruction, prediction), encoded | recalled | foreseen


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
    known: int = 0,
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
    future = np.zeros((len(x), horizon, known), x.dtype) if future is None else future
    if future.shape != (len(x), horizon, known):
        raise ValueError(f"future has shape {future.shape}, expected {(len(x), horizon, known)}")
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
    "StackedLSTM": apply_stacked_lstm,
    "Forecaster": apply_forecaster,
}


def _run_stack(
    params, name, x, *, mask, edits, residual=False, **activations
) -> tuple[LSTMState, np.ndarray, dict[str, Trace]]:
    if f"{name}_0" not in params:
        raise ValueError(f"params has no layer {name}_0 but {', '.join(params) or 'none at all'}")
    for unknown in set(edits or {}) - set(params):
        raise ValueError(f"edits names {unknown!r} but the layers are {', '.join(params)}")
    traces: dict[str, Trace] = {}
    while (layer := f"{name}_{len(traces)}") in params:
        edit = (edits or {}).get(layer)
        state, traces[layer] = lstm(params[layer], x, mask=mask, edit=edit, **activations)
        h = traces[layer].h
        x = h + x if residual and len(traces) > 1 and h.shape == x.shape else h
    return state, x, traces
