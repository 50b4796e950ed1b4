"""Correlation of units of a trained layer with signals, and the effect of silencing a unit."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.studies import corpus
from benchmarks.studies.prediction import nats
from benchmarks.studies.signals import falls, signals
from lstmcore import study

STEPS = 256  # of the windows; a string or bracket may have begun before its window


@jax.jit
def correlations(params, windows, signals) -> jax.Array:
    """Compute Pearson's r of every unit's cell with every signal.

    Args:
      windows: int [B, T + 1]. signals: float [S, B, T + 1].

    Returns:
      [S, H].
    """
    _, trace = nats(params, windows)
    return jax.vmap(lambda signal: study.correlation(trace, signal).r.c)(signals[:, :, :-1])


def largest_by_chance(params, windows, signals, *, shuffles: int, seed: int = 0) -> np.ndarray:
    """Compute the largest |r| of any unit if each window has the signal of another window.

    Signals are not changed within a window, so they are as smooth as before.

    Returns:
      [S], the largest of all shuffles.
    """
    rng = np.random.default_rng(seed)
    largest = np.zeros(len(signals))
    for _ in range(shuffles):
        moved = signals[:, rng.permutation(len(windows))]
        found = np.abs(correlations(params, windows, moved)).max(axis=1)
        largest = np.maximum(largest, found)
    return largest


def harm_of_silencing(params, windows, relevant: np.ndarray) -> np.ndarray:
    """Compute by how many nats the loss rises if a unit is silenced, for each unit.

    A unit is silenced by holding its output gate at 0: its cell continues, but neither the other
    units nor the output receive its h.

    Args:
      windows: int [B, T + 1]. relevant: bool [S, B, T], for each signal the steps that count.

    Returns:
      [S, 2, H]: mean rise of the loss at the relevant steps, and at all others; 0 where there are
      none.
    """
    where = jnp.stack([jnp.asarray(relevant), ~jnp.asarray(relevant)], axis=1)
    size = params["lstm"].recurrent_kernel.shape[0]
    steps = jnp.maximum(where.sum(axis=(2, 3)), 1).astype(jnp.float32)

    def means(loss):
        return jnp.sum(jnp.where(where, loss, 0.0), axis=(2, 3)) / steps

    @jax.jit
    def silenced(unit):
        edit = study.scale("output", 1.0 - jax.nn.one_hot(unit, size))
        return means(nats(params, windows, edit=edit)[0])

    intact = means(jax.jit(nats)(params, windows)[0])
    return np.stack([np.asarray(silenced(unit) - intact) for unit in range(size)], axis=-1)


def sample_windows(part: str, source, letters, count: int):
    """Return (names of the signals, windows [B, T + 1] of all the text, signals [S, B, T + 1])."""
    found = signals(part, is_python=source.is_python)
    windows = corpus.windows(letters.encode(part), STEPS + 1)
    chosen = np.linspace(0, len(windows) - 1, min(count, len(windows))).astype(int)
    cut = [corpus.windows(values, STEPS + 1)[chosen] for values in found.values()]
    return list(found), windows[chosen], np.stack(cut)


def saturation(params, windows) -> dict:
    """Return {"left" or "right": {gate: [H]}}, the fractions of all steps."""
    _, trace = jax.jit(nats)(params, windows)
    sides = study.saturation(trace)._asdict()
    return {
        side: {gate: _rounded(values) for gate, values in gates._asdict().items()}
        for side, gates in sides.items()
    }


def find(params, untrained, choose, verify, shuffles) -> dict[str, list]:
    """Return, for each signal, the unit chosen, its r on both texts, and the |r| by chance."""
    chosen_r = np.asarray(correlations(params, *choose))
    unit = np.abs(chosen_r).argmax(axis=1)
    places = np.arange(len(unit))
    verified_r = np.asarray(correlations(params, *verify))
    of_untrained = [np.abs(correlations(weights, *verify)).max(1) for weights in untrained]
    return {
        "unit": unit.tolist(),
        "r_chosen": _rounded(chosen_r[places, unit]),
        "r": _rounded(verified_r[places, unit]),
        "untrained": _rounded(np.max(of_untrained, axis=0)),
        "shuffled": _rounded(largest_by_chance(params, *verify, shuffles=shuffles)),
        "all_r": [_rounded(row) for row in verified_r],
    }


def silence(params, windows, values, chosen: list[int], count: int) -> dict[str, list]:
    """Return, for each signal, the harm of silencing its unit, and each other unit."""
    some = np.linspace(0, len(windows) - 1, min(count, len(windows))).astype(int)
    relevant = falls(values[:, some])
    harm = harm_of_silencing(params, windows[some], relevant)
    places = np.arange(len(chosen))
    own, elsewhere = harm[places, 0, chosen], harm[places, 1, chosen]
    others = [np.delete(row, unit) for row, unit in zip(harm[:, 0], chosen, strict=True)]
    return {
        "ends": relevant.sum(axis=(1, 2)).tolist(),
        "harm": _rounded(own),
        "harm_elsewhere": _rounded(elsewhere),
        "harm_of_others": [_rounded(row) for row in others],
    }


def _rounded(values) -> list[float]:
    return [round(float(value), 4) for value in values]
