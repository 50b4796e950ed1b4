"""Reversed source sequences (Sutskever, Vinyals & Le 2014, section 3.3).

An encoder-decoder without attention translates English to French with a perplexity of 4.7 and 30.6
BLEU if the source is reversed, 5.8 and 25.9 if it is not. The paper explains this with the short
distance from the first words to their translations, which lets training "establish communication":
the mean distance stays the same.

The task isolates that explanation: random strings of 10 to 20 letters, translated letter for
letter. Runs come in pairs of one seed: equal data, equal initial weights, equal order.

Expected, and refuted otherwise, stated before the runs:

1. Perplexity of validation strings is lower with a reversed source: at p < 0.01 in a one-sided
   t-test of pairs, and for every seed.
2. More letters of validation strings are right, likewise.
3. The paper's surprise, that late parts do not suffer though their distance grows: in the last
   third of a string, the fraction of right letters is not lower. It counts as lower if the opposite
   has p < 0.05.
"""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies import spread, translator
from benchmarks.studies.record import Claim
from benchmarks.studies.tasks import cipher
from lstmcore.study.plots.style import COLOURS
from lstmcore.vocabulary import END, PADDING

TITLE = "A reversed source"
SOURCE = (
    "Sutskever, Vinyals & Le 2014, Sequence to Sequence Learning with Neural Networks, section 3.3"
)
HYPOTHESIS = (
    "An encoder-decoder without attention learns to translate random strings better if it reads "
    "the source from its end."
)
LEVEL_OF_P, LEVEL_OF_HARM = 0.01, 0.05
UNITS, EMBEDDING, BATCH, RATE, EPOCHS, SEEDS = 96, 32, 64, 3e-3, 8, 5
STRINGS, VALIDATION = 20_000, 1_000
ORDERS = {False: "as is", True: "reversed"}
THIRDS = ("first third", "middle", "last third")


def run(quick: bool = False) -> dict:
    """Train with both orders and each seed, then evaluate with teacher forcing."""
    seeds, strings, epochs, units = (2, 256, 1, 8) if quick else (SEEDS, STRINGS, EPOCHS, UNITS)
    runs = []
    for seed in range(seeds):
        pairs = cipher.pairs(strings, seed), cipher.pairs(VALIDATION, 1_000 + seed)
        encoded = translator.encode_pairs(*pairs, "character")
        for reverse in ORDERS:
            model = lc.Seq2Seq(
                encoded.source.size,
                encoded.target.size,
                units=units,
                embedding=EMBEDDING,
                reverse_source=reverse,
            )
            params, found = translator.train(
                model,
                encoded,
                seed=seed,
                epochs=epochs,
                batch_size=BATCH,
                rate=RATE,
                watched=VALIDATION,
            )
            found |= {"reversed": reverse} | measure(model, params, encoded.validation)
            print(f"  {found}", flush=True)
            runs.append(found)
    return {
        "units": units,
        "weights": sum(leaf.size for leaf in jax.tree.leaves(params)),
        "strings": strings,
        "epochs": epochs,
        "batch": BATCH,
        "optimizer": f"Adam {RATE}, falling to 0, gradients clipped to norm 1",
        "runs": runs,
    }


def measure(model, params, validation) -> dict:
    """Compute perplexity and accuracy with teacher forcing, and accuracy by third of the string."""
    source, target = validation["source"], validation["target"]
    nats, right = evaluate(model, params, source, target)
    letters = (target != PADDING) & (target != END)
    place = np.arange(target.shape[1]) / letters.sum(axis=1, keepdims=True)
    thirds = [letters & (place >= part / 3) & (place < (part + 1) / 3) for part in range(3)]
    return {
        "perplexity": round(float(np.exp(nats[target != PADDING].mean())), 4),
        "letters_right": round(float(right[letters].mean()), 4),
        "thirds_right": [round(float(right[third].mean()), 4) for third in thirds],
    }


