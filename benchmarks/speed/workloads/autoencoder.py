"""One training step of the LSTM autoencoder: encode, repeat the code at each step, decode."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks.speed.grid import Cell
from benchmarks.speed.seq2seq.model import draw_params
from benchmarks.speed.workloads.workload import (
    Workload,
    draw_sequences,
    jax_step,
    keras_step,
    torch_step,
)

# batch, steps, features, units of encoder and decoder
CELLS = (Cell(32, 50, 1, 64), Cell(16, 100, 8, 128), Cell(64, 30, 16, 256))


def draw(cell: Cell):
    """Draw (model, params, x [B, T, F])."""
    model = lc.Autoencoder(cell.features, cell.units)
    rng = np.random.default_rng(0)
    return model, draw_params(model, rng), draw_sequences(cell, rng)


def in_lstmcore(cell: Cell) -> Workload:
    """Return the step in lstmcore."""
    model, params, x = draw(cell)

    def loss(params, x):
        x_hat, _ = model.apply(params, x)
        return jnp.mean((x_hat - x) ** 2)

    return jax_step(loss, params, x)


def in_keras(cell: Cell) -> Workload:
    """Return the step in Keras on JAX."""
    import keras
    from keras import layers

    _, params, x = draw(cell)
    network = keras.Sequential(
        [
            layers.Input((cell.time, cell.features)),
            layers.LSTM(cell.units, name="encoder_0"),
            layers.RepeatVector(cell.time),
            layers.LSTM(cell.units, return_sequences=True, name="decoder_0"),
            layers.Dense(cell.features, name="head"),  # at each step
        ]
    )
    return keras_step(network, params, x, x)


def in_torch(cell: Cell) -> Workload:
    """Return the step in PyTorch."""
    from torch import nn

    from benchmarks.speed.seq2seq.pytorch import in_our_layout, module_of

    _, params, x = draw(cell)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            for name, layer in params.items():
                self.add_module(name, module_of(layer))

        def forward(self, x):
            _, (code, _) = self.encoder_0(x)
            hidden, _ = self.decoder_0(code.expand(len(x), -1, -1))
            return self.head(hidden)

    def by_layer(gradients):
        return {
            name: in_our_layout(layer, lambda field, name=name: gradients[f"{name}.{field}"])
            for name, layer in params.items()
        }

    return torch_step(Network(), x, x, by_layer)


IN = {"control": in_lstmcore, "torch": in_torch, "keras-jax": in_keras}
