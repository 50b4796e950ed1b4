"""Kill a training at random moments, again and again, and see whether anything is lost.

    python -m benchmarks.survive [--kills 20] [--epochs 2000] [--seed 0]

A process trains with `lc.fit(checkpoint=..., resume=True)` and writes its checkpoint after every
epoch. It is killed (SIGKILL, which no program can catch) after a random number of epochs: every
second time some random milliseconds later, else as soon as a write is seen to have begun. Then it
is started again; in the end its params and losses are compared, bit for bit, with those of a
process that nobody disturbed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstmcore as lc
from benchmarks.processes import ROOT
from lstmcore.io.tensors import write_tensors
from lstmcore.training import checkpoint

FILE, RESULT = "run.safetensors", "result.safetensors"
DELAY = 0.02  # seconds, at most, between an epoch and a kill


class Survival(NamedTuple):
    """What became of a run.

    reached: the last epoch that was heard of before each kill
    while_writing: how many kills left a half-written file behind
    identical: whether the result is that of a run that was never killed
    """

    reached: list[int]
    while_writing: int
    identical: bool


def main() -> None:
    """Kill, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=20, help="(default 20)")
    parser.add_argument("--epochs", type=int, default=2000, help="of the run (default 2000)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)  # what the process is
    parser.add_argument("--undisturbed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train is not None:
        train(options.train, options.epochs, options.undisturbed)
        return
    if options.epochs < (fewest := 2 * (options.kills + 1)):
        parser.error(f"--kills {options.kills} needs --epochs {fewest} at least")
    with tempfile.TemporaryDirectory() as folder:
        found = survive(Path(folder), options.kills, options.epochs, options.seed)
    print(f"killed after epoch {', '.join(map(str, found.reached))} of {options.epochs}")
    print(f"{found.while_writing} of {len(found.reached)} kills fell into a write")
    print(f"params and losses are {'THE SAME, bit for bit' if found.identical else 'DIFFERENT'}")
    sys.exit(not found.identical)


def survive(folder: Path, kills: int, epochs: int, seed: int) -> Survival:
    """Train in `folder` with so many kills, and once more without; compare."""
    chance = random.Random(seed)
    reached, while_writing = [], 0
    for kill in range(kills):
        after = chance.randint(1, epochs // (2 * (kills + 1)))
        delay = chance.uniform(0, DELAY) if kill % 2 else None
        reached.append(_killed(folder, epochs, after, delay))
        while_writing += len(_unfinished(folder))
    _train_to_the_end(folder, epochs)
    left = {path.name for path in folder.iterdir()} - {FILE, RESULT}
    if left:
        raise AssertionError(f"kills left behind: {', '.join(left)}")
    ours = (folder / RESULT).read_bytes()
    _train_to_the_end(folder, epochs, "--undisturbed")
    return Survival(reached, while_writing, ours == (folder / RESULT).read_bytes())


def train(folder: Path, epochs: int, undisturbed: bool) -> None:
    """What the process does: order, noise, validation and best params, each its own way to fail."""
    rng = np.random.default_rng(0)
    signal = np.sin(np.arange(60) / 5) + rng.normal(size=60) / 10
    windows = lc.windows(signal.astype("float32"), length=6)
    model = lc.StackedLSTM(features=1, units=96, outputs=1)  # writing takes as long as training

    def loss(params, x, key=None):
        y, _ = model.apply(params, lc.dropout(key, x[:, :-1], 0.2))
        return jnp.mean((y - x[:, 1:]) ** 2)

    checkpoint.SECONDS, checkpoint.SHARE = 0.0, float("inf")  # write after every epoch
    survives = {"checkpoint": folder / FILE, "resume": True}
    result = lc.fit(
        loss,
        model.init(jax.random.key(0)),
        windows[:32],
        optimizer=optax.adam(1e-3),
        epochs=epochs,
        batch_size=12,
        key=jax.random.key(1),
        validation=windows[40:],
        patience=epochs,
        callback=lambda epoch, params, losses: print(epoch, flush=True),
        **{} if undisturbed else survives,
    )
    leaves = jax.tree.leaves_with_path(result)
    tensors = {jax.tree_util.keystr(path): np.asarray(leaf) for path, leaf in leaves}
    write_tensors(folder / RESULT, tensors, {})


def _killed(folder: Path, epochs: int, after: int, delay: float | None) -> int:
    """Let the process train for some epochs and kill it after a delay, or in its next write.

    Returns the last epoch that it told of.
    """
    with _process(folder, epochs, stdout=subprocess.PIPE) as process:
        told = [process.stdout.readline() for _ in range(after)]
        while delay is None and process.poll() is None and not _unfinished(folder):
            pass
        time.sleep(delay or 0.0)
        process.kill()
    if process.returncode == 0 or not told[-1].strip():
        raise RuntimeError("the process ended before it was killed: more epochs, or see above")
    return int(told[-1])


def _unfinished(folder: Path) -> list[str]:
    """Files that a write has begun and not renamed."""
    return [name for name in os.listdir(folder) if name.startswith(f".{FILE}-")]


def _train_to_the_end(folder: Path, epochs: int, *options: str) -> None:
    with _process(folder, epochs, *options, stdout=subprocess.DEVNULL) as process:
        pass
    if process.returncode != 0:
        raise RuntimeError(f"training ended with status {process.returncode}: see above")


def _process(folder: Path, epochs: int, *options: str, stdout: int) -> subprocess.Popen:
    arguments = ["--train", str(folder), "--epochs", str(epochs), *options]
    command = [sys.executable, "-m", "benchmarks.survive", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=stdout)


if __name__ == "__main__":
    main()
