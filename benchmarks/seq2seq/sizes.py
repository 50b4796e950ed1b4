"""Which models are measured, and weights and tokens that are the same for everyone."""

from __future__ import annotations

import jax
import numpy as np

import lstmcore as lc
from benchmarks.grid import Cell

ATTENTION = {"seq2seq": None, "seq2seq_attention": "general"}  # by case
TOKENS = 64
# batch, steps of the source and of the target alike, size of an embedding, units
CELLS = (Cell(32, 20, 64, 128), Cell(64, 20, 64, 128), Cell(64, 20, 64, 256))


def model(cell: Cell, attention: str | None):
    """One layer on each side."""
    return lc.Seq2Seq(
        TOKENS, TOKENS, units=cell.units, embedding=cell.features, attention=attention
    )


def draw(cell: Cell, attention: str | None, seed: int = 0):
    """(params with NumPy arrays, source [B, T], target [B, T]); no token is padding.

    Every number is drawn on its own, for the reason given in `benchmarks.grid.draw`.
    """
    rng = np.random.default_rng(seed)

    def normal(leaf):
        return rng.normal(0, leaf.shape[0] ** -0.5, leaf.shape).astype(np.float32)

    params = jax.tree.map(normal, model(cell, attention).init(jax.random.key(0)))
    source, target = rng.integers(4, TOKENS, (2, cell.batch, cell.time)).astype(np.int32)
    return params, source, target


def named(gradients: dict) -> dict[str, np.ndarray]:
    """Gradients in lstmcore's layout, by layer and field."""
    return {
        f"gradient of {layer}.{field}": np.asarray(array)
        for layer, params in gradients.items()
        for field, array in params._asdict().items()
        if array is not None
    }
