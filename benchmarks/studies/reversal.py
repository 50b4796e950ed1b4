"""Reading the source backwards (Sutskever, Vinyals & Le 2014, section 3.3).

An encoder-decoder without attention translates English to French with a perplexity of 4.7 and 30.6
BLEU if it reads the source from its end, 5.8 and 25.9 if it reads it as it stands. The paper
explains this with the short way from the first words to their translations, which lets training
"establish communication": the mean distance stays the same.

The task here is that explanation alone: random strings of 10 to 20 letters, translated letter for
letter. Runs come in pairs of one seed: equal data, equal weights at the start, equal order.

Expected, and what would contradict it, written before the runs:

1. Perplexity of held-out strings is lower with a reversed source: at p < 0.01 in a one-sided t-test
   of pairs, and for every seed.
2. More letters of held-out strings are right, likewise.
3. The paper's surprise, that late parts do not suffer though their distance grows: in the last
   third of a string, the share of right letters is not lower. It counts as lower if the opposite
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
from benchmarks.tasks import cipher
from lstmcore.study.plots.style import COLOURS
from lstmcore.vocabulary import END, PADDING

TITLE = "Reading the source backwards"
SOURCE = (
    "Sutskever, Vinyals & Le 2014, Sequence to Sequence Learning with Neural Networks, section 3.3"
)
HYPOTHESIS = (
    "An encoder-decoder without attention learns to translate random strings better if it reads "
    "the source from its end."
)
LEVEL_OF_P, LEVEL_OF_HARM = 0.01, 0.05
UNITS, EMBEDDING, BATCH, RATE, EPOCHS, SEEDS = 96, 32, 64, 3e-3, 8, 5
STRINGS, HELD_OUT = 20_000, 1_000
WAYS = {False: "as it stands", True: "from its end"}
THIRDS = ("first third", "middle", "last third")


def run(quick: bool = False) -> dict:
    """Train both ways with each seed, teacher forcing on held-out strings at the end."""
    seeds, strings, epochs, units = (2, 256, 1, 8) if quick else (SEEDS, STRINGS, EPOCHS, UNITS)
    runs = []
    for seed in range(seeds):
        pairs = cipher.pairs(strings, seed), cipher.pairs(HELD_OUT, 1_000 + seed)
        prepared = translator.prepare(*pairs, "character")
        for reverse in WAYS:
            model = lc.Seq2Seq(
                prepared.source.size,
                prepared.target.size,
                units=units,
                embedding=EMBEDDING,
                reverse_source=reverse,
            )
            params, found = translator.train(
                model,
                prepared,
                seed=seed,
                epochs=epochs,
                batch_size=BATCH,
                rate=RATE,
                watch=HELD_OUT,
            )
            found |= {"reversed": reverse} | measure(model, params, prepared.held_out)
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


def measure(model, params, held_out) -> dict:
    """Perplexity and share of right letters with teacher forcing, by third of the string."""
    source, target = held_out["source"], held_out["target"]
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
    """(nats, whether the likeliest token is right), both [B, T]."""
    nats, right = _evaluate(model, params, jnp.asarray(source), jnp.asarray(target))
    return np.asarray(nats), np.asarray(right)


def values(measured: dict, read) -> tuple[np.ndarray, np.ndarray]:
    """(as it stands, from its end) of `read(run)`, by seed."""
    plain, backwards = (
        np.array([read(run) for run in measured["runs"] if run["reversed"] == way]) for way in WAYS
    )
    return plain, backwards


def judge(measured: dict) -> list[Claim]:
    """The criteria of the docstring."""
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
    """One row for each way of reading; means with 95 % intervals over seeds."""
    rows = [
        "| the source is read | perplexity | letters right | "
        + " | ".join(THIRDS)
        + " | strings without a mistake, by seed |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for way, label in WAYS.items():
        runs = [run for run in measured["runs"] if run["reversed"] == way]
        numbers = [_mean([run[name] for run in runs]) for name in ("perplexity", "letters_right")]
        numbers += [_mean([run["thirds_right"][part] for run in runs]) for part in range(3)]
        strings = ", ".join(f"{run['right'][-1]:.1%}" for run in runs)
        rows.append(f"| {label} | {' | '.join(numbers)} | {strings} |")
    return "\n".join(rows)


def draw(measured: dict) -> Figure:
    """Training loss of every run; right letters by third."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    curves, bars = figure.subplots(1, 2)
    for way, label in WAYS.items():
        colour = COLOURS[int(way)]
        runs = [run for run in measured["runs"] if run["reversed"] == way]
        for number, run in enumerate(runs):
            epochs = range(1, len(run["loss"]) + 1)
            curves.plot(epochs, run["loss"], color=colour, label=None if number else label)
        for run in runs:
            bars.plot(THIRDS, run["thirds_right"], color=colour, marker="o", alpha=0.7)
    curves.set(xlabel="epoch", ylabel="training loss, nats per letter", ylim=(0, None))
    curves.legend(title="the source is read", frameon=False)
    bars.set(ylabel="held-out letters right", ylim=(0, 1.02), xlabel="part of the string")
    return figure
