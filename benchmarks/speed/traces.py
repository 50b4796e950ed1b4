"""Time `study.run`, which keeps every trace, beside the plain forward pass; and a patch sweep.

    python -m benchmarks traces [--seconds 2] [--retain-memory]

Both sides are compiled before and run in turn; printed are medians and the quartiles of the
cost, the time of the run / the time of the forward pass.
"""

from __future__ import annotations

import argparse
import time

import jax
import numpy as np

import lstmcore as lc
from benchmarks.speed.formatting import spread
from benchmarks.speed.timing import FULL, compare
from lstmcore import study

# (model, batch, steps)
CELLS = (
    (lc.Autoencoder(2, (128, 64), "relu"), 5, 3),
    (lc.Autoencoder(1, (64, 32)), 32, 50),
    (lc.StackedLSTM(16, (64, 64), 64), 8, 200),
    (lc.StackedLSTM(8, 128, 1), 32, 100),
    (lc.StackedLSTM(32, 256, 1), 32, 100),
    (lc.StackedLSTM(64, 512, 1), 8, 200),
)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks traces", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line (default 2)")
    parser.add_argument(
        "--retain-memory", action="store_true", help="call lc.retain_memory() first"
    )
    options = parser.parse_args(arguments)
    if options.retain_memory:
        lc.retain_memory()
    budget = FULL._replace(seconds=options.seconds)
    for model, batch, steps in CELLS:
        for masked in (False, True):
            forward, traced = sides(model, batch, steps, masked)
            without, with_traces, cost = compare(forward, traced, budget)
            print(
                f"{type(model).__name__} {model.units}, batch {batch}, {steps} steps"
                f"{', masked' * masked}: {with_traces.median * 1e3:.2f} ms, forward "
                f"{without.median * 1e3:.2f} ms; cost {spread(cost)}"
            )
    swept, looped, count = sweep_and_loop()
    print(
        f"patch_sweep over 64 units x 50 steps: {swept:.2f} s with its compilation; the same by "
        f"{count:,} calls of study.run, compiled anew for each edit, would take {looped:.0f} s"
    )


def sides(model, batch: int, steps: int, masked: bool):
    """Return (forward, traced) on one random batch, after a check that their outputs agree."""
    params = model.init(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (batch, steps, model.features))
    lengths = 1 + np.arange(batch) % steps
    mask = lc.length_mask(lengths, steps) if masked else None
    apply = jax.jit(lambda params, x, mask: model.apply(params, x, mask=mask)[0])

    def forward():
        return jax.block_until_ready(apply(params, x, mask))

    def traced():
        return jax.block_until_ready(study.run(model, params, x, mask))

    np.testing.assert_allclose(forward(), traced().outputs, rtol=1e-5, atol=1e-6)
    return forward, traced


def sweep_and_loop(tried: int = 3) -> tuple[float, float, int]:
    """Return (seconds of one sweep, seconds of the same as a loop, patches).

    The time of the loop is extrapolated from a few patches, whose metrics must agree.
    """
    model = lc.StackedLSTM(8, 64, 1)
    params = model.init(jax.random.key(0))
    clean, corrupt = jax.random.normal(jax.random.key(1), (2, 1, 50, 8))

    def last(outputs):
        return outputs[0, -1, 0]

    started = time.perf_counter()
    over = ("layer", "step", "unit")
    sweep = study.patch_sweep(model.apply, params, clean, corrupt, last, over)
    swept = time.perf_counter() - started
    donor = study.run(model, params, clean)["lstm_0"]
    started = time.perf_counter()
    for place in range(tried):
        step, unit = 49 - place, 5 * place
        edit = study.patch(donor, units=unit, steps=step)
        patched = study.run(model, params, corrupt, edits={"lstm_0": edit})
        np.testing.assert_allclose(
            sweep.metric["lstm_0"][step, unit], last(patched.outputs), atol=1e-5
        )
    each = (time.perf_counter() - started) / tried
    return swept, each * sweep.metric["lstm_0"].size, sweep.metric["lstm_0"].size
