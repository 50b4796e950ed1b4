"""The outcome of a study as a file: measurements, machine, versions and verdicts."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax

from benchmarks.speed.processes import ROOT
from benchmarks.speed.results import commit, machine, versions

FOLDER = ROOT / "benchmarks" / "results" / "studies"


class Claim(NamedTuple):
    """A claim of a paper, with the verdict here.

    claim: the claim, with its criterion
    holds: whether the measurements meet the criterion
    because: the numbers that decide it
    """

    claim: str
    holds: bool
    because: str


def carry_out(study, *, quick: bool, **options) -> dict:
    """Run a study and return its outcome; a quick run checks no claims."""
    started, now, code = time.perf_counter(), datetime.now(UTC), commit()
    measured = study.run(quick, **options)
    return {
        "study": name_of(study),
        "source": study.SOURCE,
        "hypothesis": study.HYPOTHESIS,
        "quick": quick,
        "claims": [] if quick else [claim._asdict() for claim in study.check_claims(measured)],
        "date": now.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 1),
        "commit": code,
        "machine": machine(jax.devices()[0].device_kind),
        "versions": versions() | {"scipy": version("scipy")},
        "measured": measured,
    }


def name_of(study) -> str:
    """Return the name of a study, which is that of its module."""
    return study.__name__.rpartition(".")[2]


def save(outcome: dict, folder: Path = FOLDER) -> Path:
    """Write `<folder>/<study>.json`, by a temporary file that is renamed, and return the path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{outcome['study']}.json"
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        staged.write_text(json.dumps(outcome, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        staged.replace(path)
    finally:
        staged.unlink(missing_ok=True)
    return path


def load(name: str, folder: Path = FOLDER) -> dict | None:
    """Read what `save` wrote; None if the study has not been run."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
