"""One step of `lc.stream` beside a compiled `lc.lstm_step`.

    python -m benchmarks.stepping [--seconds 2]

One layer, one example of 16 features. Printed are medians, and quartiles of the ratio.
"""

from __future__ import annotations

import argparse

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks.common import FULL, compare

FEATURES, UNITS = 16, (64, 256, 512)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="for each line (default 2)")
    budget = FULL._replace(seconds=parser.parse_args().seconds)
    for units in UNITS:
        bare, streamed = sides(units)
        step, stream, ratio = compare(bare, streamed, budget)
        print(
            f"{units} units: stream {1e6 * stream.median:.0f} µs, step {1e6 * step.median:.0f} µs; "
            f"ratio {ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}, {ratio.runs} pairs)"
        )


def sides(units: int):
    """(step, stream), each from zeros, after a check that both show the same."""
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


if __name__ == "__main__":
    main()
