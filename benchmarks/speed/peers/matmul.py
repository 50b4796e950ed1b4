"""The limit: the matrix products of an LSTM alone, each over all steps at once.

One product of [x, h] with both kernels for the forward pass, and for a training step two more: of
dz with the kernels transposed, and of [x, h] transposed with dz. No LSTM can be faster with the
same products, since it must compute them one step after the other.
"""

from __future__ import annotations

import time
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np


class Layer:
    """The products of "forward_all" and "train"; they have a time, but no result to compare."""

    def __init__(self, weights, x):
        kernels = np.concatenate([weights.kernel, weights.recurrent_kernel])
        rng = np.random.default_rng(0)
        rows = rng.normal(size=(x[..., 0].size, len(kernels))).astype(np.float32)
        dz = rng.normal(size=(len(rows), kernels.shape[1])).astype(np.float32)
        makers = [_in_numpy, _in_jax] + [_in_torch] * (find_spec("torch") is not None)
        trials = [maker(rows, kernels, dz) for maker in makers]
        self.programs = {
            case: min((trial[case] for trial in trials), key=_seconds)
            for case in ("forward_all", "train")
        }

    def run(self, case):
        return self.programs[case]()


def _seconds(function, runs: int = 3) -> float:
    """Return the best time of a few runs, after one that warms up."""
    function()
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        function()
        times.append(time.perf_counter() - started)
    return min(times)


def _in_numpy(rows, kernels, dz):
    return {
        "forward_all": lambda: rows @ kernels,
        "train": lambda: (rows @ kernels, dz @ kernels.T, rows.T @ dz),
    }


def _in_jax(rows, kernels, dz):
    arrays = rows, kernels, dz = tuple(map(jnp.asarray, (rows, kernels, dz)))
    forward = jax.jit(jnp.matmul)
    train = jax.jit(lambda rows, kernels, dz: (rows @ kernels, dz @ kernels.T, rows.T @ dz))
    return {
        "forward_all": lambda: jax.block_until_ready(forward(rows, kernels)),
        "train": lambda: jax.block_until_ready(train(*arrays)),
    }


def _in_torch(rows, kernels, dz):
    import torch

    on_gpu = torch.cuda.is_available()
    wait = torch.cuda.synchronize if on_gpu else lambda: None
    rows, kernels, dz = (
        torch.from_numpy(array).to("cuda" if on_gpu else "cpu") for array in (rows, kernels, dz)
    )
    return {
        "forward_all": lambda: (torch.mm(rows, kernels), wait()),
        "train": lambda: (
            torch.mm(rows, kernels),
            torch.mm(dz, kernels.T),
            torch.mm(rows.T, dz),
            wait(),
        ),
    }
