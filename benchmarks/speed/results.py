"""The results of a run as a file, which is complete and valid whenever the run ends."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import lstmcore
from benchmarks.speed.processes import ROOT, available_cores
from benchmarks.speed.timing import Record, Sample, Times

PACKAGES = (
    *("jax", "jaxlib", "numpy", "optax", "torch", "keras", "tensorflow", "tensorflow-cpu"),
    *("flax", "equinox", "dm-haiku"),
)
FOLDER = ROOT / "benchmarks" / "results" / "peers"  # a file for each machine and version of JAX


@dataclass
class Results:
    """The results of a run.

    machine: processor, cores, system, memory
    versions: of lstmcore, Python and every library that takes part
    commit: of the checkout, with "+" if it has uncommitted changes; None outside of git
    date: of the start, UTC
    settings: the options of the run
    complete: whether the run ended by itself
    records: all comparisons
    failures: peer, cores, case, cell and message of each
    skipped: peer and reason of each

    In `settings`, "random" lists the sizes that were drawn at random: {"seed": s, "cells": [...]}.
    """

    machine: dict[str, str | int | float]
    versions: dict[str, str]
    commit: str | None
    date: str
    settings: dict
    complete: bool = False
    records: list[Record] = field(default_factory=list)
    failures: list[dict] = field(default_factory=list)
    skipped: list[dict] = field(default_factory=list)

    @classmethod
    def start(cls, device: str, settings: dict) -> Results:
        """Return results without records, of this machine and this moment."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(machine(device), versions(), commit(), now, settings)

    def save(self, path: Path) -> None:
        """Write to a temporary file and rename it, so that `path` is never half-written."""
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {name: value for name, value in vars(self).items() if name != "records"}
        lines = ",\n".join(json.dumps(plain(record)) for record in self.records)
        text = f'{json.dumps(head, indent=1)[:-2]},\n "records": [\n{lines}\n]}}\n'
        staged = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            staged.write_text(text, encoding="utf-8")
            staged.replace(path)
        finally:
            staged.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` wrote.

        Raises:
          ValueError: the file holds something else.
        """
        try:
            contents = json.loads(path.read_text(encoding="utf-8"))
            records = [record(fields) for fields in contents.pop("records")]
            return cls(**contents, records=records)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(
                f"{path} holds no results of `python -m benchmarks peers`: {error}"
            ) from None


def record(fields: dict) -> Record:
    """Return a record from its JSON form; one from before there was a second clock has no other."""
    cell = fields["cell"] and tuple(fields["cell"])
    other = fields.get("other") and _times(fields["other"])
    return Record(**fields | _times(fields)._asdict() | {"cell": cell, "other": other})


def plain(record: Record) -> dict:
    """Return a record as values that JSON can hold."""
    other = record.other and _plain_times(record.other)
    return record._asdict() | _plain_times(record) | {"other": other}


def _times(fields: dict) -> Times:
    return Times(*(Sample(**fields[name]) for name in Times._fields))


def _plain_times(times: Times | Record) -> dict:
    return {name: getattr(times, name)._asdict() for name in Times._fields}


def file_name(machine: dict, versions: dict[str, str]) -> str:
    """Return the name of the file of a whole run, one for each machine and version of JAX.

    Such as intel-xeon-processor_2-cores_linux-x86-64_jax-0.10.2.json.
    """
    on_gpu = machine["device"] != "cpu"
    processor = re.sub(r"\(r\)|\(tm\)", "", machine["device" if on_gpu else "cpu"].lower())
    cores = f"{machine['cores']} core{'s' * (machine['cores'] != 1)}"
    parts = processor, cores, machine["system"], f"jax-{versions['jax']}"
    return "_".join(re.sub(r"[^a-z0-9.]+", "-", p.lower()).strip("-") for p in parts) + ".json"


def machine(device: str) -> dict[str, str | int | float]:
    """Return processor, cores, system and memory, as far as the standard library knows them."""
    found = {
        "device": device,
        "cpu": _cpu_model(),
        "cores": available_cores(),
        "system": f"{platform.system()} {platform.machine()}",
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        found["memory_gib"] = round(memory / 2**30, 1)
    return found


def versions() -> dict[str, str]:
    """Return the versions of lstmcore, Python and the packages that are installed."""
    found = {"lstmcore": lstmcore.__version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """Return the commit of this checkout, with "+" if lstmcore or benchmarks have changed since."""

    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else None

    try:
        head = git("rev-parse", "HEAD")
    except FileNotFoundError:
        return None
    return head and head + ("+" if git("status", "--porcelain", "lstmcore", "benchmarks") else "")


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
