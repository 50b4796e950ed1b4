"""The measurements within one process: layers, streams and compilation."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks import parity
from benchmarks.common import Budget, Record, compare, compare_slow
from benchmarks.grid import COMPILE_CELLS, STREAM_CELLS, Cell, draw
from benchmarks.peers import LAYER_CASES, PEERS

# What looking is compared with: the same call of our own that does not look.
WITHOUT_LOOKING = {"forward_trace": "forward_all", "train_gate": "train"}


def layers(peer: str, cell: Cell, cases, cores: str, budget: Budget) -> Iterator[Record]:
    """The layer cases of one peer at one cell, after a check that both compute the same."""
    ours, theirs = _pair(peer, cell)
    if hasattr(theirs, "read"):
        parity.check_layers(ours, theirs, _tolerance(cores))
    for case in cases:
        their_case = WITHOUT_LOOKING.get(case, case)
        times = compare(partial(ours.run, case), partial(theirs.run, their_case), budget)
        yield Record(case, cell, cores, peer, *times)


def stream(peer: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """The time from x_t to h, both in NumPy, state carried."""
    layers = _pair(peer, cell)
    parity.check_streams(*(layer.stream() for layer in layers), cell, _tolerance(cores))
    _, x = draw(cell)
    ours, theirs = (layer.stream() for layer in layers)
    times = compare(lambda: ours(x[:, 0]), lambda: theirs(x[:, 0]), budget)
    yield Record("stream", cell, cores, peer, *times)


def compilation(peer: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """From Python functions to a compiled training step."""
    ours, theirs = _pair(peer, cell)
    times = compare_slow(lambda: ours.compile("train"), lambda: theirs.compile("train"), budget)
    yield Record("compile", cell, cores, peer, *times)


def tasks(peer: str, cases, cells, cores: str, budget: Budget):
    """(what it is, its cell, records to be made) for everything here that was asked for."""
    of_layers = [case for case in cases if case in (*LAYER_CASES, *WITHOUT_LOOKING)]
    if of_layers:
        for cell in cells:
            yield "layers", cell, layers(peer, cell, of_layers, cores, budget)
    if "stream" in cases:
        for cell in STREAM_CELLS:
            yield "stream", cell, stream(peer, cell, cores, budget)
    if "compile" in cases:
        for cell in COMPILE_CELLS:
            yield "compile", cell, compilation(peer, cell, cores, budget)


def _pair(peer: str, cell: Cell):
    """Our layer and theirs, of the same weights and data."""
    weights, x = draw(cell)
    ours = PEERS["control"].layer()(weights, x)
    return ours, ours if peer == "own" else PEERS[peer].layer()(weights, x)


def _tolerance(cores: str) -> float:
    return parity.TOLERANCE_GPU if cores == "gpu" else parity.TOLERANCE
