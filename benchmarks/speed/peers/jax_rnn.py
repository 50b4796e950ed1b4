"""`jax.experimental.rnn`: cuDNN's LSTM called from JAX; on NVIDIA GPUs alone."""

from __future__ import annotations

import jax.numpy as jnp
from jax.experimental import rnn

from benchmarks.speed.peers.jax_layer import JaxLayer
from lstmcore.types import LSTMParams


class Layer(JaxLayer):
    """One flat vector of weights: both kernels transposed, then cuDNN's two biases."""

    def pack(self, weights):
        parts = weights.kernel.T, weights.recurrent_kernel.T, weights.bias, 0 * weights.bias
        return jnp.concatenate([jnp.ravel(part) for part in parts])

    def unpack(self, gradients):
        kernel, recurrent_kernel, bias, _ = rnn.unpack_lstm_weights(
            gradients, self.features, self.units, num_layers=1, bidirectional=False
        )
        return LSTMParams(kernel[0].T, recurrent_kernel[0].T, bias[0])

    def lstm(self, params, x):
        batch, time, features = x.shape
        zeros = jnp.zeros((1, batch, self.units))
        return rnn.lstm(
            x,
            zeros,
            zeros,
            params,
            jnp.full((batch,), time, jnp.int32),
            input_size=features,
            hidden_size=self.units,
            num_layers=1,
            dropout=0.0,
            bidirectional=False,
        )

    def last_state(self, params, x):
        _, h, c = self.lstm(params, x)
        return h[0], c[0]

    def all_h(self, params, x):
        return self.lstm(params, x)[0]

    def start(self):
        raise NotImplementedError("jax.experimental.rnn has no single step")

    step = start
