"""Keras's example `addition_rnn`, trained again: its curve beside ours.

"123+45 ", read backwards, is to become "168 ". The example encodes the question with an LSTM of
128 units, repeats its last h four times, decodes with another LSTM of 128 units and a dense layer:
205,324 weights, which is `lc.Autoencoder(features=12, units=128, steps=4)`. 45,000 questions,
Adam at 0.001, batches of 32; after each epoch the share of right characters, spaces included,
of 5,000 other questions.

Beside it a decoder with attention, `lc.Seq2Seq`, of the same units, questions, batches and
optimizer. It reads the question as it stands, and what it wrote before; it writes by itself
(`lc.greedy`) until it ends. An answer is then padded with spaces to four characters, and counted
as the other's.

Expected, and what would contradict it: every seed of both reaches an accuracy of 0.99 within 30
epochs, as the published run did within 22.
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
from benchmarks.studies.translator import write
from benchmarks.tasks import addition
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
    """Cross-entropy; of a tuple, as `fit` validates with, the share of wrong characters."""
    if isinstance(batch, tuple):
        return jnp.mean((written(params, batch[0]) != batch[1]).astype(jnp.float32))
    logits, _ = MODEL.apply(params, batch["question"])
    return optax.softmax_cross_entropy(logits, batch["answer"]).mean()


@jax.jit
def written(params, question):
    """The codes of the characters that the model writes: [B, 4]."""
    return MODEL.apply(params, question)[0].argmax(-1)


def attention_loss(params, batch):
    """As `loss`, for tokens."""
    if isinstance(batch, tuple):
        return jnp.mean((written_with_attention(params, batch[0]) != batch[1]).astype(jnp.float32))
    logits, _ = ATTENTION.apply(params, batch["question"], batch["answer"])
    return lc.cross_entropy(logits, batch["answer"], mask=batch["answer"] != PADDING)


def written_with_attention(params, question):
    """As `written`; what comes after the end is a space."""
    tokens = write(ATTENTION, params, question, addition.ANSWER + 1)[:, :-1]
    return jnp.maximum(tokens - SPECIAL, 0)  # the space has the code 0


def tokens(texts: list[str], length: int) -> np.ndarray:
    """[N, length] with END and padding; ids are codes of `addition.ALPHABET` after the special."""
    found = addition.codes(texts, length) + SPECIAL
    place, ends = np.arange(length), np.array([[len(text)] for text in texts])
    found[place == ends] = END
    found[place > ends] = PADDING
    return found.astype(np.int32)


class Form(NamedTuple):
    """One way to write the answer.

    data: of a seed and two counts, (train, (questions, codes [N, 4] of the answers) to validate)
    written: (params, questions) to the codes of four characters
    """

    model: lc.Autoencoder | lc.Seq2Seq
    loss: Callable
    data: Callable
    written: Callable


def one_hot_data(seed: int, *counts: int):
    train, validation = addition.arrays(seed, *counts)
    return train, (validation["question"], validation["answer"].argmax(-1))


def token_data(seed: int, train: int, validation: int):
    questions, answers = addition.pairs(train + validation, seed)
    question = tokens(questions, addition.QUESTION + 1)
    answer = tokens(answers, addition.ANSWER + 1)
    codes = addition.codes(answers[train:], addition.ANSWER)
    return {"question": question[:train], "answer": answer[:train]}, (question[train:], codes)


REPEATED, ATTENDING = "state repeated (the example)", "attention"
FORMS = {
    REPEATED: Form(MODEL, loss, one_hot_data, written),
    ATTENDING: Form(ATTENTION, attention_loss, token_data, written_with_attention),
}


def run(quick: bool = False) -> dict:
    """Train with each seed; questions, weights and their order all depend on it."""
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
    """One run: `counts` questions to train on and to validate with."""
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
    right = (np.asarray(form.written(result.params, validation[0])) == validation[1]).all(axis=1)
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
    return [run for run in measured["runs"] if run["form"] == name]


def first_epoch(accuracy: list[float]) -> int | None:
    """The first after which the accuracy is what is required."""
    reached = [epoch for epoch, value in enumerate(accuracy, 1) if value >= REQUIRED]
    return reached[0] if reached else None


def judge(measured: dict) -> list[Claim]:
    """The criterion of the docstring, for each form that was run."""
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
    """One row for each run, at the epochs of which a figure is published."""
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
    """Validation accuracy by epoch: ours, and the published points."""
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
