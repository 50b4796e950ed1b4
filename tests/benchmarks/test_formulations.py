"""The formulations that the engine was chosen from: that they compute the same, and still run."""

import jax
import pytest

from benchmarks.speed import stepping
from benchmarks.speed.formulations import command
from benchmarks.speed.formulations.work import check_parity, forced, ready
from benchmarks.speed.grid import Cell
from benchmarks.speed.timing import Sample, Times
from lstmcore.engine.product import Form

CELL = Cell(2, 7, 3, 4)
ONE_RUN = ["--cell", str(CELL), "--seconds", "0", "--cores", "all"]


@pytest.mark.thorough
@pytest.mark.parametrize("form", Form)
@pytest.mark.parametrize("name", command.EXPERIMENTS)
def test_candidates_of_an_experiment_agree(name, form):
    for work in command.EXPERIMENTS[name](CELL):
        assert work.engine in work.candidates
        with forced(form):
            check_parity(work, ready(work))


def test_a_candidate_that_computes_something_else_is_found():
    (work,) = command.EXPERIMENTS["sigmoid"](CELL)

    def wrong(*arguments):
        return 1.01 * work.candidates["tanh"](*arguments)

    broken = work._replace(candidates={**work.candidates, "wrong": wrong})
    with pytest.raises(AssertionError, match="wrong differs from tanh"):
        check_parity(broken, ready(broken))


@pytest.mark.parametrize(
    ("timesteps", "of_training"),
    [(20, ["plain", "rows transposed", "transposed"]), (7, ["plain", "transposed"])],
)
def test_products_are_compared_in_those_forms_that_differ(timesteps, of_training):
    # The forward pass has no transposed weights, and a short backward pass has no others.
    forward, training = command.EXPERIMENTS["product"](Cell(2, timesteps, 3, 4))
    assert list(forward.candidates) == ["plain", "rows transposed"]
    assert list(training.candidates) == of_training


@pytest.mark.parametrize(
    ("form", "of_forward", "of_training"),
    [
        (Form.PLAIN, "plain", "plain"),
        (Form.ROWS_TRANSPOSED, "rows transposed", "rows transposed"),
        (Form.TRANSPOSED, "rows transposed", "transposed"),
    ],
)
def test_the_form_that_the_engine_takes_is_marked_as_its_own(form, of_forward, of_training):
    with forced(form):
        forward, training = command.EXPERIMENTS["product"](Cell(2, 8, 3, 4))
    assert (forward.engine, training.engine) == (of_forward, of_training)


def test_products_are_not_compared_where_they_have_one_form(monkeypatch):
    monkeypatch.setattr(jax.lax, "platform_dependent", lambda *a, cpu, default: default(*a))
    with pytest.raises(ValueError, match=r"forms that CPUs alone have.*set JAX_PLATFORMS=cpu"):
        list(command.EXPERIMENTS["product"](CELL))


def test_the_command_prints_each_candidate_with_its_ratio(capsys):
    command.main(["--experiment", "sigmoid", *ONE_RUN])
    *_, title, _, _, ours, theirs = filter(None, capsys.readouterr().out.splitlines())
    assert title == "sigmoid, cores: all"
    assert "engine" in ours
    assert theirs.split()[0] == "logistic"
    assert "7 pairs" in theirs


def test_a_table_has_a_row_for_each_cell_and_says_where_it_was_made(capsys):
    arguments = ["--experiment", "sigmoid", "--table", *ONE_RUN, "--cell", "2,7,3,4", "3,7,3,4"]
    command.main(arguments)
    processor, versions, *_, columns, line, first, second = capsys.readouterr().out.splitlines()
    assert "cores: " in processor
    assert f"jax {jax.__version__}" in versions
    assert "commit " in versions
    assert versions.endswith("wall time")
    assert cells(columns) == ["B,T,F,H", "forward: tanh", "logistic"]
    assert len(cells(line)) == 3
    for row, cell in ((first, "2,7,3,4"), (second, "3,7,3,4")):
        name, ours, theirs = cells(row)
        assert name == cell
        assert ours.endswith(("µs", "ms"))
        assert float(theirs.strip("*")) > 0


def cells(row):
    return [text.strip() for text in row.strip("|").split("|")]


def test_a_table_begins_anew_where_other_candidates_are_compared(capsys):
    product, some = command.EXPERIMENTS["product"], [Cell(2, steps, 3, 4) for steps in (8, 9, 7)]
    command.show_table(product, some, constant_times)
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| B,T,F,H")]
    assert [len(cells(head)) for head in heads] == [6, 5]


def constant_times(work):
    quick, slow, ratio = (Sample(value, value, value, 7) for value in (1.0, 2.0, 2.0))
    return {name: Times(quick, slow, ratio) for name in work.candidates if name != work.engine}


@pytest.mark.parametrize(("high", "text"), [(0.94, "**0.90**"), (0.96, "0.90")])
def test_a_table_stresses_what_is_faster_than_the_engine_by_more_than_noise(capsys, high, text):
    def measure(work):
        return {"logistic": Times(*[Sample(1.0, 1.0, 1.0, 7)] * 2, Sample(0.9, 0.8, high, 7))}

    command.show_table(command.EXPERIMENTS["sigmoid"], [CELL], measure)
    row = capsys.readouterr().out.splitlines()[-1]
    assert cells(row) == [str(CELL), "1.00 s", text]


@pytest.mark.thorough
def test_a_step_of_a_stream_and_a_bare_one_are_timed(capsys, monkeypatch):
    monkeypatch.setattr(stepping, "UNITS", (3, 5))
    stepping.main(["--seconds", "0"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == ["3 units", "5 units"]
    assert all("7 pairs" in line for line in lines)
