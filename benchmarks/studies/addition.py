"""Keras's example `addition_rnn`, trained again: its curve beside ours.

"123+45 ", read backwards, is to become "168 ". The example encodes the question with an LSTM of
128 units, repeats its last h four times, decodes with another LSTM of 128 units and a dense layer:
205,324 weights, which is `lc.Autoencoder(features=12, units=128, steps=4)`. 45,000 questions,
Adam at 0.001, batches of 32; after each epoch the share of right characters, spaces included,
of 5,000 other questions.

Expected, and what would contradict it: every seed reaches an accuracy of 0.99 within 30 epochs, as
the published run did after 22.
"""

from __future__ import annotations

import time

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies.record import Claim
from benchmarks.tasks import addition
from lstmcore.study.plots.style import COLOURS

TITLE = "Addition, letter by letter"
SOURCE = "Keras's example addition_rnn (Smerity and others 2015)"
HYPOTHESIS = (
    "An LSTM that reads \"123+45\" backwards and one that writes the answer come to 99 % right "
    "characters of new questions within 30 epochs of 45,000."
)
PUBLISHED = {1: 0.4116, 5: 0.7436, 22: 0.9953}  # validation accuracy after an epoch
WEIGHTS, REQUIRED, EPOCHS, BATCH, SEEDS = 205_324, 0.99, 30, 32, 3

MODEL = lc.Autoencoder(features=len(addition.ALPHABET), units=128, steps=addition.ANSWER)


def loss(params, batch):
    """Cross-entropy; of a tuple, as `fit` validates with, the share of wrong characters."""
    if isinstance(batch, tuple):
        question, answer = batch
        wrong = MODEL.apply(params, question)[0].argmax(-1) != answer.argmax(-1)
        return jnp.mean(wrong.astype(jnp.float32))
    logits, _ = MODEL.apply(params, batch["question"])
    return optax.softmax_cross_entropy(logits, batch["answer"]).mean()


def run(quick: bool = False) -> dict:
    """Train with each seed; questions, weights and their order all depend on it."""
    seeds, epochs, count = (2, 2, 3200) if quick else (SEEDS, EPOCHS, addition.TRAIN)
    runs = []
    for seed in range(seeds):
        train, validation = addition.arrays(seed)
        train = {name: array[:count] for name, array in train.items()}
        init_key, order_key = jax.random.split(jax.random.key(seed))
        params = MODEL.init(init_key)
        started = time.perf_counter()
        result = lc.fit(
            loss,
            params,
            train,
            epochs=epochs,
            batch_size=BATCH,
            key=order_key,
            validation=(validation["question"], validation["answer"]),
        )
        accuracy = 1 - result.history["validation_loss"]
        written = MODEL.apply(result.params, validation["question"])[0].argmax(-1)
        right = (written == validation["answer"].argmax(-1)).all(axis=1)
        runs.append(
            {
                "seed": seed,
                "accuracy": [round(float(value), 4) for value in accuracy],
                "answers_right_at_end": round(float(right.mean()), 4),
                "seconds": round(time.perf_counter() - started, 1),
            }
        )
        print(f"  {runs[-1]}", flush=True)
    return {
        "weights": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "questions": count,
        "batch": BATCH,
        "optimizer": "Adam 0.001",
        "runs": runs,
    }
