"""Train the tutorial's stacked autoencoder for 300 epochs, in lstmcore, Keras or PyTorch.

    python -m benchmarks tutorial lstmcore|keras|torch

trains it once, as a whole program would, and prints the largest error of its reconstruction. The
case "tutorial" of `python -m benchmarks peers` times all of them.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.speed.parity import ParityError
from benchmarks.speed.processes import python
from benchmarks.speed.timing import Budget, Record, compare_slow, measure_slow
from lstmcore.series import temporalize, tutorial_series

EPOCHS = 300
WORST_ERROR = 0.25  # of values from 0.1 to 1; the mean of each column is off by about 0.4


class Run(NamedTuple):
    """A model with its training.

    train: does all epochs
    predict: returns the reconstruction, as NumPy [5, 3, 2]
    """

    train: Callable[[], None]
    predict: Callable[[], np.ndarray]

    def worst_error(self) -> float:
        """Return the largest absolute error of the reconstruction."""
        return float(np.abs(self.predict() - data()).max())


def data() -> np.ndarray:
    """Return the five windows, [5, 3, 2]."""
    return temporalize(tutorial_series(), np.zeros(9), lookback=3)[0].astype(np.float32)


# Each function imports its library itself, so that a new process loads no other.
def in_lstmcore() -> Run:
    """Return the run in lstmcore."""
    import jax

    import lstmcore as lc
    from benchmarks.studies import published

    x, result = data(), None
    params = published.STACKED.init(jax.random.key(0))

    def train():
        nonlocal result
        result = lc.fit(published.stacked_loss, params, x, epochs=EPOCHS, batch_size=5)
        jax.block_until_ready(result.params)

    return Run(train, lambda: np.asarray(published.STACKED.apply(result.params, x)[0]))


def in_keras() -> Run:
    """Return the run in Keras, on the backend that KERAS_BACKEND names."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    x = data()
    model = keras.Sequential(
        [
            layers.Input((3, 2)),
            layers.LSTM(128, activation="relu", return_sequences=True),
            layers.LSTM(64, activation="relu"),
            layers.RepeatVector(3),
            layers.LSTM(64, activation="relu", return_sequences=True),
            layers.LSTM(128, activation="relu", return_sequences=True),
            layers.TimeDistributed(layers.Dense(2)),
        ]
    )
    model.compile(optimizer="adam", loss="mse")
    return Run(
        lambda: model.fit(x, x, epochs=EPOCHS, batch_size=5, verbose=0),
        lambda: model.predict(x, verbose=0),
    )


def in_torch() -> Run:
    """Return the run in PyTorch, with tanh and two biases per layer: `nn.LSTM` has no relu."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    x = torch.from_numpy(data())
    sizes = [(2, 128), (128, 64), (64, 64), (64, 128)]
    lstms = nn.ModuleList([nn.LSTM(*size, batch_first=True) for size in sizes])
    head = nn.Linear(128, 2)
    optimizer = torch.optim.Adam([*lstms.parameters(), *head.parameters()])

    def model(x):
        hidden, _ = lstms[0](x)
        _, (code, _) = lstms[1](hidden)
        repeated = code[0][:, None].expand(-1, 3, -1)
        return head(lstms[3](lstms[2](repeated)[0])[0])

    def train():
        for _ in range(EPOCHS):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), x).backward()
            optimizer.step()

    return Run(train, lambda: model(x).detach().numpy())


RUNS = {"lstmcore": in_lstmcore, "keras": in_keras, "torch": in_torch}


def records(peer: str, cores: str, budget: Budget) -> Iterator[Record]:
    """Time the run in this process, in new ones, and in new ones with JAX's compilation cache."""
    theirs = "torch" if peer == "torch" else "keras"
    warm = [RUNS[name]() for name in ("lstmcore", theirs)]
    for run in warm:
        run.train()
        if not run.worst_error() <= WORST_ERROR:
            raise ParityError(f"{peer}: 300 epochs left an error of {run.worst_error():.2f}")
    measured = measure_slow(*(run.train for run in warm), budget)
    yield Record.of("tutorial_warm", None, cores, peer, measured)

    times = compare_slow(program("lstmcore"), program(theirs), budget)
    yield Record("tutorial_cold", None, cores, peer, *times)

    if peer == "keras-jax":
        with tempfile.TemporaryDirectory() as folder:
            # Also programs that compile fast or are small, which JAX does not cache by default.
            cache = {
                "JAX_COMPILATION_CACHE_DIR": folder,
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            }
            times = compare_slow(program("lstmcore", cache), program(theirs, cache), budget)
        yield Record("tutorial_cached", None, cores, peer, *times)


def program(name: str, variables: dict[str, str] | None = None) -> Callable[[], str]:
    """Return a function that trains and predicts in a new process."""
    return partial(python, "-m", "benchmarks", "tutorial", name, variables=variables)


def main(arguments: list[str] | None = None) -> None:
    """Train once and print the largest error."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks tutorial", description=__doc__.splitlines()[0]
    )
    parser.add_argument("library", choices=RUNS)
    run = RUNS[parser.parse_args(arguments).library]()
    run.train()
    print(f"largest error {run.worst_error():.3f}")
