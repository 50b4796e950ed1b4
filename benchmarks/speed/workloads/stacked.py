"""One training step of two stacked LSTM layers and a dense layer at each step."""

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
from lstmcore.types import DenseParams, LSTMParams

# batch, steps, features, units of each layer; the target has as many features as the input
CELLS = (Cell(8, 200, 16, 64), Cell(32, 100, 8, 128), Cell(20, 35, 200, 650))


def draw(cell: Cell):
    """Draw (model, params, x [B, T, F], target [B, T, F])."""
    model = lc.StackedLSTM(cell.features, (cell.units, cell.units), cell.features)
    rng = np.random.default_rng(0)
    x, target = (draw_sequences(cell, rng) for _ in range(2))
    return model, draw_params(model, rng), x, target


def in_lstmcore(cell: Cell) -> Workload:
    """Return the step in lstmcore."""
    model, params, x, target = draw(cell)

    def loss(params, x, target):
        y, _ = model.apply(params, x)
        return jnp.mean((y - target) ** 2)

    return jax_step(loss, params, x, target)


def in_keras(cell: Cell) -> Workload:
    """Return the step in Keras on JAX."""
    import keras
    from keras import layers

    _, params, x, target = draw(cell)
    network = keras.Sequential(
        [
            layers.Input((cell.time, cell.features)),
            layers.LSTM(cell.units, return_sequences=True, name="lstm_0"),
            layers.LSTM(cell.units, return_sequences=True, name="lstm_1"),
            layers.Dense(cell.features, name="head"),
        ]
    )
    return keras_step(network, params, x, target)


def in_flax(cell: Cell) -> Workload:
    """Return the step in Flax linen."""
    import flax.linen as nn

    from benchmarks.speed.peers.flax_linen import cell_of, weights_of

    _, params, x, target = draw(cell)

    class Network(nn.Module):
        def setup(self):
            self.lstm_0 = nn.RNN(nn.OptimizedLSTMCell(cell.units))
            self.lstm_1 = nn.RNN(nn.OptimizedLSTMCell(cell.units))
            self.head = nn.Dense(cell.features)

        def __call__(self, x):
            return self.head(self.lstm_1(self.lstm_0(x)))

    network = Network()

    def loss(weights, x, target):
        return jnp.mean((network.apply({"params": weights}, x) - target) ** 2)

    def in_our_layout(gradients):
        lstms = {name: weights_of(gradients[name]["cell"]) for name in ("lstm_0", "lstm_1")}
        return lstms | {"head": DenseParams(**gradients["head"])}

    weights = {name: {"cell": cell_of(params[name])} for name in ("lstm_0", "lstm_1")}
    weights["head"] = params["head"]._asdict()
    return jax_step(loss, weights, x, target, in_our_layout=in_our_layout)


def in_torch(cell: Cell) -> Workload:
    """Return the step in PyTorch, both layers in one `nn.LSTM`."""
    import torch
    from torch import nn

    _, params, x, target = draw(cell)

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(cell.features, cell.units, num_layers=2)
            self.head = nn.Linear(cell.units, cell.features)

        def forward(self, x):
            return self.head(self.lstm(x)[0])

    arrays = []
    for name in ("lstm_0", "lstm_1"):
        kernel, recurrent_kernel, bias = params[name][:3]
        arrays += [kernel.T, recurrent_kernel.T, bias, np.zeros_like(bias)]  # two biases
    arrays += [params["head"].kernel.T, params["head"].bias]
    network = Network()
    with torch.no_grad():
        for parameter, array in zip(network.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))

    def in_our_layout(gradients):
        def lstm(number):
            kernels = (gradients[f"lstm.weight_{kind}_l{number}"].T for kind in ("ih", "hh"))
            return LSTMParams(*kernels, gradients[f"lstm.bias_ih_l{number}"])

        head = DenseParams(gradients["head.weight"].T, gradients["head.bias"])
        return {"lstm_0": lstm(0), "lstm_1": lstm(1), "head": head}

    return torch_step(network, x, target, in_our_layout)


IN = {"control": in_lstmcore, "torch": in_torch, "keras-jax": in_keras, "flax-linen": in_flax}
