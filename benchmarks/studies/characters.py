"""Units of a character model that correlate with signals, after Karpathy et al. (2015).

"Visualizing and Understanding Recurrent Networks" found, by eye, cells that keep track of the
position in a line, of quotes and of brackets; and, from how often each gate is saturated, forget
gates that are nearly always open but none that is nearly always closed.

Here units are found by a statistic: every unit's cell is correlated with signals that a program
computes from the text (`signals`). The unit with the largest |r| on one text is tested on another.

All of this for three models that differ in their seed. Expected in most of them, and refuted
otherwise:
1. Some forget gates (two or more) are above 0.9 at 90 % of the steps, and none below 0.1 at 90 %.
2. For at least one signal, the chosen unit's |r| on text not used to choose it is 0.5 or more, and
   larger than that of any unit of untrained models and of any unit against shuffled signals.
3. The model uses the signal: silencing the unit with the largest |r| of all raises the loss of the
   characters that end its signal (newlines, closing quotes, ...) by more than silencing all but 5 %
   of the other units does.
4. Added after a first run (seed 0), and tested with other seeds: so does silencing the units that
   correlate with strings (or quotes) and brackets, each for its own closing characters.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies import corpus, prediction, units
from benchmarks.studies.record import Claim
from lstmcore import study
from lstmcore.study.plots.style import COLOURS

TITLE = "What units of a character model correlate with"
SOURCE = "Karpathy, Johnson & Fei-Fei 2015, Visualizing and Understanding Recurrent Networks"
HYPOTHESIS = (
    "Some units of a character model correlate with something that a reader would name, the forget "
    "gates of others stay open nearly all of the time, and the model relies on the former."
)


class Size(NamedTuple):
    """The sizes of a run."""

    seeds: tuple[int, ...]
    units: int
    epochs: int
    train: int | None  # windows to learn from; None for all
    windows: int  # in which units are chosen and tested
    silence: int  # of these, windows on which units are silenced
    untrained: int  # models
    shuffles: int


FULL, QUICK = Size((1, 2, 3), 128, 5, None, 400, 100, 5, 50), Size((1,), 4, 1, 64, 8, 8, 1, 2)
LENGTH, BATCH, RATE = 128, 32, 5e-3
NEARLY_ALWAYS, CLEAR, RANK = 0.9, 0.5, 0.05
CLOSING = ("inside a string", "inside quotes", "bracket depth")


def run(quick: bool = False, text: Path | None = None) -> dict:
    """Train, measure saturation, choose units on one text and test them on another."""
    size = QUICK if quick else FULL
    source = corpus.standard_library(few=quick) if text is None else corpus.read(text)
    letters = corpus.vocabulary(source.train)
    train = corpus.windows(letters.encode(source.train), LENGTH + 1)[: size.train]
    loss, steps = prediction.mean_loss({}), size.epochs * -(-len(train) // BATCH)
    optimizer = prediction.optimizer(RATE, steps)
    names, *choose = units.sample_windows(source.validation, source, letters, size.windows)
    _, *verify = units.sample_windows(source.test, source, letters, size.windows)
    untrained = [
        prediction.init(jax.random.key(100 + number), letters.size, size.units)
        for number in range(size.untrained)
    ]
    runs = []
    for seed in size.seeds:
        init_key, order_key = jax.random.split(jax.random.key(seed))
        params, history = lc.fit(
            loss,
            prediction.init(init_key, letters.size, size.units),
            train,
            optimizer=optimizer,
            epochs=size.epochs,
            batch_size=BATCH,
            key=order_key,
        )
        found = units.find(params, untrained, choose, verify, size.shuffles)
        found |= units.silence(params, *verify, found["unit"], size.silence)
        run = {
            "seed": seed,
            "train_bits": [prediction.BITS * float(value) for value in history["loss"]],
            "test_bits": prediction.bits(loss, params, verify[0], batch=min(100, size.windows)),
            "saturation": units.saturation(params, verify[0]),
            "signals": {
                name: {key: values[place] for key, values in found.items()}
                for place, name in enumerate(names)
            },
        }
        print(f"  seed {seed}: {run['test_bits']:.2f} bits per character", flush=True)
        runs.append(run)
    return {
        "text": source.name,
        "digest": source.digest,
        "characters": [len(source.train), len(source.validation), len(source.test)],
        "vocabulary": letters.size,
        "units": size.units,
        "length": LENGTH,
        "batch": BATCH,
        "steps": steps,
        "untrained": size.untrained,
        "shuffles": size.shuffles,
        "optimizer": f"Adam, {RATE:g} falling to 0 along a cosine, gradients clipped to norm 1",
        "runs": runs,
    }


def fraction_as_harmful(found: dict) -> float:
    """Compute the fraction of other units that, silenced, harm the ends of the signal as much."""
    return float(np.mean(np.array(found["harm_of_others"]) >= found["harm"]))


def is_needed(found: dict) -> bool:
    """Return whether a signal's unit meets the third criterion."""
    return found["harm"] > 0 and fraction_as_harmful(found) < RANK


