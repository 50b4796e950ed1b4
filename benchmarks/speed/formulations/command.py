"""Time the experiments with formulations; the docstring of the package lists them."""

from __future__ import annotations

import argparse
import os

import benchmarks.speed.formulations as package
from benchmarks.speed import processes
from benchmarks.speed.formatting import spread
from benchmarks.speed.formulations import backward, forward, options
from benchmarks.speed.formulations.work import Work, check_parity, ready
from benchmarks.speed.grid import GRID, Cell
from benchmarks.speed.timing import Budget, Sample, compare

EXPERIMENTS = {
    "layout": forward.layout,
    "projection": forward.projection,
    "sigmoid": forward.sigmoid,
    "unroll": forward.unroll,
    "stacking": forward.stacking,
    "bidirectional": forward.bidirectional,
    "backward": backward.backward,
    "weights": backward.weights,
    "repeat": options.repeat,
    "options": options.options,
}


def main(arguments: list[str] | None = None) -> int:
    """Run the experiments that are asked for, in this process."""
    options = _parser().parse_args(arguments)
    # Before the first array: it is then that XLA reads its flags and counts the cores.
    os.environ.update(processes.environment(options.cores))
    processes.pin(options.cores)
    budget = Budget(seconds=options.seconds)
    for name in options.experiment:
        print(f"\n{name}, cores: {options.cores}")
        for cell in options.cell:
            for work in EXPERIMENTS[name](cell):
                measure(work, cell, budget)
    return 0


def measure(work: Work, cell: Cell, budget: Budget) -> None:
    """Time each candidate in turn with that of the engine, and print a table."""
    functions = ready(work)
    check_parity(work, functions)
    print(f"\n  {work.name} of {cell}\n  {'':<36}{'median':>10}  ratio (quartiles)")
    ours = functions.pop(work.engine)
    found = {name: compare(ours, theirs, budget) for name, theirs in functions.items()}
    first = next(iter(found.values()))[0]
    print(f"  {work.engine:<36}{_ms(first)}  the engine's", flush=True)
    for name, (_, theirs, ratio) in found.items():
        print(f"  {name:<36}{_ms(theirs)}  {spread(ratio)}", flush=True)


def _ms(sample: Sample) -> str:
    return f"{1e3 * sample.median:7.2f} ms"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks formulations",
        description=package.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="A ratio is a candidate's time over that of the engine's: above 1 it is slower.",
    )
    parser.add_argument(
        "--experiment", nargs="+", choices=EXPERIMENTS, default=EXPERIMENTS, metavar="NAME"
    )
    parser.add_argument(
        "--cell", nargs="+", type=Cell.parse, default=GRID, help="sizes", metavar="B,T,F,H"
    )
    parser.add_argument("--seconds", type=float, default=1.0, help="at least, for each comparison")
    parser.add_argument("--cores", choices=processes.MODES, default="one")
    return parser