@partial(jax.jit, static_argnums=0)
def _evaluate(model, params, source, target):
    logits, _ = model.apply(params, source, target)
    chosen = jax.nn.one_hot(target, logits.shape[-1], dtype=logits.dtype)
    return -(jax.nn.log_softmax(logits) * chosen).sum(-1), logits.argmax(-1) == target


def evaluate(model, params, source, target) -> tuple[np.ndarray, np.ndarray]:
    """Compute (nats, whether the likeliest token is right), both [B, T]."""
    nats, right = _evaluate(model, params, jnp.asarray(source), jnp.asarray(target))
    return np.asarray(nats), np.asarray(right)


def values(measured: dict, read) -> tuple[np.ndarray, np.ndarray]:
    """Return (as is, reversed) of `read(run)`, by seed."""
    plain, backwards = (
        np.array([read(run) for run in measured["runs"] if run["reversed"] == order])
        for order in ORDERS
    )
    return plain, backwards


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criteria of the docstring of this module."""
    perplexity = values(measured, lambda run: run["perplexity"])
    letters = values(measured, lambda run: run["letters_right"])
    last = values(measured, lambda run: run["thirds_right"][2])
    harm = spread.p_of_pairs(last[0], last[1])
    return [
        _better("perplexity of held-out strings is lower from the end", *perplexity),
        _better("more letters of held-out strings are right", *letters[::-1]),
        Claim(
            f"the last third of a string does not suffer (it would, at p < {LEVEL_OF_HARM})",
            bool(harm >= LEVEL_OF_HARM),
            f"right letters there: {_mean(last[0])} as it stands, {_mean(last[1])} from the end; "
            f"p of harm {harm:.2g}",
        ),
    ]


def _better(claim: str, larger: np.ndarray, smaller: np.ndarray) -> Claim:
    p, seeds = spread.p_of_pairs(larger, smaller), int((larger > smaller).sum())
    return Claim(
        f"{claim}: p < {LEVEL_OF_P} over pairs, and for every seed",
        bool(p < LEVEL_OF_P and seeds == len(larger)),
        f"{seeds} of {len(larger)} seeds, mean difference {_mean(larger - smaller)}, p = {p:.2g}",
    )


def _mean(numbers) -> str:
    return str(spread.mean(numbers))


def tables(measured: dict) -> str:
    """Return a row for each order; means with 95 % intervals over seeds."""
    rows = [
        "| source | perplexity | letters right | "
        + " | ".join(THIRDS)
        + " | strings without a mistake, by seed |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for order, label in ORDERS.items():
        runs = [run for run in measured["runs"] if run["reversed"] == order]
        numbers = [_mean([run[name] for run in runs]) for name in ("perplexity", "letters_right")]
        numbers += [_mean([run["thirds_right"][part] for run in runs]) for part in range(3)]
        strings = ", ".join(f"{run['right'][-1]:.1%}" for run in runs)
        rows.append(f"| {label} | {' | '.join(numbers)} | {strings} |")
    return "\n".join(rows)


def draw(measured: dict) -> Figure:
    """Plot the training loss of every run, and accuracy by third."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    curves, bars = figure.subplots(1, 2)
    for order, label in ORDERS.items():
        colour = COLOURS[int(order)]
        runs = [run for run in measured["runs"] if run["reversed"] == order]
        for number, run in enumerate(runs):
            epochs = range(1, len(run["loss"]) + 1)
            curves.plot(epochs, run["loss"], color=colour, label=None if number else label)
        for run in runs:
            bars.plot(THIRDS, run["thirds_right"], color=colour, marker="o", alpha=0.7)
    curves.set(xlabel="epoch", ylabel="training loss, nats per letter", ylim=(0, None))
    curves.legend(title="source", frameon=False)
    bars.set(ylabel="validation letters right", ylim=(0, 1.02), xlabel="part of the string")
    return figure
