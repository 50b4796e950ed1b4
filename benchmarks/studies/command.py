"""List the studies, run them, write the page.

    python -m benchmarks studies                          list the studies
    python -m benchmarks studies adding variants          run these and save their outcomes
    python -m benchmarks studies all --report             run all, then write docs/studies.md
    python -m benchmarks studies characters --text FILE   another text (.txt, or .gz of one)
    python -m benchmarks studies ablation --nab FOLDER    with files of the Numenta benchmark, too
    python -m benchmarks studies --report                 write the page from saved outcomes

A full run of a study takes 5 to 40 minutes on one core. `--quick` only shows in a minute that the
study works, and yields no verdict. Quick runs and other texts are saved only with `--folder`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.report import studies as report
from benchmarks.studies import (
    ablation,
    adding,
    addition,
    characters,
    detection,
    forecasts,
    forget_bias,
    record,
    reversal,
    translation,
    univariate,
    variants,
)

STUDIES = {
    record.name_of(study): study
    for study in (
        *(adding, forget_bias, variants, characters, addition, translation, reversal),
        *(forecasts, univariate, detection, ablation),
    )
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return 0, whatever the verdicts; 1 if a study lacks a package."""
    parser = _parser()
    options = parser.parse_args(arguments)
    names = list(STUDIES) if "all" in options.study else options.study
    for name in set(names) - set(STUDIES):
        parser.error(f"there is no study {name!r}: choose from {', '.join(STUDIES)} and all")
    if options.text and names != ["characters"]:
        parser.error("--text is for the study `characters` alone")
    if options.nab and names != ["ablation"]:
        parser.error("--nab is for the study `ablation` alone")
    folder = options.folder or (None if options.quick or options.text else record.FOLDER)
    status = 0
    for name in names:
        study = STUDIES[name]
        print(f"{study.TITLE}. {study.HYPOTHESIS}", flush=True)
        given = {"text": options.text, "nab": options.nab}
        extra = {option: path for option, path in given.items() if path}
        try:
            outcome = record.carry_out(study, quick=options.quick, **extra)
        except ModuleNotFoundError as error:
            print(f"{name} was not run: {error}")
            status = 1
            continue
        except (OSError, ValueError) as error:
            if not extra:
                raise
            print(f"cannot use {options.text or options.nab}: {error}")
            return 2
        print(report.findings(study, outcome))
        print(f"saved in {record.save(outcome, folder)}\n" if folder else "not saved\n", flush=True)
    if options.report:
        print(f"wrote {report.write(STUDIES.values(), options.page, folder or record.FOLDER)}")
    elif not names:
        for name, study in STUDIES.items():
            print(f"{name:<12} {study.TITLE}: {study.SOURCE}")
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks studies",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("study", nargs="*", help=f"{', '.join(STUDIES)} or all", metavar="STUDY")
    parser.add_argument("--quick", action="store_true", help="a small run without a verdict")
    parser.add_argument("--report", action="store_true", help="write tables and figures")
    parser.add_argument("--text", type=Path, help="for `characters`", metavar="FILE")
    parser.add_argument("--nab", type=Path, help="for `ablation`", metavar="FOLDER")
    parser.add_argument("--folder", type=Path, help="of saved outcomes", metavar="FOLDER")
    parser.add_argument("--page", type=Path, default=report.PAGE, help="to write", metavar="FILE")
    return parser
