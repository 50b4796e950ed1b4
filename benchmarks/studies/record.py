"""A study's outcome as a file: what was measured, on what, and what follows from it."""

from __future__ import annotations

import json
import os
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax

from benchmarks.processes import ROOT
from benchmarks.results import commit, machine, versions

FOLDER = ROOT / "benchmarks" / "results" / "studies"


class Claim(NamedTuple):
    """Something a paper says, and what became of it here.

    claim: the sentence, with its criterion
    holds: whether the measurement meets the criterion
    because: the numbers that decide it
    """

    claim: str
    holds: bool
    because: str


def carry_out(study, *, quick: bool, **options) -> dict:
    """Run a study; the outcome with everything needed to judge it or to run it again."""
    started, now, code = time.perf_counter(), datetime.now(UTC), commit()
    measured = study.run(quick, **options)
    return {
        "study": name_of(study),
        "source": study.SOURCE,
        "hypothesis": study.HYPOTHESIS,
        "quick": quick,
        "claims": [claim._asdict() for claim in study.judge(measured)],
        "date": now.isoformat(timespec="seconds"),
        "seconds": round(time.perf_counter() - started, 1),
        "commit": code,
        "machine": machine(jax.devices()[0].device_kind),
        "versions": versions() | {"scipy": version("scipy")},
        "measured": measured,
    }


def name_of(study) -> str:
    return study.__name__.rpartition(".")[2]


def save(outcome: dict, folder: Path = FOLDER) -> Path:
    """Write `<folder>/<study>.json` in one step."""
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
    """What `save` wrote, or None where the study has not been run."""
    path = folder / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
