"""A training that is killed (SIGKILL) at random moments, and compared with an undisturbed one.

A process trains with `lc.fit(checkpoint=..., resume=True)` and writes its checkpoint after every
epoch. It is killed after a random number of epochs, then started again, several times over. Every
second kill comes some random milliseconds after an epoch, the others as soon as a write has begun.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

import lstmcore as lc
from lstmcore.io.tensors import write_tensors
from lstmcore.training import checkpoint

ROOT = Path(__file__).parents[2]
FILE, RESULT = "run.safetensors", "result.safetensors"
DELAY = 0.02  # seconds, at most, between an epoch and a kill


class Survival(NamedTuple):
    """The outcome of a run that was killed.

    reached: the last epoch that was reported before each kill
    while_writing: how many kills left a half-written file behind
    identical: whether params and losses equal, bit for bit, those of an undisturbed run
    """

    reached: list[int]
    while_writing: int
    identical: bool


def survive(folder: Path, kills: int, epochs: int, seed: int) -> Survival:
    """Train in `folder` with so many kills, then once more without, and compare."""
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
    resumed = (folder / RESULT).read_bytes()
    _train_to_the_end(folder, epochs, "--undisturbed")
    return Survival(reached, while_writing, resumed == (folder / RESULT).read_bytes())


def train(folder: Path, epochs: int, undisturbed: bool) -> None:
    """Train with shuffling, noise, validation and best params, all of which must be resumed."""
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
    """Let the process train for some epochs, kill it after a delay or in its next write.

    Returns the last epoch that it reported.
    """
    with _process(folder, epochs, stdout=subprocess.PIPE) as process:
        reported = [process.stdout.readline() for _ in range(after)]
        if delay is None:
            _stop_while_writing(process, folder)
        else:
            time.sleep(delay)
        process.kill()
    if process.returncode == 0 or not reported[-1].strip():
        raise RuntimeError("the process ended before it was killed: more epochs, or see above")
    return int(reported[-1])


def _stop_while_writing(process: subprocess.Popen, folder: Path) -> None:
    """Wait until a file is half-written, and halt the process there.

    A kill alone may come too late on a busy machine; a halted process can be looked at first.
    """
    while process.poll() is None:
        if _unfinished(folder):
            process.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if _unfinished(folder):
                return
            process.send_signal(signal.SIGCONT)


def _unfinished(folder: Path) -> list[str]:
    """Return the files that a write has begun and not renamed."""
    return [name for name in os.listdir(folder) if name.startswith(f".{FILE}-")]


def _train_to_the_end(folder: Path, epochs: int, *options: str) -> None:
    with _process(folder, epochs, *options, stdout=subprocess.DEVNULL) as process:
        pass
    if process.returncode != 0:
        raise RuntimeError(f"training ended with status {process.returncode}: see above")


def _process(folder: Path, epochs: int, *options: str, stdout: int) -> subprocess.Popen:
    command = [sys.executable, __file__, str(folder), str(epochs), *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(command, env=environment, stdout=stdout)


def main() -> None:
    """Train in this process, which may be killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("epochs", type=int)
    parser.add_argument("--undisturbed", action="store_true")
    options = parser.parse_args()
    train(options.folder, options.epochs, options.undisturbed)


if __name__ == "__main__":
    main()
