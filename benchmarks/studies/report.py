"""Tables and pictures of the studies, from what was kept and from nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.processes import ROOT
from benchmarks.report import put
from benchmarks.studies import record

PAGE = ROOT / "docs" / "studies.md"


def write(studies: Iterable, page: Path = PAGE, folder: Path = record.FOLDER) -> Path:
    """Put every study that has been run between its two markers, and its picture in `assets/`.

    Raises:
      ValueError: nothing has been run, or the page lacks a marker.
    """
    outcomes = {study: record.load(record.name_of(study), folder) for study in studies}
    if not any(outcomes.values()):
        raise ValueError(f"{folder} holds no outcome: run a study first")
    text = page.read_text(encoding="utf-8")
    for study, outcome in outcomes.items():
        if outcome is None:
            continue
        name = record.name_of(study)
        text = put(text, block(study, outcome), *markers(name))
        picture = page.parent / "assets" / f"study_{name}.png"
        picture.parent.mkdir(parents=True, exist_ok=True)
        study.draw(outcome["measured"]).savefig(picture, dpi=120, metadata={"Software": None})
    page.write_text(text, encoding="utf-8")
    return page


def markers(name: str) -> tuple[str, str]:
    return f"<!-- study:{name}:begin -->", f"<!-- study:{name}:end -->"


def block(study, outcome: dict) -> str:
    """What stands on the page about one outcome."""
    name = record.name_of(study)
    versions = outcome["versions"]
    parts = [
        findings(study, outcome),
        f"![{study.TITLE}](assets/study_{name}.png)",
        f"*`python -m benchmarks.studies {name}`, {outcome['seconds'] / 60:.0f} minutes, "
        f"{outcome['date'][:10]}, Python {versions['python']}, jax {versions['jax']}, optax "
        f"{versions['optax']}; all numbers: `benchmarks/results/studies/{name}.json`.*",
    ]
    if outcome["quick"]:
        parts.insert(0, "**A quick run: these numbers mean nothing.**")
    return "\n\n".join(parts)


def findings(study, outcome: dict) -> str:
    """The table of a study and its claims; judged anew, so that they fit the criteria of today."""
    rows = ["| claim | holds here | because |", "|---|---|---|"]
    for claim in study.judge(outcome["measured"]):
        verdict = "yes" if claim.holds else "**no**"
        rows.append(f"| {_cell(claim.claim)} | {verdict} | {_cell(claim.because)} |")
    return "\n\n".join([study.tables(outcome["measured"]), "\n".join(rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
