"""What watching for non-finite values adds to a training step of `lc.fit`.

    python -m benchmarks.overhead [--runs 9]

The two sides run in turn, after a warm-up; printed are medians and the ratio's quartiles. How long
`import lstmcore` takes is a case of `python -m benchmarks`.
"""

from __future__ import annotations

import argparse
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np

import lstmcore as lc
from benchmarks import published
from benchmarks.common import FULL, compare_slow
from lstmcore import series
from lstmcore.training import epochs


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=9, help="runs of each side (default 9)")
    runs = parser.parse_args().runs
    checked, unchecked = trainings()
    without, with_check, ratio = compare_slow(unchecked, checked, FULL._replace(slow_pairs=runs))
    print(
        f"300 epochs with / without the check for finite params: {with_check.median:.3f} s / "
        f"{without.median:.3f} s, {runs} runs each"
    )
    print(f"  ratio: median {ratio.median:.3f}, quartiles {ratio.low:.3f} and {ratio.high:.3f}")


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


if __name__ == "__main__":
    main()
