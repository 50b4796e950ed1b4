"""Flax nnx: `nnx.RNN` over `nnx.OptimizedLSTMCell`, split into params and structure for jax.jit."""

from __future__ import annotations

from flax import nnx

from benchmarks.speed.peers.jax_layer import JaxLayer
from lstmcore.types import LSTMParams


class Layer(JaxLayer):
    """The functional form that Flax's performance guide gives for jitted functions."""

    def pack(self, weights):
        features, units = weights.kernel.shape[0], weights.recurrent_kernel.shape[0]
        cell = nnx.OptimizedLSTMCell(features, units, rngs=nnx.Rngs(0))
        cell.dense_i.kernel[...] = weights.kernel
        cell.dense_h.kernel[...] = weights.recurrent_kernel
        cell.dense_h.bias[...] = weights.bias
        rnn = nnx.RNN(cell, return_carry=True)
        self.structure, params, self.rest = nnx.split(rnn, nnx.Param, ...)
        return params

    def unpack(self, gradients):
        cell = nnx.to_pure_dict(gradients)["cell"]
        dense_h = cell["dense_h"]
        return LSTMParams(cell["dense_i"]["kernel"], dense_h["kernel"], dense_h["bias"])

    def rnn(self, params):
        # A copy, for the layer counts its random keys and must not do so on what lies outside jit.
        return nnx.merge(self.structure, params, self.rest, copy=True)

    def last_state(self, params, x):
        (c, h), _ = self.rnn(params)(x)
        return h, c

    def all_h(self, params, x):
        return self.rnn(params)(x)[1]

    def start(self):
        return self.rnn(self.params).cell.initialize_carry((1, self.features), nnx.Rngs(0))

    def step(self, params, x_t, state):
        return self.rnn(params).cell(state, x_t)[0]

    def hidden(self, state):
        return state[1]  # (c, h)
