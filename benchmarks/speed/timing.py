"""Interleaved timing of two functions, and the records that it results in.

Two functions are timed in turn, A B B A, in blocks long enough for the clock and for warm caches.
A record holds medians and quartiles of both, and of the ratio within each pair: noise of the
machine mostly hits both sides of a pair alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

BLOCK_SECONDS = 0.02  # at least, of calls in a row
PAUSE_SECONDS = 0.02  # before them: the threads of the other library may still wait in a busy loop
# lstmcore against itself beyond this: the machine is too noisy for a comparison.
CONTROL_RANGE = (0.9, 1.1)


class Sample(NamedTuple):
    """The median of `runs` measurements, with the quartiles `low` and `high`."""

    median: float
    low: float
    high: float
    runs: int


class Record(NamedTuple):
    """One comparison.

    case: what was timed ("train", "forward", ...)
    cell: (B, T, F, H), or None where the case has none
    cores: "one" or "all", or "gpu"
    peer: the library beside lstmcore, a key of `benchmarks.speed.peers.PEERS`
    ours, theirs: seconds, unless `unit` says otherwise
    ratio: theirs / ours, above 1 where lstmcore is faster
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
    """The time that goes into one comparison.

    seconds: at least, for functions that can be called many times
    pairs: at least, for such functions
    slow_pairs: for whole trainings, compilations and processes
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

    Both must block until their result is ready. Returns samples of (ours, theirs, theirs / ours).
    """
    calls = [_calls_per_block(function) for function in (ours, theirs)]
    pairs: list[list[float]] = []
    started = time.perf_counter()
    while len(pairs) < budget.pairs or time.perf_counter() - started < budget.seconds:
        sides = list(zip((ours, theirs), calls, strict=True))
        backwards = -1 if len(pairs) % 2 else 1  # so that neither always runs first
        pairs.append([_rested_block(f, n) for f, n in sides[::backwards]][::backwards])
    return samples(pairs)


def compare_slow(
    ours: Callable, theirs: Callable, budget: Budget = FULL
) -> tuple[Sample, Sample, Sample]:
    """Time functions of a second or more: one call each in turn, after one that does not count."""
    ours(), theirs()
    return samples([[_block(f, 1) for f in (ours, theirs)] for _ in range(budget.slow_pairs)])


def samples(pairs) -> tuple[Sample, Sample, Sample]:
    """Return samples of ours, theirs and theirs / ours, from pairs (ours, theirs)."""
    mine, other = np.array(pairs, float).T
    return sample(mine), sample(other), sample(other / mine)


def sample(values) -> Sample:
    """Return the median and the quartiles of `values`."""
    low, median, high = np.percentile(values, [25, 50, 75])
    return Sample(float(median), float(low), float(high), len(values))


def is_noisy(record: Record) -> bool:
    """Return whether a record is a control with a quartile of the ratio beyond `CONTROL_RANGE`.

    Compared as printed, with two decimals.
    """
    low, high = CONTROL_RANGE
    quartiles = round(record.ratio.low, 2), round(record.ratio.high, 2)
    return record.peer == "control" and not low <= quartiles[0] <= quartiles[1] <= high


def noisy_controls(records: Iterable[Record]) -> list[Record]:
    """Return the controls that vary too much."""
    return [record for record in records if is_noisy(record)]


def noise_warning(records: Iterable[Record]) -> str | None:
    """Return a warning if lstmcore, timed against itself, varies too much; None if it does not."""
    controls = [record for record in records if record.peer == "control"]
    noisy = noisy_controls(controls)
    if not noisy:
        return None
    low = min(record.ratio.low for record in noisy)
    high = max(record.ratio.high for record in noisy)
    return (
        f"warning: in {len(noisy)} of {len(controls)} controls lstmcore, timed against itself, "
        f"leaves {CONTROL_RANGE[0]} to {CONTROL_RANGE[1]} (quartiles from {low:.2f} to "
        f"{high:.2f}): the machine was too noisy, and the report marks these columns"
    )


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
    """Return seconds per call."""
    started = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - started) / calls
