"""The workers of a run of `python -m benchmarks peers`, each in a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.speed import processes
from benchmarks.speed.grid import COMPILE_CELLS, Cell
from benchmarks.speed.peers import PEERS, SEQ2SEQ_CASES, WORKLOAD_CASES
from benchmarks.speed.processes import ROOT, ending, python

# Cases that depend little on the number of cores are measured in the first mode alone; so are whole
# models, for which the layers already show the effect of more cores.
WHOLE_MODELS = (*SEQ2SEQ_CASES, *WORKLOAD_CASES)
ONCE = ("compile", "memory", "import", *WHOLE_MODELS)
FIND_DEVICE = "import jax; d = jax.devices()[0]; print(d.platform, d.device_kind, sep='\\t')"


class Job(NamedTuple):
    """One worker: a peer, a mode, and the cases and cells to measure.

    cells: of the cases of layers
    compile_cells: of the case "compile"
    """

    peer: str
    mode: str
    cases: tuple[str, ...]
    cells: tuple[Cell, ...]
    compile_cells: tuple[Cell, ...] = COMPILE_CELLS
    quick: bool = False

    def __str__(self) -> str:
        return f"{PEERS[self.peer].title}, {processes.WHERE[self.mode]}"

    def command(self) -> list[str]:
        """Return the options of the worker."""
        options = [f"--peer={self.peer}", f"--cores={self.mode}"]
        options += [f"--case={case}" for case in self.cases]
        options += [f"--cell={cell}" for cell in self.cells]
        options += [f"--compile-cell={cell}" for cell in self.compile_cells]
        return [*options, *["--quick"] * self.quick]


def find_device() -> tuple[str, str]:
    """Return ("cpu" or "gpu", its name) of the device that JAX uses.

    Asked in a process of its own, so that this one does not occupy the device.
    """
    platform, kind = python("-c", FIND_DEVICE).strip().split("\t")
    return ("cpu" if platform == "cpu" else "gpu"), kind


def jobs(
    peers, cases, cells, modes, *, compile_cells=COMPILE_CELLS, quick: bool = False
) -> tuple[list[Job], list[dict]]:
    """Return the workers of a run, and the peers that are skipped, each with the reason."""
    platform = "gpu" if modes == ("gpu",) else "cpu"
    skipped = []
    for name in peers:
        reason = PEERS[name].missing()
        if platform not in PEERS[name].devices:
            reason = f"not measured on a {platform.upper()}"
        if reason:
            skipped.append({"peer": name, "reason": reason})
    left_out = {entry["peer"] for entry in skipped}
    planned = []
    for mode in modes:
        left = set(ONCE) if mode != modes[0] else set()
        # Memory is that of the host, and whole models in PyTorch stay there.
        left |= {"memory", *WHOLE_MODELS} if platform == "gpu" else set()
        for name in peers:
            wanted = tuple(c for c in cases if c in PEERS[name].cases and c not in left)
            if wanted and name not in left_out:
                planned.append(Job(name, mode, wanted, tuple(cells), tuple(compile_cells), quick))
    return planned, skipped


def environment(job: Job) -> dict[str, str]:
    """Return the worker's environment: ours, with the variables of its mode and of its peer.

    Without JAX's compilation cache, which would hide the time to compile.
    """
    inherited = {k: v for k, v in os.environ.items() if k != "JAX_COMPILATION_CACHE_DIR"}
    return inherited | processes.environment(job.mode) | PEERS[job.peer].environment


def run(job: Job, command: tuple[str, ...] = ("-m", "benchmarks", "worker")) -> Iterator[dict]:
    """Start the worker and yield its lines; if it dies, yield a failure that says how."""
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        worker = subprocess.Popen(
            [sys.executable, *command, *job.command()],
            cwd=ROOT,
            env=environment(job),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        case, cell = "start", None
        try:
            for line in worker.stdout:
                event = json.loads(line)
                case, cell = event.get("starting", (case, cell))
                yield event
            status = worker.wait()
        finally:
            worker.terminate()  # on Ctrl-C; of no effect on one that has ended
            worker.wait()
            worker.stdout.close()
        if status != 0:
            errors.seek(0)
            message = f"worker {ending(status, errors.read())}"
            yield {"failure": {"case": case, "cell": cell, "message": message}}
