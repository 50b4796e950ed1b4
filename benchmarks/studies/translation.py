"""Two generated translation tasks: dates, letter by letter; a small language, word by word.

`tasks.dates` has dates in 20 forms, to be converted to ISO 8601; `tasks.language` is a small
English with an invented language of another word order, with agreement and case. Both models have a
bidirectional encoder and general attention, and decode greedily. The validation pairs share no day,
in any form, and no English sentence with the training pairs. The language is also learnt without
attention.

Expected, and refuted otherwise, stated before the runs:

1. Every seed decodes at least 99 % of the validation dates without a mistake.
2. Every seed with attention decodes at least 95 % of the validation sentences without a mistake.
3. Without attention fewer are right: for every seed.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies import translator
from benchmarks.studies.record import Claim
from benchmarks.studies.tasks import dates, language
from lstmcore.study.plots.style import COLOURS

TITLE = "Two generated translations"
SOURCE = (
    "Luong, Pham & Manning 2015, Effective Approaches to Attention-based Neural Machine Translation"
)
HYPOTHESIS = (
    "With attention, an encoder-decoder learns from 20,000 dates to write new ones as ISO 8601, "
    "and from 4,000 sentences to translate new ones into an invented language."
)
DATES, LANGUAGE, PLAIN = "dates", "language", "language, without attention"
REQUIRED = {DATES: 0.99, LANGUAGE: 0.95}
SEEDS, EXAMPLES = 3, 3


class Task(NamedTuple):
    """A task and how it is learnt.

    draw: (train, validation, seed) to two Pairs
    train, held_out: number of training and of validation pairs (`held_out` as in the results)
    """

    draw: partial
    level: str
    train: int
    held_out: int
    units: int
    embedding: int
    attention: str | None
    epochs: int
    batch: int = 64
    rate: float = 3e-3

    def model(self, encoded: translator.EncodedPairs) -> lc.Seq2Seq:
        """Return the model for these vocabularies."""
        return lc.Seq2Seq(
            encoded.source.size,
            encoded.target.size,
            units=self.units,
            embedding=self.embedding,
            attention=self.attention,
            bidirectional=True,
            merge="concat",
        )


SENTENCES = Task(language.pairs, "word", 4_000, 500, 128, 64, "general", epochs=30)
TASKS = {
    DATES: Task(dates.pairs, "character", 20_000, 2_000, 64, 32, "general", epochs=10),
    LANGUAGE: SENTENCES,
    PLAIN: SENTENCES._replace(attention=None),
}


def run(quick: bool = False) -> dict:
    """Train each task with each seed, then translate all validation pairs."""
    runs, settings = [], {}
    for name, task in TASKS.items():
        if quick:
            task = task._replace(train=128, held_out=16, units=8, embedding=8, epochs=1)
        settings[name] = task._replace(draw=None)._asdict()
        for seed in range(1 if quick else SEEDS):
            runs.append({"task": name} | translate(task, seed))
            print(f"  {runs[-1]}", flush=True)
    return {"settings": settings, "runs": runs}


def translate(task: Task, seed: int) -> dict:
    """Return one run, its scores and some of its translations."""
    import sacrebleu

    pairs, validation = task.draw(task.train, task.held_out, seed)
    encoded = translator.encode_pairs(pairs, validation, task.level)
    model = task.model(encoded)
    params, found = translator.train(
        model,
        encoded,
        seed=seed,
        epochs=task.epochs,
        batch_size=task.batch,
        rate=task.rate,
        watched=min(task.held_out, 500),
    )
    length = encoded.validation["target"].shape[1]
    tokens = translator.decode(model, params, jnp.asarray(encoded.validation["source"]), length)
    texts = encoded.target.decode_all(np.asarray(tokens))
    right = [text == target for text, target in zip(texts, validation.targets, strict=True)]
    bleu = sacrebleu.corpus_bleu(texts, [validation.targets])
    chosen = sorted(range(len(texts)), key=right.__getitem__)[:EXAMPLES]  # mistakes first
    return found | {
        "weights": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "exact_match": round(float(np.mean(right)), 4),
        "bleu": round(bleu.score, 2) if task.level == "word" else None,
        "examples": [[validation.sources[i], validation.targets[i], texts[i]] for i in chosen],
    }


def exact(measured: dict, task: str) -> list[float]:
    """Return the exact match of each seed."""
    return [run["exact_match"] for run in measured["runs"] if run["task"] == task]


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criteria of the docstring of this module."""
    claims = []
    for task, required in REQUIRED.items():
        shares = exact(measured, task)
        claims.append(
            Claim(
                f"{task}: every seed writes at least {required:.0%} of what was held out without a "
                "mistake",
                min(shares) >= required,
                "by seed: " + ", ".join(f"{share:.1%}" for share in shares),
            )
        )
    pairs = list(zip(exact(measured, PLAIN), exact(measured, LANGUAGE), strict=True))
    claims.append(
        Claim(
            "without attention fewer sentences are right: for every seed",
            all(plain < attending for plain, attending in pairs),
            "by seed: " + ", ".join(f"{plain:.1%} against {other:.1%}" for plain, other in pairs),
        )
    )
    return claims


def tables(measured: dict) -> str:
    """Return a row per task, the seeds side by side; then some mistakes of the first seed."""
    rows = [
        "| task | training pairs | validation pairs | weights | epochs | exact match, by seed "
        "| BLEU |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for name, task in measured["settings"].items():
        runs = [run for run in measured["runs"] if run["task"] == name]
        shares = ", ".join(f"{share:.2%}" for share in exact(measured, name))
        bleu = ", ".join(f"{run['bleu']:.2f}" for run in runs if run["bleu"] is not None)
        rows.append(
            f"| {name} | {task['train']:,} | {task['held_out']:,} | {runs[0]['weights']:,} | "
            f"{task['epochs']} | {shares} | {bleu} |"
        )
    rows += ["", "| task | source | target | decoded |", "|---|---|---|---|"]
    for name in measured["settings"]:
        first = next(run for run in measured["runs"] if run["task"] == name)
        rows += [f"| {name} | {' | '.join(example)} |" for example in first["examples"]]
    return "\n".join(rows)


def draw(measured: dict) -> Figure:
    """Plot the fraction of validation targets decoded without a mistake, by epoch."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    panel = figure.subplots()
    for colour, name in zip(COLOURS, measured["settings"], strict=False):
        for number, run in enumerate(run for run in measured["runs"] if run["task"] == name):
            epochs = range(1, len(run["right"]) + 1)
            panel.plot(epochs, run["right"], color=colour, label=None if number else name)
    panel.set(xlabel="epoch", ylabel="validation targets\nwithout a mistake", ylim=(0, 1.02))
    panel.legend(loc="center right", frameon=False)
    return figure
