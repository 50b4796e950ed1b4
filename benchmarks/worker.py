"""One peer measured in one mode, in a process of its own: started by `python -m benchmarks`.

    python -m benchmarks.worker --peer torch --cores one --case train --cell 16,100,8,128

writes one line of JSON for each record and each failure. A failure ends what it happened in, the
rest goes on. The environment it needs (`benchmarks.launch.environment`) is set by whom it starts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator

from benchmarks import cores
from benchmarks.common import FULL, QUICK, Budget
from benchmarks.grid import Cell
from benchmarks.peers import PEERS
from benchmarks.results import plain


def main() -> None:
    """Measure, and write lines of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--cores", required=True, choices=(*cores.MODES, "gpu"))
    parser.add_argument("--case", action="append", default=[])
    parser.add_argument("--cell", action="append", default=[], type=Cell.parse)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()

    with _own_stdout() as out:
        write = _writer(out)
        cores.pin(options.cores)
        cores.set_threads(options.cores, _packages(options.peer))
        budget = QUICK if options.quick else FULL
        for what, cell, records in tasks(
            options.peer, options.case, options.cell, options.cores, budget
        ):
            write({"starting": [what, cell]})
            try:
                for record in records:
                    write({"record": plain(record)})
            except Exception as error:
                message = f"{type(error).__name__}: {error}"
                write({"failure": {"case": what, "cell": cell, "message": message}})


def tasks(peer: str, cases, cells, mode: str, budget: Budget) -> Iterator[tuple]:
    """(what it is, its cell or None, an iterator of records) for all that was asked for."""
    # Imported here, for they import JAX, and this process must be set up first.
    from benchmarks import imports, measure, memory, tutorial
    from benchmarks.seq2seq import measure as seq2seq

    cases = [case for case in cases if case in PEERS[peer].cases]
    yield from measure.tasks(peer, cases, cells, mode, budget)
    if "memory" in cases:
        yield from memory.tasks(peer, mode, budget)
    if "tutorial" in cases:
        yield "tutorial", None, tutorial.records(peer, mode, budget)
    yield from seq2seq.tasks(peer, cases, mode, budget)
    if "import" in cases:
        yield "import", None, imports.records(peer, mode, budget)


def _packages(peer: str) -> tuple[str, ...]:
    """The libraries at work beside JAX."""
    from importlib.util import find_spec

    tried = ("torch",) if peer == "matmul" and find_spec("torch") is not None else ()
    return PEERS[peer].needs + tried


def _own_stdout():
    """The standard output for our lines alone; whatever else is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


def _writer(out) -> Callable[[dict], None]:
    def write(line: dict) -> None:
        print(json.dumps(line), file=out, flush=True)

    return write


if __name__ == "__main__":
    sys.exit(main())
