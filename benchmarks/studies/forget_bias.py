"""The initial bias of the forget gate, and the lag over which an LSTM learns to remember.

Gers et al. (2000) start the forget gate with a positive bias; Jozefowicz et al. (2015) compared
10,000 architectures and found that a bias of 1 "closes the gap" between the LSTM and the best
others, and that the gap is largest where dependencies are long: with a bias of 0 the gate starts
at 1/2, and both memory and gradient halve at every step.

The task isolates this: one of eight symbols, then `lag` random symbols, then the first one is the
target. New sequences at each step, equally many for all lags.

Compared, per seed, is the accuracy on a test set at the end, averaged over all lags (so that none
is picked). Expected, and refuted otherwise: a bias of 1 is better than 0 (Welch's t-test,
one-sided, p < 0.05), 0 is better than -1, and 1 closes at least half of the gap between 0 and the
best bias tried.
"""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import optax
from matplotlib.figure import Figure

import lstmcore as lc
from benchmarks.studies import fresh
from benchmarks.studies.record import Claim
from benchmarks.studies.spread import mean, p_greater
from lstmcore.study.plots.style import COLOURS

TITLE = "The initial forget bias"
SOURCE = (
    "Jozefowicz, Zaremba & Sutskever 2015, An Empirical Exploration of Recurrent Network "
    "Architectures"
)
HYPOTHESIS = (
    "Starting the forget gate's bias at 1 instead of 0 lets an LSTM learn longer dependencies, and "
    "closes most of the gap to the best start."
)

SYMBOLS, UNITS, BATCH = 8, 32, 32
BIASES, LAGS, SEEDS = (-1.0, 0.0, 1.0, 2.0, 5.0), (10, 20, 40, 80), 6
EPOCHS = 10  # of 2,560 sequences
LEARNED = 0.95  # accuracy
OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(5e-3))


def draw_sequences(key, count: int, lag: int):
    """Draw (symbols [B, 1 + lag], the first of them [B])."""
    symbols = jax.random.randint(key, (count, 1 + lag), 0, SYMBOLS)
    return symbols, symbols[:, 0]


def logits(params, symbols):
    """Compute the logits of the symbols after the last step: [B, SYMBOLS]."""
    state, _ = lc.lstm(params["lstm"], jax.nn.one_hot(symbols, SYMBOLS))
    return lc.dense(params["head"], state.h)


def accuracy(params, symbols, target):
    """Compute the accuracy, between 0 and 1."""
    return jnp.mean(jnp.argmax(logits(params, symbols), axis=1) == target)


@cache
def make_loss(lag: int):
    """Return a loss: cross-entropy on new sequences; on given ones, the fraction wrong."""

    def loss(params, batch):
        if isinstance(batch, tuple):
            return 1 - accuracy(params, *batch)
        key = fresh.key(params["head"].kernel[0, 0], batch)
        symbols, target = draw_sequences(key, len(batch), lag)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits(params, symbols), target)
        return jnp.mean(losses)

    return loss


def init(seed: int, bias: float) -> dict:
    """Draw initial weights, which are the same for all biases but for the bias itself."""
    lstm_key, head_key = jax.random.split(jax.random.key(seed))
    return {
        "lstm": lc.init_lstm(lstm_key, SYMBOLS, UNITS, forget_bias=bias),
        "head": lc.init_dense(head_key, UNITS, SYMBOLS),
    }


def run(quick: bool = False) -> dict:
    """Train every bias at every lag with every seed."""
    lags, seeds, epochs = ((4,), 2, 1) if quick else (LAGS, SEEDS, EPOCHS)
    runs = []
    for lag in lags:
        loss = make_loss(lag)
        test = draw_sequences(jax.random.key(10_000), fresh.EPOCH, lag)
        for bias in BIASES:
            for seed in range(seeds):
                result = lc.fit(
                    loss,
                    init(seed, bias),
                    fresh.salts(seed),
                    optimizer=OPTIMIZER,
                    epochs=epochs,
                    batch_size=BATCH,
                    validation=test,
                )
                right = (1 - result.history["validation_loss"]).tolist()
                runs.append({"lag": lag, "bias": bias, "seed": seed, "right": right})
            ends = [run["right"][-1] for run in runs[-seeds:]]
            print(f"  lag {lag}, bias {bias:g}: right at the end {np.round(ends, 2)}", flush=True)
    return {
        "lags": list(lags),
        "biases": list(BIASES),
        "symbols": SYMBOLS,
        "units": UNITS,
        "batch": BATCH,
        "optimizer": "Adam 0.005, gradients clipped to norm 1",
        "sequences": epochs * fresh.EPOCH,
        "runs": runs,
    }


