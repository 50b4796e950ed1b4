"""How long a new process takes to import lstmcore with every public name, and a peer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

from benchmarks.common import Budget, Record, compare_slow
from benchmarks.peers import PEERS

EVERY_NAME = "import lstmcore as lc; [getattr(lc, name) for name in lc.__all__]"


def records(peer: str, cores: str, budget: Budget) -> Iterator[Record]:
    """Whole processes, in turn."""
    times = compare_slow(process(EVERY_NAME), process(PEERS[peer].imports), budget)
    yield Record("import", None, cores, peer, *times)


def process(code: str) -> Callable[[], None]:
    """A whole process that runs `code`."""

    def run():
        subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)

    return run
