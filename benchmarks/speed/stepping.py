"""Time one step of `lc.stream` beside a compiled `lc.lstm_step`.

    python -m benchmarks stepping [--seconds 2]

One layer, one example of 16 features. Printed are medians, and quartiles of the cost, the
time of the stream / the time of `lc.lstm_step`.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks.speed.formatting import spread
from benchmarks.speed.timing import FULL, compare

FEATURES, UNITS = 16, (64, 256, 512)


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks stepping", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line (default 2)")
    budget = FULL._replace(seconds=parser.parse_args(arguments).seconds)
    for units in UNITS:
        bare, streamed = sides(units)
        step, stream, cost = compare(bare, streamed, budget)
        print(
            f"{units} units: stream {1e6 * stream.median:.0f} µs, step {1e6 * step.median:.0f} µs; "
            f"cost {spread(cost)}"
        )


def sides(units: int):
    """Return (step, stream), each from zeros, after a check that both compute the same h."""
    params = lc.init_lstm(jax.random.key(0), FEATURES, units)
    x = jax.random.normal(jax.random.key(1), (1, FEATURES))
    state, compiled = lc.zero_state(1, units), jax.jit(lc.lstm_step)
    stream = lc.stream(lc.lstm, params)

    def bare() -> jax.Array:
        return jax.block_until_ready(compiled(params, x, state))[0].h

    def streamed() -> jax.Array:
        return jax.block_until_ready(stream.step(x))[0]

    np.testing.assert_allclose(jnp.reshape(streamed(), (1, units)), bare(), rtol=1e-5, atol=1e-6)
    return bare, streamed
