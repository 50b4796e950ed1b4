"""Which warnings fail the suite: our own everywhere, those of dependencies in `.ci/run` alone."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# As of a dependency that is newer than those tested, and as raised by a line of our own.
CASES = """
import warnings

import numpy as np
import pytest

THEIRS = {
    "deprecated, called by us": (DeprecationWarning, "lstmcore.series.times.calendar"),
    "will change, called by us": (FutureWarning, "lstmcore.vocabulary"),
    "will be deprecated, called by a test": (PendingDeprecationWarning, "test_table"),
    "deprecated for users": (np.exceptions.VisibleDeprecationWarning, "lstmcore.engine.fast"),
    "within a dependency": (RuntimeWarning, "numpy._core.numeric"),
    "a deprecation within a dependency": (DeprecationWarning, "jax._src.core"),
}
OURS = {
    "warned of": (UserWarning, "lstmcore.study.run"),
    "division by zero": (RuntimeWarning, "lstmcore.series.scaling"),
    "in a benchmark": (UserWarning, "benchmarks.speed.timing"),
    "warned of, called by a test": (UserWarning, "test_study_run"),
}

@pytest.mark.parametrize(("category", "module"), THEIRS.values(), ids=THEIRS)
def test_theirs(category, module):
    warnings.warn_explicit("newer", category, "file.py", 1, module)

@pytest.mark.parametrize(("category", "module"), OURS.values(), ids=OURS)
def test_ours(category, module):
    with pytest.raises(category, match="newer"):
        warnings.warn_explicit("newer", category, "file.py", 1, module)
"""


def outcomes(path: Path, *options: str) -> dict[str, int]:
    """How many of the cases passed and failed under this project's settings of pytest."""
    path.write_text(CASES, encoding="utf-8")
    settings = ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(path.parent)]
    environment = {name: text for name, text in os.environ.items() if name != "PYTEST_ADDOPTS"}
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-n", "0", *settings, *options, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    counts = re.findall(r"(\d+) (passed|failed|error)", run.stdout.splitlines()[-1])
    return {outcome: int(number) for number, outcome in counts}


def test_a_newer_dependency_does_not_fail_the_suite(tmp_path):
    assert outcomes(tmp_path / "test_cases.py") == {"passed": 10}


def test_every_warning_is_an_error_in_ci(tmp_path):
    assert outcomes(tmp_path / "test_cases.py", "-W", "error") == {"passed": 4, "failed": 6}
    assert "-W error" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
