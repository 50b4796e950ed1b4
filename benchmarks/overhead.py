"""What lstmcore adds: to `import jax`, and to a training step for watching non-finite values.

    python -m benchmarks.overhead [--runs 9]

Each pair runs interleaved (A B A B), after a warm-up; printed are medians and the ratio's spread.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks import published
from lstmcore import epochs, series

EVERY_NAME = "import lstmcore as lc; [getattr(lc, name) for name in lc.__all__]"


def main() -> None:
    """Measure both and print them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="runs of each side (default 9)")
    runs = parser.parse_args().runs
    compare(
        "import of every public name / import jax", runs, imports(EVERY_NAME), imports("import jax")
    )
    compare("300 epochs with / without the check for finite params", runs, *trainings())


def imports(code: str):
    """A whole process that runs `code`."""
    return lambda: subprocess.run([sys.executable, "-c", code], check=True)


def trainings():
    """The stacked autoencoder's run as it is, and with a check that is always content."""
    x, _ = series.temporalize(series.tutorial_series(), np.zeros(9), lookback=3)
    params = published.STACKED.init(jax.random.key(0))

    def unchecked_loss(params, x):  # a function of its own, for a program of its own
        return published.stacked_loss(params, x)

    def train(loss):
        return lc.fit(loss, params, x, epochs=published.EPOCHS, batch_size=5)

    checked = train(published.stacked_loss)
    with mock.patch.object(epochs, "_all_finite", return_value=jnp.bool(True)):
        unchecked = train(unchecked_loss)  # compiled here, and from the cache later
    np.testing.assert_allclose(
        checked.history["loss"][:5], unchecked.history["loss"][:5], rtol=1e-3
    )
    return lambda: train(published.stacked_loss), lambda: train(unchecked_loss)


def compare(what: str, runs: int, first, second) -> None:
    """Time two functions in turn and print medians and ratio."""
    first(), second()
    pairs = np.array([[seconds(first), seconds(second)] for _ in range(runs)])
    ratios = pairs[:, 0] / pairs[:, 1]
    one, other = np.median(pairs, axis=0)
    print(f"{what}: {one:.3f} s / {other:.3f} s, {runs} runs each")
    print(f"  ratio: median {np.median(ratios):.3f}, from {ratios.min():.3f} to {ratios.max():.3f}")


def seconds(function) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
