"""Which unit of a trained layer follows a signal, and whether the model needs it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.studies.prediction import nats
from lstmcore import study


@jax.jit
def correlations(params, windows, signals) -> jax.Array:
    """Pearson's r of every unit's cell with every signal.

    Args:
      windows: int [B, T + 1]. signals: float [S, B, T + 1].

    Returns:
      [S, H].
    """
    _, trace = nats(params, windows)
    return jax.vmap(lambda signal: study.correlation(trace, signal).r.c)(signals[:, :, :-1])


def largest_by_chance(params, windows, signals, *, shuffles: int, seed: int = 0) -> np.ndarray:
    """The largest |r| of any unit where each window's signal is that of another window.

    The signals stay as they are within a window, so they are as smooth as before. Of all shuffles
    the largest: [S].
    """
    rng = np.random.default_rng(seed)
    largest = np.zeros(len(signals))
    for _ in range(shuffles):
        moved = signals[:, rng.permutation(len(windows))]
        found = np.abs(correlations(params, windows, moved)).max(axis=1)
        largest = np.maximum(largest, found)
    return largest


def harm_of_silencing(params, windows, relevant: np.ndarray) -> np.ndarray:
    """By how many nats each unit, kept from showing anything, raises the loss.

    A unit is silenced by holding its output gate at 0: its cell runs on, but neither the other
    units nor the output see it.

    Args:
      windows: int [B, T + 1]. relevant: bool [S, B, T], for each signal the steps that count.

    Returns:
      [S, 2, H]: mean rise of the loss at the relevant steps, and at all others.
    """
    where = jnp.stack([jnp.asarray(relevant), ~jnp.asarray(relevant)], axis=1)

    def means(loss):
        return jnp.mean(jnp.broadcast_to(loss, where.shape), axis=(2, 3), where=where)

    @jax.jit
    def silenced(unit):
        size = params["lstm"].recurrent_kernel.shape[0]
        edit = study.scale("output", 1.0 - jax.nn.one_hot(unit, size))
        return means(nats(params, windows, edit=edit)[0])

    intact = means(jax.jit(nats)(params, windows)[0])
    size = params["lstm"].recurrent_kernel.shape[0]
    return np.stack([np.asarray(silenced(unit) - intact) for unit in range(size)], axis=-1)
