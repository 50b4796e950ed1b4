"""Flax linen: `nn.RNN` over `nn.OptimizedLSTMCell`."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.speed.peers.jax_layer import JaxLayer
from lstmcore.types import LSTMParams

GATES = "ifgo"


def cell_of(weights: LSTMParams) -> dict:
    """Return the params of the cell."""
    kernels, recurrent_kernels, biases = (np.split(w, 4, axis=-1) for w in weights[:3])
    of_x = {f"i{gate}": {"kernel": k} for gate, k in zip(GATES, kernels, strict=True)}
    of_h = {
        f"h{gate}": {"kernel": u, "bias": b}
        for gate, u, b in zip(GATES, recurrent_kernels, biases, strict=True)
    }
    return of_x | of_h


def weights_of(cell: dict) -> LSTMParams:
    """Return the params of a cell, or their gradients, in lstmcore's layout."""
    return LSTMParams(
        jnp.concatenate([cell[f"i{gate}"]["kernel"] for gate in GATES], axis=-1),
        jnp.concatenate([cell[f"h{gate}"]["kernel"] for gate in GATES], axis=-1),
        jnp.concatenate([cell[f"h{gate}"]["bias"] for gate in GATES]),
    )


class Layer(JaxLayer):
    """Four products of the input and four of the state, fused by the cell when it runs."""

    def __init__(self, weights, x):
        self.cell = nn.OptimizedLSTMCell(weights.recurrent_kernel.shape[0])
        self.rnn = nn.RNN(self.cell, return_carry=True)
        super().__init__(weights, x)

    def pack(self, weights):
        return {"params": {"cell": cell_of(weights)}}

    def unpack(self, gradients):
        return weights_of(gradients["params"]["cell"])

    def last_state(self, params, x):
        (c, h), _ = self.rnn.apply(params, x)
        return h, c

    def all_h(self, params, x):
        return self.rnn.apply(params, x)[1]

    def start(self):
        return self.cell.initialize_carry(jax.random.key(0), (1, self.features))

    def step(self, params, x_t, state):
        return self.cell.apply({"params": params["params"]["cell"]}, state, x_t)[0]

    def hidden(self, state):
        return state[1]  # (c, h)
