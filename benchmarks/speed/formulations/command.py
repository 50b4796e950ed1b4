"""Time the experiments with formulations; the docstring of the package lists them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable

import benchmarks.speed.formulations as package
from benchmarks.speed import processes, timing
from benchmarks.speed.formatting import ratio, spread, time_or_size
from benchmarks.speed.formulations import backward, forward, options, product
from benchmarks.speed.formulations.work import Work, check_parity, ready
from benchmarks.speed.grid import GRID, Cell
from benchmarks.speed.results import commit, machine, versions
from benchmarks.speed.timing import Budget, Sample, Times

EXPERIMENTS = {
    "product": product.product,
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
CELLS = {"product": product.CELLS}  # where they are not those of the grid
FASTER = 0.95  # a table stresses candidates whose ratio is below, in three pairs of four

Measure = Callable[[Work], dict[str, Times]]


def main(arguments: list[str] | None = None) -> int:
    """Run the experiments that are asked for, in this process."""
    options = _parser().parse_args(arguments)
    clock = "process" if options.cores == "one" and processes.PINS else "wall"
    print(_head(clock))
    # Before the first array: it is then that XLA reads its flags and counts the cores.
    os.environ.update(processes.environment(options.cores))
    processes.pin(options.cores)
    budget = Budget(seconds=options.seconds)

    def measure(work: Work) -> dict[str, Times]:
        return times(work, budget, clock)

    for name in options.experiment:
        print(f"\n{name}, cores: {options.cores}", flush=True)
        show = show_table if options.table else show_lists
        show(EXPERIMENTS[name], options.cell or CELLS.get(name, GRID), measure)
    return 0


def times(work: Work, budget: Budget, clock: str) -> dict[str, Times]:
    """Time each candidate in turn with that of the engine, after a check that they agree."""
    functions = ready(work)
    check_parity(work, functions)
    ours = functions.pop(work.engine)
    return {name: timing.measure(ours, f, budget)[clock] for name, f in functions.items()}


def show_lists(experiment: Callable, cells: Iterable[Cell], measure: Measure) -> None:
    """Print a list of the candidates for each cell and work, with quartiles."""
    for cell in cells:
        for work in experiment(cell):
            found = measure(work)
            print(f"\n  {work.name} of {cell}\n  {'':<36}{'median':>10}  ratio (quartiles)")
            print(f"  {work.engine:<36}{_ms(_of_engine(found))}  the engine's")
            for name, each in found.items():
                print(f"  {name:<36}{_ms(each.theirs)}  {spread(each.ratio)}", flush=True)


def show_table(experiment: Callable, cells: Iterable[Cell], measure: Measure) -> None:
    """Print one table, in Markdown, with a row for each cell."""
    print(
        "A time is that of what the engine does. A ratio is another candidate's time over it: "
        f"above 1 it is\nslower; **stressed**, it is below {FASTER} in three pairs of four."
    )
    columns: list[str] = []
    for cell in cells:
        works = list(experiment(cell))
        if (names := _columns(works)) != columns:  # a few depend on the sizes
            columns = names
            print("\n" + _row("B,T,F,H", columns, columns))
            print(_row("---", ["---:"] * len(columns), columns))
        texts = [text for work in works for text in _texts(work, measure(work))]
        print(_row(str(cell), texts, columns), flush=True)


def _columns(works: list[Work]) -> list[str]:
    """Return the names of all candidates, with that of the work before its first one."""
    columns = []
    for work in works:
        first, *others = work.candidates
        columns += [f"{work.name}: {first}", *others]
    return columns


def _texts(work: Work, found: dict[str, Times]) -> list[str]:
    """Return the time of the engine's candidate, and the ratios of the others, in their order."""
    texts = {name: _ratio(each.ratio) for name, each in found.items()}
    texts[work.engine] = time_or_size(_of_engine(found).median, "s")
    return [texts[name] for name in work.candidates]


def _ratio(sample: Sample) -> str:
    text = ratio(sample.median)
    return f"**{text}**" if sample.high < FASTER else text


def _row(first: str, texts: list[str], columns: list[str]) -> str:
    widths = (max(len(column), 8) for column in columns)
    padded = [text.rjust(width) for text, width in zip(texts, widths, strict=True)]
    return f"| {' | '.join([first.ljust(14), *padded])} |"


def _of_engine(found: dict[str, Times]) -> Sample:
    return next(iter(found.values())).ours


def _ms(sample: Sample) -> str:
    return f"{1e3 * sample.median:7.2f} ms"


def _head(clock: str) -> str:
    """Return what a reader elsewhere must know of this machine and this code."""
    here, of = machine("cpu"), versions()
    packages = ", ".join(f"{name} {of[name]}" for name in ("lstmcore", "jax", "jaxlib", "python"))
    return (
        f"{here['cpu']}, cores: {here['cores']}, {here['system']}\n"
        f"{packages}, commit {commit() or 'unknown'}; {clock} time"
    )


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
    parser.add_argument("--cell", nargs="+", type=Cell.parse, help="sizes", metavar="B,T,F,H")
    parser.add_argument("--table", action="store_true", help="one row for each cell, in Markdown")
    parser.add_argument("--seconds", type=float, default=1.0, help="at least, for each comparison")
    parser.add_argument("--cores", choices=processes.MODES, default="one")
    return parser
