"""The LSTM with a part left out or added, after "LSTM: A Search Space Odyssey" (Greff et al. 2017).

They trained eight variants on speech, handwriting and music, with 200 random searches each, and
found: without the forget gate or without the output activation the network is significantly worse
on all three; coupling the input and the forget gate, or leaving out peepholes, changes little.
Their vanilla LSTM has peepholes; here they are the variant, which is the same comparison read from
the other side. Their "full gate recurrence" is not here; the simple RNN of Elman (1990) is instead.

The task is to predict the next character of source code in windows of 128: it needs remembering
(an open bracket, the column) and forgetting (at the end of a line, a string, a name), so that all
gates matter. Every variant is trained with each of two learning rates; the one with the better mean
on validation text counts, on test text.

Expected, and refuted otherwise: no forget gate and no output activation are each worse than
vanilla (Welch's t-test, one-sided, Holm-adjusted over all variants, p < 0.05) and are the two worst
of Greff's variants; coupled gates and peepholes each change the bits per character by at most 2 %.
"""

from __future__ import annotations

import jax
import numpy as np
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies import corpus, prediction
from benchmarks.studies.record import Claim
from benchmarks.studies.spread import holm, mean, p_greater
from lstmcore.study import VARIANTS
from lstmcore.study.plots.style import COLOURS

TITLE = "Which parts of the LSTM matter"
SOURCE = "Greff, Srivastava, Koutník, Steunebrink & Schmidhuber 2017, LSTM: A Search Space Odyssey"
HYPOTHESIS = (
    "The forget gate and the output activation are the parts that an LSTM can least do without; "
    "coupled gates and peepholes change little."
)

RATES, UNITS, LENGTH, BATCH = (1e-2, 3e-2), 64, 128, 16
SEEDS, STEPS = 5, 700
VANILLA, PEEPHOLES = "vanilla", "peepholes"
OUTSIDE = (VANILLA, "simple RNN")  # the latter is no variant of Greff's
WORST, HARMLESS = ("no forget gate", "no output activation"), ("coupled", PEEPHOLES)
LITTLE = 0.02  # of vanilla's bits per character


def run(quick: bool = False) -> dict:
    """Train every variant with every learning rate and seed on the same text."""
    seeds, steps, units, length = (2, 2, 4, 16) if quick else (SEEDS, STEPS, UNITS, LENGTH)
    text = corpus.standard_library(few=quick)
    letters = corpus.vocabulary(text.train)
    train, validation, test = (
        corpus.windows(letters.encode(part), length + 1)
        for part in (text.train, text.validation, text.test)
    )
    rng = np.random.default_rng(0)
    orders = [rng.permutation(len(train))[: steps * BATCH] for _ in range(seeds)]
    variants, rates, runs = {**VARIANTS, PEEPHOLES: {}}, RATES, []
    if quick:
        variants, rates = {name: variants[name] for name in (VANILLA, *WORST, *HARMLESS)}, RATES[:1]
    for variant, options in variants.items():
        loss = prediction.mean_loss(options)
        for rate in rates:
            optimizer = prediction.optimizer(rate, steps)
            for seed, order in enumerate(orders):
                extra = {"peephole": True} if variant == PEEPHOLES else {}
                params = prediction.init(jax.random.key(seed), letters.size, units, **extra)
                found = {"variant": variant, "rate": rate, "seed": seed, "diverged": False}
                try:
                    params = lc.fit(
                        loss, params, train[order], optimizer=optimizer, epochs=1, batch_size=BATCH
                    ).params
                except lc.NonFiniteLossError as error:
                    params, found["diverged"] = error.result.params, True
                parts = {"validation": validation, "test": test}
                scores = {
                    name: prediction.bits(loss, params, part[:1024]) for name, part in parts.items()
                }
                runs.append(found | scores)
            scores = np.array([run["test"] for run in runs[-seeds:]])
            print(f"  {variant}, rate {rate:g}: {scores.round(3)} bits per character", flush=True)
    return {
        "text": text.name,
        "digest": text.digest,
        "characters": [len(text.train), len(text.validation), len(text.test)],
        "vocabulary": letters.size,
        "units": units,
        "length": length,
        "batch": BATCH,
        "steps": steps,
        "optimizer": "Adam, rate falling to 0 along a cosine, gradients clipped to norm 1",
        "rates": list(rates),
        "runs": runs,
    }


