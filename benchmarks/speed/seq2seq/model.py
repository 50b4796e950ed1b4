"""The model in lstmcore, its sizes, and weights and tokens that all libraries are given."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks.speed.grid import Cell
from lstmcore.vocabulary import PADDING

ATTENTION = {"seq2seq": None, "seq2seq_attention": "general"}  # by case
TOKENS = 64
# batch, steps of the source and of the target alike, size of an embedding, units
CELLS = (Cell(32, 20, 64, 128), Cell(64, 20, 64, 128), Cell(64, 20, 64, 256))


def model(cell: Cell, attention: str | None):
    """Return the model, with one layer in the encoder and one in the decoder."""
    return lc.Seq2Seq(
        TOKENS, TOKENS, units=cell.units, embedding=cell.features, attention=attention
    )


def draw(cell: Cell, attention: str | None, seed: int = 0):
    """Draw (params with NumPy arrays, source [B, T], target [B, T]); no token is padding."""
    rng = np.random.default_rng(seed)
    params = draw_params(model(cell, attention), rng)
    source, target = rng.integers(4, TOKENS, (2, cell.batch, cell.time)).astype(np.int32)
    return params, source, target


def draw_params(network, rng: np.random.Generator) -> dict:
    """Draw the params of a model of lstmcore as NumPy arrays.

    All weights differ, for the reason given in `benchmarks.speed.grid.draw`.
    """

    def normal(leaf):
        return rng.normal(0, leaf.shape[0] ** -0.5, leaf.shape).astype(np.float32)

    return jax.tree.map(normal, network.init(jax.random.key(0)))


def gradients_by_name(gradients: dict) -> dict[str, np.ndarray]:
    """Return gradients in lstmcore's layout, by layer and field."""
    return {
        f"gradient of {layer}.{field}": np.asarray(array)
        for layer, params in gradients.items()
        for field, array in params._asdict().items()
        if array is not None
    }


class Translator:
    """One training step, without the optimizer: the loss and the gradients of all weights."""

    def __init__(self, attention, params, source, target):
        batch, time = source.shape
        embedding, units = params["source_embedding"].table.shape[1], params["head"].kernel.shape[0]
        network = model(Cell(batch, time, embedding, units), attention)

        def loss(params, source, target):
            logits, _ = network.apply(params, source, target)
            return lc.cross_entropy(logits, target, mask=target != PADDING)

        self.step = jax.jit(jax.value_and_grad(loss))
        self.arguments = jax.tree.map(jnp.asarray, (params, source, target))

    def run(self):
        return jax.block_until_ready(self.step(*self.arguments))

    def read(self, result) -> dict[str, np.ndarray]:
        loss, gradients = result
        return {"loss": np.asarray(loss)} | gradients_by_name(gradients)
