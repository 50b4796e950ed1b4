"""How everything here is timed, and the form in which results are kept.

Two functions are timed in turn, A B B A, in blocks long enough for the clock and for warm caches.
Kept are medians and quartiles, and the ratio of each A to the B beside it: what a noisy machine
does to one it mostly does to the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

BLOCK_SECONDS = 0.02  # at least, of calls in a row
PAUSE_SECONDS = 0.02  # before them: the threads of the other library may still wait in a busy loop


class Sample(NamedTuple):
    """median, with the quartiles low and high, of `runs` measurements."""

    median: float
    low: float
    high: float
    runs: int


class Record(NamedTuple):
    """One comparison.

    case: what was done ("train", "forward", ...)
    cell: (B, T, F, H), or None where the case has none
    cores: "one" or "all", or "gpu"
    peer: whom lstmcore was compared with, a key of `benchmarks.peers.PEERS`
    ours, theirs: seconds, unless `unit` says otherwise
    ratio: theirs / ours, above 1 where lstmcore is ahead
    """

    case: str
    cell: tuple[int, int, int, int] | None
    cores: str
    peer: str
    ours: Sample
    theirs: Sample
    ratio: Sample
    unit: str = "s"


class Budget(NamedTuple):
    """How much time goes into one comparison.

    seconds: at least, for functions that can be called again and again
    pairs: at least, of them
    slow_pairs: of whole trainings, compilations and processes
    """

    seconds: float = 2.0
    pairs: int = 7
    slow_pairs: int = 5


FULL = Budget()
QUICK = Budget(seconds=0.3, pairs=5, slow_pairs=3)


def compare(
    ours: Callable, theirs: Callable, budget: Budget = FULL
) -> tuple[Sample, Sample, Sample]:
    """Time two functions in turn, in blocks of calls, until the budget is used.

    Both must block until their result is there. Returns samples of (ours, theirs, theirs / ours).
    """
    calls = [_calls_per_block(function) for function in (ours, theirs)]
    pairs: list[list[float]] = []
    started = time.perf_counter()
    while len(pairs) < budget.pairs or time.perf_counter() - started < budget.seconds:
        sides = list(zip((ours, theirs), calls, strict=True))
        backwards = -1 if len(pairs) % 2 else 1  # none is always the first to find warm caches
        pairs.append([_rested_block(f, n) for f, n in sides[::backwards]][::backwards])
    return samples(pairs)


def compare_slow(
    ours: Callable, theirs: Callable, budget: Budget = FULL
) -> tuple[Sample, Sample, Sample]:
    """The same for functions of a second or more: one call each in turn, after one unmeasured."""
    ours(), theirs()
    return samples([[_block(f, 1) for f in (ours, theirs)] for _ in range(budget.slow_pairs)])


def samples(pairs) -> tuple[Sample, Sample, Sample]:
    """From pairs (ours, theirs), samples of ours, theirs and theirs / ours."""
    mine, other = np.array(pairs, float).T
    return sample(mine), sample(other), sample(other / mine)


def sample(values) -> Sample:
    low, median, high = np.percentile(values, [25, 50, 75])
    return Sample(float(median), float(low), float(high), len(values))


def _calls_per_block(function) -> int:
    function()  # compiles, allocates
    function()
    return max(1, round(BLOCK_SECONDS / _block(function, 1)))


def _rested_block(function, calls: int) -> float:
    time.sleep(PAUSE_SECONDS)
    if calls > 1:
        function()  # wakes threads and fills caches again
    return _block(function, calls)


def _block(function, calls: int) -> float:
    """Seconds per call."""
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - started) / calls
