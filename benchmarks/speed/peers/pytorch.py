"""PyTorch: `torch.nn.LSTM` (oneDNN or ATen on a CPU, cuDNN on a GPU)."""

from __future__ import annotations

import numpy as np
import torch

from benchmarks.speed.peers import layer
from lstmcore.types import LSTMParams


class Layer(layer.Layer):
    """`torch.nn.LSTM` in its default layout [T, B, F]."""

    def __init__(self, weights, x):
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        features, units = weights.kernel.shape[0], weights.recurrent_kernel.shape[0]
        self.lstm = torch.nn.LSTM(features, units, device=self.device)
        self.cell = torch.nn.LSTMCell(features, units, device=self.device)
        bias = np.zeros_like(weights.bias)  # the second of PyTorch's two
        arrays = weights.kernel.T, weights.recurrent_kernel.T, weights.bias, bias
        for module in (self.lstm, self.cell):
            with torch.no_grad():
                for parameter, array in zip(module.parameters(), arrays, strict=True):
                    parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
        time_major = [a.swapaxes(0, 1).copy() for a in (x, layer.gradient_of_h(x, units))]
        self.x, self.d_h = (torch.from_numpy(array).to(self.device) for array in time_major)
        self.x.requires_grad_()

    def run(self, case):
        if case == "train":
            all_h, _ = self.lstm(self.x)
            result = torch.autograd.grad(all_h, [*self.lstm.parameters(), self.x], self.d_h)
        else:
            with torch.inference_mode():
                all_h, (h, c) = self.lstm(self.x)
            result = (h[0], c[0]) if case == "forward" else all_h
        if self.device == "cuda":
            torch.cuda.synchronize()
        return result

    def read(self, case, result):
        def array(tensor):
            return tensor.detach().cpu().numpy()

        if case == "train":
            kernel, recurrent_kernel, bias, _, dx = map(array, result)
            result = LSTMParams(kernel.T, recurrent_kernel.T, bias), dx
        elif case == "forward":
            result = tuple(map(array, result))
        else:
            result = array(result)
        return layer.named(case, result, time_major=True)

    def stream(self):
        state = None

        def feed(x_t):
            nonlocal state
            with torch.inference_mode():
                state = self.cell(torch.from_numpy(x_t).to(self.device), state)
            return state[0].cpu().numpy()

        return feed
