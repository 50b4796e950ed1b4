"""Made-up series of a monitored quantity, whose anomalies are known.

    case = draw("season", seed)
    case.normal                     [1200, F] to train on, or [300, F]
    case.parts["level"]             (values [800, F], labels [800]): the rows after it, disturbed

Every part has the same rows, so what is found in the undisturbed one is false. Anomalies are in the
first column, and their size is a multiple of its noise, the standard deviation of what cannot be
predicted in it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

ROWS, TRAINED = 2_000, 1_200
FEW = 600  # rows to train on of "few rows": enough to fit a tail, in 18 batches
SEASON = 48  # rows
LENGTH = 40  # rows of an anomaly other than a spike
ODD = 30, 100, 300  # sizes of three odd rows among the normal ones
STARTS = (200, 400), (550, 700)  # between which each of two begins
UNDISTURBED = "none"


class Monitored(NamedTuple):
    """A series.

    normal: [rows, F], taken to be normal
    parts: {name: (values [rows, F], labels bool [rows])}, what is scored
    """

    normal: np.ndarray
    parts: dict[str, tuple[np.ndarray, np.ndarray]]


def draw(name: str, seed: int) -> Monitored:
    """Draw one of `SERIES` with each of `KINDS` of anomalies, and with none."""
    rng = np.random.default_rng([list(SERIES).index(name), seed])
    values, noise = SERIES[name](rng)
    normal, after = np.split(values, [TRAINED])
    normal = normal[-FEW:] if name == "few rows" else normal
    parts = {UNDISTURBED: (after, np.zeros(len(after), bool))}
    return Monitored(normal, parts | {kind: disturbed(after, kind, noise, rng) for kind in KINDS})


def disturbed(values, kind: str, noise: float, rng) -> tuple[np.ndarray, np.ndarray]:
    """Put two anomalies into a copy of values [rows, F]: (values, labels)."""
    values, labels = values.copy(), np.zeros(len(values), bool)
    for earliest, latest in STARTS:
        start = int(rng.integers(earliest, latest))
        rows = slice(start, start + (1 if kind == "spike" else LENGTH))
        values[rows, 0] = KINDS[kind](values[rows, 0], noise, rng)
        labels[rows] = True
    return values, labels


def _sign(rng) -> int:
    return 1 if rng.random() < 0.5 else -1


KINDS: dict[str, Callable] = {
    "spike": lambda rows, noise, rng: rows + _sign(rng) * 6 * noise,
    "level": lambda rows, noise, rng: rows + _sign(rng) * 4 * noise,
    "burst": lambda rows, noise, rng: rows + 4 * noise * rng.normal(size=len(rows)),
    "stuck": lambda rows, noise, rng: np.full_like(rows, rows[0]),
    "ramp": lambda rows, noise, rng: rows + _sign(rng) * 6 * noise * np.linspace(0, 1, len(rows)),
}


def _season(rng) -> tuple[np.ndarray, float]:
    angle = 2 * np.pi * np.arange(ROWS) / SEASON
    wave = np.sin(angle) + 0.5 * np.sin(2 * angle + 1)
    return (wave + 0.15 * rng.normal(size=ROWS))[:, None], 0.15


def _odd_rows(rng) -> tuple[np.ndarray, float]:
    values, noise = _season(rng)
    values[rng.choice(TRAINED, 3, replace=False), 0] += _sign(rng) * np.array(ODD) * noise
    return values, noise


def _autoregression(rng) -> tuple[np.ndarray, float]:
    return _remembered(rng.normal(size=ROWS)), 1.0


def _changing_noise(rng) -> tuple[np.ndarray, float]:
    size = 1 + 0.8 * np.sin(2 * np.pi * np.arange(ROWS) / 600)
    return _remembered(size * rng.normal(size=ROWS)), 1.0


def _remembered(changes: np.ndarray) -> np.ndarray:
    values = changes.copy()
    for row in range(1, len(values)):
        values[row] += 0.8 * values[row - 1]
    return values[:, None]


def _drift(rng) -> tuple[np.ndarray, float]:
    return np.cumsum(0.02 + 0.3 * rng.normal(size=ROWS))[:, None], 0.3


def _three_columns(rng) -> tuple[np.ndarray, float]:
    angle = 2 * np.pi * np.arange(ROWS)[:, None] / SEASON + np.arange(3)
    return np.sin(angle) + 0.15 * rng.normal(size=(ROWS, 3)), 0.15


SERIES: dict[str, Callable] = {
    "season": _season,
    "season, odd rows": _odd_rows,
    "three columns": _three_columns,
    "autoregression": _autoregression,
    "changing noise": _changing_noise,
    "drift": _drift,
    "few rows": _season,
}