def chosen_rate(measured: dict, variant: str) -> float:
    """Return the learning rate with the lowest mean on validation text."""

    def score(rate):
        return np.mean(_scores(measured, variant, rate, "validation"))

    return min(measured["rates"], key=score)


def final_bits(measured: dict, variant: str) -> np.ndarray:
    """Return bits per character on test text at the chosen rate, for each seed."""
    return _scores(measured, variant, chosen_rate(measured, variant), "test")


def p_values(measured: dict) -> dict[str, float]:
    """Return p of being worse than vanilla for each variant, adjusted for their number."""
    vanilla = final_bits(measured, VANILLA)
    names = [name for name in variants_of(measured) if name != VANILLA]
    return holm({name: p_greater(final_bits(measured, name), vanilla) for name in names})


def variants_of(measured: dict) -> list[str]:
    """Return the names of the variants that were run."""
    return list(dict.fromkeys(run["variant"] for run in measured["runs"]))


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criteria of the docstring of this module."""
    means = {name: final_bits(measured, name).mean() for name in variants_of(measured)}
    p = p_values(measured)
    ranking = sorted((name for name in means if name not in OUTSIDE), key=lambda n: -means[n])
    claims = [
        Claim(
            f"{name} is worse than vanilla (adjusted p < 0.05)",
            p[name] < 0.05,
            f"{_change(means, name):+.1%} bits per character, p = {p[name]:.2g}",
        )
        for name in WORST
    ]
    claims.append(
        Claim(
            f"{' and '.join(WORST)} are the two worst of Greff's variants",
            set(ranking[:2]) == set(WORST),
            "from worst to best: " + ", ".join(ranking),
        )
    )
    return claims + [
        Claim(
            f"{name} changes the bits per character by at most {LITTLE:.0%}",
            bool(abs(_change(means, name)) <= LITTLE),
            f"{_change(means, name):+.1%}",
        )
        for name in HARMLESS
    ]


def tables(measured: dict) -> str:
    """Return the variants from best to worst, then each seed at each rate."""
    means = {name: mean(final_bits(measured, name)) for name in variants_of(measured)}
    p, vanilla = p_values(measured), means[VANILLA].mean
    names = sorted(means, key=lambda name: means[name].mean)
    rows = [
        "| variant | bits per character, mean and 95 % interval | against vanilla | worse than "
        "vanilla: adjusted p | learning rate |",
        "|---|---|---:|---:|---:|",
    ]
    for name in names:
        change = f"{means[name].mean / vanilla - 1:+.1%}" if name != VANILLA else ""
        worse = f"{p[name]:.2g}" if name in p else ""
        score = f"{means[name].mean:.3f} [{means[name].low:.3f}, {means[name].high:.3f}]"
        rate = f"{chosen_rate(measured, name):g}"
        rows.append(f"| {name} | {score} | {change} | {worse} | {rate} |")
    rates = measured["rates"]
    rows += ["", "Each seed:", "", "| variant | " + " | ".join(f"rate {r:g}" for r in rates) + " |"]
    rows.append("|---|" + "---|" * len(rates))
    for name in names:
        seeds = (_scores(measured, name, rate, "test") for rate in rates)
        rows.append(
            f"| {name} | " + " | ".join(", ".join(f"{b:.2f}" for b in s) for s in seeds) + " |"
        )
    return "\n".join(rows)


def draw(measured: dict) -> Figure:
    """Plot each seed as a dot, each mean as a line with its interval, from best to worst."""
    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axes = figure.add_subplot()
    scores = {name: final_bits(measured, name) for name in variants_of(measured)}
    names = sorted(scores, key=lambda name: -scores[name].mean())
    for place, name in enumerate(names):
        found = mean(scores[name])
        colour = COLOURS[1] if name in WORST else COLOURS[0]
        axes.plot(scores[name], np.full(found.runs, place), "o", color=colour, alpha=0.5)
        axes.hlines(place, found.low, found.high, color=colour)
        axes.plot(found.mean, place, "|", color=colour, markersize=16)
    axes.axvline(scores[VANILLA].mean(), color="0.5", linestyle=":")
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("bits per character of test text (less is better)")
    axes.grid(axis="x", alpha=0.3)
    return figure


def _scores(measured: dict, variant: str, rate: float, part: str) -> np.ndarray:
    runs = measured["runs"]
    return np.array(
        [run[part] for run in runs if run["variant"] == variant and run["rate"] == rate]
    )


def _change(means: dict, name: str) -> float:
    return means[name] / means[VANILLA] - 1
