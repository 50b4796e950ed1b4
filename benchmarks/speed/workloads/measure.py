"""Timing of the workloads within one process."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from benchmarks.speed import parity
from benchmarks.speed.grid import Cell
from benchmarks.speed.peers import WORKLOAD_CASES
from benchmarks.speed.timing import Budget, Record, measure


def records(peer: str, case: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """Time one workload, after a check that all its results agree."""
    libraries = workload(case).IN
    ours, theirs = libraries["control"](cell), libraries[peer](cell)
    parity.compare(case, ours.read(ours.run()), theirs.read(theirs.run()), parity.TOLERANCE)
    yield Record.of(case, cell, cores, peer, measure(ours.run, theirs.run, budget))


def tasks(peer: str, cases, cores: str, budget: Budget):
    """Yield (case, cell, records); see `benchmarks.speed.worker.tasks`."""
    for case in WORKLOAD_CASES:
        for cell in workload(case).CELLS if case in cases else ():
            yield case, cell, records(peer, case, cell, cores, budget)


def workload(case: str):
    """Return the module of a case."""
    return import_module(f"benchmarks.speed.workloads.{case}")
