"""The model in PyTorch, time-major as is its default."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.speed.seq2seq.model import gradients_by_name
from lstmcore.types import DenseParams, EmbeddingParams, GeneralAttention, LSTMParams
from lstmcore.vocabulary import START


class Network(nn.Module):
    """The model, with layers that are named as in `params` and have its weights."""

    def __init__(self, params: dict):
        super().__init__()
        for name, layer in params.items():
            self.add_module(name, module_of(layer))

    def forward(self, source, previous):
        memory, state = self.encoder_0(self.source_embedding(source))
        hidden, _ = self.decoder_0(self.target_embedding(previous), state)
        if hasattr(self, "attention"):
            query, keys = self.attention(hidden).transpose(0, 1), memory.transpose(0, 1)
            weights = torch.softmax(query @ keys.transpose(1, 2), dim=-1)
            context = (weights @ keys).transpose(0, 1)
            hidden = torch.tanh(self.combine(torch.cat([context, hidden], dim=-1)))
        return self.head(hidden)


class Translator:
    """One training step in PyTorch; see `benchmarks.speed.seq2seq.model.Translator`."""

    def __init__(self, attention, params, source, target):
        self.params, self.network = params, Network(params)
        previous = np.insert(target[:, :-1], 0, START, axis=1)
        arrays = (array.T.astype(np.int64) for array in (source, previous, target))
        self.source, self.previous, self.target = map(torch.from_numpy, map(np.copy, arrays))

    def run(self):
        logits = self.network(self.source, self.previous)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), self.target.flatten())
        return loss, torch.autograd.grad(loss, list(self.network.parameters()))

    def read(self, result) -> dict[str, np.ndarray]:
        loss, gradients = result
        names = [name for name, _ in self.network.named_parameters()]
        arrays = {name: array.numpy() for name, array in zip(names, gradients, strict=True)}
        found = {
            name: in_our_layout(layer, lambda field, name=name: arrays[f"{name}.{field}"])
            for name, layer in self.params.items()
        }
        return {"loss": loss.detach().numpy()} | gradients_by_name(found)


def module_of(layer) -> nn.Module:
    """Return a layer of PyTorch with these weights; an LSTM's second bias is 0."""
    match layer:
        case EmbeddingParams(table):
            module, arrays = nn.Embedding(*table.shape), [table]
        case LSTMParams():
            units = layer.recurrent_kernel.shape[0]
            module = nn.LSTM(layer.kernel.shape[0], units)
            arrays = layer.kernel.T, layer.recurrent_kernel.T, layer.bias, np.zeros_like(layer.bias)
        case GeneralAttention(weight):
            module, arrays = nn.Linear(*weight.shape, bias=False), [weight.T]
        case DenseParams(kernel, bias):
            module, arrays = nn.Linear(*kernel.shape), [kernel.T, bias]
    with torch.no_grad():
        for parameter, array in zip(module.parameters(), arrays, strict=True):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))
    return module


def in_our_layout(layer, gradient):
    """Return the gradients of a layer as its params, from a function from names to arrays."""
    match layer:
        case EmbeddingParams():
            return EmbeddingParams(gradient("weight"))
        case LSTMParams():
            kernels = gradient("weight_ih_l0").T, gradient("weight_hh_l0").T
            return LSTMParams(*kernels, gradient("bias_ih_l0"))
        case GeneralAttention():
            return GeneralAttention(gradient("weight").T)
        case DenseParams():
            return DenseParams(gradient("weight").T, gradient("bias"))
