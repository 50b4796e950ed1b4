"""Peak resident memory that training steps add, each in a process of its own. Linux only.

    python -m benchmarks.memory PEER B,T,F,H

prints MiB: the peak during a step, less what the process held after steps of the same layer on one
row of one step of time, when its libraries were loaded and its weights and gradients were there.
The peak is that of a third step: compilation is over, and what a library keeps for later counts.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import Budget, Record, samples
from benchmarks.grid import MEMORY_CELLS, Cell, draw
from benchmarks.peers import PEERS
from benchmarks.processes import python

STATUS = Path("/proc/self/status")
RESET = Path("/proc/self/clear_refs")
RESET_PEAK = "5"  # see proc(5)


def available() -> bool:
    """Whether this system says how large a process was at most."""
    return RESET.exists() and STATUS.exists()


def added_by_steps(peer: str, cell: Cell) -> float:
    """MiB; see the top of this module."""
    _take_steps(peer, cell._replace(batch=1, time=1))
    give_back()
    before = status("VmRSS")
    _take_steps(peer, cell)
    return status("VmHWM") - before


def records(peer: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """Ours and theirs in turn, MiB."""
    if not available():
        raise RuntimeError("peak memory is measured on Linux only")
    pairs = [
        [float(python("-m", "benchmarks.memory", name, str(cell))) for name in ("control", peer)]
        for _ in range(min(3, budget.slow_pairs))
    ]
    yield Record("memory", cell, cores, peer, *samples(pairs), unit="MiB")


def tasks(peer: str, cores: str, budget: Budget):
    """As `benchmarks.measure.tasks`."""
    for cell in MEMORY_CELLS:
        yield "memory", cell, records(peer, cell, cores, budget)


def _take_steps(peer: str, cell: Cell) -> None:
    layer = PEERS[peer].layer()(*draw(cell))
    layer.run("train")
    layer.run("train")
    give_back()
    forget_peak()
    layer.run("train")


def forget_peak() -> None:
    """From now on VmHWM is the peak of what follows."""
    RESET.write_text(RESET_PEAK)


def give_back() -> None:
    """Return to the system what nobody holds, also what the C library keeps in reserve."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def status(name: str) -> float:
    """MiB; VmRSS is what the process holds, VmHWM the most that it held."""
    line = next(row for row in STATUS.read_text().splitlines() if row.startswith(f"{name}:"))
    return int(line.split()[1]) / 1024


def main() -> None:
    """Measure once and print MiB."""
    known = ["control", *(name for name, peer in PEERS.items() if "memory" in peer.cases)]
    if len(sys.argv) != 3 or sys.argv[1] not in known:
        sys.exit(f"usage: python -m benchmarks.memory {'|'.join(known)} B,T,F,H")
    print(added_by_steps(sys.argv[1], Cell.parse(sys.argv[2])))


if __name__ == "__main__":
    main()
