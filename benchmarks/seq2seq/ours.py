"""lstmcore's own model."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks.seq2seq import sizes
from lstmcore.vocabulary import PADDING


class Translator:
    """One training step, without the optimizer: the loss and the gradients of all weights."""

    def __init__(self, attention, params, source, target):
        batch, time = source.shape
        embedding, units = params["source_embedding"].table.shape[1], params["head"].kernel.shape[0]
        cell = sizes.Cell(batch, time, embedding, units)
        model = sizes.model(cell, attention)

        def loss(params, source, target):
            logits, _ = model.apply(params, source, target)
            return lc.cross_entropy(logits, target, mask=target != PADDING)

        self.step = jax.jit(jax.value_and_grad(loss))
        self.arguments = jax.tree.map(jnp.asarray, (params, source, target))

    def run(self):
        return jax.block_until_ready(self.step(*self.arguments))

    def read(self, result) -> dict[str, np.ndarray]:
        loss, gradients = result
        return {"loss": np.asarray(loss)} | sizes.named(gradients)
