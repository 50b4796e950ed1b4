"""Equinox: `eqx.nn.LSTMCell` in a `lax.scan` over one sequence, mapped over the batch."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp

from benchmarks.speed.peers.jax_layer import JaxLayer
from lstmcore.types import LSTMParams


class Layer(JaxLayer):
    """The form of Equinox's own RNN example."""

    def pack(self, weights):
        features, units = weights.kernel.shape[0], weights.recurrent_kernel.shape[0]
        cell = eqx.nn.LSTMCell(features, units, key=jax.random.key(0))
        arrays = weights.kernel.T, weights.recurrent_kernel.T, weights.bias
        return eqx.tree_at(lambda cell: (cell.weight_ih, cell.weight_hh, cell.bias), cell, arrays)

    def unpack(self, gradients):
        return LSTMParams(gradients.weight_ih.T, gradients.weight_hh.T, gradients.bias)

    def scan(self, cell, x):
        """Compute ((h, c), h of all steps), batch-major."""

        def body(state, x_t):
            state = cell(x_t, state)
            return state, state[0]

        zeros = jnp.zeros(self.units)
        return jax.vmap(lambda row: jax.lax.scan(body, (zeros, zeros), row))(x)

    def last_state(self, params, x):
        return self.scan(params, x)[0]

    def all_h(self, params, x):
        return self.scan(params, x)[1]

    def start(self):
        return jnp.zeros((1, self.units)), jnp.zeros((1, self.units))

    def step(self, params, x_t, state):
        return jax.vmap(params)(x_t, state)
