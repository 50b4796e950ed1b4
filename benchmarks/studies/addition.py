"""Keras's example `addition_rnn`, trained again: its learning curve beside ours.

The source "123+45 ", reversed, has the target "168 ". The example encodes the question with an LSTM
of 128 units, repeats its last h four times, and decodes with another LSTM of 128 units and a dense
layer: 205,324 weights, which is `lc.Autoencoder(features=12, units=128, steps=4)`. 45,000
questions, Adam at 0.001, batches of 32; after each epoch the accuracy is that of the characters,
spaces included, of 5,000 other questions.

Beside it a decoder with attention, `lc.Seq2Seq`, with the same units, questions, batches and
optimizer. It reads the question as is and its own previous output, and decodes autoregressively
(`lc.greedy`) until the end token. Its answer is padded with spaces to four characters, and counted
in the same way.

Expected, and refuted otherwise: every seed of both reaches an accuracy of 0.99 within 30 epochs, as
the published run did within 22.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies.record import Claim
from benchmarks.studies.tasks import addition
from benchmarks.studies.translator import decode
from lstmcore.study.plots.style import COLOURS
from lstmcore.vocabulary import END, PADDING, SPECIAL

TITLE = "Addition, letter by letter"
SOURCE = "Keras's example addition_rnn"
HYPOTHESIS = (
    'An LSTM that reads "123+45" and one that writes the answer come to 99 % right characters of '
    "new questions within 30 epochs of 45,000."
)
PUBLISHED = {1: 0.4116, 5: 0.7436, 22: 0.9953}  # validation accuracy after an epoch
REQUIRED, EPOCHS, BATCH = 0.99, 30, 32
SEEDS = 3, 2  # of each form

MODEL = lc.Autoencoder(features=len(addition.ALPHABET), units=128, steps=addition.ANSWER)
TOKENS = len(addition.ALPHABET) + SPECIAL
ATTENTION = lc.Seq2Seq(TOKENS, TOKENS, units=128, embedding=32, attention="general")


def loss(params, batch):
    """Compute cross-entropy; of a tuple, with which `fit` validates, the fraction wrong."""
    if isinstance(batch, tuple):
        return jnp.mean((decoded(params, batch[0]) != batch[1]).astype(jnp.float32))
    logits, _ = MODEL.apply(params, batch["question"])
    return optax.softmax_cross_entropy(logits, batch["answer"]).mean()


@jax.jit
def decoded(params, question):
    """Return the codes of the characters that the model decodes: [B, 4]."""
    return MODEL.apply(params, question)[0].argmax(-1)


def attention_loss(params, batch):
    """Compute the same as `loss`, for tokens."""
    if isinstance(batch, tuple):
        return jnp.mean((decoded_with_attention(params, batch[0]) != batch[1]).astype(jnp.float32))
    logits, _ = ATTENTION.apply(params, batch["question"], batch["answer"])
    return lc.cross_entropy(logits, batch["answer"], mask=batch["answer"] != PADDING)


def decoded_with_attention(params, question):
    """Return the same as `decoded`; after the end token come spaces."""
    tokens = decode(ATTENTION, params, question, addition.ANSWER + 1)[:, :-1]
    return jnp.maximum(tokens - SPECIAL, 0)  # the space has the code 0


def tokens(texts: list[str], length: int) -> np.ndarray:
    """Return [N, length]: codes of `addition.ALPHABET` after the special tokens, END, padding."""
    found = addition.codes(texts, length) + SPECIAL
    place, ends = np.arange(length), np.array([[len(text)] for text in texts])
    found[place == ends] = END
    found[place > ends] = PADDING
    return found.astype(np.int32)


class Form(NamedTuple):
    """A model with its data.

    data: of a seed and two counts: (train, validation as (questions, codes [N, 4] of the answers))
    decoded: (params, questions) to the codes of four characters
    """

    model: lc.Autoencoder | lc.Seq2Seq
    loss: Callable
    data: Callable
    decoded: Callable


def one_hot_data(seed: int, *counts: int):
    """Return the data of the example."""
    train, validation = addition.arrays(seed, *counts)
    return train, (validation["question"], validation["answer"].argmax(-1))


def token_data(seed: int, train: int, validation: int):
    """Return the same questions as tokens."""
    questions, answers = addition.pairs(train + validation, seed)
    question = tokens(questions, addition.QUESTION + 1)
    answer = tokens(answers, addition.ANSWER + 1)
    codes = addition.codes(answers[train:], addition.ANSWER)
    return {"question": question[:train], "answer": answer[:train]}, (question[train:], codes)


REPEATED, ATTENDING = "state repeated (the example)", "attention"
FORMS = {
    REPEATED: Form(MODEL, loss, one_hot_data, decoded),
    ATTENDING: Form(ATTENTION, attention_loss, token_data, decoded_with_attention),
}


def run(quick: bool = False) -> dict:
    """Train with each seed, on which questions, weights and order depend."""
    seeds, epochs = ((1, 1), 2) if quick else (SEEDS, EPOCHS)
    counts = (640, 64) if quick else (addition.TRAIN, addition.VALIDATION)
    runs = [
        train(name, seed, epochs, *counts)
        for name, number in zip(FORMS, seeds, strict=True)
        for seed in range(number)
    ]
    weights = {
        name: sum(leaf.size for leaf in jax.tree.leaves(form.model.init(jax.random.key(0))))
        for name, form in FORMS.items()
    }
    return {
        "weights": weights,
        "questions": counts[0],
        "batch": BATCH,
        "optimizer": "Adam 0.001",
        "runs": runs,
    }


def train(name: str, seed: int, epochs: int, *counts: int) -> dict:
    """Train once on `counts` questions for training and validation, and return the run."""
    form = FORMS[name]
    data, validation = form.data(seed, *counts)
    init_key, order_key = jax.random.split(jax.random.key(seed))
    started = time.perf_counter()
    result = lc.fit(
        form.loss,
        form.model.init(init_key),
        data,
        epochs=epochs,
        batch_size=BATCH,
        key=order_key,
        validation=validation,
    )
    accuracy = 1 - result.history["validation_loss"]
    right = (np.asarray(form.decoded(result.params, validation[0])) == validation[1]).all(axis=1)
    found = {
        "form": name,
        "seed": seed,
        "accuracy": [round(float(value), 4) for value in accuracy],
        "answers_right_at_end": round(float(right.mean()), 4),
        "seconds": round(time.perf_counter() - started, 1),
    }
    print(f"  {found}", flush=True)
    return found


def of_form(measured: dict, name: str) -> list[dict]:
    """Return the runs of a form."""
    return [run for run in measured["runs"] if run["form"] == name]


def first_epoch(accuracy: list[float]) -> int | None:
    """Return the first epoch that reaches the required accuracy."""
    reached = [epoch for epoch, value in enumerate(accuracy, 1) if value >= REQUIRED]
    return reached[0] if reached else None


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criterion of the docstring of this module to each form that was run."""
    runs = {name: of_form(measured, name) for name in FORMS}
    return [_claim(name, found) for name, found in runs.items() if found]


