"""Time lstmcore beside other LSTMs doing the same work.

    python -m benchmarks peers --quick          two minutes, a first look
    python -m benchmarks peers                  everything, an hour or two
    python -m benchmarks peers --peer torch --case train --cell 16,100,8,128 --cores one

The results are a JSON file, from which `python -m benchmarks report` makes tables and a figure.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.speed import launch, processes
from benchmarks.speed.formatting import ratio, time_or_size
from benchmarks.speed.grid import GRID, QUICK_GRID, Cell
from benchmarks.speed.peers import CASES, PEERS
from benchmarks.speed.results import Results, record
from benchmarks.speed.timing import Record, is_noisy, noise_warning

QUICK_PEERS = ("control", "matmul", "torch", "flax-linen")
QUICK_CASES = ("forward_all", "train", "stream")
INTERRUPTED = 130  # the exit status that shells give a program ended by Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    """Measure the peers, cases and sizes that are asked for; 0 if nothing failed."""
    options = _parser().parse_args(arguments)
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
    path = options.output or processes.ROOT / "benchmarks" / "results" / _file(options, platform)
    try:
        results.save(path)
    except OSError as error:
        print(f"cannot write {path}: {error.strerror}")
        return 2
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
    spread = f"({ratio(found.ratio.low)} to {ratio(found.ratio.high)})"
    warning = "  warning: noisy" if is_noisy(found) else ""
    return (
        f"{found.case:<18}{cell:<16} lstmcore {ours:>9}  other {theirs:>9}  "
        f"ratio {ratio(found.ratio.median)} {spread}{warning}"
    )


def _plan(options, platform: str, device: str, modes) -> tuple[list[launch.Job], Results]:
    """Return the workers of this run, and its results with nothing measured yet."""
    here = tuple(name for name in PEERS if platform in PEERS[name].devices)
    planned, skipped = launch.jobs(
        options.peer or (QUICK_PEERS if options.quick else here),
        options.case or (QUICK_CASES if options.quick else CASES),
        options.cell or (QUICK_GRID if options.quick else GRID),
        modes,
        quick=options.quick,
    )
    settings = {"quick": options.quick, "modes": modes}
    settings |= {name: getattr(options, name) for name in ("peer", "case", "cell")}
    results = Results.start(device, settings)
    results.skipped = skipped
    return planned, results


def _file(options, platform: str) -> str:
    """Return the name of the file of results: a part of a run does not replace a whole one."""
    narrowed = options.quick or options.peer or options.case or options.cell
    everything = not narrowed and options.cores in (None, "both")
    return f"{platform if everything else 'partial'}.json"


def _modes(asked: str | None) -> tuple[str, ...]:
    return processes.MODES if asked in (None, "both") else (asked,)


def _cell(text: str) -> Cell:
    try:
        return Cell.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


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
        nargs="+",
        type=_cell,
        help="for the cases of layers: only these sizes",
        metavar="B,T,F,H",
    )
    parser.add_argument(
        "--cores", choices=(*processes.MODES, "both"), help="of a CPU (default: both)"
    )
    parser.add_argument("--output", type=Path, help="the JSON file", metavar="FILE")
    return parser
