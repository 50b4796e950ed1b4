"""Interleaved timing of two functions, and the records that it results in.

Two functions are timed in turn, A B B A, in blocks long enough for the clock and for warm caches.
A record holds medians and quartiles of both, and of the ratio within each pair: noise of the
machine mostly hits both sides of a pair alike.

Each block is read off two clocks: wall time, and process time, in which a process and all its
threads were running. On one core they do the same work, and process time leaves out what other
programs took in between. So it is compared there, and wall time on more cores.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np

from benchmarks.speed.processes import PINS

CLOCKS = {"wall": time.perf_counter, "process": time.process_time}
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


class Times(NamedTuple):
    """Samples of ours, theirs, and of theirs / ours within each pair."""

    ours: Sample
    theirs: Sample
    ratio: Sample


class Record(NamedTuple):
    """One comparison.

    case: what was timed ("train", "forward", ...)
    cell: (B, T, F, H), or None where the case has none
    cores: "one" or "all", or "gpu"
    peer: the library beside lstmcore, a key of `benchmarks.speed.peers.PEERS`
    ours, theirs: seconds, unless `unit` says otherwise
    ratio: theirs / ours, above 1 where lstmcore is faster
    clock: of `ours`, `theirs` and `ratio`: "process" or "wall", see the top of this module
    other: the same by the other clock; None where there is one alone, as for new processes
    """

    case: str
    cell: tuple[int, int, int, int] | None
    cores: str
    peer: str
    ours: Sample
    theirs: Sample
    ratio: Sample
    unit: str = "s"
    clock: str = "wall"
    other: Times | None = None

    @classmethod
    def of(cls, case: str, cell, cores: str, peer: str, measured: dict[str, Times]) -> Record:
        """Return the record of what `measure` or `measure_slow` returned, by the clock of the mode.

        Where the system pins no process, its threads run side by side, and wall time is compared.
        """
        clock, other = ("process", "wall") if cores == "one" and PINS else ("wall", "process")
        times = measured[clock]
        return cls(case, cell, cores, peer, *times, clock=clock, other=measured[other])


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


def measure(ours: Callable, theirs: Callable, budget: Budget = FULL) -> dict[str, Times]:
    """Time two functions in turn, in blocks of calls, until the budget is used.

    Both must block until their result is ready. Returns the times by each of `CLOCKS`.
    """
    calls = [_calls_per_block(function) for function in (ours, theirs)]
    pairs: list[list[list[float]]] = []
    started = time.perf_counter()
    while len(pairs) < budget.pairs or time.perf_counter() - started < budget.seconds:
        sides = list(zip((ours, theirs), calls, strict=True))
        backwards = -1 if len(pairs) % 2 else 1  # so that neither always runs first
        pairs.append([_rested_block(f, n) for f, n in sides[::backwards]][::backwards])
    return _by_clock(pairs)


def measure_slow(ours: Callable, theirs: Callable, budget: Budget = FULL) -> dict[str, Times]:
    """Time functions of a second or more: one call each in turn, after one that does not count."""
    ours(), theirs()
    return _by_clock([[_block(f, 1) for f in (ours, theirs)] for _ in range(budget.slow_pairs)])


def compare(ours: Callable, theirs: Callable, budget: Budget = FULL) -> Times:
    """Return what `measure` finds, by wall time."""
    return measure(ours, theirs, budget)["wall"]


def compare_slow(ours: Callable, theirs: Callable, budget: Budget = FULL) -> Times:
    """Return what `measure_slow` finds, by wall time: also that of processes that they start."""
    return measure_slow(ours, theirs, budget)["wall"]


def samples(pairs) -> Times:
    """Return the samples of pairs (ours, theirs)."""
    mine, other = np.array(pairs, float).T
    return Times(sample(mine), sample(other), sample(other / mine))


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
        f"{high:.2f}): the machine was too noisy, and the report marks these sizes"
    )


def _by_clock(pairs) -> dict[str, Times]:
    """Return the samples of pairs (ours, theirs) of what `_block` returned."""
    blocks = np.array(pairs, float)
    with np.errstate(divide="ignore", invalid="ignore"):  # a process that only waits takes no time
        return {clock: samples(blocks[..., place]) for place, clock in enumerate(CLOCKS)}


def _calls_per_block(function) -> int:
    function()  # compiles, allocates
    function()
    seconds, _ = _block(function, 1)
    return max(1, round(BLOCK_SECONDS / seconds))


def _rested_block(function, calls: int) -> list[float]:
    time.sleep(PAUSE_SECONDS)
    if calls > 1:
        function()  # wakes threads and fills caches again
    return _block(function, calls)


def _block(function, calls: int) -> list[float]:
    """Return seconds per call by each of `CLOCKS`."""
    started = [clock() for clock in CLOCKS.values()]
    for _ in range(calls):
        function()
    return [(clock() - s) / calls for clock, s in zip(CLOCKS.values(), started, strict=True)]
