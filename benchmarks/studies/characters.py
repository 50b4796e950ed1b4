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
"""

from __future__ import annotations

from pathlib import Path

import jax
import numpy as np
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies import corpus, prediction, units
from benchmarks.studies.record import Claim
from benchmarks.studies.signals import falls, signals
from lstmcore import study
from lstmcore.study.plots.style import COLOURS

TITLE = "What units of a character model follow"
SOURCE = "Karpathy, Johnson & Fei-Fei 2015, Visualizing and Understanding Recurrent Networks"
HYPOTHESIS = (
    "Some units of a character model follow something that a reader would name, others' forget "
    "gates stay open nearly all of the time, and the model relies on the former."
)

UNITS, LENGTH, BATCH, EPOCHS, RATE = 128, 128, 32, 5, 5e-3
SEED, LOOK = (
    0,
    256,
)  # steps of the windows that are looked at: a string may begin before a short one
CHOOSE, VERIFY, SILENCE = 400, 400, 64  # windows
UNTRAINED, SHUFFLES = 5, 50
NEARLY_ALWAYS, CLEAR, RANK = 0.9, 0.5, 0.05


def run(quick: bool = False, text: Path | None = None) -> dict:
    """Train, look at the gates, find units on one text, judge them on another."""
    size, epochs, few = (4, 1, 8) if quick else (UNITS, EPOCHS, None)
    source = corpus.standard_library(few=quick) if text is None else corpus.read(text)
    letters = corpus.vocabulary(source.train)
    train = corpus.windows(letters.encode(source.train), LENGTH + 1)[: few and 64]
    loss, steps = prediction.mean_loss({}), epochs * -(-len(train) // BATCH)
    fresh = prediction.init(jax.random.key(SEED), letters.size, size)
    result = lc.fit(
        loss,
        fresh,
        train,
        optimizer=prediction.optimizer(RATE, steps),
        epochs=epochs,
        batch_size=BATCH,
        key=jax.random.key(SEED + 1),
        progress=False,
    )
    names, choose, choose_signals = _look(source.validation, source, letters, few or CHOOSE)
    _, verify, verify_signals = _look(source.test, source, letters, few or VERIFY)
    untrained = [
        prediction.init(jax.random.key(100 + seed), letters.size, size)
        for seed in range(1 if quick else UNTRAINED)
    ]
    shuffles = 2 if quick else SHUFFLES
    looked = (choose, choose_signals), (verify, verify_signals)
    found = _find(result.params, untrained, *looked, shuffles)
    found |= _silence(result.params, verify, verify_signals, found["unit"], few or SILENCE)
    return {
        "text": source.name,
        "digest": source.digest,
        "characters": [len(source.train), len(source.validation), len(source.test)],
        "vocabulary": letters.size,
        "units": size,
        "length": LENGTH,
        "batch": BATCH,
        "steps": steps,
        "seed": SEED,
        "untrained": len(untrained),
        "shuffles": shuffles,
        "optimizer": f"Adam, {RATE:g} falling to 0 along a cosine, gradients clipped to norm 1",
        "train_bits": [prediction.BITS * float(value) for value in result.history["loss"]],
        "test_bits": prediction.bits(loss, result.params, verify, batch=few or 100),
        "saturation": _saturation(result.params, verify),
        "signals": {
            name: {key: values[place] for key, values in found.items()}
            for place, name in enumerate(names)
        },
    }


def _look(part: str, source, letters, count: int):
    """(names of the signals, windows [B, T + 1], the signals [S, B, T + 1])."""
    found = signals(part, is_python=source.is_python)
    windows = corpus.windows(letters.encode(part), LOOK + 1)[:count]
    cut = [corpus.windows(values, LOOK + 1)[:count] for values in found.values()]
    return list(found), windows, np.stack(cut)


def _saturation(params, windows) -> dict:
    """{"left" or "right": {gate: [H]}}, fractions of all steps."""
    _, trace = jax.jit(prediction.nats)(params, windows)
    sides = study.saturation(trace)._asdict()
    return {
        side: {gate: _rounded(values) for gate, values in gates._asdict().items()}
        for side, gates in sides.items()
    }


def _find(params, untrained, choose, verify, shuffles) -> dict[str, list]:
    """For each signal: the unit chosen, its |r| on both texts, and what chance would give."""
    chosen_r = np.asarray(units.correlations(params, *choose))
    unit = np.abs(chosen_r).argmax(axis=1)
    places = np.arange(len(unit))
    verified_r = np.asarray(units.correlations(params, *verify))
    of_untrained = [np.abs(units.correlations(weights, *verify)).max(1) for weights in untrained]
    return {
        "unit": unit.tolist(),
        "r_chosen": _rounded(chosen_r[places, unit]),
        "r": _rounded(verified_r[places, unit]),
        "untrained": _rounded(np.max(of_untrained, axis=0)),
        "shuffled": _rounded(units.largest_by_chance(params, *verify, shuffles=shuffles)),
        "all_r": [_rounded(row) for row in verified_r],
    }


def _silence(params, windows, values, chosen: list[int], count: int) -> dict[str, list]:
    """For each signal: how much silencing its unit, and each other unit, harms."""
    relevant = falls(values[:, :count])
    harm = units.harm_of_silencing(params, windows[:count], relevant)
    places = np.arange(len(chosen))
    own, elsewhere = harm[places, 0, chosen], harm[places, 1, chosen]
    others = [np.delete(row, unit) for row, unit in zip(harm[:, 0], chosen, strict=True)]
    return {
        "ends": relevant.sum(axis=(1, 2)).tolist(),
        "harm": _rounded(own),
        "harm_elsewhere": _rounded(elsewhere),
        "harm_of_others": [_rounded(row) for row in others],
    }


def share_as_harmful(found: dict) -> float:
    """Of the other units: how many harm the ends of the signal at least as much when silenced."""
    return float(np.mean(np.array(found["harm_of_others"]) >= found["harm"]))


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
    share = share_as_harmful(found)
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
            found["harm"] > 0 and share < RANK,
            f"{found['harm']:+.3f} nats there; {share:.0%} of the others do as much",
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


def _rounded(values) -> list[float]:
    return [round(float(value), 4) for value in values]
