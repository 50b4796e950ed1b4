"""The same model in PyTorch, batch second as is its default."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from benchmarks.seq2seq import sizes
from lstmcore.types import DenseParams, EmbeddingParams, GeneralAttention, LSTMParams
from lstmcore.vocabulary import START


class Network(nn.Module):
    """Layers are named as in `params`, and hold its weights."""

    def __init__(self, params: dict):
        super().__init__()
        for name, layer in params.items():
            self.add_module(name, _module(layer))

    def forward(self, source, written):
        memory, state = self.encoder_0(self.source_embedding(source))
        shown, _ = self.decoder_0(self.target_embedding(written), state)
        if hasattr(self, "attention"):
            query, keys = self.attention(shown).transpose(0, 1), memory.transpose(0, 1)
            weights = torch.softmax(query @ keys.transpose(1, 2), dim=-1)
            context = (weights @ keys).transpose(0, 1)
            shown = torch.tanh(self.combine(torch.cat([context, shown], dim=-1)))
        return self.head(shown)


class Translator:
    """As `benchmarks.seq2seq.ours.Translator`."""

    def __init__(self, attention, params, source, target):
        self.params, self.network = params, Network(params)
        written = np.insert(target[:, :-1], 0, START, axis=1)
        arrays = (array.T.astype(np.int64) for array in (source, written, target))
        self.source, self.written, self.target = map(torch.from_numpy, map(np.copy, arrays))

    def run(self):
        logits = self.network(self.source, self.written)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), self.target.flatten())
        return loss, torch.autograd.grad(loss, list(self.network.parameters()))

    def read(self, result) -> dict[str, np.ndarray]:
        loss, gradients = result
        names = [name for name, _ in self.network.named_parameters()]
        arrays = {name: array.numpy() for name, array in zip(names, gradients, strict=True)}
        found = {
            name: _read(layer, lambda field, name=name: arrays[f"{name}.{field}"])
            for name, layer in self.params.items()
        }
        return {"loss": loss.detach().numpy()} | sizes.named(found)


def _module(layer) -> nn.Module:
    """A layer of PyTorch with these weights; an LSTM's second bias is 0."""
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


def _read(layer, gradient):
    """The gradients of a layer in lstmcore's layout."""
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
