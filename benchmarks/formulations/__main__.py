"""Time the experiments; the docstring of the package says what they are."""

from __future__ import annotations

import argparse
import os
import sys

import benchmarks.formulations as package
from benchmarks import cores
from benchmarks.common import Budget, Sample, compare
from benchmarks.formulations import backward, forward, options
from benchmarks.formulations.work import Work, check_parity, ready
from benchmarks.grid import GRID, Cell

EXPERIMENTS = {
    "orientation": forward.orientation,
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
    options = _parser().parse_args(arguments)
    # Before the first array: it is then that XLA reads its flags and counts the cores.
    os.environ.update(cores.environment(options.cores))
    cores.pin(options.cores)
    budget = Budget(seconds=options.seconds)
    for name in options.experiment:
        print(f"\n{name}, cores: {options.cores}")
        for cell in options.cell:
            for work in EXPERIMENTS[name](cell):
                measure(work, cell, budget)
    return 0


def measure(work: Work, cell: Cell, budget: Budget) -> None:
    """Print one table: each candidate in turn with the engine's."""
    functions = ready(work)
    check_parity(work, functions)
    print(f"\n  {work.name} of {cell}\n  {'':<36}{'median':>10}  ratio (quartiles)")
    ours = functions.pop(work.engine)
    found = {name: compare(ours, theirs, budget) for name, theirs in functions.items()}
    first = next(iter(found.values()))[0]
    print(f"  {work.engine:<36}{_ms(first)}  the engine's", flush=True)
    for name, (_, theirs, ratio) in found.items():
        spread = f"{ratio.median:.2f} ({ratio.low:.2f} to {ratio.high:.2f}, {ratio.runs} pairs)"
        print(f"  {name:<36}{_ms(theirs)}  {spread}", flush=True)


def _ms(sample: Sample) -> str:
    return f"{1e3 * sample.median:7.2f} ms"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.formulations",
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
    parser.add_argument("--cores", choices=cores.MODES, default="one")
    return parser


if __name__ == "__main__":
    sys.exit(main())
