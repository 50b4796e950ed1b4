"""How long a new process takes to import lstmcore with every public name, and a peer."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.common import Budget, Record, compare_slow
from benchmarks.peers import PEERS
from benchmarks.processes import python

EVERY_NAME = "import lstmcore as lc; [getattr(lc, name) for name in lc.__all__]"


def records(peer: str, cores: str, budget: Budget) -> Iterator[Record]:
    """Whole processes, in turn."""
    ours, theirs = (partial(python, "-c", code) for code in (EVERY_NAME, PEERS[peer].imports))
    times = compare_slow(ours, theirs, budget)
    yield Record("import", None, cores, peer, *times)
