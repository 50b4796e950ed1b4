"""Sizes of the layers that are measured, and weights and input that all peers are given."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from lstmcore.types import LSTMParams


class Cell(NamedTuple):
    """Sizes of one layer and its input: batch, time, features, units."""

    batch: int
    time: int
    features: int
    units: int

    @classmethod
    def parse(cls, text: str) -> Cell:
        """Read a cell such as "16,100,8,128".

        Raises:
          ValueError: the text is no four whole numbers of 1 or more.
        """
        try:
            cell = cls(*map(int, text.split(",")))
        except (TypeError, ValueError):
            raise ValueError(
                f"cell {text!r} must be four whole numbers B,T,F,H such as 16,100,8,128"
            ) from None
        if min(cell) < 1:
            raise ValueError(f"cell {text!r} must have sizes of 1 or more")
        return cell

    def __str__(self) -> str:
        return ",".join(map(str, self))

    @property
    def forward_flop(self) -> int:
        """The floating-point operations of the matrix products in one forward pass."""
        batch, time, features, units = self
        return 2 * batch * time * (features + units) * 4 * units


GRID = tuple(
    Cell(*sizes)
    for sizes in [
        (1, 100, 8, 64),
        (5, 3, 2, 128),
        (8, 200, 16, 64),
        (16, 100, 8, 128),
        (32, 100, 8, 128),
        (16, 1000, 16, 64),
        (64, 100, 32, 256),
        (32, 35, 200, 650),
        (64, 128, 512, 512),
    ]
)
QUICK_GRID = (GRID[1], GRID[3])
# Of different kinds: one step, many steps, and many units, whose products have another form.
COMPILE_CELLS = (Cell(1, 1, 8, 64), Cell(16, 100, 8, 128), Cell(16, 35, 8, 640))
MEMORY_CELLS = (Cell(64, 100, 32, 256), Cell(16, 1000, 16, 64))
STREAM_CELLS = tuple(Cell(1, 1, 8, units) for units in (64, 128, 512))

# Ranges of the sizes of random cells, both ends included.
BATCHES, STEPS, FEATURES, UNITS = (1, 64), (2, 1000), (1, 400), (16, 768)
TRAINING_FLOP = 6_000_000_000  # of the products of one training step of a random cell, at most


def random_cells(count: int, seed: int) -> tuple[Cell, ...]:
    """Draw cells, each size log-uniform, with no more steps than `TRAINING_FLOP` allows.

    A seed draws the same cells everywhere: Python keeps the sequence of `random.Random`, and
    `decimal` rounds alike on all platforms.
    """
    uniform = random.Random(seed).random
    cells = []
    for _ in range(count):
        batch, features, units = (
            _log_uniform(uniform(), *sizes) for sizes in (BATCHES, FEATURES, UNITS)
        )
        of_one_step = 3 * Cell(batch, 1, features, units).forward_flop  # forward, and twice back
        most = min(STEPS[1], TRAINING_FLOP // of_one_step)
        cells.append(Cell(batch, _log_uniform(uniform(), STEPS[0], most), features, units))
    return tuple(cells)


def _log_uniform(uniform: float, low: int, high: int) -> int:
    """Return a whole number from `low` to `high`, from a number in [0, 1)."""
    return int(low * (Decimal(uniform) * (Decimal(high + 1) / low).ln()).exp())


def draw(cell: Cell, seed: int = 0) -> tuple[LSTMParams, np.ndarray]:
    """Draw weights (NumPy, float32, in lstmcore's layout) and input [B, T, F].

    No two gates have equal weights, so that a peer with its gates in another order is noticed.
    """
    rng = np.random.default_rng(seed)
    batch, time, features, units = cell

    def normal(*shape, scale):
        return rng.normal(0, scale, shape).astype(np.float32)

    weights = LSTMParams(
        kernel=normal(features, 4 * units, scale=features**-0.5),
        recurrent_kernel=normal(units, 4 * units, scale=units**-0.5),
        bias=normal(4 * units, scale=0.5),
    )
    return weights, normal(batch, time, features, scale=1.0)
