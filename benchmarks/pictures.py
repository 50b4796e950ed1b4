"""The pictures of the docs, made by the code on their pages: `python -m benchmarks.pictures`.

A page's blocks are run one after the other in an empty folder; the pictures that they write there
go into docs/assets.
"""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

DOCS = Path(__file__).parent.parent / "docs"
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


if __name__ == "__main__":
    for page in PAGES:
        with TemporaryDirectory() as folder:
            draw(DOCS / page, Path(folder))
            for picture in Path(folder).glob("*.png"):
                shutil.copy(picture, DOCS / "assets")
