"""The measurements of sequence-to-sequence models within one process."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from benchmarks import parity
from benchmarks.common import QUICK, Budget, Record, compare
from benchmarks.grid import Cell
from benchmarks.seq2seq import sizes
from benchmarks.seq2seq.ours import Translator as Ours

MODULES = {"keras-jax": "keras_jax", "torch": "pytorch"}


def steps(peer: str, case: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """A training step, after a check that loss and all gradients agree."""
    attention = sizes.ATTENTION[case]
    drawn = sizes.draw(cell, attention)
    theirs = import_module(f"benchmarks.seq2seq.{MODULES[peer]}").Translator(attention, *drawn)
    ours = Ours(attention, *drawn)
    parity.compare(case, ours.read(ours.run()), theirs.read(theirs.run()), parity.TOLERANCE)
    yield Record(case, cell, cores, peer, *compare(ours.run, theirs.run, budget))


def tasks(peer: str, cases, cores: str, budget: Budget):
    """As `benchmarks.measure.tasks`."""
    for case in sizes.ATTENTION:
        for cell in sizes.CELLS if case in cases else ():
            yield case, cell, steps(peer, case, cell, cores, budget)
    if "addition" in cases:
        from benchmarks.seq2seq import addition

        yield "addition", None, addition.records(peer, cores, budget, quick=budget == QUICK)
