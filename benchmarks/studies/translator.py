"""Encoding of texts, training and decoding of `lc.Seq2Seq`, shared by several studies."""

from __future__ import annotations

import time
from functools import cache, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstmcore as lc
from benchmarks.studies.tasks import Pairs
from lstmcore.vocabulary import PADDING


class EncodedPairs(NamedTuple):
    """Pairs of texts as tokens.

    source, target: vocabularies of the training texts alone
    train, validation: {"source": [N, S], "target": [N, T]}, padded
    """

    source: lc.Vocabulary
    target: lc.Vocabulary
    train: dict[str, np.ndarray]
    validation: dict[str, np.ndarray]


def encode_pairs(train: Pairs, validation: Pairs, level: str) -> EncodedPairs:
    """Encode pairs of texts with vocabularies of the training texts."""
    source = lc.Vocabulary.of(train.sources, level=level)
    target = lc.Vocabulary.of(train.targets, level=level)
    train, validation = (
        {"source": source.encode_all(pairs.sources), "target": target.encode_all(pairs.targets)}
        for pairs in (train, validation)
    )
    return EncodedPairs(source, target, train, validation)


@partial(jax.jit, static_argnums=(0, 3))
def decode(model: lc.Seq2Seq, params, source, length: int):
    """Decode autoregressively, with the likeliest token at each step: int32 [B, length]."""
    state, _ = model.encode(params, source)
    return lc.greedy(model.step, params, state, max_length=length).tokens


def exact_match(model: lc.Seq2Seq, params, source, target):
    """Compute the fraction of targets that are decoded without a mistake."""
    right = (decode(model, params, source, target.shape[1]) == target).all(axis=1)
    return jnp.mean(right.astype(jnp.float32))


@cache
def make_loss(model: lc.Seq2Seq):
    """Return a loss for `lc.fit`: cross-entropy with teacher forcing.

    Of a tuple, with which `fit` validates: the fraction of targets decoded with a mistake.
    """

    def loss(params, batch):
        if isinstance(batch, tuple):
            return 1 - exact_match(model, params, *batch)
        logits, _ = model.apply(params, batch["source"], batch["target"])
        return lc.cross_entropy(logits, batch["target"], mask=batch["target"] != PADDING)

    return loss


@cache
def optimizer(rate: float, steps: int):
    """Return Adam with cosine decay to 0 over all steps and gradients clipped to norm 1."""
    schedule = optax.cosine_decay_schedule(rate, steps)
    return optax.chain(optax.clip_by_global_norm(1.0), optax.adam(schedule))


def train(model, encoded, *, seed: int, epochs: int, batch_size: int, rate: float, watched: int):
    """Train and return (params, {"seed", "loss" and "right" after each epoch, "seconds"}).

    "right" is the fraction of the first `watched` validation targets decoded without a mistake.
    """
    steps = epochs * -(-len(encoded.train["source"]) // batch_size)
    init_key, order_key = jax.random.split(jax.random.key(seed))
    started = time.perf_counter()
    result = lc.fit(
        make_loss(model),
        model.init(init_key),
        encoded.train,
        optimizer=optimizer(rate, steps),
        epochs=epochs,
        batch_size=batch_size,
        key=order_key,
        validation=(encoded.validation["source"][:watched], encoded.validation["target"][:watched]),
    )
    right = 1 - result.history["validation_loss"]
    found = {
        "seed": seed,
        "loss": [round(float(value), 4) for value in result.history["loss"]],
        "right": [round(float(value), 4) for value in right],
        "seconds": round(time.perf_counter() - started, 1),
    }
    return result.params, found
