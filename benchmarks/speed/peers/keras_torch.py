"""Keras on PyTorch: `keras.layers.LSTM`, eagerly, as Keras runs there."""

from __future__ import annotations

import torch

from benchmarks.speed.peers import keras_lstm, layer
from lstmcore.types import LSTMParams


class Layer(layer.Layer):
    """Gradients by `torch.autograd` of the layer's own parameters."""

    def __init__(self, weights, x):
        self.last, self.all = keras_lstm.layers(weights, x)
        self.x = torch.tensor(x, requires_grad=True)
        self.d_h = torch.from_numpy(layer.gradient_of_h(x, self.all.units))
        self.parameters = [variable.value for variable in self.all.trainable_variables]

    def run(self, case):
        if case == "train":
            all_h = self.all(self.x)[0]
            return torch.autograd.grad(all_h, [*self.parameters, self.x], self.d_h)
        with torch.no_grad():
            all_h, h, c = (self.last if case == "forward" else self.all)(self.x)
        return (h, c) if case == "forward" else all_h

    def read(self, case, result):
        if case == "forward_all":
            return layer.named(case, result)
        result = [tensor.detach().numpy() for tensor in result]
        if case == "train":
            kernel, recurrent_kernel, bias, dx = result
            result = LSTMParams(kernel, recurrent_kernel, bias), dx
        return layer.named(case, result)

    def stream(self):
        state = [torch.zeros(1, self.last.units), torch.zeros(1, self.last.units)]

        def feed(x_t):
            nonlocal state
            with torch.no_grad():
                _, state = self.last.cell(torch.from_numpy(x_t), state)
            return state[0].numpy()

        return feed