def _claim(name: str, runs: list[dict]) -> Claim:
    epochs = [first_epoch(run["accuracy"][:EPOCHS]) for run in runs]
    best = ", ".join(f"{max(run['accuracy'][:EPOCHS]):.4f}" for run in runs)
    return Claim(
        f"{name}: every seed reaches {REQUIRED} within {EPOCHS} epochs",
        all(epoch is not None for epoch in epochs),
        f"first in epoch {', '.join(map(_or_never, epochs))}; best {best}",
    )


def tables(measured: dict) -> str:
    """Return a row for each run, at the epochs with a published figure."""
    columns = [*PUBLISHED, EPOCHS]
    rows = [
        "| model | weights | seed | "
        + " | ".join(f"epoch {epoch}" for epoch in columns)
        + f" | first epoch at {REQUIRED} | answers right at the end |",
        f"|---|---:|---|{'---:|' * (len(columns) + 2)}",
        "| published | 205,324 | | "
        + " | ".join(f"{PUBLISHED[epoch]:.4f}" if epoch in PUBLISHED else "" for epoch in columns)
        + " | | |",
    ]
    for name in FORMS:
        for run in of_form(measured, name):
            found = dict(enumerate(run["accuracy"], 1))
            values = [f"{found[epoch]:.4f}" if epoch in found else "" for epoch in columns]
            rows.append(
                f"| {name} | {measured['weights'][name]:,} | {run['seed']} "
                f"| {' | '.join(values)} | {_or_never(first_epoch(run['accuracy']))} "
                f"| {run['answers_right_at_end']:.1%} |"
            )
    return "\n".join(rows)


def draw(measured: dict) -> Figure:
    """Plot validation accuracy by epoch: ours, and the published points."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    panel = figure.subplots()
    for colour, name in zip(COLOURS, FORMS, strict=False):
        for number, run in enumerate(of_form(measured, name)):
            epochs = range(1, len(run["accuracy"]) + 1)
            label = None if number else f"lstmcore, {name}"
            panel.plot(epochs, run["accuracy"], color=colour, alpha=0.7, label=label)
    panel.plot(*zip(*PUBLISHED.items(), strict=True), "ko", label="published (Keras)")
    panel.axhline(REQUIRED, color="grey", linestyle=":", linewidth=1)
    panel.set(xlabel="epoch of 45,000 questions", ylabel="validation accuracy (characters)")
    panel.set_ylim(0.3, 1.01)
    panel.legend(loc="lower right", frameon=False)
    return figure


def _or_never(epoch: int | None) -> str:
    return "never" if epoch is None else str(epoch)
