"""Tables and figures of the studies, made from the saved outcomes alone."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.report.speed import put
from benchmarks.speed.processes import ROOT
from benchmarks.studies import record

PAGE = ROOT / "docs" / "studies.md"
QUICK = "**A quick run, which only shows that the study works: no verdict.**"


def write(studies: Iterable, page: Path = PAGE, folder: Path = record.FOLDER) -> Path:
    """Write every study that has been run between its markers, and its figure into `assets/`.

    Returns the page.

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
        figure = page.parent / "assets" / f"study_{name}.png"
        figure.parent.mkdir(parents=True, exist_ok=True)
        study.draw(outcome["measured"]).savefig(figure, dpi=120, metadata={"Software": None})
    page.write_text(text, encoding="utf-8")
    return page


def markers(name: str) -> tuple[str, str]:
    """Return the opening and the closing marker of a study."""
    return f"<!-- study:{name}:begin -->", f"<!-- study:{name}:end -->"


def block(study, outcome: dict) -> str:
    """Return the Markdown about one outcome."""
    name = record.name_of(study)
    versions = outcome["versions"]
    parts = [
        findings(study, outcome),
        f"![{study.TITLE}](assets/study_{name}.png)",
        f"*`python -m benchmarks studies {name}`, {outcome['seconds'] / 60:.0f} minutes, "
        f"{outcome['date'][:10]}, Python {versions['python']}, jax {versions['jax']}, optax "
        f"{versions['optax']}; all numbers: `benchmarks/results/studies/{name}.json`.*",
    ]
    return "\n\n".join(parts)


def findings(study, outcome: dict) -> str:
    """Return the tables of a study and its verdicts; of a quick run, the tables alone.

    Verdicts are computed again, so that they follow the criteria as they are in the code now.
    """
    tables = study.tables(outcome["measured"])
    if outcome["quick"]:
        return f"{QUICK}\n\n{tables}"
    rows = ["| claim | holds here | because |", "|---|---|---|"]
    for claim in study.check_claims(outcome["measured"]):
        verdict = "yes" if claim.holds else "**no**"
        rows.append(f"| {_cell(claim.claim)} | {verdict} | {_cell(claim.because)} |")
    return "\n\n".join([tables, "\n".join(rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
