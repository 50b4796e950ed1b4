"""The 300-epoch run of the tutorial's stacked autoencoder, in lstmcore, Keras and PyTorch.

    python -m benchmarks.tutorial lstmcore|keras|torch

trains it once, as a whole program would, and prints the worst error of its reconstruction.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from benchmarks.common import Budget, Record, compare_slow
from benchmarks.parity import ParityError
from benchmarks.processes import python
from lstmcore.series import temporalize, tutorial_series

EPOCHS = 300
WORST_ERROR = 0.25  # of values from 0.1 to 1; the mean of each column is off by about 0.4


class Run(NamedTuple):
    """train: does all epochs; predict: the reconstruction, as NumPy [5, 3, 2]."""

    train: Callable[[], None]
    predict: Callable[[], np.ndarray]

    def worst_error(self) -> float:
        return float(np.abs(self.predict() - data()).max())


def data() -> np.ndarray:
    """The five windows, [5, 3, 2]."""
    return temporalize(tutorial_series(), np.zeros(9), lookback=3)[0].astype(np.float32)


# Each imports its library itself, for a new process is to load no other.
def in_lstmcore() -> Run:
    import jax

    import lstmcore as lc
    from benchmarks import published

    x, result = data(), None
    params = published.STACKED.init(jax.random.key(0))

    def train():
        nonlocal result
        result = lc.fit(published.stacked_loss, params, x, epochs=EPOCHS, batch_size=5)
        jax.block_until_ready(result.params)

    return Run(train, lambda: np.asarray(published.STACKED.apply(result.params, x)[0]))


def in_keras() -> Run:
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
    """`torch.nn.LSTM` knows no relu, so this model keeps its tanh, and two biases per layer."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    x = torch.from_numpy(data())
    sizes = [(2, 128), (128, 64), (64, 64), (64, 128)]
    lstms = nn.ModuleList([nn.LSTM(*size, batch_first=True) for size in sizes])
    head = nn.Linear(128, 2)
    optimizer = torch.optim.Adam([*lstms.parameters(), *head.parameters()])

    def model(x):
        seen, _ = lstms[0](x)
        _, (code, _) = lstms[1](seen)
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
    """Warm, in new processes, and in new processes that find their programs already compiled."""
    theirs = "torch" if peer == "torch" else "keras"
    warm = [RUNS[name]() for name in ("lstmcore", theirs)]
    for run in warm:
        run.train()
        if not run.worst_error() <= WORST_ERROR:
            raise ParityError(f"{peer}: 300 epochs left an error of {run.worst_error():.2f}")
    times = compare_slow(*(run.train for run in warm), budget)
    yield Record("tutorial_warm", None, cores, peer, *times)

    times = compare_slow(program("lstmcore"), program(theirs), budget)
    yield Record("tutorial_cold", None, cores, peer, *times)

    if peer == "keras-jax":
        with tempfile.TemporaryDirectory() as folder:
            # Also programs that compile fast or are small, which JAX does not keep by default.
            keep = {
                "JAX_COMPILATION_CACHE_DIR": folder,
                "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
                "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
            }
            times = compare_slow(program("lstmcore", keep), program(theirs, keep), budget)
        yield Record("tutorial_cached", None, cores, peer, *times)


def program(name: str, variables: dict[str, str] | None = None) -> Callable[[], str]:
    """A whole program that trains and predicts."""
    return partial(python, "-m", "benchmarks.tutorial", name, variables=variables)


def main() -> None:
    """Train once and print the error."""
    if len(sys.argv) != 2 or sys.argv[1] not in RUNS:
        sys.exit(f"usage: python -m benchmarks.tutorial {'|'.join(RUNS)}")
    run = RUNS[sys.argv[1]]()
    run.train()
    print(f"worst error {run.worst_error():.3f}")


if __name__ == "__main__":
    main()
