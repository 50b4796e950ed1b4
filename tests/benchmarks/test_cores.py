"""The benchmark of all cores: both sides train alike, and the table has a place for each size."""

import subprocess
import sys

from benchmarks.speed.cores import table
from benchmarks.speed.grid import Cell


def test_it_runs_on_several_devices():
    """In a process of its own, since the number of devices is settled when JAX is first used."""
    program = (
        "from benchmarks.speed import cores; cores.RUN_SECONDS = 0.01;"
        "cores.main(['--count', '3', '--runs', '1', '--cell', '13,2,1,2'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "13,2,1,2" in done.stdout
    assert "3 devices" in done.stdout
    assert "| 13, 2, 1 |" in done.stdout


def test_the_table_leaves_missing_sizes_empty():
    lines = table({Cell(2, 5, 1, 16): 0.5, Cell(4, 5, 1, 64): 1.25}).splitlines()
    assert lines[0] == "| B, T, F | H = 16 | H = 64 |"
    assert lines[2:] == ["| 2, 5, 1 | 0.50 |  |", "| 4, 5, 1 |  | 1.25 |"]
