"""Timing of sequence-to-sequence models within one process."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module

from benchmarks.speed import parity
from benchmarks.speed.grid import Cell
from benchmarks.speed.seq2seq import model
from benchmarks.speed.timing import QUICK, Budget, Record, measure

MODULES = {"keras-jax": "keras_jax", "torch": "pytorch"}


def steps(peer: str, case: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """Time a training step, after a check that loss and all gradients agree."""
    attention = model.ATTENTION[case]
    drawn = model.draw(cell, attention)
    theirs = _translator(peer)(attention, *drawn)
    ours = model.Translator(attention, *drawn)
    parity.compare(case, ours.read(ours.run()), theirs.read(theirs.run()), parity.TOLERANCE)
    yield Record.of(case, cell, cores, peer, measure(ours.run, theirs.run, budget))


def _translator(peer: str):
    return import_module(f"benchmarks.speed.seq2seq.{MODULES[peer]}").Translator


def tasks(peer: str, cases, cores: str, budget: Budget):
    """Yield (case, cell, records); see `benchmarks.speed.worker.tasks`."""
    for case in model.ATTENTION:
        for cell in model.CELLS if case in cases else ():
            yield case, cell, steps(peer, case, cell, cores, budget)
    if "addition" in cases:
        from benchmarks.speed.seq2seq import addition

        yield "addition", None, addition.records(peer, cores, budget, quick=budget == QUICK)
