"""Keras on JAX: `keras.layers.LSTM` through `stateless_call`, as Keras's own trainer calls it."""

from __future__ import annotations

import jax.numpy as jnp

from benchmarks.speed.peers import keras_lstm
from benchmarks.speed.peers.jax_layer import JaxLayer
from lstmcore.types import LSTMParams


class Layer(JaxLayer):
    """The params are the values of the layer's trainable variables."""

    def __init__(self, weights, x):
        self.last, self.all = keras_lstm.layers(weights, x)
        self.rest = [variable.value for variable in self.last.non_trainable_variables]
        super().__init__(weights, x)

    def pack(self, weights):
        return list(weights[:3])

    def unpack(self, gradients):
        return LSTMParams(*gradients)

    def last_state(self, params, x):
        (_, h, c), _ = self.last.stateless_call(params, self.rest, x)
        return h, c

    def all_h(self, params, x):
        (all_h, _, _), _ = self.all.stateless_call(params, self.rest, x)
        return all_h

    def start(self):
        return [jnp.zeros((1, self.units)), jnp.zeros((1, self.units))]

    def step(self, params, x_t, state):
        (_, state), _ = self.last.cell.stateless_call(params, self.rest, x_t, state)
        return state
