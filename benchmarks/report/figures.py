"""Draw the figures of the docs with the code on their pages: `python -m benchmarks figures`.

The code blocks of a page are run one after the other in an empty folder; the figures that they save
there are copied into docs/assets. `inside.md` needs the packages that it opens; it is drawn if it
is named, `python -m benchmarks figures inside.md`.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.speed.processes import ROOT

DOCS = ROOT / "docs"
PAGES = ("pictures.md", "tour.md", "translate.md", "forecast.md", "anomalies.md")
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def draw(page: Path, folder: Path) -> None:
    """Run the Python blocks of a page in `folder`."""
    before = Path.cwd()
    names: dict = {"__name__": page.stem}
    os.chdir(folder)
    try:
        for block in BLOCK.findall(page.read_text(encoding="utf-8")):
            exec(compile(block, page.name, "exec"), names)
    finally:
        os.chdir(before)


def main(arguments: list[str] | None = None) -> None:
    """Draw the figures of the given pages."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks figures", description=__doc__)
    every = (*PAGES, "inside.md")
    parser.add_argument("pages", nargs="*", default=PAGES, metavar="PAGE", help=", ".join(every))
    for page in parser.parse_args(arguments).pages:
        if page not in every:
            parser.error(f"{page} is not one of {', '.join(every)}")
        with TemporaryDirectory() as folder:
            draw(DOCS / page, Path(folder))
            for figure in Path(folder).glob("*.png"):
                shutil.copy(figure, DOCS / "assets")
