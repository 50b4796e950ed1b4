"""lstmcore beside other LSTMs: how long each takes for the same work.

    python -m benchmarks --quick          two minutes, a first look
    python -m benchmarks                  everything, an hour or two
    python -m benchmarks --peer torch --case train --cell 16,100,8,128 --cores one

The results are a JSON file, from which `python -m benchmarks.report` makes tables and a picture.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import cores, launch
from benchmarks.common import Record
from benchmarks.grid import GRID, QUICK_GRID, Cell
from benchmarks.peers import CASES, PEERS
from benchmarks.processes import ROOT
from benchmarks.results import Results, record
from benchmarks.units import ratio, time_or_size

QUICK_PEERS = ("control", "matmul", "torch", "flax-linen")
QUICK_CASES = ("forward_all", "train", "stream")
INTERRUPTED = 130  # the exit status that shells give a program ended by Ctrl-C


def main(arguments: list[str] | None = None) -> int:
    """Run what was asked for; 0 if nothing failed."""
    options = _parser().parse_args(arguments)
    platform, device = launch.find_device()
    if platform == "gpu" and options.cores:
        print("--cores is for CPUs, but JAX runs on a GPU here: set JAX_PLATFORMS=cpu, or leave it")
        return 2
    modes = ("gpu",) if platform == "gpu" else _modes(options.cores)
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
    narrowed = options.quick or options.peer or options.case or options.cell
    everything = not narrowed and options.cores in (None, "both")
    name = f"{platform if everything else 'partial'}.json"
    path = options.output or ROOT / "benchmarks" / "results" / name
    for entry in skipped:
        print(f"skipped: {entry['peer']}: {entry['reason']}")
    if not planned:
        print("nothing to measure: no peer at hand takes part in what was asked for")
        for name in options.peer or ():
            print(f"  {name} takes part in {', '.join(PEERS[name].cases)}")
        return 1
    try:
        results.save(path)
    except OSError as error:
        print(f"cannot write {path}: {error.strerror}")
        return 2
    try:
        measure(planned, results, path)
    except KeyboardInterrupt:
        results.save(path)
        print(f"\ninterrupted; what was found until then is in {path}")
        return INTERRUPTED
    print(f"results in {path}")
    return 1 if results.failures else 0


def measure(planned: list[launch.Job], results: Results, path: Path, run=launch.run) -> None:
    """Run the workers one after the other; every record is on disk as soon as it is there."""
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


def line(found: Record) -> str:
    """A record for the terminal."""
    cell = str(Cell(*found.cell)) if found.cell else ""
    ours, theirs = (time_or_size(s.median, found.unit) for s in (found.ours, found.theirs))
    spread = f"({ratio(found.ratio.low)} to {ratio(found.ratio.high)})"
    return (
        f"{found.case:<16}{cell:<16} lstmcore {ours:>9}  other {theirs:>9}  "
        f"ratio {ratio(found.ratio.median)} {spread}"
    )


def _modes(asked: str | None) -> tuple[str, ...]:
    return cores.MODES if asked in (None, "both") else (asked,)


def _cell(text: str) -> Cell:
    try:
        return Cell.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
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
        "--cores", choices=(*cores.MODES, "both"), help="of a CPU; both unless you say"
    )
    parser.add_argument("--output", type=Path, help="the JSON file", metavar="FILE")
    return parser


if __name__ == "__main__":
    sys.exit(main())
