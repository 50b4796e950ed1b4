"""Greedy decoding by an encoder-decoder: from source tokens to target tokens.

In PyTorch by the loop of its tutorial "NLP From Scratch: Translation with a Sequence to Sequence
Network and Attention", with an LSTM in place of the GRU and without attention. No example ends
early: that loop always takes all steps.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks.speed.grid import Cell
from benchmarks.speed.seq2seq import model as seq2seq
from benchmarks.speed.workloads.workload import Workload
from lstmcore.vocabulary import END, PADDING, START

# batch, steps of the source and tokens decoded, size of an embedding, units
CELLS = (Cell(1, 20, 64, 128), Cell(32, 20, 64, 128), Cell(64, 20, 64, 256))
NEVER = -100.0  # added to the logits of tokens that are not to be chosen
SHARPNESS = 8.0  # by which logits depend on the state more than on the bias


def draw(cell: Cell):
    """Draw (params, source tokens [B, T]) whose tokens differ, and are never END or PADDING."""
    params, source, _ = seq2seq.draw(cell, attention=None)
    for name in ("source_embedding", "target_embedding"):
        params[name] = params[name]._replace(table=params[name].table * seq2seq.TOKENS**0.5)
    head = params["head"]
    head.bias[[END, PADDING]] += NEVER
    return params | {"head": head._replace(kernel=SHARPNESS * head.kernel)}, source


def in_lstmcore(cell: Cell) -> Workload:
    """Return the decoding in lstmcore."""
    params, source = jax.tree.map(jnp.asarray, draw(cell))
    network = seq2seq.model(cell, attention=None)
    encode = jax.jit(network.encode)

    def run():
        state, _ = encode(params, source)
        decoded = lc.greedy(network.step, params, state, max_length=cell.time)
        return jax.block_until_ready(decoded)

    def read(decoded):
        return {
            "tokens": np.asarray(decoded.tokens),
            "log_probability": np.asarray(decoded.log_probability),
        }

    return Workload(run, read)


def in_torch(cell: Cell) -> Workload:
    """Return the decoding in PyTorch."""
    import torch

    from benchmarks.speed.seq2seq.pytorch import Network

    params, source = draw(cell)
    network = Network(params)
    source = torch.from_numpy(source.T.astype(np.int64))

    def run():
        with torch.no_grad():
            _, state = network.encoder_0(network.source_embedding(source))
            token = torch.full((1, cell.batch), START)
            outputs, tokens = [], []
            for _ in range(cell.time):
                hidden, state = network.decoder_0(network.target_embedding(token), state)
                output = network.head(hidden)
                outputs.append(output)
                _, best = output.topk(1)
                token = best.squeeze(-1)
                tokens.append(token)
            log_probabilities = torch.log_softmax(torch.cat(outputs), dim=-1)
            return torch.cat(tokens), log_probabilities

    def read(result):
        tokens, log_probabilities = result
        chosen = log_probabilities.gather(-1, tokens[..., None])[..., 0]
        return {"tokens": tokens.T.numpy(), "log_probability": chosen.sum(0).numpy()}

    return Workload(run, read)


IN = {"control": in_lstmcore, "torch": in_torch}
