"""The formulations that the engine was chosen from: that they compute the same, and still run."""

import pytest

from benchmarks.formulations import __main__ as command
from benchmarks.formulations.work import check_parity, ready
from benchmarks.grid import Cell

CELL = Cell(2, 7, 3, 4)


@pytest.mark.parametrize("name", command.EXPERIMENTS)
def test_candidates_of_an_experiment_agree(name):
    for work in command.EXPERIMENTS[name](CELL):
        assert work.engine in work.candidates
        check_parity(work, ready(work))
