"""The packages that only some tests need, of `.ci/peers.txt` and `.ci/weights.txt`, and which are
missing."""

import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CI = Path(__file__).parents[2] / ".ci"
PINNED = (CI / "peers.txt", CI / "weights.txt")
PAGE = re.compile(r"\A(?:# .*\n)?<!-- needs: ([\w. -]+) -->\n")  # before or after the heading


def pinned() -> dict[str, str]:
    """Return {package: version}."""
    lines = [line for file in PINNED for line in file.read_text(encoding="utf-8").splitlines()]
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def missing(packages=None) -> list[str]:
    """Return which of these packages, or of all, are not installed."""

    def is_missing(package: str) -> bool:
        try:
            return not version(package)
        except PackageNotFoundError:
            return True

    return list(filter(is_missing, pinned() if packages is None else packages))


def needed_by(page: Path) -> list[str]:
    """Return the packages that the head of a page names: <!-- needs: flax equinox -->."""
    found = PAGE.match(page.read_text(encoding="utf-8"))
    return found[1].split() if found else []
