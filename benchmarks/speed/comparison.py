"""Time lstmcore beside other LSTMs doing the same work.

    python -m benchmarks peers --quick          two minutes, a first look
    python -m benchmarks peers                  everything, an hour or two
    python -m benchmarks peers --peer torch --case train --cell 16,100,8,128 --cores one
    python -m benchmarks peers --random 20 --seed 1 2    also two times 20 sizes drawn at random

A ratio is always their time / our time: how many times as fast lstmcore is. The results are a JSON
file, from which `python -m benchmarks report` makes tables and a figure.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.speed import launch, processes
from benchmarks.speed.formatting import ratio, time_or_size
from benchmarks.speed.grid import COMPILE_CELLS, GRID, QUICK_GRID, Cell, random_cells
from benchmarks.speed.peers import CASES, PEERS
from benchmarks.speed.results import FOLDER, Results, file_name, record
from benchmarks.speed.timing import Record, is_noisy, noise_warning

QUICK_PEERS = ("control", "matmul", "torch", "flax-linen")
QUICK_CASES = ("forward_all", "train", "stream")
INTERRUPTED = 130  # the exit status that shells give a program ended by Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    """Measure the peers, cases and sizes that are asked for; 0 if nothing failed."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.seed and not options.random:
        parser.error("--seed draws the sizes of --random N: give both")
    platform, device = launch.find_device()
    if platform == "gpu" and options.cores:
        print("--cores is for CPUs, but JAX runs on a GPU here: set JAX_PLATFORMS=cpu, or omit it")
        return 2
    modes = ("gpu",) if platform == "gpu" else _modes(options.cores)
    planned, results = _plan(options, platform, device, modes)
    for entry in results.skipped:
        print(f"skipped: {entry['peer']}: {entry['reason']}")
    if not planned:
        print("nothing to measure: no available peer takes part in what was asked for")
        for name in options.peer or ():
            print(f"  {name} takes part in {', '.join(PEERS[name].cases)}")
        return 1
    path = options.output or _file(options, results)
    try:
        results.save(path)
    except OSError as error:
        print(f"cannot write {path}: {error.strerror}")
        return 2
    print("ratio: their time / our time, above 1 lstmcore is faster")
    try:
        measure(planned, results, path)
    except KeyboardInterrupt:
        results.save(path)
        print(f"\ninterrupted; the records until then are in {path}")
        return INTERRUPTED
    print(f"results in {path}")
    return 1 if results.failures else 0


def measure(planned: list[launch.Job], results: Results, path: Path, run=launch.run) -> None:
    """Run the workers one after the other; each record is saved as soon as it is measured."""
    results.save(path)
    for number, job in enumerate(planned, 1):
        print(f"[{number}/{len(planned)}] {job}", flush=True)
        for event in run(job):
            if "record" in event:
                results.records.append(record(event["record"]))
                print(f"  {line(results.records[-1])}", flush=True)
            elif "failure" in event:
                failure = {"peer": job.peer, "cores": job.mode} | event["failure"]
                results.failures.append(failure)
                print(f"  failed: {failure['case']}: {failure['message']}", flush=True)
            else:
                continue
            results.save(path)
    results.complete = True
    results.save(path)
    if warning := noise_warning(results.records):
        print(warning, flush=True)


def line(found: Record) -> str:
    """Return a record as a line for the terminal, with a warning if it is a noisy control."""
    cell = str(Cell(*found.cell)) if found.cell else ""
    ours, theirs = (time_or_size(s.median, found.unit) for s in (found.ours, found.theirs))
    warning = "  warning: noisy" if is_noisy(found) else ""
    if found.peer == "own":  # the same call of lstmcore without the trace
        compared = f"without {theirs:>9}  cost {ratio(1 / found.ratio.median)}"
    else:
        spread = f"({ratio(found.ratio.low)} to {ratio(found.ratio.high)})"
        compared = f"other {theirs:>9}  ratio {ratio(found.ratio.median)} {spread}"
    return f"{found.case:<18}{cell:<16} lstmcore {ours:>9}  {compared}{warning}"


def _plan(options, platform: str, device: str, modes) -> tuple[list[launch.Job], Results]:
    """Return the workers of this run, and its results with nothing measured yet."""
    here = tuple(name for name in PEERS if platform in PEERS[name].devices)
    seeds = (options.seed or [0]) if options.random else []
    drawn = [{"seed": seed, "cells": random_cells(options.random, seed)} for seed in seeds]
    cells = (QUICK_GRID if options.quick else GRID) if options.cell is None else options.cell
    cells = tuple(dict.fromkeys([*cells, *(cell for entry in drawn for cell in entry["cells"])]))
    planned, skipped = launch.jobs(
        options.peer or (QUICK_PEERS if options.quick else here),
        options.case or (QUICK_CASES if options.quick else CASES),
        cells,
        modes,
        compile_cells=cells if options.compile_all else COMPILE_CELLS,
        quick=options.quick,
    )
    settings = {"quick": options.quick, "modes": modes, "random": drawn}
    settings |= {name: getattr(options, name) for name in ("peer", "case", "cell")}
    results = Results.start(device, settings)
    results.skipped = skipped
    return planned, results


def _file(options, results: Results) -> Path:
    """Return the path of the results: a part of a run does not replace a whole one."""
    narrowed = options.quick or options.peer or options.case or options.cell is not None
    if narrowed or options.cores not in (None, "both"):
        return FOLDER.parent / "partial.json"
    return FOLDER / file_name(results.machine, results.versions)


def _modes(asked: str | None) -> tuple[str, ...]:
    return processes.MODES if asked in (None, "both") else (asked,)


def _cell(text: str) -> Cell:
    try:
        return Cell.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number of 1 or more, got {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="few peers, cells and cases")
    parser.add_argument("--peer", nargs="+", choices=PEERS, help="only these", metavar="NAME")
    parser.add_argument("--case", nargs="+", choices=CASES, help="only these", metavar="NAME")
    parser.add_argument(
        "--cell",
        nargs="*",
        type=_cell,
        help="for the cases of layers: only these sizes; without any, only random ones",
        metavar="B,T,F,H",
    )
    parser.add_argument(
        "--random", type=_count, help="for these cases: also N random sizes", metavar="N"
    )
    parser.add_argument(
        "--seed", nargs="+", type=int, help="of the random sizes (default: 0)", metavar="S"
    )
    parser.add_argument(
        "--compile-all",
        action="store_true",
        help=f"compile for all of these sizes, not for {len(COMPILE_CELLS)}",
    )
    parser.add_argument(
        "--cores", choices=(*processes.MODES, "both"), help="of a CPU (default: both)"
    )
    parser.add_argument("--output", type=Path, help="the JSON file", metavar="FILE")
    return parser
