"""The pictures of the docs, made by the code on their pages: `python -m benchmarks.pictures`.

A page's blocks are run one after the other in docs/assets, where they write what the page shows.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"
PAGES = ("pictures.md", "tour.md")
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
        draw(DOCS / page, DOCS / "assets")
