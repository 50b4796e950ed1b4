"""Programs run in new processes, and their errors told in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent  # from where `benchmarks` and `lstmcore` are imported


def python(*arguments: str, variables: dict[str, str] | None = None) -> str:
    """Run Python with these arguments; what it printed.

    Raises:
      RuntimeError: it failed; with the end of what it said.
    """
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | (variables or {}),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise RuntimeError(f"python {' '.join(arguments)} {ending(done.returncode, done.stderr)}")
    return done.stdout


def ending(status: int, errors: str) -> str:
    """How a process ended that should not have, and the last thing it said."""
    how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
    said = [line.strip() for line in errors.splitlines() if line.strip()]
    return f"{how}: {said[-1]}" if said else how
