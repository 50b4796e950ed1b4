"""The packages that each command needs, and the extra of lstmcore that installs them."""

from __future__ import annotations

from importlib.util import find_spec

BASE = ("matplotlib",)
NEEDED = {  # by command: its extra, and what it imports; a test keeps it equal to pyproject.toml
    "fit": ("cli", BASE),
    "forecast": ("forecast", (*BASE, "statsmodels")),
    "anomalies": ("anomalies", (*BASE, "sklearn")),
    "translate train": ("translate", (*BASE, "sacrebleu")),
    "translate run": ("cli", ()),
    "inspect": ("cli", BASE),
    "convert": ("cli", ()),
    "summary": ("cli", ()),
}
DISTRIBUTIONS = {"sklearn": "scikit-learn"}  # where it differs from the name to import


def require_command(name: str) -> None:
    """Check that the packages of a command, such as "translate train", are installed.

    Raises:
      ImportError: one is not installed.
    """
    extra, packages = NEEDED[name]
    for package in packages:
        require(package, extra, f"lstmcore {name}")


def require(package: str, extra: str, why: str) -> None:
    """Check that a package is installed, before training rather than after it.

    Args:
      package: the name by which it is imported.
      extra: the extra of lstmcore that installs it.
      why: the command or the option that needs it.

    Raises:
      ImportError: it is not installed.
    """
    if find_spec(package) is None:
        name = DISTRIBUTIONS.get(package, package)
        raise ImportError(
            f'{why} needs the package {name}: pip install "lstmcore[{extra}]" (in a checkout: '
            f'pip install -e ".[{extra}]")'
        )
