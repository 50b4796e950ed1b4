"""Sizes of the layers that are measured, and weights and input that all peers are given."""

from __future__ import annotations

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
COMPILE_CELLS = (Cell(8, 200, 16, 64), Cell(64, 100, 32, 256))
MEMORY_CELLS = (Cell(64, 100, 32, 256), Cell(16, 1000, 16, 64))
STREAM_CELLS = tuple(Cell(1, 1, 8, units) for units in (64, 128, 512))


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
