"""Random sizes: drawn alike everywhere, measured beside the fixed ones, and reported by seed."""

import json

import pytest

from benchmarks.report import plot, tables
from benchmarks.report import speed as report
from benchmarks.speed import comparison as command
from benchmarks.speed import launch
from benchmarks.speed.grid import (
    BATCHES,
    COMPILE_CELLS,
    FEATURES,
    GRID,
    STEPS,
    TRAINING_FLOP,
    UNITS,
    Cell,
    random_cells,
)
from benchmarks.speed.results import Results, plain
from benchmarks.speed.timing import Record, Sample

SEVEN = (Cell(3, 3, 2, 199), Cell(9, 46, 8, 20), Cell(1, 3, 13, 20))  # of seed 7


def a_record(case, peer, ratio, cell, quartiles=None):
    low, high = quartiles or (ratio, ratio)
    ours, theirs = Sample(0.01, 0.01, 0.01, 7), Sample(0.01 * ratio, 0.01, 0.01, 7)
    return Record(case, cell, "one", peer, ours, theirs, Sample(ratio, low, high, 7))


def test_a_seed_draws_the_same_cells_everywhere():
    assert random_cells(3, 7) == SEVEN
    assert random_cells(5, 7)[:3] == SEVEN  # more of them begin alike
    assert random_cells(3, 8) != SEVEN


def test_random_cells_reach_their_ranges_and_bound_the_work():
    cells = random_cells(3000, 0)
    for sizes, (low, high) in zip(
        zip(*cells, strict=True), (BATCHES, STEPS, FEATURES, UNITS), strict=True
    ):
        assert low == min(sizes)
        assert 0.95 * high <= max(sizes) <= high
    assert max(3 * cell.forward_flop for cell in cells) <= TRAINING_FLOP
    batches = [cell.batch for cell in cells]
    assert 0.4 < sum(batch % 2 for batch in batches) / len(cells) < 0.7
    # Log-uniform: as many from 8 to 64 as from 1 to 7, by the width of their logarithms.
    assert sum(batch < 8 for batch in batches) / len(cells) == pytest.approx(0.498, abs=0.05)


@pytest.fixture
def planned(monkeypatch, tmp_path):
    """Run the command without measuring, and return its jobs and its results."""

    def run(*arguments):
        found = []
        monkeypatch.setattr(launch, "find_device", lambda: ("cpu", "cpu"))
        monkeypatch.setattr(command, "measure", lambda jobs, *_: found.extend(jobs))
        path = tmp_path / "results.json"
        options = ["--peer", "control", "keras-jax", "--case", "train", "compile", "--cores", "one"]
        assert command.main([*options, *arguments, f"--output={path}"]) == 0
        return found, Results.load(path)

    monkeypatch.setattr("benchmarks.speed.peers.Peer.missing", lambda peer: None)
    return run


def test_the_command_adds_random_sizes_to_the_fixed_ones(planned):
    jobs, results = planned("--random", "3", "--seed", "7", "8")
    eight = random_cells(3, 8)
    assert {job.cells for job in jobs} == {(*GRID, *SEVEN, *eight)}
    assert {job.compile_cells for job in jobs} == {COMPILE_CELLS}
    assert results.settings["random"] == [
        {"seed": seed, "cells": [list(cell) for cell in cells]}
        for seed, cells in ((7, SEVEN), (8, eight))
    ]
    jobs, _ = planned("--random", "3", "--seed", "7", "--cell", "--compile-all")
    assert {(job.cells, job.compile_cells) for job in jobs} == {(SEVEN, SEVEN)}
    jobs, results = planned("--random", "2", "--cell", "5,3,2,128")
    assert jobs[0].cells == (Cell(5, 3, 2, 128), *random_cells(2, 0))
    assert planned()[1].settings["random"] == []


def test_a_worker_is_told_both_kinds_of_cells(monkeypatch):
    job = launch.Job("control", "one", ("train", "compile"), SEVEN[:1], COMPILE_CELLS[:2])
    assert [option for option in job.command() if "cell" in option] == [
        f"--cell={SEVEN[0]}",
        *(f"--compile-cell={cell}" for cell in COMPILE_CELLS[:2]),
    ]


def results_of(records, **settings):
    results = Results.start("cpu", {"quick": False} | settings)
    results.records, results.complete = records, True
    return results


def test_the_report_has_a_table_for_each_seed_with_its_summary(tmp_path):
    drawn = [{"seed": 7, "cells": [list(cell) for cell in SEVEN]}]
    records = [
        a_record("train", "control", 1.0, GRID[1]),
        a_record("train", "torch", 4.0, GRID[1]),
        *(a_record("train", "torch", r, c) for r, c in zip((0.5, 2, 8), SEVEN, strict=True)),
        a_record("train", "control", 1.0, SEVEN[2], (0.7, 1.2)),
        a_record("compile_train", "torch", 3.0, SEVEN[0]),
        a_record("train_gate", "own", 0.5, SEVEN[0]),
    ]
    results = results_of(records, random=drawn)
    text = report.block(results, "file.json", "figure.png")
    fixed, random = text.split("### Training step, one core")[1:3]
    assert fixed.startswith(" (wall time)")
    assert f"| {GRID[1]} | 10.0 ms | 4.00 |" in fixed
    assert "| geometric mean |  | 4.00 |" in fixed
    assert random.startswith(", random sizes, seed 7 (wall time)")
    for line in [
        f"| {SEVEN[0]} | 10.0 ms | 0.50 |",
        f"| {SEVEN[2]} (noisy) | 10.0 ms | 8.00 |",
        "| geometric mean (noisy) |  | 2.00 |",
        "| lowest (noisy) |  | 0.50 |",
        "| below 1 (noisy) |  | 1 of 3 |",
    ]:
        assert line in random, random
    assert "### Compile the training step (trace, lower, compile), one core, random" in text
    assert "| mean cost | 2.00 |" in text
    plot.draw(results, tmp_path / "figure.png")
    assert (tmp_path / "figure.png").read_bytes()[1:4] == b"PNG"


def test_a_size_that_was_asked_for_and_drawn_is_in_both_groups():
    drawn = [{"seed": 7, "cells": [list(cell) for cell in SEVEN]}]
    records = [a_record("train", "torch", 2.0, cell) for cell in SEVEN]
    groups = tables.by_sizes(results_of(records, random=drawn, cell=[list(SEVEN[1])]), records)
    assert [(title, [r.cell for r in found]) for title, found in groups] == [
        ("", [SEVEN[1]]),
        ("random sizes, seed 7", list(SEVEN)),
    ]
    assert json.loads(json.dumps(plain(records[0])))["cell"] == list(SEVEN[0])
