"""Haiku: `hk.LSTM` with `hk.dynamic_unroll`."""

from __future__ import annotations

import haiku as hk
import jax.numpy as jnp
import numpy as np

from benchmarks.speed.peers.jax_layer import JaxLayer
from lstmcore.types import LSTMParams


class Layer(JaxLayer):
    """One product of [x, h] with a bias; the gates in the order i, g, f, o."""

    time_major = True

    def __init__(self, weights, x):
        units = weights.recurrent_kernel.shape[0]

        def unroll(x):
            core = hk.LSTM(units)
            return hk.dynamic_unroll(core, x, core.initial_state(x.shape[1]))

        def one_step(x_t, state):
            return hk.LSTM(units)(x_t, state)

        self.unroll, self.one_step = (
            hk.without_apply_rng(hk.transform(function)).apply for function in (unroll, one_step)
        )
        super().__init__(weights, x)

    def pack(self, weights):
        kernel = _swap_f_and_g(np.concatenate([weights.kernel, weights.recurrent_kernel]))
        ones = np.repeat(np.float32([0, 1, 0, 0]), self.units)  # what Haiku adds to f as it runs
        return {"lstm/linear": {"w": kernel, "b": _swap_f_and_g(weights.bias - ones)}}

    def unpack(self, gradients):
        linear = gradients["lstm/linear"]
        kernel = _swap_f_and_g(linear["w"])
        return LSTMParams(
            kernel[: self.features], kernel[self.features :], _swap_f_and_g(linear["b"])
        )

    def last_state(self, params, x):
        _, state = self.unroll(params, x)
        return state.hidden, state.cell

    def all_h(self, params, x):
        return self.unroll(params, x)[0]

    def start(self):
        return hk.LSTMState(jnp.zeros((1, self.units)), jnp.zeros((1, self.units)))

    def step(self, params, x_t, state):
        return self.one_step(params, x_t, state)[1]


def _swap_f_and_g(array):
    """Swap the second and the third quarter of the last axis: i, f, g, o and i, g, f, o."""
    i, second, third, o = np.split(np.asarray(array), 4, axis=-1)
    return np.concatenate([i, third, second, o], axis=-1)
