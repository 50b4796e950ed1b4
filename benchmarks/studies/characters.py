"""A character model of source code, and what its units do, after Karpathy et al. (2015).

"Visualizing and Understanding Recurrent Networks" found, by eye, cells that keep track of the
position in a line, of quotes and of brackets; and, from how often each gate is saturated, forget
gates that are nearly always open but none that is nearly always closed.

Here a statistic looks: every unit's cell is correlated with signals that a program computes from
the text (`signals`). The unit with the largest |r| on one text is then judged on another.

Expected, and what would contradict it:
1. Some forget gates (two or more) are above 0.9 at 90 % of the steps, and none below 0.1 at 90 %.
2. For at least one signal, the chosen unit's |r| on text not used to choose it is 0.5 or more, and
   larger than that of any unit of untrained models and of any unit against shuffled signals.
3. The model uses what the unit follows: silencing the unit with the largest |r| of all raises the
   loss of the characters that end what it follows (newlines, closing quotes, ...) by more than
   silencing any but 5 % of the other units does.
4. Added after a first run (seed 0), and tested with another seed: so does silencing the units that
   follow strings (or quotes) and brackets, each for its own closing characters.
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

TITLE = "What units of a character model follow"
SOURCE = "Karpathy, Johnson & Fei-Fei 2015, Visualizing and Understanding Recurrent Networks"
HYPOTHESIS = (
    "Some units of a character model follow something that a reader would name, others' forget "
    "gates stay open nearly all of the time, and the model relies on the former."
)


class Size(NamedTuple):
    """How much of everything."""

    units: int
    epochs: int
    train: int | None  # windows to learn from; None for all
    look: int  # windows to look at
    silence: int  # of these: windows to silence units on
    untrained: int  # models
    shuffles: int


FULL, QUICK = Size(128, 5, None, 400, 100, 5, 50), Size(4, 1, 64, 8, 8, 1, 2)
LENGTH, BATCH, RATE, SEED = 128, 32, 5e-3, 1
NEARLY_ALWAYS, CLEAR, RANK = 0.9, 0.5, 0.05
CLOSING = ("inside a string", "inside quotes", "bracket depth")


def run(quick: bool = False, text: Path | None = None) -> dict:
    """Train, look at the gates, find units on one text, judge them on another."""
    size = QUICK if quick else FULL
    source = corpus.standard_library(few=quick) if text is None else corpus.read(text)
    letters = corpus.vocabulary(source.train)
    train = corpus.windows(letters.encode(source.train), LENGTH + 1)[: size.train]
    loss, steps = prediction.mean_loss({}), size.epochs * -(-len(train) // BATCH)
    fresh = prediction.init(jax.random.key(SEED), letters.size, size.units)
    result = lc.fit(
        loss,
        fresh,
        train,
        optimizer=prediction.optimizer(RATE, steps),
        epochs=size.epochs,
        batch_size=BATCH,
        key=jax.random.key(SEED + 1),
    )
    names, choose, choose_signals = units.look(source.validation, source, letters, size.look)
    _, verify, verify_signals = units.look(source.test, source, letters, size.look)
    untrained = [
        prediction.init(jax.random.key(100 + seed), letters.size, size.units)
        for seed in range(size.untrained)
    ]
    looked = (choose, choose_signals), (verify, verify_signals)
    found = units.find(result.params, untrained, *looked, size.shuffles)
    found |= units.silence(result.params, verify, verify_signals, found["unit"], size.silence)
    return {
        "text": source.name,
        "digest": source.digest,
        "characters": [len(source.train), len(source.validation), len(source.test)],
        "vocabulary": letters.size,
        "units": size.units,
        "length": LENGTH,
        "batch": BATCH,
        "steps": steps,
        "seed": SEED,
        "untrained": size.untrained,
        "shuffles": size.shuffles,
        "optimizer": f"Adam, {RATE:g} falling to 0 along a cosine, gradients clipped to norm 1",
        "train_bits": [prediction.BITS * float(value) for value in result.history["loss"]],
        "test_bits": prediction.bits(loss, result.params, verify, batch=min(100, size.look)),
        "saturation": units.saturation(result.params, verify),
        "signals": {
            name: {key: values[place] for key, values in found.items()}
            for place, name in enumerate(names)
        },
    }


def share_as_harmful(found: dict) -> float:
    """Of the other units: how many harm the ends of the signal at least as much when silenced."""
    return float(np.mean(np.array(found["harm_of_others"]) >= found["harm"]))


def is_needed(found: dict) -> bool:
    """Whether a signal's unit meets the third criterion."""
    return found["harm"] > 0 and share_as_harmful(found) < RANK