def by_seed(measured: dict, bias: float, lag: int | None = None) -> np.ndarray:
    """Return the accuracy at the end for each seed; the mean over lags unless one is given."""
    accuracies: dict[int, list[float]] = {}
    for found in measured["runs"]:
        if found["bias"] == bias and lag in (None, found["lag"]):
            accuracies.setdefault(found["seed"], []).append(found["right"][-1])
    return np.array([np.mean(values) for values in accuracies.values()])


def check_claims(measured: dict) -> list[Claim]:
    """Apply the three criteria of the docstring of this module."""
    none, zero, one = (by_seed(measured, bias) for bias in (-1.0, 0.0, 1.0))
    means = {bias: by_seed(measured, bias).mean() for bias in measured["biases"]}
    best = max(means, key=means.__getitem__)
    gap = means[best] - means[0.0]
    closed = (means[1.0] - means[0.0]) / gap if gap > 0 else 0.0
    ahead, behind = p_greater(one, zero), p_greater(zero, none)
    return [
        Claim(
            "bias 1 is better than bias 0 (p < 0.05)",
            ahead < 0.05,
            f"right answers {mean(one)} against {mean(zero)}, p = {ahead:.2g}",
        ),
        Claim(
            "bias 0 is better than bias -1 (p < 0.05)",
            behind < 0.05,
            f"right answers {mean(zero)} against {mean(none)}, p = {behind:.2g}",
        ),
        Claim(
            "bias 1 closes at least half of the gap between bias 0 and the best bias tried",
            bool(closed >= 0.5),
            f"the best is bias {best:g} with {means[best]:.3f}; bias 1 closes {closed:.0%}",
        ),
    ]


def tables(measured: dict) -> str:
    """Return biases against lags: mean accuracy, and how many seeds learned the task."""
    lags = measured["lags"]
    rows = [
        "| initial bias | "
        + " | ".join(f"lag {lag}" for lag in lags)
        + " | all lags, 95 % interval |",
        "|---:|" + "---|" * (len(lags) + 1),
    ]
    for bias in measured["biases"]:
        cells = []
        for lag in lags:
            shares = by_seed(measured, bias, lag)
            cells.append(f"{shares.mean():.2f} ({(shares >= LEARNED).sum()} of {len(shares)})")
        cells.append(str(mean(by_seed(measured, bias))))
        rows.append(f"| {bias:g} | " + " | ".join(cells) + " |")
    rows += [
        "",
        f"In brackets: seeds with {LEARNED:.0%} of the answers right or more. The interval is "
        "Student's t, although a fraction ends at 1.",
    ]
    return "\n".join(rows)


def draw(measured: dict) -> Figure:
    """Plot accuracy against the lag: a dot per seed, a line through the means of each bias."""
    figure = Figure(figsize=(7.5, 3.8), layout="constrained")
    axes = figure.add_subplot()
    lags = measured["lags"]
    for number, (bias, colour) in enumerate(zip(measured["biases"], COLOURS, strict=False)):
        shares = [by_seed(measured, bias, lag) for lag in lags]
        places = np.arange(len(lags)) + 0.06 * (number - 2)
        axes.plot(places, [s.mean() for s in shares], color=colour, label=f"{bias:g}")
        axes.plot(places, shares, ".", color=colour, alpha=0.7)
    axes.axhline(1 / measured["symbols"], color="0.5", linestyle=":", label="guessing")
    axes.set_xticks(range(len(lags)), lags)
    axes.set(xlabel="steps between symbol and answer", ylabel="right answers", ylim=(0, 1.05))
    axes.legend(title="initial bias", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    axes.grid(alpha=0.3)
    return figure
