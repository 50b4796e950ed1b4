"""Time what checks for non-finite values, and checkpoints, add to training by `lc.fit`.

    python -m benchmarks overhead [--runs 9]

The two sides run in turn, after a warm-up; printed are medians, and quartiles of the
cost, the time with the option / the time without it.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstmcore as lc
from benchmarks.speed.timing import FULL, Budget, compare_slow
from benchmarks.studies import published
from lstmcore import series
from lstmcore.io.tensors import read_tensors, write_tensors
from lstmcore.training import epochs

LARGE_EPOCHS = 60


def main(arguments: list[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks overhead", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--runs", type=int, default=9, help="runs of each side (default 9)")
    runs = parser.parse_args(arguments).runs
    budget = FULL._replace(slow_pairs=runs)
    _show("300 epochs with / without the check for finite params", *trainings(), budget)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.safetensors"
        _show("300 epochs with / without a checkpoint", *stacked_runs(path), budget)
        fewer = FULL._replace(slow_pairs=max(1, runs // 3))
        _show(
            f"{LARGE_EPOCHS} epochs of a model of 10 MB with / without a checkpoint",
            *large_runs(path),
            fewer,
        )
        metadata, tensors = read_tensors(path)
        seconds = _seconds(lambda: write_tensors(path, tensors, metadata))
        print(f"  its file of {path.stat().st_size / 1e6:.1f} MB is written in {seconds:.3f} s")
    data = np.random.default_rng(0).bytes(100_000_000)
    seconds = _seconds(lambda: hashlib.blake2b(data, digest_size=8).digest())
    print(f"the digest of 100 MB of data, once a run: {seconds:.3f} s")


def _show(what: str, safe: Callable, bare: Callable, budget: Budget) -> None:
    without, with_it, cost = compare_slow(bare, safe, budget)
    print(f"{what}: {with_it.median:.3f} s / {without.median:.3f} s, {with_it.runs} runs each")
    print(f"  cost: median {cost.median:.3f}, quartiles {cost.low:.3f} and {cost.high:.3f}")


def _seconds(function: Callable) -> float:
    """Return the median of nine calls."""
    times = []
    for _ in range(9):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return float(np.median(times))


def trainings():
    """Return the stacked autoencoder's run, as is and with a check that always passes."""
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


def stacked_runs(path: Path):
    """Return the stacked autoencoder's run, with a checkpoint and without."""
    x, _ = series.temporalize(series.tutorial_series(), np.zeros(9), lookback=3)
    params = published.STACKED.init(jax.random.key(0))
    options = {"epochs": published.EPOCHS, "batch_size": 5}
    return _with_and_without(path, published.stacked_loss, params, x, options)


def large_runs(path: Path):
    """Return the run of a model of 10 MB; its file also holds Adam's two moments."""
    model = lc.StackedLSTM(features=8, units=(448, 448), outputs=8)
    params = model.init(jax.random.key(0))
    x = np.random.default_rng(0).normal(size=(64, 21, 8)).astype(np.float32)

    def loss(params, x):
        return jnp.mean((model.apply(params, x[:, :-1])[0] - x[:, 1:]) ** 2)

    return _with_and_without(path, loss, params, x, {"epochs": LARGE_EPOCHS, "batch_size": 16})


def _with_and_without(path: Path, loss: Callable, params, x, options: dict):
    optimizer = optax.adam(1e-3)

    def train(**checkpoint):
        path.unlink(missing_ok=True)
        return lc.fit(loss, params, x, optimizer=optimizer, **options, **checkpoint)

    return lambda: train(checkpoint=path), train
