"""The runs of all machines and versions side by side, made from `benchmarks/results/peers`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.report.tables import (
    NOTHING,
    Summary,
    best_jax_peer,
    by_sizes,
    clock_of,
    ratios,
    select,
    table,
)
from benchmarks.speed.formatting import ratio
from benchmarks.speed.processes import WHERE
from benchmarks.speed.results import Results
from benchmarks.speed.timing import Record, noisy_controls

CASES = {"train": "training", "forward_all": "forward"}
PEERS = ("PyTorch", "best JAX peer")


def tables(folder: Path) -> str:
    """Return a table per mode, with a row per file and sample of sizes; "" if there are no files.

    Raises:
      ValueError: a file holds no results.
    """
    files = [Results.load(path) for path in sorted(folder.glob("*.json"))]
    parts = []
    for mode, where in WHERE.items():
        rows = [row for results in files for row in _rows(results, mode)]
        if rows:
            figures = [f"{case}, {peer}" for case in CASES.values() for peer in PEERS]
            header = ["machine", "jax", "torch", "lstmcore", "sizes", "clock", *figures]
            parts += [f"### All machines, {where}", table(header, rows)]
    if not parts:
        return ""
    note = "Geometric mean of *their time / our time* over the sizes, in brackets the lowest."
    return "\n\n".join([*parts, f"{note} The forward pass returns h of every step."])


def _rows(results: Results, mode: str) -> list[list[str]]:
    """Return a row for the fixed sizes and one for each random sample, as far as measured."""
    records = [r for r in results.records if r.case in CASES and r.cores == mode]
    machine, versions = results.machine, results.versions
    name = machine["cpu"] if machine["device"] == "cpu" else machine["device"]
    head = [f"{name}, {machine['cores']} cores, {machine['system']}"]
    head += [versions.get(package, NOTHING) for package in ("jax", "torch")]
    head += [results.commit[:9] if results.commit else versions["lstmcore"]]
    caveats = ["quick run"] * bool(results.settings.get("quick"))
    caveats += ["interrupted"] * (not results.complete)
    return [
        [
            *head,
            ", ".join([f"{sizes or 'fixed sizes'} ({len({r.cell for r in found})})", *caveats]),
            clock_of(found),
            *(entry for case in CASES for entry in _entries(select(found, case, mode))),
        ]
        for sizes, found in by_sizes(results, records)
    ]


def _entries(records: Sequence[Record]) -> list[str]:
    """Return mean and lowest beside PyTorch and the best JAX peer, marked if a control is noisy."""
    cells = {record.cell for record in records}
    noisy = " (noisy)" if noisy_controls(records) else ""
    entries = []
    for values in (ratios(records, "torch"), best_jax_peer(records)):
        if values:
            found = Summary.of(values.values())
            of = f" (of {found.count})" if found.count < len(cells) else ""
            entries.append(f"{ratio(found.mean)} ({ratio(found.lowest)}){of}{noisy}")
        else:
            entries.append(NOTHING)
    return entries
