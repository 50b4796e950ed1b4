"""The formulations that the engine was chosen from: that they compute the same, and still run."""

import pytest

from benchmarks.speed import stepping
from benchmarks.speed.formulations import command, forward
from benchmarks.speed.formulations.work import check_parity, ready
from benchmarks.speed.grid import Cell
from lstmcore.engine.layout import FEATURE_MAJOR

CELL = Cell(2, 7, 3, 4)


@pytest.mark.thorough
@pytest.mark.parametrize("name", command.EXPERIMENTS)
def test_candidates_of_an_experiment_agree(name):
    for work in command.EXPERIMENTS[name](CELL):
        assert work.engine in work.candidates
        check_parity(work, ready(work))


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["projection", "stacking"])
def test_they_agree_as_columns_too(name, monkeypatch):
    monkeypatch.setattr(forward, "choose_layout", lambda batch, units: FEATURE_MAJOR)
    (work,) = command.EXPERIMENTS[name](CELL)
    check_parity(work, ready(work))


def test_a_candidate_that_computes_something_else_is_found():
    (work,) = command.EXPERIMENTS["sigmoid"](CELL)

    def wrong(*arguments):
        return 1.01 * work.candidates["tanh"](*arguments)

    broken = work._replace(candidates={**work.candidates, "wrong": wrong})
    with pytest.raises(AssertionError, match="wrong differs from tanh"):
        check_parity(broken, ready(broken))


def test_the_command_prints_each_candidate_with_its_ratio(capsys):
    command.main(
        ["--experiment", "sigmoid", "--cell", str(CELL), "--seconds", "0", "--cores", "all"]
    )
    title, *_, ours, theirs = filter(None, capsys.readouterr().out.splitlines())
    assert title == "sigmoid, cores: all"
    assert "engine" in ours
    assert theirs.split()[0] == "logistic"
    assert "7 pairs" in theirs


@pytest.mark.thorough
def test_a_step_of_a_stream_and_a_bare_one_are_timed(capsys, monkeypatch):
    monkeypatch.setattr(stepping, "UNITS", (3, 5))
    stepping.main(["--seconds", "0"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["3 units", "5 units"]
    assert all("7 pairs" in line for line in lines)
