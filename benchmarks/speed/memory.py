"""Measure the peak resident memory that a training step adds, in a process of its own. Linux only.

    python -m benchmarks memory PEER B,T,F,H

prints MiB: the peak during a step, less the memory of the process after steps of the same layer on
a batch of one with a single time step, when libraries, weights and gradients are in memory. The
peak is that of a third step: compilation is over, and memory that a library keeps for later counts.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
from collections.abc import Iterator
from pathlib import Path

from benchmarks.speed.grid import MEMORY_CELLS, Cell, draw
from benchmarks.speed.peers import PEERS
from benchmarks.speed.processes import python
from benchmarks.speed.timing import Budget, Record, samples

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # see proc(5)


def available() -> bool:
    """Return whether this system reports the peak memory of a process."""
    return RESET.exists() and STATUS.exists()


def added_by_steps(peer: str, cell: Cell) -> float:
    """Return the memory that a training step adds, in MiB; see the top of this module."""
    _take_steps(peer, cell._replace(batch=1, time=1))
    release_free_memory()
    before = status("VmRSS")
    _take_steps(peer, cell)
    return status("VmHWM") - before


def records(peer: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """Measure ours and theirs in turn, in MiB."""
    if not available():
        raise RuntimeError("peak memory is measured on Linux only")
    pairs = [
        [float(python("-m", "benchmarks", "memory", name, str(cell))) for name in ("control", peer)]
        for _ in range(min(3, budget.slow_pairs))
    ]
    yield Record("memory", cell, cores, peer, *samples(pairs), unit="MiB")


def tasks(peer: str, cores: str, budget: Budget):
    """Yield (case, cell, records); see `benchmarks.speed.worker.tasks`."""
    for cell in MEMORY_CELLS:
        yield "memory", cell, records(peer, cell, cores, budget)


def _take_steps(peer: str, cell: Cell) -> None:
    layer = PEERS[peer].layer()(*draw(cell))
    layer.run("train")
    layer.run("train")
    release_free_memory()
    reset_peak()
    layer.run("train")


def reset_peak() -> None:
    """Reset VmHWM, so that it is the peak from now on."""
    RESET.write_text(RESET_PEAK)


def release_free_memory() -> None:
    """Return free memory to the system, also what the C library keeps in reserve."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def status(name: str) -> float:
    """Return a line of /proc/self/status in MiB: VmRSS is the memory now, VmHWM its peak."""
    line = next(row for row in STATUS.read_text().splitlines() if row.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def main(arguments: list[str] | None = None) -> None:
    """Measure once and print MiB."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks memory", description=__doc__.splitlines()[0]
    )
    known = ["control", *(name for name, peer in PEERS.items() if "memory" in peer.cases)]
    parser.add_argument("peer", choices=known)
    parser.add_argument("cell", type=Cell.parse, metavar="B,T,F,H")
    options = parser.parse_args(arguments)
    print(added_by_steps(options.peer, options.cell))
