"""The results of several machines: a file for each, and a table of them all."""

import pytest

from benchmarks.report import machines
from benchmarks.report import speed as report
from benchmarks.speed import comparison as command
from benchmarks.speed import launch, results
from benchmarks.speed.grid import GRID
from benchmarks.speed.results import FOLDER, Results, file_name
from benchmarks.speed.timing import Record, Sample


@pytest.mark.parametrize(
    ("machine", "jax", "name"),
    [
        (
            {"device": "cpu", "cpu": "Intel(R) Xeon(R) Processor", "system": "Linux x86_64"},
            "0.10.2",
            "intel-xeon-processor_2-cores_linux-x86-64_jax-0.10.2.json",
        ),
        (
            {"device": "cpu", "cpu": "AMD EPYC 9R14 @ 3.70GHz", "system": "Linux x86_64"},
            "0.12.0.1",
            "amd-epyc-9r14-3.70ghz_2-cores_linux-x86-64_jax-0.12.0.1.json",
        ),
        (
            {"device": "NVIDIA H200", "cpu": "Any CPU", "system": "Linux x86_64"},
            "0.10.2",
            "nvidia-h200_2-cores_linux-x86-64_jax-0.10.2.json",
        ),
    ],
)
def test_a_file_is_named_after_its_machine_and_jax(machine, jax, name):
    assert file_name(machine | {"cores": 2}, {"jax": jax}) == name


def test_files_of_the_repository_have_their_names_and_can_be_read():
    files = list(FOLDER.glob("*.json"))
    assert files
    for path in files:
        found = Results.load(path)
        assert path.name == file_name(found.machine, found.versions)
        assert found.records


@pytest.mark.parametrize(
    ("arguments", "whole"),
    [
        ([], True),
        (["--random", "2"], True),
        (["--cores", "both"], True),
        (["--cores", "one"], False),
        (["--peer", "torch"], False),
        (["--cell", "--random", "2"], False),
        (["--quick"], False),
    ],
)
def test_only_a_whole_run_writes_the_file_of_the_machine(arguments, whole, monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "find_device", lambda: ("cpu", "cpu"))
    monkeypatch.setattr(command, "measure", lambda jobs, found, path: paths.append(path))
    monkeypatch.setattr(command, "FOLDER", tmp_path / "peers")
    monkeypatch.setattr("benchmarks.speed.peers.Peer.missing", lambda peer: None)
    paths = []
    assert command.main(arguments) == 0
    name = file_name(results.machine("cpu"), results.versions())
    assert paths == [tmp_path / "peers" / name if whole else tmp_path / "partial.json"]


def a_file(folder, *, jax, ratios, cores=("one",), noisy=False, random=(), **changes):
    """Write the results of a machine with the same ratios in training and forward."""
    found = Results.start("cpu", {"quick": False, "random": list(random)})
    found.machine |= {"cpu": f"processor of {jax}", "cores": 4, "system": "Linux x86_64"}
    found.versions |= {"jax": jax, "torch": "2.0"}
    found.commit, found.complete = "0123456789abcdef", True
    vars(found).update(changes)
    for mode in cores:
        for case in ("train", "forward_all", "forward"):
            for peer, by_cell in ratios.items():
                for cell, ratio in by_cell.items():
                    ours = Sample(0.01, 0.01, 0.01, 7)
                    low = 0.5 if noisy and peer == "control" else ratio
                    spread = Sample(ratio, low, ratio, 7)
                    found.records.append(Record(case, cell, mode, peer, ours, ours, spread))
    found.save(folder / f"{jax}.json")


def test_all_files_are_put_side_by_side(tmp_path):
    a, b, drawn = GRID[0], GRID[1], (3, 4, 5, 6)
    a_file(
        tmp_path,
        jax="0.10.2",
        ratios={
            "torch": {a: 0.5, b: 2.0, drawn: 4.0},
            "haiku": {a: 2.0, b: 2.0},
            "flax-nnx": {a: 8.0, b: 8.0},
        },
        random=[{"seed": 3, "cells": [list(drawn)]}],
    )
    control = {a: 1.0, b: 1.0}
    a_file(
        tmp_path,
        jax="0.12.0",
        ratios={"control": control, "torch": {a: 3.0}},
        cores=("one", "all"),
        noisy=True,
        complete=False,
    )
    text = machines.tables(tmp_path)
    one, every = text.split("### All machines, all cores")
    head = "| processor of 0.10.2, 4 cores, Linux x86_64 | 0.10.2 | 2.0 | 012345678"
    other = "| processor of 0.12.0, 4 cores, Linux x86_64 | 0.12.0 | 2.0 | 012345678"
    figures = "3.00 (3.00) (of 1) (noisy) | – | 3.00 (3.00) (of 1) (noisy) | – |"
    for line in [
        "### All machines, one core",
        f"{head} | fixed sizes (2) | wall time | 1.00 (0.50) | 2.00 (2.00) | 1.00 (0.50) "
        "| 2.00 (2.00) |",
        f"{head} | random sizes, seed 3 (1) | wall time | 4.00 (4.00) | – | 4.00 (4.00) | – |",
        f"{other} | fixed sizes (2), interrupted | wall time | {figures}",
    ]:
        assert line in one, one
    assert f"{other} | fixed sizes (2), interrupted | wall time | {figures}" in every
    assert head not in every


def test_no_file_and_a_file_of_something_else(tmp_path):
    assert machines.tables(tmp_path) == ""
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"other\.json holds no results"):
        machines.tables(tmp_path)


def test_the_report_is_of_this_machine_and_has_all_of_them_below(tmp_path, monkeypatch, capsys):
    page = tmp_path / "page.md"
    page.write_text(f"{report.BEGIN}{report.END}", encoding="utf-8")
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    name = file_name(results.machine("cpu"), results.versions())
    assert report.main([f"--page={page}"]) == 1  # not measured yet
    assert name in capsys.readouterr().err
    a_file(tmp_path, jax="0.12.0", ratios={"torch": {GRID[0]: 3.0}})
    (tmp_path / "0.12.0.json").rename(tmp_path / name)
    assert report.main([f"--page={page}"]) == 0
    text = page.read_text(encoding="utf-8")
    assert name in text
    assert text.index("### Training step, one core") < text.index("### All machines, one core")
