"""One peer measured in one mode, in a process of its own: started by `python -m benchmarks peers`.

Writes one line of JSON for each record and each failure. A failure ends the measurement in which it
happened, the rest continue. The environment (`benchmarks.speed.launch.environment`) is set by the
process that starts this one.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.speed import parity, processes
from benchmarks.speed.grid import STREAM_CELLS, Cell, draw
from benchmarks.speed.peers import LAYER_CASES, PEERS
from benchmarks.speed.results import plain
from benchmarks.speed.timing import FULL, QUICK, Budget, Record, compare_slow, measure, measure_slow

# A call that also returns or uses a trace is compared with the same call without it.
WITHOUT_TRACE = {"forward_trace": "forward_all", "train_gate": "train"}
EVERY_NAME = "import lstmcore as lc; [getattr(lc, name) for name in lc.__all__]"


def main(arguments: list[str] | None = None) -> None:
    """Measure, and write lines of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks worker", description=__doc__)
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--cores", required=True, choices=(*processes.MODES, "gpu"))
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--cell", action="append", default=[], type=Cell.parse)
    parser.add_argument("--compile-cell", action="append", default=[], type=Cell.parse)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args(arguments)

    with _own_stdout() as out:
        write = _writer(out)
        processes.pin(options.cores)
        processes.set_threads(options.cores, _packages(options.peer))
        budget = QUICK if options.quick else FULL
        cells = options.cell, options.compile_cell
        for what, cell, records in tasks(options.peer, options.case, *cells, options.cores, budget):
            write({"starting": [what, cell]})
            try:
                for record in records:
                    write({"record": plain(record)})
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                write({"failure": {"case": what, "cell": cell, "message": message}})


def tasks(peer: str, cases, cells, compile_cells, mode: str, budget: Budget) -> Iterator[tuple]:
    """Yield (case, its cell or None, an iterator of records) for all the cases that are asked for.

    Nothing is measured before the records are iterated over.
    """
    # Imported here, for they import JAX, and this process must be set up first.
    from benchmarks.speed import memory, tutorial
    from benchmarks.speed.seq2seq import measure as seq2seq
    from benchmarks.speed.workloads import measure as workloads

    cases = [case for case in cases if case in PEERS[peer].cases]
    of_layers = [case for case in cases if case in (*LAYER_CASES, *WITHOUT_TRACE)]
    if of_layers:
        for cell in cells:
            yield "layers", cell, layers(peer, cell, of_layers, mode, budget)
    if "stream" in cases:
        for cell in STREAM_CELLS:
            yield "stream", cell, stream(peer, cell, mode, budget)
    if "compile" in cases:
        for cell in compile_cells:
            yield "compile", cell, compilation(peer, cell, mode, budget)
    if "memory" in cases:
        yield from memory.tasks(peer, mode, budget)
    if "tutorial" in cases:
        yield "tutorial", None, tutorial.records(peer, mode, budget)
    yield from seq2seq.tasks(peer, cases, mode, budget)
    yield from workloads.tasks(peer, cases, mode, budget)
    if "import" in cases:
        yield "import", None, imports(peer, mode, budget)


def layers(peer: str, cell: Cell, cases, cores: str, budget: Budget) -> Iterator[Record]:
    """Time the layer cases of one peer at one cell, after a check that both compute the same."""
    ours, theirs = _pair(peer, cell)
    if hasattr(theirs, "read"):
        parity.check_layers(ours, theirs, _tolerance(cores))
    for case in cases:
        their_case = WITHOUT_TRACE.get(case, case)
        times = measure(partial(ours.run, case), partial(theirs.run, their_case), budget)
        yield Record.of(case, cell, cores, peer, times)


def stream(peer: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """Time a step from x_t to h, both in NumPy, with the state carried."""
    pair = _pair(peer, cell)
    parity.check_streams(*(layer.stream() for layer in pair), cell, _tolerance(cores))
    _, x = draw(cell)
    ours, theirs = (layer.stream() for layer in pair)
    times = measure(lambda: ours(x[:, 0]), lambda: theirs(x[:, 0]), budget)
    yield Record.of("stream", cell, cores, peer, times)


def compilation(peer: str, cell: Cell, cores: str, budget: Budget) -> Iterator[Record]:
    """Time the way from Python functions to a compiled training step, and to a forward pass."""
    ours, theirs = _pair(peer, cell)
    for name, case in (("compile_train", "train"), ("compile_forward", "forward_all")):
        times = measure_slow(partial(ours.compile, case), partial(theirs.compile, case), budget)
        yield Record.of(name, cell, cores, peer, times)


def imports(peer: str, cores: str, budget: Budget) -> Iterator[Record]:
    """Time new processes that import lstmcore with every public name, and the peer, in turn."""
    codes = EVERY_NAME, PEERS[peer].imports
    ours, theirs = (partial(processes.python, "-c", code) for code in codes)
    yield Record("import", None, cores, peer, *compare_slow(ours, theirs, budget))


def _pair(peer: str, cell: Cell):
    """Return our layer and theirs, of the same weights and data."""
    weights, x = draw(cell)
    ours = PEERS["control"].layer()(weights, x)
    return ours, ours if peer == "own" else PEERS[peer].layer()(weights, x)


def _tolerance(cores: str) -> float:
    return parity.TOLERANCE_GPU if cores == "gpu" else parity.TOLERANCE


def _packages(peer: str) -> tuple[str, ...]:
    """Return the libraries at work beside JAX."""
    from importlib.util import find_spec

    tried = ("torch",) if peer == "matmul" and find_spec("torch") is not None else ()
    return PEERS[peer].needs + tried


def _own_stdout():
    """Keep the standard output for our lines; what libraries print goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _writer(out) -> Callable[[dict], None]:
    def write(line: dict) -> None:
        print(json.dumps(line), file=out, flush=True)

    return write
