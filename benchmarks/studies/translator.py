"""Texts to arrays, training, and what a trained `lc.Seq2Seq` writes: shared by several studies."""

from __future__ import annotations

import time
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstmcore as lc
from benchmarks.tasks import Pairs
from lstmcore.vocabulary import PADDING


class Prepared(NamedTuple):
    """Pairs of texts as tokens: {"source": [N, S], "target": [N, T]}, padded.

    source, target: vocabularies of the training texts alone
    """

    source: lc.Vocabulary
    target: lc.Vocabulary
    train: dict[str, np.ndarray]
    held_out: dict[str, np.ndarray]


def prepare(train: Pairs, held_out: Pairs, level: str) -> Prepared:
    source = lc.Vocabulary.of(train.sources, level=level)
    target = lc.Vocabulary.of(train.targets, level=level)
    train, held_out = (
        {"source": source.encode_all(pairs.sources), "target": target.encode_all(pairs.targets)}
        for pairs in (train, held_out)
    )
    return Prepared(source, target, train, held_out)


@partial(jax.jit, static_argnums=(0, 3))
def write(model: lc.Seq2Seq, params, source, length: int):
    """What the model writes by itself, the likeliest token at each step: int32 [B, length]."""
    state, _ = model.encode(params, source)
    return lc.greedy(model.step, params, state, max_length=length).tokens


def share_right(model: lc.Seq2Seq, params, source, target):
    """Of the targets, those that are written without a mistake."""
    right = (write(model, params, source, target.shape[1]) == target).all(axis=1)
    return jnp.mean(right.astype(jnp.float32))


@cache
def make_loss(model: lc.Seq2Seq):
    """Cross-entropy with teacher forcing; of a tuple, as `fit` validates with, the share of
    targets that the model by itself does not write without a mistake."""

    def loss(params, batch):
        if isinstance(batch, tuple):
            return 1 - share_right(model, params, *batch)
        logits, _ = model.apply(params, batch["source"], batch["target"])
        return lc.cross_entropy(logits, batch["target"], mask=batch["target"] != PADDING)

    return loss


@cache
def optimizer(rate: float, steps: int):
    """Adam, its rate falling to 0 as a cosine over all steps, gradients clipped to norm 1."""
    schedule = optax.cosine_decay_schedule(rate, steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def train(model, prepared, *, seed: int, epochs: int, batch_size: int, rate: float, watch: int):
    """(params, {"seed", "loss" and "right" after each epoch, "seconds"}).

    "right" is the share of the first `watch` held-out targets that are written without a mistake.
    """
    steps = epochs * -(-len(prepared.train["source"]) // batch_size)
    init_key, order_key = jax.random.split(jax.random.key(seed))
    started = time.perf_counter()
    result = lc.fit(
        make_loss(model),
        model.init(init_key),
        prepared.train,
        optimizer=optimizer(rate, steps),
        epochs=epochs,
        batch_size=batch_size,
        key=order_key,
        validation=(prepared.held_out["source"][:watch], prepared.held_out["target"][:watch]),
    )
    right = 1 - result.history["validation_loss"]
    found = {
        "seed": seed,
        "loss": [round(float(value), 4) for value in result.history["loss"]],
        "right": [round(float(value), 4) for value in right],
        "seconds": round(time.perf_counter() - started, 1),
    }
    return result.params, found