def stands(found: dict) -> bool:
    """Whether a signal's unit meets the second criterion."""
    return abs(found["r"]) >= CLEAR and abs(found["r"]) > max(found["untrained"], found["shuffled"])


def judge(measured: dict) -> list[Claim]:
    """The criteria of the docstring."""
    opened, closed = (
        sum(share >= NEARLY_ALWAYS for share in measured["saturation"][side]["forget"])
        for side in ("right", "left")
    )
    followed = [name for name, found in measured["signals"].items() if stands(found)]
    best = max(measured["signals"], key=lambda name: abs(measured["signals"][name]["r_chosen"]))
    found = measured["signals"][best]
    closing = [name for name in measured["signals"] if name in CLOSING]
    return [
        Claim(
            "two forget gates or more are above 0.9 at 90 % of the steps",
            opened >= 2,
            f"{opened} of {measured['units']} are",
        ),
        Claim("no forget gate is below 0.1 at 90 % of the steps", closed == 0, f"{closed} are"),
        Claim(
            "a unit chosen on one text follows a signal on another: |r| of 0.5 or more, and more "
            "than untrained units and shuffled signals give",
            bool(followed),
            f"signals with such a unit: {', '.join(followed) or 'none'}",
        ),
        Claim(
            f"silencing the unit with the largest |r| ({best}, unit {found['unit']}) harms what "
            "ends its signal more than silencing all but 5 % of the others",
            is_needed(found),
            f"{found['harm']:+.3f} nats there; {share_as_harmful(found):.0%} of the others do as "
            "much",
        ),
        Claim(
            f"so does silencing the units of {' and of '.join(closing)}, each for its own ends",
            all(is_needed(measured["signals"][name]) for name in closing),
            "; ".join(
                f"{name}, unit {one['unit']}: {one['harm']:+.3f} nats, "
                f"{share_as_harmful(one):.0%} of the others do as much"
                for name, one in measured["signals"].items()
                if name in closing
            ),
        ),
    ]


def tables(measured: dict) -> str:
    """One row per signal."""
    rows = [
        f"{measured['test_bits']:.2f} bits per character on test text.",
        "",
        "| signal | unit | r where chosen | r on test text | untrained, largest of any unit | "
        "shuffled, largest | ends | loss at ends, unit silenced | elsewhere | other units that "
        "harm the ends as much |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, found in measured["signals"].items():
        rows.append(
            f"| {name} | {found['unit']} | {found['r_chosen']:+.2f} | {found['r']:+.2f} | "
            f"{found['untrained']:.2f} | {found['shuffled']:.2f} | {found['ends']:,} | "
            f"{found['harm']:+.3f} | {found['harm_elsewhere']:+.3f} | "
            f"{share_as_harmful(found):.0%} |"
        )
    return "\n".join(rows)


def draw(measured: dict) -> Figure:
    """Saturation of the gates above; below, |r| of all units and of the chosen ones."""
    figure = Figure(figsize=(9, 6.8), layout="constrained")
    rows = figure.subfigures(2, height_ratios=[1, 1])
    sides = (lc.Gates(**measured["saturation"][side]) for side in ("left", "right"))
    panels = rows[0].subplots(1, 3, sharex=True, sharey=True, subplot_kw={"box_aspect": 1})
    study.plots.plot_saturation(study.Saturation(*sides), axes=panels)
    axes = rows[1].subplots()
    for place, found in enumerate(measured["signals"].values()):
        strengths = np.abs(found["all_r"])
        axes.plot(strengths, np.full(len(strengths), place), ".", color=COLOURS[0], alpha=0.35)
        axes.plot(abs(found["r"]), place, "o", color=COLOURS[1])
        axes.plot(found["untrained"], place, "|", color="0.2", markersize=14)
        axes.plot(found["shuffled"], place, "x", color="0.2")
    handles = [("o", COLOURS[1], "unit chosen on the other text"), (".", COLOURS[0], "all units")]
    handles += [("|", "0.2", "largest of untrained models"), ("x", "0.2", "largest when shuffled")]
    for marker, colour, label in handles:
        axes.plot([], [], marker, color=colour, label=label)
    axes.set_yticks(range(len(measured["signals"])), list(measured["signals"]))
    axes.set(xlabel="|r| of a unit's cell with the signal, test text", xlim=(0, 1))
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(axis="x", alpha=0.3)
    return figure