def correlates(found: dict) -> bool:
    """Return whether a signal's unit meets the second criterion."""
    return abs(found["r"]) >= CLEAR and abs(found["r"]) > max(found["untrained"], found["shuffled"])


CLAIMS = (
    "two forget gates or more are above 0.9 at 90 % of the steps",
    "no forget gate is below 0.1 at 90 % of the steps",
    "a unit chosen on one text follows a signal on another: |r| of 0.5 or more, and more than "
    "untrained units and shuffled signals give",
    "silencing the unit with the largest |r| harms what ends its signal more than silencing all "
    "but 5 % of the others",
    "so does silencing the units of strings (or quotes) and of brackets, each for its own ends",
)


def check_claims(measured: dict) -> list[Claim]:
    """Apply the criteria of the docstring of this module, each met if most seeds meet it."""
    by_seed = [check_seed(run) for run in measured["runs"]]
    claims = []
    for claim, found in zip(CLAIMS, zip(*by_seed, strict=True), strict=True):
        met = sum(holds for holds, _ in found)
        because = "; ".join(
            f"seed {run['seed']}: {why}"
            for run, (_, why) in zip(measured["runs"], found, strict=True)
        )
        claims.append(Claim(claim, 2 * met > len(found), f"{met} of {len(found)} seeds. {because}"))
    return claims


def check_seed(run: dict) -> list[tuple[bool, str]]:
    """Return, for each of `CLAIMS`, whether one model meets it, and why."""
    opened, closed = (
        sum(share >= NEARLY_ALWAYS for share in run["saturation"][side]["forget"])
        for side in ("right", "left")
    )
    signals = run["signals"]
    followed = [name for name, found in signals.items() if correlates(found)]
    best = max(signals, key=lambda name: abs(signals[name]["r_chosen"]))
    closing = [name for name in signals if name in CLOSING]

    def effect(name):
        found = signals[name]
        share = f"{fraction_as_harmful(found):.0%} of the others do as much"
        return f"{name}, unit {found['unit']}, {found['harm']:+.2f} nats, {share}"

    return [
        (opened >= 2, f"{opened} units"),
        (closed == 0, f"{closed} units"),
        (bool(followed), ", ".join(followed) or "none"),
        (is_needed(signals[best]), effect(best)),
        (all(is_needed(signals[name]) for name in closing), ", ".join(map(effect, closing))),
    ]


def tables(measured: dict) -> str:
    """Return a table for each seed, with a row per signal."""
    rows = []
    for run in measured["runs"]:
        rows += [
            f"Seed {run['seed']}, {run['test_bits']:.2f} bits per character of test text:",
            "",
            "| signal | unit | r where chosen | r on test text | untrained, largest of any unit | "
            "shuffled, largest | ends | loss at ends, unit silenced | elsewhere | other units that "
            "harm the ends as much |",
            "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
        ]
        for name, found in run["signals"].items():
            rows.append(
                f"| {name} | {found['unit']} | {found['r_chosen']:+.2f} | {found['r']:+.2f} | "
                f"{found['untrained']:.2f} | {found['shuffled']:.2f} | {found['ends']:,} | "
                f"{found['harm']:+.2f} | {found['harm_elsewhere']:+.2f} | "
                f"{fraction_as_harmful(found):.0%} |"
            )
        rows.append("")
    return "\n".join(rows).rstrip()


def draw(measured: dict) -> Figure:
    """Plot, for the first seed, saturation of the gates, and |r| of all and of chosen units."""
    first = measured["runs"][0]
    figure = Figure(figsize=(9, 6.8), layout="constrained")
    rows = figure.subfigures(2, height_ratios=[1, 1])
    sides = (lc.Gates(**first["saturation"][side]) for side in ("left", "right"))
    panels = rows[0].subplots(1, 3, sharex=True, sharey=True, subplot_kw={"box_aspect": 1})
    study.plots.plot_saturation(study.Saturation(*sides), axes=panels)
    axes = rows[1].subplots()
    for place, found in enumerate(first["signals"].values()):
        strengths = np.abs(found["all_r"])
        axes.plot(strengths, np.full(len(strengths), place), ".", color=COLOURS[0], alpha=0.35)
        axes.plot(abs(found["r"]), place, "o", color=COLOURS[1])
        axes.plot(found["untrained"], place, "|", color="0.2", markersize=14)
        axes.plot(found["shuffled"], place, "x", color="0.2")
    handles = [("o", COLOURS[1], "unit chosen on the other text"), (".", COLOURS[0], "all units")]
    handles += [("|", "0.2", "largest of untrained models"), ("x", "0.2", "largest when shuffled")]
    for marker, colour, label in handles:
        axes.plot([], [], marker, color=colour, label=label)
    axes.set_yticks(range(len(first["signals"])), list(first["signals"]))
    axes.set(xlabel="|r| of a unit's cell with the signal, test text", xlim=(0, 1))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(axis="x", alpha=0.3)
    return figure
