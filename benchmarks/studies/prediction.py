"""Prediction of the next character by one LSTM layer and a dense layer, shared by two studies."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstmcore as lc

BITS = float(np.log2(np.e))  # per nat


def init(key, characters: int, units: int, **options) -> dict:
    """Draw initial weights for `characters` characters; `options` are those of `lc.init_lstm`."""
    lstm_key, head_key = jax.random.split(key)
    return {
        "lstm": lc.init_lstm(lstm_key, characters, units, **options),
        "head": lc.init_dense(head_key, units, characters),
    }


def nats(params, windows, **options):
    """Compute the cross-entropy of each character but the first, given those before it.

    Args:
      windows: int [B, T + 1].
      **options: of `lc.lstm`: an edit, activations.

    Returns:
      ([B, T] in nats, Trace of the layer).
    """
    x = jax.nn.one_hot(windows[:, :-1], len(params["lstm"].kernel))
    _, trace = lc.lstm(params["lstm"], x, **options)
    logits = lc.dense(params["head"], trace.h)
    return optax.softmax_cross_entropy_with_integer_labels(logits, windows[:, 1:]), trace


def mean_loss(options: dict):
    """Return a loss for `lc.fit`: mean cross-entropy in nats over all characters of the batch."""

    def loss(params, windows):
        return jnp.mean(nats(params, windows, **options)[0])

    return loss


def bits(loss, params, windows: np.ndarray, batch: int = 128) -> float:
    """Compute bits per character over all windows, in batches of equal size."""
    full = windows[: max(1, len(windows) // batch) * batch]
    starts = range(0, len(full), batch)
    values = [_measured(loss, params, full[start : start + batch]) for start in starts]
    return BITS * float(np.mean(values))


@partial(jax.jit, static_argnames="loss")
def _measured(loss, params, windows):
    return loss(params, windows)


def optimizer(rate: float, steps: int):
    """Return Adam with cosine decay to 0 over all steps and gradients clipped to norm 1."""
    schedule = optax.cosine_decay_schedule(rate, steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))
